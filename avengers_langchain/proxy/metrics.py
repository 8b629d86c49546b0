"""The proxy's figures for Prometheus."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["Metrics"]

_SECONDS = (0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 300)


class Metrics:
    """Counters of one application."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        common: Any = {"registry": self._registry}
        self._requests = Counter("avengers_requests", "Answered requests.", ["model"], **common)
        self._refused = Counter("avengers_refused", "Requests that were not answered.", ["reason"], **common)
        self._seconds = Histogram(
            "avengers_request_seconds", "Seconds to the end of an answer.", ["model"], buckets=_SECONDS, **common
        )
        self._tokens = Counter("avengers_tokens", "Tokens, as providers report them.", ["model", "kind"], **common)
        self._cost = Counter("avengers_cost_dollars", "US dollars of answers whose cost is known.", ["model"], **common)
        self._unknown = Counter("avengers_cost_unknown", "Answers whose cost is unknown.", ["model"], **common)
        self._fallbacks = Counter(
            "avengers_fallbacks", "Attempts that another model had to follow.", ["model"], **common
        )
        self.in_flight = Gauge("avengers_in_flight", "Requests at work.", **common)

    def answered(self, message: AIMessage, seconds: float) -> None:
        """Count an answer.

        Args:
            message: The answer, with the router's summary in its metadata.
            seconds: From the request to the end of the answer.
        """
        summary = message.response_metadata.get("avengers") or {}
        model = str(summary.get("model", "unknown"))
        self._requests.labels(model).inc()
        self._seconds.labels(model).observe(seconds)
        usage: Any = message.usage_metadata
        for kind in ("input_tokens", "output_tokens"):
            self._tokens.labels(model, kind.removesuffix("_tokens")).inc(usage[kind] if usage else 0)
        if summary.get("cost_usd") is None:
            self._unknown.labels(model).inc()
        else:
            self._cost.labels(model).inc(summary["cost_usd"])
        for attempt in summary.get("attempts", ()):
            if attempt["error"]:
                self._fallbacks.labels(str(attempt["model"])).inc()

    def refused(self, reason: str) -> None:
        """Count a request that was not answered, by the reason."""
        self._refused.labels(reason).inc()

    def page(self) -> bytes:
        """What Prometheus reads."""
        return bytes(generate_latest(self._registry))
