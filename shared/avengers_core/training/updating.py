"""An artifact with more records, models or prices, without clustering anew: statistics are sums, and sums add up."""

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
from ..records.parts import LocalPartitions
from ..records.schema import Record
from ..records.table import RecordTable
from ..routing.features import N_FEATURES
from ..routing.manifest import Artifact, ModelInfo
from ..routing.prices import with_prices
from ..routing.router import Router
from ..routing.statistics import OUTPUT, Array, ClusterStatistics
from .clustering import nearest
from .estimator import load_encoded, now
from .prices import implied_prices
from .statistics import cluster_statistics


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
    """A new artifact of what ``artifact`` knows and what ``records`` and ``prices`` add; clusters and alpha stay.

    A model that the artifact has not is added, with prices that its records imply, and output lengths that are the
    other models' mean, shifted so that the total over its records is right. A query that only new models answered is
    taken for one that the artifact has seen, so it is not counted as another.

    Args:
        prices: US dollars per million tokens, by model, in place of known ones.
        price_ids, capabilities: of new models; see `RouterEstimator`.
        embedder: must be the artifact's; default: made from its id.

    Raises:
        RecordError: unusable records. ArtifactError: another embedder. ValueError: a price of an unknown model.
    """
    if records is not None:
        router = Router(artifact, embedder=embedder)
        table = load_encoded(records, router.embedder, progress)
        artifact = _add(router, table, price_ids or {}, capabilities or {})
    if unknown := sorted(set(prices or {}) - set(artifact.models)):
        raise ValueError(f"prices: neither the artifact nor the records have model {unknown[0]!r}")
    updated = with_prices(artifact, prices or {})
    manifest = msgspec.structs.replace(updated.manifest, created=now(), library_version=__version__, figures={})
    return dataclasses.replace(updated, manifest=manifest)


def _add(
    router: Router, table: RecordTable, price_ids: Mapping[str, str], capabilities: Mapping[str, dict[str, bool | int]]
) -> Artifact:
    artifact = router.artifact
    assert table.encoded is not None
    old, manifest = artifact.models, artifact.manifest
    new = [name for name in table.models if name not in old]
    models, datasets = [*old, *new], [*manifest.datasets]
    datasets += [name for name in table.datasets if name not in datasets]
    vectors = np.ascontiguousarray(table.encoded[:, : router.embedder.dimension])
    labels = nearest(vectors, artifact.centers)
    k = len(artifact.centers)
    added = cluster_statistics(table, labels, k)
    known = [column for column, name in enumerate(table.models) if name in old]
    fresh = ~np.isnan(table.scores[:, known]).all(axis=1)
    dataset_n = np.zeros((k, len(table.datasets)))
    np.add.at(dataset_n, (labels[fresh], table.dataset[fresh]), 1)
    added = dataclasses.replace(added, dataset_n=dataset_n)
    widen = _widen(artifact.statistics, old, manifest.datasets, models, datasets)
    statistics = widen + _widen(added, table.models, table.datasets, models, datasets)
    implied = implied_prices(LocalPartitions([table]), table.models)
    infos = [
        *manifest.models,
        *(ModelInfo(name, price_ids.get(name, ""), implied.get(name), capabilities.get(name, {})) for name in new),
    ]
    measured = {name for name, n in zip(old, artifact.statistics.n_with_usage.sum(axis=0), strict=True) if n}
    lengths = {
        name: _length_head(router, table, vectors, column)
        for column, name in enumerate(table.models)
        if name not in measured
    }
    arrays = {
        name: np.column_stack(
            [lengths[model][name] if model in lengths else values[:, column] for column, model in enumerate(models)]
        ).astype(np.float32)
        for name, values in artifact.arrays.items()
    }
    manifest = msgspec.structs.replace(
        manifest, models=infos, datasets=datasets, n_records=manifest.n_records + int(fresh.sum())
    )
    return Artifact(manifest, artifact.centers, statistics, arrays)


def _widen(
    statistics: ClusterStatistics,
    models: list[str],
    datasets: list[str],
    all_models: list[str],
    all_datasets: list[str],
) -> ClusterStatistics:
    """The sums with columns for all models and datasets, in that order; zeros where nothing is known."""

    def spread(values: Array, names: list[str], wanted: list[str]) -> Array:
        out = np.zeros((len(values), len(wanted), *values.shape[2:]))
        out[:, [wanted.index(name) for name in names]] = values
        return out

    parts: dict[str, Any] = {}
    for one in dataclasses.fields(statistics):
        names = (datasets, all_datasets) if one.name == "dataset_n" else (models, all_models)
        parts[one.name] = spread(getattr(statistics, one.name), *names)
    return ClusterStatistics(**parts)


def _length_head(
    router: Router, table: RecordTable, vectors: NDArray[np.float32], column: int
) -> dict[str, NDArray[np.float32]]:
    """Expected log output tokens of a model whose lengths the artifact has not: the others' mean and an offset."""
    arrays, known = router.artifact.arrays, router.artifact.statistics.n_with_usage.sum(axis=0) > 0
    weights, limits = arrays["length_weights"], arrays["length_range"]
    output = table.tokens[:, column, OUTPUT].astype(np.float64)
    counted = np.isfinite(output)
    if not counted.any():
        return {"length_weights": np.zeros(len(weights), np.float32), "length_range": np.zeros(2, np.float32)}
    assert table.encoded is not None
    head = weights[:, known].mean(axis=1) if known.any() else np.zeros(len(weights), np.float32)
    features = table.encoded[counted, vectors.shape[1] : vectors.shape[1] + N_FEATURES]
    logs = head[0] + np.hstack([vectors[counted], features]) @ head[1:]
    head[0] += np.log(np.maximum(output[counted].sum(), 1.0) / np.exp(logs.astype(np.float64)).sum())
    low, high = np.log(np.maximum(output[counted], 1.0).min()), np.log(np.maximum(output[counted], 1.0).max())
    spread = [min([low, *limits[0, known]]), max([high, *limits[1, known]])]
    return {"length_weights": head, "length_range": np.array(spread, dtype=np.float32)}
