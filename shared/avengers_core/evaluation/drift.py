"""Whether live queries are still those that the router was trained on, and cost what it expects."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from .._utils.results import Result
from ..routing.manifest import Artifact
from ..routing.statistics import Array

__all__ = [
    "COST_RATIO_THRESHOLD",
    "MIN_QUERIES",
    "PSI_THRESHOLD",
    "UNFAMILIAR_THRESHOLD",
    "ClusterShare",
    "Drift",
    "ModelCost",
    "measure_drift",
    "stability_index",
]

#: Queries, and calls of known cost, that are needed to judge by.
MIN_QUERIES = 200
#: Population stability index above which clusters have shifted. The usual rule of thumb: 0.1 some, 0.25 much.
PSI_THRESHOLD = 0.25
#: Share of unfamiliar queries above which the router should be trained again; 0.01 is normal.
UNFAMILIAR_THRESHOLD = 0.05
#: Real over expected cost above which, or below whose inverse, the artifact's prices are out of date.
COST_RATIO_THRESHOLD = 1.25
#: Standard errors on each side of a 95% interval.
Z_95 = 1.96


class ClusterShare(NamedTuple):
    """How often queries fall into a cluster.

    Attributes:
        cluster: Number of the cluster.
        training: Its share of the training queries.
        live: Its share of the live queries.
    """

    cluster: int
    training: float
    live: float


@dataclass(frozen=True)
class ModelCost:
    """What the calls of one model cost, as far as both costs are known.

    Attributes:
        calls: Number of calls.
        cost_usd: US dollars that they cost.
        expected_cost_usd: US dollars that the router expected.
    """

    calls: int
    cost_usd: float
    expected_cost_usd: float


@dataclass(frozen=True)
class Drift(Result):
    """What a ledger's calls say about the artifact that routed them.

    Attributes:
        queries: Queries that this artifact routed.
        others: Calls that another artifact routed, or whose cluster was not recorded.
        stability_index: Population stability index of the clusters' shares (`stability_index`). None if there are too
            few queries.
        shares: Shares of the clusters, the most changed first.
        unfamiliar: Share of the queries that are less similar to the training queries than 99% of those are: 0.01
            without drift. None if there are no queries.
        cost_ratio: Real over expected cost. None if too few costs are known.
        cost_interval: 95% interval of ``cost_ratio``.
        models: Costs by model.
        advice: What to do, in words. Empty if there is nothing to do.
        retrain: Whether the advice is to train again.
    """

    queries: int = 0
    others: int = 0
    stability_index: float | None = None
    shares: list[ClusterShare] = field(default_factory=list)
    unfamiliar: float | None = None
    cost_ratio: float | None = None
    cost_interval: tuple[float, float] | None = None
    models: dict[str, ModelCost] = field(default_factory=dict)
    advice: list[str] = field(default_factory=list)
    retrain: bool = False


def measure_drift(artifact: Artifact, entries: Iterable[Mapping[str, Any]]) -> Drift:
    """Compare the rows of a ledger with the artifact that routed them.

    Args:
        artifact: The artifact.
        entries: Rows as `Ledger.entries` returns them.
    """
    counts = _Counts(artifact)
    for row in entries:
        counts.add(row)
    queries, size = counts.queries, artifact.statistics.n_queries
    unfamiliar = counts.unfamiliar / queries if queries else None
    index = ratio = interval = None
    advice: list[str] = []
    retrain = False
    if queries < MIN_QUERIES:
        advice.append(f"only {queries} queries: {MIN_QUERIES} are needed to judge by")
    else:
        index = stability_index(size, counts.clusters) if counts.clusters.sum() else None
        advice += _query_advice(index, unfamiliar or 0.0, queries)
        retrain = bool(advice)
        if len(counts.costs) >= MIN_QUERIES:
            ratio, interval = _cost_ratio(counts.costs)
            advice += _cost_advice(ratio, interval)
    return Drift(
        queries=queries,
        others=counts.others,
        stability_index=index,
        shares=_shares(size, counts.clusters),
        unfamiliar=unfamiliar,
        cost_ratio=ratio,
        cost_interval=interval,
        models=counts.models,
        advice=advice,
        retrain=retrain,
    )


def stability_index(before: Array, after: Array) -> float:
    """Population stability index of two sets of counts, minus its expectation if nothing has changed.

    ``sum((q - p) * ln(q / p))`` over the bins' shares p and q, with half a count added to each bin. Without change its
    mean is near ``(bins - 1) * (1 / n + 1 / m)``: it is then a sum of two chi-squares (Yurdakul 2018).

    Args:
        before: (k,) counts of the training queries.
        after: (k,) counts of the live queries.

    Returns:
        The index, at least 0.
    """
    p, q = ((counts + 0.5) / (counts + 0.5).sum() for counts in (before, after))
    chance = (len(p) - 1) * (1 / before.sum() + 1 / after.sum())
    return max(0.0, float((q - p) @ np.log(q / p) - chance))


class _Counts:
    """Sums over the rows of a ledger."""

    def __init__(self, artifact: Artifact) -> None:
        self._name = artifact.manifest.checksum[:12]
        self._ood_threshold = artifact.manifest.ood_threshold
        self.queries = self.others = self.unfamiliar = 0
        self.clusters = np.zeros(len(artifact.centers))  # of the familiar queries
        self.costs: list[tuple[float, float]] = []  # real and expected
        self.models: dict[str, ModelCost] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        if row["artifact"] != self._name or row["cluster"] is None:
            self.others += 1
            return
        if row["attempt"] == 0:
            self.queries += 1
            unfamiliar = row["similarity"] < self._ood_threshold
            self.unfamiliar += unfamiliar
            self.clusters[row["cluster"]] += not unfamiliar
        if row["status"] == "ok" and row["cost_usd"] is not None and row["expected_cost_usd"]:
            real, expected = float(row["cost_usd"]), float(row["expected_cost_usd"])
            self.costs.append((real, expected))
            sums = self.models.get(row["model"], ModelCost(0, 0.0, 0.0))
            self.models[row["model"]] = ModelCost(
                sums.calls + 1, sums.cost_usd + real, sums.expected_cost_usd + expected
            )


def _shares(training: Array, live: Array) -> list[ClusterShare]:
    if not live.sum():
        return []
    before, after = training / training.sum(), live / live.sum()
    order = np.argsort(-np.abs(after - before), kind="stable")
    return [ClusterShare(int(c), float(before[c]), float(after[c])) for c in order]


def _query_advice(index: float | None, unfamiliar: float, queries: int) -> list[str]:
    advice = []
    if index is not None and index > PSI_THRESHOLD:
        advice.append(f"retrain: queries have moved between clusters (stability index {index:.2f} > {PSI_THRESHOLD})")
    margin = Z_95 * math.sqrt(unfamiliar * (1 - unfamiliar) / queries)
    if unfamiliar - margin > UNFAMILIAR_THRESHOLD:
        advice.append(f"retrain: {unfamiliar:.0%} of queries are unlike all training queries (1% is normal)")
    return advice


def _cost_ratio(costs: list[tuple[float, float]]) -> tuple[float, tuple[float, float]]:
    """Real over expected cost, and its 95% interval (ratio estimator, Cochran 1977)."""
    real, expected = np.array(costs).T
    ratio = float(real.sum() / expected.sum())
    error = Z_95 * float(np.std(real - ratio * expected)) / float(expected.mean()) / math.sqrt(len(costs))
    return ratio, (ratio - error, ratio + error)


def _cost_advice(ratio: float, interval: tuple[float, float]) -> list[str]:
    low, high = interval
    if high >= 1 / COST_RATIO_THRESHOLD and low <= COST_RATIO_THRESHOLD:
        return []
    return [
        f"update: calls cost {ratio:.2f} times what is expected; give the artifact today's prices (avengers update "
        "--prices latest), or new records if its prices are right already"
    ]
