"""Pieces of record files, which several processes or machines read side by side."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ..errors import RecordError
from .io import Source, find_files, parse_record, records_of_file
from .schema import Record

__all__ = ["SLICE_BYTES", "SLICE_ROWS", "FileSlice", "find_slices", "read_slice"]

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
    slices = []
    for path in find_files(source, more_suffixes):
        if path.suffix in more_suffixes:
            slices += _parquet_slices(path, slice_rows)
        elif path.suffix == ".gz":
            slices.append(FileSlice(str(path)))
        else:
            size = os.path.getsize(path)
            starts = range(0, size, slice_bytes)
            slices += [FileSlice(str(path), start, min(start + slice_bytes, size)) for start in starts]
    return slices


def _parquet_slices(path: Path, slice_rows: int) -> list[FileSlice]:
    import pyarrow.parquet as pq

    meta = pq.ParquetFile(path).metadata
    slices = []
    first = rows = 0
    for group in range(meta.num_row_groups):
        rows += meta.row_group(group).num_rows
        if rows >= slice_rows or group == meta.num_row_groups - 1:
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
    records = [record for _, record in records_of_file(path, file_slice.start, file_slice.end)]
    if not records and file_slice.end is None:
        raise RecordError(f"{path}: the file has no records")
    return records


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
