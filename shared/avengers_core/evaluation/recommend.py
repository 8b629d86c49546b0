"""The alpha that meets a target, from the rows of a sweep, and how certain that is over its seeds."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._utils.results import Result
from ..routing.statistics import Array
from .sweep_rows import SETTING, SweepRow, by_alpha, main_kind, summarize

__all__ = ["Recommendation", "Target", "recommend_alpha"]

_TARGET = re.compile(
    r"\s*(?P<what>accuracy|cost)\s*(?P<sign>>=|<=)\s*"
    r"(?:(?:(?P<share>[\d.]+)\s*(?P<percent>%)?\s*(?:of|\*)\s*)?(?P<single>best single)"
    r"|(?P<number>[\d.]+(?:e-?\d+)?))\s*",
    re.IGNORECASE,
)
#: Shortfalls that count as rounding, of accuracies and of US dollars.
_ACCURACY_TOLERANCE, _COST_TOLERANCE = 1e-9, 1e-15


@dataclass(frozen=True)
class Target:
    """An accuracy to reach, or a cost to stay within.

    Attributes:
        text: As it was written.
        of_accuracy: Whether it is an accuracy, or else a cost.
        of_best_single: Whether the amount is a multiple of the best single model's accuracy or cost.
        amount: That multiple, or an accuracy in [0, 1], or US dollars a query.
    """

    text: str
    of_accuracy: bool
    of_best_single: bool
    amount: float

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read a target, such as ``accuracy >= 98% of best single``.

        Args:
            text: See `recommend_alpha`.

        Raises:
            ValueError: If it is not understood.
        """
        match = _TARGET.fullmatch(text)
        if match is None or (match["what"].lower() == "accuracy") != (match["sign"] == ">="):
            raise ValueError(
                f"target {text!r} is not understood; write 'accuracy >= best single', 'accuracy >= 98% of best "
                "single', 'accuracy >= 0.7', 'cost <= 50% of best single' or 'cost <= 0.0004' (US dollars a query)"
            )
        single = match["single"] is not None
        amount = float(match["share"] or 1) / (100 if match["percent"] else 1) if single else float(match["number"])
        return cls(text, match["what"].lower() == "accuracy", single, amount)

    def best(self, accuracy: Array, cost: Array, limit: float, max_cost: float | None) -> int | None:
        """Find the best alpha of one curve: the cheapest for an accuracy, the most accurate for a cost.

        Args:
            accuracy: (a,) accuracies.
            cost: (a,) US dollars a query.
            limit: The accuracy to reach, or the US dollars a query to stay within.
            max_cost: Limit on the cost in addition to the target, in US dollars a query. None if there is no limit.

        Returns:
            Its position, or None if no alpha meets the target.
        """
        met: NDArray[np.bool_]
        met = accuracy >= limit - _ACCURACY_TOLERANCE if self.of_accuracy else cost <= limit + _COST_TOLERANCE
        if max_cost is not None:
            met = met & (cost <= max_cost)
        order = np.lexsort((-accuracy, cost) if self.of_accuracy else (cost, -accuracy))
        return next((int(position) for position in order if met[position]), None)


@dataclass(frozen=True)
class Recommendation(Result):
    """The alpha that meets a target, at the setting of a sweep with the best area under the curve.

    Attributes:
        target: The target, as it was written.
        max_cost_usd: Limit on the cost in addition to the target, in US dollars a query. None if there is none.
        alpha: The recommended alpha.
        alpha_interval: Lowest and highest alpha that the single seeds would choose. None if no single seed meets the
            target.
        seeds: Number of seeds.
        seeds_met: Number of seeds that meet the target at some alpha.
        embedder: Name of the embedder.
        scoring: ``utility``, ``reference`` or ``simple``.
        n_clusters: Number of clusters.
        top_k: Nearest clusters that count. None is the scoring's default.
        beta: Sharpness of the clusters' weights. None is the scoring's default.
        kind: What was judged: ``call``, or ``agent_run`` if there were no calls.
        accuracy: Mean accuracy over seeds at this alpha.
        accuracy_sd: Its standard deviation over seeds.
        cost_usd: Mean US dollars a query over seeds at this alpha.
        cost_usd_sd: Its standard deviation over seeds.
        best_single_accuracy: Mean accuracy over seeds of the best single model.
        best_single_cost_usd: Mean US dollars a query over seeds of the best single model.
    """

    target: str
    max_cost_usd: float | None
    alpha: float
    alpha_interval: tuple[float, float] | None
    seeds: int
    seeds_met: int
    embedder: str
    scoring: str
    n_clusters: int
    top_k: int | None
    beta: float | None
    kind: str
    accuracy: float
    accuracy_sd: float
    cost_usd: float
    cost_usd_sd: float
    best_single_accuracy: float
    best_single_cost_usd: float

    @property
    def per_request(self) -> dict[str, float]:
        """The options that ask the same of each request by itself: ``min_quality``, ``max_cost``, both or none."""
        target, options = Target.parse(self.target), dict[str, float]()
        if target.of_accuracy and target.of_best_single and target.amount < 1:
            options["min_quality"] = target.amount
        limits = [self.max_cost_usd, None if target.of_accuracy or target.of_best_single else target.amount]
        if known := [limit for limit in limits if limit is not None]:
            options["max_cost"] = min(known)
        return options


def recommend_alpha(
    rows: Sequence[SweepRow], target: str = "accuracy >= best single", *, max_cost_usd: float | None = None
) -> Recommendation:
    """Recommend an alpha of the sweep's best setting (by area under the curve) for a target.

    An accuracy is reached by the cheapest alpha, and a cost is kept by the most accurate one, both by their means over
    seeds.

    Args:
        rows: Rows of a sweep. More seeds give a better interval.
        target: ``accuracy >= best single``, ``accuracy >= 98% of best single``, ``accuracy >= 0.7``,
            ``cost <= 50% of best single`` or ``cost <= 0.0004`` (US dollars a query).
        max_cost_usd: Limit on the cost in addition to the target, in US dollars a query. Default: no limit.

    Raises:
        ValueError: If there are no rows, the target is not understood, or no alpha meets it; the message says how near
            one comes.
    """
    aim = Target.parse(target)
    if max_cost_usd is not None and not 0 <= max_cost_usd < math.inf:
        raise ValueError(f"max_cost_usd must be 0 or more US dollars, not {max_cost_usd!r}")
    if not rows:
        raise ValueError("the sweep has no finished rows to recommend from")
    kind = main_kind(rows)
    rows = [row for row in rows if row.kind == kind]
    setting = summarize(rows)[0].setting
    alphas, accuracy, cost, single_accuracy, single_cost = by_alpha(
        [row for row in rows if row.setting == setting],
        "accuracy",
        "cost_usd",
        "best_single_accuracy",
        "best_single_cost_usd",
    )
    single = (single_accuracy if aim.of_accuracy else single_cost)[:, 0]
    limits = single * aim.amount if aim.of_best_single else np.full(len(accuracy), aim.amount)
    position = aim.best(accuracy.mean(axis=0), cost.mean(axis=0), float(limits.mean()), max_cost_usd)
    if position is None:
        raise ValueError(_shortfall(aim, float(limits.mean()), accuracy.mean(axis=0), cost.mean(axis=0), max_cost_usd))
    by_seed = [aim.best(*curve, max_cost_usd) for curve in zip(accuracy, cost, limits.tolist(), strict=True)]
    met = [float(alphas[at]) for at in by_seed if at is not None]
    return Recommendation(
        target=target,
        max_cost_usd=max_cost_usd,
        alpha=float(alphas[position]),
        alpha_interval=(min(met), max(met)) if met else None,
        seeds=len(accuracy),
        seeds_met=len(met),
        **dict(zip(SETTING, setting, strict=True)),
        accuracy=float(accuracy[:, position].mean()),
        accuracy_sd=float(accuracy[:, position].std()),
        cost_usd=float(cost[:, position].mean()),
        cost_usd_sd=float(cost[:, position].std()),
        best_single_accuracy=float(single_accuracy[:, 0].mean()),
        best_single_cost_usd=float(single_cost[:, 0].mean()),
    )


def _shortfall(target: Target, limit: float, accuracy: Array, cost: Array, max_cost: float | None) -> str:
    """How near the (a,) mean accuracies and costs come to a target that no alpha meets."""
    allowed = np.ones(len(cost), bool) if max_cost is None else cost <= max_cost
    most = f"{accuracy[allowed].max():.4f}" if allowed.any() else "none"
    within = "" if max_cost is None else f" within ${max_cost:g} a query"
    return (
        f"no alpha meets {target.text!r} (on average {limit:.4g}): the highest accuracy{within} is {most}, the lowest "
        f"cost ${cost.min():.3g} a query"
    )
