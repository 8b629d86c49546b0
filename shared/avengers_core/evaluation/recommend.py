"""The alpha that meets a target, from the rows of a sweep, with how sure that is over its seeds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..routing.statistics import Array
from .sweep import SETTING, by_alpha, summarize

_TARGET = re.compile(
    r"\s*(?P<what>accuracy|cost)\s*(?P<sign>>=|<=)\s*"
    r"(?:(?:(?P<share>[\d.]+)\s*(?P<percent>%)?\s*(?:of|\*)\s*)?(?P<single>best single)"
    r"|(?P<number>[\d.]+(?:e-?\d+)?))\s*",
    re.IGNORECASE,
)


def recommend(
    rows: Sequence[dict[str, Any]], target: str = "accuracy >= best single", *, max_cost: float | None = None
) -> dict[str, Any]:
    """The best alpha of the sweep's best setting (by AUC) for a target.

    An accuracy to reach is met by the cheapest alpha, a cost to hold by the most accurate one, both by their means over
    seeds. The interval holds the alphas that the single seeds would choose; a seed that no alpha meets is counted.

    Args:
        rows: of `sweep`; more seeds make a better interval.
        target: ``accuracy >= best single``, ``accuracy >= 98% of best single``, ``accuracy >= 0.7``,
            ``cost <= 50% of best single`` or ``cost <= 0.0004`` (US dollars a query).
        max_cost: US dollars a query at the most, together with a target of accuracy.

    Returns:
        ``alpha``, ``alpha_interval``, ``seeds``, ``seeds_met``, the setting, and at that alpha ``accuracy`` and
        ``cost`` with their standard deviations over seeds, beside ``best_single_accuracy`` and ``best_single_cost``.

    Raises:
        ValueError: the target is not understood, or no alpha meets it; the message says how near one comes.
    """
    found = _TARGET.fullmatch(target)
    if found is None or (found["what"].lower() == "accuracy") != (found["sign"] == ">="):
        raise ValueError(
            f"target {target!r} is not understood; write 'accuracy >= best single', 'accuracy >= 98% of best single', "
            "'accuracy >= 0.7', 'cost <= 50% of best single' or 'cost <= 0.0004' (US dollars a query)"
        )
    best = summarize(rows)[0]
    chosen = [row for row in rows if all(row[name] == best[name] for name in SETTING)]
    alphas, accuracy, cost, single_accuracy, single_cost = by_alpha(
        chosen, "accuracy", "cost", "best_single_accuracy", "best_single_cost"
    )
    single = (single_accuracy if found["what"].lower() == "accuracy" else single_cost)[:, 0]
    if found["single"]:
        limit = single * (float(found["share"] or 1) / (100 if found["percent"] else 1))
    else:
        limit = np.full(len(accuracy), float(found["number"]))

    def pick(accuracies: Array, costs: Array, bound: float) -> int | None:
        """Position of the best alpha of one curve."""
        by_accuracy = found["what"].lower() == "accuracy"
        met = accuracies >= bound - 1e-9 if by_accuracy else costs <= bound + 1e-15
        if max_cost is not None:
            met &= costs <= max_cost
        if not met.any():
            return None
        order = np.lexsort((-accuracies, costs) if by_accuracy else (costs, -accuracies))
        return int(next(position for position in order if met[position]))

    position = pick(accuracy.mean(axis=0), cost.mean(axis=0), float(limit.mean()))
    if position is None:
        reach = accuracy.mean(axis=0)
        allowed = np.ones(len(alphas), bool) if max_cost is None else cost.mean(axis=0) <= max_cost
        most = f"{reach[allowed].max():.4f}" if allowed.any() else "none"
        within = "" if max_cost is None else f" within ${max_cost:g} a query"
        raise ValueError(
            f"no alpha meets {target!r} (on average {limit.mean():.4g}): the most accuracy{within} is {most}, the "
            f"least cost ${cost.mean(axis=0).min():.3g} a query"
        )
    each = [pick(accuracy[i], cost[i], float(limit[i])) for i in range(len(accuracy))]
    met = [float(alphas[one]) for one in each if one is not None]
    return {
        "target": target,
        "max_cost": max_cost,
        "alpha": float(alphas[position]),
        "alpha_interval": [min(met), max(met)] if met else None,
        "seeds": len(accuracy),
        "seeds_met": len(met),
        **{name: best[name] for name in SETTING},
        "accuracy": float(accuracy[:, position].mean()),
        "accuracy_sd": float(accuracy[:, position].std()),
        "cost": float(cost[:, position].mean()),
        "cost_sd": float(cost[:, position].std()),
        "best_single_accuracy": float(single_accuracy[:, 0].mean()),
        "best_single_cost": float(single_cost[:, 0].mean()),
    }
