"""OpenInference, by which Phoenix and Langfuse trace LlamaIndex: every span ends, and the chosen model has its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from llama_index.core.llms import ChatMessage
from llama_index_instrumentation import get_dispatcher
from openinference.instrumentation.llama_index import LlamaIndexInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from avengers_llamaindex import AvengersLLM
from tests.support.llm_server import LLMServer

from .test_llms import TWINS, ask

pytestmark = pytest.mark.filterwarnings("ignore:The `json` method is deprecated")  # OpenInference calls it

Make = Callable[..., AvengersLLM]


@pytest.fixture
def exported() -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = LlamaIndexInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    yield exporter
    instrumentor.uninstrument()


def live() -> int:
    """Spans that are open or wait for events of a stream."""
    (handler,) = [one for one in get_dispatcher().span_handlers if hasattr(one, "_export_queue")]
    return len(handler.open_spans) + sum(span.active for span in handler._export_queue.spans.values())


def told(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


@pytest.mark.parametrize("how", TWINS)
async def test_the_chosen_model_has_the_tokens(
    make: Make, server: LLMServer, exported: InMemorySpanExporter, how: str
) -> None:
    answer = await ask(make(), how)
    model = answer.additional_kwargs["avengers"]["model"]
    (inner, outer) = exported.get_finished_spans()
    assert live() == 0
    assert (inner.name.split(".")[1], outer.name) == (how, f"AvengersLLM.{how}")
    assert inner.parent
    assert inner.parent.span_id == outer.context.span_id
    assert told(inner)["llm.model_name"] == model
    assert told(inner)["llm.token_count.prompt"] == server.tokens[model, "input"]
    assert told(inner)["llm.token_count.completion"] == server.tokens[model, "output"]
    assert "llm.token_count.prompt" not in told(outer), "tokens are counted once"


@pytest.mark.parametrize("how", TWINS)
async def test_a_failed_model_has_a_span_that_says_so(
    make: Make, server: LLMServer, exported: InMemorySpanExporter, how: str
) -> None:
    server.faults = [503]
    answer = await ask(make(), how)
    *inner, outer = exported.get_finished_spans()
    assert [span.status.status_code.name for span in inner] == ["ERROR", "OK"]
    assert told(inner[1])["llm.model_name"] == answer.additional_kwargs["avengers"]["model"]
    assert outer.status.status_code.name == "OK"
    assert live() == 0


async def test_a_stream_that_is_left_ends_its_spans(make: Make, exported: InMemorySpanExporter) -> None:
    llm = make()
    stream = llm.stream_chat([ChatMessage("hi")])
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    parts = await llm.astream_chat([ChatMessage("hi")])
    await anext(parts)
    await parts.aclose()  # type: ignore[attr-defined]
    for _ in range(100):  # the event loop closes what is left of an async stream
        if not live():
            break
        await asyncio.sleep(0.02)
    assert len(exported.get_finished_spans()) == 4
    assert live() == 0
