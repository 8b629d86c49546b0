"""Records into columns."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._utils.workers import begin
from ..errors import RecordError
from .io import Source, read_records
from .schema import DURATIONS, TOKEN_KINDS, Record, Usage
from .splits import text_key
from .table import RecordTable

__all__ = ["TableBuilder", "load_parts", "load_records"]

#: Token kinds that are unknown if a usage does not report them. The others are rare: there are none.
_REQUIRED = np.array([kind in ("input_tokens", "output_tokens") for kind in TOKEN_KINDS])


class _Answers(NamedTuple):
    """What is known of each answer of a batch, and later of each answer that was added.

    Attributes:
        scores: (a,) float32.
        tokens: (a, kinds) float32, NaN if unknown.
        cost: (a,) float64, US dollars, NaN if unknown.
        agent_run: (a,) boolean.
        weights: (a,) float32.
        durations: (a, 2) float32, seconds by `DURATIONS`, NaN if unknown.
    """

    scores: NDArray[np.float32]
    tokens: NDArray[np.float32]
    cost: NDArray[np.float64]
    agent_run: NDArray[np.bool_]
    weights: NDArray[np.float32]
    durations: NDArray[np.float32]


class TableBuilder:
    """Collects records and turns them into a `RecordTable`, in memory proportional to the answers, not to ``n * m``.

    Args:
        encode: Called with batches of query texts. Its (b, p) results are kept and the texts are dropped, so that a
            million records fit in memory. Default: the texts are kept.
        batch_size: Texts per call of ``encode``, which is called in a thread while more records are added.
    """

    def __init__(
        self,
        encode: Callable[[list[str]], NDArray[np.float32]] | None = None,
        batch_size: int = 4096,
    ) -> None:
        self._encode, self._batch_size = encode, batch_size
        self._index: list[str] = []
        self._queries: list[str] = []  # of the current batch, if there is ``encode``
        self._encoded: list[Future[NDArray[np.float32]]] = []
        self._model_codes: dict[str, int] = {}
        self._dataset_codes: dict[str, int] = {}
        self._source_codes: dict[str, int] = {}
        self._dataset, self._source = array("i"), array("i")  # one item for each record
        self._text, self._n_answers = array("Q"), array("i")  # as well
        self._model = array("i")  # one item for each answer
        self._scores: list[float | None] = []  # one for each answer of the current batch, as in the next lines
        self._usages: list[Usage | None] = []
        self._weights: list[float] = []
        self._answers: list[_Answers] = []

    def __len__(self) -> int:
        return len(self._index)

    def add(self, record: Record) -> None:
        """Append a validated record."""
        self._index.append(str(record.index))
        self._dataset.append(self._dataset_codes.setdefault(record.dataset, len(self._dataset_codes)))
        source = record.dataset if record.source is None else record.source
        self._source.append(self._source_codes.setdefault(source, len(self._source_codes)))
        self._text.append(text_key(record.query))
        scores, codes = record.records, self._model_codes
        self._n_answers.append(len(scores))
        self._model.extend([codes.setdefault(model, len(codes)) for model in scores])
        self._scores.extend(scores.values())
        self._usages.extend(map(record.usages.get, scores))
        self._weights.extend(
            [record.weights.get(model, 1.0) for model in scores] if record.weights else [1.0] * len(scores)
        )
        self._queries.append(record.query)
        if len(self._index) % self._batch_size == 0:
            self._end_batch()

    def build(self) -> RecordTable:
        """The table of all records that were added.

        Raises:
            RecordError: If no record was added.
        """
        if not self._index:
            raise RecordError("no record was given")
        self._end_batch()
        if not self._answers:
            raise RecordError("no record has the score of a model")
        models, columns = _sorted_names(self._model_codes, self._model)
        datasets, dataset = _sorted_names(self._dataset_codes, self._dataset)
        sources, source = _sorted_names(self._source_codes, self._source)
        cells = np.repeat(np.arange(len(self._index)), np.frombuffer(self._n_answers, dtype=np.int32)), columns
        answers = _Answers(*map(np.concatenate, zip(*self._answers, strict=True)))

        def spread(values: NDArray[Any], default: float | bool) -> Any:
            out = np.full((len(self._index), len(models), *values.shape[1:]), default, dtype=values.dtype)
            out[cells] = values
            return out

        return RecordTable(
            list(self._index),
            datasets,
            dataset,
            models,
            spread(answers.scores, np.nan),
            spread(answers.tokens, np.nan),
            spread(answers.cost, np.nan),
            sources,
            source,
            spread(answers.agent_run, False),
            np.array(self._text, dtype=np.uint64),
            list(self._queries),
            self._take_encoded(),
            None if (answers.weights == 1).all() else spread(answers.weights, 0.0),
            None if np.isnan(answers.durations).all() else spread(answers.durations, np.nan),
        )

    def _end_batch(self) -> None:
        """Turn the answers of a batch into columns, and encode its queries while the next one is read."""
        if self._scores:
            self._answers.append(_columns(self._scores, self._usages, self._weights))
            self._scores, self._usages, self._weights = [], [], []
        if self._encode is not None and self._queries:
            if self._encoded:
                self._encoded[-1].result()  # no more than one batch of texts waits
            self._encoded.append(begin(self._encode, self._queries))
            self._queries = []

    def _take_encoded(self) -> NDArray[np.float32] | None:
        """The batches as one array, each let go once it is copied, so that they are not held twice."""
        if not self._encoded:
            return None
        width = self._encoded[-1].result().shape[1]
        whole = np.empty((len(self._index), width), dtype=np.float32)
        end = len(whole)
        while self._encoded:
            batch = self._encoded.pop().result()
            whole[end - len(batch) : end] = batch
            end -= len(batch)
        return whole


_amounts_of = attrgetter(*TOKEN_KINDS, "cost_usd", *DURATIONS)
_UNKNOWN = (None,) * (len(TOKEN_KINDS) + 1 + len(DURATIONS))


def _columns(scores: list[float | None], usages: list[Usage | None], weights: list[float]) -> _Answers:
    amounts = np.array([_UNKNOWN if usage is None else _amounts_of(usage) for usage in usages], dtype=np.float64)
    tokens, cost, durations = np.split(amounts, [len(TOKEN_KINDS), len(TOKEN_KINDS) + 1], axis=1)
    reported = np.array([usage is not None for usage in usages])
    tokens[np.isnan(tokens) & reported[:, None] & ~_REQUIRED] = 0
    durations[np.isnan(durations[:, 0])] = np.nan  # the time to the first token says nothing without the other
    return _Answers(
        np.array([0.0 if score is None else score for score in scores], dtype=np.float32),
        tokens.astype(np.float32),
        cost[:, 0],
        np.array([usage is not None and usage.kind == "agent_run" for usage in usages]),
        np.array(weights, dtype=np.float32),
        durations.astype(np.float32),
    )


def _sorted_names(numbers: dict[str, int], items: array[int]) -> tuple[list[str], NDArray[np.int32]]:
    """The names sorted, and each item's position among them; names are numbered in the order of the dictionary."""
    positions = np.argsort(np.argsort(list(numbers)))
    return sorted(numbers), positions[np.frombuffer(items, dtype=np.int32)].astype(np.int32)


def load_records(
    source: Source | Iterable[Record],
    *,
    encode: Callable[[list[str]], NDArray[np.float32]] | None = None,
    batch_size: int = 4096,
    source_from_file: bool = False,
) -> RecordTable:
    """Read records into columns.

    Args:
        source: A file or folder, several of them, or records already in memory.
        encode: Called with batches of query texts. Its (b, p) results are kept and the texts are dropped, so that a
            million records fit in memory. Default: the texts are kept.
        batch_size: Texts per call of ``encode``.
        source_from_file: Whether a record of a file that has no source gets the file's name as its source.

    Raises:
        RecordError: If a record is not valid; see `read_records`.
    """
    (table,) = load_parts(source, None, encode=encode, batch_size=batch_size, source_from_file=source_from_file)
    return table


def load_parts(
    source: Source | Iterable[Record],
    size: int | None,
    *,
    encode: Callable[[list[str]], NDArray[np.float32]] | None = None,
    batch_size: int = 4096,
    source_from_file: bool = False,
) -> Generator[RecordTable, None, None]:
    """Read records into tables of ``size`` rows, each with the models, datasets and sources that it has rows of.

    Args:
        source: A file or folder, several of them, or records already in memory.
        size: Number of rows of each table but the last. None: one table.
        encode: Called with batches of query texts; see `load_records`.
        batch_size: Texts per call of ``encode``.
        source_from_file: Whether a record of a file that has no source gets the file's name as its source.

    Raises:
        RecordError: If a record is not valid, or there is none; see `read_records`.
    """
    builder = TableBuilder(encode, batch_size)
    for record in _records(source, source_from_file):
        if size is not None and len(builder) == size:
            yield builder.build()
            builder = TableBuilder(encode, batch_size)
        builder.add(record)
    yield builder.build()


def _records(source: Source | Iterable[Record], source_from_file: bool) -> Iterable[Record]:
    if isinstance(source, (str, Path)):
        return read_records(source, source_from_file=source_from_file)
    items: list[Any] = source if isinstance(source, list) else list(source)
    in_memory = bool(items) and all(isinstance(item, Record) for item in items)
    return items if in_memory else read_records(items, source_from_file=source_from_file)
