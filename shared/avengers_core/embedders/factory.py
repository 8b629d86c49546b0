"""An embedder from its id."""

from __future__ import annotations

from ..errors import EmbeddingError
from .base import Embedder
from .wordllama import WordLlamaEmbedder

__all__ = ["make_embedder"]


def make_embedder(name: str | Embedder | None = None) -> Embedder:
    """An embedder by name.

    Args:
        name: ``wordllama`` (default) or ``openai:<model>``. An embedder is returned as it is.

    Raises:
        EmbeddingError: If the name is unknown, or the endpoint's settings are missing.
        MissingExtraError: If an ``openai:`` embedder is needed and the extra ``openai`` is not installed.
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
