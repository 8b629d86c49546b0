"""Records from and to JSON lines, plain or gzip. Errors name the file, the line and the field."""

from __future__ import annotations

import difflib
import gzip
import itertools
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import attrgetter
from pathlib import Path
from typing import IO, Any

import msgspec

from .._utils.files import replacing, user_path
from ..errors import RecordError
from .schema import DURATIONS, OLD_NAMES, TOKEN_KINDS, USAGE_KINDS, Record, Usage

__all__ = [
    "MAX_LINE_BYTES",
    "SUFFIXES",
    "Source",
    "find_files",
    "parse_record",
    "read_lines",
    "read_records",
    "record_line",
    "write_lines",
    "write_records",
]

#: A file, a folder, or several of them.
Source = str | Path | Iterable[str | Path]

SUFFIXES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")

#: A longer line is refused, so that a damaged or hostile file (a small .gz may hold terabytes) cannot fill the memory.
MAX_LINE_BYTES = 64 << 20


def find_files(source: Source, more_suffixes: tuple[str, ...] = ()) -> list[Path]:
    """The record files of a file, of a folder and its subfolders, or of several of them.

    Args:
        source: The files and folders.
        more_suffixes: Further suffixes of files that are looked for in folders.

    Raises:
        RecordError: If a path does not exist, or a folder holds no file of records.
    """
    paths = [source] if isinstance(source, (str, Path)) else list(source)
    files: list[Path] = []
    for path in (user_path(given) for given in paths):
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file() and p.name.endswith(SUFFIXES + more_suffixes))
            if not inside:
                raise RecordError(f"{path}: no {' or '.join(SUFFIXES[:2])} file in this folder")
            files += inside
        elif path.is_file():
            files.append(path)
        else:
            raise RecordError(f"{path}: no such file or folder")
    if not files:
        raise RecordError("no record file was given")
    return files


def read_records(source: Source, *, source_from_file: bool = False) -> Iterator[Record]:
    """Stream validated records, in the order of the files, in constant memory except for the names seen.

    Args:
        source: A file or folder, or several of them.
        source_from_file: Whether a record without a source gets its file's name, up to the first period, as its source.

    Raises:
        RecordError: If a record is not valid (the message names the file, the line and the field), an index occurs
            twice in a dataset, or a file has no records.
    """
    seen: dict[int, tuple[int, int]] = {}
    files = find_files(source)
    for number, path in enumerate(files):
        count = 0
        for line_number, line in read_lines(path):
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
            if source_from_file and record.source is None:
                record = msgspec.structs.replace(record, source=path.name.partition(".")[0] or path.name)
            yield record
        if not count:
            raise RecordError(f"{path}: the file has no records")


_decoder = msgspec.json.Decoder(Record)
#: What `_with_new_names` changes: the names of older files, and a kind that a table's row has and its usage does not.
_OLD_FORM = re.compile(rb'"(?:%s)"\s*:|"kind"\s*:\s*null' % "|".join(OLD_NAMES).encode())
#: What a line of the old form has somewhere: to look for these is faster.
_OLD_MARKS = (*(f'"{name}"'.encode() for name in OLD_NAMES), b'"kind"')
#: What some editors write before the first line of a file in UTF-8.
_BOM = b"\xef\xbb\xbf"
#: How Python's json module writes a number that is none, which JSON does not have.
_NO_NUMBER = re.compile(rb"\b(?:NaN|-?Infinity)\b")
_AMOUNTS = (*TOKEN_KINDS, "cost_usd", *DURATIONS)
_amounts_of = attrgetter(*_AMOUNTS)


def parse_record(line: bytes) -> Record:
    """The validated record of a JSON line.

    Raises:
        ValueError: If the record is not valid; the message names the first field at fault.
    """
    try:
        if (b"NaN" in line or b"Infinity" in line) and _NO_NUMBER.search(line):
            line = _without_nan(line)
        is_old = any(mark in line for mark in _OLD_MARKS) and _OLD_FORM.search(line)
        record = _decoder.decode(_with_new_names(line) if is_old else line)
        _check_record(record)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ValueError(_name_fault(line, error)) from None
    return record


def _without_nan(line: bytes) -> bytes:
    """The line with NaN in usages, which means unknown, as null.

    Raises:
        ValueError: If a score or a weight is NaN.
    """
    fields = json.loads(line)
    for name in ("records", "weights"):
        values = fields.get(name) if isinstance(fields, dict) else None
        for model, value in (values if isinstance(values, dict) else {}).items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"field '{name}[{model!r}]': {value} is no score; leave the model out")
    return json.dumps(_null_for_nan(fields)).encode()


def _null_for_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _null_for_nan(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_null_for_nan(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _with_new_names(line: bytes) -> bytes:
    """The line with `OLD_NAMES` replaced in its usages, and without kinds that are null."""
    fields = msgspec.json.decode(line)
    usages = fields.get("usages") if isinstance(fields, dict) else None
    found = usages.values() if isinstance(usages, dict) else ()
    for usage in (item for item in found if isinstance(item, dict)):
        if usage.get("kind", "") is None:
            del usage["kind"]
        for old, new in OLD_NAMES.items():
            if old in usage:
                value = usage.pop(old)
                if usage.get(new) is None:
                    usage[new] = value
    return msgspec.json.encode(fields)


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file, plain or gzip, that are not blank, with their numbers.

    Raises:
        RecordError: If the file cannot be read, or a line is longer than `MAX_LINE_BYTES`.
    """
    opener: Callable[..., IO[bytes]] = gzip.open if path.suffix == ".gz" else open  # type: ignore[assignment]
    try:
        with opener(path, "rb") as file:
            for line_number in itertools.count(1):
                line = file.readline(MAX_LINE_BYTES + 1)
                if not line:
                    return
                if len(line) > MAX_LINE_BYTES:
                    raise RecordError(f"{path}:{line_number}: the line is longer than {MAX_LINE_BYTES >> 20} MiB")
                if line_number == 1:
                    line = line.removeprefix(_BOM)
                if line.strip():
                    yield line_number, line
    except (OSError, EOFError, gzip.zlib.error) as error:  # type: ignore[attr-defined]
        raise RecordError(f"{path}: cannot be read: {error}") from error


def _check_record(record: Record) -> None:
    if not record.records:
        raise ValueError("field 'records': no model; remove the line or add a score")
    if not record.query.strip():
        raise ValueError("field 'query': empty")
    if record.source is not None and not record.source.strip():
        raise ValueError("field 'source': empty; name who graded the answers, or leave the field out")
    for model, score in record.records.items():
        if score is not None and not 0 <= score <= 1:
            raise ValueError(f"field 'records[{model!r}]': score {score} is not in [0, 1]")
    for model, usage in record.usages.items():
        if usage is not None:
            _check_usage(model, usage, record.records)
    for model, weight in record.weights.items():
        _check_weight(model, weight, record.records)


def _check_usage(model: str, usage: Usage, scores: Mapping[str, Any]) -> None:
    if model not in scores:
        raise ValueError(f"field 'usages[{model!r}]': the model has no score in 'records'")
    for name, value in zip(_AMOUNTS, _amounts_of(usage), strict=True):
        if value is not None and not 0 <= value < math.inf:
            raise ValueError(f"field 'usages[{model!r}].{name}': {value} is not a finite number of 0 or more")


def _check_weight(model: str, weight: float, scores: Mapping[str, Any]) -> None:
    if model not in scores:
        raise ValueError(f"field 'weights[{model!r}]': the model has no score in 'records'")
    if not (weight > 0 and math.isfinite(weight)):
        raise ValueError(f"field 'weights[{model!r}]': {weight} is not a finite number above 0")


def write_records(path: str | Path, records: Iterable[Record]) -> int:
    """Write records as JSON lines; see `write_lines`.

    Args:
        path: The file; gzip if the name ends in ``.gz``.
        records: The records.

    Returns:
        How many records were written.
    """
    return write_lines(path, map(record_line, records))


def record_line(record: Record) -> bytes:
    """A record as a line of JSON, without the end of the line."""
    return msgspec.json.encode(_known_fields(record))


def write_lines(path: str | Path, lines: Iterable[bytes]) -> int:
    """Write lines to a file whole or not at all: an interrupted write leaves the file as it was.

    Args:
        path: The file; gzip if the name ends in ``.gz``.
        lines: The lines, without their ends.

    Returns:
        How many lines were written.
    """
    path, count = user_path(path), 0
    opener: Callable[..., IO[bytes]] = gzip.open if path.suffix == ".gz" else open  # type: ignore[assignment]
    with replacing(path) as temporary, opener(temporary, "wb") as file:
        for count, line in enumerate(lines, start=1):  # noqa: B007
            file.write(line + b"\n")
    return count


def _known_fields(record: Record) -> dict[str, Any]:
    """A record without what is unknown or default."""
    fields: dict[str, Any] = msgspec.to_builtins(record)
    fields["usages"] = {
        model: {
            name: value
            for name, value in (usage or {}).items()
            if value is not None and (name, value) != ("kind", USAGE_KINDS[0])
        }
        for model, usage in fields["usages"].items()
    }
    return {name: value for name, value in fields.items() if value or name not in ("usages", "weights", "source")}


class _RawFields(msgspec.Struct):
    records: dict[str, msgspec.Raw] = {}
    usages: dict[str, msgspec.Raw] = {}
    weights: dict[str, msgspec.Raw] = {}


def _name_fault(line: bytes, error: Exception) -> str:
    """The error's message with the names of the model and the field as they are written in the line."""
    message = str(error)
    if isinstance(error, msgspec.ValidationError):
        message = _name_model(line, message)
    elif not message.startswith("field"):
        return f"not valid JSON: {message}"
    for old, new in OLD_NAMES.items():
        if f'"{old}"'.encode() in line:
            message = message.replace(f"].{new}'", f"].{old}'")
    return message


def _name_model(line: bytes, message: str) -> str:
    """A message of msgspec's with the model's name: its path says ``[...]`` for the value of a dictionary."""
    try:
        raw = msgspec.json.decode(_with_new_names(line), type=_RawFields)
    except (msgspec.DecodeError, RecursionError):
        raw = _RawFields()
    for name, kind in (("records", float | bool | None), ("usages", Usage | None), ("weights", float)):
        for model, value in getattr(raw, name).items():
            try:
                msgspec.json.decode(value, type=kind)
            except msgspec.DecodeError as error:
                reason, path = _reason_and_path(str(error))
                if path == ".kind":
                    reason = _kind_hint(value, reason)
                return f"field '{name}[{model!r}]{path}': {reason}"
    reason, path = _reason_and_path(message)
    return f"field '{path.removeprefix('.')}': {reason}" if path else reason


def _kind_hint(usage: msgspec.Raw, reason: str) -> str:
    """The reason why a usage's kind is refused, with the kinds that there are and the one that may be meant."""
    given = msgspec.json.decode(usage)["kind"]
    if not isinstance(given, str):
        return f"{reason}; one of {', '.join(USAGE_KINDS)}"
    close = difflib.get_close_matches(given[:40].lower(), USAGE_KINDS, 1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{given[:40]!r} is not one of {', '.join(USAGE_KINDS)}{hint}"


def _reason_and_path(message: str) -> tuple[str, str]:
    """The parts of a message of msgspec's: a reason, ``- at``, and a path after ``$``."""
    reason, _, path = message.partition(" - at ")
    return reason, path.strip("`").removeprefix("$")
