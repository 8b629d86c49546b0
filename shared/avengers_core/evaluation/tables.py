"""Tables of an evaluation, for the terminal and for the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .._utils.format import dollars_per_1k, number, number_interval, with_interval
from .._utils.results import Table
from .evaluate import Area, Evaluation, PanelEvaluation, PanelMeans
from .panels import LeftOut

__all__ = ["evaluation_tables", "left_out_table"]

_TITLES = {"call": "calls", "agent_run": "runs of agents"}


def evaluation_tables(evaluation: Evaluation) -> Iterator[Table]:
    """Tables of an evaluation: calls and runs of agents apart, by source and averaged if models differ by source.

    Args:
        evaluation: The evaluation.
    """
    for means in evaluation.means:
        panels = [panel for panel in evaluation.panels if panel.kind == means.kind]
        yield from _panel_tables(panels[0], evaluation) if len(panels) == 1 else _mean_tables(means, panels)
    if evaluation.left_out:
        yield left_out_table(evaluation.left_out)


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
