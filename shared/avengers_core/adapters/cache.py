"""Dispatchers that a model object has built, so that calls with the same fields share one."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, NamedTuple

from ..dispatch.dispatcher import Dispatcher

__all__ = ["DispatcherCache"]

#: Dispatchers that are kept for calls with build fields of their own.
MAX_VARIANTS = 8

_PLAIN = (str, int, float, bool, PurePath)


class _Entry(NamedTuple):
    values: tuple[Any, ...]
    dispatcher: Dispatcher[Any]


class DispatcherCache:
    """The dispatcher of a model object and those of single calls, found by the values that they were built from.

    Texts, numbers, paths, and lists and mappings of them are compared by value, all other objects by identity. The
    model object's own dispatcher is never dropped, because it holds the cooldowns of its models and, if there is no
    ledger, the money that was spent.

    Threads may share a cache. A deep copy and a pickle of it are empty, because clients and connections have locks.
    """

    def __init__(self) -> None:
        self._own: _Entry | None = None
        self._variants: list[_Entry] = []
        self._lock = threading.RLock()

    def own(self, values: tuple[Any, ...], build: Callable[[], Dispatcher[Any]]) -> Dispatcher[Any]:
        """The dispatcher of the model object itself. If its fields were changed, a new one is built.

        Args:
            values: The values of the build fields.
            build: Builds the dispatcher if the cache does not have it.
        """
        entry = self._own
        if entry is None or not _same(entry.values, values):
            with self._lock:
                entry = self._own
                if entry is None or not _same(entry.values, values):
                    entry = self._own = _Entry(values, build())
        return entry.dispatcher

    def variant(self, values: tuple[Any, ...], build: Callable[[], Dispatcher[Any]]) -> Dispatcher[Any]:
        """The dispatcher of a call with build fields of its own. The eight that were used last are kept.

        Args:
            values: The values of the build fields.
            build: Builds the dispatcher if the cache does not have it.
        """
        with self._lock:
            entry = next((one for one in self._variants if _same(one.values, values)), None) or _Entry(values, build())
            self._variants = [entry, *(one for one in self._variants if one is not entry)][:MAX_VARIANTS]
            return entry.dispatcher

    def __copy__(self) -> DispatcherCache:
        copied = DispatcherCache()
        copied._own, copied._variants = self._own, list(self._variants)
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> DispatcherCache:
        return DispatcherCache()

    def __reduce__(self) -> tuple[type[DispatcherCache], tuple[()]]:
        return DispatcherCache, ()


def _same(values: tuple[Any, ...], others: tuple[Any, ...]) -> bool:
    return all(map(operator.is_, values, others)) or all(
        _alike(value, other) for value, other in zip(values, others, strict=True)
    )


def _alike(value: Any, other: Any) -> bool:
    if value is other:
        return True
    if type(value) is not type(other):
        return False
    if isinstance(value, _PLAIN):
        return bool(value == other)
    if isinstance(value, Mapping):
        return value.keys() == other.keys() and all(_alike(value[key], other[key]) for key in value)
    if isinstance(value, (list, tuple)):
        return len(value) == len(other) and all(map(_alike, value, other))
    return False
