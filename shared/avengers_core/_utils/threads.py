"""Work that would hold up an event loop: in a thread, or a little at a time."""

from __future__ import annotations

import asyncio
import contextvars
import weakref
from collections.abc import Callable
from typing import TypeVar

__all__ = ["off_loop", "turn"]

T = TypeVar("T")

#: Seconds for which many tasks together may hold a loop before it looks at its timers and connections.
_LONGEST_ROUND = 0.008


async def off_loop(function: Callable[[], T], *, blocks: bool = True) -> T:
    """Call a function in a thread, with the context variables of this task.

    Args:
        function: What is called. It is called and goes on to its end even if the task is cancelled.
        blocks: Whether it may take long; if not, it is called here.
    """
    if not blocks:
        return function()
    context = contextvars.copy_context()
    return await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, lambda: context.run(function)))


async def turn() -> None:
    """Wait for the next round of the event loop if the tasks of this one have taken long.

    A loop runs all tasks that are ready before it looks at its timers and connections again. Many calls that begin in
    one moment would hold it as long as all of them together.
    """
    loop = asyncio.get_running_loop()
    while loop in _rounds and loop.time() - _rounds[loop] > _LONGEST_ROUND:
        await asyncio.sleep(0)
    if loop not in _rounds:
        _rounds[loop] = loop.time()
        loop.call_soon(_rounds.pop, loop, None)


#: When the present round of a loop has begun, as far as it is known.
_rounds: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, float] = weakref.WeakKeyDictionary()
