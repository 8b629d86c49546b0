"""``min_quality`` and ``max_cost``: what to say instead of alpha."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from avengers_core import NoCandidateError, RouteOptions, Router, RouterEstimator
from avengers_core.routing.candidates import UNPRICED, Candidates
from avengers_core.routing.options import merge_overrides
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.records import make_records

TEXTS = ("2 + 2", "Write a sonnet about rain.", "def f(x): return x", "Name the capital of Peru.")
shares = st.floats(0, 1)


@pytest.fixture(scope="module")
def router() -> Router:
    return RouterEstimator(4).fit(make_records(200)).router_


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(TEXTS), shares)
def test_the_cheapest_that_reaches_the_quality_is_chosen(router: Router, text: str, min_quality: float) -> None:
    decision = router.route(text, min_quality=min_quality)
    least = min_quality * decision.scores.max()
    assert decision.expected_score >= least
    assert decision.expected_cost == decision.costs[decision.scores >= least].min()
    ranked = [decision.candidates.index(name) for name in decision.ranking]
    reached = decision.scores[ranked] >= least
    assert (np.diff(reached.astype(int)) <= 0).all(), "those that reach it come first"
    assert (np.diff(decision.costs[ranked][reached]) >= 0).all()
    assert (np.diff(decision.scores[ranked][~reached]) <= 0).all()
    assert 0.5 <= decision.confidence <= 1


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(TEXTS), shares, st.one_of(st.none(), shares), st.one_of(st.none(), shares))
def test_no_choice_is_expected_to_cost_more_than_the_limit(
    router: Router, text: str, place: float, alpha: float | None, min_quality: float | None
) -> None:
    every = router.route(text, alpha=1)
    low, high = np.log(every.costs.min()), np.log(every.costs.max())
    limit = float(np.exp(low + place * (high - low) * 1.1 + 1e-9))
    decision = router.route(text, max_cost=limit, alpha=alpha, min_quality=min_quality)
    within = every.costs <= limit
    assert decision.candidates == [name for name, fits in zip(every.candidates, within, strict=True) if fits]
    assert decision.expected_cost <= limit
    dear = {name: why for name, why in decision.excluded.items() if name not in every.excluded}
    assert set(dear) == set(every.candidates) - set(decision.candidates)
    assert all("more than max_cost" in why for why in dear.values())
    best = every.scores[within].max()
    if min_quality is not None:
        assert decision.expected_score >= min_quality * best
        assert decision.expected_cost == every.costs[within & (every.scores >= min_quality * best)].min()
    elif alpha is None:
        assert decision.expected_score == best
        assert decision.expected_cost == every.costs[within & (every.scores == best)].min()


def test_a_limit_below_every_model(router: Router) -> None:
    with pytest.raises(NoCandidateError, match=r"expected to cost \$.*, more than max_cost \(\$1e-12\)") as raised:
        router.route("hi", max_cost=1e-12)
    assert set(raised.value.reasons) == set(router.models)


def test_the_ends_of_min_quality(router: Router) -> None:
    for text in TEXTS:
        assert router.route(text, min_quality=0).model == router.route(text, alpha=0).model
        assert router.route(text, min_quality=1).model == router.route(text, alpha=1).model


def test_exploration_keeps_to_what_was_wanted(router: Router) -> None:
    plain = router.route(TEXTS[1], min_quality=0.7)
    reached = {
        name for name, score in zip(plain.candidates, plain.scores, strict=True) if score >= 0.7 * plain.scores.max()
    }
    assert 1 < len(reached) < len(plain.candidates)
    seen = [router.route(TEXTS[1], min_quality=0.7, exploration=1.0) for _ in range(200)]
    assert {decision.model for decision in seen} == reached
    assert {decision.propensity for decision in seen} == {1 / len(reached)}


def test_batches_and_single_queries_agree(router: Router) -> None:
    limit = float(np.median(router.route(TEXTS[0]).costs))
    many = router.route_many(TEXTS, max_cost=limit, min_quality=0.9)
    assert [one.model for one in many] == [router.route(t, max_cost=limit, min_quality=0.9).model for t in TEXTS]
    extra = {many[0].model: 1.0}
    assert many[0].model in router.route(TEXTS[0], max_cost=limit, extra_cost=extra).excluded


def test_a_model_of_unknown_cost_is_not_within_a_limit() -> None:
    every = Candidates(np.arange(3), ("a", "b", "c"), True, {})
    within = every.within_cost(np.array([0.1, np.nan, 0.3]), 0.2)
    assert within.names == ("a",)
    assert within.columns.tolist() == [0]
    assert within.ineligible == {"b": UNPRICED, "c": "expected to cost $0.3, more than max_cost ($0.2)"}
    assert every.within_cost(np.array([0.1, 0.2, 0.3]), 0.3) is every


def test_explanations_say_what_was_wanted(router: Router) -> None:
    decision = router.route(TEXTS[0], min_quality=0.8)
    assert decision.explain().startswith(
        f"As the cheapest with 80% of the best expected score or more, {decision.model}"
    )
    assert decision.to_dict()["min_quality"] == 0.8
    assert router.route(TEXTS[0], alpha=0.3).to_dict()["min_quality"] is None


@pytest.mark.parametrize("wrong", [-0.1, 1.1, math.nan, True, "much", [1]])
def test_a_wrong_min_quality(router: Router, wrong: Any) -> None:
    with pytest.raises(ValueError, match="min_quality must be a share of the best expected score"):
        router.route("hi", min_quality=wrong)


@pytest.mark.parametrize("wrong", [-1, math.nan, math.inf, True, "cheap", [1]])
def test_a_wrong_max_cost(router: Router, wrong: Any) -> None:
    with pytest.raises(ValueError, match="max_cost must be a number of US dollars"):
        router.route("hi", max_cost=wrong)


@pytest.mark.parametrize("scoring", ["reference", "simple"])
def test_min_quality_needs_expected_scores(router: Router, scoring: str) -> None:
    with pytest.raises(ValueError, match=f"min_quality needs the scoring utility, not {scoring}"):
        router.route("hi", min_quality=0.9, scoring=scoring)
    assert router.route("hi", max_cost=1.0, scoring=scoring).model in router.models


def test_what_is_nearest_to_the_call_wins() -> None:
    options = RouteOptions(min_quality=0.9)
    assert options.override({"alpha": 0.4}).min_quality is None
    assert options.override({"alpha": 0.4, "min_quality": 0.8}).min_quality == 0.8
    assert options.override({"max_cost": 1.0}).min_quality == 0.9
    assert RouteOptions(alpha=0.4).override({"min_quality": 0.9}).min_quality == 0.9
    assert merge_overrides({"min_quality": 0.9, "sticky": False}, {"alpha": 0.4}) == {"sticky": False, "alpha": 0.4}
    assert merge_overrides({"min_quality": 0.9}, {"max_cost": 1.0}) == {"min_quality": 0.9, "max_cost": 1.0}
