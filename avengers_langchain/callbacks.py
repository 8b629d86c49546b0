"""What a run cost: tokens, dollars, per model, and what the best single model would have cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from uuid import UUID

from avengers_core.adapters import TotalsBlocks
from avengers_core.ledger.totals import Totals
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.tracers.context import register_configure_hook

from ._answers import from_cache
from ._models import token_usage

__all__ = ["AvengersCallbackHandler", "get_avengers_callback"]


class AvengersCallbackHandler(BaseCallbackHandler):
    """Adds up what `ChatAvengers` spends in the runs that get this handler. Threads may share it.

    Attributes:
        totals: The sums.
    """

    def __init__(self) -> None:
        self.totals = Totals()

    def __repr__(self) -> str:
        return f"<{self.totals}>"

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """Count an answer once, at the end of the outer run."""
        _count(response, run_id, [self.totals])


class _BlockHandler(BaseCallbackHandler):
    """Counts into the blocks that were open when a run began."""

    def __init__(self, blocks: Iterable[Totals]) -> None:
        self.blocks = tuple(blocks)

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        _count(response, run_id, self.blocks)


def _count(response: LLMResult, run_id: UUID, blocks: Iterable[Totals]) -> None:
    generation = response.generations[0][0] if response.generations and response.generations[0] else None
    message = generation.message if isinstance(generation, ChatGeneration) else None
    summary = message.response_metadata.get("avengers") if isinstance(message, AIMessage) else None
    if isinstance(message, AIMessage) and summary:
        usage = message.usage_metadata
        for totals in blocks:
            totals.add(summary, token_usage(usage), cached=from_cache(usage), key=run_id)


_blocks = TotalsBlocks("avengers_langchain_totals")
_handler: ContextVar[_BlockHandler | None] = ContextVar("avengers_langchain_handler", default=None)
register_configure_hook(_handler, inheritable=True)


@contextmanager
def get_avengers_callback() -> Iterator[Totals]:
    """Count everything that runs inside the block, without passing callbacks along. Blocks can be nested."""
    with _blocks.open() as totals:
        token = _handler.set(_BlockHandler(_blocks.current()))
        try:
            yield totals
        finally:
            _handler.reset(token)
