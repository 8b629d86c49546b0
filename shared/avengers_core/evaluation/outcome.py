"""What an evaluation has found, and its tables for the terminal, the report and notebooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .._utils.format import dollars_per_1k, number, number_interval, with_interval
from .._utils.html import html_table
from .._utils.results import Result, Table
from .bootstrap import FigureInterval, Interval
from .panels import LeftOut

__all__ = [
    "AlphaCurve",
    "Area",
    "DatasetAccuracy",
    "Evaluation",
    "MeanSetting",
    "PanelEvaluation",
    "PanelMeans",
    "Setting",
    "SingleModel",
    "left_out_table",
]

_TITLES = {"call": "calls", "agent_run": "runs of agents"}


@dataclass(frozen=True)
class Setting:
    """A router at one alpha, or a baseline. Intervals are 95% bootstrap intervals.

    Attributes:
        name: Such as ``alpha 0.5``, ``best single: <model>`` or ``oracle, alpha 1``.
        accuracy: Mean over datasets of each dataset's mean score.
        accuracy_interval: Its interval.
        accuracy_queries: Mean score over queries.
        accuracy_queries_interval: Its interval.
        cost_usd: Mean US dollars a query.
        cost_usd_interval: Its interval.
        total_cost_usd: US dollars of all queries.
        shares: Share of the queries that each chosen model gets, by model.
    """

    name: str
    accuracy: float
    accuracy_interval: Interval
    accuracy_queries: float
    accuracy_queries_interval: Interval
    cost_usd: float
    cost_usd_interval: Interval
    total_cost_usd: float
    shares: dict[str, float]


@dataclass(frozen=True)
class Area:
    """Area under an accuracy-cost curve (`area_under_curve`).

    Attributes:
        datasets: Of the mean over datasets.
        queries: Of the mean over queries.
        gap_closed: Share of the way from the single models' area to the oracle's, over datasets. NaN if there is no way
            to go.
    """

    datasets: float
    queries: float
    gap_closed: float


@dataclass(frozen=True)
class AlphaCurve:
    """Accuracy and cost along alpha, with one value per alpha in each list.

    Attributes:
        alpha: The alphas, ascending.
        accuracy: Mean over datasets of each dataset's mean score.
        accuracy_queries: Mean score over queries.
        cost_usd: Mean US dollars a query.
    """

    alpha: list[float]
    accuracy: list[float]
    accuracy_queries: list[float]
    cost_usd: list[float]


@dataclass(frozen=True)
class SingleModel:
    """One model for all queries that it answered.

    Attributes:
        accuracy: Mean over datasets of each dataset's mean score.
        accuracy_queries: Mean score over queries.
        cost_usd: Mean US dollars a query.
    """

    accuracy: float
    accuracy_queries: float
    cost_usd: float


@dataclass(frozen=True)
class DatasetAccuracy:
    """Accuracies on one dataset.

    Attributes:
        dataset: Its name.
        queries: Number of queries.
        accuracy: Mean score by the name of the setting.
    """

    dataset: str
    queries: int
    accuracy: dict[str, float]


@dataclass(frozen=True)
class PanelEvaluation:
    """A router's accuracy and cost on queries that the same models answered (`panels.Panel`), beside baselines.

    Attributes:
        sources: Names of the sources: who graded the answers.
        kind: ``call``, or ``agent_run`` if dollars are those of whole runs of agents.
        queries: Number of judged queries.
        models: Number of compared models.
        estimated_costs: Whether costs are what the router expects, because the sources recorded none.
        settings: The router at the listed alphas, then the baselines.
        auc: Areas by curve: ``single models``, ``router``, ``knn 100`` (if training records were given), ``oracle``.
        figures: `metrics.FIGURES` of the router's curve, by name.
        budget_range_usd: US dollars a query of the cheapest and of the most expensive single model, between which
            areas are computed.
        curves: The curves behind ``auc``, except that of the single models.
        singles: The single models, by id.
        datasets: Accuracies by dataset.
    """

    sources: list[str]
    kind: str
    queries: int
    models: int
    estimated_costs: bool
    settings: list[Setting]
    auc: dict[str, Area]
    figures: dict[str, FigureInterval]
    budget_range_usd: Interval
    curves: dict[str, AlphaCurve]
    singles: dict[str, SingleModel]
    datasets: list[DatasetAccuracy]

    def setting(self, name: str) -> Setting:
        """The setting of a name; ``best single`` and ``cheapest`` are names whatever the model.

        Args:
            name: Such as ``alpha 0.5`` or ``best single``.

        Raises:
            KeyError: If there is no such setting.
        """
        for setting in self.settings:
            if setting.name.partition(":")[0] == name:
                return setting
        raise KeyError(name)


@dataclass(frozen=True)
class MeanSetting:
    """A router at one alpha, or a baseline, averaged over panels.

    Attributes:
        name: Such as ``alpha 0.5``, ``best single`` or ``oracle, alpha 1``.
        accuracy: Mean over panels of `Setting.accuracy`.
        relative_cost: Geometric mean over panels of the cost as a multiple of the best single model's.
        cost_usd: Mean over panels of the US dollars a query.
    """

    name: str
    accuracy: float
    relative_cost: float
    cost_usd: float


@dataclass(frozen=True)
class PanelMeans:
    """Figures of one kind of usage, averaged over panels; each panel counts the same.

    Attributes:
        kind: ``call`` or ``agent_run``.
        panels: Number of panels.
        queries: Number of judged queries.
        settings: The router at the listed alphas, then the baselines that all panels have.
        auc: Mean areas by curve, of the curves that all panels have.
        figures: `metrics.FIGURES` by name (`means.mean_figures`). One that does not exist is None.
    """

    kind: str
    panels: int
    queries: int
    settings: list[MeanSetting]
    auc: dict[str, Area]
    figures: dict[str, float | None]


@dataclass(frozen=True)
class Evaluation(Result):
    """A router's accuracy and cost on records, beside baselines.

    Attributes:
        queries: Number of judged queries.
        scoring: The router's scoring: ``utility``, ``reference`` or ``simple``.
        panels: One entry for each set of queries that the same models answered; calls before runs of agents.
        means: Means over panels; one entry for each kind of usage.
        left_out: Queries that are not judged and models that are not compared, by source.
    """

    queries: int
    scoring: str
    panels: list[PanelEvaluation]
    means: list[PanelMeans]
    left_out: list[LeftOut]

    def tables(self) -> Iterator[Table]:
        """Calls and runs of agents apart, by source, and averaged if models differ by source."""
        for means in self.means:
            panels = [panel for panel in self.panels if panel.kind == means.kind]
            yield from _panel_tables(panels[0], self) if len(panels) == 1 else _mean_tables(means, panels)
        if self.left_out:
            yield left_out_table(self.left_out)

    def _repr_html_(self) -> str:
        """The tables as a notebook shows them."""
        return "".join(map(html_table, self.tables()))


def left_out_table(left_out: Sequence[LeftOut]) -> Table:
    """The table of what is not judged, by reason.

    Args:
        left_out: Queries and models that are left out, by source.
    """
    rows = []
    for why in dict.fromkeys(one.why for one in left_out):
        found = [one for one in left_out if one.why == why]
        queries, models = sum(one.queries for one in found), sorted({model for one in found for model in one.models})
        sources = [one.source for one in found]
        rows.append((why, f"{queries:,}" if queries else "", _names(models), _names(sources)))
    return Table("left out", ("why", "queries", "models", "sources"), rows)


def _panel_tables(panel: PanelEvaluation, evaluation: Evaluation) -> Iterator[Table]:
    dollars = "$ per 1K queries" if panel.kind == "call" else "$ per 1K runs"
    yield Table(
        f"{panel.queries:,} queries, {panel.models} models, {_TITLES[panel.kind]}, scoring {evaluation.scoring}, "
        f"95% bootstrap intervals{'; costs are estimates' if panel.estimated_costs else ''}",
        (
            "setting",
            "accuracy (datasets)",
            "accuracy (queries)",
            dollars,
            "models chosen",
        ),
        [
            (
                setting.name,
                with_interval(setting.accuracy, setting.accuracy_interval),
                with_interval(setting.accuracy_queries, setting.accuracy_queries_interval),
                dollars_per_1k(setting.cost_usd, setting.cost_usd_interval),
                _top_shares(setting.shares),
            )
            for setting in panel.settings
        ],
    )
    yield _area_table(panel.auc)
    yield Table(
        "figures of the router's curve, 95% bootstrap intervals",
        ("figure", "value", "interval"),
        [(name, number(figure.value), number_interval(figure.interval)) for name, figure in panel.figures.items()],
    )
    names = [setting.name for setting in panel.settings]
    yield Table(
        "accuracy by dataset",
        ("dataset", "queries", *names),
        [(row.dataset, f"{row.queries:,}", *(f"{row.accuracy[name]:.3f}" for name in names)) for row in panel.datasets],
    )


def _mean_tables(means: PanelMeans, panels: list[PanelEvaluation]) -> Iterator[Table]:
    yield Table(
        f"{_TITLES[means.kind]}: {means.queries:,} queries, means over {means.panels} sources; costs are multiples of "
        "that of each source's best single model",
        ("setting", "accuracy", "relative cost", "$ per 1K queries"),
        [
            (one.name, f"{one.accuracy:.4f}", f"{one.relative_cost:.3f}", f"{one.cost_usd * 1000:.4f}")
            for one in means.settings
        ],
    )
    yield _area_table(means.auc)
    yield Table(
        "figures of the router's mean curve",
        ("figure", "value"),
        [(name, number(value)) for name, value in means.figures.items()],
    )
    yield Table(
        f"{_TITLES[means.kind]} by source: areas, and the best single model beside the router at alpha 1",
        (
            "source",
            "queries",
            "models",
            "AUC",
            "AUC singles",
            "best single model",
            "accuracy",
            "router",
            "cost",
            "dollars",
        ),
        [_source_row(panel) for panel in panels],
    )


def _source_row(panel: PanelEvaluation) -> tuple[str, ...]:
    best = panel.setting("best single")
    router = [setting for setting in panel.settings if setting.name.startswith("alpha")][-1]
    return (
        _names(panel.sources),
        f"{panel.queries:,}",
        f"{panel.models}",
        f"{panel.auc['router'].datasets:.4f}",
        f"{panel.auc['single models'].datasets:.4f}",
        best.name.partition(": ")[2],
        f"{best.accuracy:.3f}",
        f"{router.accuracy:.3f}",
        f"{router.cost_usd / best.cost_usd:.2f}x" if best.cost_usd else "",
        "estimated" if panel.estimated_costs else "recorded",
    )


def _area_table(areas: Mapping[str, Area]) -> Table:
    return Table(
        "area under the accuracy-cost curve",
        ("router", "AUC (datasets)", "AUC (queries)", "share of the way to the oracle"),
        [
            (name, f"{area.datasets:.4f}", f"{area.queries:.4f}", f"{area.gap_closed:.1%}")
            for name, area in areas.items()
        ],
    )


def _top_shares(shares: Mapping[str, float], most: int = 3) -> str:
    ranked = sorted(shares.items(), key=lambda item: -item[1])[:most]
    return ", ".join(f"{name} {share:.0%}" for name, share in ranked)


def _names(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names) if len(names) <= most else f"{len(names):,}: {', '.join(names[:most])}, ..."
