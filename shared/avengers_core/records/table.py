"""Benchmark records: who answered which query how well, and for how many tokens and dollars.

A record is one JSON object a line::

    {"index": "gsm/17", "dataset": "gsm", "query": "...",
     "records": {"gpt-4o": 1.0, "llama-3.1-8b": 0.0},
     "usages": {"gpt-4o": {"prompt_tokens": 80, "completion_tokens": 120, "cost": 0.0014}}}

A score is a bool, a number in [0, 1] or null (the model was asked and failed: 0.0). A model that is absent from
``records`` was not asked: sparse records are normal. Usage is optional, and so are ``weights``, ``{model: weight}``:
how many answers an answer counts as, 1 where it does not say.
"""

from __future__ import annotations

import gzip
import itertools
import math
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from .._utils.files import replacing
from ..errors import RecordError

Source = str | Path | Iterable[str | Path]
SUFFIXES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")

#: A longer line is refused, so that a damaged or hostile file (a small .gz may hold terabytes) cannot fill the memory.
MAX_LINE_BYTES = 64 << 20

#: Token kinds kept apart because providers price them apart. Input and output are totals: cached and audio input
#: are part of ``input``, reasoning and audio output part of ``output``.
TOKEN_KINDS = ("input", "output", "cache_read", "cache_write", "reasoning", "input_audio", "output_audio")
_TOKEN_FIELDS = {
    "prompt_tokens": "input",
    "completion_tokens": "output",
    "cache_read_tokens": "cache_read",
    "cache_write_tokens": "cache_write",
    "reasoning_tokens": "reasoning",
    "input_audio_tokens": "input_audio",
    "output_audio_tokens": "output_audio",
}


class Usage(msgspec.Struct, frozen=True):
    """Tokens and US dollars of one answer; ``None`` is unknown, never zero."""

    prompt_tokens: float | None = None
    completion_tokens: float | None = None
    cache_read_tokens: float | None = None
    cache_write_tokens: float | None = None
    reasoning_tokens: float | None = None
    input_audio_tokens: float | None = None
    output_audio_tokens: float | None = None
    cost: float | None = None


class Record(msgspec.Struct, frozen=True):
    """One query with the scores, and where known the usages, of the models that were asked it."""

    index: str | int
    dataset: str
    query: str
    records: dict[str, float | bool | None]
    usages: dict[str, Usage | None] = {}
    weights: dict[str, float] = {}


@dataclass
class RecordTable:
    """Records as columns: ``n`` queries by ``m`` models, NaN where a model was not asked or a figure is unknown.

    Attributes:
        index: ``n`` record names.
        datasets: names of the datasets, sorted.
        dataset: (n,) position of each record's dataset in ``datasets``.
        models: names of the ``m`` models, sorted.
        scores: (n, m) float32 in [0, 1].
        tokens: (n, m, kinds) float32, by `TOKEN_KINDS`; ``input`` and ``output`` are NaN where unknown.
        cost: (n, m) float64, US dollars.
        weights: (n, m) float32, how many answers each counts as, or None where each counts as one.
        queries: ``n`` texts, empty when the table was built with ``encode``.
        encoded: (n, p) float32, what ``encode`` made of the texts, or None.
        position: its number among the parts of a larger table.
    """

    index: list[str]
    datasets: list[str]
    dataset: NDArray[np.int32]
    models: list[str]
    scores: NDArray[np.float32]
    tokens: NDArray[np.float32]
    cost: NDArray[np.float64]
    queries: list[str] = field(default_factory=list)
    encoded: NDArray[np.float32] | None = None
    weights: NDArray[np.float32] | None = None
    position: int = 0

    def __len__(self) -> int:
        return len(self.index)

    def rows(self, keep: NDArray[Any]) -> RecordTable:
        """The table of the chosen rows (a boolean mask or positions), with all models and datasets."""
        positions = np.flatnonzero(keep) if keep.dtype == bool else keep
        return RecordTable(
            [self.index[i] for i in positions],
            self.datasets,
            self.dataset[positions],
            self.models,
            self.scores[positions],
            self.tokens[positions],
            self.cost[positions],
            [self.queries[i] for i in positions] if self.queries else [],
            None if self.encoded is None else self.encoded[positions],
            None if self.weights is None else self.weights[positions],
        )

    def without(self, models: Iterable[str] = (), datasets: Iterable[str] = ()) -> RecordTable:
        """The table without these models' columns and these datasets' rows, and without rows nobody answered.

        Raises:
            RecordError: a name is not in the records, or nothing is left.
        """
        models, datasets = list(models), list(datasets)
        for kind, names, known in (("model", models, self.models), ("dataset", datasets, self.datasets)):
            unknown = sorted(set(names) - set(known))
            if unknown:
                raise RecordError(f"cannot exclude {kind} {unknown[0]!r}: the records have {', '.join(known)}")
        columns = np.array([name not in models for name in self.models], dtype=bool)
        allowed = np.array([name not in datasets for name in self.datasets], dtype=bool)
        table = self.rows(allowed[self.dataset] & ~np.isnan(self.scores[:, columns]).all(axis=1))
        if not len(table) or not columns.any():
            raise RecordError("no record is left after the exclusions")
        table.models = [name for name, kept in zip(self.models, columns, strict=True) if kept]
        table.scores, table.tokens, table.cost = (
            table.scores[:, columns],
            table.tokens[:, columns],
            table.cost[:, columns],
        )
        if table.weights is not None:
            table.weights = table.weights[:, columns]
        table.datasets = [name for name, kept in zip(self.datasets, allowed, strict=True) if kept]
        table.dataset = (np.cumsum(allowed) - 1).astype(np.int32)[table.dataset]
        return table

    def split(self, train_ratio: float, random_state: int) -> tuple[RecordTable, RecordTable]:
        """Split each dataset by ``train_ratio`` in [0, 1]; the same seed gives the same split."""
        if not 0 <= train_ratio <= 1:
            raise ValueError(f"train_ratio must be in [0, 1], not {train_ratio}")
        rng = np.random.default_rng(random_state)
        train = np.zeros(len(self), dtype=bool)
        for code in range(len(self.datasets)):
            rows = np.flatnonzero(self.dataset == code)
            train[rng.permutation(rows)[: round(len(rows) * train_ratio)]] = True
        return self.rows(train), self.rows(~train)


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


def parse_record(line: bytes) -> Record:
    """A validated record.

    Raises:
        ValueError: names the field of the first fault.
    """
    try:
        record = _decoder.decode(line)
        _check_values(record)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ValueError(_name_fault(line, error)) from None
    return record


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


def usage_fields() -> dict[str, str]:
    """Token fields of `Usage` with their kinds."""
    return dict(_TOKEN_FIELDS)


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
        raw = msgspec.json.decode(line, type=_Values)
    except msgspec.DecodeError:
        raw = _Values()
    for name, kind in (("records", float | bool | None), ("usages", Usage | None), ("weights", float)):
        for model, value in getattr(raw, name).items():
            try:
                msgspec.json.decode(value, type=kind)
            except msgspec.DecodeError as inner:
                reason, _, inside = str(inner).partition(" - at ")
                return f"field '{name}[{model!r}]{inside.strip('`').removeprefix('$')}': {reason}"
    return f"field '{path.strip('`').removeprefix('$.')}': {reason}" if path else reason


def load_records(
    source: Source | Iterable[Record],
    *,
    encode: Callable[[list[str]], NDArray[np.float32]] | None = None,
    batch_size: int = 4096,
) -> RecordTable:
    """Read records into columns.

    Args:
        source: path(s) or folder(s), or records already in memory.
        encode: called with batches of query texts; its (b, p) results are kept and the texts are dropped, so that
            a million records fit in memory.
        batch_size: texts per call of ``encode``.

    Raises:
        RecordError: see `read_records`.
    """
    is_path = isinstance(source, (str, Path))
    items = [source] if is_path else source if isinstance(source, list) else list(source)  # type: ignore[arg-type]
    stream: Iterable[Record]
    in_memory = bool(items) and all(isinstance(item, Record) for item in items)
    stream = items if in_memory else read_records(items)  # type: ignore[assignment,arg-type]

    index: list[str] = []
    queries: list[str] = []
    parts: list[NDArray[np.float32]] = []
    model_codes: dict[str, int] = {}
    dataset_codes: dict[str, int] = {}
    dataset = array("i")
    rows, columns, values = array("q"), array("i"), array("d")
    width = 3 + len(TOKEN_KINDS)
    weighted, nan = False, math.nan
    for row, record in enumerate(stream):
        index.append(str(record.index))
        queries.append(record.query)
        dataset.append(dataset_codes.setdefault(record.dataset, len(dataset_codes)))
        for model, score in record.records.items():
            rows.append(row)
            columns.append(model_codes.setdefault(model, len(model_codes)))
            usage = record.usages.get(model)
            values.append(record.weights.get(model, 1.0))
            values.append(0.0 if score is None else float(score))
            if usage is None:
                values.extend((nan,) * (width - 2))
                continue
            values.append(nan if usage.cost is None else usage.cost)
            for position, name in enumerate(_TOKEN_FIELDS):
                amount = getattr(usage, name)
                values.append((nan if position < 2 else 0.0) if amount is None else amount)
        weighted = weighted or bool(record.weights)
        if encode is not None and len(queries) >= batch_size:
            parts.append(encode(queries))
            queries = []
    if not index:
        raise RecordError("no record was given")
    if encode is not None and queries:
        parts.append(encode(queries))
        queries = []

    models, datasets = sorted(model_codes), sorted(dataset_codes)
    model_at = np.argsort(np.argsort(list(model_codes)))
    dataset_at = np.argsort(np.argsort(list(dataset_codes))).astype(np.int32)
    flat = np.frombuffer(values, dtype=np.float64).reshape(-1, width)
    cells = np.frombuffer(rows, dtype=np.int64), model_at[np.frombuffer(columns, dtype=np.int32)]
    shape = (len(index), len(models))
    scores = np.full(shape, nan, dtype=np.float32)
    cost = np.full(shape, nan)
    tokens = np.full((*shape, len(TOKEN_KINDS)), nan, dtype=np.float32)
    scores[cells], cost[cells], tokens[cells] = flat[:, 1], flat[:, 2], flat[:, 3:]
    weights = None
    if weighted:
        weights = np.zeros(shape, dtype=np.float32)
        weights[cells] = flat[:, 0]
    return RecordTable(
        index,
        datasets,
        dataset_at[np.frombuffer(dataset, dtype=np.int32)],
        models,
        scores,
        tokens,
        cost,
        queries,
        np.concatenate(parts) if parts else None,
        weights,
    )
