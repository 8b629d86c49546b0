"""A dispatcher from what a user gives: the artifact, the models, what they can do and cost, and the ledger."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..embedders.base import Embedder
from ..ledger.factory import open_ledger
from ..pricing.types import Price
from ..routing.pretrained import find_artifact
from ..routing.router import Router
from .dispatcher import Dispatcher
from .pool import ClientProfile, M, ModelPool


@functools.lru_cache(maxsize=16)
def _load_router(path: Path, changed: int) -> Router:
    """Routers never change, so models of one artifact share one; ``changed`` is the file's time."""
    return Router.load(path)


def open_router(artifact: Any, embedder: Embedder | None = None, prices: Mapping[str, Price] | None = None) -> Router:
    """A router from a path, a pretrained name, None (the packaged one) or a `Router`.

    Raises:
        ArtifactError: the artifact is missing or damaged, or was trained with another embedder.
    """
    if isinstance(artifact, Router):
        return artifact
    if embedder is None and prices is None:
        path = find_artifact(artifact).resolve()
        return _load_router(path, path.stat().st_mtime_ns)
    return Router.load(artifact, embedder=embedder, prices=prices)


def open_dispatcher(
    artifact: Any,
    models: Mapping[str, Any] | Sequence[str] | None,
    *,
    make: Callable[[str, str], M],
    is_client: Callable[[Any], bool],
    describe: Callable[[M], ClientProfile],
    kind: str,
    embedder: Embedder | None = None,
    prices: Mapping[str, Any] | None = None,
    capabilities: Mapping[str, Mapping[str, Any]] | None = None,
    ledger: Any = None,
    cooldown: float = 30.0,
) -> Dispatcher[M]:
    """A dispatcher over ids of the artifact (None: all), or over ``{id: client or "provider:model"}``.

    Args:
        make: a client from a model's name and the artifact's price id (``provider:model``), empty where the user gives
            another model; it is called when the model is first chosen.
        is_client, describe: as for `ModelPool`.
        kind: what a client is called in error messages.
        prices: `Price`, or its fields, by id.

    Raises:
        ArtifactError, LedgerError: one of them cannot be opened.
        ValueError: ``models`` holds something else, or an id that the artifact has not.
    """
    contract = msgspec.convert(prices, dict[str, Price] | None)
    router = open_router(artifact, embedder, contract)
    known = {info.id: info.price_id for info in router.artifact.manifest.models}
    given = models if isinstance(models, Mapping) else {name: name for name in (known if models is None else models)}
    entries: dict[str, M | Callable[[], M]] = {}
    for name, value in given.items():
        if isinstance(value, str):
            entries[name] = functools.partial(make, value, known.get(name, "") if value == name else "")
        elif is_client(value):
            entries[name] = value
        else:
            raise ValueError(f"models[{name!r}] must be {kind} or 'provider:model', not {type(value).__name__}")
    pool = ModelPool(router, entries, describe, is_client=is_client, capabilities=capabilities, prices=contract)
    return Dispatcher(router, pool, ledger=open_ledger(ledger), cooldown=cooldown)
