"""Avengers for LangChain: `ChatAvengers`, a chat model that asks the best model for its cost."""

from avengers_core.ledger.budget import Budget
from avengers_core.ledger.store import Ledger

from .callbacks import AvengersCallbackHandler, get_avengers_callback
from .chat_models import ChatAvengers
from .embeddings import as_embedder
from .router import AvengersRouter

__all__ = [
    "AvengersCallbackHandler",
    "AvengersMiddleware",
    "AvengersRouter",
    "Budget",
    "ChatAvengers",
    "Ledger",
    "as_embedder",
    "get_avengers_callback",
]


def __getattr__(name: str) -> object:
    if name == "AvengersMiddleware":  # needs langchain; everything else needs only langchain-core
        from .middleware import AvengersMiddleware

        return AvengersMiddleware
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
