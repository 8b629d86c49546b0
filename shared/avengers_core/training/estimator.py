"""`RouterEstimator`: benchmark records in, a router out, with the conventions of scikit-learn (extra ``train``)."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..catalog.catalog import Catalog, default_catalog
from ..catalog.types import ModelId
from ..embedders.base import Embedder
from ..embedders.factory import make_embedder
from ..pricing.types import Price
from ..records.io import Source
from ..records.partitions import LocalPartitions, Partitions
from ..records.schema import Record
from ..records.table import RecordTable
from ..routing.artifact import save_artifact
from ..routing.exchange import check_exchange
from ..routing.manifest import MAX_PROBES, Artifact, ModelInfo, Settings
from ..routing.scoring import check_alpha, check_scoring
from ..routing.statistics import ClusterStatistics
from .clustering import find_centers, nearest_of_source, source_sizes
from .evidence import resolved_models, with_evidence
from .lengths import fit_lengths
from .manifest import build_manifest
from .parts import align_parts, split_parts
from .prices import implied_prices
from .probes import N_PROBES, with_probes
from .reading import training_parts
from .sklearn_conventions import EstimatorParameters, not_fitted_error
from .sources import source_kinds, typical_costs, with_typical_costs
from .statistics import cluster_statistics

if TYPE_CHECKING:
    from ..routing.decision import Decision
    from ..routing.router import Router

__all__ = ["RouterEstimator"]


_log = logging.getLogger("avengers")

#: Bytes that training may be limited to at least.
MIN_MEMORY = 1 << 30
#: Records below which a router says that it knows little.
FEW_RECORDS = 20


class RouterEstimator(EstimatorParameters):
    """Train a router from records of models' answers.

    Parameters are stored as they are given and checked in `fit`.

    Args:
        n_clusters: Number k of clusters; at most the number of training queries is used. Default: one for 60 queries of
            a source, at most 24 of a source; 40 if sources are not clustered by themselves.
        by_source: Whether each source is clustered by itself, so that no cluster spans two scales of grading. Default:
            with ``utility``, if there are as many clusters as sources; the scorings of Avengers-Pro cluster all records
            together.
        top_k: How many of the nearest clusters a query is read from. Default: all of them for ``utility``, 3 for
            ``reference``.
        beta: Sharpness of ``softmax(-beta * distance)``. Default: 12 for ``utility``, 9 for ``reference``.
        train_ratio: Share of each dataset that is trained on, above 0 and at most 1; the rest is ``held_out_``.
        random_state: Seed of the split and of k-means.
        exclude_models: Models that are left out of training and of the held-out part.
        exclude_datasets: Datasets that are left out of training and of the held-out part.
        soft_exclude_models: Models that are left out of training only.
        soft_exclude_datasets: Datasets that are left out of training only.
        min_accuracy_threshold: With ``reference``, a model whose mean score in a cluster is below this scores 0 there.
        min_records: A model with fewer answers is not a candidate.
        scoring: ``utility``, ``reference`` or ``simple``, if a route does not say.
        exchange: What alpha means to ``utility``, if a route does not say: ``even`` or ``fixed``; see `RouteOptions`.
        n_probes: Number of training queries whose embeddings and lengths the artifact keeps, without their text, to
            measure what alpha means for a set of candidates. With 0 it follows from the clusters, less exactly.
        relative_costs: Whether a cost is compared with what is typical of the query's source. Default: if the records
            hold agent runs beside calls, whose dollars cannot be compared.
        alpha: From 0 (cost only) to 1 (quality only), if a route does not say.
        performance_weight: Weight of the score in ``reference`` and ``simple``. Default: alpha.
        cost_sensitivity: Weight of the cost in ``reference`` and ``simple``. Default: 1 - alpha.
        embedder: A name (see `make_embedder`) or an embedder. Default: the embedder that works offline.
        prices: US dollars per million tokens, by model. Default: the prices that the records' dollars imply, else the
            catalogue's.
        price_ids: Names of the models in genai-prices, for ``Router.load(prices="latest")``. Default: the catalogue's.
        capabilities: What models can do, such as ``{model: {"tools": True, "max_input_tokens": 128000}}``. Default: the
            catalogue's.
        tasks: What the queries of a source are, in a few words, by source; explanations name it.
        catalog: Knows prices, capabilities and published scores of models. Default: the one in the package.
        published: Whether published scores are evidence, beside the records.
        n_jobs: Number of processes that read and embed records of files; -1 for one on each core, at most one for each
            GiB of ``memory``. With more than one, the embedder must be a name. Default: 1.
        memory: Bytes that `fit` may take. Records of files that do not fit are kept in parts on disk, in a temporary
            folder, and the artifact is the same. Default: as many as it needs, about 2 KB for a record of ten models.
        progress: Called with (step, done, total).

    Attributes:
        artifact_: The trained `Artifact`.
        router_: The `Router` over it.
        cluster_centers_: (k, d) centres of the clusters.
        labels_: (n,) cluster of each training query.
        statistics_: `ClusterStatistics`.
        models_: Names of the candidates.
        held_out_: `RecordTable` of what ``train_ratio`` left out, or None.
        n_records_: Number of training queries.
    """

    def __init__(
        self,
        n_clusters: int | None = None,
        *,
        by_source: bool | None = None,
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
        exchange: str = "even",
        n_probes: int = N_PROBES,
        relative_costs: bool | None = None,
        alpha: float = 0.5,
        performance_weight: float | None = None,
        cost_sensitivity: float | None = None,
        embedder: str | Embedder | None = None,
        prices: Mapping[str, Price] | None = None,
        price_ids: Mapping[str, str] | None = None,
        capabilities: Mapping[str, dict[str, bool | int]] | None = None,
        tasks: Mapping[str, str] | None = None,
        catalog: Catalog | None = None,
        published: bool = True,
        n_jobs: int | None = None,
        memory: int | None = None,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.by_source = by_source
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
        self.exchange = exchange
        self.n_probes = n_probes
        self.relative_costs = relative_costs
        self.alpha = alpha
        self.performance_weight = performance_weight
        self.cost_sensitivity = cost_sensitivity
        self.embedder = embedder
        self.prices = prices
        self.price_ids = price_ids
        self.capabilities = capabilities
        self.tasks = tasks
        self.catalog = catalog
        self.published = published
        self.n_jobs = n_jobs
        self.memory = memory
        self.progress = progress

    def fit(self, records: RecordTable | Source | Iterable[Record]) -> RouterEstimator:
        """Embed, cluster and sum up the records.

        Args:
            records: Files or folders, records, or a table. Files are streamed: texts are dropped once embedded.

        Returns:
            The estimator.

        Raises:
            ValueError: If a parameter is out of its range.
            RecordError: If a record is not valid, or no record is left to train on.
            OSError: If the records take more than ``memory``, and the disk has no room for them.
        """
        self.check_parameters()
        embedder = make_embedder(self.embedder)
        self.held_out_ = None
        n_jobs = self._processes() if self.n_jobs == -1 else self.n_jobs or 1
        given = embedder if n_jobs == 1 else self.embedder
        with training_parts(records, given, self.progress, self.memory, n_jobs) as parts:
            if self.train_ratio < 1:
                parts, _, _ = align_parts(parts, self.exclude_models, self.exclude_datasets)
                parts, self.held_out_ = split_parts(parts, self.train_ratio, self.random_state)
                excluded = self.soft_exclude_models, self.soft_exclude_datasets
            else:
                excluded = (
                    [*self.exclude_models, *self.soft_exclude_models],
                    [*self.exclude_datasets, *self.soft_exclude_datasets],
                )
            parts, models, datasets = align_parts(parts, *excluded)
            partitions = LocalPartitions(parts)
            self.fit_partitions(partitions, models, datasets, embedder)
            centers, sources = self.cluster_centers_, self.artifact_.manifest.cluster_sources
            self.labels_ = np.concatenate(partitions.map(nearest_of_source, centers, sources))
        return self

    def fit_partitions(
        self, partitions: Partitions, models: list[str], datasets: list[str], embedder: Embedder
    ) -> RouterEstimator:
        """Cluster and sum up records that are encoded and partitioned.

        Args:
            partitions: Record tables with ``encoded``; see `encode_records`.
            models: Names of the tables' models.
            datasets: Names of the tables' datasets.
            embedder: The embedder that encoded the records.

        Returns:
            The estimator.
        """
        from ..routing.router import Router

        self.artifact_ = self._train(partitions, models, datasets, embedder)
        self.n_records_ = self.artifact_.manifest.n_records
        self._warn_if_few()
        self.statistics_ = self.artifact_.statistics
        self.cluster_centers_ = self.artifact_.centers
        self.models_ = self.artifact_.models
        self.router_: Router = Router(self.artifact_, embedder=embedder)
        return self

    def predict(self, texts: list[str], alpha: float | None = None) -> list[str]:
        """The model chosen for each text.

        Args:
            texts: The queries.
            alpha: From 0 (cost only) to 1 (quality only). Default: the estimator's.

        Raises:
            NotFittedError: If `fit` was not called.
        """
        return [decision.model for decision in self.decide(texts, alpha)]

    def decide(self, texts: list[str], alpha: float | None = None) -> list[Decision]:
        """The full decision for each text.

        Args:
            texts: The queries.
            alpha: From 0 (cost only) to 1 (quality only). Default: the estimator's.

        Raises:
            NotFittedError: If `fit` was not called.
        """
        if not hasattr(self, "router_"):
            raise not_fitted_error(self)
        return self.router_.route_many(texts, alpha=alpha)

    def save(self, path: str | Path) -> Path:
        """Write the artifact.

        Args:
            path: A zip file if it ends in ``.zip``, else a folder.

        Returns:
            Where it was written.

        Raises:
            NotFittedError: If `fit` was not called.
        """
        if not hasattr(self, "artifact_"):
            raise not_fitted_error(self)
        return save_artifact(self.artifact_, path)

    def check_parameters(self) -> None:
        """Check all parameters.

        Raises:
            ValueError: If a parameter is out of its range.
        """
        if self.n_clusters is not None:
            _check_whole("n_clusters", self.n_clusters, 1)
        _check_whole("min_records", self.min_records, 0)
        _check_whole("n_probes", self.n_probes, 0, MAX_PROBES)
        for name in ("exclude_models", "exclude_datasets", "soft_exclude_models", "soft_exclude_datasets"):
            if isinstance(getattr(self, name), str):
                raise ValueError(f"{name} must be a list of names, not the string {getattr(self, name)!r}")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k must be 1 or more, not {self.top_k!r}")
        if not 0 < self.train_ratio <= 1:
            raise ValueError(f"train_ratio must be above 0 and at most 1, not {self.train_ratio!r}")
        self._check_resources()
        for name in ("beta", "min_accuracy_threshold", "performance_weight", "cost_sensitivity"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < np.inf:
                raise ValueError(f"{name} must be a finite number of 0 or more, not {value!r}")
        check_scoring(self.scoring)
        check_exchange(self.exchange)
        check_alpha(self.alpha)

    def _processes(self) -> int:
        """One process per core, and for each GiB of a limit of memory."""
        cores = os.cpu_count() or 1
        return cores if self.memory is None else max(min(cores, self.memory >> 30), 1)

    def _check_resources(self) -> None:
        if self.n_jobs is not None and self.n_jobs != -1:
            _check_whole("n_jobs", self.n_jobs, 1)
        if self.memory is not None:
            _check_whole("memory", self.memory, MIN_MEMORY)
            if self.train_ratio != 1:
                raise ValueError(
                    "with a limit of memory train_ratio must be 1: keep the records to evaluate on in their own files"
                )

    def _warn_if_few(self) -> None:
        if self.n_records_ < FEW_RECORDS:
            _log.warning(
                "trained on %d records: too few to tell models apart; some hundreds are a start", self.n_records_
            )

    def _train(self, partitions: Partitions, models: list[str], datasets: list[str], embedder: Embedder) -> Artifact:
        d = embedder.dimension
        by_source = self._clusters_by_source(partitions) if self.by_source is None else self.by_source
        self._report("cluster", 0)
        centers, cluster_sources = find_centers(
            partitions, d, self.n_clusters, self.random_state, self.progress, by_source=by_source
        )
        self._report("cluster", 1)
        sources = source_kinds(partitions, partitions.map(_source_names)[0], self.tasks or {}) if by_source else []
        runs = [source.kind == "agent_run" for source in sources]
        relative = (any(runs) and not all(runs)) if self.relative_costs is None else self.relative_costs
        catalog = self.catalog or default_catalog()
        known = resolved_models(models, catalog)
        infos = self._model_infos(models, implied_prices(partitions, models), known, catalog)
        statistics = partitions.reduce(_statistics, centers, cluster_sources)
        manifest = build_manifest(
            partitions,
            settings=self._settings(len(centers), relative),
            embedder=embedder,
            models=infos,
            datasets=datasets,
            centers=centers,
            statistics=statistics,
            sources=sources,
            cluster_sources=cluster_sources,
        )
        artifact = Artifact(manifest, centers, statistics, dict(fit_lengths(partitions, d)))
        prices = {info.id: info.price for info in infos if info.price is not None}
        artifact = with_typical_costs(artifact, typical_costs(partitions, artifact, prices) if relative else None)
        artifact = with_probes(artifact, partitions, prices, self.n_probes)
        self._report("evidence", 0)
        artifact = with_evidence(artifact, known if self.published else {}, catalog)
        self._report("evidence", 1)
        return artifact

    def _clusters_by_source(self, partitions: Partitions) -> bool:
        if self.scoring != "utility":
            return False
        return self.n_clusters is None or self.n_clusters >= int((partitions.reduce(source_sizes) > 0).sum())

    def _report(self, step: str, done: int) -> None:
        if self.progress:
            self.progress(step, done, 1)

    def _model_infos(
        self, models: list[str], implied: Mapping[str, Price], known: Mapping[str, ModelId], catalog: Catalog
    ) -> list[ModelInfo]:
        """What is known of each model: what the caller says, else the records, else the catalogue."""
        listed = {name: price for name, model in known.items() if (price := catalog.price(model)) is not None}
        prices = {**listed, **implied, **(self.prices or {})}
        price_ids, capabilities = self.price_ids or {}, self.capabilities or {}
        return [
            ModelInfo(
                name,
                price_ids.get(name) or (catalog.price_id(known[name]) if name in known else ""),
                prices.get(name),
                capabilities.get(name) or (catalog.capabilities(known[name]) if name in known else {}),
            )
            for name in models
        ]

    def _settings(self, n_clusters: int, relative_costs: bool) -> Settings:
        return Settings(
            n_clusters=n_clusters,
            top_k=self.top_k,
            beta=self.beta,
            train_ratio=self.train_ratio,
            random_state=self.random_state,
            min_accuracy_threshold=self.min_accuracy_threshold,
            min_records=self.min_records,
            scoring=self.scoring,
            exchange=self.exchange,
            relative_costs=relative_costs,
            alpha=self.alpha,
            performance_weight=self.performance_weight,
            cost_sensitivity=self.cost_sensitivity,
            exclude_models=[*self.exclude_models, *self.soft_exclude_models],
            exclude_datasets=[*self.exclude_datasets, *self.soft_exclude_datasets],
        )


def _check_whole(name: str, value: Any, low: int, high: int | None = None) -> None:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < low:
        raise ValueError(f"{name} must be a whole number of {low} or more, not {value!r}")
    if high is not None and value > high:
        raise ValueError(f"{name} must be at most {high}, not {value!r}")


def _statistics(table: RecordTable, centers: NDArray[np.float32], cluster_sources: list[int]) -> ClusterStatistics:
    return cluster_statistics(table, nearest_of_source(table, centers, cluster_sources), len(centers))


def _source_names(table: RecordTable) -> list[str]:
    return table.sources
