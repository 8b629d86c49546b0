"""What the router must know about the messages of a request, and messages that a provider accepts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from avengers_core.adapters import last_turn, rewrite_history
from avengers_core.dispatch import conversation
from avengers_core.dispatch.options import Prompt
from llama_index.core.base.llms.types import (
    AudioBlock,
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)

__all__ = ["KEY", "as_prompt", "portable", "routing_text"]

#: The key of ``additional_kwargs`` that holds the decision of a message or a response.
KEY = "avengers"

_NEEDS: dict[type[Any], str] = {ImageBlock: "images", AudioBlock: "audio", VideoBlock: "video", DocumentBlock: "pdf"}
#: Providers whose integrations take a block. For others, citable text is plain text and the rest is left out.
_TAKERS: dict[type[Any], tuple[str, ...]] = {
    CachePoint: ("anthropic", "aws"),
    CitableBlock: ("anthropic",),
    CitationBlock: ("anthropic",),
}
_TOOL_ROLES = (MessageRole.TOOL, MessageRole.FUNCTION)

#: Input tokens that a picture, a sound or a document is counted as.
_MEDIA_TOKENS = 85

#: Input tokens of what a provider puts around a message.
_FRAME_TOKENS = 3


def as_prompt(
    messages: Sequence[ChatMessage],
    question: str,
    needs: Mapping[str, bool | int],
    *,
    tool_tokens: float = 0.0,
    answer_tokens: float = 0.0,
) -> Prompt:
    """What the dispatcher must know about the messages of a request.

    Args:
        messages: The conversation, oldest message first.
        question: The text that is embedded.
        needs: Capabilities that the request's arguments ask for.
        tool_tokens: Input tokens of the request's tools.
        answer_tokens: Tokens that the answer may have.
    """
    blocks = (block for message in messages for block in _flat(message))
    media = [need for block in blocks if (need := _NEEDS.get(type(block)))]
    turn = last_turn(messages, lambda message: message.role in _TOOL_ROLES, _read_answer)
    texts = [_content(message) for message in messages]
    estimate = sum(map(len, texts)) / 4 + _FRAME_TOKENS * len(texts) + _MEDIA_TOKENS * len(media) + tool_tokens
    return Prompt(
        text=question,
        needs={**needs, **dict.fromkeys(media, True)},
        tokens=conversation.refine_count(estimate, lambda: texts),
        answer_tokens=answer_tokens,
        current=turn.model,
        in_tool_loop=turn.in_tool_loop,
        cached_tokens=turn.cached_tokens,
    )


def routing_text(messages: Sequence[ChatMessage], route_on: Any) -> str:
    """The text that is embedded if the question of an engine is not known.

    Args:
        messages: The conversation, oldest message first.
        route_on: The name of a text, or a function of the messages.
    """
    return conversation.routing_text(messages, route_on, lambda message: message.role.value, _text)


def _text(message: ChatMessage) -> str:
    return "\n".join(block.text for block in _flat(message) if isinstance(block, TextBlock))


def _flat(message: ChatMessage) -> list[Any]:
    """The blocks of a message, with those inside citable ones in their place."""
    return [
        part for block in message.blocks for part in (block.content if isinstance(block, CitableBlock) else [block])
    ]


def _content(message: ChatMessage) -> str:
    """All text of a message, with the arguments of its tool calls."""
    calls = [f"{block.tool_name} {block.tool_kwargs}" for block in message.blocks if isinstance(block, ToolCallBlock)]
    return "\n".join([_text(message), *calls]) if calls else _text(message)


def _read_answer(message: ChatMessage) -> tuple[str | None, int] | None:
    """The model and the tokens of a model's answer."""
    if message.role != MessageRole.ASSISTANT:
        return None
    mark = message.additional_kwargs.get(KEY) or {}
    return mark.get("model"), mark.get("tokens") or 0


def portable(messages: Sequence[ChatMessage], provider: str) -> list[ChatMessage]:
    """Messages that a provider accepts: answers of other providers as plain text and tool calls.

    Thoughts, signatures and other providers' extras are left out, as is Avengers' own mark. Ids of tool calls are
    changed if some provider refuses them. Blocks that only some providers take (cache points, citable text, citations)
    are left out for the others, or become text.

    Args:
        messages: The conversation, oldest message first.
        provider: The provider's name, as `provider_name` returns it.
    """
    callers = [one for one in messages if any(isinstance(block, ToolCallBlock) for block in one.blocks)]
    own = bool(callers) and all((one.additional_kwargs.get(KEY) or {}).get("provider") == provider for one in callers)
    return rewrite_history(
        [_with_taken_blocks(one, provider) for one in messages],
        None if own else _call_ids,
        lambda message, new: _portable(message, provider, new),
    )


def _with_taken_blocks(message: ChatMessage, provider: str) -> ChatMessage:
    """The message with blocks that the provider takes."""
    refused = tuple(kind for kind, takers in _TAKERS.items() if provider not in takers)
    if not any(isinstance(block, refused) for block in message.blocks):
        return message
    blocks: list[Any] = []
    for block in message.blocks:
        if not isinstance(block, refused):
            blocks.append(block)
        elif isinstance(block, CitableBlock):
            blocks += [TextBlock(text=f"{block.title} ({block.source}):"), *block.content]
    return ChatMessage(role=message.role, blocks=blocks, additional_kwargs=message.additional_kwargs)


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
