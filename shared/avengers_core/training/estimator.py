"""`RouterEstimator`: benchmark records in, a router out, as scikit-learn people expect it (extra ``train``)."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._version import __version__
from ..embedders.base import Embedder, embed_all
from ..embedders.factory import make_embedder
from ..errors import RecordError
from ..pricing.types import Price
from ..records.io import Source
from ..records.parts import LocalPartitions, Partitions, quantile
from ..records.schema import TOKEN_KINDS, Record
from ..records.table import RecordTable, load_records
from ..routing.artifact import save_artifact
from ..routing.features import N_FEATURES, feature_matrix
from ..routing.manifest import FORMAT, SCHEMA_VERSION, Artifact, EmbedderInfo, Manifest, ModelInfo, Settings
from ..routing.scoring import check_alpha, check_scoring
from ..routing.statistics import INPUT, ClusterStatistics, divide
from .clustering import find_centers, nearest, similarity, vectors_of
from .lengths import fit_lengths
from .prices import implied_prices
from .statistics import cluster_statistics

if TYPE_CHECKING:
    from ..routing.decision import Decision
    from ..routing.router import Router


class RouterEstimator:
    """Train a router from records of models' answers.

    Args:
        n_clusters: k of k-means; at most the number of training queries is used.
        top_k: nearest clusters that a query is read from; None: all of them for ``utility``, 3 for ``reference``.
        beta: sharpness of ``softmax(-beta * distance)``; None: 12 for ``utility``, 9 for ``reference``.
        train_ratio: share of each dataset that is trained on; the rest is `held_out_`.
        random_state: seed of the split and of k-means.
        exclude_models, exclude_datasets: left out of training and of the held-out part.
        soft_exclude_models, soft_exclude_datasets: left out of training only.
        min_accuracy_threshold: ``reference``: below this mean score in a cluster a model scores 0 there.
        min_records: a model with fewer answers is no candidate.
        scoring, alpha, performance_weight, cost_sensitivity: what a route takes where the call does not say.
        embedder: a name (see `make_embedder`), an embedder, or None for the embedded default.
        prices: US dollars per million tokens by model; others are implied by the records' dollars where they can be.
        price_ids: names of models in genai-prices, for `Router.load(prices="latest")`.
        capabilities: what models can do, ``{model: {"tools": True, "max_input_tokens": 128000}}``.
        progress: called with (step, done, total).

    Attributes:
        artifact_: the trained `Artifact`.
        router_: the `Router` over it.
        cluster_centers_: (k, d).
        labels_: (n,) cluster of each training query.
        statistics_: `ClusterStatistics`.
        models_: names of the candidates.
        held_out_: `RecordTable` of what ``train_ratio`` left out, or None.
        n_records_: training queries.

    Raises (in ``fit``):
        RecordError: unusable records. ValueError: a parameter out of range.
    """

    def __init__(
        self,
        n_clusters: int = 40,
        *,
        top_k: int | None = None,
        beta: float | None = None,
        train_ratio: float = 1.0,
        random_state: int = 42,
        exclude_models: Iterable[str] = (),
        exclude_datasets: Iterable[str] = (),
        soft_exclude_models: Iterable[str] = (),
        soft_exclude_datasets: Iterable[str] = (),
        min_accuracy_threshold: float = 0.0,
        min_records: int = 20,
        scoring: str = "utility",
        alpha: float = 0.5,
        performance_weight: float | None = None,
        cost_sensitivity: float | None = None,
        embedder: str | Embedder | None = None,
        prices: Mapping[str, Price] | None = None,
        price_ids: Mapping[str, str] | None = None,
        capabilities: Mapping[str, dict[str, bool | int]] | None = None,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.top_k = top_k
        self.beta = beta
        self.train_ratio = train_ratio
        self.random_state = random_state
        self.exclude_models = exclude_models
        self.exclude_datasets = exclude_datasets
        self.soft_exclude_models = soft_exclude_models
        self.soft_exclude_datasets = soft_exclude_datasets
        self.min_accuracy_threshold = min_accuracy_threshold
        self.min_records = min_records
        self.scoring = scoring
        self.alpha = alpha
        self.performance_weight = performance_weight
        self.cost_sensitivity = cost_sensitivity
        self.embedder = embedder
        self.prices = prices
        self.price_ids = price_ids
        self.capabilities = capabilities
        self.progress = progress

    def fit(self, records: RecordTable | Source | Iterable[Record]) -> RouterEstimator:
        """Embed, cluster and sum up the records; returns the estimator.

        Args:
            records: path(s), records, or a table. Paths are streamed: texts are dropped once embedded.
        """
        self._check()
        embedder = make_embedder(self.embedder)
        table = load_encoded(records, embedder, self.progress)
        table = table.without(self.exclude_models, self.exclude_datasets)
        train, held_out = table.split(self.train_ratio, self.random_state)
        if not len(train):
            raise RecordError(f"train_ratio {self.train_ratio} leaves no record to train on")
        train = train.without(self.soft_exclude_models, self.soft_exclude_datasets)
        self.held_out_ = held_out if len(held_out) else None
        self.fit_parts(LocalPartitions([train]), train.models, train.datasets, embedder)
        self.labels_ = nearest(vectors_of(train, embedder.dimension), self.cluster_centers_)
        return self

    def fit_parts(
        self, parts: Partitions, models: list[str], datasets: list[str], embedder: Embedder
    ) -> RouterEstimator:
        """Cluster and sum up records that are encoded and in parts; see `load_encoded`."""
        from ..routing.router import Router

        self.artifact_ = self._train(parts, models, datasets, embedder)
        self.n_records_ = self.artifact_.manifest.n_records
        self.statistics_ = self.artifact_.statistics
        self.cluster_centers_ = self.artifact_.centers
        self.models_ = self.artifact_.models
        self.router_: Router = Router(self.artifact_, embedder=embedder)
        return self

    def predict(self, texts: list[str], alpha: float | None = None) -> list[str]:
        """The model chosen for each text."""
        return [decision.model for decision in self.decide(texts, alpha)]

    def decide(self, texts: list[str], alpha: float | None = None) -> list[Decision]:
        """The full decision for each text."""
        if not hasattr(self, "router_"):
            raise AttributeError("this RouterEstimator is not fitted yet: call fit first")
        return self.router_.route_many(texts, alpha=alpha)

    def save(self, path: str | Path) -> Path:
        """Write the artifact: a zip where ``path`` ends in ``.zip``, else a folder."""
        return save_artifact(self.artifact_, path)

    def _check(self) -> None:
        for name, low in (("n_clusters", 1), ("min_records", 0)):
            value = getattr(self, name)
            if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < low:
                raise ValueError(f"{name} must be a whole number of {low} or more, not {value!r}")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k must be 1 or more, not {self.top_k!r}")
        if self.beta is not None and not (self.beta >= 0 and np.isfinite(self.beta)):
            raise ValueError(f"beta must be a finite number of 0 or more, not {self.beta!r}")
        if not 0 < self.train_ratio <= 1:
            raise ValueError(f"train_ratio must be above 0 and at most 1, not {self.train_ratio!r}")
        check_scoring(self.scoring)
        check_alpha(self.alpha)

    def _train(self, parts: Partitions, models: list[str], datasets: list[str], embedder: Embedder) -> Artifact:
        d = embedder.dimension
        if self.progress:
            self.progress("cluster", 0, 1)
        centers = find_centers(parts, d, self.n_clusters, self.random_state, self.progress)
        if self.progress:
            self.progress("cluster", 1, 1)
        k = len(centers)
        prices = {**implied_prices(parts, models), **(self.prices or {})}
        price_ids, capabilities = self.price_ids or {}, self.capabilities or {}
        infos = [
            ModelInfo(name, price_ids.get(name, ""), prices.get(name), capabilities.get(name, {})) for name in models
        ]
        statistics = parts.total(_statistics, d, centers)
        mean_cost = divide(statistics.cost_sum.sum(axis=0), statistics.n_with_cost.sum(axis=0))
        typical = float(np.nanmean(mean_cost)) if np.nansum(mean_cost) > 0 else 1e-3
        manifest = Manifest(
            format=FORMAT,
            schema_version=SCHEMA_VERSION,
            library_version=__version__,
            created=now(),
            settings=Settings(
                n_clusters=k,
                top_k=self.top_k,
                beta=self.beta,
                train_ratio=self.train_ratio,
                random_state=self.random_state,
                min_accuracy_threshold=self.min_accuracy_threshold,
                min_records=self.min_records,
                scoring=self.scoring,
                alpha=self.alpha,
                performance_weight=self.performance_weight,
                cost_sensitivity=self.cost_sensitivity,
                exclude_models=[*self.exclude_models, *self.soft_exclude_models],
                exclude_datasets=[*self.exclude_datasets, *self.soft_exclude_datasets],
            ),
            embedder=EmbedderInfo(embedder.id, d, embedder.fingerprint),
            models=infos,
            datasets=datasets,
            token_kinds=[kind.removesuffix("_tokens") for kind in TOKEN_KINDS],
            n_records=sum(parts.gather(len)),
            characters_per_token=_characters_per_token(parts),
            typical_cost=typical,
            # 1% of the training queries are less like any cluster.
            ood_threshold=quantile(parts, similarity, (d, centers), 0.01, (-1.0, 1.0)) or 0.0,
        )
        return Artifact(manifest, centers, statistics, dict(fit_lengths(parts, d)))


def load_encoded(
    records: RecordTable | Source | Iterable[Record],
    embedder: Embedder,
    progress: Callable[[str, int, int], None] | None = None,
) -> RecordTable:
    """Records with ``encoded``, [unit vector, text features, characters]: all that training needs of a text.

    Raises:
        RecordError: unusable records. ValueError: a table that another embedder has encoded.
    """
    done = 0

    def encode(texts: list[str]) -> NDArray[np.float32]:
        nonlocal done
        vectors = embed_all(embedder, texts)
        characters = np.array([[len(text)] for text in texts])
        done += len(texts)
        if progress:
            progress("embed", done, 0)
        return np.hstack([vectors, feature_matrix(texts), characters]).astype(np.float32)

    table = records if isinstance(records, RecordTable) else load_records(records, encode=encode)
    if table.encoded is None:
        table = table.rows(np.arange(len(table)))
        table.encoded = encode(table.queries)
    elif table.encoded.shape[1] != embedder.dimension + N_FEATURES + 1:
        raise ValueError(f"table.encoded is {table.encoded.shape[1]} wide: not made by this embedder's encoder")
    return table


def _statistics(table: RecordTable, dimension: int, centers: NDArray[np.float32]) -> ClusterStatistics:
    return cluster_statistics(table, nearest(vectors_of(table, dimension), centers), len(centers))


def _characters_per_token(parts: Partitions) -> float:
    """Median characters of a query per recorded input token; 4 where prompts hold more than the query."""
    median = quantile(parts, _token_ratios, (), 0.5, (0.0, 20.0))
    return median if median is not None and 2.5 <= median <= 6 else 4.0


def _token_ratios(table: RecordTable) -> NDArray[Any]:
    assert table.encoded is not None
    counted = table.tokens[:, :, INPUT].astype(np.float64)
    ratio = table.encoded[:, -1:] / np.where(counted > 0, counted, np.nan)
    return np.asarray(ratio[np.isfinite(ratio)])


def now() -> str:
    """The time for an artifact's card, or SOURCE_DATE_EPOCH."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    moment = (
        datetime.datetime.fromtimestamp(int(epoch), datetime.timezone.utc)
        if epoch
        else datetime.datetime.now(datetime.timezone.utc)
    )
    return moment.isoformat(timespec="seconds")
