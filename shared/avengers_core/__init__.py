"""Avengers: a trained LLM router. Each query goes to the model with the best expected score for its expected cost.

>>> from avengers_core import Router
>>> router = Router.load()
>>> router.route("What is 17 * 23?", alpha=0.4).model  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .artifact import Artifact, load_artifact, save_artifact
    from .budget import Budget
    from .cache import CachedEmbedder
    from .decision import Decision
    from .embedding import CallableEmbedder, Embedder, WordLlamaEmbedder, make_embedder
    from .errors import (
        ArtifactError,
        AvengersError,
        BudgetError,
        EmbeddingError,
        LedgerError,
        MissingExtraError,
        NoCandidateError,
        RecordError,
        UnavailableError,
    )
    from .ledger import Ledger
    from .openai_embedder import OpenAIEmbedder
    from .pricing import Price
    from .records import Record, RecordTable, Usage, load_records, read_records
    from .router import Router, pretrained_names
    from .training import RouterEstimator

_HOME = {
    "artifact": ("Artifact", "load_artifact", "save_artifact"),
    "budget": ("Budget",),
    "cache": ("CachedEmbedder",),
    "embedding": ("CallableEmbedder", "Embedder", "WordLlamaEmbedder", "make_embedder"),
    "errors": (
        "ArtifactError",
        "AvengersError",
        "BudgetError",
        "EmbeddingError",
        "LedgerError",
        "MissingExtraError",
        "NoCandidateError",
        "RecordError",
        "UnavailableError",
    ),
    "ledger": ("Ledger",),
    "openai_embedder": ("OpenAIEmbedder",),
    "pricing": ("Price",),
    "records": ("Record", "RecordTable", "Usage", "load_records", "read_records"),
    "decision": ("Decision",),
    "router": ("Router", "pretrained_names"),
    "training": ("RouterEstimator",),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [  # noqa: RUF022
    "__version__",
    "Artifact", "ArtifactError", "AvengersError", "Budget", "BudgetError", "CachedEmbedder", "CallableEmbedder",
    "Decision", "Embedder", "EmbeddingError", "Ledger", "LedgerError", "MissingExtraError", "NoCandidateError",
    "OpenAIEmbedder", "Price", "Record", "RecordError", "RecordTable", "Router", "RouterEstimator",
    "UnavailableError", "Usage", "WordLlamaEmbedder", "load_artifact", "load_records", "make_embedder",
    "pretrained_names", "read_records", "save_artifact",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{module}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
