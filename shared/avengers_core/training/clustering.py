"""k-means over partitions (extra ``train``): scikit-learn's k-means on a sample, then Lloyd steps over all records.

Both are deterministic in the records, their order and the seed, however the records are partitioned, so a cluster of
machines finds the centres that one machine finds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingExtraError
from ..records.partitions import Partitions
from ..records.table import RecordTable
from ..routing.statistics import Array

__all__ = ["find_centers", "max_similarity", "nearest", "unit_vectors"]

#: Records that scikit-learn's k-means is run on.
KMEANS_SAMPLE_SIZE = 50_000
#: Lloyd steps over all records, at most, if there are more records than the sample holds.
LLOYD_MAX_STEPS = 20
#: Lloyd steps end when no centre has moved farther than this.
LLOYD_TOLERANCE = 1e-4

_BATCH_SIZE = 8192


def unit_vectors(table: RecordTable, dimension: int) -> NDArray[np.float32]:
    """(n, d) unit embeddings of a partition."""
    assert table.encoded is not None
    return np.ascontiguousarray(table.encoded[:, :dimension])


def nearest(vectors: NDArray[np.float32], centers: NDArray[np.float32]) -> NDArray[np.intp]:
    """(n,) number of the centre at the least Euclidean distance from each vector."""
    offset = 0.5 * np.einsum("kd,kd->k", centers, centers)
    labels = [
        np.argmax(vectors[start : start + _BATCH_SIZE] @ centers.T - offset, axis=1)
        for start in range(0, len(vectors), _BATCH_SIZE)
    ]
    return np.concatenate(labels) if labels else np.zeros(0, dtype=np.intp)


def find_centers(
    partitions: Partitions,
    dimension: int,
    n_clusters: int,
    random_state: int,
    progress: Callable[[str, int, int], None] | None = None,
) -> NDArray[np.float32]:
    """(k, d) centres of k-means.

    Args:
        partitions: Encoded records.
        dimension: Length d of an embedding.
        n_clusters: Number k of clusters. At most the number of records is used, or of different records below 10,000.
        random_state: Seed of the sample and of k-means.
        progress: Called with (step, done, total).

    Raises:
        MissingExtraError: If scikit-learn is not installed.
    """
    try:
        from sklearn.cluster import KMeans
    except ImportError as error:
        raise MissingExtraError("training", "train") from error
    sizes = partitions.map(len)
    total = sum(sizes)
    sampled = total > KMEANS_SAMPLE_SIZE
    chosen = np.arange(total)
    if sampled:
        chosen = np.sort(np.random.default_rng(random_state).choice(total, KMEANS_SAMPLE_SIZE, replace=False))
    starts = np.cumsum([0, *sizes])
    sample = np.concatenate(partitions.map(_chosen_vectors, dimension, chosen, starts.tolist()))
    k = min(n_clusters, len(np.unique(sample, axis=0)) if total < 10_000 else total)
    centers = KMeans(k, random_state=random_state, n_init=10).fit(sample).cluster_centers_.astype(np.float32)
    return _lloyd(partitions, np.asarray(centers), progress) if sampled else np.asarray(centers)


def _chosen_vectors(
    table: RecordTable, dimension: int, chosen: NDArray[np.intp], starts: list[int]
) -> NDArray[np.float32]:
    """Embeddings of the chosen rows that are in this partition; ``starts`` are the first rows of all partitions."""
    start = starts[table.partition_index]
    rows = chosen[(chosen >= start) & (chosen < start + len(table))] - start
    return unit_vectors(table, dimension)[rows]


def _lloyd(
    partitions: Partitions, centers: NDArray[np.float32], progress: Callable[[str, int, int], None] | None
) -> NDArray[np.float32]:
    for step in range(LLOYD_MAX_STEPS):
        if progress:
            progress("cluster", step, LLOYD_MAX_STEPS)
        sums = partitions.reduce(_assigned_sums, centers)
        moved = np.where(sums["n"][:, None] > 0, sums["sum"] / np.maximum(sums["n"], 1)[:, None], centers)
        shift = float(np.square(moved - centers).sum(axis=1).max())
        centers = moved.astype(np.float32)
        if shift < LLOYD_TOLERANCE**2:
            break
    return centers


def _assigned_sums(table: RecordTable, centers: NDArray[np.float32]) -> dict[str, Array]:
    """The sum and the number of the vectors that are nearest to each centre."""
    vectors = unit_vectors(table, centers.shape[1])
    labels = nearest(vectors, centers)
    sums = np.zeros(centers.shape)
    for cluster in np.unique(labels):
        sums[cluster] = vectors[labels == cluster].sum(axis=0, dtype=np.float64)
    return {"sum": sums, "n": np.bincount(labels, minlength=len(centers)).astype(np.float64)}


def max_similarity(table: RecordTable, dimension: int, centers: NDArray[np.float32]) -> NDArray[Any]:
    """(n,) cosine of each query with the centre that it is most similar to."""
    vectors = unit_vectors(table, dimension)
    batches = [
        (vectors[start : start + _BATCH_SIZE] @ centers.T).max(axis=1) for start in range(0, len(vectors), _BATCH_SIZE)
    ]
    return np.concatenate(batches) if batches else np.zeros(0)
