"""Commands that give evidence: sweep, recommend, report, compare, and a file for a leaderboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from .._utils.files import check_output
from .console import print_path, print_result, show_progress
from .options import (
    AlphaOption,
    ArtifactOption,
    JobsOption,
    JsonFlag,
    QuietFlag,
    RecordsArgument,
    SourceFromFile,
    parse_list,
    split_names,
)

if TYPE_CHECKING:
    from .._utils.results import Table
    from ..evaluation import Recommendation, SweepRow, SweepSummary

__all__ = ["compare", "recommend", "report", "routerarena", "sweep"]

#: Splits of the sweep that ``recommend`` makes from records.
RECOMMEND_SEEDS = 5


def sweep(
    files: RecordsArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the results; a stopped sweep in it continues.")
    ],
    n_clusters: Annotated[str, typer.Option(help="Numbers of clusters, separated by commas.")] = "40",
    top_k: Annotated[
        str,
        typer.Option(help="Numbers of nearest clusters that count, separated by commas; default is the scoring's."),
    ] = "default",
    beta: Annotated[
        str, typer.Option(help="Sharpness of the clusters' weights, separated by commas; default is the scoring's.")
    ] = "default",
    scoring: Annotated[
        str, typer.Option(help="Scorings, separated by commas: utility, reference and simple.")
    ] = "utility",
    embedder: Annotated[
        str, typer.Option(help="Embedders, separated by commas: wordllama and openai:<model>.")
    ] = "wordllama",
    seeds: Annotated[str, typer.Option(help="Seeds of the splits and clusters, as 0:10 or 1,2,3.")] = "0:10",
    alpha_step: Annotated[float, typer.Option(help="Step of alpha between 0 and 1.")] = 0.01,
    train_ratio: Annotated[float, typer.Option(help="Share of each dataset to train on; the rest is evaluated.")] = 0.7,
    source_from_file: SourceFromFile = False,
    jobs: JobsOption = None,
    parquet: Annotated[bool, typer.Option("--parquet", help="Write the rows as curves.parquet too.")] = False,
    quiet: QuietFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Try many settings on many splits, and write curves.csv and summary.csv."""
    from ..evaluation import Grid, run_sweep, summarize
    from ..evaluation.sweep_files import write_parquet
    from ..records import load_records

    if not 0 < alpha_step <= 1:
        raise typer.BadParameter("--alpha-step must be above 0 and at most 1")
    grid = Grid(
        n_clusters=parse_list(n_clusters, int),
        top_k=parse_list(top_k, int),
        beta=parse_list(beta, float),
        scoring=split_names(scoring),
        embedder=split_names(embedder),
        seeds=parse_list(seeds, int),
        alphas=[round(step * alpha_step, 6) for step in range(int(1 / alpha_step + 1e-9) + 1)],
        train_ratio=train_ratio,
    )
    check_output(output, folder=True)
    with show_progress(quiet) as progress:
        table = load_records(files, source_from_file=source_from_file)
        rows = run_sweep(table, grid, output, jobs=jobs, progress=progress)
    if parquet:
        write_parquet(output / "curves.parquet", rows)
    title = f"{len(rows):,} rows in {output / 'curves.csv'}; means over seeds, standard deviations in brackets"
    summaries = summarize(rows)
    print_result([summary.to_dict() for summary in summaries], lambda _: _sweep_view(title, summaries), as_json)


def _sweep_view(title: str, summaries: list[SweepSummary]) -> Iterator[Table | str]:
    for kind in dict.fromkeys(row.kind for row in summaries):
        of_kind = [row for row in summaries if row.kind == kind]
        yield _summary_table(title if kind == "call" else f"{title}; runs of agents", of_kind)
    yield "best accuracy and cost saved: against the best single model; saved at equal accuracy"


def _summary_table(title: str, summaries: list[SweepSummary]) -> Table:
    from .._utils.results import Table

    return Table(
        title,
        ("scoring", "clusters", "top_k", "beta", "embedder", "seeds", "AUC", "AIQ", "best accuracy", "cost saved"),
        [
            (
                row.scoring,
                str(row.n_clusters),
                str(row.top_k or "default"),
                "default" if row.beta is None else f"{row.beta:g}",
                row.embedder,
                str(row.seeds),
                _mean_sd(row.auc, row.auc_sd, ".4f"),
                _mean_sd(row.aiq, row.aiq_sd, ".4f"),
                _mean_sd(row.perf_gain, row.perf_gain_sd, ".1%", sign="+"),
                _mean_sd(row.cost_save, row.cost_save_sd, ".1%"),
            )
            for row in summaries
        ],
    )


def _mean_sd(mean: float | None, sd: float | None, form: str, sign: str = "") -> str:
    return "never" if mean is None or sd is None else f"{mean:{sign}{form}} ({sd:{form}})"


def recommend(
    source: Annotated[list[Path], typer.Argument(help="Folder of a sweep, or records to make one from.")],
    target: Annotated[
        str,
        typer.Option(
            help="What to reach, such as 'accuracy >= best single', 'accuracy >= 98% of best single', 'cost <= 50% of "
            "best single' or 'cost <= 0.0004' (US dollars a query)."
        ),
    ] = "accuracy >= best single",
    max_cost: Annotated[
        float | None,
        typer.Option(
            help="Limit on the cost in addition to the target, in US dollars per 1,000 queries. Default: no limit."
        ),
    ] = None,
    quiet: QuietFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Recommend the alpha that meets a target of accuracy or cost, and show how certain that is."""
    from ..evaluation import recommend_alpha

    rows = _rows(source, quiet)
    found = recommend_alpha(rows, target, max_cost_usd=None if max_cost is None else max_cost / 1000)
    print_result(found, _recommendation_view, as_json)


def _rows(source: list[Path], quiet: bool) -> list[SweepRow]:
    """Rows of the sweep in a folder, or of one that is made from records."""
    import tempfile

    from ..evaluation import Grid, load_rows, run_sweep
    from ..evaluation.sweep_files import LOG

    if len(source) == 1 and (source[0] / LOG).is_file():
        return load_rows(source[0])
    with tempfile.TemporaryDirectory() as folder, show_progress(quiet) as progress:
        return run_sweep([*source], Grid(seeds=range(RECOMMEND_SEEDS)), folder, progress=progress)


def _recommendation_view(found: Recommendation) -> Iterator[Text | str]:
    yield Text(f"alpha {found.alpha:g}", style="bold")
    spread = "no single seed meets it"
    if found.alpha_interval is not None:
        low, high = found.alpha_interval
        spread = f"{low:g} to {high:g} over seeds"
    yield f"{spread}; {found.seeds_met} of {found.seeds} seeds meet the target with some alpha"
    yield (
        f"accuracy {found.accuracy:.4f} (sd {found.accuracy_sd:.4f}), best single model "
        f"{found.best_single_accuracy:.4f}"
    )
    yield (
        f"${found.cost_usd * 1000:.4f} per 1K queries (sd {found.cost_usd_sd * 1000:.4f}), best single model "
        f"${found.best_single_cost_usd * 1000:.4f}"
    )
    yield f"scoring {found.scoring}, {found.n_clusters} clusters, embedder {found.embedder}"
    if found.per_request:
        options = " and ".join(f"{name}={value:g}" for name, value in found.per_request.items())
        yield f"This holds on average. To ask it of each request, use {options} instead (not measured by the sweep)."


def report(
    files: RecordsArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for report.html, report.md, figures.json and the pictures.")
    ],
    seeds: Annotated[int, typer.Option(help="Number of splits behind bands and means.")] = 5,
    n_clusters: Annotated[
        str, typer.Option(help="Numbers of clusters to try, separated by commas; the first is reported.")
    ] = "40",
    alpha: Annotated[float, typer.Option(help="Alpha whose calibration is shown.")] = 0.5,
    title: Annotated[str, typer.Option(help="Heading of the report.")] = "What a router is worth on these records",
    source_from_file: SourceFromFile = False,
    jobs: JobsOption = None,
    quiet: QuietFlag = False,
) -> None:
    """Write a report that opens offline in a browser, the same as Markdown, and its pictures."""
    from ..evaluation.report import make_report
    from ..records import load_records

    check_output(output, folder=True)
    with show_progress(quiet) as progress:
        page = make_report(
            load_records(files, source_from_file=source_from_file),
            output,
            seeds=seeds,
            n_clusters=[value for value in parse_list(n_clusters, int) if value],
            alpha=alpha,
            title=title,
            jobs=jobs,
            progress=progress,
        )
    print_path(str(page))


def compare(
    first: Annotated[str, typer.Argument(help="Path of an artifact, or name of a pretrained one.")],
    second: Annotated[str, typer.Argument(help="Path of the other artifact, or name of a pretrained one.")],
    files: Annotated[list[Path], typer.Argument(help="Records that neither artifact was trained on.")],
    alphas: Annotated[str, typer.Option(help="Alphas to compare at, separated by commas.")] = "0.25,0.5,0.75,1",
    as_json: JsonFlag = False,
) -> None:
    """Compare two artifacts on the same records, query by query."""
    from ..evaluation import compare_routers
    from ..records import load_records
    from ..routing.router import Router

    routers = Router.load(first), Router.load(second)
    found = compare_routers(*routers, load_records([*files]), alphas=parse_list(alphas, float))
    print_result(found, lambda found: found.tables(), as_json)


def routerarena(
    dataset: Annotated[Path, typer.Argument(help="RouterArena's router_data.json or router_data_10.json.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Prediction file to write.")],
    artifact: ArtifactOption = None,
    alpha: AlphaOption = None,
    names: Annotated[
        str,
        typer.Option(help="RouterArena's names of the models, as id=name,id=name; only these models are chosen."),
    ] = "",
) -> None:
    """Write RouterArena's prediction file. Its queries are for evaluation only: never train on them."""
    from .._utils.files import replacing
    from .._utils.results import to_json
    from ..evaluation.routerarena import predictions
    from ..routing.router import Router

    pairs: dict[str, str] = dict(item.split("=", 1) for item in split_names(names) if "=" in item)
    if len(pairs) != len(split_names(names)):
        raise typer.BadParameter("--names: give id=name,id=name")
    check_output(output)
    made: list[dict[str, Any]] = predictions(Router.load(artifact), dataset, alpha=alpha, names=pairs or None)
    with replacing(output) as temporary:
        temporary.write_text(to_json(made), encoding="utf-8")
    print_path(f"{len(made):,} predictions in {output}")
