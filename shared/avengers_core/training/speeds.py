"""What an artifact knows of speeds, taken anew from the calls of a ledger."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from ..catalog.catalog import Catalog, default_catalog
from ..routing.extending import with_models
from ..routing.manifest import Artifact
from ..routing.statistics import Array

__all__ = ["with_timing"]


def with_timing(artifact: Artifact, timing: Mapping[str, Sequence[float]], catalog: Catalog | None = None) -> Artifact:
    """The artifact with these durations in place of those that it has of the same models.

    A model that it does not have is added with what the catalogue knows of it.

    Args:
        artifact: A trained artifact; it is not changed.
        timing: Sums by `avengers_core.records.schema.TIMING` for each model, as from `Ledger.timing`.
        catalog: Knows models. Default: the one in the package.

    Raises:
        ValueError: If all of the artifact's records are agent runs, whose durations are not those of calls.
    """
    calls = np.flatnonzero(~artifact.agent_runs)
    if not len(calls):
        raise ValueError("this artifact knows runs of agents only, whose durations are not those of calls")
    catalog = catalog or default_catalog()
    known = {str(catalog.find(name) or name): name for name in reversed(artifact.models)}
    sums: dict[str, Array] = {}
    for name, values in timing.items():
        own = name if name in artifact.models else known.get(str(catalog.find(name) or name), name)
        sums[own] = np.asarray(values, dtype=np.float64) + sums.get(own, 0.0)
    artifact = with_models(artifact, sums, catalog, strict=False)
    new = artifact.statistics.timing.copy()
    for name, total in sums.items():
        column = artifact.models.index(name)
        new[:, column] = 0.0
        new[calls[0], column] = total  # only the sum over clusters counts
    return dataclasses.replace(artifact, statistics=dataclasses.replace(artifact.statistics, timing=new))
