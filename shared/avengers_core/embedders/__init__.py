"""Text to unit vectors."""

from .base import Embedder, Vectors, embed_all
from .cache import CachedEmbedder
from .callable import CallableEmbedder
from .factory import make_embedder
from .openai import OpenAIEmbedder
from .wordllama import WordLlamaEmbedder

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
