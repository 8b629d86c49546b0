"""Where money is added up: what was spent, and what calls in flight have set aside.

All amounts are picodollars. They are added up by scope, see `avengers_core.ledger.budget.budget_scopes`.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Protocol

from .entry import Entry, spent_amount

__all__ = ["BudgetStore", "InMemoryBudgetStore", "remaining"]


class BudgetStore(Protocol):
    """Adds up the money that was spent or set aside, by scope: in memory, or in a `Ledger` that processes share.

    Attributes:
        blocks: Whether its methods may wait for a database.
        keeps_entries: Whether each finished attempt must be recorded, and not only those that money was set aside for.
    """

    blocks: bool
    keeps_entries: bool

    def spent(self, scopes: Iterable[str]) -> dict[str, int]:
        """Picodollars spent or set aside so far, by scope."""
        ...

    def reserve(self, amount: int, limits: Mapping[str, int]) -> bool:
        """Set money aside for an attempt that is about to start.

        Args:
            amount: Picodollars that it is expected to cost.
            limits: Picodollars that may be spent or set aside, by scope.

        Returns:
            False if it would exceed a limit; then nothing is set aside.
        """
        ...

    def release(self, amount: int, scopes: Iterable[str]) -> None:
        """Give back what `reserve` has set aside for an attempt that was not started.

        Args:
            amount: Picodollars that were set aside.
            scopes: Scopes that they were set aside in.
        """
        ...

    def begin_record(
        self, entry: Entry, scopes: Iterable[str] = (), reserved: Mapping[str, int] = {}, *, waits: bool = False
    ) -> Future[None] | None:
        """Add what a finished attempt cost, and give back what was set aside for it.

        Args:
            entry: The attempt.
            scopes: Scopes to add its cost to although they have no limit now.
            reserved: Picodollars that `reserve` has set aside for it, by scope.
            waits: Whether the caller waits for it anyway, so that it may be done in the caller's thread.

        Returns:
            What is done when it is written; None if it is already.
        """
        ...


class InMemoryBudgetStore:
    """Money of this process's calls, if no ledger adds it up. Threads may share it."""

    blocks = False
    keeps_entries = False

    def __init__(self) -> None:
        self._spent: Counter[str] = Counter()
        self._lock = threading.RLock()  # a stream that garbage collection closes may record in this very thread

    def spent(self, scopes: Iterable[str]) -> dict[str, int]:
        """Picodollars spent or set aside so far, by scope."""
        return {scope: self._spent[scope] for scope in scopes}

    def reserve(self, amount: int, limits: Mapping[str, int]) -> bool:
        """Set money aside for an attempt that is about to start.

        Args:
            amount: Picodollars that it is expected to cost.
            limits: Picodollars that may be spent or set aside, by scope.

        Returns:
            False if it would exceed a limit; then nothing is set aside.
        """
        with self._lock:
            if any(self._spent[scope] + amount > limit for scope, limit in limits.items()):
                return False
            self._spent.update(dict.fromkeys(limits, amount))
        return True

    def release(self, amount: int, scopes: Iterable[str]) -> None:
        """Give back what `reserve` has set aside for an attempt that was not started.

        Args:
            amount: Picodollars that were set aside.
            scopes: Scopes that they were set aside in.
        """
        with self._lock:
            self._spent.subtract(dict.fromkeys(scopes, amount))

    def begin_record(
        self, entry: Entry, scopes: Iterable[str] = (), reserved: Mapping[str, int] = {}, *, waits: bool = False
    ) -> None:
        """Add what a finished attempt cost, and give back what was set aside for it; the entry itself is not kept.

        Args:
            entry: The attempt.
            scopes: Ignored: only scopes with a limit are added up, so that memory does not grow with every session.
            reserved: Picodollars that `reserve` has set aside for it, by scope.
            waits: Ignored: nothing takes time.
        """
        amount = spent_amount(entry)
        with self._lock:
            self._spent.update({scope: amount - given for scope, given in reserved.items()})


def remaining(store: BudgetStore, limits: Mapping[str, int]) -> int | None:
    """Picodollars that may still be spent or set aside, the least over the limits; None if there is no limit."""
    if not limits:
        return None
    spent = store.spent(limits)
    return min(limit - spent.get(scope, 0) for scope, limit in limits.items())
