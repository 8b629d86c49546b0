"""Records in parts, here or on many machines: training asks only for sums over parts, so that both give the same."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .table import RecordTable


class Partitions(Protocol):
    """Tables of the same models and datasets, in an order."""

    def gather(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """``function(part, *arguments)`` of each part, in order."""
        ...

    def total(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The sum of what ``gather`` gives, by `add`."""
        ...


class LocalPartitions:
    """Partitions in this process's memory."""

    def __init__(self, tables: Sequence[RecordTable]) -> None:
        self.tables = list(tables)

    def gather(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """``function(part, *arguments)`` of each part, in order."""
        return [function(table, *arguments) for table in self.tables]

    def total(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The sum of what ``gather`` gives, by `add`."""
        return functools.reduce(add, self.gather(function, *arguments))


def add(one: Any, other: Any) -> Any:
    """The sum of two results: of mappings key by key, of all else by ``+``."""
    if isinstance(one, dict):
        return {name: add(value, other[name]) for name, value in one.items()}
    return one + other


def quantile(
    parts: Partitions,
    values: Callable[..., NDArray[Any]],
    arguments: tuple[Any, ...],
    q: float,
    limits: tuple[float, float],
    bins: int = 200_000,
) -> float | None:
    """A quantile over all parts from a histogram, exact to the width of a bin; None without values.

    Args:
        values: gives the values of a part. q: in [0, 1]. limits: values beyond them are counted at them.
    """
    counts = parts.total(_histogram, values, arguments, limits, bins)
    if not counts.sum():
        return None
    place = int(np.searchsorted(np.cumsum(counts), q * counts.sum()))
    width = (limits[1] - limits[0]) / bins
    return float(limits[0] + (min(place, bins - 1) + 0.5) * width)


def _histogram(
    table: RecordTable,
    values: Callable[..., NDArray[Any]],
    arguments: tuple[Any, ...],
    limits: tuple[float, float],
    bins: int,
) -> NDArray[np.int64]:
    found = np.clip(values(table, *arguments).astype(np.float64), *limits)
    return np.histogram(found, bins, limits)[0]
