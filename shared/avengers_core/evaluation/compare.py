"""Two routers on the same queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._utils.html import html_table
from .._utils.results import Result, Table
from ..embedders.base import embed_all
from ..records.table import RecordTable
from ..routing.router import Router
from ..routing.scoring import check_alpha
from ..routing.statistics import Array
from .bootstrap import Interval
from .curves import ALPHAS, area_under_curve, cost_range, measure, singles
from .evaluate import router_choices
from .metrics import paired_test
from .outcome import left_out_table
from .panels import LeftOut, Panel, find_panels

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
        auc: Area under the accuracy-cost curve of the first and of the second, over datasets (`area_under_curve`); the
            mean over panels (`panels.Panel`).
        left_out: Queries that are not judged and models that are not compared, by source.
        settings: One entry per alpha.
    """

    queries: int
    auc: Pair
    left_out: list[LeftOut]
    settings: list[ComparedSetting]

    def tables(self) -> Iterator[Table]:
        """Both routers at each alpha, and what is left out."""
        yield Table(
            f"{self.queries:,} queries; AUC {self.auc[0]:.4f} and {self.auc[1]:.4f}; 95% intervals",
            ("alpha", "accuracy", "difference", "p", "wins", "losses", "$ per 1K queries", "difference of $"),
            [
                (
                    f"{row.alpha:g}",
                    f"{row.accuracy[0]:.4f}, {row.accuracy[1]:.4f}",
                    f"{row.difference:+.4f} [{row.interval[0]:+.4f}, {row.interval[1]:+.4f}]",
                    f"{row.p_value:.3g}",
                    str(row.wins),
                    str(row.losses),
                    f"{row.cost_usd[0] * 1000:.4f}, {row.cost_usd[1] * 1000:.4f}",
                    f"[{row.cost_usd_interval[0] * 1000:+.4f}, {row.cost_usd_interval[1] * 1000:+.4f}]",
                )
                for row in self.settings
            ],
        )
        if self.left_out:
            yield left_out_table(self.left_out)

    def _repr_html_(self) -> str:
        """The tables as a notebook shows them."""
        return "".join(map(html_table, self.tables()))


def compare_routers(
    first: Router, second: Router, table: RecordTable, *, alphas: Sequence[float] = (0.25, 0.5, 0.75, 1.0)
) -> Comparison:
    """Compare two routers at each alpha, query by query.

    Args:
        first: A router.
        second: Another router.
        table: Records with query texts. Both routers choose among models that both know and that answered the same
            queries of a source; runs of agents count only if there are no calls.
        alphas: Alphas to compare at, in [0, 1].

    Raises:
        RecordError: If no two models that both routers know answered the same query.
        ValueError: If an alpha is outside [0, 1].
        MissingExtraError: If scipy is not installed.
    """
    listed = [check_alpha(alpha) for alpha in alphas]
    grid = np.array(sorted({*ALPHAS, *listed}))
    found = find_panels(table, set(first.models) & set(second.models))
    panels = [panel for panel in found.panels if panel.kind == found.panels[0].kind]
    chosen = [_choices(router, table, panels, grid) for router in (first, second)]
    areas = [_mean_area(panels, choices) for choices in chosen]
    at = {float(alpha): position for position, alpha in enumerate(grid)}
    judged = [_judged(panels, choices) for choices in chosen]
    settings = [_compare(alpha, *(points[:, at[alpha]] for points in judged)) for alpha in listed]
    return Comparison(judged[0].shape[2], (areas[0], areas[1]), found.left_out, settings)


def _choices(router: Router, table: RecordTable, panels: Sequence[Panel], grid: Array) -> list[NDArray[np.intp]]:
    """For each panel, (s, n) columns of the chosen models."""
    vectors = embed_all(router.embedder, table.queries)
    return [router_choices(router, panel.table, vectors[panel.rows], grid) for panel in panels]


def _mean_area(panels: Sequence[Panel], choices: Sequence[NDArray[np.intp]]) -> float:
    areas = [
        area_under_curve(measure(panel.table, chosen), *cost_range(singles(panel.table)))
        for panel, chosen in zip(panels, choices, strict=True)
    ]
    return float(np.mean(areas))


def _judged(panels: Sequence[Panel], choices: Sequence[NDArray[np.intp]]) -> Array:
    """(2, s, n) scores and US dollars of the choices, over the queries of all panels."""
    parts = []
    for panel, chosen in zip(panels, choices, strict=True):
        rows = np.arange(len(panel.table))
        parts.append(np.stack([panel.table.scores[rows, chosen].astype(np.float64), panel.table.cost[rows, chosen]]))
    return np.concatenate(parts, axis=2)


def _compare(alpha: float, first: Array, second: Array) -> ComparedSetting:
    """Compare (2, n) scores and US dollars of two routers."""
    scores, costs = (first[0], second[0]), (first[1], second[1])
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
