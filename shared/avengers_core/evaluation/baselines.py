"""What a router is compared with: fixed models, random choices, nearest neighbours, and an oracle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..records.table import RecordTable
from ..routing.scoring import utility_choice
from ..routing.statistics import Array, divide
from .curves import available, singles

__all__ = ["fixed_choices", "knn_choices", "oracle_choices", "random_choices", "utility_choices"]

#: Queries whose neighbours are searched at a time, which bounds memory.
KNN_BATCH = 512


def utility_choices(table: RecordTable, scores: Array, costs: Array, scale: float, alphas: Array) -> NDArray[np.intp]:
    """Choose by expected utility among the `available` answers.

    Args:
        table: Judged records.
        scores: (n, m) expected scores.
        costs: (n, m) expected US dollars; a model whose cost is not finite is not chosen.
        scale: Typical cost of a query, in US dollars (`Manifest.typical_cost`).
        alphas: (s,) trade-offs in [0, 1].

    Returns:
        (s, n) columns of the chosen models.
    """
    usable = available(table) & np.isfinite(costs)
    scores, costs = np.where(usable, scores, -np.inf), np.where(usable, costs, np.inf)
    return np.stack([utility_choice(scores, costs, float(alpha), scale) for alpha in alphas])


def oracle_choices(table: RecordTable, scale: float, alphas: Array) -> NDArray[np.intp]:
    """Choose with knowledge of each answer's real score and cost: an upper limit, not a method.

    Args:
        table: Judged records.
        scale: Typical cost of a query, in US dollars.
        alphas: (s,) trade-offs in [0, 1].

    Returns:
        (s, n) columns of the chosen models.
    """
    return utility_choices(table, np.nan_to_num(table.scores).astype(np.float64), table.cost, scale, alphas)


def knn_choices(
    train: RecordTable,
    train_vectors: NDArray[np.float32],
    test: RecordTable,
    vectors: NDArray[np.float32],
    scale: float,
    alphas: Array,
    neighbors: int = 100,
) -> NDArray[np.intp]:
    """Choose by the utility of each model's mean score and cost over the nearest training queries (cosine).

    Args:
        train: Training records.
        train_vectors: (t, d) unit vectors of the training queries.
        test: Judged records, with the same models in the same order.
        vectors: (n, d) unit vectors of the judged queries.
        scale: Typical cost of a query, in US dollars.
        alphas: (s,) trade-offs in [0, 1].
        neighbors: Number of nearest queries.

    Returns:
        (s, n) columns of the chosen models.
    """
    scores = np.where(np.isnan(train.scores), 0, train.scores).astype(np.float64)
    known, priced = ~np.isnan(train.scores), ~np.isnan(train.cost)
    dollars = np.where(priced, train.cost, 0)
    neighbors = min(neighbors, len(train))
    expected, cost = np.empty(test.scores.shape), np.empty(test.scores.shape)
    for start in range(0, len(test), KNN_BATCH):
        part = slice(start, start + KNN_BATCH)
        near = np.argpartition(-(vectors[part] @ train_vectors.T), neighbors - 1, axis=1)[:, :neighbors]
        expected[part] = divide(scores[near].sum(axis=1), known[near].sum(axis=1).astype(np.float64))
        cost[part] = divide(dollars[near].sum(axis=1), priced[near].sum(axis=1).astype(np.float64))
    unknown = np.isnan(expected) | np.isnan(cost)
    return utility_choices(test, np.nan_to_num(expected), np.where(unknown, np.inf, cost), scale, alphas)


def random_choices(table: RecordTable, repeats: int, random_state: int) -> NDArray[np.intp]:
    """(repeats, n) models drawn uniformly among the `available` answers."""
    rng = np.random.default_rng(random_state)
    draws = rng.random((repeats, *table.scores.shape))
    return np.asarray(np.where(available(table), draws, -1).argmax(axis=2))


def fixed_choices(table: RecordTable) -> dict[str, NDArray[np.intp]]:
    """The most accurate and the cheapest single model, each for all queries.

    Args:
        table: Records in which each model answered each query (`panels.Panel`).

    Returns:
        (n,) columns of the chosen models, by ``best single: <model>`` and ``cheapest: <model>``.
    """
    single = singles(table)
    columns = {"best single": int(single.accuracy.argmax()), "cheapest": int(single.cost_usd.argmin())}
    return {
        f"{title}: {table.models[column]}": np.full(len(table), column, dtype=np.intp)
        for title, column in columns.items()
    }
