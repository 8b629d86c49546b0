"""What a chosen model answers, whole or streamed: its tokens to the attempt, the decision into its metadata."""

from __future__ import annotations

import json
from typing import Any, cast

from avengers_core.dispatch.call import Attempt
from avengers_core.errors import EmptyAnswerError
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.ai import UsageMetadata, add_usage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from ._models import token_usage


class Heard:
    """What was heard of a stream."""

    def __init__(self) -> None:
        self.chunks: list[AIMessageChunk] = []
        self.usage: UsageMetadata | None = None

    def add(self, attempt: Attempt[Any], chunk: ChatGenerationChunk) -> None:
        """Take note of a chunk that is passed on."""
        attempt.begun = True
        message = cast("AIMessageChunk", chunk.message)
        message.chunk_position = None
        self.chunks.append(message)
        if message.usage_metadata:
            self.usage = add_usage(self.usage, message.usage_metadata)

    def whole(self, attempt: Attempt[Any], result: ChatResult) -> ChatGenerationChunk:
        """The answer of a model that does not stream, as one chunk."""
        message = cast("AIMessage", result.generations[0].message)
        fields = message.model_dump(exclude={"type", "tool_calls", "invalid_tool_calls"})
        calls = [
            tool_call_chunk(name=call["name"], args=json.dumps(call["args"]), id=call["id"], index=position)
            for position, call in enumerate(message.tool_calls)
        ]
        chunk = ChatGenerationChunk(message=AIMessageChunk(**fields, tool_call_chunks=calls))
        self.add(attempt, chunk)
        return chunk

    def finish(self, attempt: Attempt[Any]) -> AIMessage:
        """Close the attempt; the answer is what the inner run shows.

        Raises:
            EmptyAnswerError: there was not one chunk.
        """
        if not self.chunks:
            raise EmptyAnswerError(f"{attempt.member.id} sent an empty stream")
        names = [c.response_metadata["model_name"] for c in self.chunks if c.response_metadata.get("model_name")]
        self.named = bool(names)
        attempt.finish(token_usage(self.usage), names[0] if names else "")
        text = "".join(str(chunk.text) for chunk in self.chunks)
        return AIMessage(content=text, response_metadata={"model_name": names[0]} if names else {})

    def last(self, attempt: Attempt[Any]) -> ChatGenerationChunk:
        """A chunk without text that carries the decision."""
        metadata: dict[str, Any] = {"avengers": attempt.summary()}
        if not self.named:
            metadata["model_name"] = attempt.member.name
        content: Any = "" if not self.chunks or isinstance(self.chunks[-1].content, str) else []
        message = AIMessageChunk(content=content, response_metadata=metadata, chunk_position="last")
        return ChatGenerationChunk(message=message)


def answer_of(result: ChatResult) -> AIMessage:
    return cast("AIMessage", result.generations[0].message)


def finish(attempt: Attempt[Any], answer: AIMessage) -> None:
    attempt.finish(token_usage(answer.usage_metadata), str(answer.response_metadata.get("model_name") or ""))


def described(result: ChatResult, attempt: Attempt[Any]) -> ChatResult:
    """The result with the decision in its metadata."""
    for generation in result.generations:
        metadata = {"model_name": attempt.member.name, **generation.message.response_metadata}
        generation.message.response_metadata = {**metadata, "avengers": attempt.summary()}
    return ChatResult(generations=[ChatGeneration(message=g.message) for g in result.generations])


def streaming(model: BaseChatModel, arguments: dict[str, Any]) -> dict[str, Any]:
    """Ask for usage in the stream, unless the model was told not to."""
    if not hasattr(model, "stream_usage") or "stream_usage" in arguments:
        return arguments
    refused = "stream_usage" in model.model_fields_set and model.stream_usage is False
    return arguments if refused else {**arguments, "stream_usage": True}
