"""What an artifact is: its manifest and its arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..pricing.types import Price
from .evidence import EvidenceModel, Prior
from .statistics import Array, ClusterStatistics

__all__ = [
    "FORMAT",
    "MANIFEST",
    "MAX_ARRAY_BYTES",
    "MAX_HEADER_BYTES",
    "MAX_MANIFEST_BYTES",
    "MAX_PROBES",
    "MIN_RECORDS",
    "READABLE_VERSIONS",
    "SCHEMA_VERSION",
    "STATISTICS",
    "TIMING_PART",
    "Artifact",
    "BenchmarkInfo",
    "EmbedderInfo",
    "Manifest",
    "ModelInfo",
    "Part",
    "PublishedSums",
    "Settings",
    "SourceInfo",
]

#: Marks a manifest as that of an artifact.
FORMAT = "avengers-router"

#: Version of the layout that this library writes, and those that it reads. Artifacts of version 1 have no evidence
#: model: it is fitted when they are loaded. Those of versions 1 and 2 have no probes: alpha is even over the clusters.
SCHEMA_VERSION = 3
READABLE_VERSIONS = (1, 2, 3)

#: Name of the manifest's file.
MANIFEST = "manifest.json"

#: Limits of what is read, in bytes: the manifest, all arrays together, the header of one array.
MAX_MANIFEST_BYTES = 8 << 20
MAX_ARRAY_BYTES = 1 << 31
MAX_HEADER_BYTES = 16_384

#: The most probes of an artifact.
MAX_PROBES = 4096

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
        assumed_from: What its factors are assumed from before there is evidence: another model, such as its
            predecessor, or ``price``; empty if from nothing.
    """

    id: str
    price_id: str = ""
    price: Price | None = None
    capabilities: dict[str, bool | int] = {}
    assumed_from: str = ""


class SourceInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who graded a part of the records. No cluster spans two sources, because they may grade on different scales.

    Attributes:
        name: Its name in the records; the dataset's if they name no source.
        kind: ``call``, or ``agent_run`` if tokens and dollars are those of a whole task of many calls.
        task: What its queries are, in a few words, such as ``SQL questions``. Default: the name says it.
        typical_cost: US dollars that a cost is compared with, so that alpha means the same in each source.
    """

    name: str
    kind: str = "call"
    task: str = ""
    typical_cost: float = 0.0

    @property
    def label(self) -> str:
        """What its queries are, for people."""
        return self.task or self.name


class BenchmarkInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A published benchmark whose scores are evidence.

    Attributes:
        name: Such as ``gpqa-diamond``.
        harness: Who measured; see `avengers_core.catalog.PublishedScore`.
        offset: Added to a published score that was multiplied by ``scale``.
        scale: Brings Elo ratings and indices to the spread of a score in [0, 1].
    """

    name: str
    harness: str
    offset: float = 0.0
    scale: float = 1.0


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
        exchange: ``even`` or ``fixed``; see `avengers_core.routing.exchange`.
        relative_costs: Whether a cost is compared with what is typical of the query's source.
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
    exchange: str = "even"
    relative_costs: bool = False
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
        schema_version: One of `READABLE_VERSIONS`.
        library_version: Version of avengers-router that wrote it.
        created: Date and time of the training, ISO 8601.
        settings: How it was trained.
        embedder: The embedder it was trained with.
        models: The models, in the order of the arrays' columns.
        datasets: Names of the datasets, in the order of the columns of ``dataset_n``.
        token_kinds: Kinds of tokens, in the order of the last axis of ``tokens``.
        n_records: Number of training queries.
        characters_per_token: Mean length of a token in the training queries.
        prompt_overhead: Input tokens that the prompts of each cluster held beside the query, if they held much more.
            Missing ones are 0.
        typical_cost: US dollars of the pool's typical answer, which give alpha its meaning in the fixed exchange.
            ``cost_scale`` in the file.
        ood_threshold: Cosine similarity to the nearest centre below which a query is out of distribution: 1% of the
            training queries are. ``familiar_similarity`` in the file.
        sources: Who graded the records.
        cluster_sources: Position in ``sources`` of each cluster's source. Empty: all clusters have the same.
        benchmarks: Published benchmarks, in the order of the rows behind those of the clusters.
        n_factors: Factors of the evidence model, q; 0 if it is not stored.
        n_probes: Training queries from which the even exchange follows, p; 0 if none are stored.
        batches: `RecordTable.content_key` of the records that it was trained with, and of those that updates added.
        card: What else a reader should know, such as ``licences`` and ``notes``.
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
    sources: list[SourceInfo] = []
    cluster_sources: list[int] = []
    benchmarks: list[BenchmarkInfo] = []
    n_factors: int = 0
    n_probes: int = 0
    prompt_overhead: list[float] = []
    batches: list[int] = []
    card: dict[str, Any] = {}
    figures: dict[str, Any] = {}
    parts: dict[str, Part] = {}
    checksum: str = ""


@dataclass(frozen=True)
class PublishedSums:
    """Published scores by benchmark and model, on the scale of `BenchmarkInfo`.

    Attributes:
        count: (b, m) number of scores.
        total: (b, m) their sum.
    """

    count: Array
    total: Array

    @classmethod
    def none(cls, n_models: int) -> PublishedSums:
        """No benchmark at all."""
        return cls(np.zeros((0, n_models)), np.zeros((0, n_models)))


@dataclass(frozen=True)
class Artifact:
    """A trained router's arrays with their manifest.

    Attributes:
        manifest: Everything except the arrays.
        centers: (k, d) float32 cluster centres, not re-normalised.
        statistics: Raw sums per cluster and model.
        arrays: ``length_weights`` and ``length_range``, from which `avengers_core.routing.costs` predicts output
            tokens.
        evidence: Parameters of the k clusters and b benchmarks; None: they are fitted when a router is made.
        published: Published scores; None: there are none.
        prior: What is assumed of the models before there is evidence; None: the same of all.
        score_variance: (k,) variance of a single score in each cluster; None: that of its answers.
        probes: (p, d + f + 1) float16 unit vectors, text features and numbers of characters of some training queries,
            from which the even exchange follows; None: it follows from the clusters.
    """

    manifest: Manifest
    centers: NDArray[np.float32]
    statistics: ClusterStatistics
    arrays: dict[str, NDArray[Any]]
    evidence: EvidenceModel | None = None
    published: PublishedSums | None = None
    prior: Prior | None = None
    score_variance: Array | None = None
    probes: NDArray[np.float16] | None = None

    @property
    def models(self) -> list[str]:
        """Ids of the models, in the order of the arrays' columns."""
        return [model.id for model in self.manifest.models]

    @property
    def published_sums(self) -> PublishedSums:
        """Published scores, of no benchmark if there are none."""
        return self.published or PublishedSums.none(len(self.models))

    @property
    def score_variances(self) -> Array:
        """(k,) variance of a single score in each cluster."""
        return self.statistics.score_variance() if self.score_variance is None else self.score_variance

    def factor_prior(self, n_factors: int) -> Prior:
        """What is assumed of the models' factors before there is evidence.

        Args:
            n_factors: Number of factors, q.
        """
        return self.prior or Prior.standard(len(self.models), n_factors)

    @property
    def sources(self) -> list[SourceInfo]:
        """Who graded the records; one for all if the records did not say."""
        return self.manifest.sources or [SourceInfo("records", typical_cost=self.manifest.typical_cost)]

    @property
    def cluster_sources(self) -> NDArray[np.intp]:
        """(k,) position in ``sources`` of each cluster's source."""
        return np.array(self.manifest.cluster_sources or [0] * len(self.centers), dtype=np.intp)

    @property
    def agent_runs(self) -> NDArray[np.bool_]:
        """(k,) whether a cluster's dollars and tokens are those of whole agent runs."""
        return np.array([source.kind == "agent_run" for source in self.sources])[self.cluster_sources]

    @property
    def typical_costs(self) -> Array:
        """(k,) US dollars that costs in a cluster are compared with."""
        if not self.manifest.settings.relative_costs:
            return np.full(len(self.centers), self.manifest.typical_cost)
        return np.array([source.typical_cost for source in self.sources])[self.cluster_sources]

    @property
    def row_groups(self) -> NDArray[np.intp]:
        """(k + b,) who graded each row: the source of a cluster, or one more group for all published benchmarks.

        They are one group because a model's standing in public may differ from its standing in the records.
        """
        published = np.full(len(self.manifest.benchmarks), len(self.sources), dtype=np.intp)
        return np.concatenate([self.cluster_sources, published])


#: The fields of `ClusterStatistics`, each with the name of its array in an artifact.
STATISTICS = {f.name: f.name for f in fields(ClusterStatistics)} | {
    "n_answers": "n",
    "n_with_cost": "cost_n",
    "n_with_usage": "usage_n",
}

#: The array that an artifact has only if its records told durations.
TIMING_PART = "timing"
