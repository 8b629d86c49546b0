"""The clusters of an artifact, and how much each of them weighs for a query."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..embedders.base import Vectors
from .manifest import Artifact
from .scoring import nearest_clusters
from .statistics import Array

__all__ = ["Clusters"]


@dataclass(frozen=True)
class Clusters:
    """Cluster centres and sizes.

    Attributes:
        centers: (k, d) cluster centres, not re-normalised.
        transposed: (d, k) the same in an order that makes the product with a single vector fast.
        shares: (k,) shares of the training queries that were calls, each source counting as much; they sum to 1.
        ood_threshold: Cosine similarity to the nearest centre below which a query is out of distribution.
    """

    centers: NDArray[np.float32]
    transposed: NDArray[np.float32]
    shares: Array
    ood_threshold: float

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> Clusters:
        """The clusters that were trained."""
        size = artifact.statistics.n_queries
        if len(artifact.sources) > 1:  # as many records as a source may have, it is one kind of task
            of_source = np.bincount(artifact.cluster_sources, size)[artifact.cluster_sources]
            size = size / np.where(of_source > 0, of_source, 1.0)
        if not artifact.agent_runs.all():  # an unfamiliar text is a call, rather than a task for an agent
            size = np.where(artifact.agent_runs, 0.0, size)
        transposed = np.ascontiguousarray(artifact.centers.T)
        return cls(artifact.centers, transposed, size / size.sum(), artifact.manifest.ood_threshold)

    def weigh(
        self, vectors: Vectors, top_k: int | None, beta: float
    ) -> tuple[Array, NDArray[np.float32], NDArray[np.bool_]]:
        """How much each cluster weighs for each query: ``softmax(beta * cosine)``.

        Args:
            vectors: (n, d) unit vectors of queries.
            top_k: Number of nearest clusters that count; None: all.
            beta: Sharpness of the softmax.

        Returns:
            (n, k) weights that sum to 1, (n,) cosine similarity to the nearest centre, and (n,) whether the query is
            out of distribution; its weights are the clusters' shares then.
        """
        similarity = vectors @ self.transposed
        nearest = np.maximum.reduce(similarity, axis=1)
        outside = nearest < self.ood_threshold
        k = similarity.shape[1]
        if top_k is not None and top_k < k:
            clusters, near = nearest_clusters(vectors, self.centers, top_k, beta)
            weights = np.zeros(similarity.shape)
            np.put_along_axis(weights, clusters, near, axis=1)
        else:
            weights = np.exp(beta * (similarity - nearest[:, None]).astype(np.float64))
            weights /= np.add.reduce(weights, axis=1, keepdims=True)
        if outside.any():
            weights[outside] = self.shares
        return weights, nearest, outside
