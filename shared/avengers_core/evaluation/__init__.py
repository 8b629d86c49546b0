"""What a router is worth: evaluation beside baselines, sweeps, recommendations, comparisons, calibration and drift.

Reports with pictures are in `avengers_core.evaluation.report`; they need the extra ``report``.
"""

from .baselines import knn_choices, oracle_choices, random_choices
from .bootstrap import FigureInterval, figure_intervals
from .calibration import Calibration, UnseenDataset, calibrate, leave_one_out
from .compare import ComparedSetting, Comparison, compare_routers
from .curves import ALPHAS, Curve, area_under_curve, measure, singles
from .drift import Drift, measure_drift
from .evaluate import evaluate_router, router_choices
from .metrics import FIGURES, CurveFigures, PairedTest, curve_figures, paired_test
from .outcome import Evaluation, PanelEvaluation, PanelMeans, Setting
from .panels import LeftOut, Panel, find_panels
from .recommend import Recommendation, recommend_alpha
from .sweep import Grid, run_sweep
from .sweep_files import load_rows
from .sweep_rows import SweepRow, SweepSummary, summarize

__all__ = [
    "ALPHAS",
    "FIGURES",
    "Calibration",
    "ComparedSetting",
    "Comparison",
    "Curve",
    "CurveFigures",
    "Drift",
    "Evaluation",
    "FigureInterval",
    "Grid",
    "LeftOut",
    "PairedTest",
    "Panel",
    "PanelEvaluation",
    "PanelMeans",
    "Recommendation",
    "Setting",
    "SweepRow",
    "SweepSummary",
    "UnseenDataset",
    "area_under_curve",
    "calibrate",
    "compare_routers",
    "curve_figures",
    "evaluate_router",
    "figure_intervals",
    "find_panels",
    "knn_choices",
    "leave_one_out",
    "load_rows",
    "measure",
    "measure_drift",
    "oracle_choices",
    "paired_test",
    "random_choices",
    "recommend_alpha",
    "router_choices",
    "run_sweep",
    "singles",
    "summarize",
]
