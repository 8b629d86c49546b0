"""What finished calls cost together, added up from the summaries that answers carry (`Attempt.summary`)."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..pricing.types import TokenUsage


@dataclass
class ModelTotals:
    """Answers of one model.

    Attributes:
        calls: answers. cost_usd: US dollars, without the ``unknown`` answers, whose cost is not known.
        usage: tokens by kind, None where none were reported.
    """

    calls: int = 0
    cost_usd: float = 0.0
    unknown: int = 0
    usage: TokenUsage | None = None


@dataclass
class Totals(ModelTotals):
    """All answers of a run; threads may share it.

    Attributes:
        best_single_cost_usd: dollars that the best single model would have cost for the same tokens, over the answers
            where both are known; ``compared_cost_usd`` is what those answers really cost.
        cached: answers that came from a framework's cache and cost nothing.
        models: by id.
    """

    best_single_cost_usd: float = 0.0
    compared_cost_usd: float = 0.0
    cached: int = 0
    models: dict[str, ModelTotals] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def saved_usd(self) -> float:
        """Dollars saved against the best single model."""
        return self.best_single_cost_usd - self.compared_cost_usd

    def __str__(self) -> str:
        unknown = f", {self.unknown} of unknown cost" if self.unknown else ""
        return f"{self.calls} calls, ${self.cost_usd:.6f}{unknown}, ${self.saved_usd:.6f} saved"

    def add(self, told: Mapping[str, Any], usage: TokenUsage | None, *, cached: bool = False) -> None:
        """Count an answer.

        Args:
            told: its summary. usage: its tokens. cached: it was not asked for again.
        """
        with self._lock:
            if cached:
                self.cached += 1
                return
            for totals in (self, self.models.setdefault(told["model"], ModelTotals())):
                totals.calls += 1
                if usage is not None:
                    totals.usage = totals.usage + usage if totals.usage else usage
                totals.unknown += told["cost_usd"] is None
                totals.cost_usd += told["cost_usd"] or 0.0
            best = told["best_single"]["cost_usd"]
            if best is not None and told["cost_usd"] is not None:
                self.best_single_cost_usd += best
                self.compared_cost_usd += told["cost_usd"]
