"""Files are written whole or not at all, with the permissions that a user expects."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from avengers_core._utils.files import replacing


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
