"""How a query's clusters and expectations become a ranking of models: pure functions on arrays.

``utility`` (the default) weighs expected score against expected dollars. ``reference`` and ``simple`` are the balance
and the simple router of Avengers-Pro (arXiv 2508.12631), kept exactly, for comparison.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .statistics import Array

SCORINGS = ("utility", "reference", "simple")


def check_alpha(alpha: float) -> float:
    """``alpha`` as a float.

    Raises:
        ValueError: not a number in [0, 1].
    """
    if isinstance(alpha, bool) or not 0 <= (value := float(alpha)) <= 1:
        raise ValueError(f"alpha must be a number from 0 (cost only) to 1 (quality only), not {alpha!r}")
    return value


def check_exploration(exploration: float) -> float:
    """``exploration`` as a float.

    Raises:
        ValueError: not a number in [0, 1].
    """
    if isinstance(exploration, bool) or not 0 <= (value := float(exploration)) <= 1:
        raise ValueError(f"exploration must be a share of calls from 0 to 1, not {exploration!r}")
    return value


def check_scoring(scoring: str) -> str:
    """``scoring``, if it is one of `SCORINGS`.

    Raises:
        ValueError: it is not.
    """
    if scoring not in SCORINGS:
        raise ValueError(f"scoring must be one of {', '.join(SCORINGS)}, not {scoring!r}")
    return scoring


def nearest_clusters(
    vectors: NDArray[np.float32], centers: NDArray[np.float32], top_k: int, beta: float
) -> tuple[NDArray[np.intp], Array]:
    """The ``top_k`` nearest centres of each unit vector, and their weights.

    Distance is ``1 - q.centre``; weights are ``softmax(-beta * distance)`` over the chosen centres.

    Args:
        vectors: (n, d).
        centers: (k, d), not re-normalised.

    Returns:
        (n, top_k) clusters, nearest first (equal distances: lower number first), and (n, top_k) weights.
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
    """Performance-efficiency score of each model in each cluster, as Avengers-Pro has it (DESIGN section 1, step 3).

    Args:
        mean_score: (k, m), NaN where a model has no answer in a cluster.
        mean_cost: (k, m) US dollars, NaN where unknown (the reference takes it as 0: free).

    Returns:
        (k, m), NaN where ``mean_score`` is.
    """
    known = ~np.isnan(mean_score)
    low = np.min(mean_score, axis=1, keepdims=True, where=known, initial=np.inf)
    high = np.max(mean_score, axis=1, keepdims=True, where=known, initial=-np.inf)
    with np.errstate(invalid="ignore"):
        span = high - low
        normalized = np.divide(mean_score - low, span, out=np.ones_like(mean_score), where=span > 0)
    cost = np.where(np.isnan(mean_cost), 0.0, mean_cost)
    top = np.max(cost, axis=1, keepdims=True, where=known, initial=0.0)
    cost_score = 1 - np.divide(cost, top, out=np.zeros_like(cost), where=top > 0)
    scores = performance_weight * normalized + cost_sensitivity * cost_score
    scores = np.where(mean_score < min_accuracy_threshold, 0.0, scores)
    return np.where(known, scores, np.nan)


def inverse_ranks(scores: Array) -> Array:
    """1 / rank of each model in its row (1 is best; ties: lower column first), 0 where the score is NaN."""
    order = np.argsort(-np.where(np.isnan(scores), -np.inf, scores), axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(1, scores.shape[1] + 1)[None, :], axis=1)
    return np.asarray(np.where(np.isnan(scores), 0.0, 1.0 / ranks))


def rank_totals(clusters: NDArray[np.intp], weights: Array, inverse: Array) -> Array:
    """(n, m) totals of ``weight / rank`` over each query's clusters; the highest wins."""
    return np.asarray(np.einsum("nk,nkm->nm", weights, inverse[clusters]))


def exchange_rate(alpha: float, scale: float) -> float:
    """US dollars that one full point of score is worth at ``alpha``: ``scale * (alpha / (1 - alpha)) ** 2``.

    The square spreads the five orders of magnitude between models' prices over the knob; ``scale`` is the pool's
    typical cost of an answer, so that alpha means the same for cheap and dear pools.
    """
    return float("inf") if alpha == 1 else scale * (alpha / (1 - alpha)) ** 2


def utilities(scores: Array, costs: Array, alpha: float, scale: float) -> Array:
    """Expected score less expected cost at the exchange rate of ``alpha``, in points of score, or dollars at alpha 0.

    Any choice of highest utility has an expected cost that never falls as alpha rises: ``alpha`` only moves the
    exchange rate, and rises with it.
    """
    rate = exchange_rate(alpha, scale)
    if rate == 0:
        return -costs
    return scores - costs / rate if rate != float("inf") else scores


def utility_order(scores: Array, costs: Array, alpha: float, scale: float) -> NDArray[np.intp]:
    """Models of one query by utility, best first; equal ones by lower cost, then by higher score.

    So a dominated model (no better and no cheaper than another, and worse in one) is never first.

    Args:
        scores: (m,) expected scores.
        costs: (m,) expected US dollars, all known.
    """
    return np.lexsort((-scores, costs, -utilities(scores, costs, alpha, scale)))


def utility_choice(scores: Array, costs: Array, alpha: float, scale: float) -> NDArray[np.intp]:
    """(n,) the first of `utility_order` for each row of (n, m) expectations; infinite costs lose below alpha 1."""
    value = utilities(scores, costs, alpha, scale)
    best = value == value.max(axis=1, keepdims=True)
    cost = np.where(best, costs, np.inf)
    best &= cost == cost.min(axis=1, keepdims=True)
    return np.asarray(np.argmax(np.where(best, scores, -np.inf), axis=1))
