"""Avengers for LlamaIndex: `AvengersLLM`, an LLM that asks the best model for its cost."""

from avengers_core.ledger.budget import Budget
from avengers_core.ledger.store import Ledger

from .callbacks import AvengersCallbackHandler, AvengersEventHandler, get_avengers_callback
from .embeddings import as_embedder
from .llms import AvengersLLM
from .query_context import routing
from .selectors import AvengersSelector

__all__ = [
    "AvengersCallbackHandler",
    "AvengersEventHandler",
    "AvengersLLM",
    "AvengersSelector",
    "Budget",
    "Ledger",
    "as_embedder",
    "get_avengers_callback",
    "routing",
]
