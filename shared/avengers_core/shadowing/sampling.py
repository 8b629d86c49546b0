"""Which requests are asked again: some of each kind of task and of each model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .types import ShadowRequest

__all__ = ["stratified_sample"]


def stratified_sample(
    requests: Sequence[ShadowRequest], clusters: NDArray[np.intp], count: int, seed: int = 0
) -> list[ShadowRequest]:
    """A sample that holds each cluster and each model in proportion. Equal queries are taken once.

    Args:
        requests: What users asked.
        clusters: (n,) the router's cluster of each.
        count: How many are wanted.
        seed: Seed of the choice.
    """
    rng = np.random.default_rng(seed)
    groups: dict[tuple[int, str], list[int]] = {}
    seen: set[str] = set()
    for position in rng.permutation(len(requests)).tolist():
        request = requests[position]
        if request.query not in seen:
            seen.add(request.query)
            groups.setdefault((int(clusters[position]), request.model), []).append(position)
    place = {
        position: (rank + rng.random()) / len(group) for group in groups.values() for rank, position in enumerate(group)
    }
    chosen = sorted(sorted(place, key=lambda position: place[position])[:count])
    return [requests[position] for position in chosen]
