"""Pictures of what a router is worth, for files and reports: matplotlib figures; extra ``report``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import MissingExtraError
from ..routing.statistics import Array
from .calibration import CalibrationBin
from .outcome import Evaluation, PanelEvaluation
from .sweep_rows import SweepRow, SweepSummary, by_alpha, mean_shares

try:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
except ImportError:
    raise MissingExtraError("pictures", "report") from None

__all__ = ["COLOURS", "ablation", "along_alpha", "calibration", "elbows", "heatmap", "pareto", "shares"]

#: Colours that people with colour-blindness can tell apart (Okabe and Ito 2008).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A6D00", "#555555")
#: Width and height of a picture, in inches.
SIZE = (8.0, 4.6)
#: Height above the chord, as a share of the curve's height, from which a bend counts as an elbow.
MIN_ELBOW = 0.1
#: Span of costs in a small picture from which only powers of ten are labelled.
MANY_TICKS = 300
#: Panels beside each other in a picture of several.
PANEL_COLUMNS = 3


def pareto(evaluation: Evaluation) -> Figure:
    """Draw accuracy against cost: single models, the router's curve and the baselines, for each panel."""
    panels = evaluation.panels
    columns = min(len(panels), PANEL_COLUMNS)
    rows = -(-len(panels) // columns)
    figure = Figure(SIZE if len(panels) == 1 else (8.0, 2.9 * rows), layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, panel in zip(grid, panels, strict=False):
        _draw_panel(axes, panel, named=len(panels) == 1)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    if len(panels) > 1:
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), fontsize=8)
        figure.supxlabel("US dollars per 1,000 queries (log scale)", fontsize=9)
        figure.supylabel("accuracy", fontsize=9)
    return figure


def _draw_panel(axes: Any, panel: PanelEvaluation, *, named: bool) -> None:
    single = panel.singles
    best = sorted(single, key=lambda name: -single[name].accuracy)
    labels = {"router": "Avengers", "knn 100": "kNN 100", "oracle": "oracle"}
    for (name, curve), colour in zip(panel.curves.items(), COLOURS, strict=False):
        style = {"router": "-", "oracle": ":"}.get(name, "--")
        order = np.argsort(curve.cost_usd, kind="stable")
        dollars, accuracy = np.array(curve.cost_usd)[order] * 1000, np.array(curve.accuracy)[order]
        axes.plot(dollars, accuracy, style, color=colour, label=labels.get(name, name), linewidth=2 if named else 1.5)
    costs = np.array([single[name].cost_usd * 1000 for name in best])
    heights = np.array([single[name].accuracy for name in best])
    axes.scatter(costs, heights, color="#555555", zorder=3, s=22 if named else 8, label="single models")
    axes.set_xscale("log")
    axes.grid(alpha=0.3)
    _plain_dollars(axes.xaxis)
    if not named:
        runs = " (runs)" if panel.kind == "agent_run" else ""
        axes.set_title(", ".join(panel.sources[:2]) + (", ..." if len(panel.sources) > 2 else "") + runs, fontsize=8)
        axes.tick_params(labelsize=6)
        if costs.max() > MANY_TICKS * costs.min():
            axes.xaxis.set_major_locator(LogLocator())
        return
    for name, x, y in zip(best, costs, heights, strict=True):
        side = {"xytext": (-4, -9), "ha": "right"} if x > costs.max() / 2 else {"xytext": (4, -9)}
        axes.annotate(name, (x, y), textcoords="offset points", fontsize=6.5, color="#333333", **side)
    axes.set(xlabel="US dollars per 1,000 queries (log scale)", ylabel="accuracy (mean over datasets)")
    axes.legend(loc="lower right", fontsize=8)


def along_alpha(rows: Sequence[SweepRow]) -> Figure:
    """Draw accuracy and cost against alpha: means and 95% bands over the seeds of one setting, with elbows marked."""
    alphas, accuracy, cost = by_alpha(rows, "accuracy", "cost_usd")
    figure = Figure((8.0, 5.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    for axes, values, colour in ((upper, accuracy, COLOURS[0]), (lower, cost * 1000, COLOURS[1])):
        low, high = np.percentile(values, [2.5, 97.5], axis=0)
        axes.fill_between(alphas, low, high, color=colour, alpha=0.25, linewidth=0, label="95% of seeds")
        axes.plot(alphas, values.mean(axis=0), color=colour, linewidth=2, label="mean")
        axes.grid(alpha=0.3)
    single = np.mean([row.best_single_accuracy for row in rows])
    upper.axhline(float(single), color="#555555", linestyle=":", label="best single model")
    lower.axhline(float(np.mean([row.best_single_cost_usd for row in rows])) * 1000, color="#555555", linestyle=":")
    found = elbows(alphas, accuracy.mean(axis=0))
    for alpha in found:
        for axes in (upper, lower):
            axes.axvline(alpha, color="#555555", linewidth=1, alpha=0.6)
    _label_elbows(upper, found)
    upper.set(ylabel="accuracy")
    upper.legend(loc="upper left", fontsize=8)
    lower.set(xlabel="alpha (0: cost only, 1: quality only)", ylabel="US dollars per 1,000 queries")
    lower.set_yscale("log")
    _plain_dollars(lower.yaxis)
    return figure


def _label_elbows(axes: Axes, found: Sequence[float]) -> None:
    """Name the elbows at the foot of the picture, each a line above the one before it, so that labels never overlap."""
    for place, alpha in enumerate(found):
        left = alpha > 0.85  # there is no room to the right of the line
        axes.annotate(
            f"elbow {alpha:g}",
            (alpha, axes.get_ylim()[0]),
            xytext=(-3 if left else 3, 4 + 13 * place),
            textcoords="offset points",
            ha="right" if left else "left",
        )


def elbows(alphas: Array, accuracy: Array, most: int = 2) -> list[float]:
    """Find the alphas at which the accuracy bends most: farthest above the chord, then again to the right of it.

    The knee of Satopaa et al. 2011 ("Kneedle"), without smoothing: the means of many seeds are smooth.

    Args:
        alphas: (a,) ascending alphas.
        accuracy: (a,) accuracies.
        most: Number of elbows to find at most.
    """
    found: list[float] = []
    start = 0
    while len(found) < most and len(alphas) - start > 4 and np.ptp(accuracy[start:]) > 0:
        x = (alphas[start:] - alphas[start]) / (alphas[-1] - alphas[start])
        y = (accuracy[start:] - accuracy[start]) / max(float(np.ptp(accuracy[start:])), 1e-12)
        above = y - x * y[-1]
        at = int(above.argmax())
        if above[at] < MIN_ELBOW or at == 0:
            break
        found.append(float(alphas[start + at]))
        start += at
    return found


def shares(rows: Sequence[SweepRow], most: int = 7) -> Figure:
    """Draw which models are chosen at each alpha, as stacked mean shares of the queries over the seeds of one setting.

    Args:
        rows: Rows of one setting.
        most: Number of models to name; the others are one layer.
    """
    alphas, mean = mean_shares(rows)
    ranked = sorted(mean, key=lambda name: -float(mean[name].sum()))
    layers = {name: mean[name] for name in ranked[:most]}
    if len(ranked) > most:
        layers[f"{len(ranked) - most} others"] = np.sum([mean[name] for name in ranked[most:]], axis=0)
    figure = Figure(SIZE, layout="constrained")
    axes = figure.subplots()
    axes.stackplot(alphas, *layers.values(), labels=list(layers), colors=COLOURS[: len(layers)], edgecolor="white")
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="alpha", ylabel="share of queries")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, reverse=True)
    return figure


def _plain_dollars(axis: Any) -> None:
    """Label the ticks of a log axis with dollars, not with powers."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"${value:g}"))
    axis.set_minor_formatter(NullFormatter())


def heatmap(clusters: Sequence[str], models: Sequence[str], expected: Array) -> Figure:
    """Draw the expected score of each model in each cluster.

    Args:
        clusters: Names of the k clusters.
        models: Ids of the m models.
        expected: (k, m) expected scores, in [0, 1].
    """
    figure = Figure((1.5 + 0.42 * len(models), 2.4 + 0.17 * len(clusters)), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(expected, aspect="auto", cmap="viridis", vmin=0, vmax=1)
    axes.set_xticks(range(len(models)), models, rotation=60, ha="right", fontsize=7)
    axes.set_yticks(range(len(clusters)), clusters, fontsize=6)
    figure.colorbar(picture, ax=axes, label="expected score", shrink=0.6)
    return figure


def calibration(bins: Sequence[CalibrationBin]) -> Figure:
    """Draw what was expected of the chosen models against what they scored, by tenths of the queries."""
    figure = Figure((5.2, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], ":", color="#555555", label="as expected")
    axes.errorbar(
        [row.expected for row in bins],
        [row.scored for row in bins],
        yerr=[1.96 * row.standard_error for row in bins],
        fmt="o-",
        color=COLOURS[0],
        capsize=3,
        label="tenths of the queries, 95% intervals",
    )
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="expected score of the chosen model", ylabel="score")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", fontsize=8)
    return figure


def ablation(summaries: Sequence[SweepSummary], over: str = "n_clusters") -> Figure:
    """Draw the area under the curve against one value of the settings, with standard deviations over seeds.

    Args:
        summaries: Summaries of a sweep; each scoring gets a line.
        over: Field of the summaries on the horizontal axis.
    """
    figure = Figure((6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    for scoring, colour in zip(sorted({row.scoring for row in summaries}), COLOURS, strict=False):
        rows = sorted((row for row in summaries if row.scoring == scoring), key=lambda row: getattr(row, over))
        axes.errorbar(
            [getattr(row, over) for row in rows],
            np.array([row.auc for row in rows], dtype=np.float64),
            yerr=np.array([row.auc_sd for row in rows], dtype=np.float64),
            fmt="o-",
            color=colour,
            capsize=3,
            label=scoring,
        )
    axes.set(xlabel=over, ylabel="area under the accuracy-cost curve")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure
