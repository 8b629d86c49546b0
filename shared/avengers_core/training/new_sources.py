"""Sources that a trained artifact does not have: clusters of their own, whose parameters follow from the models'."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np

from ..records.partitions import LocalPartitions
from ..records.table import RecordTable
from ..routing.evidence import KnownRows, fit_evidence
from ..routing.manifest import Artifact
from ..routing.score_model import observations
from ..routing.statistics import ClusterStatistics
from .clustering import find_centers
from .sources import source_kinds, typical_costs

__all__ = ["with_new_rows", "with_sources"]


def with_sources(artifact: Artifact, table: RecordTable) -> tuple[Artifact, RecordTable]:
    """The artifact with empty clusters for the table's new sources, and the table with the artifact's sources.

    An artifact whose clusters are not by source stays as it is.

    Args:
        artifact: A trained artifact.
        table: Encoded records.
    """
    old = artifact.manifest.sources
    if not old:
        return artifact, table
    position = {source.name: code for code, source in enumerate(old)}
    present = [table.sources[code] for code in np.unique(table.source)]
    new = [name for name in present if name not in position]
    position |= {name: len(old) + code for code, name in enumerate(new)}
    names = list(position)
    codes = np.array([position.get(name, -1) for name in table.sources], dtype=np.int32)
    table = dataclasses.replace(table, sources=names, source=codes[table.source])
    if not new:
        return artifact, table
    own = LocalPartitions([table.rows(table.source >= len(old))])
    centers, cluster_sources = find_centers(
        own, artifact.centers.shape[1], None, artifact.manifest.settings.random_state, by_source=True
    )
    infos = [*old, *source_kinds(own, names, {})[len(old) :]]
    artifact = _with_clusters(artifact, centers, cluster_sources)
    manifest = msgspec.structs.replace(artifact.manifest, sources=infos)
    artifact = dataclasses.replace(artifact, manifest=manifest)
    prices = {model.id: model.price for model in manifest.models if model.price is not None}
    typical = typical_costs(own, artifact, prices)
    infos = [*old, *(msgspec.structs.replace(infos[c], typical_cost=typical[c]) for c in range(len(old), len(infos)))]
    manifest = msgspec.structs.replace(manifest, sources=infos)
    return dataclasses.replace(artifact, manifest=manifest), table


def _with_clusters(artifact: Artifact, centers: np.ndarray, cluster_sources: list[int]) -> Artifact:
    """The artifact with further clusters that hold nothing yet."""
    statistics = {
        field.name: np.concatenate([values, np.zeros((len(centers), *values.shape[1:]))])
        for field in dataclasses.fields(artifact.statistics)
        for values in [getattr(artifact.statistics, field.name)]
    }
    settings = msgspec.structs.replace(artifact.manifest.settings, n_clusters=len(artifact.centers) + len(centers))
    manifest = msgspec.structs.replace(
        artifact.manifest,
        settings=settings,
        cluster_sources=[*artifact.manifest.cluster_sources, *cluster_sources],
    )
    return dataclasses.replace(
        artifact,
        manifest=manifest,
        centers=np.concatenate([artifact.centers, centers]),
        statistics=ClusterStatistics(**statistics),
    )


def with_new_rows(artifact: Artifact, n_before: int) -> Artifact:
    """The artifact whose evidence model has rows for the clusters that were added; the others stay as they are.

    Args:
        artifact: An artifact whose evidence model has rows for its first ``n_before`` clusters.
        n_before: Their number.
    """
    added = len(artifact.centers) - n_before
    before = artifact.evidence
    if not added or before is None:
        return artifact
    n_groups = len(before.effect_deviation)
    n_published = int(len(artifact.manifest.benchmarks) > 0)
    n_sources = len(artifact.sources)
    rows = np.arange(n_before + added + len(artifact.manifest.benchmarks))
    kept_rows = np.delete(rows, np.arange(n_before, n_before + added))
    groups = np.arange(n_sources + n_published)
    kept_groups = np.concatenate([groups[: n_groups - n_published], groups[n_sources:]])
    known = KnownRows(before, kept_rows, kept_groups)
    if artifact.score_variance is not None:
        new = artifact.statistics.score_variance()[n_before:]
        artifact = dataclasses.replace(artifact, score_variance=np.concatenate([artifact.score_variance, new]))
    evidence = fit_evidence(observations(artifact), artifact.row_groups, before.n_factors, known)
    return dataclasses.replace(artifact, evidence=evidence)
