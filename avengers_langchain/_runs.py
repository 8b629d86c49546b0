"""The inner model's run, nested under the outer one, for traces and handlers.

A chat model is one run to handlers, so that tokens, messages and usage are counted once. Tracers, which draw a tree,
get one more run below it for each attempt: which model was asked, with what, and how it went. Its answer carries no
usage, as tracers add up what they find in the tree.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from uuid import UUID

from langchain_core.callbacks import (
    AsyncCallbackManager,
    AsyncRunManager,
    BaseCallbackHandler,
    BaseRunManager,
    CallbackManager,
)
from langchain_core.callbacks.base import BaseCallbackManager
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.tracers import BaseTracer
from langchain_core.tracers._streaming import _StreamingCallbackHandler


def child_manager(
    outer: BaseCallbackManager | BaseRunManager, run_id: UUID
) -> CallbackManager | AsyncCallbackManager | None:
    """A manager for runs below ``run_id``, or None where no tracer listens."""
    handlers: list[BaseCallbackHandler] = [
        h
        for h in outer.inheritable_handlers
        if isinstance(h, BaseTracer) and not isinstance(h, _StreamingCallbackHandler)
    ]
    if not handlers:
        return None
    is_async = isinstance(outer, (AsyncCallbackManager, AsyncRunManager))
    kind = AsyncCallbackManager if is_async else CallbackManager
    manager = kind(handlers=[], parent_run_id=run_id)
    manager.set_handlers(handlers)
    manager.add_tags(outer.inheritable_tags)
    manager.add_metadata(outer.inheritable_metadata)
    return manager


class InnerRun:
    """Holds the inner model's answer until its run is closed."""

    answer: AIMessage | None = None

    def result(self) -> LLMResult:
        """The answer without its usage, for the inner run's end."""
        if self.answer is None:
            return LLMResult(generations=[[]])
        metadata = {k: v for k, v in self.answer.response_metadata.items() if k not in ("token_usage", "usage")}
        message = self.answer.model_copy(update={"usage_metadata": None, "response_metadata": metadata})
        return LLMResult(generations=[[ChatGeneration(message=message)]])


def _start(
    manager: Any, model: BaseChatModel, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]
) -> Any:
    plain = {key: value for key, value in kwargs.items() if key in ("model", "temperature", "max_tokens")}
    manager = manager.copy()
    manager.add_metadata({**model._get_ls_params_with_defaults(stop=stop, **plain)}, inherit=False)
    for handler in model.callbacks if isinstance(model.callbacks, list) else ():
        manager.add_handler(handler, inherit=False)
    params = model._get_invocation_params(stop=stop, **kwargs)
    return manager.on_chat_model_start(
        model._serialized, [messages], invocation_params=params, options={"stop": stop}, name=model.get_name()
    )


@contextmanager
def inner_run(
    manager: Any, model: BaseChatModel, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]
) -> Iterator[InnerRun]:
    """Show a run of ``model`` to the handlers."""
    run = InnerRun()
    if manager is None:
        yield run
        return
    (shown,) = _start(manager, model, messages, stop, kwargs)
    try:
        yield run
    except BaseException as error:
        shown.on_llm_error(error, response=run.result())
        raise
    shown.on_llm_end(run.result())


@asynccontextmanager
async def ainner_run(
    manager: Any, model: BaseChatModel, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]
) -> AsyncIterator[InnerRun]:
    """`inner_run` for async handlers."""
    run = InnerRun()
    if manager is None:
        yield run
        return
    (shown,) = await _start(manager, model, messages, stop, kwargs)
    try:
        yield run
    except BaseException as error:
        await shown.on_llm_error(error, response=run.result())
        raise
    await shown.on_llm_end(run.result())
