"""What an artifact is: its manifest and its arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..pricing.types import Price
from .statistics import ClusterStatistics

__all__ = [
    "FORMAT",
    "MANIFEST",
    "MAX_ARRAY_BYTES",
    "MAX_HEADER_BYTES",
    "MAX_MANIFEST_BYTES",
    "MIN_RECORDS",
    "SCHEMA_VERSION",
    "STATISTICS",
    "Artifact",
    "EmbedderInfo",
    "Manifest",
    "ModelInfo",
    "Part",
    "Settings",
]

#: Marks a manifest as that of an artifact.
FORMAT = "avengers-router"

#: Version of the layout that this library reads and writes.
SCHEMA_VERSION = 1

#: Name of the manifest's file.
MANIFEST = "manifest.json"

#: Limits of what is read, in bytes: the manifest, all arrays together, the header of one array.
MAX_MANIFEST_BYTES = 8 << 20
MAX_ARRAY_BYTES = 1 << 31
MAX_HEADER_BYTES = 16_384

#: Answers that a model needs to be a candidate, unless the training was given another number.
MIN_RECORDS = 20


class EmbedderInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The embedder that an artifact was trained with.

    Attributes:
        id: Name from which `avengers_core.make_embedder` makes it again.
        dimension: Length of a vector, d.
        fingerprint: Hex digest that changes whenever the vectors of a text would.
    """

    id: str
    dimension: int
    fingerprint: str


class ModelInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model that can be chosen.

    Attributes:
        id: Its name in the records.
        price_id: Its name in genai-prices, or empty if that is ``id``.
        price: US dollars per million tokens, None if unknown.
        capabilities: What it can do, such as ``{"tools": True, "max_input_tokens": 128000}``; what is missing is
            unknown.
    """

    id: str
    price_id: str = ""
    price: Price | None = None
    capabilities: dict[str, bool | int] = {}


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How an artifact was trained, and what a router does unless a call says otherwise.

    Attributes:
        n_clusters: Number of clusters, k.
        top_k: Number of nearest clusters that count for a query; None: the scoring's default.
        beta: Sharpness of the softmax that weighs them; None: the scoring's default.
        train_ratio: Share of the records that were trained on.
        random_state: Seed of the split and of the clustering.
        min_accuracy_threshold: For ``reference``: mean score below which a model scores 0 in a cluster.
        min_records: Answers that a model needs to be a candidate.
        scoring: ``utility``, ``reference`` or ``simple``.
        alpha: From 0 (cost only) to 1 (quality only).
        performance_weight: For ``reference``, in place of alpha.
        cost_sensitivity: For ``reference``, in place of 1 - alpha.
        exclude_models: Models whose records were left out of the training.
        exclude_datasets: Datasets whose records were left out of the training.
    """

    n_clusters: int
    top_k: int | None = None
    beta: float | None = None
    train_ratio: float = 1.0
    random_state: int = 42
    min_accuracy_threshold: float = 0.0
    min_records: int = MIN_RECORDS
    scoring: str = "utility"
    alpha: float = 0.5
    performance_weight: float | None = None
    cost_sensitivity: float | None = None
    exclude_models: list[str] = []
    exclude_datasets: list[str] = []


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the manifest says of one array.

    Attributes:
        sha256: Hex digest of its file.
        shape: Its shape.
        dtype: Its NumPy type, such as ``<f8``.
    """

    sha256: str
    shape: list[int]
    dtype: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything in an artifact except its arrays.

    Attributes:
        format: `FORMAT`.
        schema_version: `SCHEMA_VERSION`.
        library_version: Version of avengers-router that wrote it.
        created: Date and time of the training, ISO 8601.
        settings: How it was trained.
        embedder: The embedder it was trained with.
        models: The models, in the order of the arrays' columns.
        datasets: Names of the datasets, in the order of the columns of ``dataset_n``.
        token_kinds: Kinds of tokens, in the order of the last axis of ``tokens``.
        n_records: Number of training queries.
        characters_per_token: Mean length of a token in the training queries.
        typical_cost: US dollars of the pool's typical answer, which give alpha its meaning. ``cost_scale`` in the file.
        ood_threshold: Cosine similarity to the nearest centre below which a query is out of distribution: 1% of the
            training queries are. ``familiar_similarity`` in the file.
        figures: Results of an evaluation, if there was one.
        parts: Checksums of the arrays, by name.
        checksum: SHA-256 of the rest of the manifest.
    """

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
        manifest: Everything except the arrays.
        centers: (k, d) float32 cluster centres, not re-normalised.
        statistics: Raw sums per cluster and model.
        arrays: ``length_weights`` and ``length_range``, from which `avengers_core.routing.costs` predicts output
            tokens.
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
