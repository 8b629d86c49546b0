"""OpenTelemetry spans with the gen_ai attributes, where opentelemetry is installed; nothing at all elsewhere."""

from __future__ import annotations

import functools
from typing import Any


@functools.cache
def _tracer() -> Any | None:
    try:
        from opentelemetry import trace
    except ImportError:
        return None
    return trace.get_tracer("avengers")


def start_span(provider: str, model: str, attributes: dict[str, Any]) -> Any | None:
    """A client span ``chat <model>``, or None without opentelemetry."""
    tracer = _tracer()
    if tracer is None:
        return None
    from opentelemetry.trace import SpanKind

    known = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": provider, "gen_ai.request.model": model}
    return tracer.start_span(f"chat {model}", kind=SpanKind.CLIENT, attributes={**known, **attributes})


def end_span(span: Any | None, attributes: dict[str, Any], error: BaseException | None) -> None:
    """Close a span with what the call returned; messages and error texts are left out, as they may quote prompts."""
    if span is None:
        return
    span.set_attributes({name: value for name, value in attributes.items() if value is not None})
    if error is not None:
        from opentelemetry.trace import Status, StatusCode

        span.set_attribute("error.type", type(error).__name__)
        span.set_status(Status(StatusCode.ERROR))
    span.end()
