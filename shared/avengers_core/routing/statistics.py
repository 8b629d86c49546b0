"""Raw statistics of the training records per cluster and model: sums, so that two sets of them merge by addition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ..records.schema import TOKEN_KINDS

__all__ = ["INPUT", "OUTPUT", "Array", "ClusterStatistics", "divide"]

Array = NDArray[np.float64]

#: Lowest variance of a single score about its cell's mean. Raising it makes few answers that agree count for less.
MIN_SCORE_VARIANCE = 0.01

#: Positions of the input and of the output tokens in an array by `avengers_core.records.schema.TOKEN_KINDS`.
INPUT, OUTPUT = TOKEN_KINDS.index("input_tokens"), TOKEN_KINDS.index("output_tokens")


@dataclass(frozen=True)
class ClusterStatistics:
    """Sums over the answers of ``m`` models to the training queries of ``k`` clusters.

    An answer with weight w counts as w answers in each sum.

    Attributes:
        n_answers: (k, m) number of answers.
        score_sum: (k, m) sum of their scores.
        score_squares: (k, m) sum of their squared scores.
        n_with_cost: (k, m) number of answers whose cost is known.
        cost_sum: (k, m) US dollars of those answers.
        n_with_usage: (k, m) number of answers whose input and output tokens are known.
        tokens: (k, m, kinds) tokens of those answers, by `avengers_core.records.schema.TOKEN_KINDS`.
        timing: (k, m, sums) of the answers whose duration and output tokens are known, by
            `avengers_core.records.schema.TIMING`.
        dataset_n: (k, datasets) number of queries from each dataset.
    """

    n_answers: Array
    score_sum: Array
    score_squares: Array
    n_with_cost: Array
    cost_sum: Array
    n_with_usage: Array
    tokens: Array
    timing: Array
    dataset_n: Array

    def __add__(self, other: ClusterStatistics) -> ClusterStatistics:
        names = [f.name for f in fields(self)]
        return ClusterStatistics(**{name: getattr(self, name) + getattr(other, name) for name in names})

    def map_columns(self, change: Callable[[Array], Array]) -> ClusterStatistics:
        """The sums with other columns of models; the numbers of queries stay.

        Args:
            change: Takes (k, m, ...) sums, and gives them for other models.
        """
        sums = {f.name: change(getattr(self, f.name)) for f in fields(self) if f.name != "dataset_n"}
        return ClusterStatistics(**sums, dataset_n=self.dataset_n)

    @property
    def n_queries(self) -> Array:
        """(k,) number of queries in each cluster."""
        return np.asarray(self.dataset_n.sum(axis=1))

    def mean_score(self) -> Array:
        """(k, m) mean score, NaN for a cell without answers."""
        return divide(self.score_sum, self.n_answers)

    def score_variance(self) -> Array:
        """(k,) variance of a single score in each cluster, over all models; `MIN_SCORE_VARIANCE` at least."""
        answers = self.n_answers.sum(axis=1)
        variance = divide(self.score_squares.sum(axis=1), answers)
        variance -= divide(self.score_sum.sum(axis=1), answers) ** 2
        return np.maximum(np.nan_to_num(variance), MIN_SCORE_VARIANCE)

    def mean_cost(self) -> Array:
        """(k, m) mean US dollars of an answer, NaN for a cell in which no cost is known."""
        return divide(self.cost_sum, self.n_with_cost)


def divide(total: Array, count: Array) -> Array:
    """``total / count``, NaN if the count is 0."""
    out = np.full(np.broadcast(total, count).shape, np.nan)
    np.divide(total, count, out=out, where=count > 0)
    return out
