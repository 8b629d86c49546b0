"""What a point of score is worth at each alpha."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from avengers_core import Router, RouterEstimator
from avengers_core.records.loading import load_records
from avengers_core.records.partitions import LocalPartitions
from avengers_core.routing.artifact import load_artifact, save_artifact
from avengers_core.routing.exchange import (
    ExchangeRates,
    Probes,
    check_exchange,
    exchange_table,
    fixed_rate,
)
from avengers_core.routing.manifest import Artifact
from avengers_core.routing.scoring import best_by_utility, utilities
from avengers_core.training.encoding import encode_records
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.support.records import make_records

ALPHAS = np.linspace(0, 1, 201)


@st.composite
def expectations(draw: st.DrawFn) -> tuple[Any, Any, Any]:
    shape = (draw(st.integers(1, 12)), draw(st.integers(2, 5)))
    scores = draw(hnp.arrays(np.float64, shape, elements=st.integers(0, 100).map(lambda i: i / 100)))
    costs = draw(hnp.arrays(np.float64, shape, elements=st.integers(0, 10_000).map(lambda i: i * 1e-6)))
    weights = draw(hnp.arrays(np.float64, shape[0], elements=st.integers(1, 9).map(float)))
    return scores, costs, weights / weights.sum()


def mean_costs(scores: Any, costs: Any, weights: Any, rates: list[float]) -> Any:
    chosen = [best_by_utility(utilities(scores, costs, rate), scores, costs) for rate in rates]
    return np.array([weights @ costs[np.arange(len(costs)), choice] for choice in chosen])


@settings(max_examples=150, deadline=None)
@given(expectations())
def test_alpha_is_the_share_of_the_way_in_log_cost(problem: Any) -> None:
    """On the probes themselves, the distance from the straight line is half of the largest step at most."""
    scores, costs, weights = problem
    table = exchange_table(scores, costs, weights)
    ends = mean_costs(scores, costs, weights, [0.0, math.inf])
    if table is None:
        assert ends[0] == pytest.approx(ends[1], rel=1e-3, abs=1e-12)
        return
    rates = [table.rate(alpha) for alpha in ALPHAS]
    assert rates[0] == 0
    assert math.isinf(rates[-1])
    assert (np.diff(rates[:-1]) >= 0).all()
    means = mean_costs(scores, costs, weights, rates)
    assert (np.diff(means) >= -1e-15).all()
    levels = np.log(np.maximum(means, 1e-3 * ends[1]))
    span = levels[-1] - levels[0]
    logs = np.array(table.log_rates)
    between = np.exp((logs[1:] + logs[:-1]) / 2).tolist()
    steps = np.log(np.maximum(mean_costs(scores, costs, weights, [0.0, *between, math.inf]), 1e-3 * ends[1]))
    half = np.diff(steps).max() / 2
    assert np.abs(levels - levels[0] - ALPHAS * span).max() <= half + 0.02 * span + 1e-9


def test_two_models_by_hand() -> None:
    # One probe gains .5 for 9 more dollars, at the rate 18; the other .1 for the same, at 90. Mean costs: 1, 5.5, 10.
    table = exchange_table(np.array([[0.0, 0.5], [0.0, 0.1]]), np.array([[1.0, 10.0]] * 2), np.array([0.5, 0.5]))
    assert table is not None
    first, second = math.log10(5.5) / 2, (math.log10(5.5) + 1) / 2
    np.testing.assert_allclose(table.alphas, [first, second])
    np.testing.assert_allclose(np.exp(table.log_rates), [18, 90])
    assert table.rate(first / 2) == pytest.approx(9)
    assert table.rate((1 + second) / 2) == pytest.approx(180)


def test_a_free_model_an_unknown_cost_and_equal_models() -> None:
    scores, costs = np.array([[0.2, 0.9, 1.0, 0.2]]), np.array([[0.0, 1e-3, np.inf, 0.0]])
    rates = ExchangeRates(1e-3, Probes(scores, costs, np.ones(1)))
    table = rates.table(np.array([0, 1, 2]))
    assert table is not None
    assert np.isfinite(table.log_rates).all(), "the model of unknown cost does not count"
    assert 0 < rates.rate(0.2, np.array([0, 1]), "even") < rates.rate(0.8, np.array([0, 1]), "even") < math.inf
    for alike in (np.array([0, 3]), np.array([1]), np.array([1, 2])):
        assert rates.rate(0.5, alike, "even") == rates.rate(0.5, alike, "fixed") == fixed_rate(0.5, 1e-3)


def test_few_tables_are_kept() -> None:
    rates = ExchangeRates(1e-3, Probes(np.eye(2, 3), np.array([[1.0, 2.0, 3.0]] * 2), np.full(2, 0.5)))
    for seed in range(2000):
        rates.table(np.random.default_rng(seed).choice(3, 2 + seed % 2, replace=False))
    assert len(rates._tables) <= 1024


@pytest.mark.parametrize("wrong", ["Even", "", 1, True])
def test_an_unknown_exchange_is_refused(router: Router, wrong: Any) -> None:
    with pytest.raises(ValueError, match="exchange must be one of even, fixed"):
        check_exchange(wrong)
    with pytest.raises(ValueError, match="exchange must be one of even, fixed"):
        router.route("x", exchange=wrong)
    with pytest.raises(ValueError, match="exchange must be one of even, fixed"):
        RouterEstimator(exchange=wrong).fit(make_records(30))


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return RouterEstimator(3, n_probes=40).fit(make_records(200)).artifact_


@pytest.fixture(scope="module")
def router(artifact: Artifact) -> Router:
    return Router(artifact)


def test_the_fixed_exchange_is_the_formula(router: Router) -> None:
    scale = router.artifact.manifest.typical_cost
    for alpha in (0.0, 0.3, 0.8, 1.0):
        decision = router.route("2 + 2", alpha=alpha, exchange="fixed")
        assert decision.exchange_rate == fixed_rate(alpha, scale)
        utility = utilities(decision.scores, decision.costs, decision.exchange_rate)
        np.testing.assert_allclose(decision.totals, utility)


def test_expected_costs_never_fall_and_the_ends_are_the_cheapest_and_the_best(router: Router) -> None:
    for text in ("2 + 2", "Write a sonnet about rain.", "def f(x): return x"):
        decisions = [router.route(text, alpha=alpha) for alpha in np.linspace(0, 1, 51).tolist()]
        spent = [decision.expected_cost for decision in decisions]
        assert spent == sorted(spent)
        assert spent[0] == decisions[0].costs.min()
        assert decisions[-1].expected_score == decisions[-1].scores.max()


@pytest.mark.parametrize("exchange", ["even", "fixed"])
@pytest.mark.parametrize("alpha", [5e-324, 2e-313, 1e-160, 1e-9, 1 - 1e-9, 1 - 2**-53])
def test_the_smallest_and_the_largest_alphas(router: Router, alpha: float, exchange: str) -> None:
    end = router.route("2 + 2", alpha=round(alpha))
    assert router.route("2 + 2", alpha=alpha, exchange=exchange).expected_cost == pytest.approx(end.expected_cost)


@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
def test_no_query_at_all(alpha: float) -> None:
    assert Router.load().route_many([], alpha=alpha) == []


def test_choose_and_route_agree(router: Router) -> None:
    texts, alphas = ["2 + 2", "Write a sonnet about rain."], np.array([0.0, 0.35, 0.7, 1.0])
    chosen, names = router.choose(router.embed(texts), texts, alphas=alphas)
    for alpha, row in zip(alphas.tolist(), chosen, strict=True):
        assert [names[position] for position in row] == [d.model for d in router.route_many(texts, alpha=alpha)]


def test_probes_survive_a_file_and_hold_no_text(artifact: Artifact, tmp_path: Path) -> None:
    saved = load_artifact(save_artifact(artifact, tmp_path / "a.zip"))
    assert artifact.probes is not None
    assert saved.probes is not None
    assert saved.manifest.n_probes == len(saved.probes) == 40
    np.testing.assert_array_equal(saved.probes, artifact.probes)
    every = np.arange(len(artifact.models))
    assert Router(saved).exchange_rates.rate(0.4, every, "even") == Router(artifact).exchange_rates.rate(
        0.4, every, "even"
    )


def test_an_older_artifact_gets_a_table(artifact: Artifact, tmp_path: Path) -> None:
    manifest = msgspec.structs.replace(artifact.manifest, schema_version=2, n_probes=0)
    old = dataclasses.replace(artifact, manifest=manifest, probes=None)
    router = Router.load(save_artifact(old, tmp_path / "old.zip"))
    assert router.artifact.manifest.settings.exchange == "even"
    table = router.exchange_rates.table(np.arange(len(router.models)))
    assert table is not None
    assert (np.diff(table.log_rates) >= 0).all()
    without = RouterEstimator(3, n_probes=0).fit(make_records(200)).router_
    assert without.artifact.probes is None
    assert without.route("2 + 2", alpha=0.5).exchange_rate > 0


def test_probes_do_not_depend_on_how_records_are_partitioned() -> None:
    estimator = RouterEstimator(3, n_probes=40)
    table = encode_records(load_records(make_records(200)), Router.load().embedder)
    halves = [table.rows(np.arange(120)), table.rows(np.arange(120, 200))]
    whole = estimator.fit_partitions(LocalPartitions([table]), table.models, table.datasets, Router.load().embedder)
    one = whole.artifact_.probes
    both = estimator.fit_partitions(LocalPartitions(halves), table.models, table.datasets, Router.load().embedder)
    np.testing.assert_array_equal(one, both.artifact_.probes)
    assert one is not None
    assert len(np.unique(one, axis=0)) == 40


@pytest.mark.parametrize("wrong", [-1, 4097, 1.5, True])
def test_a_wrong_number_of_probes_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="n_probes must be"):
        RouterEstimator(n_probes=wrong).fit(make_records(30))


def test_a_long_query_among_the_probes_stays_finite() -> None:
    records = make_records(60)
    records[0] = msgspec.structs.replace(records[0], query="word " * 40_000)
    probes = RouterEstimator(2, n_probes=60).fit(records).artifact_.probes
    assert probes is not None
    assert np.isfinite(probes).all()
