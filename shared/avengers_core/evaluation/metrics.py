"""Figures of merit of a router, as pure functions of its points: accuracy and cost at each setting.

Accuracies are fractions, costs US dollars a query. Each docstring names where its formula is from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..routing.statistics import Array


def budget_auc(cost: ArrayLike, accuracy: ArrayLike, low: float, high: float, *, budgets: int = 200) -> float:
    """Mean over log-spaced budgets of the best accuracy within the budget (DESIGN section 3).

    Args:
        cost, accuracy: (s,) of each setting.
        low, high: of the cheapest and of the dearest single model.
        budgets: how many; below the cheapest setting its accuracy counts.
    """
    cost, accuracy = _points(cost, accuracy)
    order = np.argsort(cost, kind="stable")
    best = np.maximum.accumulate(accuracy[order])
    limits = np.geomspace(low, high, budgets) * (1 + 1e-9)
    reached = np.searchsorted(cost[order], limits, side="right") - 1
    return float(best[np.maximum(reached, 0)].mean())


def pareto_front(cost: ArrayLike, accuracy: ArrayLike) -> Array:
    """Indices of the settings that no other one dominates (at most the cost, at least the accuracy), by cost."""
    cost, accuracy = _points(cost, accuracy)
    order = np.lexsort((-accuracy, cost))
    best = np.maximum.accumulate(np.concatenate(([-np.inf], accuracy[order][:-1])))
    return np.asarray(order[accuracy[order] > best])


def hypervolume(cost: ArrayLike, accuracy: ArrayLike, low: float, high: float) -> float:
    """Share of the box ``[low, high] x [0, 1]`` that the settings dominate (Zitzler and Thiele 1999)."""
    cost, accuracy = _points(cost, accuracy)
    front = pareto_front(cost, accuracy)
    edges = np.clip(np.append(cost[front], high), low, high)
    return float((np.diff(edges) * accuracy[front]).sum() / (high - low)) if high > low else math.nan


def aiq(cost: ArrayLike, accuracy: ArrayLike, low: float, high: float) -> float:
    """Average improvement in quality: mean height of the points' non-decreasing convex hull over ``[low, high]``.

    From RouterBench (arXiv 2403.12031). Left of the cheapest point the hull has that point's height, right of the
    best one the best's.
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
    """Relative gain of the best setting over the best single model (Avengers-Pro, arXiv 2508.12631)."""
    return float(np.max(accuracy) / best_single - 1)


def cost_save(cost: ArrayLike, accuracy: ArrayLike, best_single: float, best_single_cost: float) -> float:
    """Share of the best single model's cost saved by the cheapest setting that is at least as accurate.

    NaN where none is (Avengers-Pro, arXiv 2508.12631).
    """
    cost, accuracy = _points(cost, accuracy)
    enough = accuracy >= best_single - 1e-12
    return float(1 - cost[enough].min() / best_single_cost) if enough.any() else math.nan


def oracle_gap(accuracy: float, oracle: float) -> float:
    """How far below the oracle, as a share of the oracle's accuracy."""
    return 1 - accuracy / oracle if oracle else math.nan


def oracle_share(accuracy: float, best_single: float, oracle: float) -> float:
    """Share of the way from the best single model to the oracle."""
    return (accuracy - best_single) / (oracle - best_single) if oracle > best_single else math.nan


def apgr(strong_share: ArrayLike, accuracy: ArrayLike, weak: float, strong: float) -> float:
    """Average performance gap recovered by a router between two models (RouteLLM, arXiv 2406.18665, equation 6).

    The mean, over shares of calls to the strong model from 0 to 1, of the recovered part of the gap in accuracy.

    Args:
        strong_share: (s,) share of queries sent to the strong model at each setting. accuracy: (s,).
        weak, strong: accuracies of the two models alone; they are the points at the shares 0 and 1.
    """
    share, recovered = _recovered(strong_share, accuracy, weak, strong)
    return _area(share, recovered)


def cpt(strong_share: ArrayLike, accuracy: ArrayLike, weak: float, strong: float, threshold: float = 0.5) -> float:
    """Call-performance threshold: the least share of strong calls that recovers ``threshold`` of the gap.

    From RouteLLM (arXiv 2406.18665), interpolated between settings.
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

    Source: RouterArena (arXiv 2510.00202), beta 0.1. Costs outside the range count as its ends.
    """
    high, low = math.log2(200), math.log2(0.0044)
    cheapness = (high - min(max(math.log2(cost_per_1k), low), high)) / (high - low)
    total = 0.1 * accuracy + cheapness
    return 1.1 * accuracy * cheapness / total if total else 0.0


FIGURES = (
    "auc",
    "aiq",
    "hypervolume",
    "perf_gain",
    "cost_save",
    "oracle_share",
    "oracle_gap",
    "routerarena",
)


def curve_figures(
    cost: ArrayLike,
    accuracy: ArrayLike,
    single_cost: ArrayLike,
    single_accuracy: ArrayLike,
    oracle: float,
    candidates: ArrayLike | None = None,
) -> dict[str, float]:
    """`FIGURES` of one curve: areas between the cheapest and the dearest single model, and its best setting.

    Args:
        cost, accuracy: (s,) of the curve's settings. single_cost, single_accuracy: (m,) of the single models.
        oracle: the oracle's accuracy.
        candidates: (m,) which single models may be the best one; default: all.

    Returns:
        By name; ``oracle_share`` and ``oracle_gap`` are of the most accurate setting, ``routerarena`` is the highest
        score of a setting. NaN where a figure does not exist.
    """
    cost, accuracy = _points(cost, accuracy)
    prices, heights = _points(single_cost, single_accuracy)
    allowed = np.ones(len(heights), bool) if candidates is None else np.asarray(candidates, dtype=bool)
    best = int(np.where(allowed, heights, -1).argmax())
    low, high = float(prices.min()), float(prices.max())
    top = float(accuracy.max())
    return {
        "auc": budget_auc(cost, accuracy, low, high),
        "aiq": aiq(cost, accuracy, low, high),
        "hypervolume": hypervolume(cost, accuracy, low, high),
        "perf_gain": perf_gain(accuracy, float(heights[best])),
        "cost_save": cost_save(cost, accuracy, float(heights[best]), float(prices[best])),
        "oracle_share": oracle_share(top, float(heights[best]), oracle),
        "oracle_gap": oracle_gap(top, oracle),
        "routerarena": max(routerarena_score(a, c * 1000) for a, c in zip(accuracy, cost, strict=True) if c > 0),
    }


@dataclass(frozen=True)
class PairedTest:
    """Two routers on the same queries.

    Attributes:
        difference: mean score of the first less that of the second. interval: its bootstrap interval.
        p_value: two-sided, of no difference. test: ``McNemar`` (exact) for right-or-wrong scores, else ``permutation``.
        wins, losses: queries on which the first scored higher, and lower.
    """

    difference: float
    interval: tuple[float, float]
    p_value: float
    test: str
    wins: int
    losses: int


def paired_test(
    first: ArrayLike, second: ArrayLike, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> PairedTest:
    """Compare the scores of two routers on the same queries (scipy).

    Args:
        first, second: (n,) scores of the same queries, in the same order.

    Raises:
        MissingExtraError: scipy is not installed. ValueError: the two are not of one length, or empty.
    """
    try:
        from scipy import stats
    except ImportError:
        from ..errors import MissingExtraError

        raise MissingExtraError("paired tests", "report") from None
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1 or not len(a):
        raise ValueError(f"scores of the same queries are compared; these have the shapes {a.shape} and {b.shape}")
    difference = a - b
    wins, losses = int((difference > 0).sum()), int((difference < 0).sum())
    mean = float(difference.mean())
    if not wins and not losses:
        return PairedTest(0.0, (0.0, 0.0), 1.0, "none", 0, 0)
    rng = np.random.default_rng(seed)
    found = stats.bootstrap(
        (difference,), np.mean, n_resamples=resamples, confidence_level=confidence, method="percentile", rng=rng
    )
    interval = float(found.confidence_interval.low), float(found.confidence_interval.high)
    if np.isin(a, (0, 1)).all() and np.isin(b, (0, 1)).all():
        p_value, test = float(stats.binomtest(wins, wins + losses).pvalue), "McNemar"
    else:
        drawn = stats.permutation_test(
            (difference,), np.mean, permutation_type="samples", n_resamples=resamples, rng=rng, vectorized=True
        )
        p_value, test = float(drawn.pvalue), "permutation"
    return PairedTest(mean, interval, p_value, test, wins, losses)


def _area(x: Array, y: Array) -> float:
    """Trapezoids under a line through points."""
    return float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum())


def _points(first: ArrayLike, second: ArrayLike) -> tuple[Array, Array]:
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1 or not len(a):
        raise ValueError(f"one point per setting is wanted, not arrays of the shapes {a.shape} and {b.shape}")
    return a, b
