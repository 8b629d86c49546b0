"""Pieces of record files, which several processes or machines read side by side."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ..errors import RecordError
from .io import Source, find_files, parse_record, records_of_file
from .schema import Record

__all__ = ["SLICE_BYTES", "SLICE_ROWS", "FileSlice", "check_not_empty", "find_slices", "read_slice"]

#: Bytes of JSON lines in a slice.
SLICE_BYTES = 32 << 20
#: Rows of Parquet in a slice.
SLICE_ROWS = 20_000


class FileSlice(NamedTuple):
    """A piece of a file.

    Attributes:
        path: The file.
        start: First byte (JSON lines) or row group (Parquet).
        end: Byte or row group after the last, or None for the whole file.
    """

    path: str
    start: int = 0
    end: int | None = None


def find_slices(
    source: Source,
    slice_bytes: int = SLICE_BYTES,
    slice_rows: int = SLICE_ROWS,
    *,
    more_suffixes: tuple[str, ...] = (),
) -> list[FileSlice]:
    """The slices of JSON lines and Parquet files, in order. A compressed file is one slice.

    Args:
        source: Files and folders.
        slice_bytes: Bytes of JSON lines in a slice.
        slice_rows: Rows of Parquet in a slice, rounded up to whole row groups.
        more_suffixes: ``(".parquet",)`` if there may be Parquet files.

    Raises:
        RecordError: If a path does not exist, or there is no file of records.
    """
    slices: list[FileSlice] = []
    for path in find_files(source, more_suffixes):
        if path.suffix == ".parquet":
            slices += _parquet_slices(path, slice_rows)
        elif path.suffix == ".gz":
            slices.append(FileSlice(str(path)))
        else:
            size = os.path.getsize(path)
            starts = range(0, size, slice_bytes)
            slices += [FileSlice(str(path), start, min(start + slice_bytes, size)) for start in starts]
    return slices


def _parquet_slices(path: Path, slice_rows: int) -> list[FileSlice]:
    meta = _open_parquet(path).metadata
    slices = []
    first = rows = 0
    for group in range(meta.num_row_groups):
        rows += meta.row_group(group).num_rows
        if rows >= slice_rows or group == meta.num_row_groups - 1:
            slices.append(FileSlice(str(path), first, group + 1))
            first, rows = group + 1, 0
    return slices


def _open_parquet(path: str | Path) -> Any:
    """A `pyarrow.parquet.ParquetFile`.

    Raises:
        RecordError: If it is none.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise RecordError(f"{path}: it cannot be read as Parquet: {error}") from None


def read_slice(file_slice: FileSlice) -> Iterator[Record]:
    """The validated records of a slice.

    Raises:
        RecordError: If a record is not valid; the message names the file, the line (JSON) or the row (Parquet), and
            the field.
    """
    path = Path(file_slice.path)
    if path.suffix == ".parquet":
        return _read_parquet(file_slice)
    return (record for _, record in records_of_file(path, file_slice.start, file_slice.end))


def check_not_empty(counts: Iterable[tuple[FileSlice, int]], files: Iterable[Path]) -> None:
    """Check that each file has records.

    Args:
        counts: The slices, each with the number of its records.
        files: All files.

    Raises:
        RecordError: If a file has none.
    """
    filled = {Path(one.path) for one, count in counts if count}
    for path in files:
        if path not in filled:
            raise RecordError(f"{path}: the file has no records")


def _read_parquet(file_slice: FileSlice) -> Iterator[Record]:
    file = _open_parquet(file_slice.path)
    columns = [name for name in Record.__struct_fields__ if name in file.schema_arrow.names]
    table = file.read_row_groups(list(range(file_slice.start, file_slice.end or 0)), columns=columns)
    before = sum(file.metadata.row_group(group).num_rows for group in range(file_slice.start))
    for number, row in enumerate(table.to_pylist(), start=before + 1):
        try:
            for name in ("records", "usages", "weights"):
                row[name] = _mapping(row.get(name), name)
            plain = msgspec.to_builtins(row)  # such as dates
            record = parse_record(json.dumps(plain).encode())  # JSON of Python, which tells NaN from null
        except (ValueError, TypeError) as error:
            raise RecordError(f"{file_slice.path}: row {number}: {error}") from None
        yield record


def _mapping(value: Any, name: str) -> dict[str, Any]:
    """A Parquet map, struct or JSON text as a mapping.

    In a map and in JSON, a score that is null means that the model was asked and failed. In a struct, which has a field
    for each model in every row, it means that the model was not asked.

    Args:
        value: The value.
        name: Its field, for the error.

    Raises:
        ValueError: If it is none of these.
    """
    if isinstance(value, str):
        try:
            given = json.loads(value)
        except json.JSONDecodeError as error:
            raise ValueError(f"field '{name}': not valid JSON: {error}") from None
    else:
        given = dict(value) if isinstance(value, list) else value
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise ValueError(f"field '{name}': it must be a mapping from models, not {type(given).__name__}")
    keep_null = name == "records" and not isinstance(value, dict)
    return {key: item for key, item in given.items() if item is not None or keep_null}
