"""Any function from texts to vectors as an embedder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .base import Vectors, check_vectors, digest

__all__ = ["CallableEmbedder"]


class CallableEmbedder:
    """Any function from a list of texts to vectors, such as ``OpenAIEmbeddings().embed_documents``.

    Args:
        function: Called with a list of ``n`` texts; returns ``n`` vectors of the same length.
        id: A name that changes whenever the function does; it becomes the fingerprint.
        dimension: Length of a vector. Default: the function is called with one short text.
        max_tokens: Texts are truncated to this many tokens first. Default: no limit.

    Raises:
        EmbeddingError: If ``dimension`` is not given and the function returns no vector of finite values.
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
            EmbeddingError: If the function returns another shape or a value that is not finite.
        """
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        if self.max_tokens is not None:
            from .._utils.tokens import truncate

            texts = [truncate(text, self.max_tokens) for text in texts]
        return check_vectors(self._function(texts), len(texts), self.dimension, self.id)
