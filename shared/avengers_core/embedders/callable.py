"""Any function from texts to vectors as an embedder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .base import Vectors, check_vectors, digest


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
