"""LlamaIndex embeddings as the router's embedder."""

from __future__ import annotations

from avengers_core import CallableEmbedder
from llama_index.core.base.embeddings.base import BaseEmbedding

__all__ = ["as_embedder"]


def as_embedder(embed_model: BaseEmbedding, id: str | None = None) -> CallableEmbedder:
    """An embedder for training and for routing; both must be made from the same model.

    Args:
        embed_model: Any LlamaIndex embeddings.
        id: A name that changes when the vectors would. Default: the class and the model's name.
    """
    name = id or f"llamaindex:{embed_model.class_name()}:{embed_model.model_name}"
    return CallableEmbedder(embed_model.get_text_embedding_batch, id=name)
