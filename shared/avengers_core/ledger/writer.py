"""A thread that writes a ledger's rows: all that wait in one transaction, and later those that were not taken."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent import futures
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from .._utils.loops import PerLoop
from .._utils.timeouts import timeout
from ..errors import LedgerError

__all__ = ["PendingRow", "RowWriter", "wait", "wait_async"]

_log = logging.getLogger("avengers")

#: Seconds that a call waits for its row at most. A row that takes longer is written later.
PATIENCE = 10.0
#: Rows that wait at most; beyond that the oldest is given up, with an error in the log.
MOST_ROWS = 100_000
#: Rows of one transaction at most.
_BATCH = 500
#: Seconds for which rows are gathered while many calls end: fewer transactions, each of which holds others up.
_GATHER = 0.02
#: Seconds between attempts, and for which an idle thread waits for a row.
_PAUSE, _IDLE = 2.0, 5.0


@dataclass(eq=False)
class PendingRow:
    """A row that is not written yet.

    Attributes:
        row: Values by column.
        amounts: Picodollars to add, by scope.
        decision: What the router weighed, as JSON.
        tried: Whether a write of it has failed. It may have come through although its answer was lost.
        done: Set when it is written, refused, or kept for later.
    """

    row: dict[str, Any]
    amounts: Mapping[str, int]
    decision: str | None = None
    tried: bool = False
    done: Future[None] = field(default_factory=Future)

    def settle(self, error: BaseException | None = None) -> None:
        """Let go whoever waits for the row."""
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


class RowWriter:
    """Writes rows in a thread of its own, which ends when it has had nothing to do for some seconds.

    Args:
        write: Writes rows in one transaction. It raises `LedgerError` if it fails.
        may_pass: Whether a write that failed with this error may succeed later.
        bounded: Whether a write ends in time whatever happens, so that a caller who waits may do it without the thread.
        pause: Seconds between attempts.
    """

    def __init__(
        self,
        write: Callable[[Sequence[PendingRow]], None],
        may_pass: Callable[[LedgerError], bool],
        *,
        bounded: bool,
        pause: float = _PAUSE,
    ) -> None:
        self._write, self._may_pass, self._bounded, self._pause = write, may_pass, bounded, pause
        self._rows: deque[PendingRow] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._hurry = threading.Event()
        self._busy = self._closing = False
        self._coming = 0
        _writers.add(self)

    def __len__(self) -> int:
        return len(self._rows)

    def expect(self) -> None:
        """Say that a row is going to come."""
        with self._changed:
            self._coming += 1

    def add(
        self, row: dict[str, Any], amounts: Mapping[str, int], decision: str | None = None, *, waits: bool = False
    ) -> Future[None]:
        """Write a row as soon as possible.

        Args:
            row: Values by column.
            amounts: Picodollars to add, by scope.
            decision: What the router weighed, as JSON.
            waits: Whether the caller waits for it anyway. It is written here then if nothing else is being written.

        Returns:
            What is done when the row is written, or kept for later as the database takes none now. It fails with
            `LedgerError` if the database refuses the row.
        """
        pending = PendingRow(row, amounts, decision)
        with self._changed:
            self._rows.append(pending)
            self._coming = max(self._coming - 1, 0)
            if not self._coming:
                self._hurry.set()
            if len(self._rows) > MOST_ROWS:
                self._rows.popleft().settle(LedgerError("too many rows wait for the ledger: one is lost"))
                _log.error("too many rows wait for the ledger: one is lost")
            may = waits and self._bounded and not self._busy
            here = (may and len(self._rows) == 1) or (not self._wake() and may)
            if here:
                self._busy = True
        if here:
            self._write_here()
        return pending.done

    def _write_here(self) -> None:
        """Write the rows in this thread, which has set ``_busy``."""
        try:
            self._say(self._try([self._rows[place] for place in range(min(len(self._rows), _BATCH))]))
        finally:
            with self._changed:
                self._busy = False
                if self._rows:
                    self._wake()

    def _wake(self) -> bool:
        """Have the thread look at the rows. If none can be started, they wait for the next row, and nobody for them."""
        if self._thread is not None and self._thread.is_alive():
            self._changed.notify_all()
            return True
        thread = threading.Thread(target=self._run, name="avengers-ledger", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            _log.warning("no thread can be started for the ledger (%s): rows are written later", error)
            self._let_go()
            return False
        self._thread = thread
        return True

    def close(self, seconds: float = PATIENCE) -> None:
        """Try all rows once more.

        Args:
            seconds: How long to wait for them.
        """
        with self._changed:
            self._closing = True
            self._hurry.set()
            alone = bool(self._rows) and not self._wake() and not self._busy
            self._busy = self._busy or alone
            self._changed.wait_for(lambda: self._thread is None or not self._thread.is_alive(), seconds)
        if alone:
            self._write_here()
        with self._changed:
            self._closing = False
            if self._rows:
                _log.error("%d rows are lost: the ledger did not take them", len(self._rows))

    def forget(self) -> None:
        """In a forked child: the rows are the parent's, and so is the thread."""
        self._rows, self._changed, self._hurry = deque(), threading.Condition(), threading.Event()
        self._thread, self._busy, self._coming = None, False, 0

    def _run(self) -> None:
        while batch := self._next_batch():
            try:
                failed = self._try(batch)
            finally:
                self._busy = False
            self._say(failed)
            if failed is not None:
                with self._changed:
                    if self._closing:
                        break
                    self._changed.wait_for(lambda: self._closing, self._pause)
            elif self._rows:  # they came while others were written
                self._gather()
        with self._changed:
            if self._thread is threading.current_thread():  # else another one has begun already
                self._thread = None
            self._changed.notify_all()

    def _gather(self) -> None:
        """Wait a little, unless no more rows will come."""
        with self._changed:
            if not self._coming or self._closing:
                return
            self._hurry.clear()
            waiting = len(self._rows)
        if not self._hurry.wait(_GATHER):
            with self._changed:
                if len(self._rows) == waiting:  # calls that were given up, before they began
                    self._coming = 0

    def _say(self, failed: LedgerError | None) -> None:
        if failed is not None:
            _log.warning("%s; %d rows are tried again", failed, len(self._rows))

    def _next_batch(self) -> list[PendingRow]:
        """Rows to write now; none if there was nothing to do for some time. Rows stay in the queue until written."""
        with self._changed:
            self._changed.wait_for(lambda: not self._busy and (self._rows or self._closing), _IDLE)
            if self._busy or not self._rows:
                if self._thread is threading.current_thread():
                    self._thread = None  # who adds a row from now on, or writes one now, starts another one
                return []
            self._busy = True
            return [self._rows[place] for place in range(min(len(self._rows), _BATCH))]

    def _try(self, batch: Sequence[PendingRow]) -> LedgerError | None:
        """Write rows. What they failed with if they may be written later, and stay in the queue."""
        try:
            self._write(batch)
        except LedgerError as error:
            failed = error
        except Exception as error:  # a fault of ours; its text may quote a prompt
            failed = LedgerError(f"a row could not be written ({type(error).__name__})")
        except BaseException:
            self._keep(batch)
            raise
        else:
            self._drop(batch)
            return None
        if self._may_pass(failed):
            self._keep(batch)
            return failed
        if len(batch) == 1:
            self._drop(batch, failed)
            return None
        return next((again for pending in batch if (again := self._try([pending]))), None)

    def _keep(self, batch: Sequence[PendingRow]) -> None:
        """Leave rows in the queue, as the database takes none now."""
        for pending in batch:
            pending.tried = True
        self._let_go()

    def _let_go(self) -> None:
        """Let nobody wait for the rows that are in the queue."""
        with self._changed:
            waiting = list(self._rows)
        for pending in waiting:
            pending.settle()

    def _drop(self, batch: Sequence[PendingRow], error: BaseException | None = None) -> None:
        with self._changed:
            for pending in batch:
                with contextlib.suppress(ValueError):  # it was given up
                    self._rows.remove(pending)
        for pending in batch:
            if error is not None and pending.done.done():  # nobody waits any more who could be told
                _log.error("%s", error)
            pending.settle(error)


def wait(done: Future[None] | None) -> None:
    """Wait until a row is written; not for ever.

    Args:
        done: From `RowWriter.add`, None if there is nothing to wait for.

    Raises:
        LedgerError: If the database refuses the row.
    """
    if done is None:
        return
    try:
        done.result(PATIENCE)
    except (TimeoutError, futures.TimeoutError):
        _log.warning("the ledger does not answer: a row is written later")


async def wait_async(done: Future[None] | None) -> None:
    """`wait`, async. The row is written even if the task is cancelled."""
    if done is None:
        return
    if done.done():
        done.result()
        return
    loop = asyncio.get_running_loop()
    try:
        async with timeout(PATIENCE):
            await _waiters.of(loop).add(loop, done)
    except (TimeoutError, asyncio.TimeoutError):
        _log.warning("the ledger does not answer: a row is written later")


class _Waiters:
    """Tasks of one event loop that wait for rows. The loop is woken once for all rows that were written meanwhile."""

    def __init__(self) -> None:
        self._told: list[tuple[Future[None], asyncio.Future[None]]] = []
        self._lock = threading.Lock()

    def add(self, loop: asyncio.AbstractEventLoop, done: Future[None]) -> asyncio.Future[None]:
        """What a task of the loop awaits until a row is written."""
        waiter: asyncio.Future[None] = loop.create_future()
        done.add_done_callback(lambda written: self._tell(loop, written, waiter))
        return waiter

    def _tell(self, loop: asyncio.AbstractEventLoop, done: Future[None], waiter: asyncio.Future[None]) -> None:
        with self._lock:
            self._told.append((done, waiter))
            asleep = len(self._told) == 1
        if asleep:
            try:
                loop.call_soon_threadsafe(self._wake)
            except RuntimeError:  # the loop was closed; what waits would keep it
                with self._lock:
                    self._told.clear()

    def _wake(self) -> None:
        with self._lock:
            told, self._told = self._told, []
        for done, waiter in told:
            if waiter.done():  # the task was cancelled
                continue
            if (error := done.exception()) is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)


_waiters = PerLoop(_Waiters)
_writers: weakref.WeakSet[RowWriter] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for writer in list(_writers):
        if len(writer):
            writer.close()


def _after_fork() -> None:
    for writer in list(_writers):
        writer.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
