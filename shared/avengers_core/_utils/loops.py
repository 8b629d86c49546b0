"""Event loops: one that synchronous code runs coroutines on, and values that each loop has."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

__all__ = ["PerLoop", "run_async"]

T = TypeVar("T")

_lock = threading.Lock()
_loops: dict[int, asyncio.AbstractEventLoop] = {}


class PerLoop(Generic[T]):
    """A value for each event loop, which is made when it is first asked for and goes when the loop does.

    Args:
        make: Makes a value, which must not refer to the loop for good.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._values: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, T] = weakref.WeakKeyDictionary()

    def of(self, loop: asyncio.AbstractEventLoop) -> T:
        """The value of a loop, for what runs on it."""
        value = self._values.get(loop)
        if value is None:
            value = self._values[loop] = self._make()
        return value


def run_async(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on this process's background event loop, and wait for it.

    Clients of model providers are shared between models and keep connections open. A connection belongs to the event
    loop that opened it; on another loop, a request is sent (and paid for) before the connection fails. So the loop
    must outlive a run, which `asyncio.run` does not allow. It also works while another event loop is running, as in a
    notebook.

    Args:
        coroutine: What to run. It sees the caller's context variables, and is cancelled if the caller is interrupted.

    Returns:
        What the coroutine returns.
    """
    loop = _background_loop()
    started: Future[asyncio.Task[T]] = Future()
    ended: Future[None] = Future()

    def start() -> None:
        task = loop.create_task(coroutine)
        task.add_done_callback(lambda _: ended.set_result(None))
        started.set_result(task)

    loop.call_soon_threadsafe(start, context=contextvars.copy_context())
    task = started.result()
    try:
        ended.result()
    except BaseException:
        loop.call_soon_threadsafe(task.cancel)
        ended.result()
        raise
    return task.result()


def _background_loop() -> asyncio.AbstractEventLoop:
    with _lock:
        loop = _loops.get(os.getpid())  # a thread does not survive a fork
        if loop is None:
            loop = _loops[os.getpid()] = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="avengers-loop", daemon=True).start()
        return loop
