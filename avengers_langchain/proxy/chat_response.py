"""OpenAI's chat completions on the wire: requests to LangChain messages, answers back."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, convert_to_messages
from langchain_core.messages.ai import UsageMetadata
from pydantic import BaseModel, ConfigDict, Field

#: Fields that only OpenAI knows and that an answer is as good without.
IGNORED = (
    "frequency_penalty", "logit_bias", "metadata", "modalities", "parallel_tool_calls", "prediction",
    "presence_penalty", "prompt_cache_key", "safety_identifier", "seed", "service_tier", "store", "user", "verbosity",
)  # fmt: skip


class StreamOptions(BaseModel):
    """What a stream holds besides its text."""

    include_usage: bool | None = None


class Message(BaseModel):
    """A message of the conversation, as OpenAI has it."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[dict[str, Any]] | None = None


class ChatRequest(BaseModel):
    """``POST /v1/chat/completions``."""

    model_config = ConfigDict(extra="allow")

    model: str
    messages: list[Message] = Field(min_length=1)
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    stop: str | list[str] | None = None
    n: int | None = 1
    logprobs: bool | None = None
    reasoning_effort: str | None = None

    def unsupported(self) -> str | None:
        """The first field that would change the answer and is not supported."""
        if self.n not in (None, 1):
            return "n"
        if self.logprobs:
            return "logprobs"
        extra = (self.model_extra or {}).items()
        return next((name for name, value in extra if value is not None and name not in IGNORED), None)

    @property
    def ignored(self) -> list[str]:
        """Fields given that have no effect."""
        return sorted(name for name, value in (self.model_extra or {}).items() if value is not None)

    def langchain_messages(self) -> list[BaseMessage]:
        """The conversation.

        Raises:
            ValueError: a message is malformed.
        """
        plain = [message.model_dump(exclude_none=True) for message in self.messages]
        for one in plain:
            one.setdefault("content", "")
        return convert_to_messages(plain)

    def arguments(self) -> dict[str, Any]:
        """Arguments of the call."""
        given = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_completion_tokens or self.max_tokens,
            "stop": [self.stop] if isinstance(self.stop, str) else self.stop,
            "tools": self.tools or None,
            "tool_choice": self._tool_choice() if self.tools else None,
            "reasoning_effort": self.reasoning_effort,
        }
        kind = (self.response_format or {}).get("type", "text")
        if kind == "json_object":
            given["response_format"] = self.response_format
        return {name: value for name, value in given.items() if value is not None}

    def _tool_choice(self) -> Any:
        if isinstance(self.tool_choice, dict):
            return self.tool_choice.get("function", {}).get("name")
        return "any" if self.tool_choice == "required" else self.tool_choice

    @property
    def schema_wanted(self) -> dict[str, Any] | None:
        """The JSON schema of a structured answer, with a name."""
        if (self.response_format or {}).get("type") != "json_schema":
            return None
        wanted = (self.response_format or {}).get("json_schema") or {}
        return {
            "title": wanted.get("name", "answer"),
            "description": wanted.get("description", ""),
            **wanted.get("schema", {}),
        }


class Writer:
    """Makes the answer's objects, whole or in chunks, under one id."""

    def __init__(self, model: str) -> None:
        self.id = f"chatcmpl-{uuid.uuid4().hex}"
        self.created = int(time.time())
        self.model = model

    def _envelope(self, kind: str, **rest: Any) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model, **rest}

    def whole(self, message: AIMessage, content: str | None = None) -> dict[str, Any]:
        """A ``chat.completion``; ``content`` stands for a structured answer, whose tool call is not shown."""
        calls = [] if content is not None else [_call(call) for call in message.tool_calls]
        text = str(message.text) if content is None else content
        said: dict[str, Any] = {"role": "assistant", "content": text or None, "refusal": None}
        if calls:
            said["tool_calls"] = calls
        choice = {"index": 0, "message": said, "finish_reason": _reason(message, bool(calls)), "logprobs": None}
        told = message.response_metadata.get("avengers", {})
        self.model = told.get("model", self.model)
        return self._envelope(
            "chat.completion", choices=[choice], usage=usage_of(message.usage_metadata), avengers=told
        )

    def start(self) -> dict[str, Any]:
        """The first chunk."""
        return self._chunk({"role": "assistant", "content": ""})

    def chunks(self, chunk: AIMessageChunk) -> Iterator[dict[str, Any]]:
        """Chunks of what a model's chunk adds."""
        if text := str(chunk.text):
            yield self._chunk({"content": text})
        if chunk.tool_call_chunks:
            yield self._chunk({"tool_calls": [_call_part(part) for part in chunk.tool_call_chunks]})

    def parts(self, message: AIMessage, content: str | None) -> Iterator[dict[str, Any]]:
        """Chunks of a whole answer; ``content`` stands for a structured one."""
        text = str(message.text) if content is None else content
        if text:
            yield self._chunk({"content": text})
        if content is None and message.tool_calls:
            calls = [{"index": place, **_call(call)} for place, call in enumerate(message.tool_calls)]
            yield self._chunk({"tool_calls": calls})

    def end(self, message: AIMessage, include_usage: bool) -> Iterator[dict[str, Any]]:
        """The last chunks: why it ended, what the router did, and the tokens where they are asked for."""
        told = message.response_metadata.get("avengers", {})
        self.model = told.get("model", self.model)
        yield {**self._chunk({}, _reason(message, bool(message.tool_calls))), "avengers": told}
        if include_usage:
            yield self._envelope("chat.completion.chunk", choices=[], usage=usage_of(message.usage_metadata))

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        return self._envelope("chat.completion.chunk", choices=[choice])


def usage_of(usage: UsageMetadata | None) -> dict[str, Any] | None:
    """Tokens as OpenAI names them; None where the provider reported none."""
    if usage is None:
        return None
    read: Mapping[str, Any] = usage.get("input_token_details") or {}
    wrote: Mapping[str, Any] = usage.get("output_token_details") or {}
    return {
        "prompt_tokens": usage["input_tokens"],
        "completion_tokens": usage["output_tokens"],
        "total_tokens": usage["input_tokens"] + usage["output_tokens"],
        "prompt_tokens_details": {"cached_tokens": read.get("cache_read") or 0, "audio_tokens": read.get("audio") or 0},
        "completion_tokens_details": {
            "reasoning_tokens": wrote.get("reasoning") or 0,
            "audio_tokens": wrote.get("audio") or 0,
        },
    }


def error_body(message: str, kind: str, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    """An error as OpenAI's clients read it."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def event(value: Any) -> str:
    """A server-sent event."""
    return f"data: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}\n\n"


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    arguments = json.dumps(call["args"], ensure_ascii=False)
    return {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": arguments}}


def _call_part(part: Mapping[str, Any]) -> dict[str, Any]:
    function = {name: part[key] for name, key in (("name", "name"), ("arguments", "args")) if part[key] is not None}
    made: dict[str, Any] = {"index": part["index"] or 0, "function": function}
    return {**made, "id": part["id"], "type": "function"} if part["id"] else made


def _reason(message: AIMessage, calls: bool) -> str:
    if calls:
        return "tool_calls"
    told = message.response_metadata
    reason = str(told.get("finish_reason") or told.get("stop_reason") or "stop").lower()
    if "length" in reason or "max_tokens" in reason:
        return "length"
    return "content_filter" if reason in ("content_filter", "refusal", "safety") else "stop"
