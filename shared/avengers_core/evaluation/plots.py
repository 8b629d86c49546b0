"""Pictures of a router's worth, for files and reports. Each function gives a matplotlib figure; extra ``report``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..routing.statistics import Array
from .sweep import by_alpha

try:
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
except ImportError:
    from ..errors import MissingExtraError

    raise MissingExtraError("pictures", "report") from None

#: Colours that people with colour-blindness tell apart (Okabe and Ito 2008), repeated with other marks where short.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A6D00", "#555555")
_SIZE = (8.0, 4.6)


def pareto(report: dict[str, Any]) -> Figure:
    """Accuracy against cost: single models, the router's curve and the baselines of `evaluate_router`."""
    figure = Figure(_SIZE, layout="constrained")
    axes = figure.subplots()
    single = report["singles"]
    best = sorted(single, key=lambda name: -single[name]["accuracy"])
    labels = {"router": "Avengers", "knn 100": "kNN 100", "oracle": "oracle"}
    for (name, curve), colour in zip(report["curves"].items(), COLOURS, strict=False):
        style = {"router": "-", "oracle": ":"}.get(name, "--")
        order = np.argsort(curve["cost"], kind="stable")
        dollars, accuracy = np.array(curve["cost"])[order] * 1000, np.array(curve["accuracy"])[order]
        axes.plot(dollars, accuracy, style, color=colour, label=labels.get(name, name), linewidth=2)
    costs = np.array([single[name]["cost"] * 1000 for name in best])
    heights = np.array([single[name]["accuracy"] for name in best])
    axes.scatter(costs, heights, color="#555555", zorder=3, s=22, label="single models")
    for name, x, y in zip(best, costs, heights, strict=True):
        side = {"xytext": (-4, -9), "ha": "right"} if x > costs.max() / 2 else {"xytext": (4, -9)}
        axes.annotate(name, (x, y), textcoords="offset points", fontsize=6.5, color="#333333", **side)
    axes.set(xscale="log", xlabel="US dollars per 1,000 queries (log scale)", ylabel="accuracy (mean over datasets)")
    _plain_dollars(axes.xaxis)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=8)
    return figure


def along_alpha(rows: Sequence[dict[str, Any]]) -> Figure:
    """Accuracy and cost against alpha: means and 95% bands over the seeds of one setting, elbows marked."""
    alphas, accuracy, cost = by_alpha(rows, "accuracy", "cost")
    figure = Figure((8.0, 5.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    for axes, values, colour in ((upper, accuracy, COLOURS[0]), (lower, cost * 1000, COLOURS[1])):
        low, high = np.percentile(values, [2.5, 97.5], axis=0)
        axes.fill_between(alphas, low, high, color=colour, alpha=0.25, linewidth=0, label="95% of seeds")
        axes.plot(alphas, values.mean(axis=0), color=colour, linewidth=2, label="mean")
        axes.grid(alpha=0.3)
    single = np.mean([row["best_single_accuracy"] for row in rows])
    upper.axhline(float(single), color="#555555", linestyle=":", label="best single model")
    lower.axhline(float(np.mean([row["best_single_cost"] for row in rows])) * 1000, color="#555555", linestyle=":")
    for alpha in elbows(alphas, accuracy.mean(axis=0)):
        for axes in (upper, lower):
            axes.axvline(alpha, color="#555555", linewidth=1, alpha=0.6)
        upper.annotate(f"elbow {alpha:g}", (alpha, upper.get_ylim()[0]), xytext=(3, 4), textcoords="offset points")
    upper.set(ylabel="accuracy")
    upper.legend(loc="upper left", fontsize=8)
    lower.set(xlabel="alpha (0: cost only, 1: quality only)", ylabel="US dollars per 1,000 queries")
    lower.set_yscale("log")
    _plain_dollars(lower.yaxis)
    return figure


def elbows(alphas: Array, accuracy: Array, most: int = 2) -> list[float]:
    """Alphas where the accuracy bends most: farthest above the chord, then again right of it.

    The knee of Satopaa et al. 2011 ("Kneedle"), without smoothing: the means of many seeds are smooth.
    """
    found: list[float] = []
    start = 0
    while len(found) < most and len(alphas) - start > 4 and np.ptp(accuracy[start:]) > 0:
        x = (alphas[start:] - alphas[start]) / (alphas[-1] - alphas[start])
        y = (accuracy[start:] - accuracy[start]) / max(float(np.ptp(accuracy[start:])), 1e-12)
        above = y - x * y[-1]
        at = int(above.argmax())
        if above[at] < 0.1 or at == 0:
            break
        found.append(float(alphas[start + at]))
        start += at
    return found


def shares(rows: Sequence[dict[str, Any]], most: int = 7) -> Figure:
    """Which models are chosen at each alpha, as stacked shares of the queries, mean over the seeds of one setting."""
    alphas, mean = mean_shares(rows)
    ranked = sorted(mean, key=lambda name: -float(mean[name].sum()))
    layers = {name: mean[name] for name in ranked[:most]}
    if len(ranked) > most:
        layers[f"{len(ranked) - most} others"] = np.sum([mean[name] for name in ranked[most:]], axis=0)
    figure = Figure(_SIZE, layout="constrained")
    axes = figure.subplots()
    axes.stackplot(alphas, *layers.values(), labels=list(layers), colors=COLOURS[: len(layers)], edgecolor="white")
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="alpha", ylabel="share of queries")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, reverse=True)
    return figure


def mean_shares(rows: Sequence[dict[str, Any]]) -> tuple[Array, dict[str, Array]]:
    """(a,) alphas, and by model its (a,) share of the queries, mean over the seeds of one setting."""
    alphas = np.array(sorted({row["alpha"] for row in rows}))
    total: dict[str, Array] = {}
    for row in rows:
        for name, share in row["shares"].items():
            total.setdefault(name, np.zeros(len(alphas)))[np.searchsorted(alphas, row["alpha"])] += share
    seeds = len({row["seed"] for row in rows})
    return alphas, {name: values / seeds for name, values in total.items()}


def _plain_dollars(axis: Any) -> None:
    """Ticks of a log axis as dollars, not as powers."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"${value:g}"))
    axis.set_minor_formatter(NullFormatter())


def heatmap(clusters: Sequence[str], models: Sequence[str], expected: Array) -> Figure:
    """Expected score of each model in each cluster, (k, m), clusters named by their main dataset."""
    figure = Figure((1.5 + 0.42 * len(models), 2.4 + 0.17 * len(clusters)), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(expected, aspect="auto", cmap="viridis", vmin=0, vmax=1)
    axes.set_xticks(range(len(models)), models, rotation=60, ha="right", fontsize=7)
    axes.set_yticks(range(len(clusters)), clusters, fontsize=6)
    figure.colorbar(picture, ax=axes, label="expected score", shrink=0.6)
    return figure


def calibration(bins: Sequence[dict[str, float]]) -> Figure:
    """What was expected of the chosen model against what it scored, by tenths of the queries."""
    figure = Figure((5.2, 4.6), layout="constrained")
    axes = figure.subplots()
    expected = [one["expected"] for one in bins]
    axes.plot([0, 1], [0, 1], ":", color="#555555", label="as expected")
    axes.errorbar(
        expected,
        [one["scored"] for one in bins],
        yerr=[1.96 * one["standard_error"] for one in bins],
        fmt="o-",
        color=COLOURS[0],
        capsize=3,
        label="tenths of the queries, 95% intervals",
    )
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="expected score of the chosen model", ylabel="score")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", fontsize=8)
    return figure


def ablation(summary: Sequence[dict[str, Any]], over: str = "n_clusters") -> Figure:
    """AUC against one column of `sweep.summarize`, a line for each scoring, with standard deviations over seeds."""
    figure = Figure((6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    for scoring, colour in zip(sorted({row["scoring"] for row in summary}), COLOURS, strict=False):
        found = sorted((row for row in summary if row["scoring"] == scoring), key=lambda row: row[over])
        axes.errorbar(
            [row[over] for row in found],
            [row["auc"] for row in found],
            yerr=[row["auc_sd"] for row in found],
            fmt="o-",
            color=colour,
            capsize=3,
            label=scoring,
        )
    axes.set(xlabel=over, ylabel="area under the accuracy-cost curve")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure
