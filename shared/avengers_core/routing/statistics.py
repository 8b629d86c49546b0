"""Raw statistics per cluster and model: sums, so that two sets of them merge by addition."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ClusterStatistics:
    """What is known of ``m`` models in ``k`` clusters.

    An answer with a weight counts as so many answers in each sum.

    Attributes:
        n_answers: (k, m) answers.
        score_sum, score_squares: (k, m) sums of scores and of their squares.
        n_with_cost, cost_sum: (k, m) answers whose dollars are known, and their US dollars.
        n_with_usage: (k, m) answers whose input and output tokens are known.
        tokens: (k, m, kinds) tokens of those answers, by `avengers_core.records.schema.TOKEN_KINDS`.
        dataset_n: (k, datasets) queries.
    """

    n_answers: Array
    score_sum: Array
    score_squares: Array
    n_with_cost: Array
    cost_sum: Array
    n_with_usage: Array
    tokens: Array
    dataset_n: Array

    def __add__(self, other: ClusterStatistics) -> ClusterStatistics:
        names = [f.name for f in fields(self)]
        return ClusterStatistics(**{name: getattr(self, name) + getattr(other, name) for name in names})

    @property
    def n_queries(self) -> Array:
        """(k,) queries of each cluster."""
        return np.asarray(self.dataset_n.sum(axis=1))

    def mean_score(self) -> Array:
        """(k, m) mean score, NaN without answers."""
        return divide(self.score_sum, self.n_answers)

    def mean_cost(self) -> Array:
        """(k, m) mean US dollars, NaN where none are known."""
        return divide(self.cost_sum, self.n_with_cost)


def divide(total: Array, count: Array) -> Array:
    """``total / count``, NaN where the count is 0."""
    out = np.full(np.broadcast(total, count).shape, np.nan)
    np.divide(total, count, out=out, where=count > 0)
    return out
