"""Totals of the calls that run inside a block, for `get_avengers_callback`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ..ledger.totals import Totals

__all__ = ["TotalsBlocks"]


class TotalsBlocks:
    """Blocks that add up the calls inside them. Blocks can be nested; each of them counts.

    Args:
        name: Name of the context variable that holds the open blocks.
    """

    def __init__(self, name: str) -> None:
        self._open: ContextVar[tuple[Totals, ...]] = ContextVar(name, default=())

    @contextmanager
    def open(self) -> Iterator[Totals]:
        """Open a block. Its totals can be read inside it and afterwards."""
        totals = Totals()
        token = self._open.set((*self._open.get(), totals))
        try:
            yield totals
        finally:
            self._open.reset(token)

    def current(self) -> tuple[Totals, ...]:
        """Totals of the blocks that are open here, the outermost first."""
        return self._open.get()
