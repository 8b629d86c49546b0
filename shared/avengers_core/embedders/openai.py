"""Embeddings from any OpenAI-compatible endpoint (extra ``openai``)."""

from __future__ import annotations

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

RETRIED = (408, 409, 429, 500, 502, 503, 504)


class _Retry(Exception):
    """A passing fault: worth another try."""


class OpenAIEmbedder:
    """``POST {base_url}/embeddings`` in batches, with retries, timeouts and truncation.

    Args:
        model: the endpoint's name of the model.
        base_url: default: the environment's EMBEDDING_BASE_URL, else ``https://api.openai.com/v1``.
        api_key: default: the environment's EMBEDDING_API_KEY. Never shown, stored or hashed.
        dimension: length of a vector; asked of the endpoint at first use when not given.
        max_tokens: the model's limit; texts are truncated to it.
        batch_size: texts a request.
        timeout: seconds for each request.
        retries: tries after the first, on 408, 409, 429, 5xx, timeouts and lost connections, backing off
            exponentially or for as long as ``Retry-After`` says (at most 60 s).

    Raises:
        EmbeddingError: no key, or the endpoint refused or kept failing.
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
        """Length of a vector; the first look sends one short text."""
        if self._dimension is None:
            self._dimension = self.embed(["dimension"]).shape[1]
        return self._dimension

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def embed(self, texts: list[str]) -> Vectors:
        """Vectors of the texts in their order, (n, d) float32."""
        limit = self.max_tokens
        cut = texts if limit is None else [truncate(text, limit) for text in texts]
        parts = [self._request(cut[start : start + self._batch_size]) for start in range(0, len(cut), self._batch_size)]
        return np.concatenate(parts) if parts else np.zeros((0, self._dimension or 0), dtype=np.float32)

    def _request(self, texts: list[str]) -> Vectors:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((_Retry, httpx.TransportError)),
            stop=tenacity.stop_after_attempt(self._retries + 1),
            wait=_wait,
            reraise=True,
        )
        try:
            data = retrying(self._send, texts)
        except (_Retry, httpx.TransportError) as error:
            detail = str(error) or type(error).__name__
            raise EmbeddingError(f"{self.id}: gave up after {self._retries + 1} tries: {detail}") from None
        return check_vectors(data, len(texts), self._dimension, self.id)

    def _send(self, texts: list[str]) -> list[Any]:
        response = self._client.post(
            "embeddings", json={"model": self._model, "input": texts, "encoding_format": "float"}
        )
        if response.status_code in RETRIED:
            error = _Retry(f"HTTP {response.status_code}")
            error.after = response.headers.get("retry-after")  # type: ignore[attr-defined]
            raise error
        if response.is_error:
            raise EmbeddingError(f"{self.id}: HTTP {response.status_code}: {response.text[:300]}")
        try:
            items = sorted(response.json()["data"], key=lambda item: item["index"])
            return [item["embedding"] for item in items]
        except (ValueError, KeyError, TypeError) as error:
            raise EmbeddingError(f"{self.id}: the answer is not an OpenAI embeddings response") from error


_backoff = tenacity.wait_random_exponential(multiplier=0.5, max=20)


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    try:
        return min(60.0, float(getattr(error, "after", None) or ""))
    except ValueError:
        return _backoff(state)
