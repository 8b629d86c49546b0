"""The inner model's run, nested under the outer one, for traces and handlers.

A chat model is one run to handlers, so that tokens, messages and usage are counted once. Tracers, which draw a tree,
get one more run below it for each attempt: which model was asked, with what, and how it went. Its answer carries no
usage, as tracers add up what they find in the tree.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
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

__all__ = ["InnerRequest", "InnerRun", "ainner_run", "child_manager", "inner_run"]


@dataclass(frozen=True)
class InnerRequest:
    """What a chosen model is asked.

    Attributes:
        model: The chat model.
        messages: The messages that it gets.
        stop: Stop words.
        arguments: All other arguments.
    """

    model: BaseChatModel
    messages: list[BaseMessage]
    stop: list[str] | None = None
    arguments: dict[str, Any] = field(default_factory=dict)


def child_manager(
    outer: BaseCallbackManager | BaseRunManager, run_id: UUID
) -> CallbackManager | AsyncCallbackManager | None:
    """A manager for the runs of chosen models, or None if no tracer listens.

    Args:
        outer: The callbacks of the outer run.
        run_id: The id of the outer run.
    """
    handlers: list[BaseCallbackHandler] = [
        handler
        for handler in outer.inheritable_handlers
        if isinstance(handler, BaseTracer) and not isinstance(handler, _StreamingCallbackHandler)
    ]
    if not handlers:
        return None
    is_async = isinstance(outer, (AsyncCallbackManager, AsyncRunManager))
    kind = AsyncCallbackManager if is_async else CallbackManager
    manager = kind(handlers=[], parent_run_id=run_id)
    manager.set_handlers(handlers)
    manager.add_tags(outer.inheritable_tags)
    metadata = outer.inheritable_metadata
    if isinstance(outer, BaseRunManager):  # LangChain has put there what names the outer model
        metadata = {name: value for name, value in metadata.items() if not name.startswith("ls_")}
    manager.add_metadata(metadata)
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


def _start(manager: Any, request: InnerRequest) -> Any:
    model, stop, arguments = request.model, request.stop, request.arguments
    plain = {key: value for key, value in arguments.items() if key in ("model", "temperature", "max_tokens")}
    manager = manager.copy()
    manager.add_metadata({**model._get_ls_params_with_defaults(stop=stop, **plain)}, inherit=False)
    for handler in model.callbacks if isinstance(model.callbacks, list) else ():
        manager.add_handler(handler, inherit=False)
    params = model._get_invocation_params(stop=stop, **arguments)
    return manager.on_chat_model_start(
        model._serialized, [request.messages], invocation_params=params, options={"stop": stop}, name=model.get_name()
    )


@contextmanager
def inner_run(manager: Any, request: InnerRequest) -> Iterator[InnerRun]:
    """Show the run of a chosen model to tracers.

    Args:
        manager: The callbacks for it, None if no tracer listens.
        request: What the model is asked.
    """
    run = InnerRun()
    if manager is None:
        yield run
        return
    (shown,) = _start(manager, request)
    try:
        yield run
    except BaseException as error:
        shown.on_llm_error(error, response=run.result())
        raise
    shown.on_llm_end(run.result())


@asynccontextmanager
async def ainner_run(manager: Any, request: InnerRequest) -> AsyncIterator[InnerRun]:
    """`inner_run` for async handlers."""
    run = InnerRun()
    if manager is None:
        yield run
        return
    (shown,) = await _start(manager, request)
    try:
        yield run
    except BaseException as error:
        await shown.on_llm_error(error, response=run.result())
        raise
    await shown.on_llm_end(run.result())
