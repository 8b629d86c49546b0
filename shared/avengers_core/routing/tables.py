"""What the expectations of some models are computed from, side by side, so that a query takes few operations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .costs import CostModel
from .speeds import SpeedModel
from .statistics import Array

__all__ = ["Tables"]


@dataclass(frozen=True)
class Tables:
    """What the expectations of ``m`` models are computed from.

    Attributes:
        scores: (k, m) expected scores.
        evidence: (k, 2m + t) their standard deviations, answers to training queries, and shares of kinds of task.
        costs: Expected tokens and US dollars.
        speeds: Expected seconds.
    """

    scores: Array
    evidence: Array
    costs: CostModel
    speeds: SpeedModel

    def of_columns(self, columns: NDArray[np.intp]) -> Tables:
        """The same of some of the models.

        Args:
            columns: (c,) their columns.
        """
        m, n = self.scores.shape[1], self.evidence.shape[1]
        kept = np.concatenate([columns, m + columns, np.arange(2 * m, n)])
        return Tables(
            np.ascontiguousarray(self.scores[:, columns]),
            np.ascontiguousarray(self.evidence[:, kept]),
            self.costs.of_columns(columns),
            self.speeds.of_columns(columns),
        )

    def evidence_of(self, weights: Array) -> tuple[Array, Array, Array]:
        """What the training queries near each query say of it.

        Args:
            weights: (n, k) weights of the clusters.

        Returns:
            (n, m) standard deviations of the expected scores, (n, m) answers to the training queries near each query,
            and (n, t) how near each query is to each kind of task.
        """
        found, m = weights @ self.evidence, self.scores.shape[1]
        return found[:, :m], found[:, m : 2 * m], found[:, 2 * m :]
