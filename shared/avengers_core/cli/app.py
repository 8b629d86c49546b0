"""The ``avengers`` command: the library, from a shell."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from .._version import __version__
from ..errors import AvengersError, MissingExtraError
from .console import (
    ArtifactOption,
    JsonFlag,
    Quiet,
    err,
    finite,
    number,
    out,
    print_json,
    print_table,
    show_progress,
    split_names,
)
from .data import data
from .evidence import evidence

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Train, evaluate and ask a router that sends each query to the best model for its cost.",
)
app.add_typer(data)
app.add_typer(evidence)

Excluded = Annotated[str, typer.Option(help="Names, comma-separated.")]


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 an error that is named, 2 wrong usage, 130 interrupted."""
    try:
        app()
    except (AvengersError, ValueError, OSError) as error:
        err.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except (KeyboardInterrupt, SystemExit) as stop:
        code = 130 if isinstance(stop, KeyboardInterrupt) else stop.code
        if code == 130:
            err.print("interrupted: no file was left half written", markup=False)
        sys.exit(code)


def _version(value: bool) -> None:
    if value:
        out.print(__version__, highlight=False)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    pass


@app.command()
def train(
    files: Annotated[list[Path] | None, typer.Argument(help="JSONL files, plain or gzip, or folders of them.")] = None,
    input: Annotated[list[Path] | None, typer.Option("--input", "-i", help="The same, as an option.")] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Artifact: a folder, or a name ending in .zip.")
    ] = Path("avengers.zip"),
    n_clusters: Annotated[int, typer.Option("--n-clusters", "--clusters", help="k of k-means.")] = 40,
    top_k: Annotated[
        int | None, typer.Option(help="Nearest clusters a query is read from. Default: by scoring.")
    ] = None,
    beta: Annotated[float | None, typer.Option(help="Sharpness of the clusters' weights. Default: by scoring.")] = None,
    train_ratio: Annotated[float, typer.Option(help="Share of each dataset to train on.")] = 1.0,
    random_state: Annotated[int, typer.Option("--random-state", "--seed", help="Seed.")] = 42,
    scoring: Annotated[str, typer.Option(help="Default at routing: utility, reference or simple.")] = "utility",
    alpha: Annotated[float, typer.Option(help="Default at routing: 0 cost only, 1 quality only.")] = 0.5,
    performance_weight: Annotated[float | None, typer.Option(help="reference: in place of alpha.")] = None,
    cost_sensitivity: Annotated[float | None, typer.Option(help="reference: in place of 1 - alpha.")] = None,
    min_accuracy_threshold: Annotated[float, typer.Option(help="reference: score 0 below this.")] = 0.0,
    min_records: Annotated[int, typer.Option(help="A model with fewer answers is no candidate.")] = 20,
    exclude_models: Excluded = "",
    exclude_datasets: Excluded = "",
    soft_exclude_models: Excluded = "",
    soft_exclude_datasets: Excluded = "",
    embedder: Annotated[str | None, typer.Option(help="wordllama (default) or openai:<model>.")] = None,
    cache: Annotated[Path | None, typer.Option(help="SQLite file of embeddings (used for openai: anyway).")] = None,
    export_cluster: Annotated[
        Path | None, typer.Option(help="Folder for clusters.json, statistics by cluster.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="tcp://host:port of a Dask cluster to train on; it must see the files.")
    ] = None,
    quiet: Quiet = False,
    as_json: JsonFlag = False,
) -> None:
    """Train a router on records and write its artifact."""
    from ..embedders.cache import CachedEmbedder
    from ..embedders.factory import make_embedder
    from ..training.estimator import RouterEstimator

    sources = [*(files or []), *(input or [])]
    if not sources:
        raise typer.BadParameter("give at least one file or folder of records")
    chosen: Any = embedder
    if scheduler is None:
        chosen = make_embedder(embedder)
        if cache or chosen.id.startswith("openai:"):
            chosen = CachedEmbedder(chosen, cache)
    with show_progress(quiet or as_json) as progress:
        estimator = RouterEstimator(
            n_clusters,
            top_k=top_k,
            beta=beta,
            train_ratio=train_ratio,
            random_state=random_state,
            exclude_models=split_names(exclude_models),
            exclude_datasets=split_names(exclude_datasets),
            soft_exclude_models=split_names(soft_exclude_models),
            soft_exclude_datasets=split_names(soft_exclude_datasets),
            min_accuracy_threshold=min_accuracy_threshold,
            min_records=min_records,
            scoring=scoring,
            alpha=alpha,
            performance_weight=performance_weight,
            cost_sensitivity=cost_sensitivity,
            embedder=chosen,
            progress=progress,
        )
        if scheduler is None:
            estimator.fit(sources)
        else:
            from ..training.distributed import connect, fit_on_cluster

            with connect(scheduler) as client:
                fit_on_cluster(estimator, sources, client)
        estimator.save(output)
    if export_cluster:
        from ..routing.inspection import describe

        export_cluster.mkdir(parents=True, exist_ok=True)
        text = json.dumps(finite(describe(estimator.artifact_)), indent=1)
        (export_cluster / "clusters.json").write_text(text + "\n")
    unpriced = [m for m, known in zip(estimator.models_, estimator.router_.cost_known, strict=True) if not known]
    result = {
        "artifact": str(output),
        "queries": estimator.n_records_,
        "clusters": len(estimator.cluster_centers_),
        "models": estimator.models_,
        "cost_unknown": unpriced,
        "held_out": len(estimator.held_out_) if scheduler is None and estimator.held_out_ else 0,
    }
    if as_json:
        print_json(result)
        return
    out.print(
        f"{output}: {result['queries']:,} queries, {result['clusters']} clusters, {len(estimator.models_)} models",
        highlight=False,
    )
    if unpriced:
        out.print(f"cost unknown, chosen at alpha 1 only: {', '.join(unpriced)}", highlight=False)


@app.command()
def evaluate(
    files: Annotated[list[Path], typer.Argument(help="Records to evaluate on, or to split.")],
    artifact: ArtifactOption = None,
    train_ratio: Annotated[
        float,
        typer.Option(help="Without --artifact: share of each dataset to train on; the rest is evaluated."),
    ] = 0.7,
    random_state: Annotated[int, typer.Option("--random-state", "--seed", help="Seed.")] = 42,
    n_clusters: Annotated[int, typer.Option(help="Without --artifact: k of k-means.")] = 40,
    scoring: Annotated[str | None, typer.Option(help="utility, reference or simple.")] = None,
    alphas: Annotated[str, typer.Option(help="Rows of the table, comma-separated.")] = "0,0.25,0.39,0.53,0.8,1",
    exclude_models: Excluded = "",
    exclude_datasets: Excluded = "",
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples.")] = 1000,
    quiet: Quiet = False,
    as_json: JsonFlag = False,
) -> None:
    """Accuracy and cost along alpha, beside single models, random, kNN and the oracle, with 95% intervals.

    With --artifact all records are evaluated (they should not have been trained on); without, the records are split.
    """
    from ..evaluation.evaluate import evaluate_router
    from ..records.table import load_records
    from ..routing.router import Router
    from ..training.estimator import RouterEstimator

    wanted = [float(value) for value in split_names(alphas)]
    table = load_records(files).without(split_names(exclude_models), split_names(exclude_datasets))
    train_table = None
    with show_progress(quiet or as_json) as progress:
        if artifact is not None:
            router = Router.load(artifact)
        else:
            train_table, table = table.split(train_ratio, random_state)
            router = RouterEstimator(n_clusters, random_state=random_state, progress=progress).fit(train_table).router_
        report = evaluate_router(
            router,
            table,
            train=train_table,
            alphas=wanted,
            scoring=scoring,
            resamples=resamples,
            progress=progress,
        )
    if as_json:
        print_json(report)
        return
    _print_evaluation(report)


def _print_evaluation(report: dict[str, Any]) -> None:
    rows = []
    for entry in report["settings"]:
        low, high = entry["accuracy_interval"]
        query_low, query_high = entry["accuracy_queries_interval"]
        cost_low, cost_high = entry["cost_interval"]
        shares = sorted(entry["shares"].items(), key=lambda item: -item[1])[:3]
        rows.append(
            (
                entry["name"],
                f"{entry['accuracy']:.4f} [{low:.3f}, {high:.3f}]",
                f"{entry['accuracy_queries']:.4f} [{query_low:.3f}, {query_high:.3f}]",
                f"{entry['cost'] * 1000:.4f} [{cost_low * 1000:.3f}, {cost_high * 1000:.3f}]",
                ", ".join(f"{name} {share:.0%}" for name, share in shares),
            )
        )
    print_table(
        f"{report['queries']:,} queries, scoring {report['scoring']}, 95% bootstrap intervals",
        ("setting", "accuracy (datasets)", "accuracy (queries)", "$ per 1K queries", "models chosen"),
        rows,
    )
    print_table(
        "area under the accuracy-cost curve",
        ("router", "AUC (datasets)", "AUC (queries)", "share of the way to the oracle"),
        [
            (name, f"{a['datasets']:.4f}", f"{a['queries']:.4f}", f"{a['gap_closed']:.1%}")
            for name, a in report["auc"].items()
        ],
    )
    print_table(
        "figures of the router's curve, 95% bootstrap intervals",
        ("figure", "value", "interval"),
        [
            (name, number(one["value"]), " to ".join(map(number, one["interval"] or ())))
            for name, one in report["figures"].items()
        ],
    )
    names = [entry["name"] for entry in report["settings"]]
    print_table(
        "accuracy by dataset",
        ("dataset", "queries", *names),
        [
            (row["dataset"], f"{row['queries']:,}", *(f"{row['accuracy'][name]:.3f}" for name in names))
            for row in report["datasets"]
        ],
    )


@app.command()
def route(
    text: Annotated[str, typer.Argument(help="The query; - reads standard input.")],
    alpha: Annotated[float | None, typer.Option(help="0 cost only, 1 quality only. Default: the artifact's.")] = None,
    artifact: ArtifactOption = None,
    models: Annotated[str, typer.Option(help="Candidates, comma-separated. Default: all.")] = "",
    exclude: Annotated[str, typer.Option(help="Models not to choose, comma-separated.")] = "",
    require: Annotated[str, typer.Option(help="Capabilities, comma-separated: tools,max_input_tokens=50000.")] = "",
    scoring: Annotated[str | None, typer.Option(help="utility, reference or simple.")] = None,
    latest_prices: Annotated[
        bool, typer.Option("--latest-prices", help="Prices of the installed genai-prices.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Choose a model for one query, and say why."""
    from ..routing.router import Router

    router = Router.load(artifact, prices="latest" if latest_prices else None)
    decision = router.route(
        sys.stdin.read() if text == "-" else text,
        alpha=alpha,
        models=split_names(models) or None,
        exclude_models=split_names(exclude),
        require=_requirements(require),
        scoring=scoring,
    )
    if as_json:
        print_json(decision.to_dict())
        return
    out.print(decision.model, style="bold", highlight=False)
    out.print(decision.explain(), markup=False, highlight=False)
    position = {name: index for index, name in enumerate(decision.candidates)}
    print_table(
        "ranking",
        ("model", "expected score", "expected $ per 1K such queries"),
        [
            (
                name,
                f"{decision.scores[position[name]]:.3f}",
                "unknown"
                if math.isnan(decision.costs[position[name]])
                else f"{decision.costs[position[name]] * 1000:.4f}",
            )
            for name in decision.ranking[:8]
        ],
    )


def _requirements(text: str) -> dict[str, bool | int]:
    needs: dict[str, bool | int] = {}
    for item in split_names(text):
        name, sign, value = item.partition("=")
        if sign and not value.isdigit():
            raise typer.BadParameter(f"--require {item}: give a whole number after '='")
        needs[name] = int(value) if sign else True
    return needs


@app.command()
def inspect(
    artifact: Annotated[str | None, typer.Argument(help="Path or pretrained name. Default: the packaged one.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show an artifact: settings, models with prices, clusters with their datasets and best models."""
    from ..routing.artifact import load_artifact
    from ..routing.inspection import describe
    from ..routing.pretrained import find_artifact

    report = describe(load_artifact(find_artifact(artifact)))
    if as_json:
        print_json(report)
        return
    settings = report["settings"]
    out.print(
        f"{report['queries']:,} queries of {len(report['datasets'])} datasets, {len(report['models'])} models, "
        f"{settings['n_clusters']} clusters; embedder {report['embedder']['id']}; made {report['created']} "
        f"by {report['library_version']}",
        highlight=False,
    )
    print_table(
        "models",
        ("model", "answers", "mean score", "mean cost $ per 1K", "price $ per 1M in / out", "price from"),
        [
            (
                m["model"],
                f"{m['answers']:,}",
                f"{m['mean_score']:.3f}",
                "unknown" if m["mean_cost"] is None else f"{m['mean_cost'] * 1000:.4f}",
                "unknown" if m["price"] is None else f"{m['price']['input']:g} / {m['price']['output']:g}",
                "" if m["price"] is None else f"{m['price']['source']} {m['price']['date']}".strip(),
            )
            for m in report["models"]
        ],
    )
    print_table(
        "clusters",
        (
            "cluster",
            "queries",
            "mean score",
            "mean output tokens",
            "datasets",
            "best models (mean score, answers)",
        ),
        [
            (
                str(c["cluster"]),
                f"{c['queries']:,}",
                f"{c['mean_score']:.3f}",
                "unknown" if c["mean_output_tokens"] is None else f"{c['mean_output_tokens']:.0f}",
                ", ".join(f"{name} {share:.0%}" for name, share in list(c["datasets"].items())[:2]),
                ", ".join(f"{m['model']} ({m['mean_score']:.2f}, {m['answers']})" for m in c["top_models"][:3]),
            )
            for c in report["clusters"]
        ],
    )


@app.command()
def ledger(
    url: Annotated[
        str | None, typer.Argument(help="SQLite file or SQLAlchemy URL. Default: $AVENGERS_LEDGER, or the user's file.")
    ] = None,
    by: Annotated[str, typer.Option(help="model, day, tag, session, provider or status.")] = "model",
    since: Annotated[str, typer.Option(help="First day, as 2026-11-24 (UTC).")] = "",
    until: Annotated[str, typer.Option(help="Last day.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """What calls cost: by model, day, tag or session. A call with several tags counts under each."""
    from ..ledger.factory import open_existing

    rows = open_existing(url).report(by, since or None, until or None)
    if as_json:
        print_json([{**row, "cost_usd": float(row["cost_usd"])} for row in rows])
        return
    print_table(
        f"calls by {by}",
        (by, "calls", "failed attempts", "input tokens", "output tokens", "$", "calls of unknown cost"),
        [
            (
                row[by],
                f"{row['calls']:,}",
                f"{row['failed']:,}",
                f"{row['input_tokens']:,}",
                f"{row['output_tokens']:,}",
                f"{row['cost_usd']:.6f}",
                f"{row['unknown']:,}",
            )
            for row in rows
        ],
    )


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8000,
    artifact: ArtifactOption = None,
    alpha: Annotated[float | None, typer.Option(help="Of the model named avengers. Default: the artifact's.")] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model", "-m", help="id=provider:model, or an id of the artifact. Default: all of the artifact."
        ),
    ] = None,
    models_from: Annotated[
        str | None, typer.Option(help="file.py:name or module:name of a mapping from ids to LangChain chat models.")
    ] = None,
    keys: Annotated[
        Path | None, typer.Option(help="JSON list of key, name, requests_per_minute, per_day (dollars).")
    ] = None,
    ledger: Annotated[str | None, typer.Option(help="Where calls are recorded: SQLite file or SQLAlchemy URL.")] = None,
    per_day: Annotated[float | None, typer.Option(help="Dollars a day for all keys together.")] = None,
    exploration: Annotated[float, typer.Option(help="Share of calls whose model is drawn at random.")] = 0.0,
    max_concurrent: Annotated[int, typer.Option(help="Requests at a time.")] = 256,
    max_body_bytes: Annotated[int, typer.Option(help="Of one request.")] = 20 << 20,
    timeout: Annotated[float, typer.Option(help="Seconds for a whole answer.")] = 600.0,
    open_to_anyone: Annotated[
        bool, typer.Option("--open-to-anyone", help="Listen beyond this machine without keys.")
    ] = False,
) -> None:
    """An OpenAI-compatible endpoint: model avengers, avengers:0.4 (alpha), or one of the models."""
    from .._utils.objects import load_object

    try:
        import importlib

        chat = importlib.import_module("avengers_langchain")
        proxy = importlib.import_module("avengers_langchain.proxy.server")
    except ImportError:
        raise MissingExtraError("serving", "serve") from None
    models: Any = {}
    for one in model or ():
        name, _, spec = one.rpartition("=")
        models[name or spec] = spec
    if models_from is not None:
        models |= load_object(models_from)
    llm = chat.ChatAvengers(
        alpha=alpha,
        artifact=artifact,
        models=models or None,
        ledger=ledger,
        budget=None if per_day is None else {"per_day": per_day},
        exploration=exploration,
    )
    proxy.serve(
        llm,
        host=host,
        port=port,
        keys=keys,
        open_to_anyone=open_to_anyone,
        max_concurrent=max_concurrent,
        max_body_bytes=max_body_bytes,
        timeout=timeout,
    )
