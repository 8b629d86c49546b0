"""OpenTelemetry spans with the ``gen_ai`` attributes. Without opentelemetry nothing happens."""

from __future__ import annotations

import functools
from decimal import Decimal
from typing import Any

from ..pricing.types import TokenUsage

__all__ = ["AttemptSpan"]


@functools.cache
def _tracer() -> Any | None:
    try:
        from opentelemetry import trace
    except ImportError:
        return None
    return trace.get_tracer("avengers")


class AttemptSpan:
    """The span ``chat <model>`` of one attempt.

    Messages and texts of errors are left out, as they may quote prompts.

    Args:
        provider: The model's provider.
        model: The provider's name of the model.
        decision_id: Id of the routing decision.
        alpha: The alpha that it was made with.
    """

    def __init__(self, provider: str, model: str, decision_id: str, alpha: float) -> None:
        self._name = f"chat {model}"
        self._attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model,
            "avengers.decision.id": decision_id,
            "avengers.alpha": alpha,
        }
        self._span: Any | None = None

    def start(self) -> None:
        """Open the span."""
        tracer = _tracer()
        if tracer is None:
            return
        from opentelemetry.trace import SpanKind

        self._span = tracer.start_span(self._name, kind=SpanKind.CLIENT, attributes=self._attributes)

    def end(
        self, usage: TokenUsage | None, cost_usd: Decimal | None, response_model: str, error: BaseException | None
    ) -> None:
        """Close the span.

        Args:
            usage: Tokens reported by the provider, or None.
            cost_usd: US dollars, or None if unknown.
            response_model: Name that the model answered under, empty if unknown.
            error: What the attempt failed with, or None.
        """
        span = self._span
        if span is None:
            return
        attributes = {
            "gen_ai.response.model": response_model or None,
            "gen_ai.usage.input_tokens": usage.input_tokens if usage else None,
            "gen_ai.usage.output_tokens": usage.output_tokens if usage else None,
            "avengers.cost": float(cost_usd) if cost_usd is not None else None,
        }
        span.set_attributes({name: value for name, value in attributes.items() if value is not None})
        if error is not None:
            from opentelemetry.trace import Status, StatusCode

            span.set_attribute("error.type", type(error).__name__)
            span.set_status(Status(StatusCode.ERROR))
        span.end()
