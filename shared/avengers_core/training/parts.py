"""Training records in parts, in memory or on disk, with the same models, datasets and sources."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..errors import RecordError
from ..records.partitions import LocalPartitions
from ..records.table import RecordTable, left_names

__all__ = ["PART_ROWS", "Part", "align_parts", "cut", "joined", "split_parts"]

#: Rows of a part. Sums are taken part by part, so that an artifact is the same, wherever the parts are.
PART_ROWS = 50_000

#: A table, or a function that loads one from disk.
Part = RecordTable | Callable[[], RecordTable]


def cut(table: RecordTable, size: int) -> list[Part]:
    """A table in parts of ``size`` rows, which share its arrays. One without rows is one part.

    Args:
        table: The table.
        size: Number of rows of each part but the last.
    """
    return [table.rows(slice(start, start + size)) for start in range(0, max(len(table), 1), size)]


def joined(parts: Iterable[Part]) -> RecordTable:
    """One table of parts with the same models, datasets and sources."""
    return RecordTable.concatenate([part if isinstance(part, RecordTable) else part() for part in parts])


def split_parts(parts: list[Part], train_ratio: float, random_state: int) -> tuple[list[Part], RecordTable | None]:
    """The parts to train on, and the other rows, if there are any; see `RecordTable.split`.

    Args:
        parts: Tables with the same models, datasets and sources.
        train_ratio: Share of each dataset to train on.
        random_state: Seed of the random choice.

    Raises:
        RecordError: If there is no row to train on.
    """
    train, held_out = joined(parts).split(train_ratio, random_state)
    if not len(train):
        raise RecordError(f"train_ratio {train_ratio} leaves no record to train on")
    return cut(train, PART_ROWS), held_out if len(held_out) else None


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
    names = every.map(lambda table: (table.models, table.datasets))
    models = left_names("model", (models for models, _ in names), exclude_models)
    datasets = left_names("dataset", (datasets for _, datasets in names), exclude_datasets)
    left = every.map(lambda table: table.align(models, datasets).sources_left())
    sources = sorted({name for names in left for name in names})
    if not sources:
        raise RecordError("no record is left after the exclusions")

    def prepared(part: Part) -> Part:
        if isinstance(part, RecordTable):
            return part.align(models, datasets).with_sources(sources)
        return lambda: part().align(models, datasets).with_sources(sources)

    kept = [part for part, names in zip(parts, left, strict=True) if names]
    return list(map(prepared, kept)), models, datasets
