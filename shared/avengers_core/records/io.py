"""Records from and to JSON lines, plain or gzip; what is wrong is named by file, line and field."""

from __future__ import annotations

import gzip
import itertools
import math
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from .._utils.files import replacing
from ..errors import RecordError
from .schema import OLD_NAMES, Record, Usage

Source = str | Path | Iterable[str | Path]


SUFFIXES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")


#: A longer line is refused, so that a damaged or hostile file (a small .gz may hold terabytes) cannot fill the memory.
MAX_LINE_BYTES = 64 << 20


def find_files(source: Source, more_suffixes: tuple[str, ...] = ()) -> list[Path]:
    """The record files of a file, a folder (searched in depth) or a list of either.

    Args:
        more_suffixes: of other files that a folder is searched for.

    Raises:
        RecordError: a path does not exist, or a folder holds no ``.jsonl`` or ``.jsonl.gz`` file.
    """
    paths = [source] if isinstance(source, (str, Path)) else list(source)
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            found = sorted(p for p in path.rglob("*") if p.is_file() and p.name.endswith(SUFFIXES + more_suffixes))
            if not found:
                raise RecordError(f"{path}: no {' or '.join(SUFFIXES[:2])} file in this folder")
            files += found
        elif path.is_file():
            files.append(path)
        else:
            raise RecordError(f"{path}: no such file or folder")
    if not files:
        raise RecordError("no record file was given")
    return files


def read_records(source: Source) -> Iterator[Record]:
    """Stream validated records, in file order, in constant memory but for the names seen.

    Raises:
        RecordError: names the file, the line and the field of the first fault; also for a file without records and
            for an index that stands twice in one dataset.
    """
    seen: dict[int, tuple[int, int]] = {}
    files = find_files(source)
    for number, path in enumerate(files):
        count = 0
        for line_number, line in _lines(path):
            where = f"{path}:{line_number}"
            try:
                record = parse_record(line)
            except ValueError as error:
                raise RecordError(f"{where}: {error}") from None
            key = hash((record.dataset, str(record.index)))
            if key in seen:
                first_file, first_line = seen[key]
                raise RecordError(
                    f"{where}: field 'index': {record.index!r} of dataset {record.dataset!r} already stands at "
                    f"{files[first_file]}:{first_line}; give each record of a dataset an index of its own"
                )
            seen[key] = (number, line_number)
            count += 1
            yield record
        if not count:
            raise RecordError(f"{path}: the file has no records")


_decoder = msgspec.json.Decoder(Record)
_OLD_NAME = re.compile(rb'"(?:%s)"\s*:' % "|".join(OLD_NAMES).encode())


def parse_record(line: bytes) -> Record:
    """A validated record.

    Raises:
        ValueError: names the field of the first fault.
    """
    try:
        record = _decoder.decode(_with_new_names(line) if _OLD_NAME.search(line) else line)
        _check_values(record)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ValueError(_name_fault(line, error)) from None
    return record


def _with_new_names(line: bytes) -> bytes:
    """The line with `OLD_NAMES` replaced in its usages."""
    fields = msgspec.json.decode(line)
    usages = fields.get("usages") if isinstance(fields, dict) else None
    for usage in usages.values() if isinstance(usages, dict) else ():
        for old, new in OLD_NAMES.items():
            if isinstance(usage, dict) and old in usage:
                usage.setdefault(new, usage.pop(old))
    return msgspec.json.encode(fields)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    opener: Callable[..., IO[bytes]] = gzip.open if path.suffix == ".gz" else open  # type: ignore[assignment]
    try:
        with opener(path, "rb") as file:
            for line_number in itertools.count(1):
                line = file.readline(MAX_LINE_BYTES + 1)
                if not line:
                    return
                if len(line) > MAX_LINE_BYTES:
                    raise RecordError(f"{path}:{line_number}: the line is longer than {MAX_LINE_BYTES >> 20} MiB")
                if line.strip():
                    yield line_number, line
    except (OSError, EOFError, gzip.zlib.error) as error:  # type: ignore[attr-defined]
        raise RecordError(f"{path}: cannot be read: {error}") from error


def _check_values(record: Record) -> None:
    if not record.records:
        raise ValueError("field 'records': no model; remove the line or add a score")
    if not record.query.strip():
        raise ValueError("field 'query': empty")
    for model, score in record.records.items():
        if score is not None and not 0 <= score <= 1:
            raise ValueError(f"field 'records[{model!r}]': score {score} is not in [0, 1]")
    for model, usage in record.usages.items():
        if usage is None:
            continue
        if model not in record.records:
            raise ValueError(f"field 'usages[{model!r}]': the model has no score in 'records'")
        for name in usage.__struct_fields__:
            value = getattr(usage, name)
            if value is not None and not (value >= 0 and math.isfinite(value)):
                raise ValueError(f"field 'usages[{model!r}].{name}': {value} is not a finite number of 0 or more")
    for model, weight in record.weights.items():
        if model not in record.records:
            raise ValueError(f"field 'weights[{model!r}]': the model has no score in 'records'")
        if not (weight > 0 and math.isfinite(weight)):
            raise ValueError(f"field 'weights[{model!r}]': {weight} is not a finite number above 0")


def write_records(path: str | Path, records: Iterable[Record]) -> int:
    """Write records as JSON lines, gzip where the name ends in ``.gz``; returns how many."""
    return write_lines(path, (msgspec.json.encode(_bare(record)) for record in records))


def write_lines(path: str | Path, lines: Iterable[bytes]) -> int:
    """Write lines, gzip where the name ends in ``.gz``; returns how many.

    They are written beside ``path`` and renamed, so that an interrupted write leaves what was there.
    """
    path, count = Path(path), 0
    opener: Callable[..., IO[bytes]] = gzip.open if path.suffix == ".gz" else open  # type: ignore[assignment]
    with replacing(path) as temporary, opener(temporary, "wb") as file:
        for count, line in enumerate(lines, start=1):  # noqa: B007
            file.write(line + b"\n")
    return count


def _bare(record: Record) -> dict[str, Any]:
    """A record without what is unknown or default."""
    plain: dict[str, Any] = msgspec.to_builtins(record)
    plain["usages"] = {
        model: {name: value for name, value in (usage or {}).items() if value is not None}
        for model, usage in plain["usages"].items()
    }
    return {name: value for name, value in plain.items() if value or name not in ("usages", "weights")}


class _Values(msgspec.Struct):
    records: dict[str, msgspec.Raw] = {}
    usages: dict[str, msgspec.Raw] = {}
    weights: dict[str, msgspec.Raw] = {}


def _name_fault(line: bytes, error: Exception) -> str:
    """The fault with the model's name in it: msgspec's path says ``[...]`` for a dictionary's value."""
    message = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return message if message.startswith("field") else f"not valid JSON: {message}"
    reason, _, path = message.partition(" - at ")
    try:
        raw = msgspec.json.decode(_with_new_names(line), type=_Values)
    except (msgspec.DecodeError, RecursionError):
        raw = _Values()
    for name, kind in (("records", float | bool | None), ("usages", Usage | None), ("weights", float)):
        for model, value in getattr(raw, name).items():
            try:
                msgspec.json.decode(value, type=kind)
            except msgspec.DecodeError as inner:
                reason, _, inside = str(inner).partition(" - at ")
                field = inside.strip("`").removeprefix("$")
                old = next((o for o, new in OLD_NAMES.items() if field == f".{new}" and o.encode() in line), None)
                return f"field '{name}[{model!r}]{f'.{old}' if old else field}': {reason}"
    return f"field '{path.strip('`').removeprefix('$.')}': {reason}" if path else reason
