"""Records from and to JSON lines, plain or gzip. Errors name the file, the line and the field."""

from __future__ import annotations

import difflib
import gzip
import itertools
import json
import logging
import math
import re
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from pathlib import Path
from typing import IO, Any, Literal

import msgspec

from .._utils.files import replacing, user_path
from ..errors import RecordError
from .schema import (
    DURATIONS,
    LARGEST_WEIGHT,
    LEAST_WEIGHT,
    OLD_NAMES,
    TOKEN_KINDS,
    USAGE_KINDS,
    Amount,
    Record,
    Score,
    Usage,
    Weight,
)

__all__ = [
    "MAX_LINE_BYTES",
    "SUFFIXES",
    "Source",
    "find_files",
    "parse_record",
    "read_lines",
    "read_records",
    "record_line",
    "records_of_file",
    "write_lines",
    "write_records",
]

#: A file, a folder, or several of them.
Source = str | Path | Iterable[str | Path]

SUFFIXES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")

#: A longer line is refused, so that a damaged or hostile file (a small .gz may hold terabytes) cannot fill the memory.
MAX_LINE_BYTES = 64 << 20

_log = logging.getLogger("avengers")
_PARQUET = "Parquet files are read on a Dask cluster only (avengers train --scheduler)"

#: Bytes that are read at a time of what is passed over.
_PIECE = 1 << 20


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
            inside = sorted(p for p in path.rglob("*") if p.is_file())
            records = [p for p in inside if p.name.endswith(SUFFIXES + more_suffixes)]
            if not records:
                raise RecordError(f"{path}: no {' or '.join(SUFFIXES[:2])} file in this folder")
            if left_out := [p for p in inside if p.suffix == ".parquet" and p not in records]:
                _log.warning("%s is left out: %s", left_out[0], _PARQUET)
            files += records
        elif path.is_file():
            if path.suffix == ".parquet" and ".parquet" not in more_suffixes:
                raise RecordError(f"{path}: {_PARQUET}")
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
    seen: set[int] = set()
    files = find_files(source)
    for path in files:
        count = 0
        for line_number, record in records_of_file(path):
            key = _index_key(record)
            if key in seen:
                raise RecordError(
                    f"{path}:{line_number}: field 'index': {record.index!r} of dataset {record.dataset!r} already "
                    f"stands at {_first_place(files, key)}; give each record of a dataset an index of its own"
                )
            seen.add(key)
            count += 1
            if source_from_file and record.source is None:
                record = msgspec.structs.replace(record, source=path.name.partition(".")[0] or path.name)
            yield record
        if not count:
            raise RecordError(f"{path}: the file has no records")


def records_of_file(path: Path, start: int = 0, end: int | None = None) -> Iterator[tuple[int, Record]]:
    """The validated records of a file or of a piece of it, with the numbers of their lines in the piece.

    Args:
        path: The file.
        start: The piece's first byte. A line that begins before belongs to the piece before.
        end: The byte after the piece's last one. None: it ends with the file.

    Raises:
        RecordError: If a record is not valid.
    """
    for number, line in read_lines(path, start, end):
        try:
            record = parse_record(line)
        except ValueError as error:
            raise RecordError(f"{path}:{_lines_before(path, start) + number}: {error}") from None
        yield number, record


def _lines_before(path: Path, start: int) -> int:
    """Number of the lines that begin before a byte of a file that is not compressed."""
    if not start:
        return 0
    with path.open("rb") as file:
        pieces = iter(lambda: file.read(min(_PIECE, start - 1 - file.tell())), b"")
        return sum(piece.count(b"\n") for piece in pieces) + 1


def _index_key(record: Record) -> int:
    return hash((record.dataset, str(record.index)))


def _first_place(files: list[Path], key: int) -> str:
    """Where a record stands first, as file and line. It is looked for again, so that places need not be kept."""
    places = ((path, number, line) for path in files for number, line in read_lines(path))
    return next(f"{path}:{number}" for path, number, line in places if _index_key(parse_record(line)) == key)


class _OldUsage(Usage, frozen=True, gc=False):
    """A usage of an older file, or one whose kind is null, as a table's row has it."""

    kind: Literal["call", "agent_run"] | None = "call"  # type: ignore[assignment]
    prompt_tokens: Amount | None = None
    completion_tokens: Amount | None = None
    cost: Amount | None = None

    def renewed(self) -> Usage:
        """The usage with today's names, which come first if both are given."""
        inputs, outputs, read, written, reasoning, audio_in, audio_out, cost, seconds, first = _amounts_of(self)
        return Usage(
            self.prompt_tokens if inputs is None else inputs,
            self.completion_tokens if outputs is None else outputs,
            read,
            written,
            reasoning,
            audio_in,
            audio_out,
            self.cost if cost is None else cost,
            seconds,
            first,
            self.kind or "call",
        )


class _OldRecord(Record, frozen=True):
    usages: dict[str, _OldUsage | None] = msgspec.field(default_factory=dict)  # type: ignore[assignment]


_decoder, _old_decoder = msgspec.json.Decoder(Record), msgspec.json.Decoder(_OldRecord)
#: What lines of the old form have: the names of older files, and a kind that a table's row has and its usage does not.
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
        record = _renewed(_old_decoder.decode(line)) if is_old else _decoder.decode(line)
        _check_record(record)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ValueError(_name_fault(line, error)) from None
    return record


def _renewed(old: _OldRecord) -> Record:
    usages = {model: None if usage is None else usage.renewed() for model, usage in old.usages.items()}
    return Record(old.index, old.dataset, old.query, old.records, usages, old.weights, old.source)


def _without_nan(line: bytes) -> bytes:
    """The line with NaN in usages, which means unknown, as null.

    Raises:
        ValueError: If a score or a weight is NaN, or a usage is infinite.
    """
    fields = json.loads(line)
    usages = fields.get("usages") if isinstance(fields, dict) else None
    for model, usage in (usages if isinstance(usages, dict) else {}).items():
        for name, value in (usage if isinstance(usage, dict) else {}).items():
            if isinstance(value, float) and math.isinf(value):
                raise ValueError(
                    f"field 'usages[{model!r}].{name}': {value} is no amount; leave it out if it is unknown"
                )
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


def read_lines(path: Path, start: int = 0, end: int | None = None) -> Iterator[tuple[int, bytes]]:
    """The lines of a file, plain or gzip, that are not blank, with their numbers.

    Args:
        path: The file.
        start: Lines that begin before this byte are left out, also of the numbers.
        end: Lines that begin at this byte or later are left out. None: none are.

    Raises:
        RecordError: If the file cannot be read, or a line is longer than `MAX_LINE_BYTES`.
    """
    opener: Callable[..., IO[bytes]] = gzip.open if path.suffix == ".gz" else open  # type: ignore[assignment]
    try:
        with opener(path, "rb") as file:
            if start:
                file.seek(start - 1)
                while (piece := file.readline(_PIECE)) and not piece.endswith(b"\n"):
                    pass
            for line_number in itertools.count(1):
                if end is not None and file.tell() >= end:
                    return
                line = file.readline(MAX_LINE_BYTES + 1)
                if not line:
                    return
                if len(line) > MAX_LINE_BYTES:
                    where = _lines_before(path, start) + line_number
                    raise RecordError(f"{path}:{where}: the line is longer than {MAX_LINE_BYTES >> 20} MiB")
                if line_number == 1 and not start:
                    line = line.removeprefix(_BOM)
                if line and not line.isspace():
                    yield line_number, line
    except (OSError, EOFError, gzip.zlib.error) as error:  # type: ignore[attr-defined]
        raise RecordError(f"{path}: cannot be read: {error}") from error


def _check_record(record: Record) -> None:
    if not record.records:
        raise ValueError("field 'records': no model; remove the line or add a score")
    if not record.query or record.query.isspace():
        raise ValueError("field 'query': empty")
    if record.source is not None and not record.source.strip():
        raise ValueError("field 'source': empty; name who graded the answers, or leave the field out")
    for name, values in (("usages", record.usages), ("weights", record.weights)):
        for model, value in values.items():
            if value is not None and model not in record.records:
                raise ValueError(f"field '{name}[{model!r}]': the model has no score in 'records'")


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
    return message


def _name_model(line: bytes, message: str) -> str:
    """A message of msgspec's with the model's name: its path says ``[...]`` for the value of a dictionary."""
    try:
        raw = msgspec.json.decode(line, type=_RawFields)
    except (msgspec.DecodeError, RecursionError):
        raw = _RawFields()
    for name, kind in (("records", Score | bool | None), ("usages", _OldUsage | None), ("weights", Weight)):
        for model, value in getattr(raw, name).items():
            try:
                msgspec.json.decode(value, type=kind)
            except msgspec.DecodeError as error:
                reason, path = _reason_and_path(str(error))
                reason = _kind_hint(value, reason) if path == ".kind" else _number_fault(name, value, path) or reason
                return f"field '{name}[{model!r}]{path}': {reason}"
    reason, path = _reason_and_path(message)
    return f"field '{path.removeprefix('.')}': {reason}" if path else reason


def _number_fault(name: str, value: msgspec.Raw, path: str) -> str | None:
    """What is wrong with a number that is out of its range; None if it is no number."""
    try:
        number = msgspec.json.decode(value)
    except msgspec.DecodeError:
        return None
    if path:
        number = number[path.removeprefix(".")]
    ranges = {
        "records": "in [0, 1]",
        "usages": "a finite number of 0 or more",
        "weights": f"a number from {LEAST_WEIGHT:g} to {LARGEST_WEIGHT:g}",
    }
    return (
        None
        if isinstance(number, (str, bool)) or not isinstance(number, (int, float))
        else f"{number} is not {ranges[name]}"
    )


def _kind_hint(usage: msgspec.Raw, reason: str) -> str:
    """The reason why a usage's kind is refused, with the kinds that there are and the one that may be meant."""
    given = msgspec.json.decode(usage)["kind"]
    reason = reason.replace("`str | null`", "`str`")
    if not isinstance(given, str):
        return f"{reason}; one of {', '.join(USAGE_KINDS)}"
    close = difflib.get_close_matches(given[:40].lower(), USAGE_KINDS, 1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{given[:40]!r} is not one of {', '.join(USAGE_KINDS)}{hint}"


def _reason_and_path(message: str) -> tuple[str, str]:
    """The parts of a message of msgspec's: a reason, ``- at``, and a path after ``$``."""
    reason, _, path = message.partition(" - at ")
    return reason, path.strip("`").removeprefix("$")
