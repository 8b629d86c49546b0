"""Embeddings from any OpenAI-compatible endpoint (extra ``openai``)."""

from __future__ import annotations

import base64
import os
from typing import Any

import numpy as np

from .._utils.tokens import truncate
from ..errors import EmbeddingError, MissingExtraError
from .base import Vectors, check_vectors, digest

try:
    import httpx
    import tenacity
except ImportError as error:
    raise MissingExtraError("the OpenAI-compatible embedder", "openai") from error

__all__ = ["RETRIED_STATUSES", "OpenAIEmbedder"]

#: HTTP statuses after which a request is sent again.
RETRIED_STATUSES = (408, 409, 429, 500, 502, 503, 504)


class _RetriableError(Exception):
    """A failure that may pass.

    Attributes:
        retry_after: The header that says after how many seconds to try again, or None.
    """

    def __init__(self, message: str, retry_after: str | None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class OpenAIEmbedder:
    """``POST {base_url}/embeddings`` in batches, with retries, timeouts and truncation.

    Args:
        model: The endpoint's name of the model.
        base_url: Default: the environment's EMBEDDING_BASE_URL, else ``https://api.openai.com/v1``.
        api_key: Default: the environment's EMBEDDING_API_KEY. Never shown, stored or hashed.
        dimension: Length of a vector. Default: one short text is sent at first use.
        max_tokens: The model's limit; texts are truncated to it. None: no limit.
        batch_size: Texts in a request.
        timeout: Seconds for each request.
        retries: Tries after the first, on 408, 409, 429, 5xx, timeouts and lost connections. They back off
            exponentially, or for as long as ``Retry-After`` says (at most 60 s).

    Raises:
        EmbeddingError: If there is no key.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        dimension: int | None = None,
        max_tokens: int | None = 8191,
        batch_size: int = 128,
        timeout: float = 60.0,
        retries: int = 5,
    ) -> None:
        key = api_key or os.environ.get("EMBEDDING_API_KEY")
        if not key:
            raise EmbeddingError(f"embedder 'openai:{model}': set EMBEDDING_API_KEY (any value if none is needed)")
        base = base_url or os.environ.get("EMBEDDING_BASE_URL") or "https://api.openai.com/v1"
        self.id = f"openai:{model}"
        self.max_tokens = max_tokens
        self._model, self._batch_size, self._retries = model, batch_size, retries
        self._client = httpx.Client(
            base_url=base.rstrip("/") + "/", timeout=timeout, headers={"Authorization": f"Bearer {key}"}
        )
        self._dimension = dimension
        self.fingerprint = digest("openai", model, base.rstrip("/"), str(max_tokens))

    def __repr__(self) -> str:
        return f"OpenAIEmbedder({self._model!r})"

    @property
    def dimension(self) -> int:
        """Length of a vector. If it is not known yet, one short text is sent."""
        if self._dimension is None:
            self._dimension = self.embed(["dimension"]).shape[1]
        return self._dimension

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def embed(self, texts: list[str]) -> Vectors:
        """Vectors of the texts in their order, (n, d) float32.

        Raises:
            EmbeddingError: If the endpoint refuses, keeps failing, or returns something else.
        """
        if self.max_tokens is not None:
            texts = [truncate(text, self.max_tokens) for text in texts]
        size = self._batch_size
        batches = [self._request(texts[start : start + size]) for start in range(0, len(texts), size)]
        return np.concatenate(batches) if batches else np.zeros((0, self._dimension or 0), dtype=np.float32)

    def _request(self, texts: list[str]) -> Vectors:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((_RetriableError, httpx.TransportError)),
            stop=tenacity.stop_after_attempt(self._retries + 1),
            wait=_wait,
            reraise=True,
        )
        try:
            data = retrying(self._send, texts)
        except (_RetriableError, httpx.TransportError) as error:
            detail = str(error) or type(error).__name__
            raise EmbeddingError(f"{self.id}: gave up after {self._retries + 1} tries: {detail}") from None
        vectors = check_vectors(data, len(texts), self._dimension, self.id)
        if not vectors.any(axis=1).all():
            raise EmbeddingError(f"{self.id} returned an empty vector, or one of zeros")
        return vectors

    def _send(self, texts: list[str]) -> list[Any]:
        response = self._client.post(
            "embeddings", json={"model": self._model, "input": texts, "encoding_format": "float"}
        )
        if response.status_code in RETRIED_STATUSES:
            raise _RetriableError(f"HTTP {response.status_code}", response.headers.get("retry-after"))
        if response.is_error:
            raise EmbeddingError(f"{self.id}: HTTP {response.status_code}: {response.text[:300]}")
        try:
            items = sorted(response.json()["data"], key=lambda item: item["index"])
            return [_numbers(item["embedding"]) for item in items]
        except (ValueError, KeyError, TypeError) as error:
            raise EmbeddingError(f"{self.id}: the answer is not an OpenAI embeddings response") from error


def _numbers(embedding: Any) -> Any:
    """An embedding as numbers; some servers send float32 in base64 whatever is asked for."""
    return np.frombuffer(base64.b64decode(embedding), dtype="<f4") if isinstance(embedding, str) else embedding


_backoff = tenacity.wait_random_exponential(multiplier=0.5, max=20)


def _wait(state: tenacity.RetryCallState) -> float:
    """Seconds before the next try."""
    error = state.outcome.exception() if state.outcome else None
    try:
        return min(60.0, float(getattr(error, "retry_after", None) or ""))
    except ValueError:
        return _backoff(state)
