"""Saving and loading artifacts: one zip or folder of ``manifest.json`` and plain ``.npy`` arrays, never a pickle."""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
import zipfile
from pathlib import Path

import msgspec
import numpy as np

from .._utils.files import check_output, replacing, user_path
from ..errors import ArtifactError
from .artifact_checks import manifest_checksum, read_artifact
from .evidence_arrays import evidence_arrays
from .manifest import MANIFEST, STATISTICS, TIMING_PART, Artifact, Part

__all__ = ["check_destination", "load_artifact", "save_artifact"]

#: Date of the files in a zip: a fixed one, so that the same training gives the same file.
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)

#: An archive with more files is refused unread.
_MAX_FILES = 100


def save_artifact(artifact: Artifact, path: str | Path) -> Path:
    """Write an artifact. An interrupted write leaves what was at the path before, and nothing else.

    Args:
        artifact: What to write.
        path: A zip is written if it ends in ``.zip``, otherwise a folder. Missing parent folders are made.

    Returns:
        The path.

    Raises:
        ArtifactError: If ``path`` is to be a folder and something that is not an artifact is there.
    """
    path = user_path(path)
    files = _files(artifact)
    if path.suffix != ".zip":
        return _save_folder(files, path)
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name, _ZIP_DATE), files[name], zipfile.ZIP_DEFLATED)
    return path


def _files(artifact: Artifact) -> dict[str, bytes]:
    """The files of an artifact by name."""
    arrays = {"centers": artifact.centers, **artifact.arrays, **evidence_arrays(artifact)}
    if artifact.probes is not None:
        arrays["probes"] = artifact.probes
    arrays |= {file: getattr(artifact.statistics, name) for name, file in STATISTICS.items()}
    if not artifact.statistics.timing.any():
        del arrays[TIMING_PART]  # records that tell no durations give the same artifact as before
    parts, files = {}, {}
    for name, values in arrays.items():
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.ascontiguousarray(values), allow_pickle=False)
        files[f"{name}.npy"] = buffer.getvalue()
        digest = hashlib.sha256(buffer.getvalue()).hexdigest()
        parts[name] = Part(digest, list(values.shape), values.dtype.str)
    manifest = msgspec.structs.replace(artifact.manifest, parts=parts)
    manifest = msgspec.structs.replace(manifest, checksum=manifest_checksum(manifest))
    files[MANIFEST] = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    return files


def check_destination(path: str | Path) -> None:
    """Check that an artifact can be saved at a path, before it is trained.

    Args:
        path: As for `save_artifact`.

    Raises:
        ArtifactError: If there is a folder with other files.
        ValueError: If the path is for a folder and ends like a file's name.
        OSError: If it cannot be written there.
    """
    path = user_path(path)
    check_output(path, folder=path.suffix != ".zip")
    if path.is_dir() and any(path.iterdir()) and not (path / MANIFEST).is_file():
        raise ArtifactError(f"{path}: holds other files; give a new folder or a name that ends in .zip")


def _save_folder(files: dict[str, bytes], path: Path) -> Path:
    """Write the files beside ``path`` and rename; if anything fails, put back what was there.

    Only a process that is killed between the two renames leaves the former artifact, under a hidden name beside it.
    """
    check_destination(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    workspace = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    new, old = workspace / "new", workspace / "old"
    try:
        new.mkdir(mode=0o755)
        for name, data in files.items():
            (new / name).write_bytes(data)
        if path.exists():
            path.rename(old)
        new.rename(path)
    except BaseException:
        if old.exists() and not path.exists():
            old.rename(path)
        raise
    finally:
        if path.exists() or not old.exists():
            shutil.rmtree(workspace, ignore_errors=True)
    return path


def load_artifact(path: str | Path) -> Artifact:
    """Read and check an artifact.

    Args:
        path: A zip or a folder, as from `save_artifact`.

    Raises:
        ArtifactError: If it is missing, truncated, edited or of another schema version, or holds a name outside the
            archive, a pickle, a wrong shape or a value that is not finite. The message says which.
    """
    path = user_path(path)
    if path.is_dir():
        return read_artifact(lambda name, limit: _read_file(path / name, limit), path)
    if not path.is_file():
        raise ArtifactError(f"{path}: no such artifact")
    try:
        with zipfile.ZipFile(path) as archive:
            _check_names(archive.namelist(), path)
            return read_artifact(lambda name, limit: _read_member(archive, name, limit), path)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path}: not a whole zip archive: {error}") from None


def _check_names(names: list[str], path: Path) -> None:
    """Refuse an archive with names that no artifact has."""
    if len(names) > _MAX_FILES:
        raise ArtifactError(f"{path}: {len(names)} files do not belong in an artifact")
    for name in names:
        if name != Path(name).name or "\\" in name or not name.endswith((".npy", ".json")):
            raise ArtifactError(f"{path}: {name!r} does not belong in an artifact")
    if len(set(names)) != len(names):
        raise ArtifactError(f"{path}: a name is in the archive twice")


def _read_file(path: Path, limit: int) -> bytes:
    if path.is_symlink() or not path.is_file():
        raise ArtifactError(f"{path}: missing, or a link")
    if path.stat().st_size > limit:
        raise ArtifactError(f"{path}: larger than the manifest says ({path.stat().st_size} bytes)")
    return path.read_bytes()


def _read_member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise ArtifactError(f"{archive.filename}: {name} is missing") from None
    if info.file_size > limit:
        raise ArtifactError(f"{archive.filename}: {name} is larger than the manifest says ({info.file_size} bytes)")
    try:
        with archive.open(info) as file:
            data = file.read(limit + 1)
    except Exception as error:  # zlib, CRC and header faults come as many kinds
        raise ArtifactError(f"{archive.filename}: {name} is damaged: {error}") from None
    if len(data) > limit:
        raise ArtifactError(f"{archive.filename}: {name} is larger than the manifest says")
    return data
