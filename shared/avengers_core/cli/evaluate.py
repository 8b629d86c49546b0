"""The command that evaluates a router beside baselines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from .console import print_result, show_progress
from .options import (
    ArtifactOption,
    JsonFlag,
    QuietFlag,
    RecordsArgument,
    ScoringOption,
    SeedOption,
    parse_list,
    split_names,
)

if TYPE_CHECKING:
    from .._utils.results import Table
    from ..evaluation import Evaluation

__all__ = ["evaluate"]


def evaluate(
    files: RecordsArgument,
    artifact: ArtifactOption = None,
    train_ratio: Annotated[
        float, typer.Option(help="Without --artifact: share of each dataset to train on; the rest is evaluated.")
    ] = 0.7,
    random_state: SeedOption = 42,
    n_clusters: Annotated[int, typer.Option(help="Without --artifact: number of clusters to train with.")] = 40,
    scoring: ScoringOption = None,
    alphas: Annotated[str, typer.Option(help="Alphas to list, separated by commas.")] = "0,0.25,0.39,0.53,0.8,1",
    exclude_models: Annotated[
        str, typer.Option(help="Leave out the answers of these models, separated by commas.")
    ] = "",
    exclude_datasets: Annotated[str, typer.Option(help="Leave out these datasets, separated by commas.")] = "",
    resamples: Annotated[int, typer.Option(help="Number of bootstrap resamples for the intervals.")] = 1000,
    quiet: QuietFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Show accuracy and cost along alpha, beside single models, random choices, nearest neighbours and the oracle.

    With --artifact, all records are evaluated; they should not be those that it was trained on. Without, the records
    are split into a part to train on and a part to evaluate. All intervals are 95% bootstrap intervals.
    """
    from ..evaluation import evaluate_router
    from ..records import load_records
    from ..routing.router import Router
    from ..training.estimator import RouterEstimator

    listed = parse_list(alphas, float)
    table = load_records(files).without(split_names(exclude_models), split_names(exclude_datasets))
    train = None
    with show_progress(quiet or as_json) as progress:
        if artifact is not None:
            router = Router.load(artifact)
        else:
            train, table = table.split(train_ratio, random_state)
            router = RouterEstimator(n_clusters, random_state=random_state, progress=progress).fit(train).router_
        evaluation = evaluate_router(
            router, table, train=train, alphas=listed, scoring=scoring, resamples=resamples, progress=progress
        )
    print_result(evaluation, _view, as_json)


def _view(evaluation: Evaluation) -> Iterator[Table]:
    from .._utils.format import dollars_per_1k, number, number_interval, with_interval
    from .._utils.results import Table

    yield Table(
        f"{evaluation.queries:,} queries, scoring {evaluation.scoring}, 95% bootstrap intervals",
        ("setting", "accuracy (datasets)", "accuracy (queries)", "$ per 1K queries", "models chosen"),
        [
            (
                setting.name,
                with_interval(setting.accuracy, setting.accuracy_interval),
                with_interval(setting.accuracy_queries, setting.accuracy_queries_interval),
                dollars_per_1k(setting.cost_usd, setting.cost_usd_interval),
                _top_shares(setting.shares),
            )
            for setting in evaluation.settings
        ],
    )
    yield Table(
        "area under the accuracy-cost curve",
        ("router", "AUC (datasets)", "AUC (queries)", "share of the way to the oracle"),
        [
            (name, f"{area.datasets:.4f}", f"{area.queries:.4f}", f"{area.gap_closed:.1%}")
            for name, area in evaluation.auc.items()
        ],
    )
    yield Table(
        "figures of the router's curve, 95% bootstrap intervals",
        ("figure", "value", "interval"),
        [(name, number(figure.value), number_interval(figure.interval)) for name, figure in evaluation.figures.items()],
    )
    names = [setting.name for setting in evaluation.settings]
    yield Table(
        "accuracy by dataset",
        ("dataset", "queries", *names),
        [
            (row.dataset, f"{row.queries:,}", *(f"{row.accuracy[name]:.3f}" for name in names))
            for row in evaluation.datasets
        ],
    )


def _top_shares(shares: dict[str, float], most: int = 3) -> str:
    ranked = sorted(shares.items(), key=lambda item: -item[1])[:most]
    return ", ".join(f"{name} {share:.0%}" for name, share in ranked)
