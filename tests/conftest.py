from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import certifi
import pytest
from avengers_core import RouterEstimator, load_records
from avengers_core.records.schema import Record
from langchain_anthropic._client_utils import _get_default_async_httpx_client
from langchain_openai.chat_models._client_utils import _cached_async_httpx_client

from tests.support.llm_server import LLMServer, llm_server
from tests.support.records import make_records

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_xdist_auto_num_workers() -> int:
    """Half as many workers again as cores: many tests wait for a server or for another process."""
    return (os.cpu_count() or 1) * 3 // 2 or 1


@pytest.fixture(scope="session")
def data_folder() -> Path:
    if not (DATA / "mmlupro.train.jsonl.gz").is_file():
        pytest.skip(f"no benchmark records at {DATA}")
    return DATA


@pytest.fixture(scope="session")
def shared_server() -> Iterator[LLMServer]:
    with llm_server() as server:
        yield server


@pytest.fixture(scope="session")
def one_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    mark = "-----END CERTIFICATE-----\n"
    path = tmp_path_factory.mktemp("certificates") / "one.pem"
    path.write_text(Path(certifi.where()).read_text().partition(mark)[0] + mark)
    return path


@pytest.fixture
def server(shared_server: LLMServer, one_certificate: Path, monkeypatch: pytest.MonkeyPatch) -> LLMServer:
    """A local server. Clients read one certificate: to read all of them takes each new client 30 ms."""
    monkeypatch.setenv("SSL_CERT_FILE", str(one_certificate))
    shared_server.reset()
    return shared_server


@pytest.fixture(autouse=True)
def _fresh_async_clients() -> None:
    """LangChain keeps an async client for each address, and its connections belong to the loop that opened them.

    Without this, a test that runs a loop of its own could be handed a connection of another test's loop.
    """
    _get_default_async_httpx_client.cache_clear()
    _cached_async_httpx_client.cache_clear()


@pytest.fixture
def spans() -> Any:
    """OpenTelemetry's spans of this test: its provider can be set once in a process."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter


@pytest.fixture(scope="session")
def records() -> list[Record]:
    return make_records()


@pytest.fixture(scope="session")
def estimator(records: list[Record]) -> RouterEstimator:
    return RouterEstimator(n_clusters=6, min_records=20).fit(load_records(records))
