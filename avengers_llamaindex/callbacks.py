"""What a run cost: tokens, dollars, per model, and what the best single model would have cost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from avengers_core.adapters import TotalsBlocks
from avengers_core.ledger.totals import Totals
from avengers_core.pricing.usage import read_usage
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.callbacks.schema import CBEventType, EventPayload
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events.llm import LLMChatEndEvent, LLMCompletionEndEvent
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.base import BaseEvent
from pydantic import Field, PrivateAttr

from ._messages import KEY
from ._models import reported_usage

__all__ = ["AvengersCallbackHandler", "AvengersEventHandler", "get_avengers_callback"]


def _count(totals: Totals, response: Any) -> None:
    summary = getattr(response, "additional_kwargs", {}).get(KEY)
    if summary:
        totals.add(summary, read_usage(reported_usage(response)))


class AvengersEventHandler(BaseEventHandler):
    """Adds up what `AvengersLLM` spends, from instrumentation events.

    Attributes:
        totals: The sums.

    Examples:
        >>> handler = AvengersEventHandler()  # doctest: +SKIP
        >>> get_dispatcher().add_event_handler(handler)  # doctest: +SKIP
    """

    totals: Totals = Field(default_factory=Totals)

    @classmethod
    def class_name(cls) -> str:
        """The name of the class in a dump."""
        return "AvengersEventHandler"

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        """Count an answer once, at the end of the call."""
        if isinstance(event, (LLMChatEndEvent, LLMCompletionEndEvent)):
            _count(self.totals, event.response)


class AvengersCallbackHandler(BaseCallbackHandler):
    """Adds up what `AvengersLLM` spends under a `CallbackManager` that has this handler.

    Attributes:
        totals: The sums.
    """

    def __init__(self) -> None:
        super().__init__(event_starts_to_ignore=[], event_ends_to_ignore=[])
        self.totals = Totals()

    def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        parent_id: str = "",
        **kwargs: Any,
    ) -> str:
        """Do nothing."""
        return event_id

    def on_event_end(
        self, event_type: CBEventType, payload: dict[str, Any] | None = None, event_id: str = "", **kwargs: Any
    ) -> None:
        """Count an answer once, at the end of the call."""
        if event_type == CBEventType.LLM and payload:
            _count(self.totals, payload.get(EventPayload.RESPONSE) or payload.get(EventPayload.COMPLETION))

    def start_trace(self, trace_id: str | None = None) -> None:
        """Do nothing."""

    def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None:
        """Do nothing."""


_blocks = TotalsBlocks("avengers_llamaindex_totals")


class _BlockHandler(BaseEventHandler):
    """Counts into the blocks of `get_avengers_callback` that are open around a call."""

    _watching: bool = PrivateAttr(default=False)

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        if isinstance(event, (LLMChatEndEvent, LLMCompletionEndEvent)):
            for totals in _blocks.current():
                _count(totals, event.response)

    def watch(self) -> None:
        if not self._watching:
            self._watching = True
            get_dispatcher().add_event_handler(self)


_handler = _BlockHandler()


@contextmanager
def get_avengers_callback() -> Iterator[Totals]:
    """Count everything that runs inside the block, and in tasks and threads that LlamaIndex starts there.

    Blocks can be nested.
    """
    _handler.watch()
    with _blocks.open() as totals:
        yield totals
