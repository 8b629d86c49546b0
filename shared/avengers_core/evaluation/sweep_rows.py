"""The rows of a sweep, and what they say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._utils.results import Result
from ..routing.statistics import Array
from .metrics import FIGURES

__all__ = ["SETTING", "SweepRow", "SweepSetting", "SweepSummary", "by_alpha", "main_kind", "mean_shares", "summarize"]


@dataclass(frozen=True)
class SweepSetting(Result):
    """What a sweep varies, except seed and alpha.

    Attributes:
        embedder: Name of the embedder.
        scoring: ``utility``, ``reference`` or ``simple``.
        n_clusters: Number of clusters.
        top_k: Nearest clusters that count. None is the scoring's default.
        beta: Sharpness of the clusters' weights. None is the scoring's default.
        kind: What is judged: ``call``, or ``agent_run`` if dollars are those of whole runs of agents.
    """

    embedder: str
    scoring: str
    n_clusters: int
    top_k: int | None
    beta: float | None
    kind: str

    @property
    def setting(self) -> tuple[Any, ...]:
        """The values of `SETTING`."""
        return tuple(getattr(self, name) for name in SETTING)


#: Names of the values that make a setting, in the order of the columns.
SETTING = ("embedder", "scoring", "n_clusters", "top_k", "beta", "kind")


@dataclass(frozen=True)
class SweepRow(SweepSetting):
    """One setting on one split at one alpha, averaged over panels (`means.MeanCurve`) if there are several.

    The figures from ``auc`` to ``routerarena`` (`metrics.CurveFigures`) and the baselines are those of the whole curve,
    the same in each row of it. A figure that the curve does not have is None.

    Attributes:
        seed: Seed of the split and of the clusters.
        auc: `metrics.budget_auc`.
        aiq: `metrics.aiq`.
        hypervolume: `metrics.hypervolume`.
        perf_gain: `metrics.perf_gain`.
        cost_save: `metrics.cost_save`. None if no alpha is as accurate as the best single model.
        oracle_share: `metrics.oracle_share`.
        oracle_gap: `metrics.oracle_gap`.
        routerarena: `metrics.routerarena_score`.
        best_single: Id of the best single model. Empty if panels have different ones.
        best_single_accuracy: Its accuracy.
        best_single_cost_usd: Its US dollars a query.
        oracle_accuracy: Accuracy of the oracle.
        alpha: The alpha.
        accuracy: Mean over datasets of each dataset's mean score.
        accuracy_queries: Mean score over queries.
        cost_usd: Mean US dollars a query.
        relative_cost: Cost as a multiple of the best single model's. None if that costs nothing.
        shares: Share of the queries that each chosen model gets, by model.
    """

    seed: int
    auc: float | None
    aiq: float | None
    hypervolume: float | None
    perf_gain: float | None
    cost_save: float | None
    oracle_share: float | None
    oracle_gap: float | None
    routerarena: float | None
    best_single: str
    best_single_accuracy: float
    best_single_cost_usd: float
    oracle_accuracy: float
    alpha: float
    accuracy: float
    accuracy_queries: float
    cost_usd: float
    relative_cost: float | None
    shares: dict[str, float]


@dataclass(frozen=True)
class SweepSummary(SweepSetting):
    """Means and standard deviations over seeds of the figures of one setting's curves (`metrics.CurveFigures`).

    A seed without a figure is left out of its mean. If no seed has it, mean and standard deviation are None.

    Attributes:
        seeds: Number of seeds.
        auc: Mean `metrics.budget_auc`.
        auc_sd: Its standard deviation.
        aiq: Mean `metrics.aiq`.
        aiq_sd: Its standard deviation.
        hypervolume: Mean `metrics.hypervolume`.
        hypervolume_sd: Its standard deviation.
        perf_gain: Mean `metrics.perf_gain`.
        perf_gain_sd: Its standard deviation.
        cost_save: Mean `metrics.cost_save`.
        cost_save_sd: Its standard deviation.
        oracle_share: Mean `metrics.oracle_share`.
        oracle_share_sd: Its standard deviation.
        oracle_gap: Mean `metrics.oracle_gap`.
        oracle_gap_sd: Its standard deviation.
        routerarena: Mean `metrics.routerarena_score`.
        routerarena_sd: Its standard deviation.
    """

    seeds: int
    auc: float | None
    auc_sd: float | None
    aiq: float | None
    aiq_sd: float | None
    hypervolume: float | None
    hypervolume_sd: float | None
    perf_gain: float | None
    perf_gain_sd: float | None
    cost_save: float | None
    cost_save_sd: float | None
    oracle_share: float | None
    oracle_share_sd: float | None
    oracle_gap: float | None
    oracle_gap_sd: float | None
    routerarena: float | None
    routerarena_sd: float | None


def summarize(rows: Sequence[SweepRow]) -> list[SweepSummary]:
    """Summarize each setting over its seeds, the best area under the curve first."""
    curves = {(*row.setting, row.seed): row for row in rows}
    settings: dict[tuple[Any, ...], list[SweepRow]] = {}
    for row in curves.values():
        settings.setdefault(row.setting, []).append(row)
    summaries = []
    for setting, seeds in settings.items():
        figures: dict[str, Any] = {"seeds": len(seeds)}
        for name in FIGURES:
            values = np.array([getattr(row, name) for row in seeds], dtype=np.float64)
            values = values[np.isfinite(values)]
            figures[name] = float(values.mean()) if len(values) else None
            figures[f"{name}_sd"] = float(values.std()) if len(values) else None
        summaries.append(SweepSummary(*setting, **figures))
    return sorted(summaries, key=lambda summary: -(summary.auc or 0))


def main_kind(rows: Sequence[SweepRow]) -> str:
    """The kind of usage that a picture or an alpha is about: calls if there are any, else runs of agents."""
    return "call" if any(row.kind == "call" for row in rows) else "agent_run"


def by_alpha(rows: Sequence[SweepRow], *names: str) -> tuple[Array, ...]:
    """Arrange values of one setting's rows by seed and alpha.

    Args:
        rows: Rows of one setting.
        names: Fields of the rows, such as ``accuracy``.

    Returns:
        (a,) alphas, then for each name its (seeds, a) values.
    """
    alphas = np.array(sorted({row.alpha for row in rows}))
    seeds = sorted({row.seed for row in rows})
    at = {(row.seed, row.alpha): row for row in rows}
    return alphas, *(
        np.array([[getattr(at[seed, float(alpha)], name) for alpha in alphas] for seed in seeds]) for name in names
    )


def mean_shares(rows: Sequence[SweepRow]) -> tuple[Array, dict[str, Array]]:
    """Average the models' shares of the queries over the seeds of one setting.

    Args:
        rows: Rows of one setting.

    Returns:
        (a,) alphas, and the (a,) shares of each model that is chosen anywhere.
    """
    alphas = np.array(sorted({row.alpha for row in rows}))
    total: dict[str, Array] = {}
    for row in rows:
        for model, share in row.shares.items():
            total.setdefault(model, np.zeros(len(alphas)))[np.searchsorted(alphas, row.alpha)] += share
    seeds = len({row.seed for row in rows})
    return alphas, {model: values / seeds for model, values in total.items()}
