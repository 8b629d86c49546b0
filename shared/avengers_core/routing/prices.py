"""Which prices a router uses."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import msgspec

from ..pricing.catalog import latest_prices
from ..pricing.types import Price
from .manifest import Artifact

__all__ = ["resolve_prices", "with_prices"]


def resolve_prices(artifact: Artifact, prices: str | Mapping[str, Price] | None) -> dict[str, Price]:
    """Prices of an artifact's models, by id; models without a known price are missing.

    Args:
        artifact: A trained artifact.
        prices: None: those in the artifact. ``"latest"``: those of the installed genai-prices, and the artifact's for
            models that it does not list. A mapping: these prices by id, and the artifact's for the other models.

    Raises:
        ValueError: If ``prices`` is another string, or names a model that the artifact does not have.
    """
    known = {model.id: model.price for model in artifact.manifest.models if model.price is not None}
    if prices is None:
        return known
    if isinstance(prices, str):
        if prices != "latest":
            raise ValueError(f"prices must be 'latest', a mapping or None, not {prices!r}")
        return known | latest_prices({model.id: model.price_id or model.id for model in artifact.manifest.models})
    unknown = sorted(set(prices) - set(artifact.models))
    if unknown:
        raise ValueError(f"prices: the artifact has no model {unknown[0]!r}")
    return known | dict(prices)


def with_prices(artifact: Artifact, prices: Mapping[str, Price]) -> Artifact:
    """The artifact with these prices in place of its own; nothing is trained again.

    Args:
        artifact: A trained artifact.
        prices: US dollars per million tokens, by id of a model. Other models keep their prices.
    """
    models = [
        msgspec.structs.replace(model, price=prices.get(model.id, model.price)) for model in artifact.manifest.models
    ]
    manifest = msgspec.structs.replace(artifact.manifest, models=models)
    return dataclasses.replace(artifact, manifest=manifest)
