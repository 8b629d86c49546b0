"""What an artifact is: its manifest and its arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..pricing.types import Price
from .statistics import ClusterStatistics

FORMAT = "avengers-router"


SCHEMA_VERSION = 1


MANIFEST = "manifest.json"


MAX_MANIFEST_BYTES = 8 << 20


MAX_ARRAY_BYTES = 1 << 31


MAX_HEADER_BYTES = 16_384


class EmbedderInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which embedder the artifact was trained with."""

    id: str
    dimension: int
    fingerprint: str


class ModelInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model: id, price (None: unknown) and what it can do, as ``{"tools": True, "max_input_tokens": 128000}``."""

    id: str
    price_id: str = ""
    price: Price | None = None
    capabilities: dict[str, bool | int] = {}


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the router was trained and what it takes where a call does not say."""

    n_clusters: int
    top_k: int | None = None
    beta: float | None = None
    train_ratio: float = 1.0
    random_state: int = 42
    min_accuracy_threshold: float = 0.0
    min_records: int = 20
    scoring: str = "utility"
    alpha: float = 0.5
    performance_weight: float | None = None
    cost_sensitivity: float | None = None
    exclude_models: list[str] = []
    exclude_datasets: list[str] = []


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Checksum and shape of one array."""

    sha256: str
    shape: list[int]
    dtype: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything of an artifact but its arrays. ``checksum`` is the SHA-256 of the rest of the manifest."""

    format: str
    schema_version: int
    library_version: str
    created: str
    settings: Settings
    embedder: EmbedderInfo
    models: list[ModelInfo]
    datasets: list[str]
    token_kinds: list[str]
    n_records: int
    characters_per_token: float
    typical_cost: float = msgspec.field(name="cost_scale")
    ood_threshold: float = msgspec.field(name="familiar_similarity")
    figures: dict[str, Any] = {}
    parts: dict[str, Part] = {}
    checksum: str = ""


@dataclass(frozen=True)
class Artifact:
    """A trained router's arrays with their manifest.

    Attributes:
        manifest: see `Manifest`.
        centers: (k, d) float32 cluster centres, not re-normalised.
        statistics: raw sums per cluster and model.
        arrays: the fitted expectations by name, see `avengers_core.routing.expectations`.
    """

    manifest: Manifest
    centers: NDArray[np.float32]
    statistics: ClusterStatistics
    arrays: dict[str, NDArray[Any]]

    @property
    def models(self) -> list[str]:
        """Ids of the models, in the order of the arrays' columns."""
        return [model.id for model in self.manifest.models]


#: The fields of `ClusterStatistics`, each with the name of its array in an artifact of schema version 1.
STATISTICS = {f.name: f.name for f in fields(ClusterStatistics)} | {
    "n_answers": "n",
    "n_with_cost": "cost_n",
    "n_with_usage": "usage_n",
}
