"""Two routers on the same queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._utils.results import Result
from ..embedders.base import embed_all
from ..records.table import RecordTable
from ..routing.router import Router
from ..routing.scoring import check_alpha
from .bootstrap import Interval
from .curves import ALPHAS, area_under_curve, available, cost_range, measure, singles
from .evaluate import router_choices
from .metrics import paired_test

__all__ = ["ComparedSetting", "Comparison", "compare_routers"]

Pair = tuple[float, float]


@dataclass(frozen=True)
class ComparedSetting:
    """Two routers at one alpha. Intervals are 95% bootstrap intervals; differences are the first minus the second.

    Attributes:
        alpha: The alpha of both.
        accuracy: Mean score over queries of the first and of the second.
        cost_usd: Mean US dollars a query of the first and of the second.
        difference: Difference in accuracy.
        interval: Its interval.
        p_value: Two-sided, of no difference in accuracy.
        test: Test behind the p-value, see `metrics.PairedTest`.
        wins: Queries on which the first scored higher.
        losses: Queries on which the first scored lower.
        cost_usd_interval: Interval of the difference in US dollars a query.
    """

    alpha: float
    accuracy: Pair
    cost_usd: Pair
    difference: float
    interval: Interval
    p_value: float
    test: str
    wins: int
    losses: int
    cost_usd_interval: Interval


@dataclass(frozen=True)
class Comparison(Result):
    """Two routers on the same queries.

    Attributes:
        queries: Number of judged queries.
        auc: Area under the accuracy-cost curve of the first and of the second, over datasets (`area_under_curve`).
        settings: One entry per alpha.
    """

    queries: int
    auc: Pair
    settings: list[ComparedSetting]


def compare_routers(
    first: Router, second: Router, table: RecordTable, *, alphas: Sequence[float] = (0.25, 0.5, 0.75, 1.0)
) -> Comparison:
    """Compare two routers at each alpha, query by query.

    Args:
        first: A router.
        second: Another router.
        table: Records with query texts. Both routers choose among the models that answered a query and that they know.
        alphas: Alphas to compare at, in [0, 1].

    Raises:
        RecordError: If a router knows none of the models that answered some query.
        ValueError: If an alpha is outside [0, 1].
        MissingExtraError: If scipy is not installed.
    """
    listed = [check_alpha(alpha) for alpha in alphas]
    table = table.rows(np.asarray(available(table).any(axis=1)))
    grid = np.array(sorted({*ALPHAS, *listed}))
    low, high = cost_range(singles(table))
    chosen = [
        router_choices(router, table, embed_all(router.embedder, table.queries), grid) for router in (first, second)
    ]
    areas = [area_under_curve(measure(table, choices), low, high) for choices in chosen]
    at = {float(alpha): position for position, alpha in enumerate(grid)}
    settings = [_compare(table, alpha, *(choices[at[alpha]] for choices in chosen)) for alpha in listed]
    return Comparison(len(table), (areas[0], areas[1]), settings)


def _compare(table: RecordTable, alpha: float, first: NDArray[np.intp], second: NDArray[np.intp]) -> ComparedSetting:
    rows = np.arange(len(table))
    scores = [table.scores[rows, chosen].astype(np.float64) for chosen in (first, second)]
    costs = [table.cost[rows, chosen] for chosen in (first, second)]
    score, cost = paired_test(*scores), paired_test(*costs)
    return ComparedSetting(
        alpha=alpha,
        accuracy=(float(scores[0].mean()), float(scores[1].mean())),
        cost_usd=(float(costs[0].mean()), float(costs[1].mean())),
        difference=score.difference,
        interval=score.interval,
        p_value=score.p_value,
        test=score.test,
        wins=score.wins,
        losses=score.losses,
        cost_usd_interval=cost.interval,
    )
