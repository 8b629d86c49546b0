"""A report on what a router is worth: one HTML file that opens offline, the same as Markdown, and its pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .._utils.files import replacing, user_path
from .._utils.results import to_json
from ..records.io import Source
from ..records.table import RecordTable
from . import plots
from .evaluate import Progress
from .report_figures import ReportFigures, gather
from .report_pages import Picture, as_html, as_markdown

__all__ = ["draw_pictures", "make_report"]

#: Dots per inch of the pictures.
DPI = 150


def make_report(
    records: RecordTable | Source,
    folder: str | Path,
    *,
    seeds: int = 5,
    n_clusters: Sequence[int] = (40,),
    alpha: float = 0.5,
    title: str = "What a router is worth on these records",
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write ``report.html``, ``report.md``, ``figures.json`` and the pictures.

    Args:
        records: A table with query texts, or paths of the records.
        folder: Folder for the report. The sweep behind its bands is kept in ``sweep`` there.
        seeds: Number of splits behind bands and means.
        n_clusters: Numbers of clusters to try; the first is reported.
        alpha: Alpha whose calibration is shown, in [0, 1].
        title: Heading of the report.
        jobs: Number of processes of the sweep. Default: one per core.
        progress: Called as steps are done.

    Returns:
        Path of ``report.html``.

    Raises:
        RecordError: If the records are unusable.
        MissingExtraError: If matplotlib, Jinja or scikit-learn is not installed.
    """
    target = user_path(folder)
    figures = gather(
        records,
        target / "sweep",
        seeds=seeds,
        n_clusters=n_clusters,
        alpha=alpha,
        jobs=jobs,
        progress=progress,
    )
    pictures = {}
    for name, (heading, figure) in draw_pictures(figures).items():
        with replacing(target / f"{name}.png") as temporary:
            figure.savefig(temporary, format="png", dpi=DPI)
        png = io.BytesIO()
        figure.savefig(png, format="png", dpi=DPI, transparent=True)  # the page has a light and a dark background
        pictures[name] = Picture(heading, png.getvalue())
    _write(target / "figures.json", to_json(figures.to_dict()) + "\n")
    _write(target / "report.md", as_markdown(figures, title, list(pictures)))
    _write(target / "report.html", as_html(figures, title, pictures))
    return target / "report.html"


def draw_pictures(figures: ReportFigures) -> dict[str, tuple[str, Any]]:
    """Draw the pictures of a report.

    Args:
        figures: The figures.

    Returns:
        Heading and matplotlib figure of each picture, by file name without its ending.
    """
    clusters = figures.clusters
    expected = np.array(clusters.expected)
    drawn = {
        "pareto": ("Accuracy against cost", plots.pareto(figures.evaluation)),
        "alpha": ("Accuracy and cost along alpha", plots.along_alpha(figures.rows)),
        "shares": ("Which models are chosen", plots.shares(figures.rows)),
        "calibration": ("Expected and real scores", plots.calibration(figures.calibration.bins)),
        "clusters": ("Which model is good at what", plots.heatmap(clusters.names, clusters.models, expected)),
    }
    if len({summary.n_clusters for summary in figures.summary}) > 1:
        drawn["ablation"] = ("How many clusters", plots.ablation(figures.summary))
    return drawn


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
