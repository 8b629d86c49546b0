"""What a dispatcher's calls share: the models, the money, and which models are cooling down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

from ..ledger.budget_store import BudgetStore
from .failures import Cooldowns
from .pool import M, ModelPool

__all__ = ["DispatchContext"]


@dataclass(frozen=True)
class DispatchContext(Generic[M]):
    """What every call of a dispatcher stands on.

    Attributes:
        pool: The models that may be asked.
        artifact: First 12 digits of the artifact's checksum, for the ledger.
        budget_store: Adds up money: a `Ledger`, or this process's memory if calls are not recorded.
        cooldowns: Models that are not asked for a while, because they failed.
        attempt_timeout: Seconds that one attempt may take in all, None if there is no limit.
    """

    pool: ModelPool[M]
    artifact: str
    budget_store: BudgetStore
    cooldowns: Cooldowns
    attempt_timeout: float | None = None
