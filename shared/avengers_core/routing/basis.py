"""What the expectations of a router's models rest on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .costs import CostModel
from .manifest import Artifact
from .statistics import Array

__all__ = ["Basis", "ModelBasis", "tasks_of"]


@dataclass(frozen=True)
class ModelBasis:
    """What one expectation rests on.

    Attributes:
        answers_nearby: Answers to the training queries of the clusters near the query, weighted as they are.
        answers: Answers to all training queries.
        published: Published scores.
        assumed_from: The model whose evidence it starts from, such as its predecessor, or ``price``; empty if it has
            none of these.
        cost_estimated: Whether the cost is estimated from the price and the length of its peers' answers.
    """

    answers_nearby: float
    answers: float
    published: int
    assumed_from: str
    cost_estimated: bool

    def __str__(self) -> str:
        """In words, such as ``12 answers to such queries, 340 in all and 9 published scores``."""
        parts = []
        if self.answers:
            parts.append(f"{self.answers_nearby:.0f} answers to such queries of {self.answers:.0f}")
        if self.published:
            parts.append(f"{self.published} published score{'s' if self.published > 1 else ''}")
        if self.assumed_from:
            parts.append(f"its {'price' if self.assumed_from == 'price' else 'likeness to ' + self.assumed_from}")
        return ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1] if parts else "no evidence"


@dataclass(frozen=True)
class Basis:
    """What the expectations of an artifact's m models rest on.

    Attributes:
        answers: (m,) answers to all training queries.
        published: (m,) published scores.
        assumed_from: For each model, what it starts from; see `ModelBasis`.
        cost_estimated: (m,) whether a model's cost is estimated.
        tasks: Names of the t kinds of task: the sources' labels, or the datasets if there is one source.
    """

    answers: Array
    published: Array
    assumed_from: tuple[str, ...]
    cost_estimated: NDArray[np.bool_]
    tasks: tuple[str, ...]

    @classmethod
    def from_artifact(cls, artifact: Artifact, costs: CostModel, tasks: tuple[str, ...]) -> Basis:
        """What an artifact's expectations rest on.

        Args:
            artifact: A trained artifact.
            costs: Its cost model.
            tasks: Names of its kinds of task, as from `tasks_of`.
        """
        published = artifact.published_sums.count.sum(axis=0)
        assumed = tuple(model.assumed_from for model in artifact.manifest.models)
        return cls(artifact.statistics.n_answers.sum(axis=0), published, assumed, costs.estimated, tasks)

    def of(self, column: int, nearby: float) -> ModelBasis:
        """What the expectation of one model rests on.

        Args:
            column: The model's column.
            nearby: Answers of it to queries near the query at hand.
        """
        return ModelBasis(
            answers_nearby=nearby,
            answers=float(self.answers[column]),
            published=int(self.published[column]),
            assumed_from=self.assumed_from[column],
            cost_estimated=bool(self.cost_estimated[column]),
        )


def tasks_of(artifact: Artifact) -> tuple[tuple[str, ...], Array]:
    """Names of the t kinds of task, and (k, t) their shares in each cluster, which sum to 1.

    They are the sources by their labels, or the datasets if there is one source.

    Args:
        artifact: A trained artifact.
    """
    sources = artifact.sources
    if len(sources) > 1:
        labels = list(dict.fromkeys(source.label for source in sources))
        shares = np.zeros((len(artifact.centers), len(labels)))
        codes = np.array([labels.index(source.label) for source in sources])[artifact.cluster_sources]
        shares[np.arange(len(shares)), codes] = 1.0
        return tuple(labels), shares
    size = artifact.statistics.n_queries[:, None]
    return tuple(artifact.manifest.datasets), artifact.statistics.dataset_n / np.maximum(size, 1e-9)
