"""Training on a Dask cluster (extra ``dask``): partitions are read, embedded and summed up where they are.

Only sums, a sample of 50,000 embeddings and names travel. A partition whose worker dies is read and embedded again by
another.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from ..embedders.base import Embedder
from ..embedders.factory import make_embedder
from ..errors import MissingExtraError, RecordError
from ..records.io import find_files, parse_record
from ..records.parts import add
from ..records.schema import Record
from ..records.table import RecordTable, load_records
from .estimator import RouterEstimator, load_encoded

Progress = Callable[[str, int, int], None]

#: Bytes of JSON lines, and rows of Parquet, in a partition.
PART_BYTES, PART_ROWS = 32 << 20, 20_000


class Partition(NamedTuple):
    """A piece of a file: bytes of JSON lines, row groups of Parquet, or (``end`` None) the whole of it."""

    path: str
    start: int = 0
    end: int | None = None


def find_partitions(source: Any, part_bytes: int = PART_BYTES, part_rows: int = PART_ROWS) -> list[Partition]:
    """Pieces of JSON lines and Parquet files, in order; a compressed file is one piece.

    Raises:
        RecordError: a path does not exist, or there is no file of records.
    """
    parts = []
    for path in find_files(source, (".parquet",)):
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            meta = pq.ParquetFile(path).metadata
            first = rows = 0
            for group in range(meta.num_row_groups):
                rows += meta.row_group(group).num_rows
                if rows >= part_rows or group == meta.num_row_groups - 1:
                    parts.append(Partition(str(path), first, group + 1))
                    first, rows = group + 1, 0
        elif path.suffix == ".gz":
            parts.append(Partition(str(path)))
        else:
            size = os.path.getsize(path)
            parts += [Partition(str(path), at, min(at + part_bytes, size)) for at in range(0, size, part_bytes)]
    return parts


def read_partition(partition: Partition) -> list[Record]:
    """Its validated records.

    Raises:
        RecordError: names the file, the line (JSON) or the row (Parquet) and the field.
    """
    path = Path(partition.path)
    if path.suffix == ".parquet":
        return _read_parquet(partition)
    if partition.end is None:
        from ..records.io import read_records

        return list(read_records(path))
    records = []
    with path.open("rb") as file:
        file.seek(partition.start)
        if partition.start:  # the line that begins before is the last part's
            file.seek(partition.start - 1)
            file.readline()
        number = 0
        while file.tell() < partition.end and (line := file.readline()):
            number += 1
            if line.strip():
                try:
                    records.append(parse_record(line))
                except ValueError as error:
                    raise RecordError(f"{path}:{_lines_before(path, file.tell() - len(line)) + 1}: {error}") from None
    return records


def _lines_before(path: Path, position: int) -> int:
    with path.open("rb") as file:
        return sum(piece.count(b"\n") for piece in iter(lambda: file.read(min(1 << 20, position - file.tell())), b""))


def _read_parquet(partition: Partition) -> list[Record]:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(partition.path)
    wanted = [name for name in Record.__struct_fields__ if name in file.schema_arrow.names]
    table = file.read_row_groups(list(range(partition.start, partition.end or 0)), columns=wanted)
    before = sum(file.metadata.row_group(group).num_rows for group in range(partition.start))
    records = []
    for number, row in enumerate(table.to_pylist(), start=before + 1):
        for name in ("records", "usages", "weights"):
            row[name] = _mapping(row.get(name), keep_null=name == "records" and isinstance(row.get(name), list))
        try:
            records.append(parse_record(msgspec.json.encode(row)))
        except (ValueError, json.JSONDecodeError) as error:
            raise RecordError(f"{partition.path}: row {number}: {error}") from None
    return records


def _mapping(value: Any, keep_null: bool) -> dict[str, Any]:
    """A Parquet map, struct or JSON text as a mapping; a struct has null where a model was not asked."""
    value = json.loads(value) if isinstance(value, str) else value
    pairs = value if isinstance(value, list) else (value or {}).items()
    return {key: one for key, one in pairs if one is not None or keep_null}


def load_part(partition: Partition, embedder: str | None) -> RecordTable | None:
    """A partition's records with embeddings and without texts; None where there is no record."""
    records = read_partition(partition)
    if not records:
        return None
    table = load_encoded(load_records(records), _embedder(embedder))
    return replace(table, queries=[], index=[""] * len(table))


@functools.lru_cache(maxsize=2)
def _embedder(name: str | None) -> Embedder:
    return make_embedder(name)


def _names(table: RecordTable | None) -> tuple[list[str], list[str]]:
    return ([], []) if table is None else (table.models, table.datasets)


def _align(table: RecordTable | None, models: list[str], datasets: list[str]) -> RecordTable | None:
    """The part with these models' columns and these datasets' rows."""
    if table is None:
        return None
    kept = np.array([name in datasets for name in table.datasets])[table.dataset]
    columns = [name for name in table.models if name in models]
    at, here = [models.index(name) for name in columns], [table.models.index(name) for name in columns]

    def spread(values: Any, blank: float) -> Any:
        out = np.full((len(table), len(models), *values.shape[2:]), blank, dtype=values.dtype)
        out[:, at] = values[:, here]
        return out

    nan = float("nan")
    wide = RecordTable(
        table.index,
        datasets,
        np.array([datasets.index(name) if name in datasets else -1 for name in table.datasets], dtype=np.int32)[
            table.dataset
        ],
        models,
        spread(table.scores, nan),
        spread(table.tokens, nan),
        spread(table.cost, nan),
        encoded=table.encoded,
        weights=None if table.weights is None else spread(table.weights, 0.0),
    )
    part = wide.rows(kept & ~np.isnan(wide.scores).all(axis=1))
    return part if len(part) else None


class DaskPartitions:
    """Partitions on a cluster's workers; see `avengers_core.records.parts.Partitions`."""

    def __init__(self, client: Any, futures: list[Any]) -> None:
        self._client = client
        self._futures = futures

    def _map(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> list[Any]:
        return [self._client.submit(function, future, *arguments, pure=False) for future in self._futures]

    def gather(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """``function(part, *arguments)`` of each part, in order."""
        return list(self._client.gather(self._map(function, arguments)))

    def total(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The sum of what ``gather`` gives, added pair by pair on the workers."""
        level = self._map(function, arguments)
        while len(level) > 1:
            pairs = [self._client.submit(add, *level[i : i + 2], pure=False) for i in range(0, len(level) - 1, 2)]
            level = [*pairs, *(level[-1:] if len(level) % 2 else [])]
        return level[0].result()


def fit_on_cluster(
    estimator: RouterEstimator,
    source: Any,
    client: Any,
    *,
    part_bytes: int = PART_BYTES,
    part_rows: int = PART_ROWS,
) -> RouterEstimator:
    """`RouterEstimator.fit` on a Dask cluster: the same artifact, up to the rounding of sums in another order.

    Args:
        estimator: its ``embedder`` must be a name, which each worker makes for itself; ``train_ratio`` must be 1.
        source: files or folders of JSON lines (plain or gzip) and Parquet, at the same paths on all workers.
        client: a `distributed.Client`.

    Raises:
        RecordError: unusable records; that an index stands twice is noticed within a partition's file piece only.
        ValueError: an estimator that cannot be trained so.
    """
    estimator._check()
    if estimator.train_ratio != 1:
        raise ValueError("on a cluster train_ratio must be 1: keep the records to evaluate on in files of their own")
    if not (estimator.embedder is None or isinstance(estimator.embedder, str)):
        raise ValueError("on a cluster the embedder must be a name, which each worker makes for itself")
    from distributed import as_completed

    finished: Any = as_completed

    partitions = find_partitions(source, part_bytes, part_rows)
    loaded = [client.submit(load_part, one, estimator.embedder, pure=False) for one in partitions]
    for done, future in enumerate(finished(loaded), start=1):
        if future.status == "error":
            future.result()
        if estimator.progress:
            estimator.progress("read and embed partitions", done, len(loaded))
    found = client.gather([client.submit(_names, future, pure=False) for future in loaded])
    models = _kept("model", (n for n, _ in found), estimator.exclude_models, estimator.soft_exclude_models)
    datasets = _kept("dataset", (n for _, n in found), estimator.exclude_datasets, estimator.soft_exclude_datasets)
    aligned = [client.submit(_align, f, models, datasets, pure=False) for f in loaded]
    sizes = client.gather([client.submit(_size, future, pure=False) for future in aligned])
    if not any(sizes):
        raise RecordError("no record is left after the exclusions")
    kept = [future for future, size in zip(aligned, sizes, strict=True) if size]
    numbered = [client.submit(_number, future, position, pure=False) for position, future in enumerate(kept)]
    return estimator.fit_parts(DaskPartitions(client, numbered), models, datasets, make_embedder(estimator.embedder))


def _size(table: RecordTable | None) -> int:
    return 0 if table is None else len(table)


def _number(table: RecordTable, position: int) -> RecordTable:
    return replace(table, position=position)


def _kept(kind: str, found: Iterable[list[str]], *excluded: Iterable[str]) -> list[str]:
    names = sorted({name for part in found for name in part})
    out = {name for part in excluded for name in part}
    if unknown := sorted(out - set(names)):
        raise RecordError(f"cannot exclude {kind} {unknown[0]!r}: the records have {', '.join(names)}")
    return [name for name in names if name not in out]


def connect(address: str) -> Any:
    """A client of the scheduler at ``tcp://host:port``.

    Raises:
        MissingExtraError: Dask is not installed. ValueError: nothing answers there.
    """
    try:
        from distributed import Client
    except ImportError:
        raise MissingExtraError("--scheduler", "dask") from None
    make: Any = Client
    try:
        return make(address, timeout=20)
    except (OSError, TimeoutError, ValueError) as error:
        raise ValueError(f"no Dask scheduler at {address}: {error}") from None
