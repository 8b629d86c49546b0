"""Commands that give evidence: sweep, recommend, report, compare, and files for leaderboards."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from .console import ArtifactOption, JsonFlag, Quiet, out, print_json, print_table, show_progress, split_names

evidence = typer.Typer()


def _listed(text: str, kind: Callable[[str], Any]) -> list[Any]:
    """Comma-separated values; ``default`` is None, ``0:10`` counts from 0 to 9."""
    out: list[Any] = []
    for item in split_names(text):
        start, colon, stop = item.partition(":")
        if colon and start.isdigit() and stop.isdigit():
            out += range(int(start), int(stop))
        elif item == "default":
            out.append(None)
        else:
            try:
                out.append(kind(item))
            except ValueError:
                raise typer.BadParameter(f"{item!r} is no number") from None
    return out


@evidence.command()
def sweep(
    files: Annotated[list[Path], typer.Argument(help="Records: JSONL files, plain or gzip, or folders of them.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results; a stopped sweep goes on.")],
    n_clusters: Annotated[str, typer.Option(help="Numbers of clusters, comma-separated.")] = "40",
    top_k: Annotated[str, typer.Option(help="Nearest clusters that count; 'default' is the scoring's.")] = "default",
    beta: Annotated[str, typer.Option(help="Sharpness of cluster weights; 'default' is the scoring's.")] = "default",
    scoring: Annotated[str, typer.Option(help="utility, reference, simple, comma-separated.")] = "utility",
    embedder: Annotated[str, typer.Option(help="Embedders, comma-separated.")] = "wordllama",
    seeds: Annotated[str, typer.Option(help="Seeds of splits and clusters: 0:10, or 1,2,3.")] = "0:10",
    alpha_step: Annotated[float, typer.Option(help="Step of alpha from 0 to 1.")] = 0.01,
    train_ratio: Annotated[float, typer.Option(help="Share of each dataset that is trained on.")] = 0.7,
    jobs: Annotated[int | None, typer.Option(help="Processes. Default: as many as cores.")] = None,
    parquet: Annotated[bool, typer.Option("--parquet", help="Write curves.parquet, too.")] = False,
    quiet: Quiet = False,
    as_json: JsonFlag = False,
) -> None:
    """Try many settings on many splits: curves.csv, summary.csv, and a table of what each is worth."""
    from ..evaluation.sweep import Grid, summarize, write_parquet
    from ..evaluation.sweep import sweep as run

    if not 0 < alpha_step <= 1:
        raise typer.BadParameter("--alpha-step must be above 0 and at most 1")
    grid = Grid(
        n_clusters=_listed(n_clusters, int),
        top_k=_listed(top_k, int),
        beta=_listed(beta, float),
        scoring=split_names(scoring),
        embedder=split_names(embedder),
        seeds=_listed(seeds, int),
        alphas=[round(step * alpha_step, 6) for step in range(int(1 / alpha_step + 1e-9) + 1)],
        train_ratio=train_ratio,
    )
    with show_progress(quiet) as progress:
        rows = run([*files], grid, output, jobs=jobs, progress=progress)
    summary = summarize(rows)
    if parquet:
        write_parquet(output / "curves.parquet", rows)
    if as_json:
        print_json(summary)
        return
    print_table(
        f"{len(rows):,} rows in {output / 'curves.csv'}; mean over seeds, standard deviation in brackets",
        ("scoring", "clusters", "top_k", "beta", "embedder", "seeds", "AUC", "AIQ", "best accuracy", "cost saved"),
        [
            (
                row["scoring"],
                str(row["n_clusters"]),
                str(row["top_k"] or "default"),
                "default" if row["beta"] is None else f"{row['beta']:g}",
                row["embedder"],
                str(row["seeds"]),
                f"{row['auc']:.4f} ({row['auc_sd']:.4f})",
                f"{row['aiq']:.4f} ({row['aiq_sd']:.4f})",
                f"{row['perf_gain']:+.1%} ({row['perf_gain_sd']:.1%})",
                "never" if row["cost_save"] is None else f"{row['cost_save']:.1%} ({row['cost_save_sd']:.1%})",
            )
            for row in summary
        ],
    )
    out.print("best accuracy and cost saved: against the best single model; saved at equal accuracy", highlight=False)


@evidence.command()
def recommend(
    source: Annotated[list[Path], typer.Argument(help="The folder of a sweep, or records.")],
    target: Annotated[
        str, typer.Option(help="'accuracy >= best single', 'accuracy >= 98% of best single', 'cost <= 0.0004', ...")
    ] = "accuracy >= best single",
    max_cost: Annotated[float | None, typer.Option(help="US dollars per 1,000 queries at the most.")] = None,
    quiet: Quiet = False,
    as_json: JsonFlag = False,
) -> None:
    """The alpha that meets a target of accuracy or cost, and how sure that is."""
    import tempfile

    from ..evaluation.recommend import recommend as choose
    from ..evaluation.sweep import Grid, load_rows
    from ..evaluation.sweep import sweep as run

    if len(source) == 1 and (source[0] / "runs.jsonl").is_file():
        rows = load_rows(source[0])
    else:
        with tempfile.TemporaryDirectory() as folder, show_progress(quiet) as progress:
            rows = run([*source], Grid(seeds=range(5)), folder, progress=progress)
    found = choose(rows, target, max_cost=None if max_cost is None else max_cost / 1000)
    if as_json:
        print_json(found)
        return
    interval = found["alpha_interval"]
    spread = f"{interval[0]:g} to {interval[1]:g} over seeds" if interval else "no single seed meets it"
    out.print(f"alpha {found['alpha']:g}", style="bold", highlight=False)
    out.print(
        f"{spread}; {found['seeds_met']} of {found['seeds']} seeds meet the target with some alpha\n"
        f"accuracy {found['accuracy']:.4f} (sd {found['accuracy_sd']:.4f}), best single model "
        f"{found['best_single_accuracy']:.4f}\n"
        f"${found['cost'] * 1000:.4f} per 1K queries (sd {found['cost_sd'] * 1000:.4f}), best single model "
        f"${found['best_single_cost'] * 1000:.4f}\n"
        f"scoring {found['scoring']}, {found['n_clusters']} clusters, embedder {found['embedder']}",
        highlight=False,
        markup=False,
    )


@evidence.command()
def report(
    files: Annotated[list[Path], typer.Argument(help="Records: JSONL files, plain or gzip, or folders of them.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for report.html, report.md and pictures.")],
    seeds: Annotated[int, typer.Option(help="Splits behind the bands.")] = 5,
    n_clusters: Annotated[str, typer.Option(help="Numbers of clusters that are tried; the first is reported.")] = "40",
    alpha: Annotated[float, typer.Option(help="Setting whose calibration is shown.")] = 0.5,
    title: Annotated[str, typer.Option(help="Heading.")] = "What a router is worth on these records",
    jobs: Annotated[int | None, typer.Option(help="Processes. Default: as many as cores.")] = None,
    quiet: Quiet = False,
) -> None:
    """Write a report that opens offline in a browser, the same as Markdown, and its pictures."""
    from ..evaluation.report import make_report

    with show_progress(quiet) as progress:
        made = make_report(
            [*files],
            output,
            seeds=seeds,
            n_clusters=[value for value in _listed(n_clusters, int) if value],
            alpha=alpha,
            title=title,
            jobs=jobs,
            progress=progress,
        )
    out.print(str(made), highlight=False, soft_wrap=True)


@evidence.command()
def compare(
    first: Annotated[str, typer.Argument(help="Artifact: path or pretrained name.")],
    second: Annotated[str, typer.Argument(help="Artifact: path or pretrained name.")],
    files: Annotated[list[Path], typer.Argument(help="Records that neither was trained on.")],
    alphas: Annotated[str, typer.Option(help="Settings to compare at, comma-separated.")] = "0.25,0.5,0.75,1",
    as_json: JsonFlag = False,
) -> None:
    """Compare two artifacts on the same records, query by query."""
    from ..evaluation.compare import compare as run
    from ..records.table import load_records
    from ..routing.router import Router

    found = run(Router.load(first), Router.load(second), load_records([*files]), alphas=_listed(alphas, float))
    if as_json:
        print_json(found)
        return
    print_table(
        f"{found['queries']:,} queries; AUC {found['auc'][0]:.4f} and {found['auc'][1]:.4f}; 95% intervals",
        ("alpha", "accuracy", "difference", "p", "wins", "losses", "$ per 1K queries", "difference of $"),
        [
            (
                f"{row['alpha']:g}",
                f"{row['accuracy'][0]:.4f}, {row['accuracy'][1]:.4f}",
                f"{row['difference']:+.4f} [{row['interval'][0]:+.4f}, {row['interval'][1]:+.4f}]",
                f"{row['p_value']:.3g}",
                str(row["wins"]),
                str(row["losses"]),
                f"{row['cost'][0] * 1000:.4f}, {row['cost'][1] * 1000:.4f}",
                f"[{row['cost_interval'][0] * 1000:+.4f}, {row['cost_interval'][1] * 1000:+.4f}]",
            )
            for row in found["settings"]
        ],
    )


@evidence.command("routerarena")
def routerarena(
    dataset: Annotated[Path, typer.Argument(help="RouterArena's router_data.json or router_data_10.json.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The prediction file.")],
    artifact: ArtifactOption = None,
    alpha: Annotated[float | None, typer.Option(help="0 cost only, 1 quality only. Default: the artifact's.")] = None,
    names: Annotated[str, typer.Option(help="RouterArena's names: id=name,id=name; only these are chosen.")] = "",
) -> None:
    """Write RouterArena's prediction file. Its queries are for evaluation only: never train on them."""
    from ..evaluation.routerarena import predictions
    from ..routing.router import Router

    told = dict(item.split("=", 1) for item in split_names(names) if "=" in item)
    if len(told) != len(split_names(names)):
        raise typer.BadParameter("--names: give id=name,id=name")
    made = predictions(Router.load(artifact), dataset, alpha=alpha, names=told or None)
    output.write_text(json.dumps(made, ensure_ascii=False, indent=2), encoding="utf-8")
    out.print(f"{len(made):,} predictions in {output}", highlight=False, soft_wrap=True)
