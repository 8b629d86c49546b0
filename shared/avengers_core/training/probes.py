"""The training queries from which it follows what alpha means for a set of candidates; see `routing.exchange`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..pricing.types import Price
from ..records.partitions import Partitions
from ..routing.clusters import Clusters
from ..routing.costs import CostModel, log_dollars
from ..routing.features import encoded_width, split_encoded
from ..routing.manifest import Artifact
from ..routing.scorers import Utility
from ..routing.statistics import Array
from .clustering import sample_rows

__all__ = ["N_PROBES", "with_probes"]

#: Training queries that are kept.
N_PROBES = 128

#: Training queries that they are taken from.
_SAMPLE_SIZE = 8192

#: The largest number that is kept: half-precision numbers end a little above.
_LARGEST = 60_000.0


def with_probes(artifact: Artifact, partitions: Partitions, prices: Mapping[str, Price], n_probes: int) -> Artifact:
    """The artifact with some of its training queries, spread evenly over their mean log expected cost.

    Each source has the same number of queries in the sample that they are taken from, and agent runs have none unless
    there is nothing else.

    Args:
        artifact: A trained artifact.
        partitions: The encoded training records.
        prices: Prices by model.
        n_probes: Number of queries to keep; 0 for none.
    """
    if not n_probes:
        return artifact
    runs = [source.kind == "agent_run" for source in artifact.manifest.sources]
    calls = [code for code, run in enumerate(runs) if not run or all(runs)]
    sources: list[int | None] = [*calls] or [None]
    size, seed = _SAMPLE_SIZE // len(sources), artifact.manifest.settings.random_state
    width = encoded_width(artifact.centers.shape[1])
    sample = np.concatenate([sample_rows(partitions, width, size, seed, source)[0] for source in sources])
    encoded = np.minimum(sample, _LARGEST).astype(np.float16)
    if len(encoded) > n_probes:
        order = np.argsort(_log_costs(artifact, prices, encoded), kind="stable")
        encoded = encoded[order[((np.arange(n_probes) + 0.5) / n_probes * len(order)).astype(int)]]
    manifest = msgspec.structs.replace(artifact.manifest, n_probes=len(encoded))
    return dataclasses.replace(artifact, manifest=manifest, probes=encoded)


def _log_costs(artifact: Artifact, prices: Mapping[str, Price], encoded: NDArray[np.float16]) -> Array:
    """(n,) mean over the models of the log of a query's expected cost over what is typical of its source."""
    costs, settings = CostModel.from_artifact(artifact, prices), artifact.manifest.settings
    vectors, features, characters = split_encoded(encoded)
    beta = Utility.beta if settings.beta is None else settings.beta
    weights, _, _ = Clusters.from_artifact(artifact).weigh(vectors, settings.top_k, beta)
    dollars = costs.expect_encoded(vectors, features, characters, weights).costs
    logs = log_dollars(dollars)[:, costs.known]
    if not logs.shape[1]:
        return np.zeros(len(encoded))
    return np.asarray(logs.mean(axis=1) - weights @ np.log(artifact.typical_costs))
