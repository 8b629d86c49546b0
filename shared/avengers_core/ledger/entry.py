"""One attempt as the ledger keeps it, and scores of answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import msgspec

from ..pricing.types import TokenUsage

__all__ = ["Entry", "feedback_score", "now", "spent_amount"]


class Entry(msgspec.Struct, kw_only=True):
    """One attempt at a call.

    Attributes:
        time: When it began (UTC).
        call: Id shared by the attempts of one call.
        decision: Id of the routing decision.
        attempt: 0 for the chosen model, 1 for the first fallback, and so on.
        model: The model's id in the artifact.
        provider: The model's provider.
        status: ``ok``, a kind of `avengers_core.dispatch.failures.failure_kind`, or ``cancelled``.
        alpha: The alpha that the decision was made with.
        session: The conversation or job that the call belongs to.
        run: The framework's id of the run.
        tags: Names to group costs by.
        error: Class of the error; never its message, which may quote a prompt.
        usage: Tokens by kind, None if the provider reported none.
        cost_pico: Picodollars, None if unknown.
        expected_cost_pico: Picodollars that it was expected to cost, None if unknown.
        counted_pico: Picodollars by a count of what was streamed, None if nothing was. It is charged to budgets if the
            cost is unknown and the count exceeds what was expected; no ledger keeps it.
        seconds: Duration.
        first_token_seconds: Seconds until the first part of a streamed answer came, None if it was not streamed.
        prompt: The text that was routed. A ledger keeps it only if it was made with ``store_prompts=True``.
        artifact: First 12 digits of the artifact's checksum.
        cluster: Nearest cluster of the query.
        similarity: Cosine of the query and that cluster's centre.
        propensity: Probability that the router chooses this model for this query, None if it had no choice (a
            fallback, a step of a tool loop).
        cooldown_seconds: Seconds for which the model is not asked after this attempt, None if it may be.
        describe_decision: Gives what the router weighed, as JSON. A ledger keeps it with the first attempt of a call,
            unless it was made with ``store_decisions=False``.
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
    counted_pico: int | None = None
    seconds: float = 0.0
    first_token_seconds: float | None = None
    prompt: str | None = None
    artifact: str = ""
    cluster: int | None = None
    similarity: float | None = None
    propensity: float | None = None
    cooldown_seconds: float | None = None
    describe_decision: Callable[[], str] | None = None


_THUMBS = {"up": 1.0, "👍": 1.0, "down": 0.0, "👎": 0.0}


def feedback_score(value: Any) -> float:
    """A score in [0, 1] from a number, a bool or a thumb.

    Raises:
        ValueError: If the value is not a number in [0, 1], a bool, ``"up"``, ``"down"`` or a thumb emoji.
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
    """Picodollars that an entry adds to what is spent: its cost, or if that is unknown what was expected or counted."""
    if entry.cost_pico is not None:
        return entry.cost_pico
    return max(entry.expected_cost_pico or 0, entry.counted_pico or 0)


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(timezone.utc)
