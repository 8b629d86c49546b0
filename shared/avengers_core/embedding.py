"""The old place of what is in `avengers_core.embedders` now; it goes with version 0.2."""

import warnings

from .embedders import CallableEmbedder, Embedder, WordLlamaEmbedder, make_embedder

__all__ = ["CallableEmbedder", "Embedder", "WordLlamaEmbedder", "make_embedder"]

warnings.warn("avengers_core.embedding has moved to avengers_core.embedders", DeprecationWarning, stacklevel=2)
