"""Rows that a database did not take in time: they are written when it does."""

from __future__ import annotations

import atexit
import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable

from ..errors import LedgerError

__all__ = ["Backlog"]

_log = logging.getLogger("avengers")

#: Rows that wait at most; beyond that the oldest is given up, with an error in the log.
MOST_ROWS = 100_000
#: Seconds between attempts.
PAUSE = 2.0


class Backlog:
    """Writes that failed, tried again by a thread of their own until they succeed or the process ends.

    Args:
        pause: Seconds between attempts.
    """

    def __init__(self, pause: float = PAUSE) -> None:
        self._pause = pause
        self._waiting: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        _backlogs.add(self)

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, write: Callable[[], None]) -> None:
        """Try a write again later.

        Args:
            write: Raises `LedgerError` if it fails.
        """
        with self._lock:
            self._waiting.append(write)
            if len(self._waiting) > MOST_ROWS:
                self._waiting.popleft()
                _log.error("the ledger's backlog is full: a row is lost")
            if self._thread is None or not self._thread.is_alive():
                self._closed.clear()
                self._thread = threading.Thread(target=self._run, name="avengers-ledger", daemon=True)
                self._thread.start()

    def flush(self) -> None:
        """Try all writes once; those that fail go on waiting.

        Raises:
            LedgerError: If one failed.
        """
        while True:
            with self._lock:
                if not self._waiting:
                    return
                write = self._waiting[0]
            write()
            with self._lock:
                if self._waiting and self._waiting[0] is write:
                    self._waiting.popleft()

    def close(self) -> None:
        """Try all writes a last time, and stop."""
        self._closed.set()
        try:
            self.flush()
        except LedgerError as error:
            _log.error("%d rows are lost: %s", len(self._waiting), error)

    def _run(self) -> None:
        while self._waiting and not self._closed.wait(self._pause):
            try:
                self.flush()
            except LedgerError as error:
                _log.warning("%d rows wait for the ledger: %s", len(self._waiting), error)


_backlogs: weakref.WeakSet[Backlog] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for backlog in list(_backlogs):
        if len(backlog):
            backlog.close()
