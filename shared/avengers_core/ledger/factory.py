"""A ledger from a path, a URL or the environment."""

from __future__ import annotations

import os
from pathlib import Path

from .store import Ledger, default_ledger_path


def open_existing(url: str | None = None) -> Ledger:
    """A ledger to read: by URL or path, else ``$AVENGERS_LEDGER``, else the user's file.

    Raises:
        FileNotFoundError: the file is not there.
    """
    given = url or os.environ.get("AVENGERS_LEDGER") or str(default_ledger_path())
    if "://" not in given and not Path(given).expanduser().is_file():
        raise FileNotFoundError(f"{given}: no such ledger; ChatAvengers(ledger={given!r}) writes one")
    return Ledger(given)


def open_ledger(value: Ledger | str | Path | bool | None) -> Ledger | None:
    """A ledger from what a user gives: True is the default file, None is ``$AVENGERS_LEDGER`` or none at all."""
    if isinstance(value, Ledger):
        return value
    if value is False or (value is None and not os.environ.get("AVENGERS_LEDGER")):
        return None
    return Ledger(None if value is None or value is True else value)
