"""What adapters read from a conversation: the text that is routed, its length, and call ids that all providers take."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from .._utils.tokens import encoding

__all__ = ["MIN_CACHED_TOKENS", "refine_count", "routing_text", "safe_call_ids"]

Message = TypeVar("Message")

#: Providers cache prompts from this length on, in tokens.
MIN_CACHED_TOKENS = 1024

#: Requests are counted with tiktoken from this estimate on, in tokens.
_MIN_COUNTED_TOKENS = 2_000

_CALL_ID = re.compile(r"[a-zA-Z0-9_-]{1,40}")


def routing_text(
    messages: Sequence[Message], route_on: Any, role: Callable[[Message], str], text: Callable[[Message], str]
) -> str:
    """The text that is embedded.

    Args:
        messages: The conversation, oldest first.
        route_on: One of `avengers_core.routing.options.ROUTE_ON` or a function of the messages.
        role: Gives ``user``, ``system`` or another role of a message.
        text: Gives the text of a message.
    """
    if callable(route_on):
        return str(route_on(list(messages)))
    if route_on == "conversation":
        return "\n".join(part for part in map(text, messages) if part)
    question = next((part for m in reversed(messages) if role(m) == "user" and (part := text(m))), None)
    if question is None:
        question = next((part for m in reversed(messages) if (part := text(m))), "")
    if route_on == "with_system":
        system = "\n".join(text(m) for m in messages if role(m) == "system")
        return f"{system}\n{question}" if system else question
    return question


def refine_count(estimate: float, texts: Callable[[], Iterable[str]]) -> float:
    """Input tokens of a request: the estimate if it is short; else its texts are counted with tiktoken.

    Args:
        estimate: Tokens of the whole request, with its texts taken at four characters a token.
        texts: Gives the texts. It is called only if they are counted.
    """
    codec = encoding() if estimate >= _MIN_COUNTED_TOKENS else None
    if codec is None:
        return estimate
    listed = list(texts())
    counted = sum(len(codec.encode(text, disallowed_special=())) for text in listed)
    return float(max(0.0, estimate - sum(map(len, listed)) / 4) + counted)


def safe_call_ids(ids: Iterable[str | None]) -> dict[str, str]:
    """New ids for tool calls whose id some provider refuses, by the old id. They are the same in every process."""
    return {
        old: f"call_{hashlib.sha256(old.encode()).hexdigest()[:24]}"
        for old in ids
        if old and not _CALL_ID.fullmatch(old)
    }
