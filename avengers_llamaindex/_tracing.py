"""What other tools' traces of a call are told: the model that answers, its provider, dollars, alpha and the reason.

OpenInference (Phoenix, Langfuse) and MLflow have a span for each of LlamaIndex's, in a place of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from avengers_core.dispatch.call import Attempt
from avengers_core.dispatch.telemetry import ForeignSpan, OwnSpans, shares_provider, tolerant
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.span_handlers import BaseSpanHandler

__all__ = ["foreign_spans", "own_spans", "tell"]

#: Where each tool's span has the span that it exports.
_EXPORTED = {"openinference": "_otel_span", "mlflow": "_mlflow_span"}


def own_spans() -> OwnSpans:
    """What our own spans say beside those of the tools that listen."""
    for tool, handler in _handlers():
        if tool == "openinference" and shares_provider(
            getattr(getattr(handler, "_otel_tracer", None), "resource", None)
        ):
            return OwnSpans.NONE  # it has a span of each attempt
    return OwnSpans.WHOLE


def foreign_spans(span_id: str) -> list[ForeignSpan]:
    """The spans that other tools have just opened.

    Args:
        span_id: LlamaIndex's id of the span.
    """
    found: list[ForeignSpan] = []
    for tool, handler in _handlers():
        with tolerant():
            span = getattr(handler.open_spans.get(span_id), _EXPORTED[tool], None)
            if span is not None:
                found.append(ForeignSpan(tool, span))
    return found


def tell(spans: Iterable[ForeignSpan], attempt: Attempt[Any]) -> None:
    """Tell other tools of an attempt, and what it cost if that is known.

    Args:
        spans: Their spans.
        attempt: The attempt.
    """
    with tolerant():
        for span in spans:
            span.tell(attempt.facts, attempt.cost_usd)


def _handlers() -> Iterator[tuple[str, BaseSpanHandler[Any]]]:
    for handler in get_dispatcher().span_handlers:
        tool = type(handler).__module__.partition(".")[0]
        if tool in _EXPORTED:
            yield tool, handler
