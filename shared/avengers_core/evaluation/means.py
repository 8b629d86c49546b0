"""Curves of several panels as one: each panel counts the same, and a cost is a multiple of its best single model's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from ..routing.statistics import Array
from .curves import Curve
from .metrics import CurveFigures, cost_save, curve_figures, oracle_gap, oracle_share, perf_gain

__all__ = ["MeanCurve", "PanelCurve", "geometric_mean", "mean_curve", "mean_figures"]


class PanelCurve(NamedTuple):
    """A router's curve on one panel, and what it is compared with.

    Attributes:
        curve: The router at s settings.
        single: The single models.
        oracle: Accuracy of the oracle.
    """

    curve: Curve
    single: Curve
    oracle: float

    @property
    def best(self) -> int:
        """Position of the most accurate single model."""
        return int(self.single.accuracy.argmax())

    @property
    def relative_cost(self) -> Array:
        """(s,) cost as a multiple of the best single model's."""
        return self.curve.cost_usd / (self.single.cost_usd[self.best] or np.nan)


@dataclass(frozen=True)
class MeanCurve:
    """Means over panels at s settings.

    Attributes:
        accuracy: (s,) mean over datasets of each dataset's mean score.
        accuracy_queries: (s,) mean score over queries.
        cost_usd: (s,) mean US dollars a query.
        relative_cost: (s,) geometric mean of the cost as a multiple of the best single model's.
        best_accuracy: Accuracy of the best single models.
        best_cost_usd: Their mean US dollars a query.
        oracle: Accuracy of the oracle.
    """

    accuracy: Array
    accuracy_queries: Array
    cost_usd: Array
    relative_cost: Array
    best_accuracy: float
    best_cost_usd: float
    oracle: float


def mean_curve(panels: Sequence[PanelCurve]) -> MeanCurve:
    """Average the curves of several panels.

    Args:
        panels: At least one curve; all at the same settings.
    """
    return MeanCurve(
        accuracy=np.mean([panel.curve.accuracy for panel in panels], axis=0),
        accuracy_queries=np.mean([panel.curve.accuracy_queries for panel in panels], axis=0),
        cost_usd=np.mean([panel.curve.cost_usd for panel in panels], axis=0),
        relative_cost=geometric_mean(np.stack([panel.relative_cost for panel in panels])),
        best_accuracy=float(np.mean([panel.single.accuracy[panel.best] for panel in panels])),
        best_cost_usd=float(np.mean([panel.single.cost_usd[panel.best] for panel in panels])),
        oracle=float(np.mean([panel.oracle for panel in panels])),
    )


def mean_figures(panels: Sequence[PanelCurve]) -> CurveFigures:
    """Figures of several panels: areas are means, and what one setting gains and saves is that of the mean curve.

    Args:
        panels: At least one curve; all at the same settings.
    """
    of_panels = [
        curve_figures(p.curve.cost_usd, p.curve.accuracy, p.single.cost_usd, p.single.accuracy, p.oracle)
        for p in panels
    ]
    means = {
        field.name: float(np.mean([getattr(one, field.name) for one in of_panels])) for field in fields(CurveFigures)
    }
    curve = mean_curve(panels)
    top = float(curve.accuracy.max())
    means |= {
        "perf_gain": perf_gain(curve.accuracy, curve.best_accuracy),
        "cost_save": cost_save(curve.relative_cost, curve.accuracy, curve.best_accuracy, 1.0),
        "oracle_share": oracle_share(top, curve.best_accuracy, curve.oracle),
        "oracle_gap": oracle_gap(top, curve.oracle),
    }
    return CurveFigures(**means)


def geometric_mean(values: Array) -> Array:
    """(s,) geometric mean over the rows of (p, s) numbers that are 0 or more; rows that are NaN do not count."""
    with np.errstate(divide="ignore"):
        logs = np.log(values)
    known = ~np.isnan(logs)
    total = np.where(known, logs, 0.0).sum(axis=0)
    count = known.sum(axis=0)
    return np.asarray(np.where(count > 0, np.exp(total / np.maximum(count, 1)), np.nan))
