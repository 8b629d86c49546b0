"""What a router is worth: figures of merit, sweeps, comparisons, reports, drift."""

from .bootstrap import figure_intervals
from .drift import Drift, measure_drift
from .evaluate import ALPHAS, Curve, area_under_curve, evaluate_router, router_choices

__all__ = [
    "ALPHAS",
    "Curve",
    "Drift",
    "area_under_curve",
    "evaluate_router",
    "figure_intervals",
    "measure_drift",
    "router_choices",
]
