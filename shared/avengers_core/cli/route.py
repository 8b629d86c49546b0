"""Commands that ask an artifact: route a query, or show what is in it."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from .console import print_result
from .options import (
    AlphaOption,
    ArtifactOption,
    ExchangeOption,
    JsonFlag,
    MaxCostOption,
    MaxSecondsOption,
    MinQualityOption,
    ScoringOption,
    split_names,
)

if TYPE_CHECKING:
    from .._utils.results import Table
    from ..routing.decision import Decision

__all__ = ["inspect", "route"]

#: Models listed in the ranking of a decision.
RANKED = 8


def route(
    text: Annotated[str, typer.Argument(help="The query. With - it is read from standard input.")],
    alpha: AlphaOption = None,
    artifact: ArtifactOption = None,
    models: Annotated[
        str,
        typer.Option(
            help="Candidates, separated by commas; any that the catalogue knows. Default: those of --artifact, or else "
            "current models of the providers whose key is set (of all providers, if none is)."
        ),
    ] = "",
    exclude: Annotated[str, typer.Option(help="Models that are not chosen, separated by commas.")] = "",
    require: Annotated[
        str,
        typer.Option(
            help="Capabilities that a model must have, separated by commas, such as tools,max_input_tokens=50000."
        ),
    ] = "",
    scoring: ScoringOption = None,
    exchange: ExchangeOption = None,
    min_quality: MinQualityOption = None,
    max_cost: MaxCostOption = None,
    max_seconds: MaxSecondsOption = None,
    latest_prices: Annotated[
        bool, typer.Option("--latest-prices", help="Use the prices of the installed genai-prices.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Choose a model for one query, and explain the choice."""
    from ..catalog.available import routable_models
    from ..dispatch.factory import router_over
    from ..routing.router import Router

    router = Router.load(artifact, prices="latest" if latest_prices else None)
    named = split_names(models) or (routable_models() if artifact is None else [])
    decision = router_over(router, named).route(
        sys.stdin.read() if text == "-" else text,
        alpha=alpha,
        models=named or None,
        exclude_models=split_names(exclude),
        require=_requirements(require),
        scoring=scoring,
        exchange=exchange,
        min_quality=min_quality,
        max_cost=max_cost,
        max_seconds=max_seconds,
    )
    print_result(decision, _decision_view, as_json)


def _requirements(text: str) -> dict[str, bool | int]:
    needs: dict[str, bool | int] = {}
    for item in split_names(text):
        name, sign, value = item.partition("=")
        if sign and not value.isdigit():
            raise typer.BadParameter(f"--require {item}: give a whole number after '='")
        needs[name] = int(value) if sign else True
    return needs


def _decision_view(decision: Decision) -> Iterator[Table | Text | str]:
    from .._utils.results import Table

    yield Text(decision.model, style="bold")
    yield decision.explain()
    positions = [decision.candidates.index(name) for name in decision.ranking[:RANKED]]
    timed = not all(map(math.isnan, decision.seconds.tolist()))
    yield Table(
        "ranking",
        ("model", "expected score", "expected $ per 1K such queries", *(("expected seconds",) if timed else ())),
        [
            (
                decision.candidates[position],
                f"{decision.scores[position]:.3f}",
                "unknown" if math.isnan(cost := decision.costs[position]) else f"{cost * 1000:.4f}",
                *((("unknown" if math.isnan(took := decision.seconds[position]) else f"{took:.2g}"),) if timed else ()),
            )
            for position in positions
        ],
    )


def inspect(
    artifact: Annotated[
        str | None,
        typer.Argument(help="Path of an artifact, or name of a pretrained one. Default: the packaged one."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show what is in an artifact: settings, models with prices, and clusters with their datasets and best models."""
    from ..routing.artifact import load_artifact
    from ..routing.inspection import describe
    from ..routing.pretrained import find_artifact

    print_result(describe(load_artifact(find_artifact(artifact))), _artifact_view, as_json)


def _artifact_view(described: dict[str, Any]) -> Iterator[Table | str]:
    from .._utils.results import Table

    yield (
        f"{described['queries']:,} queries of {len(described['datasets'])} datasets, {len(described['models'])} "
        f"models, {described['settings']['n_clusters']} clusters; embedder {described['embedder']['id']}; made "
        f"{described['created']} by {described['library_version']}"
    )
    speed = ["seconds to first token + per 1K tokens"] if any(row["speed"] for row in described["models"]) else []
    yield Table(
        "models",
        ("model", "answers", "mean score", "mean cost $ per 1K", *speed, "price $ per 1M in / out", "price from"),
        [
            (
                row["model"],
                f"{row['answers']:,}",
                _known(row["mean_score"], ".3f"),
                "unknown" if row["mean_cost"] is None else f"{row['mean_cost'] * 1000:.4f}",
                *([_speed(row["speed"])] if speed else []),
                "unknown" if row["price"] is None else f"{row['price']['input']:g} / {row['price']['output']:g}",
                "" if row["price"] is None else f"{row['price']['source']} {row['price']['date']}".strip(),
            )
            for row in described["models"]
        ],
    )
    yield Table(
        "clusters",
        ("cluster", "queries", "mean score", "mean output tokens", "kind of task", "best models (mean score, answers)"),
        [
            (
                str(row["cluster"]),
                f"{row['queries']:,}",
                _known(row["mean_score"], ".3f"),
                _known(row["mean_output_tokens"], ".0f"),
                row["task"] or ", ".join(f"{name} {share:.0%}" for name, share in list(row["datasets"].items())[:2]),
                ", ".join(f"{m['model']} ({m['mean_score']:.2f}, {m['answers']})" for m in row["top_models"][:3]),
            )
            for row in described["clusters"]
        ],
    )


def _speed(speed: dict[str, float] | None) -> str:
    return "unknown" if speed is None else f"{speed['first_token']:.2g} + {speed['per_token'] * 1000:.3g}"


def _known(value: float | None, form: str) -> str:
    return "unknown" if value is None else format(value, form)
