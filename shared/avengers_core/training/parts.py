"""Training records in parts, in memory or on disk, with the same models, datasets and sources."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import RecordError
from ..records.partitions import LocalPartitions
from ..records.table import RecordTable

__all__ = [
    "PART_ROWS",
    "Part",
    "align",
    "align_parts",
    "left_names",
    "names_of",
    "sources_left",
    "split_parts",
    "with_sources",
]

#: Rows of a part. Sums are taken part by part, so that an artifact is the same, wherever the parts are.
PART_ROWS = 50_000

#: A table, or a function that loads one from disk.
Part = RecordTable | Callable[[], RecordTable]


def split_parts(parts: list[Part], train_ratio: float, random_state: int) -> tuple[list[Part], RecordTable | None]:
    """The parts to train on, and the other rows, if there are any; see `RecordTable.split`.

    Args:
        parts: Tables with the same models, datasets and sources.
        train_ratio: Share of each dataset to train on.
        random_state: Seed of the random choice.

    Raises:
        RecordError: If there is no row to train on.
    """
    table = RecordTable.concatenate([part if isinstance(part, RecordTable) else part() for part in parts])
    train, held_out = table.split(train_ratio, random_state)
    if not len(train):
        raise RecordError(f"train_ratio {train_ratio} leaves no record to train on")
    starts = range(0, len(train), PART_ROWS)
    return [train.rows(slice(start, start + PART_ROWS)) for start in starts], held_out if len(held_out) else None


def align_parts(
    parts: list[Part], exclude_models: Iterable[str], exclude_datasets: Iterable[str]
) -> tuple[list[Part], list[str], list[str]]:
    """The parts with the same models, datasets and sources, and the names of the models and datasets.

    Args:
        parts: Tables.
        exclude_models: Names of the models whose columns are dropped.
        exclude_datasets: Names of the datasets whose rows are dropped.

    Raises:
        RecordError: If a name is not in the records, or nothing is left.
    """
    every = LocalPartitions(parts)
    names = every.map(names_of)
    models = left_names("model", (models for models, _ in names), exclude_models)
    datasets = left_names("dataset", (datasets for _, datasets in names), exclude_datasets)
    left = every.map(lambda table: sources_left(align(table, models, datasets)))
    sources = sorted({name for names in left for name in names})
    if not sources:
        raise RecordError("no record is left after the exclusions")

    def prepared(part: Part) -> Part:
        if isinstance(part, RecordTable):
            return with_sources(align(part, models, datasets), sources)
        return lambda: with_sources(align(part(), models, datasets), sources)

    kept = [part for part, names in zip(parts, left, strict=True) if names]
    return list(map(prepared, kept)), models, datasets


def names_of(table: RecordTable) -> tuple[list[str], list[str]]:
    """The names of the table's models and datasets."""
    return table.models, table.datasets


def left_names(kind: str, names_by_part: Iterable[list[str]], excluded: Iterable[str]) -> list[str]:
    """All names except the excluded ones, sorted.

    Raises:
        RecordError: If an excluded name is not in the records, or no name is left.
    """
    names = sorted({name for names in names_by_part for name in names})
    removed = set(excluded)
    if unknown := sorted(removed - set(names)):
        raise RecordError(f"cannot exclude {kind} {unknown[0]!r}: the records have {', '.join(names)}")
    if removed.issuperset(names):
        raise RecordError("no record is left after the exclusions")
    return [name for name in names if name not in removed]


def align(table: RecordTable, models: list[str], datasets: list[str]) -> RecordTable:
    """The table with these models' columns and these datasets' rows, of which there may be none."""
    codes = [datasets.index(name) if name in datasets else -1 for name in table.datasets]
    dataset = np.array(codes, dtype=np.int32)[table.dataset]
    if table.models == models:
        aligned = replace(table, datasets=datasets, dataset=dataset)
        return aligned.rows((dataset >= 0) & ~np.isnan(table.scores).all(axis=1))
    columns = [name for name in table.models if name in models]
    targets, sources = [models.index(name) for name in columns], [table.models.index(name) for name in columns]

    def spread(values: Any, default: float | bool) -> Any:
        out = np.full((len(table), len(models), *values.shape[2:]), default, dtype=values.dtype)
        out[:, targets] = values[:, sources]
        return out

    wide = replace(
        table,
        datasets=datasets,
        dataset=dataset,
        models=models,
        scores=spread(table.scores, np.nan),
        tokens=spread(table.tokens, np.nan),
        cost=spread(table.cost, np.nan),
        agent_run=spread(table.agent_run, False),
        weights=None if table.weights is None else spread(table.weights, 0.0),
        durations=None if table.durations is None else spread(table.durations, np.nan),
    )
    return wide.rows((dataset >= 0) & ~np.isnan(wide.scores).all(axis=1))


def sources_left(table: RecordTable) -> list[str]:
    """The sources of the table's rows; none if it has no row."""
    return [table.sources[code] for code in np.unique(table.source)]


def with_sources(table: RecordTable, sources: list[str]) -> RecordTable:
    """The table with the sources of all parts."""
    codes = np.array([sources.index(name) if name in sources else -1 for name in table.sources], dtype=np.int32)
    return replace(table, sources=sources, source=codes[table.source])
