"""Benchmark records: who answered which query how well, and for how many tokens and dollars.

A record is one JSON object a line::

    {"index": "gsm/17", "dataset": "gsm", "query": "...",
     "records": {"gpt-4o": 1.0, "llama-3.1-8b": 0.0},
     "usages": {"gpt-4o": {"input_tokens": 80, "output_tokens": 120, "cost_usd": 0.0014}}}

A score is a bool, a number in [0, 1] or null (the model was asked and failed: 0.0). A model that is absent from
``records`` was not asked: sparse records are normal. Usage is optional, and so are ``weights``, ``{model: weight}``:
how many answers each answer counts as, 1 by default; ``source``: who graded the answers, by default the dataset; and
each usage's ``kind``: ``call``, or ``agent_run`` if its tokens and dollars are those of a whole task of many calls.
"""

from __future__ import annotations

import dataclasses
import math
from array import array
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import RecordError
from .io import Source, read_records
from .schema import DURATIONS, TOKEN_KINDS, Record, Usage
from .splits import split_rows, text_key

__all__ = ["CONTENT_KEYS", "RecordTable", "TableBuilder", "load_records"]

#: How many content keys there are: they fit into 63 bits, as integers of msgpack and SQL do.
CONTENT_KEYS = 1 << 63

#: What a token kind counts when a usage does not report it: input and output are unknown, the other kinds are rare.
_UNREPORTED = tuple(math.nan if kind in ("input_tokens", "output_tokens") else 0.0 for kind in TOKEN_KINDS)


@dataclass
class RecordTable:
    """Records as columns: ``n`` queries by ``m`` models. NaN: the model was not asked, or the figure is unknown.

    Attributes:
        index: ``n`` record names.
        datasets: Names of the datasets, sorted.
        dataset: (n,) position of each record's dataset in ``datasets``.
        models: Names of the ``m`` models, sorted.
        scores: (n, m) float32 in [0, 1].
        tokens: (n, m, kinds) float32, by `TOKEN_KINDS`. ``input_tokens`` and ``output_tokens`` are NaN if unknown.
        cost: (n, m) float64, US dollars.
        sources: Names of the sources, sorted: who graded the answers.
        source: (n,) position of each record's source in ``sources``.
        agent_run: (n, m) whether ``tokens`` and ``cost`` are those of an agent's whole run, not of one call.
        texts: (n,) `text_key` of each query: equal for equal texts, and kept if the texts are dropped.
        queries: ``n`` texts; empty if the table was built with ``encode``.
        encoded: (n, p) float32, what ``encode`` returned for the texts, or None.
        weights: (n, m) float32, how many answers each answer counts as, or None if each counts as one.
        durations: (n, m, 2) float32, seconds by `DURATIONS`, or None if no record tells any.
        partition_index: Position of the table among the partitions of a larger table.
    """

    index: list[str]
    datasets: list[str]
    dataset: NDArray[np.int32]
    models: list[str]
    scores: NDArray[np.float32]
    tokens: NDArray[np.float32]
    cost: NDArray[np.float64]
    sources: list[str]
    source: NDArray[np.int32]
    agent_run: NDArray[np.bool_]
    texts: NDArray[np.uint64]
    queries: list[str] = field(default_factory=list)
    encoded: NDArray[np.float32] | None = None
    weights: NDArray[np.float32] | None = None
    durations: NDArray[np.float32] | None = None
    partition_index: int = 0

    def __len__(self) -> int:
        return len(self.index)

    def content_key(self) -> int:
        """A number of 63 bits that equal answers have, in any order: that of parts, added up, is that of the whole."""
        total = 0
        for column, name in enumerate(self.models):  # one by one: all together would take the memory of many tables
            asked = ~np.isnan(self.scores[:, column])
            bits = self.scores[asked, column].view(np.uint32).astype(np.uint64)
            keys = (self.texts[asked] ^ np.uint64(text_key(name))) + bits * np.uint64(0xD6E8FEB86659FD93)
            keys = (keys ^ (keys >> np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)
            total += int((keys ^ (keys >> np.uint64(29))).sum(dtype=np.uint64))
        return total % CONTENT_KEYS

    def rows(self, keep: NDArray[Any]) -> RecordTable:
        """The table of some rows, with all models, datasets and sources.

        Args:
            keep: (n,) boolean mask, or positions of the rows in the order wanted.
        """
        if keep.dtype == bool and keep.all():  # their arrays are not changed, so both may have them
            return dataclasses.replace(self)
        positions = np.flatnonzero(keep) if keep.dtype == bool else keep
        return RecordTable(
            [self.index[i] for i in positions],
            self.datasets,
            self.dataset[positions],
            self.models,
            self.scores[positions],
            self.tokens[positions],
            self.cost[positions],
            self.sources,
            self.source[positions],
            self.agent_run[positions],
            self.texts[positions],
            [self.queries[i] for i in positions] if self.queries else [],
            None if self.encoded is None else self.encoded[positions],
            None if self.weights is None else self.weights[positions],
            None if self.durations is None else self.durations[positions],
        )

    def columns(self, keep: NDArray[np.intp]) -> RecordTable:
        """The table of some models, with all rows.

        Args:
            keep: Positions of the models, in the order wanted.
        """
        return dataclasses.replace(
            self,
            models=[self.models[i] for i in keep],
            scores=self.scores[:, keep],
            tokens=self.tokens[:, keep],
            cost=self.cost[:, keep],
            agent_run=self.agent_run[:, keep],
            weights=None if self.weights is None else self.weights[:, keep],
            durations=None if self.durations is None else self.durations[:, keep],
        )

    def without(self, models: Iterable[str] = (), datasets: Iterable[str] = ()) -> RecordTable:
        """The table without some models and datasets, and without the rows that no remaining model answered.

        Sources that have no row left are left out too.

        Args:
            models: Names of the models whose columns are dropped.
            datasets: Names of the datasets whose rows are dropped.

        Raises:
            RecordError: If a name is not in the records, or nothing is left.
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
        if not columns.all():
            table = table.columns(np.flatnonzero(columns))
        table.datasets = [name for name, kept in zip(self.datasets, allowed, strict=True) if kept]
        table.dataset = (np.cumsum(allowed) - 1).astype(np.int32)[table.dataset]
        left, source = np.unique(table.source, return_inverse=True)
        table.sources, table.source = [self.sources[code] for code in left], source.astype(np.int32)
        return table

    def split(self, train_ratio: float, random_state: int) -> tuple[RecordTable, RecordTable]:
        """Split each dataset at random into a training part and the rest. Equal texts are on the same side.

        Args:
            train_ratio: Share of each dataset in the first table, in [0, 1]; nearly this share if texts are repeated.
            random_state: Seed of the random choice; the same seed gives the same split.

        Raises:
            ValueError: If ``train_ratio`` is outside [0, 1].
        """
        if not 0 <= train_ratio <= 1:
            raise ValueError(f"train_ratio must be in [0, 1], not {train_ratio}")
        train = split_rows(self.dataset, self.texts, train_ratio, random_state)
        return self.rows(train), self.rows(~train)


class TableBuilder:
    """Collects records and turns them into a `RecordTable`, in memory proportional to the answers, not to ``n * m``.

    Args:
        encode: Called with batches of query texts. Its (b, p) results are kept and the texts are dropped, so that a
            million records fit in memory. Default: the texts are kept.
        batch_size: Texts per call of ``encode``.
    """

    def __init__(
        self, encode: Callable[[list[str]], NDArray[np.float32]] | None = None, batch_size: int = 4096
    ) -> None:
        self._encode, self._batch_size = encode, batch_size
        self._index: list[str] = []
        self._queries: list[str] = []
        self._encoded: list[NDArray[np.float32]] = []
        self._model_codes: dict[str, int] = {}
        self._dataset_codes: dict[str, int] = {}
        self._source_codes: dict[str, int] = {}
        self._dataset, self._source = array("i"), array("i")  # one item for each record
        self._text, self._answers = array("Q"), array("i")  # as well
        self._model = array("i")  # one item for each answer, as in the next line
        self._score, self._cost, self._weight = array("f"), array("d"), array("f")
        self._tokens = array("f")  # len(TOKEN_KINDS) items for each answer
        self._agent_run = array("b")  # and one here
        self._timed_cell = array("q")  # one item for each answer whose duration is known: its number among the answers
        self._durations = array("d")  # and len(DURATIONS) items here
        self._weighted = False
        self._thread = ThreadPoolExecutor(1, "avengers-encode")
        self._running: Future[NDArray[np.float32]] | None = None

    def add(self, record: Record) -> None:
        """Append a validated record."""
        self._index.append(str(record.index))
        self._dataset.append(self._dataset_codes.setdefault(record.dataset, len(self._dataset_codes)))
        source = record.dataset if record.source is None else record.source
        self._source.append(self._source_codes.setdefault(source, len(self._source_codes)))
        self._text.append(text_key(record.query))
        self._weighted = self._weighted or bool(record.weights)
        scores, codes, first_cell = record.records, self._model_codes, len(self._model)
        usages = [record.usages.get(model) for model in scores]
        self._answers.append(len(scores))
        self._model.extend([codes.setdefault(model, len(codes)) for model in scores])
        self._score.extend([0.0 if score is None else score for score in scores.values()])
        self._weight.extend([record.weights.get(model, 1.0) for model in scores])
        self._cost.extend([math.nan if one is None or one.cost_usd is None else one.cost_usd for one in usages])
        self._agent_run.extend([one is not None and one.kind == "agent_run" for one in usages])
        for cell, usage in enumerate(usages, first_cell):
            self._tokens.extend(_token_counts(usage))
            if usage is not None and usage.seconds is not None:
                self._timed_cell.append(cell)
                first = usage.first_token_seconds
                self._durations.extend((usage.seconds, math.nan if first is None else first))
        self._queries.append(record.query)
        if len(self._queries) >= self._batch_size:
            self._encode_queries()

    def build(self) -> RecordTable:
        """The table of all records that were added.

        Raises:
            RecordError: If no record was added.
        """
        if not self._index:
            raise RecordError("no record was given")
        self._encode_queries()
        models, columns = _sorted_names(self._model_codes, self._model)
        datasets, dataset = _sorted_names(self._dataset_codes, self._dataset)
        sources, source = _sorted_names(self._source_codes, self._source)
        cells = np.repeat(np.arange(len(self._index)), np.frombuffer(self._answers, dtype=np.int32)), columns
        shape = (len(self._index), len(models))
        scores = np.full(shape, np.nan, dtype=np.float32)
        cost = np.full(shape, np.nan)
        tokens = np.full((*shape, len(TOKEN_KINDS)), np.nan, dtype=np.float32)
        agent_run = np.zeros(shape, dtype=bool)
        scores[cells] = np.frombuffer(self._score, dtype=np.float32)
        cost[cells] = np.frombuffer(self._cost)
        tokens[cells] = np.frombuffer(self._tokens, dtype=np.float32).reshape(-1, len(TOKEN_KINDS))
        agent_run[cells] = np.frombuffer(self._agent_run, dtype=np.int8)
        weights = None
        if self._weighted:
            weights = np.zeros(shape, dtype=np.float32)
            weights[cells] = np.frombuffer(self._weight, dtype=np.float32)
        durations = None
        if self._durations:
            durations = np.full((*shape, len(DURATIONS)), np.nan, dtype=np.float32)
            timed = np.frombuffer(self._timed_cell, dtype=np.int64)
            durations[cells[0][timed], columns[timed]] = np.frombuffer(self._durations).reshape(-1, len(DURATIONS))
        return RecordTable(
            list(self._index),
            datasets,
            dataset,
            models,
            scores,
            tokens,
            cost,
            sources,
            source,
            agent_run,
            np.array(self._text, dtype=np.uint64),
            list(self._queries),
            self._take_encoded(),
            weights,
            durations,
        )

    def _encode_queries(self) -> None:
        """Encode a batch while the next one is read."""
        if self._encode is None or not self._queries:
            return
        if self._running is not None:
            self._encoded.append(self._running.result())
        self._running = self._thread.submit(self._encode, self._queries)
        self._queries = []

    def _take_encoded(self) -> NDArray[np.float32] | None:
        """The batches as one array, each let go once it is copied, so that they are not held twice."""
        if self._running is not None:
            self._encoded.append(self._running.result())
        self._thread.shutdown()
        if not self._encoded:
            return None
        whole = np.empty((len(self._index), self._encoded[0].shape[1]), dtype=np.float32)
        end = len(whole)
        while self._encoded:
            batch = self._encoded.pop()
            whole[end - len(batch) : end] = batch
            end -= len(batch)
        return whole


_tokens_of = attrgetter(*TOKEN_KINDS)
_NO_TOKENS = (math.nan,) * len(TOKEN_KINDS)


def _token_counts(usage: Usage | None) -> tuple[float, ...]:
    """Tokens by `TOKEN_KINDS`, NaN if there is no usage."""
    if usage is None:
        return _NO_TOKENS
    counts: tuple[float | None, ...] = _tokens_of(usage)
    return tuple([default if count is None else count for count, default in zip(counts, _UNREPORTED, strict=True)])


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
    builder = TableBuilder(encode, batch_size)
    for record in _records(source, source_from_file):
        builder.add(record)
    return builder.build()


def _records(source: Source | Iterable[Record], source_from_file: bool) -> Iterable[Record]:
    if isinstance(source, (str, Path)):
        return read_records(source, source_from_file=source_from_file)
    items: list[Any] = source if isinstance(source, list) else list(source)
    in_memory = bool(items) and all(isinstance(item, Record) for item in items)
    return items if in_memory else read_records(items, source_from_file=source_from_file)
