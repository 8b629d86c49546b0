"""Who graded the training records: kinds of usage, and what a query typically costs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from ..pricing.types import Price
from ..records.partitions import Partitions
from ..records.table import RecordTable
from ..routing.costs import CostModel
from ..routing.manifest import Artifact, SourceInfo
from ..routing.statistics import Array, divide

__all__ = ["source_kinds", "typical_costs", "with_typical_costs"]


def source_kinds(partitions: Partitions, names: list[str], tasks: Mapping[str, str]) -> list[SourceInfo]:
    """The sources, each with the kind of most of its usages.

    Args:
        partitions: The records.
        names: Names of the sources.
        tasks: What the queries of a source are, by name.
    """
    counts = partitions.reduce(_usage_counts)
    runs = counts["agent_runs"] * 2 > counts["usages"]
    return [
        SourceInfo(name, "agent_run" if run else "call", tasks.get(name, ""), 1.0)
        for name, run in zip(names, runs, strict=True)
    ]


def typical_costs(partitions: Partitions, artifact: Artifact, prices: Mapping[str, Price]) -> list[float]:
    """US dollars of the typical answer of each source: the mean over queries and models of what is expected.

    Args:
        partitions: The encoded training records.
        artifact: An artifact with the sources.
        prices: Prices by model.
    """
    costs = CostModel.from_artifact(artifact, prices)
    sums = partitions.reduce(_expected_calls, costs, len(artifact.sources))
    calls = divide(sums["dollars"], sums["n"])
    weight = np.ones(len(costs.known)) / len(costs.known)
    of_cluster = np.where(np.isfinite(costs.cluster_cost), costs.cluster_cost, 0.0) @ weight
    typical = []
    for code, source in enumerate(artifact.sources):
        recorded = of_cluster[artifact.cluster_sources == code].mean()
        value = calls[code] if source.kind == "call" and np.isfinite(calls[code]) else recorded
        typical.append(float(value) if value > 0 else artifact.manifest.typical_cost)
    return typical


def with_typical_costs(artifact: Artifact, typical: Sequence[float] | None) -> Artifact:
    """The artifact with what is typical of each source.

    Args:
        artifact: An artifact with the sources.
        typical: US dollars of the typical answer of each source. None: the artifact's typical cost for all.
    """
    sources = artifact.manifest.sources
    values = [artifact.manifest.typical_cost] * len(sources) if typical is None else typical
    replaced = [
        msgspec.structs.replace(source, typical_cost=value) for source, value in zip(sources, values, strict=False)
    ]
    return dataclasses.replace(artifact, manifest=msgspec.structs.replace(artifact.manifest, sources=replaced))


def _usage_counts(table: RecordTable) -> dict[str, Array]:
    reported = np.isfinite(table.cost) | np.isfinite(table.tokens[:, :, 0])
    counts = {"usages": reported, "agent_runs": table.agent_run & reported}
    return {
        name: np.bincount(table.source, which.sum(axis=1).astype(np.float64), len(table.sources)).astype(np.float64)
        for name, which in counts.items()
    }


def _expected_calls(table: RecordTable, costs: CostModel, n_sources: int) -> dict[str, Any]:
    """Sums over the queries of each source of the mean expected cost of a call, over the models with a price."""
    assert table.encoded is not None
    if not costs.priced.any():
        return {"dollars": np.zeros(n_sources), "n": np.zeros(n_sources)}
    design = np.hstack([np.ones((len(table), 1)), table.encoded[:, :-1]])
    lengths = np.exp(np.clip(design @ costs.length_weights[:, costs.priced], *costs.length_range[:, costs.priced]))
    input_tokens = np.maximum(table.encoded[:, -1:] / costs.characters_per_token, 1.0)
    dollars = input_tokens * costs.input_price[costs.priced] + lengths * costs.output_price[costs.priced]
    return {
        "dollars": np.bincount(table.source, dollars.mean(axis=1), minlength=n_sources),
        "n": np.bincount(table.source, minlength=n_sources).astype(np.float64),
    }
