"""LangChain `Embeddings` as the router's embedder."""

from __future__ import annotations

from avengers_core import CallableEmbedder
from langchain_core.embeddings import Embeddings

__all__ = ["as_embedder"]


def as_embedder(embeddings: Embeddings, id: str | None = None) -> CallableEmbedder:
    """An embedder for training and for routing; both must be made from the same model.

    Args:
        embeddings: Any LangChain embeddings.
        id: A name that changes when the vectors would. Default: the class and the model's name.
    """
    model = next((str(v) for v in (getattr(embeddings, n, None) for n in ("model", "model_name")) if v), "")
    name = id or f"langchain:{type(embeddings).__name__}:{model}"
    return CallableEmbedder(embeddings.embed_documents, id=name)
