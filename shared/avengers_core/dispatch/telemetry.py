"""What tracing tools are told of an attempt: OpenTelemetry's spans and metrics, and other tools' own spans.

Spans and metrics follow OpenTelemetry's conventions for generative AI (``gen_ai``). Without opentelemetry nothing
happens. Messages and texts of errors are left out, as they may quote prompts.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple, TypeAlias

from ..pricing.types import TokenUsage

__all__ = ["AttemptFacts", "AttemptSpan", "ForeignSpan", "OwnSpans", "shares_provider", "tolerant"]

_log = logging.getLogger("avengers")

Attributes: TypeAlias = dict[str, "str | float | int"]

#: OpenTelemetry's names of the kinds of tokens; input and output are totals.
_USAGE = {
    "gen_ai.usage.input_tokens": "input_tokens",
    "gen_ai.usage.output_tokens": "output_tokens",
    "gen_ai.usage.cache_read.input_tokens": "cache_read_tokens",
    "gen_ai.usage.cache_creation.input_tokens": "cache_write_tokens",
    "gen_ai.usage.reasoning.output_tokens": "reasoning_tokens",
}

#: Bounds of the metrics' histograms, as OpenTelemetry's conventions advise: seconds, and tokens.
_SECONDS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
_TOKENS = [4**power for power in range(14)]


class OwnSpans(Enum):
    """What our own spans say, so that nothing is told twice.

    Attributes:
        WHOLE: All.
        WITHOUT_USAGE: All but tokens and dollars: another tool's span of the call tells these to the same exporter.
        NONE: There are none: another tool has a span of each attempt.
    """

    WHOLE = "whole"
    WITHOUT_USAGE = "without usage"
    NONE = "none"


class AttemptFacts(NamedTuple):
    """What is told of an attempt.

    Attributes:
        model: Model id in the artifact.
        name: The provider's name of the model.
        provider: Its provider.
        alpha: The alpha that the decision was made with.
        number: 0 for the chosen model, 1 for the first fallback, and so on.
        call: Id of the call.
        decision: Id of the routing decision.
        explain: Gives the reason for the choice, in words.
    """

    model: str
    name: str
    provider: str
    alpha: float
    number: int
    call: str
    decision: str
    explain: Callable[[], str]

    def attributes(self) -> Attributes:
        """Attributes under names of our own."""
        return {
            "avengers.model": self.model,
            "avengers.provider": self.provider,
            "avengers.alpha": self.alpha,
            "avengers.attempt": self.number,
            "avengers.call.id": self.call,
            "avengers.decision.id": self.decision,
            "avengers.reason": self.explain(),
        }


class AttemptSpan:
    """The span ``chat <model>`` of one attempt, and its metrics.

    Args:
        facts: What is told of it.
        own: What the span says.
    """

    def __init__(self, facts: AttemptFacts, own: OwnSpans = OwnSpans.WHOLE) -> None:
        self._facts, self._own = facts, own
        self._span: Any | None = None

    def start(self) -> None:
        """Open the span."""
        tracer = _tracer() if self._own is not OwnSpans.NONE else None
        if tracer is None:
            return
        from opentelemetry.trace import SpanKind

        facts = self._facts
        span = tracer.start_span(f"chat {facts.name}", kind=SpanKind.CLIENT, attributes=_operation(facts))
        if span.is_recording():
            span.set_attributes(facts.attributes())
            self._span = span

    def end(
        self,
        usage: TokenUsage | None,
        cost_usd: Decimal | None,
        response_model: str,
        error: BaseException | None,
        seconds: float,
        first_token_seconds: float | None,
    ) -> None:
        """Close the span, and count the attempt.

        Args:
            usage: Tokens reported by the provider, or None.
            cost_usd: US dollars, or None if unknown.
            response_model: Name that the model answered under, empty if unknown.
            error: What the attempt failed with, or None.
            seconds: How long it took.
            first_token_seconds: Seconds to the first part of a stream; None: it was none.
        """
        told: Attributes = {"gen_ai.response.model": response_model} if response_model else {}
        if error is not None:
            told["error.type"] = type(error).__name__
        metrics = _metrics()
        if metrics is not None:
            metrics.count(_operation(self._facts) | told, usage, cost_usd, seconds, first_token_seconds)
        span = self._span
        if span is None:
            return
        span.set_attributes(told)
        if self._own is OwnSpans.WHOLE:
            span.set_attributes({name: getattr(usage, kind) for name, kind in _USAGE.items()} if usage else {})
            span.set_attributes({} if cost_usd is None else {"avengers.cost": float(cost_usd)})
        if error is not None:
            from opentelemetry.trace import Status, StatusCode

            span.set_status(Status(StatusCode.ERROR))
        span.end()


class ForeignSpan(NamedTuple):
    """Another tool's span of a call, which is told under that tool's names.

    Attributes:
        tool: ``openinference`` (Phoenix and others), ``langfuse`` or ``mlflow``.
        span: The tool's object, which has ``set_attribute``.
    """

    tool: str
    span: Any

    def tell(self, facts: AttemptFacts, cost_usd: Decimal | None = None) -> None:
        """Set the attributes.

        Args:
            facts: Of the attempt.
            cost_usd: US dollars, None if they are unknown, or not known yet.
        """
        attributes: Mapping[str, Any] = _FOREIGN[self.tool](facts, None if cost_usd is None else float(cost_usd))
        for name, value in attributes.items():
            self.span.set_attribute(name, value)


@contextlib.contextmanager
def tolerant() -> Iterator[None]:
    """Go on whatever happens inside: another tool's insides may change, and an answer is paid for."""
    try:
        yield
    except Exception as error:
        _log.warning("a trace could not be told which model answered (%s: %s)", type(error).__name__, error)


def shares_provider(resource: object) -> bool:
    """Whether a tool's spans go the same way as ours: they have the resource of OpenTelemetry's global provider.

    Args:
        resource: The resource of a span or a tracer.
    """
    try:
        from opentelemetry import trace
    except ImportError:
        return False
    return resource is not None and resource is getattr(trace.get_tracer_provider(), "resource", None)


def _operation(facts: AttemptFacts) -> Attributes:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": facts.provider,
        "gen_ai.request.model": facts.name,
    }


def _with_cost(facts: AttemptFacts, cost_usd: float | None) -> Attributes:
    return facts.attributes() | ({} if cost_usd is None else {"avengers.cost": cost_usd})


def _openinference(facts: AttemptFacts, cost_usd: float | None) -> Attributes:
    cost: Attributes = {} if cost_usd is None else {"llm.cost.total": cost_usd}
    return _with_cost(facts, cost_usd) | {"llm.provider": facts.provider} | cost


def _langfuse(facts: AttemptFacts, cost_usd: float | None) -> Attributes:
    prefix = "langfuse.observation.metadata."
    named = _with_cost(facts, cost_usd) | {"ls_model_name": facts.name, "ls_provider": facts.provider}
    told: Attributes = {prefix + name: value for name, value in named.items()}
    told["langfuse.observation.model.name"] = facts.name
    return told | ({} if cost_usd is None else {"langfuse.observation.cost_details": json.dumps({"total": cost_usd})})


def _mlflow(facts: AttemptFacts, cost_usd: float | None) -> dict[str, Any]:
    cost = {} if cost_usd is None else {"mlflow.llm.cost": {"total_cost": cost_usd}}
    named = {"mlflow.llm.model": facts.name, "mlflow.llm.provider": facts.provider}
    return {**_with_cost(facts, cost_usd), **named, **cost}


_FOREIGN: dict[str, Callable[[AttemptFacts, float | None], Mapping[str, Any]]] = {
    "openinference": _openinference,
    "langfuse": _langfuse,
    "mlflow": _mlflow,
}


class _Telemetry(NamedTuple):
    """OpenTelemetry, if it is installed."""

    trace: Any
    metrics: Any
    tracer: Any
    instruments: _Metrics


@functools.cache
def _telemetry() -> _Telemetry | None:
    try:
        from opentelemetry import metrics, trace
    except ImportError:
        return None
    return _Telemetry(trace, metrics, trace.get_tracer("avengers"), _Metrics(metrics.get_meter("avengers")))


def _tracer() -> Any | None:
    """What makes spans; None if nobody has set up tracing."""
    found = _telemetry()
    if found is None or isinstance(found.trace.get_tracer_provider(), found.trace.ProxyTracerProvider):
        return None
    return found.tracer


def _metrics() -> _Metrics | None:
    """What counts attempts; None if nobody has set up metrics."""
    found = _telemetry()
    if found is None or not hasattr(found.metrics.get_meter_provider(), "force_flush"):  # those that export have it
        return None
    return found.instruments


class _Metrics:
    """Instruments that count attempts."""

    def __init__(self, meter: Any) -> None:
        self._seconds = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="Seconds of an attempt.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._first = meter.create_histogram(
            "gen_ai.client.operation.time_to_first_chunk",
            unit="s",
            description="Seconds to the first part of a streamed answer.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Tokens of an attempt, input and output.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
        self._dollars = meter.create_counter("avengers.client.cost", unit="USD", description="US dollars spent.")

    def count(
        self,
        attributes: Attributes,
        usage: TokenUsage | None,
        cost_usd: Decimal | None,
        seconds: float,
        first_token_seconds: float | None,
    ) -> None:
        self._seconds.record(seconds, attributes)
        if first_token_seconds is not None:
            self._first.record(first_token_seconds, attributes)
        if usage is not None:
            self._tokens.record(usage.input_tokens, {**attributes, "gen_ai.token.type": "input"})
            self._tokens.record(usage.output_tokens, {**attributes, "gen_ai.token.type": "output"})
        if cost_usd is not None:
            self._dollars.add(float(cost_usd), attributes)
