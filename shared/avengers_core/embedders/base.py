"""Embedders: text in, float32 vectors out. The embedded default works offline and needs no key.

An embedder is anything with the five members of `Embedder`. Its ``fingerprint`` names the exact function it computes:
an artifact is only ever used with the embedder that it was trained with, and the cache never mixes two.
"""

from __future__ import annotations

import hashlib
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
