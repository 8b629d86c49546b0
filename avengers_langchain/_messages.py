"""What a list of messages tells a router, and messages that any provider accepts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from avengers_core.dispatch import conversation
from avengers_core.dispatch.conversation import MIN_CACHED_TOKENS
from avengers_core.dispatch.options import Prompt
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.messages.utils import count_tokens_approximately

RouteOn = Literal["last_human", "with_system", "conversation"] | Callable[[list[BaseMessage]], str]

_BLOCKS = {
    "image": "images",
    "image_url": "images",
    "input_image": "images",
    "audio": "audio",
    "input_audio": "audio",
    "video": "video",
    "file": "pdf",
    "document": "pdf",
    "input_file": "pdf",
}
_MIME = {"image": "images", "audio": "audio", "video": "video"}


def routing_text(messages: Sequence[BaseMessage], route_on: RouteOn) -> str:
    """The text that is embedded."""
    return conversation.routing_text(messages, route_on, _role, _text)


def _role(message: BaseMessage) -> str:
    return "user" if isinstance(message, HumanMessage) else message.type


def _text(message: BaseMessage) -> str:
    return str(message.text)


def as_prompt(
    messages: Sequence[BaseMessage], route_on: RouteOn, needs: Mapping[str, bool | int], *, tool_tokens: float = 0.0
) -> Prompt:
    """What the dispatcher knows of messages."""
    wanted = dict(needs)
    for message in messages:
        if not isinstance(message.content, str):
            wanted.update(dict.fromkeys(_media(message.content), True))
    current, cached, in_loop = _conversation(messages)
    return Prompt(
        text=routing_text(messages, route_on),
        needs=wanted,
        tokens=count_tokens(messages) + tool_tokens,
        current=current,
        in_tool_loop=in_loop,
        cached_tokens=cached,
    )


def count_tokens(messages: Sequence[BaseMessage]) -> float:
    """Input tokens: an estimate for short requests, tiktoken's count from 2,000 tokens on."""
    return conversation.refine_count(count_tokens_approximately(messages), lambda: map(_text, messages))


def _media(blocks: Sequence[str | dict[str, Any]]) -> set[str]:
    found = set()
    for block in blocks:
        if isinstance(block, dict):
            kind = _BLOCKS.get(str(block.get("type")))
            if kind == "pdf":
                mime = str(block.get("mime_type") or (block.get("source") or {}).get("media_type") or "")
                kind = _MIME.get(mime.partition("/")[0], kind) if not mime.startswith("text/") else None
            if kind:
                found.add(kind)
    return found


def _conversation(messages: Sequence[BaseMessage]) -> tuple[str | None, int, bool]:
    """The model of the last answer, the tokens its provider may have cached, and whether a tool loop goes on."""
    in_loop = False
    for message in reversed(messages):
        if isinstance(message, ToolMessage):
            in_loop = True
        elif isinstance(message, AIMessage):
            model = (message.response_metadata.get("avengers") or {}).get("model")
            usage = message.usage_metadata
            tokens = usage["input_tokens"] + usage["output_tokens"] if usage else 0
            known = model or message.response_metadata.get("model_name")
            return known, tokens if tokens >= MIN_CACHED_TOKENS else 0, in_loop
    return None, 0, False


def portable(messages: list[BaseMessage], provider: str) -> list[BaseMessage]:
    """Messages that ``provider`` accepts: answers of other providers as plain text and tool calls.

    Reasoning blocks, signatures and other providers' content blocks are left out, tool-call ids are made to fit all.
    The list itself is returned where nothing was to do.
    """
    ids = conversation.safe_call_ids(call_id for message in messages for call_id in _call_ids(message))
    out = [_portable(message, provider, ids) for message in messages]
    return out if any(a is not b for a, b in zip(out, messages, strict=True)) else messages


def _call_ids(message: BaseMessage) -> list[str | None]:
    if isinstance(message, ToolMessage):
        return [message.tool_call_id]
    return [call["id"] for call in message.tool_calls] if isinstance(message, AIMessage) else []


def _portable(message: BaseMessage, provider: str, ids: Mapping[str, str]) -> BaseMessage:
    if isinstance(message, ToolMessage):
        renamed = ids.get(message.tool_call_id)
        return message.model_copy(update={"tool_call_id": renamed}) if renamed else message
    if not isinstance(message, AIMessage):
        return message
    author = message.response_metadata.get("model_provider") or (message.response_metadata.get("avengers") or {}).get(
        "provider"
    )
    foreign = author is not None and author != provider
    plain = isinstance(message.content, str)
    calls = [{**call, "id": ids.get(call["id"] or "", call["id"])} for call in message.tool_calls]
    if (not foreign or (plain and not message.additional_kwargs)) and calls == message.tool_calls:
        return message
    if not foreign:
        return message.model_copy(update={"tool_calls": calls})
    return AIMessage(
        content=message.content if plain else str(message.text),
        tool_calls=calls,
        invalid_tool_calls=message.invalid_tool_calls,
        id=message.id,
        name=message.name,
        usage_metadata=message.usage_metadata,
        response_metadata={
            key: value for key, value in message.response_metadata.items() if key in ("avengers", "model_name")
        },
    )
