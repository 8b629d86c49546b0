"""Embedders: text in, float32 vectors out. The default works offline and needs no key.

An embedder is any object with the five members of `Embedder`. Its ``fingerprint`` identifies the exact function that it
computes: an artifact can only be used with the embedder that it was trained with, and the cache never mixes two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..errors import EmbeddingError

__all__ = ["Embedder", "Vectors", "check_vectors", "digest", "embed_all", "normalize"]

Vectors = NDArray[np.float32]

#: In place of 0: what a row without any other value is divided by.
_LEAST_NORM = np.finfo(np.float32).tiny


@runtime_checkable
class Embedder(Protocol):
    """What the core needs of an embedder.

    Attributes:
        id: Name from which it can be made again, such as ``wordllama:l2_supercat_256``; see `make_embedder`.
        dimension: Length d of a vector.
        fingerprint: Hex digest that changes whenever the vector of a text would.
        max_tokens: Texts are truncated to this many tokens. None: there is no limit.
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
        """Vectors of ``n`` texts, (n, d) float32; rows need not have unit length."""
        ...


def normalize(vectors: Vectors) -> Vectors:
    """(n, d) rows scaled to unit length; a zero row stays zero."""
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    return np.asarray(vectors / np.maximum(norms, _LEAST_NORM)[:, None])


def check_vectors(vectors: Any, n: int, dimension: int | None, name: str) -> Vectors:
    """Vectors as a float32 array, if they have the right shape and values.

    Args:
        vectors: What an embedder returned.
        n: Number of texts.
        dimension: Length of a vector, or None: any.
        name: Name of the embedder, for the error.

    Raises:
        EmbeddingError: If the shape is not (n, dimension), or a value is not finite.
    """
    try:
        matrix = np.asarray(vectors, dtype=np.float32)
    except (ValueError, TypeError):
        raise EmbeddingError(f"{name} returned vectors of different lengths, or something else than numbers") from None
    if matrix.ndim != 2 or matrix.shape[0] != n or (dimension and matrix.shape[1] != dimension):
        raise EmbeddingError(f"{name} returned shape {matrix.shape} for {n} texts; expected ({n}, {dimension or 'd'})")
    if not np.isfinite(matrix).all():
        raise EmbeddingError(f"{name} returned a value that is not finite")
    return matrix


def digest(*parts: str | bytes | Path) -> str:
    """SHA-256 over strings, bytes and files, each preceded by its length."""
    sha = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else part.encode() if isinstance(part, str) else part
        sha.update(len(data).to_bytes(8, "little"))
        sha.update(data)
    return sha.hexdigest()


def embed_all(
    embedder: Embedder,
    texts: list[str],
    *,
    batch_size: int = 1024,
    progress: Callable[[int], None] | None = None,
) -> Vectors:
    """Unit vectors of many texts, embedded in batches.

    Args:
        embedder: The embedder.
        texts: The ``n`` texts.
        batch_size: Texts in a batch.
        progress: Called after each batch with its number of texts.

    Returns:
        (n, d) float32.

    Raises:
        EmbeddingError: If the embedder fails, or returns another shape or a value that is not finite.
    """
    batches = []
    for start in range(0, len(texts), batch_size):
        batch = texts[start : start + batch_size]
        batches.append(normalize(check_vectors(embedder.embed(batch), len(batch), embedder.dimension, embedder.id)))
        if progress:
            progress(len(batch))
    if len(batches) == 1:
        return batches[0]
    return np.concatenate(batches) if batches else np.zeros((0, embedder.dimension), dtype=np.float32)
