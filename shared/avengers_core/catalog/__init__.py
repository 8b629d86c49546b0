"""Everything known of a model from its id: spellings, prices, capabilities, efforts, published scores."""

from __future__ import annotations

from .available import Availability, available_models
from .catalog import Catalog, default_catalog
from .overrides import Given
from .providers import Integration, Provider, find_provider, providers
from .types import CatalogEntry, ModelId, PublishedScore

__all__ = [
    "Availability",
    "Catalog",
    "CatalogEntry",
    "Given",
    "Integration",
    "ModelId",
    "Provider",
    "PublishedScore",
    "available_models",
    "default_catalog",
    "find_provider",
    "providers",
    "resolve",
]


def resolve(spelling: str | ModelId) -> ModelId:
    """The model that a spelling names, by the shipped catalogue.

    Args:
        spelling: Such as ``gpt-5.2@high``, ``anthropic:claude-opus-4-5`` or ``openrouter/z-ai/glm-5``.

    Raises:
        UnknownModelError: If no source knows the model; it names close ids.
    """
    return default_catalog().resolve(spelling)
