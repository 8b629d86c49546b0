"""One attempt as the ledger keeps it."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from typing import Any

import msgspec

from ..pricing.types import TokenUsage

TOKEN_COLUMNS = TokenUsage.__struct_fields__


class Entry(msgspec.Struct, kw_only=True):
    """One attempt at a call.

    Attributes:
        time: when it began (UTC).
        call: id shared by the attempts of one call. decision: id of the routing decision.
        artifact: first 12 digits of the artifact's checksum.
        cluster: nearest cluster of the query. similarity: cosine of the query and that cluster's centre.
        propensity: probability that the router chooses this model for this query, None where it had no choice (a
            fallback, a step of a tool loop).
        attempt: 0 for the chosen model, 1 for the first fallback, and so on.
        status: ``ok``, a kind of `failure_kind`, or ``cancelled``.
        error: class of the error; never its message, which may quote a prompt.
        usage: tokens by kind, None where the provider reported none.
        cost_pico: picodollars, None if unknown.
        expected_cost_pico: picodollars that it was expected to cost, None if unknown.
        seconds: duration. prompt: kept only where the ledger was told to.
    """

    time: datetime
    call: str
    decision: str
    attempt: int
    model: str
    provider: str
    status: str
    alpha: float
    session: str = ""
    run: str = ""
    tags: list[str] = []
    error: str = ""
    usage: TokenUsage | None = None
    cost_pico: int | None = None
    expected_cost_pico: int | None = None
    seconds: float = 0.0
    prompt: str | None = None
    artifact: str = ""
    cluster: int | None = None
    similarity: float | None = None
    propensity: float | None = None


_THUMBS = {"up": 1.0, "👍": 1.0, "down": 0.0, "👎": 0.0}


def feedback_score(value: Any) -> float:
    """A score in [0, 1] from a number, a bool or a thumb.

    Raises:
        ValueError: it is none of these.
    """
    score = _THUMBS.get(value.strip().lower(), value) if isinstance(value, str) else value
    try:
        score = float(score)
    except (TypeError, ValueError):
        score = math.nan
    if not 0 <= score <= 1:
        raise ValueError(f"a score must be a number from 0 to 1, true or false, 'up' or 'down', not {value!r}")
    return score


def spent_amount(entry: Entry) -> int:
    """Picodollars that an entry adds to what is spent: its cost, else, if it was answered or cut off, the expected."""
    if entry.cost_pico is not None:
        return entry.cost_pico
    return entry.expected_cost_pico or 0


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(timezone.utc)
