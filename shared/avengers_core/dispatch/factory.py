"""A dispatcher from what a user gives: the artifact, the models, what they can do and what they cost, the ledger."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ..catalog.available import with_efforts
from ..catalog.catalog import default_catalog
from ..embedders.base import Embedder
from ..ledger.factory import open_ledger
from ..pricing.types import Price
from ..routing.extending import select_models, with_models
from ..routing.pretrained import find_artifact
from ..routing.router import Router
from .dispatcher import Dispatcher
from .pool import ClientProfile, M, ModelPool

__all__ = ["expected_by_task", "extended_router", "open_dispatcher", "open_router", "router_over"]

T = TypeVar("T")


@functools.lru_cache(maxsize=16)
def _load_router(path: Path, changed: int) -> Router:
    """A router of an artifact, shared by all who open the same file.

    Args:
        path: The artifact.
        changed: When the file was last changed, in nanoseconds: a file that changed is loaded again.
    """
    return Router.load(path)


def open_router(artifact: Any, embedder: Embedder | None = None, prices: Mapping[str, Price] | None = None) -> Router:
    """A router from what a user gives.

    Args:
        artifact: A path, a pretrained name, None (the packaged artifact) or a `Router`.
        embedder: The embedder that the artifact was trained with. Default: made from the artifact's id.
        prices: Prices by model that replace those of the artifact.

    Raises:
        ArtifactError: If the artifact is missing or damaged, or was trained with another embedder.
    """
    if isinstance(artifact, Router):
        return artifact
    if embedder is None and prices is None:
        path = find_artifact(artifact).resolve()
        return _load_router(path, path.stat().st_mtime_ns)
    return Router.load(artifact, embedder=embedder, prices=prices)


def extended_router(router: Router, spellings: Mapping[str, str], prices: Mapping[str, Price] | None = None) -> Router:
    """The router over these models alone, which its artifact need not have.

    Args:
        router: A router.
        spellings: A spelling that the catalogue resolves, by the name that the model has here.
        prices: Prices by name that replace those of the artifact and the catalogue.

    Raises:
        UnknownModelError: If a model is neither in the artifact nor known to the catalogue.
        ValueError: If a price is for another model.
    """
    artifact = select_models(with_models(router.artifact, spellings, score_model=router.score_model), list(spellings))
    settings = msgspec.structs.replace(artifact.manifest.settings, min_records=0)
    manifest = msgspec.structs.replace(artifact.manifest, settings=settings)
    own = {name: price for name, price in router.prices.items() if name in spellings}
    return Router(
        dataclasses.replace(artifact, manifest=manifest),
        embedder=router.embedder,
        prices={**own, **(prices or {})},
        costs_like=router,
    )


def router_over(router: Router, models: Iterable[str]) -> Router:
    """A router that knows these models: itself, or else one over them alone, which is kept for the next time.

    Args:
        router: A router.
        models: Ids that its artifact has, or spellings that the catalogue resolves.

    Raises:
        UnknownModelError: If a model is neither in the artifact nor known to the catalogue.
    """
    names = tuple(dict.fromkeys(models))
    return router if set(names) <= set(router.models) else _kept_router(router, names)


@functools.lru_cache(maxsize=16)
def _kept_router(router: Router, names: tuple[str, ...]) -> Router:
    return extended_router(router, {name: name for name in names})


def expected_by_task(router: Router, ids: Sequence[str]) -> dict[str, dict[str, float]]:
    """Expected mean scores of models by kind of task, by id.

    Args:
        router: A router.
        ids: Models that its artifact or the catalogue knows.

    Raises:
        UnknownModelError: If a model is neither in the artifact nor known to the catalogue.
    """
    if not ids:
        return {}
    wide = extended_router(router, {name: name for name in ids})
    tasks, scores = wide.scores_by_task()
    return {name: dict(zip(tasks, scores[:, column].tolist(), strict=True)) for column, name in enumerate(wide.models)}


def open_dispatcher(
    artifact: Any,
    models: Mapping[str, Any] | Sequence[str] | None,
    *,
    make: Callable[[str, str], M],
    is_client: Callable[[Any], bool],
    describe: Callable[[M], ClientProfile],
    kind: str,
    default_models: Callable[[], Sequence[str]] | None = None,
    efforts: bool = False,
    embedder: Embedder | None = None,
    prices: Mapping[str, Any] | None = None,
    capabilities: Mapping[str, Mapping[str, Any]] | None = None,
    ledger: Any = None,
    cooldown: float = 30.0,
    attempt_timeout: float | None = None,
) -> Dispatcher[M]:
    """A dispatcher over models of an artifact.

    Args:
        artifact: A path, a pretrained name, None (the packaged artifact) or a `Router`.
        models: Ids of models (None: all of the artifact), or a mapping ``{id: client or "provider:model"}``. The
            artifact need not have them if the catalogue knows them; see `avengers_core.routing.extending`.
        make: Makes a client from a model's name and the artifact's price id (``provider:model``), which is empty if the
            user gives a name of their own. It is called when the model is first chosen.
        is_client: Whether a value is a client.
        describe: Gives the profile of a client.
        kind: What a client is called in error messages.
        efforts: Whether each model that is named by text is offered at all its reasoning efforts, too.
        default_models: Gives the models if neither an artifact nor models are given. Default: all of the packaged
            artifact.
        embedder: The embedder that the artifact was trained with. Default: made from the artifact's id.
        prices: Contract prices by id, each a `Price` or its fields.
        capabilities: What models can do, by id, if the user knows better than the artifact and the client.
        ledger: A `Ledger`, a path, a URL, True, False or None, see `open_ledger`.
        cooldown: Seconds for which a model that failed is not asked.
        attempt_timeout: Seconds that one attempt may take in all, None if there is no limit.

    Raises:
        ArtifactError: If the artifact cannot be opened.
        LedgerError: If the ledger cannot be opened.
        UnknownModelError: If ``models`` holds an id that neither the artifact nor the catalogue knows.
        ValueError: If ``models`` holds something else.
    """
    contract = msgspec.convert(prices, dict[str, Price] | None)
    base = router = open_router(artifact, embedder)
    if models is None:
        models = router.models if artifact is not None or default_models is None else default_models()
    if efforts and not isinstance(models, Mapping):
        models = with_efforts(models)
    given = models if isinstance(models, Mapping) else {name: name for name in models}
    if all(name in router.models for name in given):
        router = base if contract is None else Router(base.artifact, embedder=base.embedder, prices=contract)
    else:
        spellings = {name: _spelling(name, value, base, is_client, describe) for name, value in given.items()}
        wanted = {name: price for name, price in (contract or {}).items() if name in spellings}
        router = extended_router(base, spellings, wanted)
    known = {info.id: info.price_id for info in router.artifact.manifest.models}
    entries: dict[str, M | Callable[[], M]] = {}
    for name, value in given.items():
        if isinstance(value, str):
            entries[name] = functools.partial(make, value, known.get(name, "") if value == name else "")
        elif is_client(value):
            entries[name] = value
        else:
            raise ValueError(f"models[{name!r}] must be {kind} or 'provider:model', not {type(value).__name__}")
    pool = ModelPool(
        router,
        entries,
        describe,
        is_client=is_client,
        capabilities=_of_pool(capabilities, router, base),
        prices=_of_pool(contract, router, base),
    )
    return Dispatcher(router, pool, ledger=open_ledger(ledger), cooldown=cooldown, attempt_timeout=attempt_timeout)


def _spelling(
    name: str, value: Any, router: Router, is_client: Callable[[Any], bool], describe: Callable[[Any], ClientProfile]
) -> str:
    """What the catalogue is to resolve for a model: its name, or else what its client or its text calls it."""
    catalog = default_catalog()
    spellings = [name]
    if isinstance(value, str):
        spellings.append(value)
    elif is_client(value):
        profile = describe(value)
        spellings += [f"{profile.provider}:{profile.name}", profile.name]
    known = (spelling for spelling in spellings if name in router.models or catalog.knows(spelling))
    return next(known, name)


def _of_pool(given: Mapping[str, T] | None, router: Router, base: Router) -> dict[str, T] | None:
    """What is given of models by id, without those that are known but not in the pool, such as in a single call."""
    if given is None:
        return None
    catalog = default_catalog()
    return {
        name: value
        for name, value in given.items()
        if name in router.models or not (name in base.models or catalog.knows(name))
    }
