"""How certain figures are: percentile intervals over resampled queries (Efron 1979).

scipy's bootstrap resamples one statistic at a time; here one draw of queries serves every setting, model and figure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from ..records.table import RecordTable
from ..routing.statistics import Array
from .curves import dataset_weights
from .metrics import FIGURES, curve_figures

__all__ = [
    "FigureInterval",
    "Interval",
    "SettingIntervals",
    "figure_intervals",
    "setting_intervals",
]

Interval = tuple[float, float]


@dataclass(frozen=True)
class SettingIntervals:
    """Intervals of one setting's figures.

    Attributes:
        accuracy: Of the mean over datasets; queries are resampled within their dataset.
        accuracy_queries: Of the mean over queries.
        cost_usd: Of the mean US dollars a query.
    """

    accuracy: Interval
    accuracy_queries: Interval
    cost_usd: Interval


@dataclass(frozen=True)
class FigureInterval:
    """A figure of merit and how certain it is.

    Attributes:
        value: Its value on all queries. None if it does not exist, such as the cost saved if no setting is as accurate
            as the best single model.
        interval: Its interval over resamples. None if it exists in no resample.
    """

    value: float | None
    interval: Interval | None


def setting_intervals(
    table: RecordTable,
    choices: Sequence[NDArray[np.intp]],
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    random_state: int = 0,
) -> Iterator[SettingIntervals]:
    """Compute the intervals of several settings over the same resamples.

    Args:
        table: Judged records.
        choices: For each setting, the (n,) columns of the chosen models.
        confidence: Share of the resamples within each interval.
        resamples: Number of resamples.
        random_state: Seed of the resamples.

    Yields:
        The intervals of each setting, in order.
    """
    rng = np.random.default_rng(random_state)
    parts = [np.flatnonzero(table.dataset == code).astype(np.int32) for code in np.unique(table.dataset)]
    within = [part[rng.integers(0, len(part), (resamples, len(part)))] for part in parts]
    across = rng.integers(0, len(table), (resamples, len(table))).astype(np.int32)
    rows = np.arange(len(table))
    for chosen in choices:
        scores, cost = table.scores[rows, chosen].astype(np.float64), table.cost[rows, chosen]
        by_dataset = np.zeros(resamples)
        for draws in within:
            by_dataset += scores[draws].mean(axis=1) / len(parts)
        yield SettingIntervals(
            _interval(by_dataset, confidence),
            _interval(scores[across].mean(axis=1), confidence),
            _interval(cost[across].mean(axis=1), confidence),
        )


def figure_intervals(
    table: RecordTable,
    choices: NDArray[np.intp],
    oracle: NDArray[np.intp],
    *,
    confidence: float = 0.95,
    resamples: int = 500,
    random_state: int = 0,
) -> dict[str, FigureInterval]:
    """Compute `metrics.curve_figures` of a router's curve, each with its interval.

    Queries are drawn with replacement within their dataset, and the single models and the oracle are judged on the
    same draw. Figures of the best setting (``perf_gain``, ``cost_save``, ``oracle_share``) take each draw's best
    setting, so they are slightly optimistic; `recommend_alpha` reports what one alpha reaches over several splits.

    Args:
        table: Records in which each model answered each query (`panels.Panel`).
        choices: (s, n) columns of the models that the router chooses at each setting.
        oracle: (n,) columns of the models that the oracle chooses.
        confidence: Share of the resamples within each interval.
        resamples: Number of resamples.
        random_state: Seed of the resamples.

    Returns:
        An entry for each of `metrics.FIGURES`.
    """
    draws = _draw_within_datasets(table, resamples, random_state)
    rows = np.arange(len(table))
    curve = _means(table, draws, table.scores[rows, choices].T.astype(np.float64))
    dollars = draws @ table.cost[rows, choices].T / len(table)
    best_possible = _means(table, draws, table.scores[rows, oracle][:, None].astype(np.float64))[:, 0]
    single = _means(table, draws, table.scores.astype(np.float64))
    single_cost = draws @ table.cost / len(table)
    figures: dict[str, list[float]] = {name: [] for name in FIGURES}
    for draw in range(len(draws)):
        found = curve_figures(dollars[draw], curve[draw], single_cost[draw], single[draw], float(best_possible[draw]))
        for name, value in asdict(found).items():
            figures[name].append(value)
    return {name: _figure(np.array(values), confidence) for name, values in figures.items()}


def _draw_within_datasets(table: RecordTable, resamples: int, random_state: int) -> Array:
    """(1 + resamples, n) how often each query is drawn within its dataset; the first row is each query once."""
    rng = np.random.default_rng(random_state)
    draws = np.ones((1 + resamples, len(table)))
    for code in np.unique(table.dataset):
        rows = np.flatnonzero(table.dataset == code)
        draws[1:, rows] = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=resamples)
    return draws


def _figure(values: Array, confidence: float) -> FigureInterval:
    """The figure whose first value is that of all queries, the others those of the resamples."""
    resampled = values[1:][np.isfinite(values[1:])]
    value = float(values[0]) if np.isfinite(values[0]) else None
    return FigureInterval(value, _interval(resampled, confidence) if len(resampled) else None)


def _interval(values: Array, confidence: float) -> Interval:
    low, high = np.percentile(values, [50 * (1 - confidence), 50 * (1 + confidence)])
    return float(low), float(high)


def _means(table: RecordTable, draws: Array, scores: Array) -> Array:
    """(draws, columns) mean over datasets of the mean of the (n, columns) scores."""
    return (draws * dataset_weights(table)) @ scores
