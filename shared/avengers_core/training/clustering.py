"""k-means over parts (extra ``train``): scikit-learn's on a sample, then Lloyd's steps over all records.

Both are deterministic in the records, their order and the seed, whatever the parts are, so that a cluster of machines
finds the clusters that one machine finds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingExtraError
from ..records.parts import Partitions
from ..records.table import RecordTable
from ..routing.statistics import Array

#: Records that scikit-learn's k-means sees; Lloyd's steps over more, and the movement of centres at which they end.
SAMPLE = 50_000
STEPS, TOLERANCE = 20, 1e-4


def vectors_of(table: RecordTable, dimension: int) -> NDArray[np.float32]:
    """(n, d) unit embeddings of a part."""
    assert table.encoded is not None
    return np.ascontiguousarray(table.encoded[:, :dimension])


def nearest(vectors: NDArray[np.float32], centers: NDArray[np.float32]) -> NDArray[np.intp]:
    """(n,) number of the centre with the least Euclidean distance."""
    offset = 0.5 * np.einsum("kd,kd->k", centers, centers)
    labels = [
        np.argmax(vectors[start : start + 8192] @ centers.T - offset, axis=1) for start in range(0, len(vectors), 8192)
    ]
    return np.concatenate(labels) if labels else np.zeros(0, dtype=np.intp)


def find_centers(
    parts: Partitions,
    dimension: int,
    n_clusters: int,
    random_state: int,
    progress: Callable[[str, int, int], None] | None = None,
) -> NDArray[np.float32]:
    """(k, d) centres of k-means, k at most the number of records (of different ones, below 10,000).

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.cluster import KMeans
    except ImportError as error:
        raise MissingExtraError("training", "train") from error
    sizes = parts.gather(len)
    total = sum(sizes)
    sampled = total > SAMPLE
    chosen = np.arange(total)
    if sampled:
        chosen = np.sort(np.random.default_rng(random_state).choice(total, SAMPLE, replace=False))
    starts = np.cumsum([0, *sizes])
    sample = np.concatenate(parts.gather(_rows, dimension, chosen, starts.tolist()))
    k = min(n_clusters, len(np.unique(sample, axis=0)) if total < 10_000 else total)
    centers = KMeans(k, random_state=random_state, n_init=10).fit(sample).cluster_centers_.astype(np.float32)
    for step in range(STEPS if sampled else 0):
        if progress:
            progress("cluster", step, STEPS)
        sums = parts.total(_lloyd, dimension, centers)
        moved = np.where(sums["n"][:, None] > 0, sums["sum"] / np.maximum(sums["n"], 1)[:, None], centers)
        shift = float(np.square(moved - centers).sum(axis=1).max())
        centers = moved.astype(np.float32)
        if shift < TOLERANCE**2:
            break
    return np.asarray(centers)


def _rows(table: RecordTable, dimension: int, chosen: NDArray[np.intp], starts: list[int]) -> NDArray[np.float32]:
    """The chosen rows that are in this part."""
    start = starts[table.position]
    mine = chosen[(chosen >= start) & (chosen < start + len(table))] - start
    return vectors_of(table, dimension)[mine]


def _lloyd(table: RecordTable, dimension: int, centers: NDArray[np.float32]) -> dict[str, Array]:
    vectors = vectors_of(table, dimension)
    labels = nearest(vectors, centers)
    sums = np.zeros(centers.shape)
    for cluster in np.unique(labels):
        sums[cluster] = vectors[labels == cluster].sum(axis=0, dtype=np.float64)
    return {"sum": sums, "n": np.bincount(labels, minlength=len(centers)).astype(np.float64)}


def similarity(table: RecordTable, dimension: int, centers: NDArray[np.float32]) -> NDArray[Any]:
    """(n,) cosine of each query and the centre it is most like."""
    vectors = vectors_of(table, dimension)
    found = [(vectors[start : start + 8192] @ centers.T).max(axis=1) for start in range(0, len(vectors), 8192)]
    return np.concatenate(found) if found else np.zeros(0)
