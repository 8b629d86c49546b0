"""Prices in US dollars per million tokens, and the tokens of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

PER = 1_000_000


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base list price of a model in US dollars per million tokens, with where it comes from.

    The expected cost of a route uses plain input and output tokens. What a finished call cost, with cached, audio and
    tiered tokens, is `Tariff`'s to say; a rate that is not set here is unknown.
    """

    input: float
    output: float
    source: str = "user"
    date: str = ""
    cache_read: float | msgspec.UnsetType = msgspec.UNSET
    cache_write: float | msgspec.UnsetType = msgspec.UNSET
    input_audio: float | msgspec.UnsetType = msgspec.UNSET
    output_audio: float | msgspec.UnsetType = msgspec.UNSET


class TokenUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens that a provider reports for one call.

    ``input`` holds all input tokens, those read from and written to a prompt cache and audio among them; ``output``
    all output tokens, reasoning and audio among them. ``cache_write`` holds ``cache_write_1h``.
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    reasoning: int = 0
    input_audio: int = 0
    output_audio: int = 0

    def __add__(self, other: TokenUsage) -> TokenUsage:
        """Sums by kind."""
        return TokenUsage(**{kind: getattr(self, kind) + getattr(other, kind) for kind in self.__struct_fields__})


def plain_prices(prices: Mapping[str, Any] | None) -> dict[str, dict[str, Any]] | None:
    """Prices by model as plain values, which can be dumped.

    Raises:
        ValueError: one is not a `Price`, nor its fields.
    """
    if prices is None:
        return None
    try:
        return {name: msgspec.to_builtins(msgspec.convert(one, Price)) for name, one in prices.items()}
    except msgspec.ValidationError as error:
        raise ValueError(f"prices: {error}") from None
