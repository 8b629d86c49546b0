"""Chosen models that send no LLM events of their own, and whose spans lie below the router's.

An `AvengersLLM` sends the events of a call (start, in progress, end) itself, with the decision and the cost. If the
chosen model sent them as well, every handler that counts tokens would count twice.

LlamaIndex's decorators `llm_chat_callback` and `llm_completion_callback` send these events through a global of their
module, and there is no switch for a single model. So a chosen model is a copy whose class is a subclass of its own
class, in which the decorated methods are copies of LlamaIndex's that have another global. Nothing of LlamaIndex is
changed. Other libraries' wrappers around a method stay around its copy.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any, TypeVar

from llama_index.core.callbacks import CallbackManager
from llama_index.core.instrumentation.span import active_span_id
from llama_index.core.llms import LLM
from llama_index.core.llms import callbacks as llm_callbacks
from wrapt import FunctionWrapper

__all__ = ["aiterate_in_span", "in_span", "iterate_in_span", "suppress_events"]

T = TypeVar("T")


class _NoDispatcher:
    """A dispatcher without handlers, for the copies of LlamaIndex's wrappers."""

    def event(self, event: Any, **kwargs: Any) -> None:
        """Send nothing."""


_SILENT_GLOBALS = {**vars(llm_callbacks), "dispatcher": _NoDispatcher()}


def suppress_events(model: LLM) -> LLM:
    """A copy of an LLM, with the same connections and limits, that sends no events and has no handlers of its own.

    LLMs in its fields are copied in the same way. An LLM that it finds elsewhere sends its events.

    Args:
        model: The LLM. It is not changed.
    """
    manager = CallbackManager([])
    manager.set_handlers([])  # a new manager takes over the global handler
    fields = {name: suppress_events(value) for name, value in model if isinstance(value, LLM)}
    silent = model.model_copy(update={**fields, "callback_manager": manager})
    object.__setattr__(silent, "__class__", _silent_class(type(model)))
    return silent


@functools.lru_cache(maxsize=256)
def _silent_class(cls: type[LLM]) -> type[LLM]:
    """A subclass whose decorated methods send no events.

    A class whose methods call ``super()`` would still reach the decorated methods of its bases. A subclass of each of
    those, among the bases of the result, comes before it in the method resolution order.
    """
    bases = [cls, *(silent for base in cls.__mro__ if (silent := _silent_subclass(base)))]
    if len(bases) > 1 and issubclass(bases[1], cls):
        bases = bases[1:]
    return bases[0] if len(bases) == 1 else _subclass(bases[0], tuple(bases), {})


def _silent_subclass(cls: type) -> type | None:
    """A subclass with copies of the decorated methods that a class defines itself, None if it defines none."""
    copies = {name: silent for name, method in vars(cls).items() if (silent := _silent_method(method))}
    return _subclass(cls, (cls,), copies) if copies else None


def _subclass(cls: type, bases: tuple[type, ...], methods: dict[str, Any]) -> Any:
    names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
    return type(cls)(cls.__name__, bases, {**names, **methods})


def _silent_method(method: Any) -> Any:
    """A copy of a method that LlamaIndex's decorators made, None for any other."""
    if type(method) is FunctionType and method.__globals__ is vars(llm_callbacks):
        copy = FunctionType(method.__code__, _SILENT_GLOBALS, method.__name__, method.__defaults__, method.__closure__)
        copy.__dict__.update(method.__dict__)
        copy.__kwdefaults__ = method.__kwdefaults__
        return copy
    if hasattr(method, "_self_wrapper"):  # made by wrapt, as LlamaIndex's spans are
        inner = _silent_method(method.__wrapped__)
        return inner and FunctionWrapper(inner, method._self_wrapper)
    return None


@contextmanager
def in_span(span_id: str | None) -> Iterator[None]:
    """Let spans that are opened inside lie below a span.

    Args:
        span_id: The id of the outer call's span.
    """
    token = active_span_id.set(span_id)
    try:
        yield
    finally:
        active_span_id.reset(token)


def iterate_in_span(stream: Iterator[T], span_id: str | None) -> Generator[T, None, None]:
    """Iterate a chosen model's stream with each step `in_span`, and close it in the end.

    Args:
        stream: The stream.
        span_id: The id of the outer call's span.
    """
    try:
        while True:
            with in_span(span_id):
                try:
                    item = next(stream)
                except StopIteration:
                    return
            yield item
    finally:
        with in_span(span_id):
            getattr(stream, "close", lambda: None)()


async def aiterate_in_span(stream: AsyncIterator[T], span_id: str | None) -> AsyncGenerator[T, None]:
    """`iterate_in_span`, async."""
    try:
        while True:
            with in_span(span_id):
                try:
                    item = await stream.__anext__()
                except StopAsyncIteration:
                    return
            yield item
    finally:
        with in_span(span_id):
            if hasattr(stream, "aclose"):
                await stream.aclose()
