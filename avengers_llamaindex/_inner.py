"""Calls of a chosen model that stay below the outer one: its spans nest, its LLM events are not sent a second time.

An `AvengersLLM` sends the events of a call (start, in progress, end) itself, with the decision and the cost. The model
that it asks would send them again, and every handler that counts tokens would count twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from llama_index.core.callbacks import CallbackManager
from llama_index.core.instrumentation.span import active_span_id
from llama_index.core.llms import LLM
from llama_index.core.llms import callbacks as llm_events

T = TypeVar("T")

_inside: ContextVar[bool] = ContextVar("avengers_inside", default=False)
_send = llm_events.dispatcher.event


def _send_outer(event: Any, **kwargs: Any) -> None:
    if not _inside.get():
        _send(event, **kwargs)


# LlamaIndex has no switch for a single call; this instance sends LLM events only.
llm_events.dispatcher.__dict__["event"] = _send_outer


def suppress_handlers(model: LLM) -> LLM:
    """The same model, with its connections and limits, without handlers of its own."""
    silent = CallbackManager([])
    silent.set_handlers([])  # a new manager takes over the global handler
    return model.model_copy(update={"callback_manager": silent})


@contextmanager
def inside(span: str | None) -> Iterator[None]:
    """Within it LLM events are held back and spans open below ``span``, the outer call's."""
    held, parent = _inside.set(True), active_span_id.set(span)
    try:
        yield
    finally:
        active_span_id.reset(parent)
        _inside.reset(held)


def steps(stream: Iterator[T], span: str | None) -> Iterator[T]:
    """A chosen model's stream, each of its steps `inside`."""
    try:
        while True:
            with inside(span):
                try:
                    item = next(stream)
                except StopIteration:
                    return
            yield item
    finally:
        with inside(span):
            getattr(stream, "close", lambda: None)()


async def asteps(stream: AsyncIterator[T], span: str | None) -> AsyncIterator[T]:
    """`steps`, async."""
    try:
        while True:
            with inside(span):
                try:
                    item = await stream.__anext__()
                except StopAsyncIteration:
                    return
            yield item
    finally:
        with inside(span):
            if hasattr(stream, "aclose"):
                await stream.aclose()
