"""Commands that make artifacts: train a router, or add to a trained one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .._utils.files import check_output
from .console import print_result, show_progress
from .options import (
    AliasesOption,
    CapabilitiesOption,
    JsonFlag,
    PublishedOption,
    QuietFlag,
    SeedOption,
    SinceOption,
    given_catalog,
    parse_bytes,
    split_names,
)

if TYPE_CHECKING:
    from .._utils.results import Table
    from ..embedders.base import Embedder
    from ..training.estimator import RouterEstimator

__all__ = ["read_prices", "train", "update"]

#: Bytes of records that are read by several processes, if nothing else is said.
LARGE_BYTES = 64 << 20


def train(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Records: JSONL files, plain or gzip, or folders of such files."),
    ] = None,
    input: Annotated[
        list[Path] | None, typer.Option("--input", "-i", help="More records, in addition to the arguments.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Artifact to write: a folder, or a file whose name ends in .zip.")
    ] = Path("avengers.zip"),
    n_clusters: Annotated[
        int | None,
        typer.Option(
            "--n-clusters",
            "--clusters",
            help="Number of clusters (k of k-means). Default: one for 60 queries of a source.",
        ),
    ] = None,
    top_k: Annotated[
        int | None,
        typer.Option(help="Number of nearest clusters that a query is read from. Default: it depends on the scoring."),
    ] = None,
    beta: Annotated[
        float | None, typer.Option(help="Sharpness of the clusters' weights. Default: it depends on the scoring.")
    ] = None,
    train_ratio: Annotated[float, typer.Option(help="Share of each dataset to train on; the rest is held out.")] = 1.0,
    random_state: SeedOption = 42,
    scoring: Annotated[
        str, typer.Option(help="The router's default scoring: utility, reference or simple.")
    ] = "utility",
    exchange: Annotated[str, typer.Option(help="What alpha means by default: even or fixed.")] = "even",
    alpha: Annotated[
        float, typer.Option(help="The router's default trade-off from 0 (cost only) to 1 (quality only).")
    ] = 0.5,
    performance_weight: Annotated[
        float | None, typer.Option(help="For the scoring reference: weight of performance in place of alpha.")
    ] = None,
    cost_sensitivity: Annotated[
        float | None, typer.Option(help="For the scoring reference: weight of cost in place of 1 - alpha.")
    ] = None,
    min_accuracy_threshold: Annotated[
        float,
        typer.Option(help="For the scoring reference: a model scores 0 in a cluster if its mean score is lower."),
    ] = 0.0,
    min_records: Annotated[int, typer.Option(help="Number of answers that a model needs to be a candidate.")] = 20,
    exclude_models: Annotated[str, typer.Option(help="Leave out these models, separated by commas.")] = "",
    exclude_datasets: Annotated[str, typer.Option(help="Leave out these datasets, separated by commas.")] = "",
    soft_exclude_models: Annotated[
        str, typer.Option(help="Do not train on these models, separated by commas, but keep them in the held-out part.")
    ] = "",
    soft_exclude_datasets: Annotated[
        str,
        typer.Option(help="Do not train on these datasets, separated by commas, but keep them in the held-out part."),
    ] = "",
    aliases: AliasesOption = None,
    prices: Annotated[
        Path | None,
        typer.Option(help="JSON or CSV file of prices, in US dollars per million tokens: {model: {input, output}}."),
    ] = None,
    capabilities: CapabilitiesOption = None,
    published: PublishedOption = None,
    embedder: Annotated[
        str | None, typer.Option(help="Embedder: wordllama or openai:<model>. Default: wordllama.")
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="SQLite file that keeps embeddings. Default: the user's cache for openai, else none."),
    ] = None,
    export_cluster: Annotated[
        Path | None, typer.Option(help="Folder to write clusters.json into, with statistics by cluster.")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            help="Number of processes that read and embed the records. Default: one per core for files of more than "
            "64 MiB that are not compressed, else 1."
        ),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            help="Memory to stay within, such as 4GiB. Records that do not fit are kept in parts on disk, in a folder "
            "of TMPDIR; the artifact is the same. Default: no limit."
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(help="Address of a Dask cluster to train on, as tcp://host:port; it must see the files."),
    ] = None,
    quiet: QuietFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Train a router on records and write its artifact."""
    from ..catalog.overrides import read_prices as read_given_prices
    from ..routing.artifact import check_destination
    from ..training.estimator import RouterEstimator

    sources = [*(files or []), *(input or [])]
    if not sources:
        raise typer.BadParameter("give at least one file or folder of records")
    check_destination(output)
    if export_cluster is not None:
        check_output(export_cluster, folder=True)
    by_name = cache is None and not (embedder or "").startswith("openai:")
    if cache is not None and scheduler is not None:
        raise typer.BadParameter("--cache is of no use with --scheduler: each worker embeds what it reads")
    if not by_name and jobs not in (None, 1):
        raise typer.BadParameter("--jobs cannot be combined with --cache or an embedder of a server")
    if scheduler is None and jobs is None:
        jobs = -1 if by_name and _are_large(sources) else 1
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
            exchange=exchange,
            alpha=alpha,
            performance_weight=performance_weight,
            cost_sensitivity=cost_sensitivity,
            prices=None if prices is None else read_given_prices(prices),
            catalog=given_catalog(aliases, prices, capabilities, published),
            embedder=embedder if scheduler is not None or by_name else _make_embedder(embedder, cache),
            n_jobs=jobs,
            memory=None if memory is None else parse_bytes(memory, "--memory"),
            progress=progress,
        )
        _fit(estimator, sources, scheduler)
        estimator.save(output)
    if export_cluster is not None:
        _export_clusters(estimator, export_cluster)
    print_result(_summary(estimator, output), _train_view, as_json)


def _are_large(sources: list[Path]) -> bool:
    """Whether several processes read the files faster than one, although each has to start."""
    from ..records.slices import find_slices

    slices = find_slices(sources)
    if any(one.end is None for one in slices):  # a compressed file would be in memory as a whole
        return False
    return sum(os.path.getsize(path) for path in {one.path for one in slices}) > LARGE_BYTES


def _make_embedder(name: str | None, cache: Path | None) -> Embedder:
    from ..embedders.cache import CachedEmbedder
    from ..embedders.factory import make_embedder

    return CachedEmbedder(make_embedder(name), cache)


def _fit(estimator: RouterEstimator, sources: list[Path], scheduler: str | None) -> None:
    if scheduler is None:
        estimator.fit(sources)
        return
    from ..training.distributed import connect, fit_on_cluster

    with connect(scheduler) as client:
        fit_on_cluster(estimator, sources, client)


def _export_clusters(estimator: RouterEstimator, folder: Path) -> None:
    from .._utils.files import replacing
    from .._utils.results import to_json
    from ..routing.inspection import describe

    with replacing(folder / "clusters.json") as temporary:
        temporary.write_text(to_json(describe(estimator.artifact_)) + "\n", encoding="utf-8")


def _summary(estimator: RouterEstimator, output: Path) -> dict[str, Any]:
    known = zip(estimator.models_, estimator.router_.cost_known, strict=True)
    held_out = getattr(estimator, "held_out_", None)  # a cluster holds nothing out
    return {
        "artifact": str(output),
        "queries": estimator.n_records_,
        "clusters": len(estimator.cluster_centers_),
        "models": estimator.models_,
        "cost_unknown": [model for model, cost_known in known if not cost_known],
        "held_out": len(held_out) if held_out else 0,
    }


def _train_view(summary: dict[str, Any]) -> Iterator[str]:
    yield (
        f"{summary['artifact']}: {summary['queries']:,} queries, {summary['clusters']} clusters, "
        f"{len(summary['models'])} models"
    )
    if summary["cost_unknown"]:
        yield f"cost unknown, chosen at alpha 1 only: {', '.join(summary['cost_unknown'])}"


def update(
    artifact: Annotated[str, typer.Argument(help="Path of an artifact, or name of a pretrained one.")],
    files: Annotated[
        list[Path] | None, typer.Argument(help="Records to add: JSONL files, plain or gzip, or folders of such files.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Artifact to write: a folder, or a file whose name ends in .zip.")
    ] = Path("avengers.zip"),
    prices: Annotated[
        str | None,
        typer.Option(
            help="Prices to take over: latest (those of genai-prices), or a JSON file of {id: {input, output}} in US "
            "dollars per million tokens."
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            help="A model to add that needs no records, in any spelling that the catalogue knows. May be given several "
            "times.",
        ),
    ] = None,
    speeds: Annotated[
        str | None,
        typer.Option(
            help="Ledger, as a path or a URL: how long its answers took is taken over, in place of what the artifact "
            "knows of the same models' speed."
        ),
    ] = None,
    since: SinceOption = "",
    aliases: AliasesOption = None,
    capabilities: CapabilitiesOption = None,
    published: PublishedOption = None,
    price_id: Annotated[
        list[str] | None,
        typer.Option(help="Name of a new model in genai-prices, as id=provider:model. May be given several times."),
    ] = None,
    quiet: QuietFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Add records, models, prices or speeds to an artifact; its clusters stay."""
    from ..ledger.factory import open_existing
    from ..pricing.catalog import latest_prices
    from ..routing.artifact import check_destination, load_artifact, save_artifact
    from ..routing.pretrained import find_artifact
    from ..training.changes import artifact_changes
    from ..training.updating import update_artifact

    check_destination(output)
    before = load_artifact(find_artifact(artifact))
    if unnamed := [item for item in price_id or () if "=" not in item]:
        raise typer.BadParameter(f"--price-id {unnamed[0]}: give it as id=provider:model")
    price_ids = dict(item.split("=", 1) for item in price_id or ())
    with show_progress(quiet or as_json) as progress:
        after = update_artifact(
            before,
            list(files) if files else None,
            models=model or (),
            price_ids=price_ids,
            timing=None if speeds is None else open_existing(speeds).timing(since or None),
            catalog=given_catalog(aliases, None, capabilities, published),
            progress=progress,
        )
    if prices == "latest":
        names = {model.id: model.price_id or model.id for model in after.manifest.models}
        after = update_artifact(after, prices=latest_prices(names))
    elif prices is not None:
        after = update_artifact(after, prices=read_prices(Path(prices)))
    save_artifact(after, output)
    changes = artifact_changes(before, after)
    print_result({"artifact": str(output), **changes.to_dict()}, _update_view, as_json)


def _update_view(result: dict[str, Any]) -> Iterator[Table | str]:
    from .._utils.results import Table

    yield f"{result['artifact']}: {result['queries']:,} queries, {len(result['models'])} models"
    yield Table(
        "models",
        ("model", "answers", "added", "price $ per 1M in / out", ""),
        [
            (
                row["model"],
                f"{row['answers']:,.0f}",
                f"{row['added']:,.0f}",
                "unknown" if row["price"] is None else f"{row['price']['input']:g} / {row['price']['output']:g}",
                "new" if row["new"] else "new price" if row["price_changed"] else "",
            )
            for row in result["models"]
        ],
    )


def read_prices(path: Path) -> dict[str, Any]:
    """Read a JSON file of prices, ``{id: {"input": ..., "output": ...}}``, in US dollars per million tokens.

    Args:
        path: The file.

    Raises:
        ValueError: If the file is not of this form; the message names it.
    """
    import msgspec

    from ..pricing.types import Price

    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Price])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {error}") from None
