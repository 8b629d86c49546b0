"""What finished calls cost together, added up from the summaries that answers carry (`Attempt.summary`)."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .._utils.html import html_table, paragraph
from .._utils.results import Table
from ..pricing.types import TokenUsage

__all__ = ["ModelTotals", "Totals"]

#: Answers that are recognised if they are shown again, which is in the next moment.
_REMEMBERED = 256


@dataclass
class ModelTotals:
    """Answers of one model.

    Attributes:
        calls: Answers.
        cost_usd: US dollars, without the answers whose cost is unknown.
        unknown: Answers whose cost is unknown.
        usage: Tokens by kind, None if none were reported.
    """

    calls: int = 0
    cost_usd: float = 0.0
    unknown: int = 0
    usage: TokenUsage | None = None

    def _count(self, cost_usd: float | None, usage: TokenUsage | None) -> None:
        self.calls += 1
        self.unknown += cost_usd is None
        self.cost_usd += cost_usd or 0.0
        if usage is not None:
            self.usage = self.usage + usage if self.usage else usage


@dataclass
class Totals(ModelTotals):
    """All answers of a run. Threads may share it.

    Attributes:
        calls: Answers.
        cost_usd: US dollars, without the answers whose cost is unknown.
        unknown: Answers whose cost is unknown.
        usage: Tokens by kind, None if none were reported.
        best_single_cost_usd: US dollars that the best single model would have cost for the same tokens, over the
            answers for which both costs are known.
        compared_cost_usd: US dollars that those answers really cost.
        cached: Answers that came from a framework's cache and cost nothing.
        models: Totals of each model, by id.
    """

    best_single_cost_usd: float = 0.0
    compared_cost_usd: float = 0.0
    cached: int = 0
    models: dict[str, ModelTotals] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.Lock, repr=False, compare=False)
    _counted: deque[Hashable] = field(default_factory=lambda: deque(maxlen=_REMEMBERED), repr=False, compare=False)

    @property
    def saved_usd(self) -> float:
        """US dollars saved against the best single model."""
        return self.best_single_cost_usd - self.compared_cost_usd

    def __str__(self) -> str:
        unknown = f", {self.unknown} of unknown cost" if self.unknown else ""
        return f"{self.calls} calls, ${self.cost_usd:.6f}{unknown}, ${self.saved_usd:.6f} saved"

    def _repr_html_(self) -> str:
        """The totals as a notebook shows them."""
        rows = [
            (name, f"{one.calls:,}", f"{one.cost_usd:.6f}", f"{one.unknown:,}" if one.unknown else "")
            for name, one in sorted(self.models.items(), key=lambda item: -item[1].cost_usd)
        ]
        return paragraph(str(self)) + html_table(Table("", ("model", "calls", "$", "of unknown cost"), rows))

    def add(
        self, summary: Mapping[str, Any], usage: TokenUsage | None, *, cached: bool = False, key: Hashable = None
    ) -> None:
        """Count an answer.

        Args:
            summary: As returned by `Attempt.summary`.
            usage: Tokens reported by the provider, or None.
            cached: True if the answer came from the framework's cache and cost nothing.
            key: What tells the answer from others, if it may be shown more than once: it is counted once then.
        """
        with self._lock:
            if key is not None:
                if key in self._counted:
                    return
                self._counted.append(key)
            if cached:
                self.cached += 1
                return
            cost, best = summary["cost_usd"], summary["best_single"]["cost_usd"]
            self._count(cost, usage)
            self.models.setdefault(summary["model"], ModelTotals())._count(cost, usage)
            if best is not None and cost is not None:
                self.best_single_cost_usd += best
                self.compared_cost_usd += cost
