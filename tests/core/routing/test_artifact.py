from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from avengers_core import ArtifactError, CallableEmbedder, Router, RouterEstimator, load_artifact, save_artifact
from avengers_core.routing.artifact_checks import manifest_checksum
from avengers_core.routing.manifest import Manifest


@pytest.fixture(params=["zip", "folder"])
def saved(request: pytest.FixtureRequest, tmp_path: Path, estimator: RouterEstimator) -> Path:
    return estimator.save(tmp_path / ("a.zip" if request.param == "zip" else "a"))


def rewrite(path: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    """Apply ``change`` to the files of an artifact, zip or folder."""
    if path.is_dir():
        files = {p.name: p.read_bytes() for p in path.iterdir()}
        change(files)
        for p in path.iterdir():
            p.unlink()
        for name, data in files.items():
            (path / name).write_bytes(data)
        return
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def sealed(files: dict[str, bytes], **changes: Any) -> None:
    """Edit the manifest and give it a checksum that fits: damage that only the later checks can see."""
    import hashlib

    import msgspec

    raw = json.loads(files["manifest.json"]) | changes
    for name, part in raw["parts"].items():
        if f"{name}.npy" in files:
            part["sha256"] = hashlib.sha256(files[f"{name}.npy"]).hexdigest()
    manifest = msgspec.convert(raw, Manifest)
    raw["checksum"] = manifest_checksum(manifest)
    files["manifest.json"] = json.dumps(raw).encode()


def array(values: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def edit_manifest(files: dict[str, bytes]) -> None:
    files["manifest.json"] = files["manifest.json"].replace(b'"alpha": 0.5', b'"alpha": 0.9')


def old_version(files: dict[str, bytes]) -> None:
    files["manifest.json"] = files["manifest.json"].replace(b'"schema_version": 3', b'"schema_version": 99')


def flip(files: dict[str, bytes]) -> None:
    data = bytearray(files["centers.npy"])
    data[-1] ^= 1
    files["centers.npy"] = bytes(data)


def nan(files: dict[str, bytes]) -> None:
    values = np.load(io.BytesIO(files["centers.npy"]))
    values[0, 0] = np.nan
    files["centers.npy"] = array(values)
    sealed(files)


def wrong_shape(files: dict[str, bytes]) -> None:
    files["n.npy"] = array(np.ones((2, 2)))
    sealed(files)


def declared_shape(files: dict[str, bytes]) -> None:
    raw = json.loads(files["manifest.json"])
    raw["parts"]["n"]["shape"] = [1, 1]
    sealed(files, parts=raw["parts"])


def boundless(files: dict[str, bytes]) -> None:
    """A small file whose header asks for a petabyte."""
    header = {"shape": (1 << 47,), "fortran_order": False, "descr": "<f8"}
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, header)
    files["n.npy"] = buffer.getvalue()
    sealed(files)


def pickled(files: dict[str, bytes]) -> None:
    shape = np.load(io.BytesIO(files["n.npy"])).shape
    buffer = io.BytesIO()
    np.save(buffer, np.full(shape, {"a": 1}, dtype=object), allow_pickle=True)
    files["n.npy"] = buffer.getvalue()
    sealed(files)


def raw_pickle(files: dict[str, bytes]) -> None:
    files["n.npy"] = pickle.dumps([1, 2, 3])
    sealed(files)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (edit_manifest, "was edited"),
        (old_version, "schema version 99"),
        (flip, "SHA-256"),
        (nan, "not finite"),
        (wrong_shape, "not a plain array: its header says"),
        (boundless, "not a plain array: its header says"),
        (declared_shape, "expected"),
        (pickled, "not a plain array"),
        (raw_pickle, "not a plain array"),
        (lambda files: files.pop("n.npy"), "missing"),
        (lambda files: files.pop("manifest.json"), "missing"),
        (lambda files: files.update({"manifest.json": b"[1]"}), "not a JSON object"),
        (lambda files: files.update({"manifest.json": b"\xff\xfe"}), "not a JSON object"),
        (lambda files: files.update({"manifest.json": b"{}"}), "not an Avengers artifact"),
        (lambda files: files.update({"n.npy": files["n.npy"][:-8]}), "SHA-256"),
        (lambda files: files.update({"n.npy": b"0" * 1_000_000}), "larger than"),
    ],
)
def test_each_damage_is_refused(saved: Path, damage: Callable[[dict[str, bytes]], None], message: str) -> None:
    load_artifact(saved)
    rewrite(saved, damage)
    with pytest.raises(ArtifactError, match=message):
        load_artifact(saved)


@pytest.mark.parametrize("name", ["../evil.npy", "/etc/evil.npy", "a/b.npy", "run.py"])
def test_a_name_outside_the_archive_is_refused(tmp_path: Path, estimator: RouterEstimator, name: str) -> None:
    path = estimator.save(tmp_path / "a.zip")
    rewrite(path, lambda files: files.update({name: b"x"}))
    with pytest.raises(ArtifactError, match="does not belong"):
        load_artifact(path)


def test_a_link_in_a_folder_is_refused(tmp_path: Path, estimator: RouterEstimator) -> None:
    path = estimator.save(tmp_path / "a")
    (path / "n.npy").rename(tmp_path / "n.npy")
    (path / "n.npy").symlink_to(tmp_path / "n.npy")
    with pytest.raises(ArtifactError, match="link"):
        load_artifact(path)


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_a_truncated_zip_is_refused(tmp_path: Path, estimator: RouterEstimator, keep: float) -> None:
    path = estimator.save(tmp_path / "a.zip")
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if keep < 1 else int(keep)])
    with pytest.raises(ArtifactError, match="not a whole zip"):
        load_artifact(path)


def test_round_trip_is_exact_and_repeatable(saved: Path, estimator: RouterEstimator, tmp_path: Path) -> None:
    back = load_artifact(saved)
    np.testing.assert_array_equal(back.centers, estimator.cluster_centers_)
    np.testing.assert_array_equal(back.statistics.tokens, estimator.statistics_.tokens)
    assert back.models == estimator.models_
    first, second = (save_artifact(back, tmp_path / f"{i}.zip").read_bytes() for i in "xy")
    assert first == second


def test_saving_replaces_an_artifact_but_no_other_folder(tmp_path: Path, estimator: RouterEstimator) -> None:
    target = tmp_path / "a"
    target.mkdir()
    estimator.save(target)
    estimator.save(target)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ArtifactError, match="holds other files"):
        estimator.save(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "mine"]


def test_an_interrupted_write_leaves_nothing(
    tmp_path: Path, estimator: RouterEstimator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("avengers_core._utils.files.os.replace", interrupt)
    monkeypatch.setattr(Path, "rename", interrupt)
    for name in ("a.zip", "a"):
        with pytest.raises(KeyboardInterrupt):
            estimator.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failing", [1, 2])
def test_an_interrupted_replacement_leaves_the_old_folder(
    tmp_path: Path, estimator: RouterEstimator, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    path = estimator.save(tmp_path / "a")
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    rename, calls = Path.rename, []

    def interrupt(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == failing:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupt)
    with pytest.raises(KeyboardInterrupt):
        estimator.save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before


def test_another_embedder_is_refused(estimator: RouterEstimator) -> None:
    other = CallableEmbedder(lambda texts: np.ones((len(texts), 256)), id="other")
    with pytest.raises(ArtifactError, match="was trained with embedder wordllama"):
        Router(estimator.artifact_, embedder=other)
