"""Pure functions that turn clusters and expectations into a ranking of models, and the checks of their parameters.

``utility``, the default, weighs expected score against expected US dollars. ``reference`` and ``simple`` are the
balance router and the simple router of Avengers-Pro (arXiv 2508.12631), choice by choice, for comparison. The three as
objects are in `avengers_core.routing.scorers`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._utils.checks import as_number, check_one_of, check_share
from .exchange import fixed_rate
from .statistics import Array

__all__ = [
    "SCORINGS",
    "best_by_utility",
    "check_alpha",
    "check_exploration",
    "check_max_cost",
    "check_max_seconds",
    "check_min_quality",
    "check_scoring",
    "inverse_ranks",
    "nearest_clusters",
    "rank_by_utility",
    "rank_scores",
    "reference_scores",
    "shortfalls",
    "utilities",
    "utility_choice",
]

#: US dollars per point of score below which only costs count: dividing by them could overflow.
_NO_WORTH = 1e-200

#: Names of the ways to score.
SCORINGS = ("utility", "reference", "simple")


def check_alpha(alpha: Any) -> float:
    """``alpha`` as a float.

    Raises:
        ValueError: If it is not a number in [0, 1].
    """
    return check_share("alpha", alpha, "a number from 0 (cost only) to 1 (quality only)")


def check_exploration(exploration: Any) -> float:
    """``exploration`` as a float.

    Raises:
        ValueError: If it is not a number in [0, 1].
    """
    return check_share("exploration", exploration, "a share of calls from 0 to 1")


def check_min_quality(min_quality: Any) -> float:
    """``min_quality`` as a float.

    Raises:
        ValueError: If it is not a number in [0, 1].
    """
    return check_share("min_quality", min_quality, "a share of the best expected score, from 0 to 1")


def check_max_seconds(max_seconds: Any) -> float:
    """``max_seconds`` as a float.

    Raises:
        ValueError: If it is not a finite number above 0.
    """
    value = as_number(max_seconds)
    if not 0 < value < float("inf"):
        raise ValueError(f"max_seconds must be a number of seconds above 0, not {max_seconds!r}")
    return value


def check_max_cost(max_cost: Any) -> float:
    """``max_cost`` as a float.

    Raises:
        ValueError: If it is not a finite number of 0 or more.
    """
    value = as_number(max_cost)
    if not 0 <= value < float("inf"):
        raise ValueError(f"max_cost must be a number of US dollars, 0 or more, not {max_cost!r}")
    return value


def check_scoring(scoring: Any) -> str:
    """``scoring``, if it is one of `SCORINGS`.

    Raises:
        ValueError: If it is not.
    """
    return check_one_of("scoring", scoring, SCORINGS)


def nearest_clusters(
    vectors: NDArray[np.float32], centers: NDArray[np.float32], top_k: int, beta: float
) -> tuple[NDArray[np.intp], Array]:
    """The ``top_k`` nearest centres of each unit vector, and their weights.

    The distance is ``1 - q.centre``; the weights are ``softmax(-beta * distance)`` over the chosen centres, as in
    Avengers-Pro (arXiv 2508.12631).

    Args:
        vectors: (n, d) unit vectors of queries.
        centers: (k, d) cluster centres, not re-normalised.
        top_k: Number of centres; more than k means k.
        beta: Sharpness of the softmax; 0 weighs all chosen centres equally.

    Returns:
        (n, top_k) clusters, nearest first (equally distant ones: lower number first), and (n, top_k) weights that sum
        to 1.
    """
    similarity = vectors @ centers.T
    top_k = min(top_k, similarity.shape[1])
    clusters = np.argsort(-similarity, axis=1, kind="stable")[:, :top_k]
    logits = beta * np.take_along_axis(similarity, clusters, axis=1).astype(np.float64)
    weights = np.exp(logits - logits[:, :1])
    return clusters, weights / weights.sum(axis=1, keepdims=True)


def reference_scores(
    mean_score: Array,
    mean_cost: Array,
    performance_weight: float,
    cost_sensitivity: float,
    min_accuracy_threshold: float = 0.0,
) -> Array:
    """Performance-efficiency score of each model in each cluster, as in Avengers-Pro (arXiv 2508.12631).

    ``performance_weight * p + cost_sensitivity * (1 - q)``. ``p`` is the mean score, scaled so that the cluster's worst
    model has 0 and its best 1 (all 1 if they are equal); ``q`` is the mean cost over the highest one of the cluster.

    Args:
        mean_score: (k, m) mean scores, NaN if a model has no answer in a cluster.
        mean_cost: (k, m) US dollars, NaN if unknown, which counts as the highest cost of the cluster.
        performance_weight: Weight of the scaled score; alpha in the paper.
        cost_sensitivity: Weight of the scaled cost; 1 - alpha in the paper.
        min_accuracy_threshold: Models with a lower mean score in a cluster have the score 0 there.

    Returns:
        (k, m) scores, NaN wherever ``mean_score`` is.
    """
    known = ~np.isnan(mean_score)
    low = np.min(mean_score, axis=1, keepdims=True, where=known, initial=np.inf)
    high = np.max(mean_score, axis=1, keepdims=True, where=known, initial=-np.inf)
    with np.errstate(invalid="ignore"):
        span = high - low
        normalized = np.divide(mean_score - low, span, out=np.ones_like(mean_score), where=span > 0)
    top = np.max(mean_cost, axis=1, keepdims=True, where=known & ~np.isnan(mean_cost), initial=0.0)
    cost = np.where(np.isnan(mean_cost), top, mean_cost)
    cost_score = 1 - np.divide(cost, top, out=np.zeros_like(cost), where=top > 0)
    scores = performance_weight * normalized + cost_sensitivity * cost_score
    scores = np.where(mean_score < min_accuracy_threshold, 0.0, scores)
    return np.where(known, scores, np.nan)


def inverse_ranks(scores: Array) -> Array:
    """1 / rank of each model in its row.

    Args:
        scores: (k, m) scores, NaN if a model has none.

    Returns:
        (k, m): 1 for the best, 1/2 for the next, and so on (ties: lower column first); 0 if the score is NaN.
    """
    order = np.argsort(-np.where(np.isnan(scores), -np.inf, scores), axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(1, scores.shape[1] + 1)[None, :], axis=1)
    return np.asarray(np.where(np.isnan(scores), 0.0, 1.0 / ranks))


def rank_scores(clusters: NDArray[np.intp], weights: Array, inverse: Array) -> Array:
    """Sum of ``weight / rank`` over each query's clusters; the highest wins.

    Args:
        clusters: (n, top_k) clusters of each query.
        weights: (n, top_k) their weights.
        inverse: (k, m) `inverse_ranks`.

    Returns:
        (n, m) sums.
    """
    return np.asarray(np.einsum("nk,nkm->nm", weights, inverse[clusters]))


def utilities(scores: Array, costs: Array, rates: float | Array) -> Array:
    """Expected score less expected cost at an exchange rate.

    Because alpha only moves the exchange rate, and the rate rises with it, the expected cost of the choice with the
    highest utility never falls as alpha rises.

    Args:
        scores: (..., m) expected scores in [0, 1].
        costs: (..., m) expected US dollars; infinite ones lose unless the rate is infinite.
        rates: US dollars per point of score, one for all or (..., 1) of each query; either none or all of them are 0
            or infinite.

    Returns:
        (..., m) utilities in points of score; in negative US dollars if the rate is 0 or next to it.
    """
    if not isinstance(rates, float) and not rates.size:
        return scores
    rate = rates if isinstance(rates, float) else float(rates.flat[0])
    if rate < _NO_WORTH:
        return -costs
    return scores if rate == float("inf") else scores - costs / rates


def shortfalls(scores: Array, min_quality: float) -> Array:
    """By how much each score is below a share of the query's best one: negative points, or 0 if it is not.

    Ranked like utilities, models that reach the share come first, the cheapest before the others, and then those that
    miss it by least.

    Args:
        scores: (..., m) expected scores in [0, 1].
        min_quality: The share, from 0 to 1.
    """
    return np.asarray(np.minimum(scores - min_quality * scores.max(axis=-1, keepdims=True), 0.0))


def rank_by_utility(utility: Array, scores: Array, costs: Array) -> NDArray[np.intp]:
    """Models by utility, best first; equal ones by lower cost, then by higher score.

    So a dominated model (neither better nor cheaper than another, and worse in one of the two) is never first.

    Args:
        utility: (..., m) `utilities`.
        scores: (..., m) expected scores.
        costs: (..., m) expected US dollars, infinite if unknown.

    Returns:
        (..., m) positions of the models.
    """
    return np.lexsort((-scores, costs, -utility), axis=-1)


def best_by_utility(utility: Array, scores: Array, costs: Array) -> NDArray[np.intp]:
    """The first of `rank_by_utility` for each query, without sorting.

    Args:
        utility: (n, m) `utilities`.
        scores: (n, m) expected scores.
        costs: (n, m) expected US dollars, infinite if unknown.

    Returns:
        (n,) positions of the models.
    """
    best = utility == utility.max(axis=1, keepdims=True)
    cost = np.where(best, costs, np.inf)
    best &= cost == cost.min(axis=1, keepdims=True)
    return np.asarray(np.argmax(np.where(best, scores, -np.inf), axis=1))


def utility_choice(scores: Array, costs: Array, alpha: float, typical_cost: float) -> NDArray[np.intp]:
    """The choice of highest utility for each query at the fixed exchange; see `utilities` and `best_by_utility`.

    Args:
        scores: (n, m) expected scores.
        costs: (n, m) expected US dollars, infinite if unknown.
        alpha: From 0 (cost only) to 1 (quality only).
        typical_cost: US dollars of the pool's typical answer.

    Returns:
        (n,) positions of the models.
    """
    return best_by_utility(utilities(scores, costs, fixed_rate(alpha, typical_cost)), scores, costs)
