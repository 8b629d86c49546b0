"""SQLite files that several processes open at once."""

from __future__ import annotations

import sqlite3
import time

__all__ = ["write_ahead"]

#: Seconds between two tries.
_PAUSE = 0.01


def write_ahead(database: sqlite3.Connection, timeout: float) -> None:
    """Switch a database to write-ahead logging.

    If two processes switch a new file at the same moment, SQLite fails at once for one of them, whatever the
    connection's own timeout is, because waiting could be a deadlock.

    Args:
        database: A connection without a transaction.
        timeout: Seconds for which a locked database is tried again.

    Raises:
        sqlite3.Error: If it is locked for longer, or is no database.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            database.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() >= deadline:
                raise
            time.sleep(_PAUSE)
        else:
            return
