"""Limits in US dollars, and money as whole picodollars (1e-12 dollars), so that sums are exact."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal

__all__ = ["PICO", "Budget", "budget_scopes", "dollars", "picodollars", "plain_budget", "storable", "within"]

#: Picodollars in a dollar.
PICO = 10**12
#: The largest amount of one call, about 4.6 million dollars, so that sums fit into the 64 bits of a database.
MOST_PICODOLLARS = 2**62


def picodollars(dollars: Decimal | float | None) -> int | None:
    """Dollars as whole picodollars, or None if the amount is unknown (None, NaN or infinite)."""
    if dollars is None or (isinstance(dollars, float) and not math.isfinite(dollars)):
        return None
    return min(round(dollars * PICO), MOST_PICODOLLARS)


def dollars(picodollars: int) -> Decimal:
    """US dollars, exactly."""
    return Decimal(int(picodollars)) / PICO


def storable(text: str, longest: int = 200) -> str:
    """A text as every database keeps it: without NUL and lone surrogates, and no longer than a column.

    Args:
        text: The text.
        longest: Characters that are kept. A longer text keeps its beginning and gets a digest of the whole at its end,
            so that two of them do not become one.
    """
    if text.isascii() and "\0" not in text:
        clean = text
    else:
        clean = text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    if len(clean) <= longest:
        return clean
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{clean[: longest - 17]}~{digest}"


def within(expected_cost: float, ceiling: int | None) -> bool:
    """Whether an expected cost is known and not above a ceiling.

    Args:
        expected_cost: US dollars, NaN if unknown.
        ceiling: Picodollars; None: there is no ceiling, and an unknown cost is accepted as well.
    """
    if ceiling is None:
        return True
    amount = picodollars(expected_cost)
    return amount is not None and amount <= ceiling


@dataclass(frozen=True)
class Budget:
    """Limits in US dollars: for one call, for a session (a conversation or a job) and for a day (UTC).

    A model whose expected cost exceeds what is left is not chosen. The limit of a call applies to its expected cost;
    those of session and day apply to what was really spent plus what the calls in flight are expected to cost.

    Attributes:
        per_call: Most that one call may be expected to cost.
        per_session: Most that the calls of one session may cost together.
        per_day: Most that all calls of a day may cost together.

    Raises:
        ValueError: If a limit is not positive and finite.
    """

    per_call: float | None = None
    per_session: float | None = None
    per_day: float | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"budget: {name} must be a positive number of dollars, not {value!r}")

    def __str__(self) -> str:
        return ", ".join(f"{name} ${value:g}" for name, value in vars(self).items() if value is not None) or "none"

    def ceiling(self, remaining: int | None) -> int | None:
        """Picodollars that one call may be expected to cost, or None if there is no limit.

        Args:
            remaining: Picodollars left in session and day; None: neither is limited.
        """
        return min((limit for limit in (picodollars(self.per_call), remaining) if limit is not None), default=None)

    @property
    def adds_up(self) -> bool:
        """Whether what several calls spend together is limited."""
        return self.per_session is not None or self.per_day is not None

    def limits(self, scopes: Mapping[str, str]) -> dict[str, int]:
        """The limits of session and day that are set, in picodollars by scope.

        Args:
            scopes: As from `budget_scopes`.
        """
        dollars = {"session": self.per_session, "day": self.per_day}
        return {scopes[kind]: picodollars(limit) or 0 for kind, limit in dollars.items() if limit is not None}


def plain_budget(value: Budget | Mapping[str, float] | None) -> dict[str, float] | None:
    """The limits that are set, as plain values that can be dumped.

    Raises:
        ValueError: If there is no such limit, or it is not a positive number of dollars.
    """
    if value is None:
        return None
    given = vars(value) if isinstance(value, Budget) else dict(value)
    unknown = sorted(set(given) - set(vars(Budget())))
    if unknown:
        raise ValueError(f"budget has no {unknown[0]!r}: it has per_call, per_session and per_day")
    return {name: limit for name, limit in vars(Budget(**given)).items() if limit is not None}


def budget_scopes(session: str, now: datetime | None = None) -> dict[str, str]:
    """Keys under which a call's cost is added up, for ``day`` and ``session``.

    Args:
        session: The call's session.
        now: The time (UTC) whose day counts. If None, it is the present time.
    """
    day = (now or datetime.now(timezone.utc)).date().isoformat()
    return {"day": f"day:{day}", "session": f"session:{storable(session)}"}
