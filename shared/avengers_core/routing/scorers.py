"""The ways to rank models, as objects: `Utility`, `Reference` and `Simple`, looked up by name in `SCORERS`.

To add another one, write a class with the members of `Scorer` and add its name to `SCORINGS` and the class to
`SCORERS`; nothing else knows which ones there are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..embedders.base import Vectors
from .costs import CostModel
from .manifest import Artifact
from .scoring import (
    best_by_utility,
    inverse_ranks,
    nearest_clusters,
    rank_by_utility,
    rank_scores,
    reference_scores,
    utilities,
)
from .statistics import Array

__all__ = ["SCORERS", "Expectations", "Reference", "Scorer", "Simple", "Utility"]


@dataclass(frozen=True)
class Expectations:
    """What is expected of ``c`` candidates for a batch of ``n`` queries.

    Attributes:
        vectors: (n, d) unit vectors of the queries.
        columns: (c,) columns of the candidates in the artifact's arrays.
        scores: (n, c) expected scores in [0, 1].
        costs: (n, c) expected US dollars, infinite if unknown.
    """

    vectors: Vectors
    columns: NDArray[np.intp]
    scores: Array
    costs: Array


class Scorer(ABC):
    """Ranks candidates by totals: the higher, the better.

    Attributes:
        weighs_costs: Whether the totals weigh expected US dollars of the query at hand, so that a cost added for one
            model moves the choice.
        top_k: Number of nearest clusters that count for a query; None: all.
        beta: Sharpness of the softmax that weighs them.
    """

    weighs_costs: ClassVar[bool]
    top_k: int | None
    beta: float

    @classmethod
    @abstractmethod
    def from_artifact(cls, artifact: Artifact, costs: CostModel, expected: Array) -> Scorer:
        """The scorer of an artifact's models, with the artifact's settings.

        Args:
            artifact: A trained artifact.
            costs: Its cost model.
            expected: (k, m) expected scores, for models without any answer.
        """

    @abstractmethod
    def totals(self, batch: Expectations, alpha: float, rates: float | Array) -> Array:
        """What candidates are ranked by.

        Args:
            batch: Candidates and queries.
            alpha: From 0 (cost only) to 1 (quality only).
            rates: US dollars per point of score at this alpha, one for all or (n, 1) of each query.

        Returns:
            (n, c) totals.
        """

    @abstractmethod
    def choice(self, batch: Expectations, totals: Array) -> NDArray[np.intp]:
        """(n,) positions of the best candidates, the first ones of `ranking`.

        Args:
            batch: Candidates and queries.
            totals: (n, c) as from `totals`.
        """

    @staticmethod
    @abstractmethod
    def ranking(totals: Array, scores: Array, costs: Array) -> NDArray[np.intp]:
        """Positions of the candidates of one query, best first.

        Args:
            totals: (c,) as from `totals`.
            scores: (c,) expected scores.
            costs: (c,) expected US dollars, infinite if unknown.
        """

    @staticmethod
    @abstractmethod
    def in_points(totals: Array, scores: Array) -> Array:
        """What candidates are compared by in points of score, for the confidence in a choice.

        Args:
            totals: (c,) as from `totals`.
            scores: (c,) expected scores.
        """

    def requires_known_cost(self, alpha: float) -> bool:
        """Whether a model whose cost is unknown may not be chosen at ``alpha``."""
        return self.weighs_costs and alpha < 1

    def with_weights(self, performance_weight: float | None, cost_sensitivity: float | None) -> Scorer:
        """The scorer with these weights in place of alpha and 1 - alpha, if it has such weights.

        Args:
            performance_weight: None: as before.
            cost_sensitivity: None: as before.
        """
        del performance_weight, cost_sensitivity
        return self


@dataclass(frozen=True)
class Utility(Scorer):
    """Expected score less expected cost at the exchange rate of alpha."""

    weighs_costs: ClassVar[bool] = True
    top_k: int | None = None
    beta: float = 12.0

    @classmethod
    def from_artifact(cls, artifact: Artifact, costs: CostModel, expected: Array) -> Utility:  # noqa: D102
        settings = artifact.manifest.settings
        beta = cls.beta if settings.beta is None else settings.beta
        return cls(settings.top_k, beta)

    def totals(self, batch: Expectations, alpha: float, rates: float | Array) -> Array:  # noqa: D102
        return utilities(batch.scores, batch.costs, rates)

    def choice(self, batch: Expectations, totals: Array) -> NDArray[np.intp]:  # noqa: D102
        if len(totals) == 1:  # sorting a few numbers is faster than comparing them by five operations on arrays
            return rank_by_utility(totals, batch.scores, batch.costs)[:, 0]
        return best_by_utility(totals, batch.scores, batch.costs)

    @staticmethod
    def ranking(totals: Array, scores: Array, costs: Array) -> NDArray[np.intp]:  # noqa: D102
        return rank_by_utility(totals, scores, costs)

    @staticmethod
    def in_points(totals: Array, scores: Array) -> Array:  # noqa: D102
        return totals


@dataclass(frozen=True)
class _RankScorer(Scorer):
    """Sum over the nearest clusters of ``weight / rank``, the rank being the model's in the cluster.

    Attributes:
        centers: (k, d) cluster centres.
        mean_score: (k, m) mean scores, NaN if a model has no answer in a cluster.
    """

    weighs_costs: ClassVar[bool] = False
    centers: NDArray[np.float32]
    mean_score: Array
    top_k: int = 3
    beta: float = 9.0

    @abstractmethod
    def cluster_scores(self, columns: NDArray[np.intp], alpha: float) -> Array:
        """(k, c) what models are ranked by within a cluster, NaN if they are not."""

    def totals(self, batch: Expectations, alpha: float, rates: float | Array) -> Array:
        clusters, weights = nearest_clusters(batch.vectors, self.centers, self.top_k, self.beta)
        return rank_scores(clusters, weights, inverse_ranks(self.cluster_scores(batch.columns, alpha)))

    def choice(self, batch: Expectations, totals: Array) -> NDArray[np.intp]:
        return np.asarray(totals.argmax(axis=1))

    @staticmethod
    def ranking(totals: Array, scores: Array, costs: Array) -> NDArray[np.intp]:
        return np.argsort(-totals, kind="stable")

    @staticmethod
    def in_points(totals: Array, scores: Array) -> Array:
        return scores


@dataclass(frozen=True)
class Simple(_RankScorer):
    """The simple router of Avengers-Pro (arXiv 2508.12631): ranks by mean score, whatever the cost and alpha."""

    @classmethod
    def from_artifact(cls, artifact: Artifact, costs: CostModel, expected: Array) -> Simple:  # noqa: D102
        settings = artifact.manifest.settings
        beta = cls.beta if settings.beta is None else settings.beta
        return cls(artifact.centers, _mean_scores(artifact, expected), settings.top_k or cls.top_k, beta)

    def cluster_scores(self, columns: NDArray[np.intp], alpha: float) -> Array:  # noqa: D102
        return self.mean_score[:, columns]


@dataclass(frozen=True, kw_only=True)
class Reference(_RankScorer):
    """The balance router of Avengers-Pro (arXiv 2508.12631): ranks by the performance-efficiency score.

    Attributes:
        mean_cost: (k, m) mean US dollars of an answer, NaN if unknown, which counts as the highest of the cluster.
        performance_weight: In place of alpha; None: alpha.
        cost_sensitivity: In place of 1 - alpha; None: 1 - alpha.
        min_accuracy_threshold: Mean score below which a model has the score 0 in a cluster.
    """

    mean_cost: Array
    performance_weight: float | None = None
    cost_sensitivity: float | None = None
    min_accuracy_threshold: float = 0.0

    @classmethod
    def from_artifact(cls, artifact: Artifact, costs: CostModel, expected: Array) -> Reference:  # noqa: D102
        settings = artifact.manifest.settings
        return cls(
            artifact.centers,
            _mean_scores(artifact, expected),
            settings.top_k or cls.top_k,
            cls.beta if settings.beta is None else settings.beta,
            mean_cost=np.where(_asked(artifact), costs.mean_cost, costs.cluster_cost),
            performance_weight=settings.performance_weight,
            cost_sensitivity=settings.cost_sensitivity,
            min_accuracy_threshold=settings.min_accuracy_threshold,
        )

    def with_weights(self, performance_weight: float | None, cost_sensitivity: float | None) -> Reference:  # noqa: D102
        return replace(
            self,
            performance_weight=self.performance_weight if performance_weight is None else performance_weight,
            cost_sensitivity=self.cost_sensitivity if cost_sensitivity is None else cost_sensitivity,
        )

    def cluster_scores(self, columns: NDArray[np.intp], alpha: float) -> Array:  # noqa: D102
        return reference_scores(
            self.mean_score[:, columns],
            self.mean_cost[:, columns],
            alpha if self.performance_weight is None else self.performance_weight,
            1 - alpha if self.cost_sensitivity is None else self.cost_sensitivity,
            self.min_accuracy_threshold,
        )


def _asked(artifact: Artifact) -> NDArray[np.bool_]:
    """(m,) whether a model has any answer."""
    return np.asarray(artifact.statistics.n_answers.sum(axis=0) > 0)


def _mean_scores(artifact: Artifact, expected: Array) -> Array:
    """(k, m) mean scores, NaN for a cell without answers; expected ones for a model without any answer."""
    return np.where(_asked(artifact), artifact.statistics.mean_score(), expected)


#: The scorers by their names, which are `avengers_core.routing.scoring.SCORINGS`.
SCORERS: dict[str, type[Scorer]] = {"utility": Utility, "reference": Reference, "simple": Simple}
