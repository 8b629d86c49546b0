"""How sure the figures of a curve are: intervals over resampled queries.

scipy's bootstrap resamples one statistic at a time; here one draw of queries serves every setting, model and figure.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..records.table import RecordTable
from ..routing.statistics import Array, divide
from .metrics import curve_figures

#: A single model with fewer answers is not taken for the best one, as it is no candidate of a router.
MIN_ANSWERS = 20


def answered_enough(answers: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which of the single models, by their numbers of answers, may be the best one; all where none has many."""
    return np.asarray(answers >= min(MIN_ANSWERS, int(answers.max())))


def figure_intervals(
    table: RecordTable,
    choices: NDArray[np.intp],
    oracle: NDArray[np.intp],
    *,
    confidence: float = 0.95,
    resamples: int = 500,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """`metrics.curve_figures` of a router's curve, each with its percentile interval (Efron 1979).

    Queries are drawn with replacement within their dataset, and the single models and the oracle are judged on the
    same draw. Figures of the best setting (``perf_gain``, ``cost_save``, ``oracle_share``) take each draw's best one,
    and so are a little too good: `recommend` says what one alpha does over splits.

    Args:
        table: judged records.
        choices: (s, n) columns of the chosen models at each setting. oracle: (n,) those of the oracle.

    Returns:
        ``{figure: {"value", "interval"}}``; a figure that does not exist is None.
    """
    rng = np.random.default_rng(seed)
    draws = np.ones((1 + resamples, len(table)))
    for code in np.unique(table.dataset):
        rows = np.flatnonzero(table.dataset == code)
        draws[1:, rows] = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=resamples)
    rows = np.arange(len(table))
    curve = _means(table, draws, table.scores[rows, choices].T.astype(np.float64))
    dollars = draws @ table.cost[rows, choices].T / len(table)
    best_possible = _means(table, draws, table.scores[rows, oracle][:, None].astype(np.float64))[:, 0]
    known = ~np.isnan(table.scores) & ~np.isnan(table.cost)
    asked = known.any(axis=0)
    scores = np.where(known, table.scores, np.nan).astype(np.float64)[:, asked]
    single = _means(table, draws, scores)
    single_cost = divide(draws @ np.where(known, table.cost, 0.0)[:, asked], draws @ known[:, asked].astype(np.float64))
    enough = answered_enough(known[:, asked].sum(axis=0))
    drawn = []
    for draw in range(len(draws)):
        there = np.isfinite(single[draw]) & np.isfinite(single_cost[draw])
        drawn.append(
            curve_figures(
                dollars[draw],
                curve[draw],
                single_cost[draw][there],
                single[draw][there],
                float(best_possible[draw]),
                enough[there],
            )
        )
    tails = [50 * (1 - confidence), 50 * (1 + confidence)]
    out: dict[str, dict[str, Any]] = {}
    for name, value in drawn[0].items():
        values = np.array([one[name] for one in drawn[1:]])
        values = values[np.isfinite(values)]
        low, high = np.percentile(values, tails) if len(values) else (np.nan, np.nan)
        interval = [float(low), float(high)] if len(values) else None
        out[name] = {"value": value if np.isfinite(value) else None, "interval": interval}
    return out


def _means(table: RecordTable, draws: Array, scores: Array) -> Array:
    """(draws, columns) mean over datasets of the mean of the (n, columns) scores that are known."""
    known = np.isfinite(scores)
    filled = np.where(known, scores, 0.0)
    by_dataset = []
    for code in np.unique(table.dataset):
        rows = table.dataset == code
        by_dataset.append(divide(draws[:, rows] @ filled[rows], draws[:, rows] @ known[rows].astype(np.float64)))
    stacked = np.stack(by_dataset)
    return divide(np.nansum(stacked, axis=0), np.isfinite(stacked).sum(axis=0).astype(np.float64))
