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
    from .embedders.base import CallableEmbedder, Embedder, WordLlamaEmbedder, make_embedder
    from .embedders.cache import CachedEmbedder
    from .embedders.openai import OpenAIEmbedder
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
    from .ledger.budget import Budget
    from .ledger.store import Ledger
    from .pricing.tariff import Price
    from .records.table import Record, RecordTable, Usage, load_records, read_records
    from .routing.artifact import Artifact, load_artifact, save_artifact
    from .routing.decision import Decision
    from .routing.router import Router, pretrained_names
    from .training.estimator import RouterEstimator

_HOME = {
    "routing.artifact": ("Artifact", "load_artifact", "save_artifact"),
    "ledger.budget": ("Budget",),
    "embedders.cache": ("CachedEmbedder",),
    "embedders.base": ("CallableEmbedder", "Embedder", "WordLlamaEmbedder", "make_embedder"),
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
    "ledger.store": ("Ledger",),
    "embedders.openai": ("OpenAIEmbedder",),
    "pricing.tariff": ("Price",),
    "records.table": ("Record", "RecordTable", "Usage", "load_records", "read_records"),
    "routing.decision": ("Decision",),
    "routing.router": ("Router", "pretrained_names"),
    "training.estimator": ("RouterEstimator",),
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
