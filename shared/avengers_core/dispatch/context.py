"""What a dispatcher's calls share: the models, the money, and which models rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic

from ..ledger.budget import BudgetStore, InMemoryBudgetStore
from ..ledger.store import Ledger
from .failures import Cooldowns
from .pool import M, ModelPool


@dataclass(frozen=True)
class DispatchContext(Generic[M]):
    """What every call of a dispatcher stands on.

    Attributes:
        pool: the models that may be asked.
        artifact: first digits of the artifact's checksum, for the ledger.
        ledger: where attempts are written, if anywhere.
        cooldowns: models that rest after a failure.
        purse: adds up money when there is no ledger.
    """

    pool: ModelPool[M]
    artifact: str
    ledger: Ledger | None = None
    cooldowns: Cooldowns = field(default_factory=Cooldowns)
    purse: InMemoryBudgetStore = field(default_factory=InMemoryBudgetStore)

    @property
    def spend(self) -> BudgetStore:
        """Where money is set aside: the ledger, which processes share, or the purse."""
        return self.ledger or self.purse
