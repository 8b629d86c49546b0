"""Whether live queries are still those that the router was trained on, and cost what it expects."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..routing.manifest import Artifact
from ..routing.statistics import Array

#: Least queries to judge by; population stability index above which clusters have shifted (the index's usual rule of
#: thumb: .1 some, .25 much), share of unfamiliar queries, and ratio of real to expected cost that are too much.
LEAST, PSI_THRESHOLD, UNFAMILIAR, COST_RATIO = 200, 0.25, 0.05, 1.25


@dataclass
class Drift:
    """What a ledger's calls tell of an artifact.

    Attributes:
        queries: calls that this artifact routed; ``others`` were routed by another, or by a version that did not note
            their cluster.
        stability_index: population stability index of the clusters' shares, less what chance alone would make it
            (``(k - 1) * (1 / queries + 1 / training queries)``); never below 0.
        shares: cluster, its share in training and its share now, most changed first.
        unfamiliar: share of queries less like the training queries than 99% of those are; 0.01 without drift.
        cost_ratio: real cost over expected cost, with a 95% interval; None where too few costs are known.
        models: by id: calls, real dollars, expected dollars of those whose cost is known.
        advice: what to do, in words; empty where nothing is to be done. retrain: whether that is to train again.
    """

    queries: int = 0
    others: int = 0
    stability_index: float | None = None
    shares: list[tuple[int, float, float]] = field(default_factory=list)
    unfamiliar: float | None = None
    cost_ratio: float | None = None
    cost_interval: tuple[float, float] | None = None
    models: dict[str, dict[str, float]] = field(default_factory=dict)
    advice: list[str] = field(default_factory=list)
    retrain: bool = False


def measure_drift(artifact: Artifact, entries: Iterable[Mapping[str, Any]]) -> Drift:
    """Compare the rows of a ledger (`Ledger.entries`) with the artifact that routed them."""
    manifest, k = artifact.manifest, len(artifact.centers)
    drift, counts, unfamiliar = Drift(), np.zeros(k), 0
    costs: list[tuple[float, float]] = []
    for row in entries:
        if row["artifact"] != manifest.checksum[:12] or row["cluster"] is None:
            drift.others += 1
            continue
        if row["attempt"] == 0:
            drift.queries += 1
            strange = row["similarity"] < manifest.ood_threshold
            unfamiliar += strange
            counts[row["cluster"]] += not strange
        if row["status"] == "ok" and row["cost_usd"] is not None and row["expected_cost_usd"]:
            pair = float(row["cost_usd"]), float(row["expected_cost_usd"])
            costs.append(pair)
            told = drift.models.setdefault(row["model"], {"calls": 0, "cost_usd": 0.0, "expected_cost_usd": 0.0})
            told["calls"] += 1
            told["cost_usd"] += pair[0]
            told["expected_cost_usd"] += pair[1]
    size = artifact.statistics.n_queries
    if counts.sum():
        before, after = size / size.sum(), counts / counts.sum()
        order = np.argsort(-np.abs(after - before), kind="stable")
        drift.shares = [(int(c), float(before[c]), float(after[c])) for c in order]
    if drift.queries:
        drift.unfamiliar = unfamiliar / drift.queries
    if drift.queries < LEAST:
        drift.advice.append(f"only {drift.queries} queries: {LEAST} are needed to judge by")
        return drift
    if counts.sum():
        drift.stability_index = stability_index(size, counts)
    _advise(drift, costs)
    return drift


def stability_index(before: Array, after: Array) -> float:
    """Population stability index of two sets of counts, less its expectation where nothing has changed.

    ``sum((q - p) * ln(q / p))`` over the bins' shares p and q, half a count added to each bin. Without change it is
    near ``(bins - 1) * (1 / n + 1 / m)`` (it is a sum of two chi-squares then; Yurdakul 2018).
    """
    p, q = ((counts + 0.5) / (counts + 0.5).sum() for counts in (before, after))
    chance = (len(p) - 1) * (1 / before.sum() + 1 / after.sum())
    return max(0.0, float((q - p) @ np.log(q / p) - chance))


def _advise(drift: Drift, costs: list[tuple[float, float]]) -> None:
    index = drift.stability_index
    if index is not None and index > PSI_THRESHOLD:
        drift.retrain = True
        drift.advice.append(
            f"retrain: queries have moved between clusters (stability index {index:.2f} > {PSI_THRESHOLD})"
        )
    share = drift.unfamiliar or 0.0
    margin = 1.96 * math.sqrt(share * (1 - share) / drift.queries)
    if share - margin > UNFAMILIAR:
        drift.retrain = True
        drift.advice.append(f"retrain: {share:.0%} of queries are unlike all training queries (1% is normal)")
    if len(costs) >= LEAST:
        real, expected = np.array(costs).T
        ratio = real.sum() / expected.sum()
        error = 1.96 * float(np.std(real - ratio * expected)) / expected.mean() / math.sqrt(len(costs))
        drift.cost_ratio, drift.cost_interval = float(ratio), (float(ratio - error), float(ratio + error))
        if ratio - error > COST_RATIO or ratio + error < 1 / COST_RATIO:
            drift.advice.append(
                f"update: calls cost {ratio:.2f} times what is expected; give the artifact today's prices (avengers "
                "update --prices latest), and where they are right already, new records"
            )
