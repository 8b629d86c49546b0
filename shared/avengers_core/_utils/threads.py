"""Work that would hold up an event loop, in a thread."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import TypeVar

__all__ = ["begin_off_loop", "off_loop"]

T = TypeVar("T")


async def off_loop(function: Callable[[], T], *, blocks: bool = True) -> T:
    """Call a function in a thread, with the context variables of this task.

    Args:
        function: What is called. It is called and goes on to its end even if the task is cancelled.
        blocks: Whether it may take long; if not, it is called here.
    """
    return await asyncio.shield(_start(function)) if blocks else function()


def begin_off_loop(function: Callable[[], object], *, blocks: bool = True) -> None:
    """Call a function in a thread and do not wait for it, such as in a task that is being cancelled.

    Args:
        function: What is called. It must not raise.
        blocks: Whether it may take long; if not, it is called here.
    """
    if not blocks:
        function()
        return
    try:
        _start(function)
    except RuntimeError:  # the loop is closing
        function()


def _start(function: Callable[[], T]) -> asyncio.Future[T]:
    context = contextvars.copy_context()
    return asyncio.get_running_loop().run_in_executor(None, lambda: context.run(function))
