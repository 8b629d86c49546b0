"""Two routers on the same queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..embedders.base import embed_all
from ..records.table import RecordTable
from ..routing.router import Router
from ..routing.scoring import check_alpha
from .evaluate import ALPHAS, available, measure, router_choices, singles
from .metrics import budget_auc, paired_test


def compare(
    first: Router, second: Router, table: RecordTable, *, alphas: Sequence[float] = (0.25, 0.5, 0.75, 1.0)
) -> dict[str, Any]:
    """Both routers at each alpha: accuracies (mean over queries), costs, and paired tests of their difference.

    Args:
        table: records with texts; both choose among the models that answered a query and that they know.

    Returns:
        ``queries``, ``auc`` of both (mean over datasets, as `evaluate_router`), and ``settings``: for each alpha
        ``accuracy`` and ``cost`` of both, ``difference`` with ``interval``, ``p_value``, ``wins``, ``losses``
        (`metrics.paired_test`), and ``cost_interval`` of the difference in US dollars a query.

    Raises:
        RecordError: a router has no model in common with some query's answers.
        MissingExtraError: scipy is not installed.
    """
    wanted = [check_alpha(alpha) for alpha in alphas]
    table = table.rows(np.asarray(available(table).any(axis=1)))
    grid = np.array(sorted({*ALPHAS, *wanted}))
    single = singles(table)
    low, high = float(single.cost.min()), float(single.cost.max())
    chosen = [
        router_choices(router, table, embed_all(router.embedder, table.queries), grid) for router in (first, second)
    ]
    areas = []
    for choices in chosen:
        curve = measure(table, choices, [])
        areas.append(budget_auc(curve.cost, curve.accuracy, low, high))
    rows = np.arange(len(table))
    settings = []
    for alpha in wanted:
        picks = [choices[int(np.flatnonzero(grid == alpha)[0])] for choices in chosen]
        scores = [table.scores[rows, pick].astype(np.float64) for pick in picks]
        costs = [table.cost[rows, pick] for pick in picks]
        score, dollars = paired_test(*scores), paired_test(*costs)
        settings.append(
            {
                "alpha": alpha,
                "accuracy": [float(one.mean()) for one in scores],
                "cost": [float(one.mean()) for one in costs],
                "difference": score.difference,
                "interval": list(score.interval),
                "p_value": score.p_value,
                "test": score.test,
                "wins": score.wins,
                "losses": score.losses,
                "cost_interval": list(dollars.interval),
            }
        )
    return {"queries": len(table), "auc": areas, "settings": settings}
