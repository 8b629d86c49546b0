"""What the catalogue says of a model."""

from __future__ import annotations

from typing import Any

import msgspec

from ..pricing.types import Price

__all__ = ["CatalogEntry", "ModelId", "PublishedScore"]


class ModelId(msgspec.Struct, frozen=True):
    """A model that a spelling names, with what else the spelling says.

    Attributes:
        id: Canonical id, ``provider/model``.
        effort: Reasoning effort; empty if the spelling does not say.
        host: Id of the provider that serves the model, if it is not its maker.
        name: What to call the model when calling its host, or else its maker.
    """

    id: str
    effort: str = ""
    host: str = ""
    name: str = ""

    def __str__(self) -> str:
        """The canonical id, with ``@effort`` if there is one."""
        return f"{self.id}@{self.effort}" if self.effort else self.id


class CatalogEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Facts about a model.

    Attributes:
        id: Canonical id, ``provider/model``.
        name: What the provider's own API calls it; empty if that is the part of the id after the slash.
        family: Such as ``claude`` or ``gpt``.
        tier: Such as ``haiku``, ``mini`` or ``flash``; a class of size for open weights.
        version: Numbers of the name, for order.
        release: ISO date, or year and month; empty if unknown.
        status: ``current``, ``deprecated``, ``retired`` or ``unknown``, as its maker's own API offers it; of a model
            whose maker has no API that is known, as OpenRouter offers it.
        chat: Whether it answers text with text.
        openrouter: Whether OpenRouter offered it when the table was made.
        efforts: Reasoning efforts that it takes.
        default_effort: Effort if none is asked for; empty if unknown.
        capabilities: Known ones by the names of `Catalog.capabilities`.
        aliases: Other names, with ``@effort`` if they mean one.
        price: A list price in US dollars per million tokens, if genai-prices has none.
        output_tokens: Mean output tokens by effort, all of one benchmark; ``""`` stands for no effort asked for.
        source: Where the entry comes from.
    """

    id: str
    name: str = ""
    family: str = ""
    tier: str = ""
    version: tuple[int, ...] = ()
    release: str = ""
    status: str = "unknown"
    chat: bool = True
    openrouter: bool = False
    efforts: tuple[str, ...] = ()
    default_effort: str = ""
    capabilities: dict[str, bool | int] = {}
    aliases: tuple[str, ...] = ()
    price: Price | None = None
    output_tokens: dict[str, float] = {}
    source: str = "catalogue"

    @property
    def provider(self) -> str:
        """The maker: the part of the id before the slash."""
        return self.id.partition("/")[0]

    @property
    def api_name(self) -> str:
        """What the provider's own API calls it."""
        return self.name or self.id.partition("/")[2]

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values, those at their defaults as well."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
        plain: dict[str, Any] = msgspec.to_builtins(fields)
        return {**plain, "provider": self.provider, "name": self.api_name}


class PublishedScore(msgspec.Struct, frozen=True):
    """A score that someone published.

    Attributes:
        model: Canonical id.
        effort: Reasoning effort; empty if the source does not say.
        benchmark: Such as ``gpqa-diamond``.
        score: From 0 to 1 for accuracies; an Elo or an index as published.
        harness: Who measured; ``self`` is the provider, ``secondary`` a page that does not say.
        date: When, as far as known.
        source: Where it was read.
    """

    model: str
    effort: str
    benchmark: str
    score: float
    harness: str = ""
    date: str = ""
    source: str = ""

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain
