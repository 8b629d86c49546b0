"""The span of one request to the chosen model, and the events of a call, which are sent in it."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TypeVar

from avengers_core.dispatch.call import Attempt
from avengers_core.dispatch.telemetry import ForeignSpan
from llama_index.core.base.llms.types import ChatResponse
from llama_index.core.instrumentation.events.exception import ExceptionEvent
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatInProgressEvent,
    LLMChatStartEvent,
    LLMCompletionEndEvent,
    LLMCompletionInProgressEvent,
    LLMCompletionStartEvent,
)
from llama_index.core.instrumentation.span import active_span_id
from llama_index.core.llms import LLM
from llama_index.core.llms import callbacks as llm_callbacks
from llama_index_instrumentation.base import BaseEvent
from llama_index_instrumentation.dispatcher import active_instrument_tags
from llama_index_instrumentation.events.span import SpanDropEvent
from typing_extensions import Self

from ._tracing import foreign_spans, tell

__all__ = ["ModelSpan"]

T = TypeVar("T")


class ModelSpan:
    """The span of one request to a chosen model, below the span of the router's call.

    It is left open when the block ends without an error, since the decision is known only after the attempt: `end`
    sends the last event and closes it. The span of a stream closes when its first content comes, as those of
    LlamaIndex's own streams do, and the events that follow name it.

    Args:
        attempt: The attempt that the request is.
        client: The chosen model, as it is asked.
        method: The name of the method that is called.
        arguments: The arguments of the method.
        parent_id: The id of the router's span.
    """

    def __init__(
        self, attempt: Attempt[LLM], client: LLM, method: str, arguments: Mapping[str, Any], parent_id: str | None
    ) -> None:
        self._attempt, self._client = attempt, client
        self._bound = inspect.signature(getattr(client, method)).bind(**arguments)
        self._chat = "messages" in arguments
        given = "messages" if self._chat else "prompt"
        self._given = {given: arguments[given]}
        self._options = {name: value for name, value in arguments.items() if name not in (given, "formatted")}
        self._parent_id = parent_id
        self._streams = self._failed = False
        self._foreign: list[ForeignSpan] = []
        self.id = f"{type(client).__name__}.{method}-{uuid.uuid4()}"

    def __enter__(self) -> Self:
        """Open the span and say that the call starts."""
        llm_callbacks.dispatcher.span_enter(
            id_=self.id,
            bound_args=self._bound,
            instance=self._client,
            parent_id=self._parent_id,
            tags=active_instrument_tags.get(),
        )
        self._foreign = foreign_spans(self.id)
        tell(self._foreign, self._attempt)
        start = LLMChatStartEvent if self._chat else LLMCompletionStartEvent
        model = {"class_name": self._client.class_name(), **self._client.metadata.model_dump()}
        self._send(start(model_dict=model, additional_kwargs=self._options, span_id=self.id, **self._given))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the span if the request failed."""
        if error is not None:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Say that the call failed, and close the span; the first error counts.

        Args:
            error: What it failed with.
        """
        if self._failed:
            return
        self._failed = True
        if self._streams:
            self._send(ExceptionEvent(exception=error, span_id=self.id))
            return
        self._send(SpanDropEvent(span_id=self.id, err_str=str(error)))
        llm_callbacks.dispatcher.span_drop(id_=self.id, bound_args=self._bound, instance=self._client, err=error)

    def progress(self, part: Any) -> None:
        """Say that a part of a stream came.

        Args:
            part: The part.
        """
        if not self._streams:
            self._streams = True
            self._close(part for _ in ())  # handlers know by a generator that more events follow
        kind = LLMChatInProgressEvent if self._chat else LLMCompletionInProgressEvent
        self._send(kind(response=part, span_id=self.id, **self._given))

    def passing(self, parts: Iterable[T]) -> Iterator[T]:
        """The parts, each after `progress` has told of it.

        Args:
            parts: Parts of a stream.
        """
        for part in parts:
            self.progress(part)
            yield part

    def end(self, response: Any) -> None:
        """Say that the call ended, and close the span.

        Args:
            response: The response with the decision.
        """
        tell(self._foreign, self._attempt)
        kind = LLMChatEndEvent if isinstance(response, ChatResponse) else LLMCompletionEndEvent
        self._send(kind(response=response, span_id=self.id, **self._given))
        if not self._streams:
            self._close(response)

    def _close(self, result: Any) -> None:
        llm_callbacks.dispatcher.span_exit(id_=self.id, bound_args=self._bound, instance=self._client, result=result)

    def _send(self, event: BaseEvent) -> None:
        llm_callbacks.dispatcher.event(event)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Let spans that are opened inside lie below this one."""
        token = active_span_id.set(self.id)
        try:
            yield
        finally:
            active_span_id.reset(token)

    def iterate(self, stream: Iterator[T]) -> Generator[T, None, None]:
        """Iterate over a stream with each step in this span, and close it in the end.

        Args:
            stream: The stream.
        """
        try:
            while True:
                with self.active():
                    try:
                        item = next(stream)
                    except StopIteration:
                        return
                yield item
        finally:
            with self.active():
                getattr(stream, "close", lambda: None)()

    async def aiterate(self, stream: AsyncIterator[T]) -> AsyncGenerator[T, None]:
        """`iterate`, async.

        Args:
            stream: The stream.
        """
        try:
            while True:
                with self.active():
                    try:
                        item = await stream.__anext__()
                    except StopAsyncIteration:
                        return
                yield item
        finally:
            with self.active():
                if hasattr(stream, "aclose"):
                    await stream.aclose()
