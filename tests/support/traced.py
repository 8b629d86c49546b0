"""A program: calls of an adapter with a tracing tool, which exports to a local server. It prints what arrived.

Arguments: the tool and the framework. In the environment: where the model's and the tool's server are.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

MODELS = ("gpt-5-mini", "gpt-5.1")
REQUEST = "What is 17 * 23?"


def start(tool: str, framework: str, url: str) -> tuple[dict[str, Any], Callable[[], Any]]:
    """Set up the tool as its documentation says; gives LangChain's config, and what sends all that waits."""
    if tool == "langsmith":
        from langchain_core.tracers.langchain import wait_for_all_tracers

        os.environ |= {"LANGSMITH_TRACING": "true", "LANGSMITH_ENDPOINT": url, "LANGSMITH_API_KEY": "k"}
        return {}, wait_for_all_tracers
    if tool == "langfuse":
        os.environ |= {"LANGFUSE_HOST": url, "LANGFUSE_PUBLIC_KEY": "pk", "LANGFUSE_SECRET_KEY": "sk"}
        from langfuse import get_client

        client = get_client()
        if framework == "langchain":
            from langfuse.langchain import CallbackHandler

            return {"callbacks": [CallbackHandler()]}, client.flush
        from openinference.instrumentation.llama_index import LlamaIndexInstrumentor

        LlamaIndexInstrumentor().instrument()
        return {}, client.flush
    if tool == "mlflow":
        os.environ |= {
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{url}/v1/traces",
        }
        import importlib

        importlib.import_module(f"mlflow.{'langchain' if framework == 'langchain' else 'llama_index'}").autolog()
        return {}, lambda: time.sleep(1)
    from opentelemetry import metrics, trace
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{url}/v1/traces")))
    trace.set_tracer_provider(provider)
    meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter(f"{url}/v1/metrics"))])
    metrics.set_meter_provider(meters)
    if tool == "phoenix":
        if framework == "langchain":
            from openinference.instrumentation.langchain import LangChainInstrumentor as Instrumentor
        else:
            from openinference.instrumentation.llama_index import LlamaIndexInstrumentor as Instrumentor
        Instrumentor().instrument(tracer_provider=provider)
    return {}, lambda: (provider.force_flush(), meters.force_flush())


async def ask_langchain(config: dict[str, Any]) -> list[dict[str, Any]]:
    from langchain_openai import ChatOpenAI

    from avengers_langchain import ChatAvengers

    llm = ChatAvengers(alpha=0.5, models={name: ChatOpenAI(model=name, max_retries=0) for name in MODELS}, cooldown=0)
    answers = [llm.invoke(REQUEST, config), await llm.ainvoke(REQUEST, config)]
    whole: Any = None
    for part in llm.stream(REQUEST, config):
        whole = part if whole is None else whole + part
    answers.append(whole)
    whole = None
    async for part in llm.astream(REQUEST, config):
        whole = part if whole is None else whole + part
    return [
        {**answer.response_metadata["avengers"], "usage": dict(answer.usage_metadata)} for answer in (*answers, whole)
    ]


async def ask_llamaindex(_: dict[str, Any]) -> list[dict[str, Any]]:
    from llama_index.core.llms import ChatMessage
    from llama_index.llms.openai import OpenAI

    from avengers_llamaindex import AvengersLLM

    llm = AvengersLLM(alpha=0.5, models={name: OpenAI(model=name, max_retries=0) for name in MODELS}, cooldown=0)
    answers: list[Any] = [llm.complete(REQUEST), await llm.achat([ChatMessage(REQUEST)])]
    *_, last = llm.stream_chat([ChatMessage(REQUEST)])
    answers.append(last)
    async for part in await llm.astream_complete(REQUEST):
        last = part
    return [answer.additional_kwargs["avengers"] for answer in (*answers, last)]


def main() -> None:
    tool, framework = sys.argv[1:3]
    config, flush = start(tool, framework, os.environ["TRACES_URL"])
    answers = asyncio.run((ask_langchain if framework == "langchain" else ask_llamaindex)(config))
    with contextlib.suppress(Exception):
        flush()
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
