"""Text to unit vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .base import Embedder, Vectors, embed_all
from .cache import CachedEmbedder
from .callable import CallableEmbedder
from .factory import make_embedder
from .wordllama import WordLlamaEmbedder

if TYPE_CHECKING:
    from .openai import OpenAIEmbedder

__all__ = [
    "CachedEmbedder",
    "CallableEmbedder",
    "Embedder",
    "OpenAIEmbedder",
    "Vectors",
    "WordLlamaEmbedder",
    "embed_all",
    "make_embedder",
]


def __getattr__(name: str) -> Any:
    if name == "OpenAIEmbedder":  # its extra need not be installed
        from .openai import OpenAIEmbedder

        return OpenAIEmbedder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
