"""A ledger from a path, a URL or the environment."""

from __future__ import annotations

import os
from pathlib import Path

from .._utils.files import user_path
from .store import Ledger, default_ledger_path

__all__ = ["open_existing", "open_ledger"]


def open_existing(url: str | None = None) -> Ledger:
    """A ledger to read: by URL or path, else ``$AVENGERS_LEDGER``, else the user's file.

    Raises:
        FileNotFoundError: If the file does not exist.
        LedgerError: If the database cannot be opened.
    """
    given = url or os.environ.get("AVENGERS_LEDGER") or str(default_ledger_path())
    if "://" not in given and not user_path(given).is_file():
        raise FileNotFoundError(f"{given}: no such ledger; ChatAvengers(ledger={given!r}) writes one")
    return Ledger(given)


def open_ledger(value: Ledger | str | Path | bool | None) -> Ledger | None:
    """A ledger from what a user gives, or None if calls are not to be recorded.

    Args:
        value: A `Ledger`, a path or a URL; True: ``$AVENGERS_LEDGER`` or `default_ledger_path`; False: none;
            None: ``$AVENGERS_LEDGER`` if it is set, else none.

    Raises:
        LedgerError: If the database cannot be opened.
    """
    if isinstance(value, Ledger):
        return value
    if value is False or (value is None and not os.environ.get("AVENGERS_LEDGER")):
        return None
    return Ledger(None if value is None or value is True else value)
