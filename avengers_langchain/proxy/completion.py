"""One request's answer, whole or as events."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk

from ..chat_models import ChatAvengers
from .chat_request import ChatRequest
from .chat_response import ResponseWriter, event
from .errors import invalid
from .metrics import Metrics

__all__ = ["Completion"]


class Completion:
    """One request's answer.

    Args:
        llm: Answers.
        request: What the client sent.
        overrides: Fields of ``llm`` that are other for this request.
        config: LangChain's config of the call.
        metrics: Where the answer is counted.
        started: When the request came in, on the clock of `time.monotonic`.

    Raises:
        Refusal: If the messages are not a conversation.
    """

    def __init__(
        self,
        llm: ChatAvengers,
        request: ChatRequest,
        overrides: Mapping[str, Any],
        config: Any,
        metrics: Metrics,
        started: float,
    ) -> None:
        try:
            self._messages = request.langchain_messages()
        except (ValueError, TypeError, KeyError, NotImplementedError) as error:
            raise invalid(f"messages: {error}"[:500], param="messages") from None
        self._llm, self._config, self._metrics, self._started = llm, config, metrics, started
        self._arguments = {**request.arguments(), **overrides}
        self._schema, self._strict = request.answer_schema, request.strict
        self._include_usage = request.stream_options is not None and bool(request.stream_options.include_usage)
        self._writer = ResponseWriter(request.model)
        self._streamed: AIMessage = AIMessageChunk(content="")

    async def whole(self) -> dict[str, Any]:
        """The body of an answer."""
        with self._metrics.in_flight.track_inprogress():
            message, content = await self._ask()
        self._count(message)
        return self._writer.whole(message, content)

    async def events(self) -> AsyncGenerator[str, None]:
        """The events of a streamed answer."""
        with self._metrics.in_flight.track_inprogress():
            chunks = self._model_chunks() if self._schema is None else self._structured_chunks()
            async with aclosing(chunks):
                async for chunk in chunks:
                    yield event(chunk)
            self._count(self._streamed)
            for chunk in self._writer.end(self._streamed, self._include_usage):
                yield event(chunk)
            yield event("[DONE]")

    async def _model_chunks(self) -> AsyncGenerator[dict[str, Any], None]:
        """Chunks of what the model streams, which is put together in ``_streamed``."""
        answer: AIMessageChunk | None = None
        async for chunk in self._llm.astream(self._messages, self._config, **self._arguments):
            if answer is None:
                yield self._writer.start()
            self._streamed = answer = chunk if answer is None else answer + chunk
            for part in self._writer.chunks(chunk):
                yield part

    async def _structured_chunks(self) -> AsyncGenerator[dict[str, Any], None]:
        """Chunks of a structured answer, which is asked for whole."""
        message, content = await self._ask()
        # The call of the schema's own tool is the answer, and is not shown.
        self._streamed = (
            message if content is None else message.model_copy(update={"tool_calls": [], "invalid_tool_calls": []})
        )
        yield self._writer.start()
        for part in self._writer.parts(message, content):
            yield part

    async def _ask(self) -> tuple[AIMessage, str | None]:
        """The model's message, and a structured answer if one was asked for and given."""
        schema = self._schema
        if schema is None:
            return await self._llm.ainvoke(self._messages, self._config, **self._arguments), None
        # Beside tools, the schema is a tool, too: the model calls one of the client's or answers by this one.
        method: dict[str, Any] = {"method": "function_calling"} if self._arguments.get("tools") else {}
        if self._strict is not None:
            method["strict"] = self._strict
        structured = self._llm.bind(**self._arguments).with_structured_output(schema, include_raw=True, **method)
        result = await structured.ainvoke(self._messages, self._config)
        message: AIMessage = result["raw"]
        if result["parsed"] is not None:
            return message, json.dumps(result["parsed"], ensure_ascii=False)
        # It called a tool of the client's, or answered with what does not fit.
        return message, None if message.tool_calls else str(message.text)

    def _count(self, message: AIMessage) -> None:
        self._metrics.answered(message, time.monotonic() - self._started)
