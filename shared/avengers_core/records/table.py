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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import RecordError
from .schema import DURATIONS
from .splits import split_rows, text_key

__all__ = ["CONTENT_KEYS", "RecordTable", "left_names"]

#: How many content keys there are: they fit into 63 bits, as integers of msgpack and SQL do.
CONTENT_KEYS = 1 << 63


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

    def rows(self, keep: NDArray[Any] | slice) -> RecordTable:
        """The table of some rows, with all models, datasets and sources.

        Args:
            keep: (n,) boolean mask, or positions of the rows in the order wanted, or a slice, whose arrays are views.
        """
        if isinstance(keep, slice):
            positions: Any = keep
            index, queries = self.index[keep], self.queries[keep]
        elif keep.dtype == bool and keep.all():  # their arrays are not changed, so both may have them
            return dataclasses.replace(self)
        else:
            positions = np.flatnonzero(keep) if keep.dtype == bool else keep
            index = [self.index[i] for i in positions]
            queries = [self.queries[i] for i in positions] if self.queries else []
        return RecordTable(
            index,
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
            queries,
            None if self.encoded is None else self.encoded[positions],
            None if self.weights is None else self.weights[positions],
            None if self.durations is None else self.durations[positions],
        )

    @classmethod
    def concatenate(cls, tables: Sequence[RecordTable]) -> RecordTable:
        """One table of the rows of several with the same models, datasets and sources."""
        if len(tables) == 1:
            return tables[0]

        def together(name: str, default: Callable[[RecordTable], NDArray[Any]] | None = None) -> Any:
            values = [getattr(table, name) for table in tables]
            if default is None or all(value is None for value in values):
                return None if values[0] is None else np.concatenate(values)
            filled = [default(table) if value is None else value for value, table in zip(values, tables, strict=True)]
            return np.concatenate(filled)

        return dataclasses.replace(
            tables[0],
            index=[name for table in tables for name in table.index],
            queries=[query for table in tables for query in table.queries],
            **{
                name: together(name)
                for name in ("dataset", "scores", "tokens", "cost", "source", "agent_run", "texts", "encoded")
            },
            weights=together("weights", lambda table: (~np.isnan(table.scores)).astype(np.float32)),
            durations=together(
                "durations", lambda table: np.full((*table.scores.shape, len(DURATIONS)), np.nan, dtype=np.float32)
            ),
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
        table = self.align(left_names("model", [self.models], models), left_names("dataset", [self.datasets], datasets))
        if not len(table):
            raise RecordError("no record is left after the exclusions")
        return table.with_sources(table.sources_left())

    def align(self, models: list[str], datasets: list[str]) -> RecordTable:
        """The table with these models' columns and these datasets' rows that any of the models answered.

        Args:
            models: Names of the models, sorted. A model that the table does not have was not asked.
            datasets: Names of the datasets, sorted. There may be some of which the table has no row.
        """
        codes = [datasets.index(name) if name in datasets else -1 for name in self.datasets]
        dataset = np.array(codes, dtype=np.int32)[self.dataset]
        table = dataclasses.replace(self, datasets=datasets, dataset=dataset)
        if self.models != models:
            columns = [name for name in self.models if name in models]
            targets, sources = [models.index(name) for name in columns], [self.models.index(name) for name in columns]

            def spread(values: Any, default: float | bool) -> Any:
                out = np.full((len(self), len(models), *values.shape[2:]), default, dtype=values.dtype)
                out[:, targets] = values[:, sources]
                return out

            table = dataclasses.replace(
                table,
                models=models,
                scores=spread(self.scores, np.nan),
                tokens=spread(self.tokens, np.nan),
                cost=spread(self.cost, np.nan),
                agent_run=spread(self.agent_run, False),
                weights=None if self.weights is None else spread(self.weights, 0.0),
                durations=None if self.durations is None else spread(self.durations, np.nan),
            )
        return table.rows((dataset >= 0) & ~np.isnan(table.scores).all(axis=1))

    def sources_left(self) -> list[str]:
        """The sources that the table has rows of."""
        return [self.sources[code] for code in np.unique(self.source)]

    def with_sources(self, sources: list[str]) -> RecordTable:
        """The table with other sources, among which are those of its rows.

        Args:
            sources: Names of the sources, sorted.
        """
        codes = np.array([sources.index(name) if name in sources else -1 for name in self.sources], dtype=np.int32)
        return dataclasses.replace(self, sources=sources, source=codes[self.source])

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


def left_names(kind: str, names_by_table: Iterable[list[str]], excluded: Iterable[str]) -> list[str]:
    """All names of some tables' models or datasets except the excluded ones, sorted.

    Args:
        kind: What the names are of, for the error.
        names_by_table: The names.
        excluded: The names to leave out.

    Raises:
        RecordError: If an excluded name is not in the records, or no name is left.
    """
    names = sorted({name for names in names_by_table for name in names})
    removed = set(excluded)
    if unknown := sorted(removed - set(names)):
        raise RecordError(f"cannot exclude {kind} {unknown[0]!r}: the records have {', '.join(names)}")
    if removed.issuperset(names):
        raise RecordError("no record is left after the exclusions")
    return [name for name in names if name not in removed]
