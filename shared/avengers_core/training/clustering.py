"""k-means over partitions (extra ``train``): scikit-learn's k-means on a sample, then Lloyd steps over all records.

Both are deterministic in the records, their order and the seed, however the records are partitioned, so a cluster of
machines finds the centres that one machine finds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingExtraError
from ..records.partitions import Partitions
from ..records.table import RecordTable
from ..routing.statistics import Array

__all__ = [
    "clusters_per_source",
    "find_centers",
    "max_similarity",
    "nearest",
    "nearest_of_source",
    "sample_rows",
    "source_sizes",
    "unit_vectors",
]

#: Clusters if the records are not clustered by source, and nothing else is asked for.
DEFAULT_CLUSTERS = 40
#: Records for which a source has a cluster, and the most clusters of a source, if nothing else is asked for.
RECORDS_PER_CLUSTER, MAX_CLUSTERS_PER_SOURCE = 60, 24
#: Records for each cluster that scikit-learn's k-means is run on; faiss takes 256.
SAMPLE_PER_CLUSTER = 512
#: Lloyd steps over all records, at most, if there are more records than the sample holds.
LLOYD_MAX_STEPS = 20
#: Lloyd steps end when no centre has moved farther than this.
LLOYD_TOLERANCE = 1e-4

_BATCH_SIZE = 8192


def unit_vectors(table: RecordTable, dimension: int) -> NDArray[np.float32]:
    """(n, d) unit embeddings of a partition: a view, whose rows do not follow one another in memory."""
    assert table.encoded is not None
    return table.encoded[:, :dimension]


def nearest(vectors: NDArray[np.float32], centers: NDArray[np.float32]) -> NDArray[np.intp]:
    """(n,) number of the centre at the least Euclidean distance from each vector."""
    offset = 0.5 * np.einsum("kd,kd->k", centers, centers)
    labels = [np.argmax(batch @ centers.T - offset, axis=1) for batch in _batches(vectors)]
    return np.concatenate(labels) if labels else np.zeros(0, dtype=np.intp)


def _batches(vectors: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """A few thousand rows at a time, one after the other in memory."""
    for start in range(0, len(vectors), _BATCH_SIZE):
        yield np.ascontiguousarray(vectors[start : start + _BATCH_SIZE])


def nearest_of_source(
    table: RecordTable, centers: NDArray[np.float32], cluster_sources: Sequence[int]
) -> NDArray[np.intp]:
    """(n,) number of the centre of the record's own source that is nearest to each record.

    Args:
        table: Encoded records.
        centers: (k, d) centres.
        cluster_sources: Source of each centre, as in ``table.sources``. Empty: every centre is of every source.
    """
    vectors = unit_vectors(table, centers.shape[1])
    if not len(cluster_sources):
        return nearest(vectors, centers)
    of_center = np.asarray(cluster_sources)
    labels = np.zeros(len(table), dtype=np.intp)
    for code in np.unique(table.source):
        rows, own = np.flatnonzero(table.source == code), np.flatnonzero(of_center == code)
        labels[rows] = own[nearest(vectors[rows], centers[own])]
    return labels


def clusters_per_source(sizes: Sequence[int], n_clusters: int | None) -> list[int]:
    """How many clusters each source has.

    Args:
        sizes: Records of each source.
        n_clusters: Number of all clusters; each source has a share of them by its records, and at least one. None: one
            for `RECORDS_PER_CLUSTER` records, at most `MAX_CLUSTERS_PER_SOURCE` of a source.
    """
    if n_clusters is None:
        return [min(max(round(size / RECORDS_PER_CLUSTER), 1), MAX_CLUSTERS_PER_SOURCE) for size in sizes]
    shares = np.array(sizes) * n_clusters / sum(sizes)
    counts = np.maximum(np.floor(shares), 1).astype(int)
    for position in np.argsort(counts - shares, kind="stable"):
        if counts.sum() >= n_clusters:
            break
        counts[position] += 1
    return [int(count) for count in counts]


def find_centers(
    partitions: Partitions,
    dimension: int,
    n_clusters: int | None,
    random_state: int,
    progress: Callable[[str, int, int], None] | None = None,
    *,
    by_source: bool = False,
) -> tuple[NDArray[np.float32], list[int]]:
    """The centres of k-means.

    Args:
        partitions: Encoded records.
        dimension: Length d of an embedding.
        n_clusters: Number k of clusters. At most the number of records is used, or of different ones among those that
            k-means starts from if there are fewer than 10,000 records.
            None: see `clusters_per_source`.
        random_state: Seed of the sample and of k-means.
        progress: Called with (step, done, total).
        by_source: Whether each source is clustered by itself.

    Returns:
        (k, d) centres and the source of each; no sources if they are not clustered by source.

    Raises:
        MissingExtraError: If scikit-learn is not installed.
    """
    wanted: dict[int | None, int]
    if by_source:
        sizes = partitions.reduce(source_sizes)
        present = [code for code, size in enumerate(sizes) if size]
        wanted = dict(zip(present, clusters_per_source(sizes[present].tolist(), n_clusters), strict=True))
    else:
        wanted = {None: DEFAULT_CLUSTERS if n_clusters is None else n_clusters}

    def start(source: int | None) -> tuple[NDArray[np.float32], bool]:
        return _cluster_sample(partitions, dimension, wanted[source], random_state, source)

    with ThreadPoolExecutor(min(len(wanted), os.cpu_count() or 1)) as threads:
        started = dict(zip(wanted, threads.map(start, wanted), strict=True))
    sampled = {source: centers for source, (centers, whole) in started.items() if not whole}
    centers = {source: found for source, (found, _) in started.items()} | _lloyd(partitions, sampled, progress)
    sources = [source for source, found in centers.items() for _ in found if source is not None]
    return np.concatenate(list(centers.values())), sources


def source_sizes(table: RecordTable) -> NDArray[np.int64]:
    """(s,) number of records of each source."""
    return np.bincount(table.source, minlength=len(table.sources))


def _cluster_sample(
    partitions: Partitions, dimension: int, n_clusters: int, random_state: int, source: int | None
) -> tuple[NDArray[np.float32], bool]:
    """(k, d) centres of the records of one source, or of all if it is None, and whether no record was left out."""
    try:
        from sklearn.cluster import KMeans
    except ImportError as error:
        raise MissingExtraError("training", "train") from error
    sample, total = sample_rows(partitions, dimension, SAMPLE_PER_CLUSTER * n_clusters, random_state, source)
    k = min(n_clusters, len(np.unique(sample, axis=0)) if total < 10_000 else total)
    centers = KMeans(k, random_state=random_state, n_init=10).fit(sample).cluster_centers_.astype(np.float32)
    return np.asarray(centers), total == len(sample)


def sample_rows(
    partitions: Partitions, width: int, size: int, random_state: int, source: int | None
) -> tuple[NDArray[np.float32], int]:
    """At most ``size`` encoded records that are drawn evenly.

    The draw does not depend on how the records are partitioned.

    Args:
        partitions: Encoded records.
        width: Number of columns.
        size: Number of records, at most.
        random_state: Seed of the draw.
        source: The source whose records are drawn; None: all.

    Returns:
        (n, width) the first columns of what the drawn records are encoded as, and the number of records there are.
    """
    sizes = partitions.map(_size_of_source, source)
    total = sum(sizes)
    chosen = np.arange(total)
    if total > size:
        chosen = np.sort(np.random.default_rng(random_state).choice(total, size, replace=False))
    starts = np.cumsum([0, *sizes])
    return np.concatenate(partitions.map(_chosen_vectors, width, chosen, starts.tolist(), source)), total


def _size_of_source(table: RecordTable, source: int | None) -> int:
    return len(table) if source is None else int((table.source == source).sum())


def _chosen_vectors(
    table: RecordTable, dimension: int, chosen: NDArray[np.intp], starts: list[int], source: int | None
) -> NDArray[np.float32]:
    """Embeddings of the chosen rows that are in this partition; ``starts`` are the first rows of all partitions."""
    first, end = starts[table.partition_index], starts[table.partition_index + 1]
    rows = chosen[(chosen >= first) & (chosen < end)] - first
    return unit_vectors(table, dimension)[rows if source is None else np.flatnonzero(table.source == source)[rows]]


#: Centres by source; those of the source None are of all records.
_Centers = dict[int | None, NDArray[np.float32]]


def _lloyd(partitions: Partitions, centers: _Centers, progress: Callable[[str, int, int], None] | None) -> _Centers:
    """The centres moved by Lloyd's steps over all records, those of all sources in one pass."""
    centers, moving = dict(centers), set(centers)
    for step in range(LLOYD_MAX_STEPS):
        if not moving:
            break
        if progress:
            progress("cluster", step, LLOYD_MAX_STEPS)
        for source, sums in partitions.reduce(_assigned_sums, {code: centers[code] for code in moving}).items():
            old, n = centers[source], sums["n"][:, None]
            moved = np.where(n > 0, sums["sum"] / np.maximum(n, 1), old)
            centers[source] = moved.astype(np.float32)
            if float(np.square(moved - old).sum(axis=1).max()) < LLOYD_TOLERANCE**2:
                moving.discard(source)
    return centers


def _assigned_sums(table: RecordTable, centers: _Centers) -> dict[int | None, dict[str, Array]]:
    """For each source, the sum and the number of the vectors that are nearest to each centre."""
    found = {}
    for source, own in centers.items():
        vectors = unit_vectors(table, own.shape[1])
        if source is not None:
            vectors = vectors[table.source == source]
        labels = nearest(vectors, own)
        sums = np.zeros(own.shape)
        for cluster in np.unique(labels):
            sums[cluster] = vectors[labels == cluster].sum(axis=0, dtype=np.float64)
        found[source] = {"sum": sums, "n": np.bincount(labels, minlength=len(own)).astype(np.float64)}
    return found


def max_similarity(table: RecordTable, dimension: int, centers: NDArray[np.float32]) -> NDArray[Any]:
    """(n,) cosine of each query with the centre that it is most similar to."""
    vectors = unit_vectors(table, dimension)
    batches = [(batch @ centers.T).max(axis=1) for batch in _batches(vectors)]
    return np.concatenate(batches) if batches else np.zeros(0)
