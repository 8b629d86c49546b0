"""Work that would hold up an event loop: in a thread, or a little at a time."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

from .loops import PerLoop
from .workers import start

__all__ = ["off_loop", "turn"]

T = TypeVar("T")

#: Seconds for which many tasks together may hold a loop before it looks at its timers and connections.
_LONGEST_ROUND = 0.008


async def off_loop(function: Callable[[], T], *, blocks: bool = True, undo: Callable[[T], None] | None = None) -> T:
    """Call a function in a thread, with the context variables of this task.

    Args:
        function: What is called. It is called and goes on to its end even if the task is cancelled.
        blocks: Whether it may take long; if not, it is called here.
        undo: What is done with its result, in a thread, if the task was cancelled and cannot take it.
    """
    if not blocks:
        return function()
    context = contextvars.copy_context()
    finished: Future[T] = Future()

    def task() -> T:
        result = context.run(function)
        finished.set_result(result)
        return result

    try:
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, task))
    except asyncio.CancelledError:
        if undo is not None:
            finished.add_done_callback(lambda done: start(partial(undo, done.result())))
        raise


async def turn() -> None:
    """Wait for a later round of the event loop if the tasks of this one have taken long.

    A loop runs all tasks that are ready before it looks at its timers and connections again. Many calls that begin in
    one moment would hold it as long as all of them together.
    """
    loop = asyncio.get_running_loop()
    rounds = _rounds.of(loop)
    waited = False
    while rounds.is_long(loop) or (rounds.waiting and not waited):  # those who wait come first
        waiter = loop.create_future()
        (rounds.waiting.appendleft if waited else rounds.waiting.append)(waiter)
        waited = True
        await waiter
    rounds.taken += 1


class _Rounds:
    """The rounds of one event loop, and the tasks that wait for a later one.

    Attributes:
        began: When the present one began, in the loop's seconds, None if no task had its turn yet.
        taken: Tasks that had their turn in it.
        waiting: What tasks wait for. In each round about as many go on as had their turn in the one before.
    """

    def __init__(self) -> None:
        self.began: float | None = None
        self.taken = 0
        self.waiting: deque[asyncio.Future[None]] = deque()
        self._ends = False

    def is_long(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether the tasks of this round have taken long."""
        if not self._ends:
            self._ends = True
            loop.call_soon(self._end, loop)
        if self.began is None:
            self.began = loop.time()
        return loop.time() - self.began > _LONGEST_ROUND

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin the next round."""
        released, self.taken, self.began = self.taken + 1, 0, None
        while self.waiting and released:
            waiter = self.waiting.popleft()
            if not waiter.done():  # its task was cancelled
                waiter.set_result(None)
                released -= 1
        self._ends = bool(self.waiting)
        if self._ends:
            loop.call_soon(self._end, loop)


_rounds = PerLoop(_Rounds)
