"""OpenAI's chat completions as the proxy answers them, whole or in chunks, and its errors."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.ai import UsageMetadata

__all__ = ["ResponseWriter", "all_calls", "error_body", "event", "usage_of"]


class ResponseWriter:
    """Makes an answer's objects, whole or in chunks, under one id.

    Args:
        model: The name that the client asked for; it is used until the model that answers is known.
    """

    def __init__(self, model: str) -> None:
        self.id = f"chatcmpl-{uuid.uuid4().hex}"
        self.created = int(time.time())
        self.model = model
        self._places: dict[Any, int] = {}
        self._call: Any = 0

    def whole(self, answer: AIMessage, content: str | None = None) -> dict[str, Any]:
        """A ``chat.completion``.

        Args:
            answer: The model's answer.
            content: A structured answer. It replaces the text, and the tool call that it came with is not shown.
        """
        calls = [] if content is not None else all_calls(answer)
        text = str(answer.text) if content is None else content
        message: dict[str, Any] = {"role": "assistant", "content": text or None, "refusal": None}
        if calls:
            message["tool_calls"] = calls
        choice = {"index": 0, "message": message, "finish_reason": _reason(answer, bool(calls)), "logprobs": None}
        summary = self._summary(answer)
        usage = usage_of(answer.usage_metadata)
        return self._envelope("chat.completion", choices=[choice], usage=usage, avengers=summary)

    def start(self) -> dict[str, Any]:
        """The first chunk."""
        return self._chunk({"role": "assistant", "content": ""})

    def chunks(self, chunk: AIMessageChunk) -> Iterator[dict[str, Any]]:
        """Chunks of what a model's chunk adds."""
        if text := str(chunk.text):
            yield self._chunk({"content": text})
        if chunk.tool_call_chunks:
            yield self._chunk({"tool_calls": [self._call_part(part) for part in chunk.tool_call_chunks]})

    def parts(self, answer: AIMessage, content: str | None) -> Iterator[dict[str, Any]]:
        """Chunks of a whole answer.

        Args:
            answer: The model's answer.
            content: A structured answer, as in `whole`.
        """
        text = str(answer.text) if content is None else content
        if text:
            yield self._chunk({"content": text})
        if content is None and (made := all_calls(answer)):
            calls = [{"index": place, **call} for place, call in enumerate(made)]
            yield self._chunk({"tool_calls": calls})

    def end(self, answer: AIMessage, include_usage: bool) -> Iterator[dict[str, Any]]:
        """The last chunks: why the answer ended and what the router did, then the tokens.

        Args:
            answer: The model's answer.
            include_usage: Whether the client wants the tokens.
        """
        summary = self._summary(answer)
        yield {**self._chunk({}, _reason(answer, bool(all_calls(answer)))), "avengers": summary}
        if include_usage:
            yield self._envelope("chat.completion.chunk", choices=[], usage=usage_of(answer.usage_metadata))

    def _call_part(self, part: Mapping[str, Any]) -> dict[str, Any]:
        """A part of a tool call. Calls are numbered from 0; providers count other blocks of an answer, too."""
        named = part["index"] if part["index"] is not None else part["id"]  # of whole calls only the id is told
        self._call = self._call if named is None else named
        place = self._places.setdefault(self._call, len(self._places))
        function = {name: part[key] for name, key in (("name", "name"), ("arguments", "args")) if part[key] is not None}
        delta: dict[str, Any] = {"index": place, "function": function}
        return {**delta, "id": part["id"], "type": "function"} if part["id"] else delta

    def _summary(self, answer: AIMessage) -> dict[str, Any]:
        """What the router did; from here on the answer goes by the name of its model."""
        summary: dict[str, Any] = answer.response_metadata.get("avengers", {})
        self.model = summary.get("model", self.model)
        return summary

    def _envelope(self, kind: str, **rest: Any) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model, **rest}

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        return self._envelope("chat.completion.chunk", choices=[choice])


def usage_of(usage: UsageMetadata | None) -> dict[str, Any] | None:
    """Tokens as OpenAI names them, or None if the provider reported none."""
    if usage is None or "input_tokens" not in usage:
        return None
    inputs: Mapping[str, Any] = usage.get("input_token_details") or {}
    outputs: Mapping[str, Any] = usage.get("output_token_details") or {}
    return {
        "prompt_tokens": usage["input_tokens"],
        "completion_tokens": usage["output_tokens"],
        "total_tokens": usage["input_tokens"] + usage["output_tokens"],
        "prompt_tokens_details": {
            "cached_tokens": inputs.get("cache_read") or 0,
            "audio_tokens": inputs.get("audio") or 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": outputs.get("reasoning") or 0,
            "audio_tokens": outputs.get("audio") or 0,
        },
    }


def error_body(message: str, kind: str, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    """An error as OpenAI's clients read it.

    Args:
        message: What is wrong.
        kind: OpenAI's type of error, such as ``invalid_request_error``.
        code: What exactly, for programs.
        param: The field that is wrong.
    """
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def event(value: Any) -> str:
    """A server-sent event."""
    return f"data: {value if isinstance(value, str) else json.dumps(value)}\n\n"


def all_calls(answer: AIMessage) -> list[dict[str, Any]]:
    """The tool calls of an answer, also those whose arguments are not valid: the client decides what to do with them.

    Args:
        answer: The model's answer.
    """
    return [*map(_call, answer.tool_calls), *map(_call, answer.invalid_tool_calls)]


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    given = call["args"]
    arguments = given if isinstance(given, str) else json.dumps(given or {}, ensure_ascii=False)
    return {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": arguments}}


def _reason(message: AIMessage, calls: bool) -> str:
    metadata = message.response_metadata
    reason = str(metadata.get("finish_reason") or metadata.get("stop_reason") or "stop").lower()
    if "length" in reason or "max_tokens" in reason:
        return "length"
    if calls:
        return "tool_calls"
    return "content_filter" if reason in ("content_filter", "refusal", "safety") else "stop"
