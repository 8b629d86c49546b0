"""Embedders: text in, float32 vectors out. The embedded default works offline and needs no key.

An embedder is anything with the five members of `Embedder`. Its ``fingerprint`` names the exact function it computes:
an artifact is only ever used with the embedder that it was trained with, and the cache never mixes two.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..errors import EmbeddingError

Vectors = NDArray[np.float32]


@runtime_checkable
class Embedder(Protocol):
    """What the core needs of an embedder.

    Attributes:
        id: name with what it takes to make it again, such as ``wordllama:l2_supercat_256``.
        dimension: d, the length of a vector.
        fingerprint: hex digest that changes whenever the vectors of a text would.
        max_tokens: texts are truncated to this many tokens, or None where there is no limit.
    """

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def dimension(self) -> int: ...  # noqa: D102
    @property
    def fingerprint(self) -> str: ...  # noqa: D102
    @property
    def max_tokens(self) -> int | None: ...  # noqa: D102

    def embed(self, texts: list[str]) -> Vectors:
        """Embed ``n`` texts as an (n, d) float32 matrix; rows need not be normalised."""
        ...


def normalize(vectors: Vectors) -> Vectors:
    """Rows scaled to unit length; a zero row stays zero."""
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
    out = np.zeros_like(vectors)
    np.divide(vectors, norms, out=out, where=norms > 0)
    return out


def check_vectors(vectors: Any, n: int, dimension: int | None, name: str) -> Vectors:
    """``vectors`` as float32 of shape (n, dimension).

    Raises:
        EmbeddingError: another shape, or a value that is not finite.
    """
    matrix = np.asarray(vectors, dtype=np.float32)
    if matrix.ndim != 2 or matrix.shape[0] != n or (dimension and matrix.shape[1] != dimension):
        raise EmbeddingError(f"{name} returned shape {matrix.shape} for {n} texts; expected ({n}, {dimension or 'd'})")
    if not np.isfinite(matrix).all():
        raise EmbeddingError(f"{name} returned a value that is not finite")
    return matrix


def digest(*parts: str | bytes | Path) -> str:
    """SHA-256 over strings, bytes and files, each preceded by its length."""
    total = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "little"))
        total.update(data)
    return total.hexdigest()


class WordLlamaEmbedder:
    """The default: wordllama's static token vectors (256 dimensions), averaged. Microseconds a query, no network.

    The weights and the tokenizer are read from the installed ``wordllama`` package without importing it: its own
    loader looks for the tokenizer where the wheel does not have it, and its import reconfigures logging.

    Raises:
        EmbeddingError: the package's files are not there.
    """

    id = "wordllama:l2_supercat_256"
    max_tokens: int | None = None

    def __init__(self) -> None:
        from safetensors.numpy import load
        from tokenizers import Tokenizer

        spec = importlib.util.find_spec("wordllama")
        root = Path(next(iter(spec.submodule_search_locations or []))) if spec else Path("wordllama")
        weights = root / "weights" / "l2_supercat_256.safetensors"
        tokenizer = root / "tokenizers" / "l2_supercat_tokenizer_config.json"
        for path in (weights, tokenizer):
            if not path.is_file():
                raise EmbeddingError(f"{path} is missing: reinstall wordllama 0.4 or later")
        data, config = weights.read_bytes(), tokenizer.read_bytes()
        self._table: NDArray[Any] = next(iter(load(data).values()))
        self._tokenizer = Tokenizer.from_str(config.decode())
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.dimension: int = self._table.shape[1]
        self.fingerprint: str = digest(self.id, data, config)

    def embed(self, texts: list[str]) -> Vectors:
        """Mean token vector of each text, (n, 256); a text without tokens is a zero row."""
        encode = self._tokenizer.encode_batch_fast
        out = np.zeros((len(texts), self.dimension), dtype=np.float32)
        last = len(self._table) - 1
        for start in range(0, len(texts), 256):
            for row, encoding in enumerate(encode(texts[start : start + 256], add_special_tokens=False), start):
                ids = encoding.ids
                if ids:
                    rows = np.minimum(ids, last)
                    out[row] = self._table[rows].mean(axis=0, dtype=np.float32)
        return out


class CallableEmbedder:
    """Any function from a list of texts to vectors, such as ``OpenAIEmbeddings().embed_documents``.

    Args:
        function: called with a list of ``n`` texts, returns ``n`` vectors of one length.
        id: a name that changes when the function does: it becomes the fingerprint.
        dimension: length of a vector; asked of the function with one short text when not given.
        max_tokens: truncate texts to this many tokens first.
    """

    def __init__(
        self,
        function: Callable[[list[str]], Any],
        *,
        id: str,
        dimension: int | None = None,
        max_tokens: int | None = None,
    ) -> None:
        self._function = function
        self.id = id
        self.max_tokens = max_tokens
        self.dimension: int = dimension or check_vectors(function(["dimension"]), 1, None, id).shape[1]
        self.fingerprint = digest("callable", id, str(self.dimension), str(max_tokens))

    def embed(self, texts: list[str]) -> Vectors:
        """Vectors of the texts, (n, d) float32.

        Raises:
            EmbeddingError: the function returned another shape or a value that is not finite.
        """
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        if self.max_tokens is not None:
            from .._utils.tokens import truncate

            texts = [truncate(text, self.max_tokens) for text in texts]
        return check_vectors(self._function(texts), len(texts), self.dimension, self.id)


def make_embedder(name: str | Embedder | None = None) -> Embedder:
    """The embedder of a name: ``wordllama`` (default) or ``openai:<model>``; an embedder is returned as it is.

    Raises:
        EmbeddingError: the name is unknown, or the endpoint's settings are missing.
        MissingExtraError: ``openai:`` without the extra ``openai``.
    """
    if name is not None and not isinstance(name, str):
        return name
    kind, _, model = (name or "wordllama").partition(":")
    if kind == "wordllama" and model in ("", WordLlamaEmbedder.id.partition(":")[2]):
        return WordLlamaEmbedder()
    if kind == "openai" and model:
        from .openai import OpenAIEmbedder

        return OpenAIEmbedder(model)
    raise EmbeddingError(f"unknown embedder {name!r}: give 'wordllama', 'openai:<model>' or an object with embed()")


def embed_all(
    embedder: Embedder,
    texts: list[str],
    *,
    batch_size: int = 1024,
    progress: Callable[[int], None] | None = None,
) -> Vectors:
    """Unit vectors of many texts, (n, d), in batches; ``progress`` is called with the texts done in each."""
    parts = []
    for batch in _batches(texts, batch_size):
        parts.append(normalize(check_vectors(embedder.embed(batch), len(batch), embedder.dimension, embedder.id)))
        if progress:
            progress(len(batch))
    return np.concatenate(parts) if parts else np.zeros((0, embedder.dimension), dtype=np.float32)


def _batches(texts: list[str], size: int) -> Iterable[list[str]]:
    return (texts[start : start + size] for start in range(0, len(texts), size))
