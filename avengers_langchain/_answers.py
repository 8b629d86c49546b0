"""What a chosen model answers, whole or streamed: its tokens go to the attempt, the decision into its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from avengers_core.adapters import StreamAccumulator
from avengers_core.dispatch.call import Attempt
from avengers_core.errors import EmptyAnswerError
from avengers_core.pricing.types import TokenUsage
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata, add_usage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from ._messages import as_chunk
from ._models import Client, token_usage

__all__ = ["ChunkAccumulator", "finish", "from_cache", "message_of", "request_usage", "with_decision"]


class ChunkAccumulator(StreamAccumulator[Client, ChatGenerationChunk]):
    """Adds up the chunks of a chat model's stream.

    Args:
        attempt: The attempt that the stream belongs to.
        output_version: The chosen model's own, by which LangChain changes content when it streams that model itself.
    """

    def __init__(self, attempt: Attempt[Client], output_version: str | None = None) -> None:
        super().__init__(attempt)
        self._as_blocks = output_version == "v1"
        self._block_type, self._block_index = "", -1
        self._texts: list[str] = []
        self._name = ""
        self._reported: UsageMetadata | None = None
        self._cached = False

    def _read(self, chunk: ChatGenerationChunk) -> None:
        message = cast("AIMessageChunk", chunk.message)
        message.chunk_position = None
        if self._as_blocks:
            self._put_blocks(message)
        self._texts.append(str(message.text))
        named = message.response_metadata.get("model_name") or (chunk.generation_info or {}).get("model_name")
        self._name = self._name or str(named or "")
        if message.usage_metadata:
            self._cached = self._cached or from_cache(message.usage_metadata)
            self._reported = add_usage(self._reported, message.usage_metadata)

    def _put_blocks(self, message: AIMessageChunk) -> None:
        """Write a chunk's content as LangChain's standard blocks, numbered so that they can be merged."""
        blocks: list[Any] = list(message.content_blocks)
        for block in blocks:
            if block["type"] != self._block_type:
                self._block_type, self._block_index = block["type"], self._block_index + 1
            block.setdefault("index", self._block_index)
        message.content = blocks
        message.response_metadata = {**message.response_metadata, "output_version": "v1"}

    def _has_content(self, chunk: ChatGenerationChunk) -> bool:
        return _has_content(chunk.message)

    def _size(self, chunk: ChatGenerationChunk) -> int:
        message = cast("AIMessageChunk", chunk.message)
        arguments = (str(call.get("args") or "") for call in message.tool_call_chunks)
        return _characters(message.content) + sum(map(len, arguments))

    def _ends(self, chunk: ChatGenerationChunk) -> bool:
        return _tells_why(chunk)

    def _usage(self) -> TokenUsage | None:
        return token_usage(self._reported)

    def _from_cache(self) -> bool:
        return self._cached

    def _model_name(self) -> str:
        return self._name

    def add_result(self, result: ChatResult) -> list[ChatGenerationChunk]:
        """Count the answer of a model that does not stream.

        Args:
            result: The answer.

        Returns:
            The answer as one chunk.

        Raises:
            EmptyAnswerError: If there is no answer.
        """
        return self.add(ChatGenerationChunk(message=as_chunk(message_of(result))))

    def message(self) -> AIMessage:
        """The whole answer without its usage, for the inner run."""
        metadata = {"model_name": self._name} if self._name else {}
        return AIMessage(content="".join(self._texts), response_metadata=metadata)

    def decision_chunk(self) -> ChatGenerationChunk:
        """A last chunk without text that carries the decision."""
        metadata: dict[str, Any] = {"avengers": self.attempt.summary()}
        if not self._name:
            metadata["model_name"] = self.attempt.member.name
        last = self.last_chunk
        content: Any = "" if last is None or isinstance(last.message.content, str) else []
        message = AIMessageChunk(content=content, response_metadata=metadata, chunk_position="last")
        return ChatGenerationChunk(message=message)


def message_of(result: ChatResult) -> AIMessage:
    """The message of a result.

    Raises:
        EmptyAnswerError: If there is none, or it has neither content nor a reason why it has none.
    """
    if not result.generations:
        raise EmptyAnswerError("the model sent no answer")
    generation = result.generations[0]
    if not _has_content(generation.message) and not _tells_why(generation):
        raise EmptyAnswerError("the model sent an empty answer")
    return cast("AIMessage", generation.message)


def _has_content(message: BaseMessage) -> bool:
    calls = ("tool_calls", "tool_call_chunks", "invalid_tool_calls", "additional_kwargs")
    return bool(message.content) or any(getattr(message, name, None) for name in calls)


def _characters(content: str | list[Any]) -> int:
    """Characters of text and reasoning."""
    if isinstance(content, str):
        return len(content)
    blocks = (
        block if isinstance(block, str) else block.get("text") or block.get("thinking") or "" for block in content
    )
    return sum(len(text) for text in blocks if isinstance(text, str))


def _tells_why(generation: ChatGeneration) -> bool:
    """Whether a provider says why its answer ends."""
    told = {**(generation.generation_info or {}), **generation.message.response_metadata}
    return any(told.get(name) for name in ("finish_reason", "stop_reason", "done_reason", "stopReason", "done"))


def finish(attempt: Attempt[Client], answer: AIMessage) -> None:
    """End an attempt with the tokens and the model's name that an answer reports."""
    usage = answer.usage_metadata
    name = str(answer.response_metadata.get("model_name") or "")
    attempt.finish(token_usage(usage), name, cached=from_cache(usage))


def from_cache(usage: Mapping[str, Any] | None) -> bool:
    """Whether an answer comes from LangChain's cache, which marks its usage."""
    return bool(usage and usage.get("total_cost") == 0)


def with_decision(result: ChatResult, attempt: Attempt[Client]) -> ChatResult:
    """The result with the decision in its metadata."""
    for generation in result.generations:
        metadata = {"model_name": attempt.member.name, **generation.message.response_metadata}
        generation.message.response_metadata = {**metadata, "avengers": attempt.summary()}
    return result


def request_usage(model: BaseChatModel, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a stream, with a request for its usage unless the model's own fields turn it off.

    OpenAI's Responses API reports it without being asked.
    """
    if not hasattr(model, "stream_usage") or "stream_usage" in arguments:
        return arguments
    uses_responses = getattr(model, "_use_responses_api", None)
    if uses_responses is not None and uses_responses({**arguments, **getattr(model, "model_kwargs", {})}):
        return arguments
    turned_off = "stream_usage" in model.model_fields_set and model.stream_usage is False
    return arguments if turned_off else {**arguments, "stream_usage": True}
