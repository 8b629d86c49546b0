"""Figures of merit of a router, as pure functions of its points: accuracy and cost at each setting.

Accuracies are fractions, costs are US dollars a query. Each docstring names the source of its formula.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._utils.results import Result
from ..errors import MissingExtraError
from ..routing.exchange import FREE_SHARE
from ..routing.statistics import Array

__all__ = [
    "FIGURES",
    "CurveFigures",
    "PairedTest",
    "aiq",
    "apgr",
    "budget_auc",
    "cost_save",
    "cpt",
    "curve_figures",
    "hypervolume",
    "oracle_gap",
    "oracle_share",
    "paired_test",
    "pareto_front",
    "perf_gain",
    "routerarena_score",
]


def budget_auc(cost: ArrayLike, accuracy: ArrayLike, low: float, high: float, *, budgets: int = 200) -> float:
    """Mean over log-spaced budgets of the best accuracy within the budget.

    The area under the step function of accuracy against the logarithm of cost, divided by its width.

    Args:
        cost: (s,) US dollars a query at each setting.
        accuracy: (s,) accuracy at each setting.
        low: Smallest budget: US dollars a query of the cheapest single model; of a free one, a thousandth of ``high``.
        high: Largest budget: US dollars a query of the most expensive single model.
        budgets: Number of budgets. For those below the cheapest setting, the accuracy of that setting counts.
    """
    cost, accuracy = _points(cost, accuracy)
    order = np.argsort(cost, kind="stable")
    best = np.maximum.accumulate(accuracy[order])
    if high <= 0:
        return float(best[-1])
    limits = np.geomspace(low if low > 0 else FREE_SHARE * high, high, budgets) * (1 + 1e-9)
    reached = np.searchsorted(cost[order], limits, side="right") - 1
    return float(best[np.maximum(reached, 0)].mean())


def pareto_front(cost: ArrayLike, accuracy: ArrayLike) -> Array:
    """Indices of the settings that no other setting dominates (at most the cost, at least the accuracy), by cost."""
    cost, accuracy = _points(cost, accuracy)
    order = np.lexsort((-accuracy, cost))
    best = np.maximum.accumulate(np.concatenate(([-np.inf], accuracy[order][:-1])))
    return np.asarray(order[accuracy[order] > best])


def hypervolume(cost: ArrayLike, accuracy: ArrayLike, low: float, high: float) -> float:
    """Share of the box ``[low, high] x [0, 1]`` that the settings dominate (Zitzler and Thiele 1999).

    Args:
        cost: (s,) US dollars a query at each setting.
        accuracy: (s,) accuracy at each setting.
        low: US dollars a query of the cheapest single model.
        high: US dollars a query of the most expensive single model.
    """
    cost, accuracy = _points(cost, accuracy)
    front = pareto_front(cost, accuracy)
    edges = np.clip(np.append(cost[front], high), low, high)
    return float((np.diff(edges) * accuracy[front]).sum() / (high - low)) if high > low else math.nan


def aiq(cost: ArrayLike, accuracy: ArrayLike, low: float, high: float) -> float:
    """Average improvement in quality: mean height of the points' non-decreasing convex hull over ``[low, high]``.

    From RouterBench (arXiv 2403.12031). Left of the cheapest point the hull has the height of that point, and right of
    the most accurate point the height of that one.

    Args:
        cost: (s,) US dollars a query at each setting.
        accuracy: (s,) accuracy at each setting.
        low: US dollars a query of the cheapest single model.
        high: US dollars a query of the most expensive single model.
    """
    cost, accuracy = _points(cost, accuracy)
    front = pareto_front(cost, accuracy)
    hull: list[int] = []
    for point in front:
        while len(hull) > 1 and _below(cost, accuracy, hull[-2], hull[-1], point):
            hull.pop()
        hull.append(int(point))
    grid = np.unique(np.concatenate((np.clip(cost[hull], low, high), [low, high])))
    heights = np.interp(grid, cost[hull], accuracy[hull])
    return _area(grid, heights) / (high - low) if high > low else math.nan


def _below(cost: Array, accuracy: Array, first: int, middle: int, last: int) -> bool:
    """Whether the middle point lies on or below the line from the first to the last."""
    rise = (accuracy[last] - accuracy[first]) * (cost[middle] - cost[first])
    return bool((accuracy[middle] - accuracy[first]) * (cost[last] - cost[first]) <= rise)


def perf_gain(accuracy: ArrayLike, best_single: float) -> float:
    """Relative gain of the best setting over the best single model (Avengers-Pro, arXiv 2508.12631).

    Args:
        accuracy: (s,) accuracy at each setting.
        best_single: Accuracy of the best single model.
    """
    return float(np.max(accuracy) / best_single - 1)


def cost_save(cost: ArrayLike, accuracy: ArrayLike, best_single: float, best_single_cost: float) -> float:
    """Share of the best single model's cost that the cheapest setting of at least its accuracy saves.

    NaN if no setting is as accurate (Avengers-Pro, arXiv 2508.12631).

    Args:
        cost: (s,) US dollars a query at each setting.
        accuracy: (s,) accuracy at each setting.
        best_single: Accuracy of the best single model.
        best_single_cost: US dollars a query of that model.
    """
    cost, accuracy = _points(cost, accuracy)
    enough = accuracy >= best_single - 1e-12
    return float(1 - cost[enough].min() / best_single_cost) if enough.any() else math.nan


def oracle_gap(accuracy: float, oracle: float) -> float:
    """How far the accuracy is below the oracle's, as a share of the oracle's."""
    return 1 - accuracy / oracle if oracle else math.nan


def oracle_share(accuracy: float, best_single: float, oracle: float) -> float:
    """Share of the way from the best single model's accuracy to the oracle's. NaN if there is no way to go."""
    return (accuracy - best_single) / (oracle - best_single) if oracle > best_single else math.nan


def apgr(strong_share: ArrayLike, accuracy: ArrayLike, weak: float, strong: float) -> float:
    """Average performance gap recovered by a router between two models (RouteLLM, arXiv 2406.18665, equation 6).

    The mean, over shares of calls to the strong model from 0 to 1, of the recovered part of the gap in accuracy.

    Args:
        strong_share: (s,) share of the queries that go to the strong model at each setting.
        accuracy: (s,) accuracy at each setting.
        weak: Accuracy of the weak model alone: the point at share 0.
        strong: Accuracy of the strong model alone: the point at share 1.

    Raises:
        ValueError: If the two models are equally accurate.
    """
    share, recovered = _recovered(strong_share, accuracy, weak, strong)
    return _area(share, recovered)


def cpt(strong_share: ArrayLike, accuracy: ArrayLike, weak: float, strong: float, threshold: float = 0.5) -> float:
    """Call-performance threshold: the smallest share of strong calls that recovers ``threshold`` of the gap.

    From RouteLLM (arXiv 2406.18665), interpolated between settings. NaN if the threshold is never reached.

    Args:
        strong_share: (s,) share of the queries that go to the strong model at each setting.
        accuracy: (s,) accuracy at each setting.
        weak: Accuracy of the weak model alone.
        strong: Accuracy of the strong model alone.
        threshold: Part of the gap to recover, in [0, 1].

    Raises:
        ValueError: If the two models are equally accurate.
    """
    share, recovered = _recovered(strong_share, accuracy, weak, strong)
    reached = np.flatnonzero(recovered >= threshold)
    if not len(reached):
        return math.nan
    at = reached[0]
    if at == 0 or recovered[at] == recovered[at - 1]:
        return float(share[at])
    part = (threshold - recovered[at - 1]) / (recovered[at] - recovered[at - 1])
    return float(share[at - 1] + part * (share[at] - share[at - 1]))


def _recovered(strong_share: ArrayLike, accuracy: ArrayLike, weak: float, strong: float) -> tuple[Array, Array]:
    if strong == weak:
        raise ValueError("the two models are equally accurate: there is no gap to recover")
    share, values = _points(strong_share, accuracy)
    share, values = np.concatenate(([0.0], share, [1.0])), np.concatenate(([weak], values, [strong]))
    order = np.argsort(share, kind="stable")
    return share[order], (values[order] - weak) / (strong - weak)


def routerarena_score(accuracy: float, cost_per_1k: float) -> float:
    """RouterArena's score ``S = 1.1 A C / (0.1 A + C)`` with cost on a log scale from $0.0044 to $200 per 1K queries.

    From RouterArena (arXiv 2510.00202), with beta 0.1. A cost outside the range counts as the nearer end.
    """
    high, low = math.log2(200), math.log2(0.0044)
    cheapness = (high - min(max(math.log2(cost_per_1k), low), high)) / (high - low)
    total = 0.1 * accuracy + cheapness
    return 1.1 * accuracy * cheapness / total if total else 0.0


@dataclass(frozen=True)
class CurveFigures:
    """Figures of one curve. A figure that does not exist is NaN.

    Attributes:
        auc: `budget_auc` between the cheapest and the most expensive single model.
        aiq: `aiq` over the same range.
        hypervolume: `hypervolume` over the same range.
        perf_gain: `perf_gain` over the best single model.
        cost_save: `cost_save` against the best single model.
        oracle_share: `oracle_share` of the most accurate setting.
        oracle_gap: `oracle_gap` of the most accurate setting.
        routerarena: The highest `routerarena_score` of a setting.
    """

    auc: float
    aiq: float
    hypervolume: float
    perf_gain: float
    cost_save: float
    oracle_share: float
    oracle_gap: float
    routerarena: float


#: Names of the figures of a curve.
FIGURES = tuple(field.name for field in fields(CurveFigures))


def curve_figures(
    cost: ArrayLike,
    accuracy: ArrayLike,
    single_cost: ArrayLike,
    single_accuracy: ArrayLike,
    oracle: float,
) -> CurveFigures:
    """Compute all figures of one curve.

    Args:
        cost: (s,) US dollars a query at each setting.
        accuracy: (s,) accuracy at each setting.
        single_cost: (m,) US dollars a query of each single model.
        single_accuracy: (m,) accuracy of each single model.
        oracle: Accuracy of the oracle.
    """
    cost, accuracy = _points(cost, accuracy)
    prices, heights = _points(single_cost, single_accuracy)
    best = int(heights.argmax())
    low, high = float(prices.min()), float(prices.max())
    top = float(accuracy.max())
    scores = [routerarena_score(a, c * 1000) for a, c in zip(accuracy.tolist(), cost.tolist(), strict=True) if c > 0]
    return CurveFigures(
        auc=budget_auc(cost, accuracy, low, high),
        aiq=aiq(cost, accuracy, low, high),
        hypervolume=hypervolume(cost, accuracy, low, high),
        perf_gain=perf_gain(accuracy, float(heights[best])),
        cost_save=cost_save(cost, accuracy, float(heights[best]), float(prices[best])),
        oracle_share=oracle_share(top, float(heights[best]), oracle),
        oracle_gap=oracle_gap(top, oracle),
        routerarena=max(scores, default=math.nan),
    )


@dataclass(frozen=True)
class PairedTest(Result):
    """How the scores of two routers on the same queries differ.

    Attributes:
        difference: Mean score of the first minus that of the second.
        interval: Bootstrap interval of the difference.
        p_value: Two-sided, of no difference.
        test: ``McNemar`` (exact) for right-or-wrong scores, else ``permutation``; ``none`` if all scores are equal.
        wins: Queries on which the first scored higher.
        losses: Queries on which the first scored lower.
    """

    difference: float
    interval: tuple[float, float]
    p_value: float
    test: str
    wins: int
    losses: int


def paired_test(
    first: ArrayLike, second: ArrayLike, *, confidence: float = 0.95, resamples: int = 2000, random_state: int = 0
) -> PairedTest:
    """Compare the scores of two routers on the same queries.

    Args:
        first: (n,) scores of the first.
        second: (n,) scores of the second, for the same queries in the same order.
        confidence: Share of the resamples within the interval.
        resamples: Number of resamples of the bootstrap, and of permutations.
        random_state: Seed of both.

    Raises:
        MissingExtraError: If scipy is not installed.
        ValueError: If the two differ in length, or are empty.
    """
    stats = _scipy_stats()
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1 or not len(a):
        raise ValueError(f"scores of the same queries are compared; these have the shapes {a.shape} and {b.shape}")
    difference = a - b
    wins, losses = int((difference > 0).sum()), int((difference < 0).sum())
    if not wins and not losses:
        return PairedTest(0.0, (0.0, 0.0), 1.0, "none", 0, 0)
    rng = np.random.default_rng(random_state)
    interval = stats.bootstrap(
        (difference,), np.mean, n_resamples=resamples, confidence_level=confidence, method="percentile", rng=rng
    ).confidence_interval
    if np.isin(a, (0, 1)).all() and np.isin(b, (0, 1)).all():
        p_value, test = float(stats.binomtest(wins, wins + losses).pvalue), "McNemar"
    else:
        permuted = stats.permutation_test(
            (difference,), np.mean, permutation_type="samples", n_resamples=resamples, rng=rng, vectorized=True
        )
        p_value, test = float(permuted.pvalue), "permutation"
    bounds = float(interval.low), float(interval.high)
    return PairedTest(float(difference.mean()), bounds, p_value, test, wins, losses)


def _scipy_stats() -> Any:
    try:
        from scipy import stats
    except ImportError:
        raise MissingExtraError("paired tests", "report") from None
    return stats


def _area(x: Array, y: Array) -> float:
    """Area under the line through the points, by trapezoids."""
    return float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum())


def _points(first: ArrayLike, second: ArrayLike) -> tuple[Array, Array]:
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1 or not len(a):
        raise ValueError(f"give one point per setting, not arrays of the shapes {a.shape} and {b.shape}")
    return a, b
