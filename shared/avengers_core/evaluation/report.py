"""A report that people would show their manager: one HTML file that opens offline, the same as Markdown, pictures."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..cli.console import finite, number
from ..embedders.factory import make_embedder
from ..records.io import Source
from ..records.table import load_records
from ..routing.score_model import expected_cluster_scores
from ..training.estimator import RouterEstimator, load_encoded
from . import plots
from .calibration import calibrate, leave_one_out
from .evaluate import evaluate_router
from .recommend import recommend
from .sweep import Grid, by_alpha, summarize, sweep

SPLIT_SEED = 42


def gather(
    records: Source,
    folder: Path,
    *,
    seeds: int = 5,
    n_clusters: Sequence[int] = (40,),
    alpha: float = 0.5,
    jobs: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """All figures of a report, as plain values; the sweep behind its bands is kept in ``folder``.

    ``evaluation`` is what `evaluate_router` says of a 70/30 split with seed 42, as ``avengers evaluate`` does.
    """
    table = load_encoded(load_records(records), make_embedder(), progress)
    estimator = RouterEstimator(n_clusters[0], random_state=SPLIT_SEED, train_ratio=0.7, progress=progress)
    estimator.fit(table)
    router, test = estimator.router_, estimator.held_out_
    assert test is not None
    train, _ = table.split(0.7, SPLIT_SEED)
    evaluation = evaluate_router(router, test, train=train, progress=progress)
    rows = sweep(table, Grid(n_clusters=n_clusters, seeds=range(seeds)), folder, jobs=jobs, progress=progress)
    reported = [row for row in rows if row["n_clusters"] == n_clusters[0]]
    try:
        advice: dict[str, Any] | str = recommend(reported)
    except ValueError as error:
        advice = str(error)
    scores, _ = expected_cluster_scores(router.artifact.statistics)
    main = router.artifact.statistics.dataset_n.argmax(axis=1)
    names = [f"{cluster}: {router.artifact.manifest.datasets[code]}" for cluster, code in enumerate(main)]
    several = len(table.datasets) > 1
    return {
        "queries": {"train": estimator.n_records_, "test": evaluation["queries"]},
        "models": len(table.models),
        "settings": {"n_clusters": n_clusters[0], "seeds": seeds, "alpha": alpha},
        "evaluation": evaluation,
        "summary": summarize(rows),
        "rows": reported,
        "advice": advice,
        "calibration": calibrate(router, test, alpha),
        "clusters": {"names": names, "models": router.models, "expected": scores.tolist()},
        "unseen": leave_one_out(table, n_clusters=n_clusters[0], progress=progress) if several else [],
    }


def pictures(figures: dict[str, Any]) -> dict[str, tuple[str, Any]]:
    """Title and matplotlib figure of each picture, by file name."""
    import numpy as np

    clusters = figures["clusters"]
    drawn = {
        "pareto": ("Accuracy against cost", plots.pareto(figures["evaluation"])),
        "alpha": ("Accuracy and cost along alpha", plots.along_alpha(figures["rows"])),
        "shares": ("Which models are chosen", plots.shares(figures["rows"])),
        "calibration": ("What was expected, and what came", plots.calibration(figures["calibration"]["bins"])),
        "clusters": (
            "Which model is good at what",
            plots.heatmap(clusters["names"], clusters["models"], np.array(clusters["expected"])),
        ),
    }
    if len({row["n_clusters"] for row in figures["summary"]}) > 1:
        drawn["ablation"] = ("How many clusters", plots.ablation(figures["summary"]))
    return drawn


def make_report(
    records: Source,
    folder: str | Path,
    *,
    seeds: int = 5,
    n_clusters: Sequence[int] = (40,),
    alpha: float = 0.5,
    title: str = "What a router is worth on these records",
    jobs: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Write ``report.html``, ``report.md``, ``figures.json`` and the pictures; returns the path of the first.

    Raises:
        RecordError: unusable records. MissingExtraError: matplotlib or scikit-learn is not installed.
    """
    target = Path(folder)
    figures = gather(
        records,
        target / "sweep",
        seeds=seeds,
        n_clusters=n_clusters,
        alpha=alpha,
        jobs=jobs,
        progress=progress,
    )
    drawn = pictures(figures)
    images = {}
    for name, (_, figure) in drawn.items():
        figure.savefig(target / f"{name}.png", dpi=150)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=150, transparent=True)  # the page has two backgrounds
        images[name] = buffer.getvalue()
    plain = json.dumps(finite({k: v for k, v in figures.items() if k != "rows"}), indent=1)
    (target / "figures.json").write_text(plain + "\n", encoding="utf-8")
    (target / "report.md").write_text(as_markdown(figures, title, list(drawn)), encoding="utf-8")
    page = target / "report.html"
    page.write_text(as_html(figures, title, {name: (drawn[name][0], images[name]) for name in drawn}), encoding="utf-8")
    return page


def _findings(figures: dict[str, Any]) -> list[str]:
    """The report in sentences."""
    evaluation, advice = figures["evaluation"], figures["advice"]
    areas, calibration = evaluation["auc"], figures["calibration"]
    out = [
        f"Trained on {figures['queries']['train']:,} queries, judged on {figures['queries']['test']:,} others; "
        f"{figures['models']} models, {figures['settings']['n_clusters']} clusters; bands and means over "
        f"{figures['settings']['seeds']} splits."
    ]
    if isinstance(advice, str):
        out.append(f"No setting is as accurate as the best single model: {advice}.")
    else:
        saved = 1 - advice["cost"] / advice["best_single_cost"]
        interval = advice["alpha_interval"]
        over = f" ({interval[0]:g} to {interval[1]:g} over splits)" if interval else ""
        out.append(
            f"At alpha {advice['alpha']:g}{over} it is as accurate as the best single model "
            f"({advice['accuracy']:.1%} against {advice['best_single_accuracy']:.1%}) and costs {abs(saved):.0%} "
            f"{'less' if saved >= 0 else 'more'} (${advice['cost'] * 1000:.3f} against "
            f"${advice['best_single_cost'] * 1000:.3f} per 1,000 queries)."
        )
    out.append(
        f"Area under the accuracy-cost curve: {areas['router']['datasets']:.4f}, single models "
        f"{areas['single models']['datasets']:.4f}, oracle {areas['oracle']['datasets']:.4f}; "
        f"{areas['router']['gap_closed']:.0%} of the way."
    )
    out.append(
        f"Expected and real scores are {calibration['error']:.3f} apart on average at alpha "
        f"{figures['settings']['alpha']:g}; a confident choice is as good as any with an AUROC of "
        f"{calibration['confidence_auroc']:.2f} (0.5: confidence tells nothing)."
    )
    return out


def _tables(figures: dict[str, Any]) -> list[tuple[str, list[str], list[list[str]]]]:
    evaluation = figures["evaluation"]
    tables = [
        (
            "Settings and baselines, 95% bootstrap intervals",
            ["setting", "accuracy (datasets)", "accuracy (queries)", "US dollars per 1,000 queries"],
            [
                [
                    row["name"],
                    "{:.4f} [{:.3f}, {:.3f}]".format(row["accuracy"], *row["accuracy_interval"]),
                    "{:.4f} [{:.3f}, {:.3f}]".format(row["accuracy_queries"], *row["accuracy_queries_interval"]),
                    "{:.4f} [{:.3f}, {:.3f}]".format(row["cost"] * 1000, *(c * 1000 for c in row["cost_interval"])),
                ]
                for row in evaluation["settings"]
            ],
        ),
        (
            "Single models",
            ["model", "accuracy", "US dollars per 1,000 queries"],
            [
                [name, f"{one['accuracy']:.4f}", f"{one['cost'] * 1000:.4f}"]
                for name, one in sorted(evaluation["singles"].items(), key=lambda item: -item[1]["accuracy"])
            ],
        ),
    ]
    tables.append(
        (
            "Figures of the router's curve, 95% bootstrap intervals",
            ["figure", "value", "interval"],
            [
                [name, number(one["value"]), " to ".join(map(number, one["interval"] or ()))]
                for name, one in evaluation["figures"].items()
            ],
        )
    )
    if figures["unseen"]:
        tables.append(
            (
                "Each dataset in turn unknown to the router",
                [
                    "dataset",
                    "queries",
                    "AUC",
                    "AUC of single models",
                    "flagged as unlike",
                    "known ones flagged",
                    "AUROC",
                ],
                [
                    [
                        row["dataset"],
                        f"{row['queries']:,}",
                        f"{row['auc']:.4f}",
                        f"{row['auc_singles']:.4f}",
                        f"{row['flagged']:.1%}",
                        f"{row['flagged_known']:.1%}",
                        f"{row['similarity_auroc']:.2f}",
                    ]
                    for row in figures["unseen"]
                ],
            )
        )
    return tables


_CAPTIONS = {
    "pareto": "Dots are single models, the line is the router from alpha 0 to 1. Higher and further left is better.",
    "alpha": "Lines are means over splits, bands hold 95% of them. Left of an elbow a little alpha buys much accuracy.",
    "shares": "Shares of the queries that go to each model at each alpha.",
    "calibration": "On the dotted line a router scores what it expected.",
    "clusters": "Expected score of each model on each cluster of queries, which is named by its main dataset.",
    "ablation": "Means and standard deviations over splits.",
}


def as_markdown(figures: dict[str, Any], title: str, names: Sequence[str]) -> str:
    """The report for pull requests; pictures lie beside it."""
    parts = [f"# {title}", "", *(f"- {line}" for line in _findings(figures)), ""]
    for name in names:
        parts += [f"![{_CAPTIONS[name]}]({name}.png)", "", _CAPTIONS[name], ""]
    for heading, columns, rows in _tables(figures):
        parts += [f"## {heading}", "", f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
        parts += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
        parts.append("")
    return "\n".join(parts)


def as_html(figures: dict[str, Any], title: str, images: dict[str, tuple[str, bytes]]) -> str:
    """One page with everything in it: no request is made when it is opened."""
    text = html.escape
    sections = []
    for name, (heading, picture) in images.items():
        data = base64.b64encode(picture).decode()
        caption = text(_CAPTIONS[name])
        sections.append(
            f'<section><h2>{text(heading)}</h2><figure><img alt="{caption}" src="data:image/png;base64,{data}">'
            f"<figcaption>{caption}</figcaption></figure></section>"
        )
    for heading, columns, rows in _tables(figures):
        head = "".join(f'<th scope="col">{text(column)}</th>' for column in columns)
        body = "".join(
            f'<tr><th scope="row">{text(row[0])}</th>{"".join(f"<td>{text(cell)}</td>" for cell in row[1:])}</tr>'
            for row in rows
        )
        sections.append(
            f"<section><h2>{text(heading)}</h2>"
            f'<div class="wide" tabindex="0" role="region" aria-label="{text(heading)}">'
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></section>"
        )
    alphas, accuracy, cost = by_alpha(figures["rows"], "accuracy", "cost")
    _, shares = plots.mean_shares(figures["rows"])
    told = {
        "alpha": alphas.tolist(),
        "accuracy": accuracy.mean(axis=0).tolist(),
        "cost": (cost.mean(axis=0) * 1000).tolist(),
        "shares": [{name: share[at] for name, share in shares.items() if share[at]} for at in range(len(alphas))],
        "singles": [
            {"name": name, "accuracy": one["accuracy"], "cost": one["cost"] * 1000}
            for name, one in figures["evaluation"]["singles"].items()
        ],
    }
    return (
        _PAGE.replace("{{title}}", text(title))
        .replace("{{findings}}", "".join(f"<li>{text(line)}</li>" for line in _findings(figures)))
        .replace("{{sections}}", "".join(sections))
        .replace("{{data}}", json.dumps(finite(told)).replace("<", "\\u003c"))
    )


_PAGE = (Path(__file__).parent / "report.html").read_text(encoding="utf-8")
