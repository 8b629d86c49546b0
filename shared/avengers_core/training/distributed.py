"""Training on a Dask cluster (extra ``dask``): records are read, embedded and summed up where they are.

Only sums, a sample of embeddings and names travel. If a worker dies, its partitions are read and embedded again
by another worker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..embedders.factory import make_embedder
from ..errors import MissingExtraError, RecordError
from ..records.io import Source, find_files
from ..records.partitions import add
from ..records.slices import SLICE_BYTES, SLICE_ROWS, FileSlice, check_not_empty, find_slices
from ..records.table import RecordTable, left_names
from .encoding import encode_slice
from .estimator import RouterEstimator
from .reading import check_indices, index_keys

__all__ = ["DaskPartitions", "connect", "fit_on_cluster"]


def _names(table: RecordTable | None) -> tuple[list[str], list[str]]:
    return ([], []) if table is None else (table.models, table.datasets)


def _align(table: RecordTable | None, models: list[str], datasets: list[str]) -> RecordTable | None:
    """The partition with these models' columns and these datasets' rows, or None if no row is left."""
    aligned = None if table is None else table.align(models, datasets)
    return aligned if aligned else None


class DaskPartitions:
    """Partitions on the workers of a cluster; see `avengers_core.records.partitions.Partitions`.

    Args:
        client: A `distributed.Client` of the cluster.
        futures: Record tables on the workers.
    """

    def __init__(self, client: Any, futures: list[Any]) -> None:
        self._client = client
        self._futures = futures

    def _submit(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> list[Any]:
        return [self._client.submit(function, future, *arguments, pure=False) for future in self._futures]

    def map(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """``function(table, *arguments)`` for each partition, in order."""
        return list(self._client.gather(self._submit(function, arguments)))

    def reduce(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The sum of ``function(table, *arguments)`` over all partitions, added pair by pair on the workers."""
        level = self._submit(function, arguments)
        while len(level) > 1:
            pairs = [self._client.submit(add, *level[i : i + 2], pure=False) for i in range(0, len(level) - 1, 2)]
            level = [*pairs, *(level[-1:] if len(level) % 2 else [])]
        return level[0].result()


def fit_on_cluster(
    estimator: RouterEstimator,
    source: Source,
    client: Any,
    *,
    partition_bytes: int = SLICE_BYTES,
    partition_rows: int = SLICE_ROWS,
) -> RouterEstimator:
    """`RouterEstimator.fit` on a Dask cluster: the same artifact, up to the rounding of sums in another order.

    Args:
        estimator: The estimator. Its ``embedder`` must be a name, from which each worker makes its own embedder, and
            its ``train_ratio`` must be 1.
        source: Files or folders of JSON lines (plain or gzip) and Parquet, at the same paths on all workers.
        client: A `distributed.Client`.
        partition_bytes: Bytes of JSON lines in a partition.
        partition_rows: Rows of Parquet in a partition.

    Returns:
        The estimator.

    Raises:
        RecordError: If a record is not valid, an index occurs twice in a dataset, or no record is left.
        ValueError: If a parameter is out of its range, or the estimator cannot be trained on a cluster.
    """
    _check_estimator(estimator)
    files = find_files(source, (".parquet",))
    slices = find_slices(files, partition_bytes, partition_rows, more_suffixes=(".parquet",))
    loaded = _load_partitions(estimator, slices, client)
    keys = client.gather([client.submit(index_keys, future, pure=False) for future in loaded])
    check_not_empty(zip(slices, map(len, keys), strict=True), files)
    check_indices(keys, files)
    names = client.gather([client.submit(_names, future, pure=False) for future in loaded])
    models = left_names(
        "model", (models for models, _ in names), [*estimator.exclude_models, *estimator.soft_exclude_models]
    )
    datasets = left_names(
        "dataset", (datasets for _, datasets in names), [*estimator.exclude_datasets, *estimator.soft_exclude_datasets]
    )
    aligned = [client.submit(_align, future, models, datasets, pure=False) for future in loaded]
    left = client.gather([client.submit(_sources_left, future, pure=False) for future in aligned])
    if not any(left):
        raise RecordError("no record is left after the exclusions")
    sources = sorted({name for names in left for name in names})
    kept = [future for future, names in zip(aligned, left, strict=True) if names]
    numbered = [client.submit(_number, future, sources, position, pure=False) for position, future in enumerate(kept)]
    embedder = make_embedder(estimator.embedder)
    return estimator.fit_partitions(DaskPartitions(client, numbered), models, datasets, embedder)


def _check_estimator(estimator: RouterEstimator) -> None:
    estimator.check_parameters()
    if estimator.train_ratio != 1:
        raise ValueError("on a cluster train_ratio must be 1: keep the records to evaluate on in files of their own")
    if estimator.memory is not None or estimator.n_jobs is not None:
        raise ValueError("on a cluster memory and n_jobs have no effect: limit the workers' memory and number instead")
    if not (estimator.embedder is None or isinstance(estimator.embedder, str)):
        raise ValueError("on a cluster the embedder must be a name, from which each worker makes its own")


def _load_partitions(estimator: RouterEstimator, slices: list[FileSlice], client: Any) -> list[Any]:
    """Futures of the tables of all slices, once all are loaded."""
    import distributed

    as_completed: Any = distributed.as_completed  # untyped
    futures: list[Any] = [client.submit(encode_slice, item, estimator.embedder, pure=False) for item in slices]
    for done, future in enumerate(as_completed(futures), start=1):
        if future.status == "error":
            try:
                future.result()
            except distributed.KilledWorker as error:
                path = slices[futures.index(future)].path
                raise RecordError(
                    f"{path}: the workers that read it have died, most likely for want of memory: give them more, or "
                    "split the file (a compressed file is read in one piece)"
                ) from error
        if estimator.progress:
            estimator.progress("read and embed partitions", done, len(futures))
    return futures


def _sources_left(table: RecordTable | None) -> list[str]:
    return [] if table is None else table.sources_left()


def _number(table: RecordTable, sources: list[str], position: int) -> RecordTable:
    """The partition with its position and with the sources of all partitions."""
    return replace(table.with_sources(sources), index=[""] * len(table), partition_index=position)


def connect(address: str) -> Any:
    """A `distributed.Client` of a Dask scheduler.

    Args:
        address: ``tcp://host:port``.

    Raises:
        MissingExtraError: If Dask is not installed.
        ValueError: If no scheduler answers at the address.
    """
    try:
        import distributed
    except ImportError:
        raise MissingExtraError("training on a Dask cluster", "dask") from None
    make_client: Any = distributed.Client  # untyped
    try:
        return make_client(address, timeout=20)
    except (OSError, TimeoutError, ValueError) as error:
        raise ValueError(f"no Dask scheduler at {address}: {error}") from None
