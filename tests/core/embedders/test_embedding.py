from __future__ import annotations

import importlib.util
import os
import random
import re
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from avengers_core import (
    CachedEmbedder,
    CallableEmbedder,
    Embedder,
    EmbeddingError,
    WordLlamaEmbedder,
    load_records,
    make_embedder,
)
from avengers_core._utils import tokens as _tokens
from avengers_core.embedders import words
from avengers_core.embedders.base import embed_all, normalize

TEXTS = ["What is 2 + 2?", "", "def f(x):\n    return x", "ünïcödé 日本語 🎉", "word " * 2000]


@pytest.fixture(scope="module")
def wordllama() -> WordLlamaEmbedder:
    return WordLlamaEmbedder()


def test_wordllama_is_what_its_package_computes(wordllama: WordLlamaEmbedder) -> None:
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer
    from wordllama import WordLlamaInference

    root = Path(sys.modules["wordllama"].__file__ or "").parent
    theirs = WordLlamaInference(
        next(iter(load_file(root / "weights" / "l2_supercat_256.safetensors").values())),
        Tokenizer.from_file(str(root / "tokenizers" / "l2_supercat_tokenizer_config.json")),
    )
    np.testing.assert_allclose(wordllama.embed(TEXTS), theirs.embed(TEXTS), atol=1e-5)


#: Of these, texts are made whose words may be taken apart wrongly.
PIECES = (
    *(
        " ",
        "  ",
        "\n",
        "\t",
        "\r\n",
        "\u2581",
        " <s>",
        "</s> ",
        "<unk>",
        "a",
        "B",
        "the",
        "1",
        ".",
        "  x",
        " . ",
        "def f():\n    ",
    ),
    *("é", "漢字", "🎉", "\u200b", "\x00", "\ufb01", "\u3000", "\xa0", "long" * 5000),
)


def test_a_text_is_tokenized_word_by_word_as_it_would_be_in_one_piece(
    wordllama: WordLlamaEmbedder, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert wordllama._token_ids != wordllama._whole_texts, "wordllama's files have changed: see _WORD_BY_WORD"
    monkeypatch.setattr(words, "_CACHE_BYTES", 3000)  # words are forgotten again and again
    rng = random.Random(0)
    made = ["".join(rng.choices(PIECES[:-1], k=rng.randrange(14))) for _ in range(5000)]
    texts_of_all_kinds = [*TEXTS, PIECES[-1], "", *made, *load_records(data_folder / "mmlupro.train.jsonl.gz").queries]
    for start in range(0, 6000, 100):
        texts = texts_of_all_kinds[start : start + 100]
        found = wordllama._token_ids(texts)
        assert [ids.tolist() for ids in found] == [ids.tolist() for ids in wordllama._whole_texts(texts)]


def test_threads_may_share_an_embedder_whose_words_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "_CACHE_BYTES", 1000)
    embedder = WordLlamaEmbedder()
    texts = [f"what is {n} plus {n + 1}?" for n in range(40)]
    expected = WordLlamaEmbedder().embed(texts)
    with ThreadPoolExecutor(8) as threads:
        for vectors in threads.map(embedder.embed, [texts] * 200):
            np.testing.assert_array_equal(vectors, expected)


def test_no_token_of_the_vocabulary_goes_beyond_a_word(wordllama: WordLlamaEmbedder) -> None:
    vocabulary = wordllama._tokenizer.get_vocab()
    assert not [token for token in vocabulary if re.search("[^\u2581]\u2581", token) or "\n" in token], "see words.py"


def test_wordllama_does_not_touch_logging_or_import_its_package() -> None:
    code = (
        "import logging, sys; from avengers_core import WordLlamaEmbedder; WordLlamaEmbedder().embed(['hi']); "
        "print(logging.getLogger().handlers, 'wordllama' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] False"


def test_embedders_meet_the_protocol(wordllama: WordLlamaEmbedder, tmp_path: Path) -> None:
    ones = CallableEmbedder(lambda texts: np.ones((len(texts), 3)), id="ones")
    for embedder in (wordllama, ones, CachedEmbedder(ones, tmp_path / "c.sqlite")):
        assert isinstance(embedder, Embedder)
        vectors = embedder.embed(["a", "b"])
        assert vectors.dtype == np.float32
        assert vectors.shape == (2, embedder.dimension)
        assert embedder.embed([]).shape == (0, embedder.dimension)
    assert make_embedder(ones) is ones
    assert make_embedder().id == wordllama.id
    with pytest.raises(EmbeddingError, match="unknown embedder 'bert'"):
        make_embedder("bert")


def test_fingerprints_differ_and_repeat(wordllama: WordLlamaEmbedder) -> None:
    def function(texts: list[str]) -> np.ndarray:
        return np.ones((len(texts), 3))

    prints = {CallableEmbedder(function, id=name, max_tokens=limit).fingerprint for name in "ab" for limit in (None, 9)}
    assert len(prints | {wordllama.fingerprint}) == 5
    assert WordLlamaEmbedder().fingerprint == wordllama.fingerprint


@pytest.mark.parametrize(
    "bad", [lambda t: [[1.0, 2.0]] * (len(t) + 1), lambda t: [[np.nan] * 2] * len(t), lambda t: [[1.0] * 3] * len(t)]
)
def test_a_bad_function_is_an_error(bad: object) -> None:
    with pytest.raises(EmbeddingError):
        CallableEmbedder(bad, id="bad", dimension=2).embed(["x", "y"])  # type: ignore[arg-type]


def test_normalize_keeps_zero_rows() -> None:
    np.testing.assert_allclose(normalize(np.array([[3, 4], [0, 0]], np.float32)), [[0.6, 0.8], [0, 0]])


def test_batches_are_the_whole(wordllama: WordLlamaEmbedder) -> None:
    counts: list[int] = []
    parts = embed_all(wordllama, TEXTS, batch_size=2, progress=counts.append)
    np.testing.assert_allclose(parts, normalize(wordllama.embed(TEXTS)), atol=1e-6)
    assert counts == [2, 2, 1]


def test_cache_embeds_each_text_once(tmp_path: Path) -> None:
    asked: list[str] = []

    def function(texts: list[str]) -> np.ndarray:
        asked.extend(texts)
        return np.array([[len(text), 1.0] for text in texts])

    path = tmp_path / "sub" / "c.sqlite"
    cached = CachedEmbedder(CallableEmbedder(function, id="f", dimension=2), path)
    np.testing.assert_array_equal(cached.embed(["aa", "b", "aa"])[:, 0], [2, 1, 2])
    assert asked == ["aa", "b"]
    other = CachedEmbedder(CallableEmbedder(function, id="g", dimension=2), path)
    other.embed(["aa"])
    assert asked == ["aa", "b", "aa"]
    assert b"aa" not in path.read_bytes()[100:].replace(b"aaa", b"")


def test_a_cache_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    embedder = CallableEmbedder(lambda texts: np.ones((len(texts), 2)), id="f", dimension=2)
    damaged = tmp_path / "damaged.sqlite"
    damaged.write_bytes(b"no database, but long enough to be read as one " * 100)
    for path in (damaged, tmp_path, Path("/proc/none/c.sqlite")):
        with pytest.raises(EmbeddingError, match=rf"{path}: the cache of embeddings cannot be used .*--cache"):
            CachedEmbedder(embedder, path)


def test_a_vector_of_another_length_in_a_cache_is_embedded_again(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    embedder = CallableEmbedder(lambda texts: np.ones((len(texts), 2)), id="f", dimension=2)
    CachedEmbedder(embedder, path).embed(["a", "b"])
    with sqlite3.connect(path) as db:
        db.execute("UPDATE embeddings SET vector = x'00000000'")
    for _ in range(2):
        np.testing.assert_array_equal(CachedEmbedder(embedder, path).embed(["a", "b"]), np.ones((2, 2)))
    cached = CachedEmbedder(embedder, path)
    cached.embed(["a", "b"])
    assert (cached.hits, cached.misses) == (2, 0)


def test_truncation_counts_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "strawberry " * 50
    short = _tokens.truncate(text, 20)
    assert text.startswith(short)
    codec = _tokens.encoding()
    assert codec is not None
    assert len(codec.encode(short)) == 20
    assert _tokens.truncate("short", 20) == "short"
    monkeypatch.setattr(_tokens, "encoding", lambda: None)
    assert len(_tokens.truncate(text, 20)) == 80


def test_the_packaged_encoding_is_tiktokens_own(monkeypatch: pytest.MonkeyPatch) -> None:
    import llama_index.core
    import tiktoken

    ours = _tokens.encoding()
    assert isinstance(ours, tiktoken.Encoding)
    assert _tokens._packaged_ranks() is not None, "llama-index-core has the file here"
    cache = Path(llama_index.core.__file__).parent / "_static" / "tiktoken_cache"
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(cache))
    theirs = tiktoken.get_encoding("cl100k_base")
    for text in (*TEXTS, "a  b\n\n\tc 12345 I'll O'Neill's <|endoftext|>", "\ud83d lone"):
        assert ours.encode(text, disallowed_special=()) == theirs.encode(text, disallowed_special=())
    assert (ours.n_vocab, ours.special_tokens_set) == (theirs.n_vocab, theirs.special_tokens_set)


def test_loading_the_encoding_leaves_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other threads read it at the same time."""
    before = dict(os.environ)
    changes: list[str] = []
    monkeypatch.setattr(os, "putenv", lambda name, value: changes.append(name))
    _tokens.encoding.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        counts = set(pool.map(lambda _: _tokens.count_tokens("strawberry fields", "forever"), range(8)))
    assert len(counts) == 1
    assert (dict(os.environ), changes) == (before, [])


def test_a_damaged_packaged_file_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "core" / "_static" / "tiktoken_cache"
    folder.mkdir(parents=True)
    (folder / _tokens._CACHED_RANKS).write_bytes(b"IQ== 0\n")
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    assert _tokens._packaged_ranks() is None


def test_missing_encoding_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import tiktoken

    def offline(name: str) -> None:
        raise ConnectionError

    _tokens.encoding.cache_clear()
    monkeypatch.setattr(_tokens, "_packaged_ranks", lambda: None)
    monkeypatch.setattr(tiktoken, "get_encoding", offline)
    with pytest.warns(UserWarning, match="estimated") as caught:
        found = [_tokens.encoding() for _ in range(2)]
    assert found == [None, None]
    assert len(caught) == 1
    _tokens.encoding.cache_clear()
