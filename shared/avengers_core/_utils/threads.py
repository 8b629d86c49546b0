"""Work that would hold up an event loop, in a thread."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import TypeVar

__all__ = ["off_loop"]

T = TypeVar("T")


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
