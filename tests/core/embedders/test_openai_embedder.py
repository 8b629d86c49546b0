from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from avengers_core import CachedEmbedder, EmbeddingError, OpenAIEmbedder, Router, RouterEstimator, make_embedder
from avengers_core.records.schema import Record

from tests.support.embedding_server import DIMENSION, EmbeddingServer, embedding_server, vector

KEY = "sk-canary-123"


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with embedding_server() as running:
        yield running


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avengers_core.embedders.openai._backoff", lambda state: 0.0)


def make(server: EmbeddingServer, **options: object) -> OpenAIEmbedder:
    return OpenAIEmbedder("text-embedding-test", base_url=server.url, api_key=KEY, **options)  # type: ignore[arg-type]


def test_vectors_come_in_order_and_in_batches(server: EmbeddingServer) -> None:
    texts = [f"word{i} and more" for i in range(10)]
    vectors = make(server, batch_size=4).embed(texts)
    np.testing.assert_allclose(vectors, [vector(text) for text in texts])
    assert [len(request["input"]) for request in server.requests] == [4, 4, 2]
    assert set(server.keys) == {f"Bearer {KEY}"}


def test_settings_come_from_the_environment(server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EmbeddingError, match="EMBEDDING_API_KEY"):
        make_embedder("openai:m")
    monkeypatch.setenv("EMBEDDING_API_KEY", KEY)
    monkeypatch.setenv("EMBEDDING_BASE_URL", server.url)
    assert make_embedder("openai:m").dimension == DIMENSION


@pytest.mark.parametrize("faults", [[429, 500, 503], ["drop", 502], ["hang", "hang"]])
def test_passing_faults_are_retried(server: EmbeddingServer, faults: list[object]) -> None:
    server.faults = faults
    assert make(server, timeout=0.3).embed(["a b"]).shape == (1, DIMENSION)
    assert server.faults == []


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        ([401], "HTTP 401"),
        ([500] * 9, "gave up after 6 tries: HTTP 500"),
        (["garbage"], "not an OpenAI"),
        (["short"], "shape"),
        (["zeros"], "an empty vector, or one of zeros"),
        (["empty"], "an empty vector, or one of zeros"),
        (["uneven"], "vectors of different lengths"),
    ],
)
def test_lasting_faults_are_errors_without_the_key(server: EmbeddingServer, faults: list[object], message: str) -> None:
    server.faults = faults
    embedder = make(server)
    with pytest.raises(EmbeddingError, match=message) as caught:
        embedder.embed(["a", "b"])
    assert KEY not in str(caught.value) + repr(embedder) + embedder.fingerprint + embedder.id


def test_a_server_that_answers_in_base64_is_understood(server: EmbeddingServer) -> None:
    plain = make(server).embed(["a b", "c"])
    server.faults = ["base64"]
    np.testing.assert_allclose(make(server).embed(["a b", "c"]), plain)


def test_long_texts_are_truncated(server: EmbeddingServer) -> None:
    make(server, max_tokens=5).embed(["one two three four five six seven eight"])
    assert len(server.texts[0].split()) <= 5
    assert server.texts[0].startswith("one two")


def test_a_second_training_run_sends_nothing(server: EmbeddingServer, tmp_path: Path, records: list[Record]) -> None:
    cache = tmp_path / "cache.sqlite"
    first = RouterEstimator(5, embedder=CachedEmbedder(make(server), cache)).fit(records)
    sent = len(server.requests)
    assert sent > 0
    again = CachedEmbedder(make(server, dimension=DIMENSION), cache)
    second = RouterEstimator(5, embedder=again).fit(records)
    assert len(server.requests) == sent
    assert (again.hits, again.misses) == (len(records), 0)
    np.testing.assert_array_equal(first.cluster_centers_, second.cluster_centers_)

    path = second.save(tmp_path / "r.zip")
    router = Router.load(path, embedder=make(server))
    assert router.route("write a poem about river 5 and love", alpha=1).model == "big"
    assert KEY.encode() not in path.read_bytes() + cache.read_bytes()
    manifest = json.dumps(router.artifact.manifest.embedder.id)
    assert manifest == '"openai:text-embedding-test"'


def _fill(url: str, path: str, number: int) -> None:
    embedder = OpenAIEmbedder("m", base_url=url, api_key=KEY)
    CachedEmbedder(embedder, path).embed([f"text {i}" for i in range(number, number + 200)])


def test_the_cache_is_safe_for_several_processes(server: EmbeddingServer, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    path = tmp_path / "shared.sqlite"
    workers = [context.Process(target=_fill, args=(server.url, str(path), 50 * i)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]
    before = len(server.requests)
    embedder = OpenAIEmbedder("m", base_url=server.url, api_key=KEY, dimension=DIMENSION)
    cached = CachedEmbedder(embedder, path)
    vectors = cached.embed([f"text {i}" for i in range(350)])
    assert len(server.requests) == before
    np.testing.assert_allclose(vectors[7], vector("text 7"))
