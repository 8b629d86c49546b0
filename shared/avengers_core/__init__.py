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
    from .embedders.base import Embedder
    from .embedders.cache import CachedEmbedder
    from .embedders.callable import CallableEmbedder
    from .embedders.factory import make_embedder
    from .embedders.openai import OpenAIEmbedder
    from .embedders.wordllama import WordLlamaEmbedder
    from .errors import (
        ArtifactError,
        AvengersError,
        BudgetError,
        EmbeddingError,
        LedgerError,
        MissingExtraError,
        NoCandidateError,
        NotFittedError,
        RecordError,
        UnavailableError,
    )
    from .ledger.budget import Budget
    from .ledger.store import Ledger
    from .pricing.types import Price
    from .records.io import read_records
    from .records.loading import load_records
    from .records.schema import Record, Usage
    from .records.table import RecordTable
    from .routing.artifact import load_artifact, save_artifact
    from .routing.decision import Decision
    from .routing.manifest import Artifact
    from .routing.options import RouteOptions, RouteOverrides
    from .routing.pretrained import pretrained_names
    from .routing.router import Router
    from .training.estimator import RouterEstimator

_HOME = {
    "embedders.base": ("Embedder",),
    "embedders.cache": ("CachedEmbedder",),
    "embedders.callable": ("CallableEmbedder",),
    "embedders.factory": ("make_embedder",),
    "embedders.openai": ("OpenAIEmbedder",),
    "embedders.wordllama": ("WordLlamaEmbedder",),
    "errors": (
        "ArtifactError",
        "AvengersError",
        "BudgetError",
        "EmbeddingError",
        "LedgerError",
        "MissingExtraError",
        "NoCandidateError",
        "NotFittedError",
        "RecordError",
        "UnavailableError",
    ),
    "ledger.budget": ("Budget",),
    "ledger.store": ("Ledger",),
    "pricing.types": ("Price",),
    "records.io": ("read_records",),
    "records.loading": ("load_records",),
    "records.schema": (
        "Record",
        "Usage",
    ),
    "records.table": ("RecordTable",),
    "routing.artifact": (
        "load_artifact",
        "save_artifact",
    ),
    "routing.decision": ("Decision",),
    "routing.manifest": ("Artifact",),
    "routing.options": (
        "RouteOptions",
        "RouteOverrides",
    ),
    "routing.pretrained": ("pretrained_names",),
    "routing.router": ("Router",),
    "training.estimator": ("RouterEstimator",),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [  # noqa: RUF022
    "__version__",
    "Artifact", "ArtifactError", "AvengersError", "Budget", "BudgetError", "CachedEmbedder", "CallableEmbedder",
    "Decision", "Embedder", "EmbeddingError", "Ledger", "LedgerError", "MissingExtraError", "NoCandidateError",
    "NotFittedError", "OpenAIEmbedder", "Price", "Record", "RecordError", "RecordTable", "RouteOptions",
    "RouteOverrides", "Router", "RouterEstimator",
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
