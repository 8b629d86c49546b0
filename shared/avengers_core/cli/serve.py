"""The command that serves a router as an OpenAI-compatible endpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .options import ArtifactOption, MaxCostOption, MaxSecondsOption, MinQualityOption

__all__ = ["serve"]


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8000,
    artifact: ArtifactOption = None,
    alpha: Annotated[
        float | None,
        typer.Option(
            help="Trade-off of the model named avengers, from 0 (cost only) to 1 (quality only). Default: the "
            "artifact's."
        ),
    ] = None,
    min_quality: MinQualityOption = None,
    max_cost: MaxCostOption = None,
    max_seconds: MaxSecondsOption = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            help="Model to route to, as id=provider:model or as an id that the catalogue knows. May be given several "
            "times. Default: current models of the providers whose key is set; with --artifact, all of its models.",
        ),
    ] = None,
    models_from: Annotated[
        str | None,
        typer.Option(help="Mapping from ids to LangChain chat models of your own, as file.py:name or module:name."),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(
            help="JSON file with a list of keys: each has key and name, and may have requests_per_minute and per_day "
            "(US dollars)."
        ),
    ] = None,
    ledger: Annotated[
        str | None,
        typer.Option(
            help="SQLite file or SQLAlchemy URL of the ledger that calls are recorded in. Default: "
            "$AVENGERS_LEDGER, or else none."
        ),
    ] = None,
    per_day: Annotated[
        float | None, typer.Option(help="Limit for all keys together, in US dollars a day. Default: no limit.")
    ] = None,
    exploration: Annotated[float, typer.Option(help="Share of the calls whose model is drawn at random.")] = 0.0,
    max_concurrent: Annotated[int, typer.Option(help="Number of requests that are answered at a time.")] = 256,
    max_body_bytes: Annotated[int, typer.Option(help="Largest size of a request, in bytes.")] = 20 << 20,
    timeout: Annotated[float, typer.Option(help="Time limit for a whole answer, in seconds.")] = 600.0,
    open_to_anyone: Annotated[
        bool, typer.Option("--open-to-anyone", help="Listen beyond this machine even without keys.")
    ] = False,
) -> None:
    """Serve an OpenAI-compatible endpoint.

    It answers as the model avengers, as avengers:0.4 (with this alpha), as avengers:q0.95 (with this
    min_quality), and as each of the models.
    """
    from .adapters import ServingAdapter, load_adapter

    adapter: ServingAdapter = load_adapter("langchain", "serving", "serve")
    fields = {
        "alpha": alpha,
        "min_quality": min_quality,
        "max_cost": max_cost,
        "max_seconds": max_seconds,
        "artifact": artifact,
        "models": _models(model or [], models_from) or None,
        "ledger": ledger,
        "budget": None if per_day is None else {"per_day": per_day},
        "exploration": exploration,
    }
    adapter.serve(
        fields,
        host=host,
        port=port,
        keys=keys,
        open_to_anyone=open_to_anyone,
        max_concurrent=max_concurrent,
        max_body_bytes=max_body_bytes,
        timeout=timeout,
    )


def _models(named: list[str], models_from: str | None) -> dict[str, Any]:
    """Models by id, as provider:model, as an id of the artifact, or as an object."""
    from .._utils.objects import load_object

    models: dict[str, Any] = {}
    for item in named:
        name, _, spec = item.rpartition("=")
        models[name or spec] = spec
    return models | load_object(models_from) if models_from is not None else models
