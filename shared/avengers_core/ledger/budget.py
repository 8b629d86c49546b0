"""Limits in US dollars, and what counts toward them: money spent, and money that calls in flight are expected to cost.

Amounts are integers of picodollars (1e-12 dollars), so that sums are exact.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from typing import Protocol

PICO = 10**12


def picodollars(dollars: Decimal | float | None) -> int | None:
    """Dollars as whole picodollars; None and NaN are unknown."""
    if dollars is None or (isinstance(dollars, float) and not math.isfinite(dollars)):
        return None
    return round(dollars * PICO)


def fits(expected_cost: float, ceiling: int | None) -> bool:
    """Whether an expected cost in dollars is known and within a ceiling in picodollars."""
    if ceiling is None:
        return True
    amount = picodollars(expected_cost)
    return amount is not None and amount <= ceiling


@dataclass(frozen=True)
class Budget:
    """Limits in US dollars: for one call, for a session (a conversation or a job) and for a day (UTC).

    A model whose expected cost does not fit into what is left is not chosen. The limit of a call is held to its
    expected cost; those of session and day to what was really spent plus what calls in flight are expected to cost.

    Raises:
        ValueError: a limit is not positive and finite.
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

    def ceiling(self, left: int | None) -> int | None:
        """Picodollars that one call may be expected to cost when ``left`` are left; None: any."""
        return min((limit for limit in (picodollars(self.per_call), left) if limit is not None), default=None)

    def limits(self, scopes: dict[str, str]) -> dict[str, int]:
        """Limits in picodollars by scope, for those that are set."""
        wanted = {"session": self.per_session, "day": self.per_day}
        return {scopes[kind]: picodollars(limit) or 0 for kind, limit in wanted.items() if limit is not None}


def plain_budget(value: Budget | Mapping[str, float] | None) -> dict[str, float] | None:
    """The limits that are set, as plain values, which can be dumped.

    Raises:
        ValueError: there is no such limit, or it is not a positive number of dollars.
    """
    if value is None:
        return None
    given = vars(value) if isinstance(value, Budget) else dict(value)
    unknown = sorted(set(given) - set(vars(Budget())))
    if unknown:
        raise ValueError(f"budget has no {unknown[0]!r}: it has per_call, per_session and per_day")
    return {name: limit for name, limit in vars(Budget(**given)).items() if limit is not None}


def budget_scopes(session: str, now: datetime | None = None) -> dict[str, str]:
    """Keys under which a call's cost is added up."""
    day = (now or datetime.now(timezone.utc)).strftime("%Y-%m-%d")
    return {"day": f"day:{day}", "session": f"session:{session}"}


class BudgetStore(Protocol):
    """Adds up the money that was spent or set aside, by scope: in memory, or in a `Ledger` that processes share."""

    def spent(self, scopes: Iterable[str]) -> dict[str, int]:
        """Picodollars spent or set aside so far, by scope."""
        ...

    def reserve(self, amount: int, limits: Mapping[str, int]) -> bool:
        """Set ``amount`` aside for a call that is about to start; False, and nothing is, where it does not fit."""
        ...


def remaining(spend: BudgetStore, limits: Mapping[str, int]) -> int | None:
    """Picodollars that may still be spent or set aside, the least over the limits; None: no limit."""
    if not limits:
        return None
    spent = spend.spent(limits)
    return min(limit - spent.get(scope, 0) for scope, limit in limits.items())


class InMemoryBudgetStore:
    """Money of this process's calls, where no ledger adds it up; threads may share it."""

    def __init__(self) -> None:
        self._spent: Counter[str] = Counter()
        self._lock = threading.Lock()

    def spent(self, scopes: Iterable[str]) -> dict[str, int]:
        """Picodollars spent or set aside so far, by scope."""
        return {scope: self._spent[scope] for scope in scopes}

    def reserve(self, amount: int, limits: Mapping[str, int]) -> bool:
        """Set ``amount`` aside for a call that is about to start; False, and nothing is, where it does not fit."""
        with self._lock:
            if any(self._spent[scope] + amount > limit for scope, limit in limits.items()):
                return False
            self._spent.update(dict.fromkeys(limits, amount))
        return True

    def settle(self, reserved: int, limits: Iterable[str], spent: int) -> None:
        """End a reservation; ``spent`` is what the call cost."""
        with self._lock:
            self._spent.update(dict.fromkeys(limits, spent - reserved))
