"""Money set aside for one attempt."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from .budget import Budget, budget_scopes, picodollars, within
from .budget_store import BudgetStore
from .entry import Entry

__all__ = ["Reservation"]


class Reservation:
    """Money for one attempt: set aside before it starts, settled with what it cost.

    Args:
        store: What adds up the money.
        budget: The limits.
        session: The call's session, empty if it has none.
        expected_cost: US dollars, NaN if unknown.
    """

    def __init__(self, store: BudgetStore, budget: Budget, session: str, expected_cost: float) -> None:
        self._store = store
        self._is_recorded = store.keeps_entries or budget.adds_up
        scopes = budget_scopes(session) if self._is_recorded else {}
        self._limits = budget.limits(scopes)
        # Day and session are added up even if they have no limit now: a later call may set one.
        self._scopes = [scope for kind, scope in scopes.items() if kind == "day" or session]
        self._amount = picodollars(expected_cost) or 0
        self._within_call_limit = within(expected_cost, budget.ceiling(None))

    def take(self) -> bool:
        """Set the money aside; False if a limit does not allow it.

        Raises:
            LedgerError: If the ledger's database refuses.
        """
        return self._within_call_limit and self._store.reserve(self._amount, self._limits)

    def give_back(self) -> None:
        """Give back what was set aside: the attempt is not started.

        Raises:
            LedgerError: If the ledger's database refuses.
        """
        self._store.release(self._amount, self._limits)

    def settle(self, describe: Callable[[], Entry], *, waits: bool = True) -> Future[None] | None:
        """Record the attempt: what it cost is spent, and what was set aside for it is given back.

        Args:
            describe: Gives the attempt; not called if nobody keeps it.
            waits: Whether the caller waits for it, so that it may be done in the caller's thread.

        Returns:
            What `avengers_core.ledger.writer.wait` waits for.
        """
        if not self._is_recorded:
            return None
        reserved = dict.fromkeys(self._limits, self._amount)
        return self._store.begin_record(describe(), self._scopes, reserved, waits=waits)
