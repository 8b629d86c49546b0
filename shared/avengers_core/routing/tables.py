"""What the expectations of some models are computed from, side by side, so that a query takes few operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .costs import CostModel
from .speeds import SpeedModel
from .statistics import Array

__all__ = ["EvidenceOfQueries", "Tables"]


class EvidenceOfQueries(NamedTuple):
    """What the training queries near ``n`` queries say of them.

    Attributes:
        errors: (n, m) standard deviations of the expected scores.
        nearby: (n, m) answers to the training queries near each query.
        task_shares: (n, t) how near each query is to each kind of task.
    """

    errors: Array
    nearby: Array
    task_shares: Array


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

    def evidence_of(self, weights: Array) -> EvidenceOfQueries:
        """What the training queries near each query say of it.

        Args:
            weights: (n, k) weights of the clusters.
        """
        found, m = weights @ self.evidence, self.scores.shape[1]
        return EvidenceOfQueries(found[:, :m], found[:, m : 2 * m], found[:, 2 * m :])
