"""Write files whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["check_output", "replacing", "user_path"]

#: Ends of names that say that something is a file.
_FILES = (".json", ".jsonl", ".csv", ".html", ".md", ".gz", ".parquet", ".txt", ".pdf", ".sqlite")


def user_path(path: str | os.PathLike[str]) -> Path:
    """A path whose leading ``~`` is the user's home; ``~name`` of an unknown user is the name of a file."""
    return Path(os.path.expanduser(path))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a new file beside ``path`` that takes its place when the block ends, and is deleted if the block fails.

    A file that existed keeps its permissions, also while it is written; a new one gets those that the umask allows. A
    symbolic link stays, and what it points to is replaced. What is no file, such as a pipe or ``/dev/stdout``, is
    written to and stays what it is. Missing folders are made.

    Args:
        path: File to write.

    Yields:
        Path of the empty temporary file.
    """
    path = user_path(path)
    target = path.resolve() if path.is_symlink() else path
    if target.exists() and not target.is_file() and not target.is_dir():
        with tempfile.TemporaryDirectory() as folder:
            temporary = Path(folder) / "output"
            temporary.touch()
            yield temporary
            with temporary.open("rb") as written, path.open("wb") as out:
                shutil.copyfileobj(written, out)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}")
    mode = target.stat().st_mode & 0o7777 if target.exists() else None
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode & 0o600))
    try:
        yield temporary
        if mode is not None:
            temporary.chmod(mode)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def check_output(path: Path, *, folder: bool = False) -> None:
    """Check that something can be written, before the work that it takes. Nothing is made.

    Args:
        path: What will be written.
        folder: Whether it will be a folder.

    Raises:
        ValueError: If a folder is to be written and its name is that of a file.
        OSError: If it cannot be written there.
    """
    path = user_path(path)
    if folder and path.suffix.lower() in _FILES and not path.is_dir():
        raise ValueError(f"{path}: a folder is written here; its name should not end in {path.suffix}")
    if folder and path.exists() and not path.is_dir():
        raise NotADirectoryError(f"{path}: a folder is written here, and this is a file")
    if not folder and path.is_dir():
        raise IsADirectoryError(f"{path}: a file is written here, and this is a folder")
    if path.exists() and not folder and not path.is_file():
        return
    place = path.absolute() if folder else path.resolve().parent
    while not place.exists() and place != place.parent:
        place = place.parent
    probe = place / f".avengers.{secrets.token_hex(6)}"
    probe.touch()
    probe.unlink()
