"""Benchmark records: who answered which query how well, and for how many tokens and dollars.

A record is one JSON object a line::

    {"index": "gsm/17", "dataset": "gsm", "query": "...",
     "records": {"gpt-4o": 1.0, "llama-3.1-8b": 0.0},
     "usages": {"gpt-4o": {"input_tokens": 80, "output_tokens": 120, "cost_usd": 0.0014}}}

A score is a bool, a number in [0, 1] or null (the model was asked and failed: 0.0). A model that is absent from
``records`` was not asked: sparse records are normal. Usage is optional, and so are ``weights``, ``{model: weight}``:
how many answers an answer counts as, 1 where it does not say.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import RecordError
from .io import Source, read_records
from .schema import TOKEN_KINDS, Record


@dataclass
class RecordTable:
    """Records as columns: ``n`` queries by ``m`` models, NaN where a model was not asked or a figure is unknown.

    Attributes:
        index: ``n`` record names.
        datasets: names of the datasets, sorted.
        dataset: (n,) position of each record's dataset in ``datasets``.
        models: names of the ``m`` models, sorted.
        scores: (n, m) float32 in [0, 1].
        tokens: (n, m, kinds) float32, by `TOKEN_KINDS`; ``input_tokens`` and ``output_tokens`` are NaN where unknown.
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
            values.append(nan if usage.cost_usd is None else usage.cost_usd)
            for position, name in enumerate(TOKEN_KINDS):
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
