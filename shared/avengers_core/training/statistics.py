"""A table's sums by cluster and model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..records.schema import TIMING
from ..records.table import RecordTable
from ..routing.statistics import OUTPUT, Array, ClusterStatistics

__all__ = ["cluster_statistics"]


def cluster_statistics(table: RecordTable, labels: NDArray[np.integer], n_clusters: int) -> ClusterStatistics:
    """Sum a table's scores, tokens and US dollars by cluster.

    Args:
        table: The ``n`` records.
        labels: (n,) cluster of each record, in ``range(n_clusters)``.
        n_clusters: Number of clusters.
    """
    order = np.argsort(labels, kind="stable")
    present, starts = np.unique(labels[order], return_index=True)

    def sums(values: NDArray[Any]) -> Array:
        weighted = values if table.weights is None else values * table.weights.astype(np.float64)
        total = np.zeros((n_clusters, *values.shape[1:]))
        total[present] = np.add.reduceat(weighted[order].astype(np.float64), starts, axis=0)
        return total

    answered = np.isfinite(np.asarray(table.scores))
    scores: NDArray[Any] = np.where(answered, table.scores, 0).astype(np.float64)
    priced = np.isfinite(np.asarray(table.cost))
    reported = np.asarray(np.isfinite(table.tokens[:, :, :2]).all(axis=2))
    tokens = np.stack(
        [sums(np.where(reported, table.tokens[:, :, kind], 0)) for kind in range(table.tokens.shape[2])],
        axis=2,
    )
    timing = np.zeros((n_clusters, len(table.models), len(TIMING)))
    if table.durations is not None:
        for position, values in enumerate(_timing(table, table.durations)):
            timing[:, :, position] = sums(values)
    dataset_n = np.zeros((n_clusters, len(table.datasets)))
    np.add.at(dataset_n, (labels, table.dataset), 1)
    return ClusterStatistics(
        n_answers=sums(answered.astype(np.float64)),
        score_sum=sums(scores),
        score_squares=sums(scores**2),
        n_with_cost=sums(priced.astype(np.float64)),
        cost_sum=sums(np.where(priced, table.cost, 0)),
        n_with_usage=sums(reported.astype(np.float64)),
        tokens=tokens,
        timing=timing,
        dataset_n=dataset_n,
    )


def _timing(table: RecordTable, durations: NDArray[np.float32]) -> tuple[Array, ...]:
    """(n, m) what each answer adds to the sums of `TIMING`."""
    seconds, first = durations[:, :, 0].astype(np.float64), durations[:, :, 1].astype(np.float64)
    output = table.tokens[:, :, OUTPUT].astype(np.float64)
    known = np.isfinite(seconds) & np.isfinite(output)
    streamed = known & (first <= seconds)
    seconds, output = np.where(known, seconds, 0), np.where(known, output, 0)
    first = np.where(streamed, first, 0)
    return (
        known.astype(np.float64),
        seconds,
        output,
        output**2,
        seconds * output,
        streamed.astype(np.float64),
        first,
        np.where(streamed, seconds - first, 0),
        np.where(streamed, output, 0),
    )
