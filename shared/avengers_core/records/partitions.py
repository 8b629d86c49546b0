"""Partitioned record tables.

Training is a map-reduce over partitions, so one process and a Dask cluster produce the same artifact.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .table import RecordTable

__all__ = ["LocalPartitions", "Partitions", "add", "quantile"]


class Partitions(Protocol):
    """Record tables with the same models, datasets and sources, in a fixed order."""

    def map(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """``function(table, *arguments)`` for each partition, in order."""
        ...

    def reduce(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The sum of ``function(table, *arguments)`` over all partitions; see `add`."""
        ...


class LocalPartitions:
    """Partitions in this process, on each core one at a time.

    Args:
        tables: The partitions, or functions that load one.
    """

    def __init__(self, tables: Sequence[RecordTable | Callable[[], RecordTable]]) -> None:
        self.tables = list(tables)

    def map(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """``function(table, *arguments)`` for each partition, in order."""
        return list(self._each(function, arguments))

    def reduce(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The sum of ``function(table, *arguments)`` over all partitions; see `add`."""
        return functools.reduce(add, self._each(function, arguments))

    def _each(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Iterator[Any]:
        def call(position: int) -> Any:
            given = self.tables[position]
            table = given if isinstance(given, RecordTable) else given()
            return function(replace(table, partition_index=position), *arguments)

        if len(self.tables) == 1:
            yield call(0)
            return
        with ThreadPoolExecutor(min(len(self.tables), os.cpu_count() or 1)) as threads:
            yield from threads.map(call, range(len(self.tables)))


def add(left: Any, right: Any) -> Any:
    """The sum of two results: mappings are added key by key, everything else with ``+``."""
    if isinstance(left, dict):
        return {name: add(value, right[name]) for name, value in left.items()}
    return left + right


def quantile(
    partitions: Partitions,
    values: Callable[..., NDArray[Any]],
    arguments: tuple[Any, ...],
    q: float,
    limits: tuple[float, float],
    bins: int = 200_000,
) -> float | None:
    """A quantile over all partitions from a histogram, exact to the width of a bin.

    Args:
        partitions: The partitions.
        values: Called as ``values(table, *arguments)``; returns the values of a partition as a 1-D array.
        arguments: Further arguments of ``values``.
        q: The quantile, in [0, 1].
        limits: Range of the histogram; values outside are clipped.
        bins: Number of bins.

    Returns:
        The middle of the bin that holds the quantile, or None if there are no values.
    """
    counts = partitions.reduce(_histogram, values, arguments, limits, bins)
    if not counts.sum():
        return None
    quantile_bin = int(np.searchsorted(np.cumsum(counts), q * counts.sum()))
    width = (limits[1] - limits[0]) / bins
    return float(limits[0] + (min(quantile_bin, bins - 1) + 0.5) * width)


def _histogram(
    table: RecordTable,
    values: Callable[..., NDArray[Any]],
    arguments: tuple[Any, ...],
    limits: tuple[float, float],
    bins: int,
) -> NDArray[np.int64]:
    clipped = np.clip(values(table, *arguments).astype(np.float64), *limits)
    return np.histogram(clipped, bins, limits)[0]
