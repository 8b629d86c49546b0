"""What adapters know alike of conversations: the text that is routed, its length, call ids that all providers take."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from .._utils.tokens import encoding

Message = TypeVar("Message")

ROUTE_ON = ("last_human", "with_system", "conversation")

#: Providers cache prompts from this length on.
MIN_CACHED_TOKENS = 1024

_CALL_ID = re.compile(r"[a-zA-Z0-9_-]{1,40}")


def check_route_on(value: Any, names: Sequence[str] = ROUTE_ON) -> Any:
    """``value``, if it is one of the names or a function of the messages.

    Raises:
        ValueError: it is neither.
    """
    if not callable(value) and value not in names:
        listed = ", ".join(repr(name) for name in names)
        raise ValueError(f"route_on must be {listed} or a function of the messages, not {value!r}")
    return value


def routing_text(
    messages: Sequence[Message], route_on: Any, role: Callable[[Message], str], text: Callable[[Message], str]
) -> str:
    """The text that is embedded.

    Args:
        messages: the conversation, oldest first.
        route_on: one of `ROUTE_ON` or a function of the messages.
        role: ``user``, ``system``, or another role of a message. text: its text.
    """
    if callable(route_on):
        return str(route_on(list(messages)))
    if route_on == "conversation":
        return "\n".join(said for said in map(text, messages) if said)
    asked = next((said for m in reversed(messages) if role(m) == "user" and (said := text(m))), None)
    if asked is None:
        asked = next((said for m in reversed(messages) if (said := text(m))), "")
    if route_on == "with_system":
        system = "\n".join(text(m) for m in messages if role(m) == "system")
        return f"{system}\n{asked}" if system else asked
    return asked


def refine_count(estimate: float, texts: Callable[[], Iterable[str]]) -> float:
    """Input tokens: an estimate for short requests; from 2,000 tokens on tiktoken counts the texts within it.

    Args:
        estimate: of the whole request, its texts taken at four characters a token.
        texts: gives them, where they are counted.
    """
    codec = encoding() if estimate >= 2_000 else None
    if codec is None:
        return estimate
    listed = list(texts())
    counted = sum(len(codec.encode(one, disallowed_special=())) for one in listed)
    return float(max(0.0, estimate - sum(map(len, listed)) / 4) + counted)


def safe_call_ids(ids: Iterable[str | None]) -> dict[str, str]:
    """New ids for those tool calls whose id some provider refuses, by the old one; the same in every process."""
    return {
        one: f"call_{hashlib.sha256(one.encode()).hexdigest()[:24]}"
        for one in ids
        if one and not _CALL_ID.fullmatch(one)
    }
