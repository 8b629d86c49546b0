"""What a run cost: tokens, dollars, per model, and what the best single model would have cost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.messages.ai import UsageMetadata, add_usage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.tracers.context import register_configure_hook


@dataclass
class ModelTotals:
    """Answers of one model. ``cost`` is in US dollars and leaves out ``unknown`` answers, whose cost is not known."""

    calls: int = 0
    cost: float = 0.0
    unknown: int = 0
    usage: UsageMetadata | None = None


@dataclass
class Totals(ModelTotals):
    """All answers of a run.

    Attributes:
        best_single_cost: dollars that the best single model would have cost for the same tokens, over the answers
            where both are known; ``compared_cost`` is what those answers really cost.
        cached: answers that came from LangChain's cache and cost nothing.
        models: by id.
    """

    best_single_cost: float = 0.0
    compared_cost: float = 0.0
    cached: int = 0
    models: dict[str, ModelTotals] = field(default_factory=dict)

    @property
    def saved(self) -> float:
        """Dollars saved against the best single model."""
        return self.best_single_cost - self.compared_cost


class AvengersCallbackHandler(BaseCallbackHandler):
    """Adds up what `ChatAvengers` spends in the runs that it is given to; threads may share it."""

    def __init__(self) -> None:
        self.totals = Totals()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        total = self.totals
        unknown = f", {total.unknown} of unknown cost" if total.unknown else ""
        return f"<{total.calls} calls, ${total.cost:.6f}{unknown}, ${total.saved:.6f} saved>"

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """Count an answer, once: at the end of the outer run."""
        generation = response.generations[0][0] if response.generations and response.generations[0] else None
        message = generation.message if isinstance(generation, ChatGeneration) else None
        told = message.response_metadata.get("avengers") if isinstance(message, AIMessage) else None
        if not isinstance(message, AIMessage) or not told:
            return
        usage = message.usage_metadata
        with self._lock:
            if usage and usage.get("total_cost") == 0:
                self.totals.cached += 1
                return
            one = self.totals.models.setdefault(told["model"], ModelTotals())
            for totals in (self.totals, one):
                totals.calls += 1
                totals.usage = add_usage(totals.usage, usage) if usage else totals.usage
                totals.unknown += told["cost"] is None
                totals.cost += told["cost"] or 0.0
            best = told["best_single"]["cost"]
            if best is not None and told["cost"] is not None:
                self.totals.best_single_cost += best
                self.totals.compared_cost += told["cost"]


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
