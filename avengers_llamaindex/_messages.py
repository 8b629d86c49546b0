"""What LlamaIndex's messages tell a router, and messages that any provider accepts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from avengers_core.dispatch import conversation
from avengers_core.dispatch.conversation import MIN_CACHED_TOKENS
from avengers_core.dispatch.options import Prompt
from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)

#: The key of `additional_kwargs` that holds what Avengers says of a message or a response.
KEY = "avengers"

_NEEDS = {ImageBlock: "images", AudioBlock: "audio", VideoBlock: "video", DocumentBlock: "pdf"}
_TOOL_ROLES = (MessageRole.TOOL, MessageRole.FUNCTION)

#: Tokens that a picture, a sound or a document is taken for, and that a message's frame takes.
_MEDIA_TOKENS, _FRAME_TOKENS = 85, 3


def as_prompt(
    messages: Sequence[ChatMessage], question: str, needs: Mapping[str, bool | int], *, tool_tokens: float = 0.0
) -> Prompt:
    """What the dispatcher knows of messages."""
    media = [need for message in messages for block in message.blocks if (need := _NEEDS.get(type(block)))]
    current, cached, in_loop = _conversation(messages)
    texts = [_content(message) for message in messages]
    estimate = sum(map(len, texts)) / 4 + _FRAME_TOKENS * len(texts) + _MEDIA_TOKENS * len(media) + tool_tokens
    return Prompt(
        text=question,
        needs={**needs, **dict.fromkeys(media, True)},
        tokens=conversation.refine_count(estimate, lambda: texts),
        current=current,
        in_tool_loop=in_loop,
        cached_tokens=cached,
    )


def routing_text(messages: Sequence[ChatMessage], route_on: Any) -> str:
    """The text that is embedded where no engine tells the question."""
    return conversation.routing_text(messages, route_on, lambda message: message.role.value, _text)


def _text(message: ChatMessage) -> str:
    return "\n".join(block.text for block in message.blocks if isinstance(block, TextBlock))


def _content(message: ChatMessage) -> str:
    """All text of a message, arguments of its tool calls among it."""
    calls = [f"{block.tool_name} {block.tool_kwargs}" for block in message.blocks if isinstance(block, ToolCallBlock)]
    return "\n".join([_text(message), *calls]) if calls else _text(message)


def _conversation(messages: Sequence[ChatMessage]) -> tuple[str | None, int, bool]:
    """The model of the last answer, the tokens its provider may have cached, and whether a tool loop goes on."""
    in_loop = False
    for message in reversed(messages):
        if message.role in _TOOL_ROLES:
            in_loop = True
        elif message.role == MessageRole.ASSISTANT:
            mark = message.additional_kwargs.get(KEY) or {}
            tokens = mark.get("tokens") or 0
            return mark.get("model"), tokens if tokens >= MIN_CACHED_TOKENS else 0, in_loop
    return None, 0, False


def portable(messages: Sequence[ChatMessage], provider: str) -> list[ChatMessage]:
    """Messages that ``provider`` accepts: answers of other providers as plain text and tool calls.

    Thoughts, signatures and other providers' extras are left out, as is Avengers' own mark; tool-call ids are made to
    fit all.
    """
    ids = conversation.safe_call_ids(call_id for message in messages for call_id in _call_ids(message))
    return [_portable(message, provider, ids) for message in messages]


def _call_ids(message: ChatMessage) -> list[str | None]:
    calls = [block.tool_call_id for block in message.blocks if isinstance(block, ToolCallBlock)]
    return [*calls, message.additional_kwargs.get("tool_call_id")]


def _portable(message: ChatMessage, provider: str, ids: Mapping[str, str]) -> ChatMessage:
    extras = {name: value for name, value in message.additional_kwargs.items() if name != KEY}
    mark = message.additional_kwargs.get(KEY)
    foreign = mark is not None and mark.get("provider") != provider
    renamed = any(call_id in ids for call_id in _call_ids(message))
    if mark is None and not renamed:
        return message
    blocks: list[Any] = list(message.blocks)
    if foreign:
        blocks = [block for block in blocks if not isinstance(block, ThinkingBlock)]
        extras = {name: value for name, value in extras.items() if name in ("tool_call_id", "name")}
    if renamed:
        blocks = [_renamed(block, ids) for block in blocks]
        if any(isinstance(block, ToolCallBlock) for block in blocks):
            extras.pop("tool_calls", None)  # the same calls again, under the old ids
        if new := ids.get(extras.get("tool_call_id") or ""):
            extras["tool_call_id"] = new
    return ChatMessage(role=message.role, blocks=blocks, additional_kwargs=extras)


def _renamed(block: Any, ids: Mapping[str, str]) -> Any:
    new = ids.get(block.tool_call_id or "") if isinstance(block, ToolCallBlock) else None
    return block.model_copy(update={"tool_call_id": new}) if new else block
