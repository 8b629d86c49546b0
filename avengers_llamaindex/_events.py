"""LLMs that send no events and open no spans of their own for a call.

`_spans.ModelSpan` opens the span of the chosen model and sends the events of a call (start, in progress, end) in it,
with the decision and the cost. If the router or the chosen model sent them as well, every handler that counts tokens
would count twice.

LlamaIndex's decorators `llm_chat_callback` and `llm_completion_callback` send these events through a global of their
module, and there is no switch for a single model. So a chosen model is a copy whose class is a subclass of its own
class, in which the decorated methods are copies of LlamaIndex's that have another global and no span. Nothing of
LlamaIndex is changed. Other libraries' wrappers around a method stay around its copy.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar

from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import LLM
from llama_index.core.llms import callbacks as llm_callbacks
from wrapt import FunctionWrapper

__all__ = ["suppress_events", "without_events"]

Method = TypeVar("Method", bound=Callable[..., Any])

#: The methods of an LLM that LlamaIndex opens a span for, decorated or not.
_CALLS = frozenset(f"{twin}{kind}" for twin in ("", "a", "stream_", "astream_") for kind in ("chat", "complete"))


class _NoDispatcher:
    """A dispatcher without handlers, for the copies of LlamaIndex's wrappers."""

    def event(self, event: Any, **kwargs: Any) -> None:
        """Send nothing."""


_SILENT_GLOBALS = {**vars(llm_callbacks), "dispatcher": _NoDispatcher()}


def suppress_events(model: LLM) -> LLM:
    """A copy of an LLM, with the same connections and limits, that sends no events, opens no spans and has no handlers.

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
    copies = {name: silent for name, method in vars(cls).items() if (silent := _silent_method(method, name in _CALLS))}
    return _subclass(cls, (cls,), copies) if copies else None


def _subclass(cls: type, bases: tuple[type, ...], methods: dict[str, Any]) -> Any:
    names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
    return type(cls)(cls.__name__, bases, {**names, **methods})


def _silent_method(method: Any, call: bool = False) -> Any:
    """A copy of a method that LlamaIndex's decorators made, without its span if it is a call; None for any other."""
    if type(method) is FunctionType and method.__globals__ is vars(llm_callbacks):
        copy = FunctionType(method.__code__, _SILENT_GLOBALS, method.__name__, method.__defaults__, method.__closure__)
        copy.__dict__.update(method.__dict__)
        copy.__kwdefaults__ = method.__kwdefaults__
        return copy
    if hasattr(method, "_self_wrapper"):  # made by wrapt, as LlamaIndex's spans are
        inner = _silent_method(method.__wrapped__, call)
        if call and getattr(method._self_wrapper, "__qualname__", "").startswith("Dispatcher.span."):
            return inner or method.__wrapped__
        return inner and FunctionWrapper(inner, method._self_wrapper)
    return None


def without_events(decorator: Callable[[Method], Method]) -> Callable[[Method], Method]:
    """One of LlamaIndex's decorators for an LLM's methods, that calls the handlers of a callback manager alone.

    Args:
        decorator: ``llm_chat_callback()`` or ``llm_completion_callback()``.
    """

    def decorate(method: Method) -> Method:
        silent: Method = _silent_method(decorator(method))
        return silent

    return decorate
