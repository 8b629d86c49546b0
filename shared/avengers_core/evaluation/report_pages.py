"""A report as text: the findings in sentences, the tables, the Markdown and the HTML page."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .._utils.pages import render_page
from .._utils.results import Table
from .outcome import Evaluation
from .recommend import Recommendation
from .report_figures import ReportFigures
from .sweep_rows import by_alpha, mean_shares

__all__ = ["CAPTIONS", "Picture", "as_html", "as_markdown", "findings", "tables"]

#: What each picture shows, by its name.
CAPTIONS = {
    "pareto": "Dots are single models, the line is the router from alpha 0 to 1. Higher and further left is better.",
    "alpha": "Lines are means over splits, bands hold 95% of them. Left of an elbow a little alpha buys much accuracy.",
    "shares": "Shares of the queries that go to each model at each alpha.",
    "calibration": "On the dotted line a router scores what it expected.",
    "clusters": "Expected score of each model on each cluster of queries, which is named by its main dataset.",
    "ablation": "Means and standard deviations over splits.",
}


class Picture(NamedTuple):
    """A picture of a page.

    Attributes:
        title: Its heading.
        png: Its bytes.
    """

    title: str
    png: bytes


def findings(figures: ReportFigures) -> list[str]:
    """The report in sentences."""
    areas, calibration = figures.evaluation.means[0].auc, figures.calibration
    one_panel = figures.evaluation.means[0].panels == 1
    return [
        f"Trained on {figures.queries.train:,} queries, judged on {figures.queries.test:,} others; "
        f"{figures.models} models, {figures.settings.n_clusters} clusters; bands and means over "
        f"{figures.settings.seeds} splits.",
        _advice(figures.advice, "best single model" if one_panel else "best single model of each source"),
        f"Area under the accuracy-cost curve: {areas['router'].datasets:.4f}, single models "
        f"{areas['single models'].datasets:.4f}, oracle {areas['oracle'].datasets:.4f}; "
        f"{areas['router'].gap_closed:.0%} of the way.",
        f"Expected and real scores are {calibration.error:.3f} apart on average at alpha "
        f"{figures.settings.alpha:g}. Confidence tells choices as good as any from the others with an AUROC of "
        f"{calibration.confidence_auroc:.2f} (0.5: it says nothing).",
    ]


def _advice(advice: Recommendation | str, best: str) -> str:
    if isinstance(advice, str):
        return f"No setting is as accurate as the {best}: {advice}."
    saved = 1 - advice.cost_usd / advice.best_single_cost_usd
    over = ""
    if advice.alpha_interval:
        low, high = advice.alpha_interval
        over = f" ({low:g} to {high:g} over splits)"
    return (
        f"At alpha {advice.alpha:g}{over} it is as accurate as the {best} "
        f"({advice.accuracy:.1%} against {advice.best_single_accuracy:.1%}) and costs {abs(saved):.0%} "
        f"{'less' if saved >= 0 else 'more'} (${advice.cost_usd * 1000:.3f} against "
        f"${advice.best_single_cost_usd * 1000:.3f} per 1,000 queries)."
    )


def tables(figures: ReportFigures) -> list[Table]:
    """The tables of the report."""
    shown = [*figures.evaluation.tables(), *_single_tables(figures.evaluation)]
    return [*shown, _unseen_table(figures)] if figures.unseen else shown


def _single_tables(evaluation: Evaluation) -> Iterator[Table]:
    for panel in evaluation.panels:
        where = "" if len(evaluation.panels) == 1 else f": {', '.join(panel.sources)}"
        yield Table(
            f"Single models{where}",
            ("model", "accuracy", "US dollars per 1,000 queries"),
            [
                (name, f"{single.accuracy:.4f}", f"{single.cost_usd * 1000:.4f}")
                for name, single in sorted(panel.singles.items(), key=lambda item: -item[1].accuracy)
            ],
        )


def _unseen_table(figures: ReportFigures) -> Table:
    return Table(
        "Each dataset in turn unknown to the router",
        ("dataset", "queries", "AUC", "AUC of single models", "flagged as unlike", "known ones flagged", "AUROC"),
        [
            (
                row.dataset,
                f"{row.queries:,}",
                f"{row.auc:.4f}",
                f"{row.auc_singles:.4f}",
                f"{row.flagged:.1%}",
                f"{row.flagged_known:.1%}",
                f"{row.similarity_auroc:.2f}",
            )
            for row in figures.unseen
        ],
    )


def as_markdown(figures: ReportFigures, title: str, pictures: Sequence[str]) -> str:
    """Write the report for a pull request.

    Args:
        figures: The figures.
        title: Heading of the report.
        pictures: Names of the pictures, which lie beside the Markdown file as ``<name>.png``.
    """
    parts = [f"# {title}", "", *(f"- {line}" for line in findings(figures)), ""]
    for name in pictures:
        parts += [f"![{CAPTIONS[name]}]({name}.png)", "", CAPTIONS[name], ""]
    for heading, columns, rows in tables(figures):
        parts += [f"## {heading}", "", f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
        parts += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
        parts.append("")
    return "\n".join(parts)


def as_html(figures: ReportFigures, title: str, pictures: Mapping[str, Picture]) -> str:
    """Write the report as one page that holds everything: nothing is requested when it is opened.

    Args:
        figures: The figures.
        title: Heading of the report.
        pictures: The pictures, by name.
    """
    return render_page(
        Path(__file__).with_name("report.html"),
        "reports",
        "report",
        title=title,
        findings=findings(figures),
        pictures=[
            {"title": picture.title, "caption": CAPTIONS[name], "png": base64.b64encode(picture.png).decode()}
            for name, picture in pictures.items()
        ],
        tables=tables(figures),
        chart=_chart(figures),
    )


def _chart(figures: ReportFigures) -> dict[str, Any]:
    """What the page's chart shows: means over splits, and single models; costs per 1,000 queries."""
    alphas, accuracy, cost = by_alpha(figures.rows, "accuracy", "cost_usd")
    _, shares = mean_shares(figures.rows)
    return {
        "alpha": alphas.tolist(),
        "accuracy": accuracy.mean(axis=0).tolist(),
        "cost": (cost.mean(axis=0) * 1000).tolist(),
        "shares": [
            {name: float(share[at]) for name, share in shares.items() if share[at]} for at in range(len(alphas))
        ],
        "singles": [
            {"name": name, "accuracy": accuracy, "cost": cost * 1000}
            for name, accuracy, cost in _chart_singles(figures.evaluation)
        ],
    }


def _chart_singles(evaluation: Evaluation) -> list[tuple[str, float, float]]:
    """Name, accuracy and US dollars a query of what the chart shows beside the router."""
    if evaluation.means[0].panels == 1:
        return [(name, single.accuracy, single.cost_usd) for name, single in evaluation.panels[0].singles.items()]
    named = {"best single": "best model of each source", "cheapest": "cheapest model of each source"}
    settings = evaluation.means[0].settings
    return [(named[one.name], one.accuracy, one.cost_usd) for one in settings if one.name in named]
