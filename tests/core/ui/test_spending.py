from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from avengers_core.pricing.tariff import PriceSchedule
from avengers_core.pricing.types import Price, TokenUsage
from avengers_core.ui.spending import MOST_SERIES, compare_with, sum_up


def row(**given: Any) -> dict[str, Any]:
    usage = dict.fromkeys(TokenUsage.__struct_fields__, 0)
    plain = {
        "day": "2026-11-20", "model": "small", "provider": "openai", "status": "ok", "fallback": 0, "routed": 1,
        "known": 1, "attempts": 2, "picodollars": 3 * 10**12, "expected_picodollars": 2 * 10**12, "seconds": 4.0,
    }  # fmt: skip
    return {**plain, **usage, "input_tokens": 1000, "output_tokens": 100, **given}


def test_totals_by_model_and_day() -> None:
    rows = [
        row(),
        row(day="2026-11-21", model="large", picodollars=5 * 10**12, fallback=1),
        row(model="large", status="timeout", picodollars=0, known=0, attempts=3),
    ]
    spending = sum_up(rows)
    assert (spending.all.answers, spending.all.failed, spending.all.fallbacks, spending.all.unknown) == (4, 3, 2, 3)
    assert spending.all.cost_usd == 8
    assert list(spending.models) == ["large", "small"]
    assert spending.models["small"].mean_seconds == 2.0
    assert spending.days == ["2026-11-20", "2026-11-21"]
    assert spending.by_day == {"large": [0.0, 5.0], "small": [3.0, 0.0]}
    assert spending.failures == [("large", "timeout", 3)]


def test_models_beyond_the_colours_are_drawn_as_one() -> None:
    rows = [row(model=f"model{number:02}", picodollars=(20 - number) * 10**12) for number in range(10)]
    by_day = sum_up(rows).by_day
    assert len(by_day) == MOST_SERIES + 1
    assert by_day["others"] == [11.0 + 12 + 13]


def test_the_best_single_model_would_have_cost() -> None:
    schedule = PriceSchedule(price=Price(input=2.0, output=10.0, cache_read=0.2))
    rows = [
        row(cache_read_tokens=500),
        row(model="large", picodollars=7 * 10**12),
        row(known=0, picodollars=0),  # neither side is known
        row(status="timeout"),
        row(routed=0),
    ]
    found = compare_with("large", schedule, rows)
    assert found is not None
    alone = (Decimal(500) * 2 + Decimal(500) * Decimal("0.2") + 100 * 10) / 10**6
    assert (found.cost_usd, found.real_usd, found.answers) == (alone + 7, Decimal(10), 4)
    assert found.saved_usd == alone - 3
    assert compare_with("large", PriceSchedule(), [row()]) is None


@pytest.mark.parametrize("price_id", ["openai:gpt-4o", "anthropic:claude-sonnet-4-5", "google:gemini-2.5-pro"])
def test_many_calls_cost_what_each_costs(price_id: str) -> None:
    """Exactly where prices are linear; within a call's tiers where they are not."""
    schedule = PriceSchedule.find([price_id])
    one = TokenUsage(input_tokens=1200, output_tokens=300, cache_read_tokens=200)
    total = TokenUsage(input_tokens=1_200_000, output_tokens=300_000, cache_read_tokens=200_000)
    cost = schedule.cost(one)
    assert cost is not None
    assert schedule.cost_of_many(total, 1000) == cost * 1000
