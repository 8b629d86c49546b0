"""Add to an artifact without clustering again: its statistics are sums, and sums add up."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from .._version import __version__
from ..catalog.catalog import Catalog
from ..embedders.base import Embedder
from ..pricing.types import Price
from ..records.io import Source
from ..records.partitions import LocalPartitions
from ..records.schema import Record
from ..records.table import RecordTable
from ..routing.extending import with_models
from ..routing.features import N_FEATURES
from ..routing.manifest import SCHEMA_VERSION, Artifact
from ..routing.prices import with_prices
from ..routing.router import Router
from ..routing.statistics import OUTPUT, Array, ClusterStatistics
from .clustering import nearest_of_source, unit_vectors
from .encoding import encode_records
from .manifest import artifact_timestamp
from .new_sources import with_new_rows, with_sources
from .prices import implied_prices
from .speeds import with_timing
from .statistics import cluster_statistics

__all__ = ["update_artifact"]

_log = logging.getLogger("avengers")


def update_artifact(
    artifact: Artifact,
    records: RecordTable | Source | Iterable[Record] | None = None,
    *,
    models: Iterable[str] = (),
    prices: Mapping[str, Price] | None = None,
    price_ids: Mapping[str, str] | None = None,
    capabilities: Mapping[str, dict[str, bool | int]] | None = None,
    timing: Mapping[str, Sequence[float]] | None = None,
    catalog: Catalog | None = None,
    embedder: Embedder | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Artifact:
    """A new artifact with records, models, prices or speeds added; its clusters and the meaning of alpha stay.

    A model that is not in the artifact is added with what the catalogue knows of it: published scores, its predecessor,
    its price and capabilities; see `avengers_core.routing.extending`. Records of a source that the artifact does not
    have get clusters of their own. A query of a known source that only new models answered is assumed to be in the
    artifact already, so it is not counted as another query.

    Args:
        artifact: The artifact to start from; it is not changed.
        records: Files or folders, records, or a table to add.
        models: Further models to add, which need no records, in any spelling that the catalogue resolves.
        prices: US dollars per million tokens, by model, in place of the artifact's.
        price_ids: Names of the new models in genai-prices; see `RouterEstimator`.
        capabilities: What the new models can do; see `RouterEstimator`.
        timing: Durations by model, as from `Ledger.timing`, in place of the artifact's.
        catalog: Knows models. Default: the one in the package.
        embedder: The artifact's embedder. Default: made from its id.
        progress: Called with (step, done, total).

    Raises:
        RecordError: If a record is not valid.
        ArtifactError: If the embedder is not the artifact's.
        UnknownModelError: If the catalogue does not know one of ``models``.
        ValueError: If a price is for a model that neither the artifact nor the records have.
    """
    artifact = with_models(artifact, models, catalog)
    if records is not None:
        router = Router(artifact, embedder=embedder)
        table = encode_records(records, router.embedder, progress)
        batches = [*artifact.manifest.batches, table.content_key()]
        if batches[-1] in batches[:-1]:
            _log.warning("the artifact was trained or updated with the same records before: now they count twice")
        artifact = _add_records(router, table, price_ids or {}, capabilities or {}, catalog)
        artifact = dataclasses.replace(artifact, manifest=msgspec.structs.replace(artifact.manifest, batches=batches))
    if timing:
        artifact = with_timing(artifact, timing, catalog)
    if unknown := sorted(set(prices or {}) - set(artifact.models)):
        raise ValueError(f"prices: neither the artifact nor the records have model {unknown[0]!r}")
    updated = with_prices(artifact, prices or {})
    manifest = msgspec.structs.replace(
        updated.manifest,
        schema_version=SCHEMA_VERSION,
        created=artifact_timestamp(),
        library_version=__version__,
        figures={},
    )
    return dataclasses.replace(updated, manifest=manifest)


def _add_records(
    router: Router,
    table: RecordTable,
    price_ids: Mapping[str, str],
    capabilities: Mapping[str, dict[str, bool | int]],
    catalog: Catalog | None,
) -> Artifact:
    old = router.artifact
    artifact = with_models(old, table.models, catalog, strict=False)
    artifact, table = with_sources(artifact, table)
    manifest, datasets = artifact.manifest, [*artifact.manifest.datasets]
    datasets += [name for name in table.datasets if name not in datasets]
    known = [column for column, name in enumerate(table.models) if name in old.models]
    unseen = np.asarray(~np.isnan(table.scores[:, known]).all(axis=1))
    if old.manifest.sources:
        unseen |= table.source >= len(old.manifest.sources)  # no query of a new source is in the artifact already
    added = _added_statistics(artifact, table, unseen)
    statistics = _widen(artifact.statistics, artifact.models, manifest.datasets, artifact.models, datasets)
    statistics += _widen(added, table.models, table.datasets, artifact.models, datasets)
    implied = implied_prices(LocalPartitions([table]), table.models)
    infos = [
        model
        if model.id in old.models
        else msgspec.structs.replace(
            model,
            price_id=price_ids.get(model.id, model.price_id),
            price=implied.get(model.id, model.price),
            capabilities=capabilities.get(model.id, model.capabilities),
        )
        for model in manifest.models
    ]
    manifest = msgspec.structs.replace(
        manifest, models=infos, datasets=datasets, n_records=manifest.n_records + int(unseen.sum())
    )
    lengths = _extended_lengths(router, table, artifact)
    artifact = dataclasses.replace(artifact, manifest=manifest, statistics=statistics, arrays=lengths)
    return with_new_rows(artifact, len(old.centers))


def _added_statistics(artifact: Artifact, table: RecordTable, unseen: NDArray[np.bool_]) -> ClusterStatistics:
    """The table's sums by the artifact's clusters; only the queries that are ``unseen`` count as queries."""
    centers = artifact.centers
    labels = nearest_of_source(table, centers, artifact.manifest.cluster_sources)
    dataset_n = np.zeros((len(centers), len(table.datasets)))
    np.add.at(dataset_n, (labels[unseen], table.dataset[unseen]), 1)
    return dataclasses.replace(cluster_statistics(table, labels, len(centers)), dataset_n=dataset_n)


def _widen(
    statistics: ClusterStatistics,
    models: list[str],
    datasets: list[str],
    all_models: list[str],
    all_datasets: list[str],
) -> ClusterStatistics:
    """The sums with columns for all models and datasets, in that order; the added columns are zeros."""

    def spread(values: Array, names: list[str], all_names: list[str]) -> Array:
        out = np.zeros((len(values), len(all_names), *values.shape[2:]))
        out[:, [all_names.index(name) for name in names]] = values
        return out

    sums: dict[str, Any] = {}
    for item in dataclasses.fields(statistics):
        names = (datasets, all_datasets) if item.name == "dataset_n" else (models, all_models)
        sums[item.name] = spread(getattr(statistics, item.name), *names)
    return ClusterStatistics(**sums)


def _extended_lengths(router: Router, table: RecordTable, artifact: Artifact) -> dict[str, NDArray[np.float32]]:
    """The artifact's length arrays, in which columns that were not measured yet are fitted to the table."""
    old = router.artifact
    n_with_usage = old.statistics.n_with_usage[~old.agent_runs].sum(axis=0)
    measured = {name for name, n in zip(old.models, n_with_usage, strict=True) if n}
    fitted = {
        name: found
        for column, name in enumerate(table.models)
        if name not in measured and (found := _fit_length_column(router, table, column)) is not None
    }
    return {
        name: np.column_stack(
            [
                fitted[model][name] if model in fitted else values[:, column]
                for column, model in enumerate(artifact.models)
            ]
        ).astype(np.float32)
        for name, values in artifact.arrays.items()
    }


def _fit_length_column(router: Router, table: RecordTable, column: int) -> dict[str, NDArray[np.float32]] | None:
    """Expected log output tokens of one of the table's models: the mean of the artifact's models plus an offset.

    None if the table does not tell its tokens.
    """
    arrays, known = router.artifact.arrays, router.artifact.statistics.n_with_usage.sum(axis=0) > 0
    weights, limits = arrays["length_weights"], arrays["length_range"]
    output = np.where(table.agent_run[:, column], np.nan, table.tokens[:, column, OUTPUT]).astype(np.float64)
    reported = np.isfinite(output)
    if not reported.any():
        return None
    assert table.encoded is not None
    length_weights = weights[:, known].mean(axis=1) if known.any() else np.zeros(len(weights), np.float32)
    vectors = unit_vectors(table, router.embedder.dimension)[reported]
    features = table.encoded[reported, vectors.shape[1] : vectors.shape[1] + N_FEATURES]
    logs = length_weights[0] + np.hstack([vectors, features]) @ length_weights[1:]
    length_weights[0] += np.log(np.maximum(output[reported].sum(), 1.0) / np.exp(logs.astype(np.float64)).sum())
    log_output = np.log(np.maximum(output[reported], 1.0))
    length_range = [min([log_output.min(), *limits[0, known]]), max([log_output.max(), *limits[1, known]])]
    return {"length_weights": length_weights, "length_range": np.array(length_range, dtype=np.float32)}
