"""Files are written whole or not at all, with the permissions that a user expects."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from avengers_core import AvengersError, Router, RouterEstimator
from avengers_core._utils.files import check_output, replacing, user_path
from avengers_core.records.io import write_records

from tests.support.records import make_records


@pytest.fixture
def umask() -> Iterator[int]:
    """A umask that keeps others out."""
    before = os.umask(0o027)
    yield 0o027
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_has_what_the_umask_allows(umask: int, tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    with replacing(path) as temporary:
        temporary.write_text("x")
    assert mode(path) == 0o666 & ~umask
    assert path.read_text() == "x"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("before", [0o600, 0o664, 0o755])
def test_an_existing_file_keeps_its_mode(umask: int, tmp_path: Path, before: int) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(before)
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert (mode(path), path.read_text()) == (before, "new")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path) -> None:
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_text("old")
    real.chmod(0o600)
    link.symlink_to(real)
    with replacing(link) as temporary:
        assert temporary.stat().st_mode & 0o077 == 0, "nobody else reads it while it is written"
        temporary.write_text("new")
    assert link.is_symlink()
    assert (real.read_text(), real.stat().st_mode & 0o777) == ("new", 0o600)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.json", "real.json"]


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path) -> None:
    """As root, /dev/stdout would be replaced by a file otherwise."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    with replacing(pipe) as temporary:
        temporary.write_text("through it")
    reader.join(10)
    assert got == ["through it"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_place_that_cannot_be_written_is_found_out_first(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path, folder, error in (
        (tmp_path / "file" / "below.zip", False, OSError),
        (tmp_path / "file", True, NotADirectoryError),
        (tmp_path, False, IsADirectoryError),
        (tmp_path / "report.json", True, ValueError),
    ):
        with pytest.raises(error):
            check_output(path, folder=folder)
    check_output(tmp_path / "new" / "a.zip")
    check_output(tmp_path / "new" / "folder", folder=True)
    assert [path.name for path in tmp_path.iterdir()] == ["file"], "a check makes nothing"


def test_a_tilde_is_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_records("~/sub/r.jsonl", make_records(30))
    RouterEstimator(n_clusters=2).fit("~/sub").save("~/a")
    assert Router.load("~/a").models == Router.load(tmp_path / "a").models
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "sub"]


def test_a_tilde_before_an_unknown_user_is_the_name_of_a_file() -> None:
    assert user_path("~nobody-has-this-name/records.jsonl") == Path("~nobody-has-this-name/records.jsonl")
    with pytest.raises(AvengersError, match="~nobody-has-this-name"):
        Router.load("~nobody-has-this-name")
    with pytest.raises(AvengersError, match="~0"):
        RouterEstimator().fit("~0")
