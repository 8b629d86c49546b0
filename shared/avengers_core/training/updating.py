"""Add records, models or prices to an artifact without clustering again: its statistics are sums, and sums add up."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from .._version import __version__
from ..embedders.base import Embedder
from ..pricing.types import Price
from ..records.io import Source
from ..records.partitions import LocalPartitions
from ..records.schema import Record
from ..records.table import RecordTable
from ..routing.features import N_FEATURES
from ..routing.manifest import Artifact, ModelInfo
from ..routing.prices import with_prices
from ..routing.router import Router
from ..routing.statistics import OUTPUT, Array, ClusterStatistics
from .clustering import nearest
from .encoding import encode_records
from .manifest import artifact_timestamp
from .prices import implied_prices
from .statistics import cluster_statistics

__all__ = ["update_artifact"]


def update_artifact(
    artifact: Artifact,
    records: RecordTable | Source | Iterable[Record] | None = None,
    *,
    prices: Mapping[str, Price] | None = None,
    price_ids: Mapping[str, str] | None = None,
    capabilities: Mapping[str, dict[str, bool | int]] | None = None,
    embedder: Embedder | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Artifact:
    """A new artifact with the records and prices added. Its clusters and the meaning of alpha stay the same.

    A model that is not in the artifact is added with the prices that its records imply. Its output lengths are the mean
    of the other models', shifted so that the total over its records is right. A query that only new models answered is
    assumed to be in the artifact already, so it is not counted as another query.

    Args:
        artifact: The artifact to start from; it is not changed.
        records: Files or folders, records, or a table to add.
        prices: US dollars per million tokens, by model, in place of the artifact's.
        price_ids: Names of the new models in genai-prices; see `RouterEstimator`.
        capabilities: What the new models can do; see `RouterEstimator`.
        embedder: The artifact's embedder. Default: made from its id.
        progress: Called with (step, done, total).

    Raises:
        RecordError: If a record is not valid.
        ArtifactError: If the embedder is not the artifact's.
        ValueError: If a price is for a model that neither the artifact nor the records have.
    """
    if records is not None:
        router = Router(artifact, embedder=embedder)
        table = encode_records(records, router.embedder, progress)
        artifact = _add_records(router, table, price_ids or {}, capabilities or {})
    if unknown := sorted(set(prices or {}) - set(artifact.models)):
        raise ValueError(f"prices: neither the artifact nor the records have model {unknown[0]!r}")
    updated = with_prices(artifact, prices or {})
    manifest = msgspec.structs.replace(
        updated.manifest, created=artifact_timestamp(), library_version=__version__, figures={}
    )
    return dataclasses.replace(updated, manifest=manifest)


def _add_records(
    router: Router, table: RecordTable, price_ids: Mapping[str, str], capabilities: Mapping[str, dict[str, bool | int]]
) -> Artifact:
    artifact = router.artifact
    old, manifest = artifact.models, artifact.manifest
    new = [name for name in table.models if name not in old]
    models, datasets = [*old, *new], [*manifest.datasets]
    datasets += [name for name in table.datasets if name not in datasets]
    known = [column for column, name in enumerate(table.models) if name in old]
    unseen = np.asarray(~np.isnan(table.scores[:, known]).all(axis=1))
    added = _added_statistics(router, table, unseen)
    statistics = _widen(artifact.statistics, old, manifest.datasets, models, datasets)
    statistics += _widen(added, table.models, table.datasets, models, datasets)
    implied = implied_prices(LocalPartitions([table]), table.models)
    infos = [
        *manifest.models,
        *(ModelInfo(name, price_ids.get(name, ""), implied.get(name), capabilities.get(name, {})) for name in new),
    ]
    manifest = msgspec.structs.replace(
        manifest, models=infos, datasets=datasets, n_records=manifest.n_records + int(unseen.sum())
    )
    return Artifact(manifest, artifact.centers, statistics, _extended_lengths(router, table, models))


def _added_statistics(router: Router, table: RecordTable, unseen: NDArray[np.bool_]) -> ClusterStatistics:
    """The table's sums by the artifact's clusters; only the queries that are ``unseen`` count as queries."""
    centers = router.artifact.centers
    labels = nearest(_vectors(router, table), centers)
    dataset_n = np.zeros((len(centers), len(table.datasets)))
    np.add.at(dataset_n, (labels[unseen], table.dataset[unseen]), 1)
    return dataclasses.replace(cluster_statistics(table, labels, len(centers)), dataset_n=dataset_n)


def _vectors(router: Router, table: RecordTable) -> NDArray[np.float32]:
    assert table.encoded is not None
    return np.ascontiguousarray(table.encoded[:, : router.embedder.dimension])


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


def _extended_lengths(router: Router, table: RecordTable, models: list[str]) -> dict[str, NDArray[np.float32]]:
    """The artifact's length arrays with a column for each of ``models``.

    Models whose lengths the artifact does not know yet get columns that are fitted to the table.
    """
    artifact = router.artifact
    n_with_usage = artifact.statistics.n_with_usage.sum(axis=0)
    measured = {name for name, n in zip(artifact.models, n_with_usage, strict=True) if n}
    fitted = {
        name: _fit_length_column(router, table, column)
        for column, name in enumerate(table.models)
        if name not in measured
    }
    return {
        name: np.column_stack(
            [fitted[model][name] if model in fitted else values[:, column] for column, model in enumerate(models)]
        ).astype(np.float32)
        for name, values in artifact.arrays.items()
    }


def _fit_length_column(router: Router, table: RecordTable, column: int) -> dict[str, NDArray[np.float32]]:
    """Expected log output tokens of one of the table's models: the mean of the artifact's models plus an offset."""
    arrays, known = router.artifact.arrays, router.artifact.statistics.n_with_usage.sum(axis=0) > 0
    weights, limits = arrays["length_weights"], arrays["length_range"]
    output = table.tokens[:, column, OUTPUT].astype(np.float64)
    reported = np.isfinite(output)
    if not reported.any():
        return {"length_weights": np.zeros(len(weights), np.float32), "length_range": np.zeros(2, np.float32)}
    assert table.encoded is not None
    length_weights = weights[:, known].mean(axis=1) if known.any() else np.zeros(len(weights), np.float32)
    vectors = _vectors(router, table)[reported]
    features = table.encoded[reported, vectors.shape[1] : vectors.shape[1] + N_FEATURES]
    logs = length_weights[0] + np.hstack([vectors, features]) @ length_weights[1:]
    length_weights[0] += np.log(np.maximum(output[reported].sum(), 1.0) / np.exp(logs.astype(np.float64)).sum())
    log_output = np.log(np.maximum(output[reported], 1.0))
    length_range = [min([log_output.min(), *limits[0, known]]), max([log_output.max(), *limits[1, known]])]
    return {"length_weights": length_weights, "length_range": np.array(length_range, dtype=np.float32)}
