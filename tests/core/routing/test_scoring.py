"""`Reference` and `Simple` against plain loops written from the paper (arXiv 2508.12631); what `Utility` promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
from avengers_core import Router, RouterEstimator
from avengers_core.routing.exchange import fixed_rate
from avengers_core.routing.scorers import SCORERS, Expectations, Reference, Simple, Utility
from avengers_core.routing.scoring import SCORINGS, check_alpha, check_exploration, check_scoring, utility_choice
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

NAN = math.nan


def plain_reference(query, centers, accuracy, cost, weight, sensitivity, threshold, top_k, beta, simple):
    """The model that Avengers-Pro chooses, in loops over lists; None entries: no answers in that cluster.

    An unknown cost counts as the highest one there; Avengers-Pro has no unknown costs.
    """
    models = range(len(accuracy[0]))
    rankings = []
    for cluster in range(len(centers)):
        here = [m for m in models if accuracy[cluster][m] is not None]
        scores = {}
        if here:
            low, high = min(accuracy[cluster][m] for m in here), max(accuracy[cluster][m] for m in here)
            dearest = max(cost[cluster][m] or 0.0 for m in here)
            paid = {m: dearest if cost[cluster][m] is None else cost[cluster][m] for m in here}
        for m in here:
            acc = accuracy[cluster][m]
            if simple:
                scores[m] = acc
                continue
            norm = 1.0 if high == low else (acc - low) / (high - low)
            cheap = 1.0 - (paid[m] / dearest if dearest > 0 else 0.0)
            scores[m] = 0.0 if acc < threshold else weight * norm + sensitivity * cheap
        rankings.append(sorted(here, key=lambda m: (-scores[m], m)))
    distances = [1 - sum(float(a) * float(b) for a, b in zip(query, c, strict=True)) for c in centers]
    near = sorted(range(len(centers)), key=lambda c: (distances[c], c))[:top_k]
    raw = [math.exp(-beta * (distances[c] - distances[near[0]])) for c in near]
    totals = dict.fromkeys(models, 0.0)
    for c, r in zip(near, raw, strict=True):
        for rank, m in enumerate(rankings[c], start=1):
            totals[m] += r / sum(raw) / rank
    return max(models, key=lambda m: (totals[m], -m)), totals


def batch_of(queries, m):
    """Queries for a scorer that ranks by clusters, which takes no notice of expectations."""
    return Expectations(queries, np.arange(m), np.zeros((len(queries), m)), np.zeros((len(queries), m)))


def check_against_loop(queries, centers, accuracy, cost, weight, sensitivity, threshold, top_k, beta, simple=False):
    if simple:
        scorer = Simple(centers, accuracy, top_k, beta)
    else:
        scorer = Reference(
            centers,
            accuracy,
            top_k,
            beta,
            mean_cost=cost,
            performance_weight=weight,
            cost_sensitivity=sensitivity,
            min_accuracy_threshold=threshold,
        )
    batch = batch_of(queries, accuracy.shape[1])
    totals = scorer.totals(batch, 0.5, 1e-3)  # the weights stand in place of alpha
    choices = scorer.choice(batch, totals)
    none = lambda a: [[None if math.isnan(v) else float(v) for v in row] for row in a]  # noqa: E731
    for row, query in enumerate(queries):
        model, expected = plain_reference(
            query, centers, none(accuracy), none(cost), weight, sensitivity, threshold, top_k, beta, simple
        )
        np.testing.assert_allclose(totals[row], list(expected.values()), rtol=1e-5)
        ordered = sorted(expected.values())
        if len(ordered) == 1 or ordered[-1] - ordered[-2] > 1e-5:
            assert choices[row] == model
        assert scorer.ranking(totals[row], *(np.zeros_like(totals[row]),) * 2)[0] == choices[row]
    return choices


# Multiples of an eighth: exact in floating point, so that a tie is a tie in both programs.
eighths = st.integers(-8, 8).map(lambda i: i / 8)
unit = st.integers(0, 8).map(lambda i: i / 8)


@st.composite
def problems(draw):
    k, m, d, n = (draw(st.integers(1, high)) for high in (5, 5, 3, 4))
    empty = draw(st.booleans())
    accuracy = draw(hnp.arrays(np.float64, (k, m), elements=unit))
    cost = draw(hnp.arrays(np.float64, (k, m), elements=st.integers(0, 4).map(lambda i: i / 4)))
    holes = draw(hnp.arrays(bool, (k, m), elements=st.booleans())) if empty else np.zeros((k, m), bool)
    accuracy[holes] = NAN
    return (
        draw(hnp.arrays(np.float32, (n, d), elements=eighths)),
        draw(hnp.arrays(np.float32, (k, d), elements=eighths)),
        accuracy,
        np.where(holes, NAN, cost),
    )


@settings(max_examples=300, deadline=None)
@given(problems(), unit, unit, unit, st.integers(1, 6), st.booleans())
def test_reference_is_the_plain_loop(problem, weight, sensitivity, threshold, top_k, simple):
    check_against_loop(*problem, weight, sensitivity, threshold, top_k, 9.0, simple)


def test_reference_on_random_floats():
    rng = np.random.default_rng(0)
    for _ in range(20):
        queries, centers = rng.normal(size=(30, 8)).astype(np.float32), rng.normal(size=(7, 8)).astype(np.float32)
        accuracy, cost = rng.random((7, 6)), rng.random((7, 6))
        alpha = rng.random()
        check_against_loop(queries, centers, accuracy, cost, alpha, 1 - alpha, 0.3, 3, 9.0)


@pytest.mark.parametrize(
    ("accuracy", "cost", "alpha", "threshold", "winner"),
    [
        ([[0.5, 0.5, 0.5]], [[3.0, 1.0, 2.0]], 0.4, 0.0, 1),  # equal accuracies: the cheapest
        ([[0.7]], [[1.0]], 0.5, 0.0, 0),  # one model
        ([[0.2, 0.9]], [[0.0, 0.0]], 0.5, 0.0, 1),  # zero cost
        ([[0.2, 0.9]], [[0.0, 1.0]], 0.0, 0.0, 0),  # cost only
        ([[0.2, 0.9]], [[0.0, 1.0]], 0.0, 0.5, 1),  # below the threshold a model scores 0: a tie at 0 goes ...
        ([[0.5, 0.5]], [[1.0, 1.0]], 0.5, 0.0, 0),  # a tie: the first
        ([[0.1, 0.9]], [[NAN, 1.0]], 0.4, 0.0, 1),  # an unknown cost counts as the highest
    ],
)
def test_reference_on_degenerate_inputs(accuracy, cost, alpha, threshold, winner):
    query = np.ones((1, 2), np.float32)
    arrays = np.array(accuracy), np.array(cost)
    choices = check_against_loop(query, np.ones((1, 2), np.float32), *arrays, alpha, 1 - alpha, threshold, 3, 9.0)
    if threshold == 0:
        assert choices[0] == winner


def test_reference_skips_an_empty_cluster():
    centers = np.array([[1, 0], [0.9, 0]], np.float32)
    accuracy = np.array([[NAN, NAN], [0.1, 0.9]])
    choices = check_against_loop(np.array([[1, 0]], np.float32), centers, accuracy, accuracy, 1, 0, 0, 2, 9.0)
    assert choices[0] == 1


def recorded(router, models):
    """Mean score and cost of some models by cluster, as lists with None where there is none; costs at their prices."""
    statistics = router.artifact.statistics
    clusters, columns = range(len(router.artifact.centers)), [router.models.index(name) for name in models]
    mean = lambda total, n: float(total) / float(n) if n else None  # noqa: E731

    def cost(*cell):
        price = router.prices[router.models[cell[1]]]
        if price.source == "records":
            return mean(statistics.cost_sum[cell], statistics.n_with_cost[cell])
        read, written = statistics.tokens[cell][:2]
        return mean((read * price.input + written * price.output) / 1e6, statistics.n_with_usage[cell])

    accuracy = [[mean(statistics.score_sum[c, m], statistics.n_answers[c, m]) for m in columns] for c in clusters]
    return accuracy, [[cost(c, m) for m in columns] for c in clusters]


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("simple", [False, True])
def test_the_router_ranks_as_the_plain_loop(alpha, simple):
    router = Router.load("zeroeval")
    models = router.models[1:9]
    accuracy, cost = recorded(router, models)
    texts = ["What is 17 * 23?", "Zebra puzzle: who owns the fish?", "Prove it. A. yes B. no", "a poem", "def f(x):"]
    decisions = router.route_many(texts, alpha=alpha, scoring="simple" if simple else "reference", models=models)
    for vector, decision in zip(router.embed(texts), decisions, strict=True):
        model, totals = plain_reference(
            vector, router.artifact.centers, accuracy, cost, alpha, 1 - alpha, 0.0, 3, 9.0, simple
        )
        assert decision.candidates == models
        assert decision.model == models[model]
        np.testing.assert_allclose(decision.totals, list(totals.values()), rtol=1e-4)
        assert not decision.weighs_costs


def test_weights_take_the_place_of_alpha(estimator: RouterEstimator) -> None:
    router = estimator.router_
    query = "write a poem about river 9 and love (3)"
    by_alpha = router.route(query, scoring="reference", alpha=0.3)
    by_weight = router.route(query, scoring="reference", alpha=0.9, performance_weight=0.3, cost_sensitivity=0.7)
    np.testing.assert_array_equal(by_alpha.totals, by_weight.totals)
    mixed = router.route(query, scoring="reference", alpha=0.3, performance_weight=0.3)
    np.testing.assert_array_equal(by_alpha.totals, mixed.totals)
    for scoring in ("utility", "simple"):
        plain, weighted = (
            router.route(query, scoring=scoring, alpha=0.3, **weights) for weights in ({}, {"performance_weight": 9})
        )
        np.testing.assert_array_equal(plain.totals, weighted.totals)


def test_every_scoring_has_a_scorer():
    assert tuple(SCORERS) == SCORINGS
    assert {name: scorer.weighs_costs for name, scorer in SCORERS.items()} == {
        "utility": True,
        "reference": False,
        "simple": False,
    }


def test_only_utility_needs_costs_and_not_at_alpha_one():
    utility = Utility()
    assert utility.requires_known_cost(0.99)
    assert not utility.requires_known_cost(1)
    simple = Simple(np.ones((1, 1), np.float32), np.ones((1, 1)))
    assert not simple.requires_known_cost(0)


grid = st.integers(0, 1000).map(lambda i: i / 1000)


@st.composite
def expectations(draw):
    m = draw(st.integers(1, 8))
    scores = draw(hnp.arrays(np.float64, m, elements=grid))
    costs = draw(hnp.arrays(np.float64, m, elements=st.integers(0, 10_000).map(lambda i: i * 1e-6)))
    return scores, costs


def utility_order(scores, costs, alpha, typical_cost):
    """Positions by utility, best first."""
    utility = Utility()
    batch = Expectations(np.zeros((1, 1), np.float32), np.arange(len(scores)), scores[None], costs[None])
    totals = utility.totals(batch, alpha, fixed_rate(alpha, typical_cost))
    order = utility.ranking(totals[0], scores, costs)
    assert utility.choice(batch, totals)[0] == order[0]
    return order


@settings(max_examples=500, deadline=None)
@given(expectations(), st.lists(grid, min_size=2, max_size=12), st.sampled_from([1e-5, 1e-3, 1.0]))
def test_expected_cost_never_falls_as_alpha_rises(problem, alphas, scale):
    scores, costs = problem
    chosen = [utility_order(scores, costs, alpha, scale)[0] for alpha in sorted({0.0, *alphas, 1.0})]
    spent = costs[chosen]
    assert (np.diff(spent) >= 0).all()
    assert (np.diff(scores[chosen]) >= 0).all()


@settings(max_examples=300, deadline=None)
@given(expectations(), grid)
def test_utility_ends_and_dominance(problem, alpha):
    scores, costs = problem
    best = utility_order(scores, costs, 1.0, 1e-3)[0]
    assert scores[best] == scores.max()
    assert costs[best] == costs[scores == scores.max()].min()
    cheapest = utility_order(scores, costs, 0.0, 1e-3)[0]
    assert costs[cheapest] == costs.min()
    chosen = utility_order(scores, costs, alpha, 1e-3)[0]
    dominated = (scores >= scores[chosen]) & (costs <= costs[chosen])
    dominated &= (scores > scores[chosen]) | (costs < costs[chosen])
    assert not dominated.any()


@settings(max_examples=200, deadline=None)
@given(expectations(), grid)
def test_vectorised_choice_is_the_first_of_the_order(problem, alpha):
    scores, costs = problem
    first = utility_order(scores, costs, alpha, 1e-3)[0]
    assert utility_choice(scores[None], costs[None], alpha, 1e-3)[0] == first
    many = Expectations(
        np.zeros((2, 1), np.float32), np.arange(len(scores)), np.stack([scores] * 2), np.stack([costs] * 2)
    )
    utility = Utility()
    rate = fixed_rate(alpha, 1e-3)
    assert (utility.choice(many, utility.totals(many, alpha, rate)) == first).all()


@pytest.mark.parametrize("value", [-0.1, 1.1, NAN, True, "x", [1], None])
def test_shares_are_checked(value):
    with pytest.raises(ValueError, match="alpha must be a number"):
        check_alpha(value)
    with pytest.raises(ValueError, match="exploration must be a share"):
        check_exploration(value)


@pytest.mark.parametrize("value", ["magic", "", None, 1, ["utility"]])
def test_scoring_is_checked(value):
    with pytest.raises(ValueError, match="scoring must be one of utility, reference, simple"):
        check_scoring(value)
