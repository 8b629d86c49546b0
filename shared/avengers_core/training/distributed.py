"""Training on a Dask cluster (extra ``dask``): records are read, embedded and summed up where they are.

Only sums, a sample of 50,000 embeddings and names travel. If a worker dies, its partitions are read and embedded again
by another worker.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ..embedders.base import Embedder
from ..embedders.factory import make_embedder
from ..errors import MissingExtraError, RecordError
from ..records.io import Source, find_files, parse_record, read_records
from ..records.loading import load_records
from ..records.partitions import add
from ..records.schema import Record
from ..records.table import RecordTable
from .encoding import encode_records
from .estimator import RouterEstimator
from .parts import align, left_names, names_of, sources_left, with_sources

__all__ = ["DaskPartitions", "FileSlice", "connect", "find_slices", "fit_on_cluster", "load_partition", "read_slice"]

#: Bytes of JSON lines in a partition.
PARTITION_BYTES = 32 << 20
#: Rows of Parquet in a partition.
PARTITION_ROWS = 20_000


class FileSlice(NamedTuple):
    """A piece of a file: the records of one partition.

    Attributes:
        path: The file.
        start: First byte (JSON lines) or row group (Parquet).
        end: Byte or row group after the last, or None for the whole file.
    """

    path: str
    start: int = 0
    end: int | None = None


def find_slices(
    source: Source, partition_bytes: int = PARTITION_BYTES, partition_rows: int = PARTITION_ROWS
) -> list[FileSlice]:
    """The slices of JSON lines and Parquet files, in order. A compressed file is one slice.

    Args:
        source: Files and folders.
        partition_bytes: Bytes of JSON lines in a slice.
        partition_rows: Rows of Parquet in a slice, rounded up to whole row groups.

    Raises:
        RecordError: If a path does not exist, or there is no file of records.
    """
    slices = []
    for path in find_files(source, (".parquet",)):
        if path.suffix == ".parquet":
            slices += _parquet_slices(path, partition_rows)
        elif path.suffix == ".gz":
            slices.append(FileSlice(str(path)))
        else:
            size = os.path.getsize(path)
            starts = range(0, size, partition_bytes)
            slices += [FileSlice(str(path), start, min(start + partition_bytes, size)) for start in starts]
    return slices


def _parquet_slices(path: Path, partition_rows: int) -> list[FileSlice]:
    import pyarrow.parquet as pq

    meta = pq.ParquetFile(path).metadata
    slices = []
    first = rows = 0
    for group in range(meta.num_row_groups):
        rows += meta.row_group(group).num_rows
        if rows >= partition_rows or group == meta.num_row_groups - 1:
            slices.append(FileSlice(str(path), first, group + 1))
            first, rows = group + 1, 0
    return slices


def read_slice(file_slice: FileSlice) -> list[Record]:
    """The validated records of a slice.

    Raises:
        RecordError: If a record is not valid; the message names the file, the line (JSON) or the row (Parquet), and
            the field.
    """
    path = Path(file_slice.path)
    if path.suffix == ".parquet":
        return _read_parquet(file_slice)
    if file_slice.end is None:
        return list(read_records(path))
    records = []
    with path.open("rb") as file:
        if file_slice.start:  # a line that begins before belongs to the slice before
            file.seek(file_slice.start - 1)
            file.readline()
        while file.tell() < file_slice.end and (line := file.readline()):
            if line.strip():
                try:
                    records.append(parse_record(line))
                except ValueError as error:
                    raise RecordError(f"{path}:{_lines_before(path, file.tell() - len(line)) + 1}: {error}") from None
    return records


def _lines_before(path: Path, position: int) -> int:
    with path.open("rb") as file:
        return sum(piece.count(b"\n") for piece in iter(lambda: file.read(min(1 << 20, position - file.tell())), b""))


def _read_parquet(file_slice: FileSlice) -> list[Record]:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(file_slice.path)
    columns = [name for name in Record.__struct_fields__ if name in file.schema_arrow.names]
    table = file.read_row_groups(list(range(file_slice.start, file_slice.end or 0)), columns=columns)
    before = sum(file.metadata.row_group(group).num_rows for group in range(file_slice.start))
    records = []
    for number, row in enumerate(table.to_pylist(), start=before + 1):
        for name in ("records", "usages", "weights"):
            row[name] = _mapping(row.get(name), keep_null=name == "records" and isinstance(row.get(name), list))
        try:
            records.append(parse_record(msgspec.json.encode(row)))
        except (ValueError, json.JSONDecodeError) as error:
            raise RecordError(f"{file_slice.path}: row {number}: {error}") from None
    return records


def _mapping(value: Any, keep_null: bool) -> dict[str, Any]:
    """A Parquet map, struct or JSON text as a mapping. In a struct, null means that a model was not asked."""
    value = json.loads(value) if isinstance(value, str) else value
    pairs = value if isinstance(value, list) else (value or {}).items()
    return {key: item for key, item in pairs if item is not None or keep_null}


def load_partition(file_slice: FileSlice, embedder: str | None) -> RecordTable | None:
    """The records of a slice with embeddings and without texts.

    Args:
        file_slice: Where the records are.
        embedder: Name of the embedder; see `make_embedder`.

    Returns:
        The table, or None if the slice has no record.

    Raises:
        RecordError: If a record is not valid.
    """
    records = read_slice(file_slice)
    if not records:
        return None
    table = encode_records(load_records(records), _embedder(embedder))
    return replace(table, queries=[], index=[""] * len(table))


@functools.lru_cache(maxsize=2)
def _embedder(name: str | None) -> Embedder:
    return make_embedder(name)


def _names(table: RecordTable | None) -> tuple[list[str], list[str]]:
    return ([], []) if table is None else names_of(table)


def _align(table: RecordTable | None, models: list[str], datasets: list[str]) -> RecordTable | None:
    """The partition with these models' columns and these datasets' rows, or None if no row is left."""
    aligned = None if table is None else align(table, models, datasets)
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
    partition_bytes: int = PARTITION_BYTES,
    partition_rows: int = PARTITION_ROWS,
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
        RecordError: If a record is not valid, or no record is left. An index that occurs twice is noticed within a
            compressed file only.
        ValueError: If a parameter is out of its range, or the estimator cannot be trained on a cluster.
    """
    _check_estimator(estimator)
    loaded = _load_partitions(estimator, find_slices(source, partition_bytes, partition_rows), client)
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
    if not (estimator.embedder is None or isinstance(estimator.embedder, str)):
        raise ValueError("on a cluster the embedder must be a name, from which each worker makes its own")


def _load_partitions(estimator: RouterEstimator, slices: list[FileSlice], client: Any) -> list[Any]:
    """Futures of the tables of all slices, once all are loaded."""
    import distributed

    as_completed: Any = distributed.as_completed  # untyped
    futures: list[Any] = [client.submit(load_partition, item, estimator.embedder, pure=False) for item in slices]
    for done, future in enumerate(as_completed(futures), start=1):
        if future.status == "error":
            future.result()
        if estimator.progress:
            estimator.progress("read and embed partitions", done, len(futures))
    return futures


def _sources_left(table: RecordTable | None) -> list[str]:
    return [] if table is None else sources_left(table)


def _number(table: RecordTable, sources: list[str], position: int) -> RecordTable:
    """The partition with its position and with the sources of all partitions."""
    return replace(with_sources(table, sources), partition_index=position)


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
