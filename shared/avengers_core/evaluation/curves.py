"""Accuracy and cost of choices of models, on records whose answers are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..records.table import RecordTable
from ..routing.statistics import Array
from .metrics import budget_auc

__all__ = ["ALPHAS", "Curve", "area_under_curve", "available", "cost_range", "dataset_weights", "measure", "singles"]

#: Alphas over which areas are computed: 0 to 1 in steps of 0.01.
ALPHAS = tuple(round(step / 100, 2) for step in range(101))


@dataclass(frozen=True)
class Curve:
    """Accuracy and cost at ``s`` settings: a router at some alphas, or single models.

    Attributes:
        labels: Names of the settings. Empty if nobody needs them.
        accuracy: (s,) macro average: mean over datasets of each dataset's mean score, as Avengers-Pro
            (arXiv 2508.12631) reports it.
        accuracy_queries: (s,) mean score over queries.
        cost_usd: (s,) mean US dollars a query.
    """

    labels: Sequence[str]
    accuracy: Array
    accuracy_queries: Array
    cost_usd: Array


def available(table: RecordTable) -> NDArray[np.bool_]:
    """(n, m) answers whose score and US dollars are both recorded. Every router is judged among these."""
    return np.asarray(~np.isnan(table.scores) & ~np.isnan(table.cost))


def dataset_weights(table: RecordTable) -> Array:
    """(n,) weights that turn a sum over queries into the mean over datasets of each dataset's mean."""
    counts = np.bincount(table.dataset, minlength=len(table.datasets))
    return np.asarray(1.0 / (counts[table.dataset] * np.count_nonzero(counts)), dtype=np.float64)


def measure(table: RecordTable, choices: NDArray[np.intp], labels: Sequence[str] = ()) -> Curve:
    """Compute the curve of some choices.

    Args:
        table: Judged records.
        choices: (s, n) column of the chosen model, for each setting and query.
        labels: Names of the settings.
    """
    rows = np.arange(len(table))
    scores = table.scores[rows, choices].astype(np.float64)
    cost = table.cost[rows, choices].mean(axis=1)
    return Curve(labels, scores @ dataset_weights(table), scores.mean(axis=1), cost)


def singles(table: RecordTable) -> Curve:
    """Each model alone, over the queries that it answered. Models without an available answer are left out."""
    known = available(table)
    labels, accuracy, queries, cost = [], [], [], []
    for column, model in enumerate(table.models):
        rows = known[:, column]
        if rows.any():
            part = table.rows(rows)
            labels.append(model)
            accuracy.append(part.scores[:, column].astype(np.float64) @ dataset_weights(part))
            queries.append(part.scores[:, column].mean(dtype=np.float64))
            cost.append(part.cost[:, column].mean())
    return Curve(labels, np.array(accuracy), np.array(queries), np.array(cost))


def cost_range(single: Curve) -> tuple[float, float]:
    """US dollars a query of the cheapest and of the most expensive single model."""
    return float(single.cost_usd.min()), float(single.cost_usd.max())


def area_under_curve(curve: Curve, low: float, high: float, *, over: str = "datasets", budgets: int = 200) -> float:
    """Mean over log-spaced budgets of the best accuracy within the budget (`metrics.budget_auc`).

    Args:
        curve: One point per setting.
        low: Smallest budget, in US dollars a query: the cost of the cheapest single model.
        high: Largest budget, in US dollars a query: the cost of the most expensive single model.
        over: Which accuracy counts: ``datasets`` (macro average) or ``queries``.
        budgets: Number of budgets. For those below the curve's cheapest point, the accuracy of that point counts.
    """
    accuracy = curve.accuracy if over == "datasets" else curve.accuracy_queries
    return budget_auc(curve.cost_usd, accuracy, low, high, budgets=budgets)
