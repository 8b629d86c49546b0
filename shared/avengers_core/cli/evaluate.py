"""The command that evaluates a router beside baselines."""

from __future__ import annotations

from typing import Annotated

import typer

from .console import print_result, show_progress
from .options import (
    ArtifactOption,
    ExchangeOption,
    JsonFlag,
    QuietFlag,
    RecordsArgument,
    ScoringOption,
    SeedOption,
    SourceFromFile,
    parse_list,
    split_names,
)

__all__ = ["evaluate"]


def evaluate(
    files: RecordsArgument,
    artifact: ArtifactOption = None,
    source_from_file: SourceFromFile = False,
    train_ratio: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Without --artifact: share of each dataset to train on; the rest is evaluated."
        ),
    ] = 0.7,
    random_state: SeedOption = 42,
    n_clusters: Annotated[
        int | None,
        typer.Option(min=1, help="Without --artifact: number of clusters to train with. Default: as train does."),
    ] = None,
    scoring: ScoringOption = None,
    exchange: ExchangeOption = None,
    alphas: Annotated[str, typer.Option(help="Alphas to list, separated by commas.")] = "0,0.25,0.39,0.53,0.8,1",
    exclude_models: Annotated[
        str, typer.Option(help="Leave out the answers of these models, separated by commas.")
    ] = "",
    exclude_datasets: Annotated[str, typer.Option(help="Leave out these datasets, separated by commas.")] = "",
    resamples: Annotated[int, typer.Option(min=1, help="Number of bootstrap resamples for the intervals.")] = 1000,
    quiet: QuietFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Show accuracy and cost along alpha, beside single models, random choices, nearest neighbours and the oracle.

    With --artifact, all records are evaluated; they should not be those that it was trained on. Without, the records
    are split into a part to train on and a part to evaluate. All intervals are 95% bootstrap intervals.

    Only models that answered the same queries of a source are compared; the last table tells what is left out for that.
    """
    from ..evaluation import evaluate_router
    from ..records import load_records
    from ..routing.router import Router
    from ..training.estimator import RouterEstimator

    listed = parse_list(alphas, float)
    table = load_records(files, source_from_file=source_from_file)
    table = table.without(split_names(exclude_models), split_names(exclude_datasets))
    train = None
    with show_progress(quiet or as_json) as progress:
        if artifact is not None:
            router = Router.load(artifact)
        else:
            train, table = table.split(train_ratio, random_state)
            router = RouterEstimator(n_clusters, random_state=random_state, progress=progress).fit(train).router_
        evaluation = evaluate_router(
            router,
            table,
            train=train,
            alphas=listed,
            scoring=scoring,
            exchange=exchange,
            resamples=resamples,
            progress=progress,
        )
    print_result(evaluation, lambda found: found.tables(), as_json)
