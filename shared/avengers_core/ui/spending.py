"""Sums of a ledger's rows as the page on spending shows them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ..ledger.budget import PICO, dollars
from ..ledger.rows import TOKEN_COLUMNS
from ..pricing.tariff import PriceSchedule
from ..pricing.types import TokenUsage

__all__ = ["Comparison", "ModelSpending", "Spending", "compare_with", "sum_up"]

#: Models that have a colour of their own in the picture; the others are one.
MOST_SERIES = 7


@dataclass
class ModelSpending:
    """What was spent on one model, or on all.

    Attributes:
        answers: Attempts that were answered.
        failed: Attempts that were not.
        fallbacks: Answers of a model that was asked because another one had failed.
        unknown: Attempts whose cost is unknown.
        cost_usd: US dollars, without those of unknown cost.
        expected_usd: US dollars that the attempts were expected to cost.
        input_tokens: Input tokens.
        output_tokens: Output tokens.
        seconds: Sum of the answers' durations.
    """

    answers: int = 0
    failed: int = 0
    fallbacks: int = 0
    unknown: int = 0
    cost_usd: Decimal = Decimal(0)
    expected_usd: Decimal = Decimal(0)
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0

    @property
    def attempts(self) -> int:
        """Answers and failures."""
        return self.answers + self.failed

    @property
    def mean_seconds(self) -> float | None:
        """Mean duration of an answer; None if there is none."""
        return self.seconds / self.answers if self.answers else None

    def add(self, row: Mapping[str, Any]) -> None:
        """Count a row of `LedgerReader.totals`."""
        attempts, answered = row["attempts"], row["status"] == "ok"
        self.answers += attempts * answered
        self.failed += attempts * (not answered)
        self.fallbacks += attempts * answered * row["fallback"]
        self.unknown += attempts * (not row["known"])
        self.cost_usd += dollars(row["picodollars"])
        self.expected_usd += dollars(row["expected_picodollars"])
        self.input_tokens += row["input_tokens"]
        self.output_tokens += row["output_tokens"]
        self.seconds += row["seconds"] * answered


@dataclass
class Spending:
    """What was spent in a period.

    Attributes:
        all: On all models.
        models: By model, the most expensive first.
        failures: Failed attempts by model and kind of failure, the most frequent first.
        days: Days (UTC) that have rows, in order.
        by_day: US dollars of each day, by model.
    """

    all: ModelSpending
    models: dict[str, ModelSpending]
    failures: list[tuple[str, str, int]]
    days: list[str]
    by_day: dict[str, list[float]]


@dataclass
class Comparison:
    """What the best single model would have cost for the same tokens.

    Attributes:
        model: The best single model.
        cost_usd: US dollars that it would have cost, at its price of today.
        real_usd: US dollars that these answers really cost.
        answers: Answers that are compared: those whose tokens and costs are known.
    """

    model: str
    cost_usd: Decimal
    real_usd: Decimal
    answers: int

    @property
    def saved_usd(self) -> Decimal:
        """US dollars saved."""
        return self.cost_usd - self.real_usd


@dataclass
class _Sums:
    all: ModelSpending = field(default_factory=ModelSpending)
    models: defaultdict[str, ModelSpending] = field(default_factory=lambda: defaultdict(ModelSpending))
    failures: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    days: defaultdict[str, defaultdict[str, float]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(float))
    )


def sum_up(rows: Iterable[Mapping[str, Any]]) -> Spending:
    """Totals of a period.

    Args:
        rows: From `LedgerReader.totals`.
    """
    sums = _Sums()
    for row in rows:
        sums.all.add(row)
        sums.models[row["model"]].add(row)
        sums.days[row["day"]][row["model"]] += row["picodollars"] / PICO
        if row["status"] != "ok":
            sums.failures[(row["model"], row["status"])] += row["attempts"]
    models = dict(sorted(sums.models.items(), key=lambda item: (-item[1].cost_usd, item[0])))
    days = sorted(sums.days)
    named = list(models)[:MOST_SERIES]
    by_day = {name: [sums.days[day][name] for day in days] for name in named}
    if len(models) > MOST_SERIES:
        rest = list(models)[MOST_SERIES:]
        by_day["others"] = [sum(sums.days[day][name] for name in rest) for day in days]
    failures = sorted(((*key, count) for key, count in sums.failures.items()), key=lambda one: (-one[2], one))
    return Spending(sums.all, models, failures, days, by_day)


def compare_with(model: str, schedule: PriceSchedule, rows: Sequence[Mapping[str, Any]]) -> Comparison | None:
    """What one model would have cost for the answers of a period; None if that is unknown.

    Args:
        model: Its id.
        schedule: Its prices.
        rows: From `LedgerReader.totals`.
    """
    cost = real = Decimal(0)
    answers = 0
    for row in rows:
        if row["status"] != "ok" or not (row["known"] and row["routed"] and row["attempts"]):
            continue
        amount = dollars(row["picodollars"])
        if row["model"] == model:
            one: Decimal | None = amount
        else:
            usage = TokenUsage(**{kind: row[kind] for kind in TOKEN_COLUMNS})
            one = schedule.cost_of_many(usage, row["attempts"])
        if one is not None:
            cost, real, answers = cost + one, real + amount, answers + row["attempts"]
    return Comparison(model, cost, real, answers) if answers else None
