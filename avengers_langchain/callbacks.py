"""What a run cost: tokens, dollars, per model, and what the best single model would have cost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from uuid import UUID

from avengers_core.ledger.totals import Totals
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.tracers.context import register_configure_hook

from ._models import token_usage


class AvengersCallbackHandler(BaseCallbackHandler):
    """Adds up what `ChatAvengers` spends in the runs that it is given to; threads may share it."""

    def __init__(self) -> None:
        self.totals = Totals()

    def __repr__(self) -> str:
        return f"<{self.totals}>"

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """Count an answer, once: at the end of the outer run."""
        generation = response.generations[0][0] if response.generations and response.generations[0] else None
        message = generation.message if isinstance(generation, ChatGeneration) else None
        told = message.response_metadata.get("avengers") if isinstance(message, AIMessage) else None
        if isinstance(message, AIMessage) and told:
            usage = message.usage_metadata
            self.totals.add(told, token_usage(usage), cached=bool(usage and usage.get("total_cost") == 0))


_current: ContextVar[AvengersCallbackHandler | None] = ContextVar("avengers_callback", default=None)
register_configure_hook(_current, inheritable=True)


@contextmanager
def get_avengers_callback() -> Iterator[AvengersCallbackHandler]:
    """Count everything that runs inside the block, without passing callbacks along."""
    handler = AvengersCallbackHandler()
    token = _current.set(handler)
    try:
        yield handler
    finally:
        _current.reset(token)
