"""What answers cost, for every pool: a model with a price has an expected cost."""

from __future__ import annotations

import random

import numpy as np
import pytest
from avengers_core import Price, Router, RouterEstimator
from avengers_core.catalog import default_catalog
from avengers_core.dispatch.factory import extended_router
from avengers_core.pricing.catalog import lookup_price
from avengers_core.pricing.tariff import PriceSchedule
from avengers_core.pricing.types import TokenUsage
from avengers_core.records import Record
from avengers_core.records.schema import Usage
from avengers_core.routing.extending import with_models

TEXTS = ["Write a haiku about a lake.", "Fix this GitHub issue: the parser fails on empty input.", "What is 17 * 23?"]


@pytest.fixture(scope="module")
def router() -> Router:
    return Router.load()


def pool(router: Router, *names: str, **prices: Price) -> Router:
    return extended_router(router, {name: name for name in names}, {name: prices[name] for name in prices})


@pytest.mark.parametrize(
    "names",
    [
        ("openai/gpt-5.1", "openai/gpt-5.1@low"),
        ("amazon/nova-pro-v1", "amazon/nova-2-lite-v1"),
        ("deepseek/deepseek-v3", "deepseek/deepseek-r1-0528"),
    ],
)
def test_models_whose_dollars_nobody_recorded_cost_what_their_price_says(
    router: Router, names: tuple[str, ...]
) -> None:
    one = pool(router, *names)
    assert np.isfinite([decision.costs for decision in one.route_many(TEXTS)]).all()
    cheapest = one.route(TEXTS[0], alpha=0)
    assert cheapest.expected_cost == cheapest.costs.min()
    assert one.route(TEXTS[0], max_cost=1.0).model in names
    beside = pool(router, *names, "gpt-5-mini")
    np.testing.assert_allclose(one.route(TEXTS[0]).costs, beside.route(TEXTS[0]).costs[:2], rtol=0.7)


def test_every_pool_of_priced_models_has_costs(router: Router) -> None:
    rng, priced = random.Random(0), sorted(router.prices)
    for _ in range(25):
        names = rng.sample(priced, 2)
        assert np.isfinite(pool(router, *names).route(TEXTS[1]).costs).all(), names


def test_a_free_model_costs_nothing(router: Router) -> None:
    names = ("gpt-5-mini", "gpt-5", "qwen/qwen3-8b")
    free = extended_router(router, {name: name for name in names}, {"qwen/qwen3-8b": Price(0, 0)})
    for text in TEXTS:
        decision = free.route(text, alpha=0)
        assert (decision.model, decision.expected_cost) == ("qwen/qwen3-8b", 0)
        assert free.route(text, max_cost=0).model == "qwen/qwen3-8b"
        for alpha in (0.0, 0.5, 1.0):
            assert free.route_many([text, *TEXTS], alpha=alpha)[0].model == free.route(text, alpha=alpha).model


def test_agent_runs_whose_dollars_nobody_knows_cost_as_much_as_calls() -> None:
    records = [
        Record(
            str(number), "issues", f"fix bug {number} of the parser", {"a": number % 2, "b": 1.0},
            {name: Usage(input_tokens=1e5, output_tokens=100, kind="agent_run") for name in "ab"},
        )
        for number in range(40)
    ]  # fmt: skip
    trained = RouterEstimator(2).fit(records).artifact_
    costs = Router(trained, prices={"a": Price(1, 2), "b": Price(3, 4)}).route("fix bug 7").costs
    assert np.isfinite(costs).all()
    assert costs[0] < costs[1]


def test_an_effort_is_more_than_none(router: Router) -> None:
    """A model that does not reason unless it is told to writes and costs more if it is told to reason a little."""
    for name in ("openai/gpt-5.4-mini", "openai/gpt-5.4"):
        wide = Router(with_models(router.artifact, [name, f"{name}@low"], strict=False))
        costs = pool(Router(wide.artifact, embedder=router.embedder), name, f"{name}@low").route(TEXTS[0]).costs
        assert costs[0] < costs[1]


def test_a_fee_for_each_request_is_no_price_of_tokens() -> None:
    price = lookup_price("perplexity:sonar-pro")
    assert price is not None
    assert (price.input, price.output) == (3, 15)


def test_a_contract_does_not_say_what_some_tokens_cost() -> None:
    schedule = PriceSchedule("x:y", Price(3.0, 15.0, cache_read=0.3, cache_write=3.75, input_audio=10.0))
    assert schedule.cost(TokenUsage(input_tokens=1000, output_tokens=0, cache_write_tokens=1000)) is not None
    hour = TokenUsage(input_tokens=1000, output_tokens=0, cache_write_tokens=1000, cache_write_1h_tokens=1000)
    assert schedule.cost(hour) is None
    cached_audio = TokenUsage(input_tokens=1000, output_tokens=0, cache_read_tokens=800, input_audio_tokens=800)
    assert schedule.cost(cached_audio) is None


def test_a_free_variant_is_free(router: Router) -> None:
    free = "openrouter/deepseek/deepseek-r1:free"
    price, price_id = default_catalog().price(free), default_catalog().price_id(free)
    assert price is not None
    assert (price.input, price.output, price_id) == (0, 0, "openrouter:deepseek/deepseek-r1:free")
    assert PriceSchedule(price_id).cost(TokenUsage(input_tokens=1000, output_tokens=1000)) == 0
    assert default_catalog() is default_catalog()
    paid = default_catalog().price(free.removesuffix(":free"))
    assert paid is not None
    assert paid.output > 0
    assert pool(router, free, "gpt-5-mini").route(TEXTS[0], alpha=0).model == free
