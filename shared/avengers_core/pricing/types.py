"""Prices in US dollars per million tokens, and the tokens of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

PER = 1_000_000


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base list price of a model in US dollars per million tokens, with where it comes from.

    The expected cost of a route uses plain input and output tokens. What a finished call cost, with cached, audio and
    tiered tokens, is `PriceSchedule`'s to say; a rate that is not set here is unknown.
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

    ``input_tokens`` counts all input tokens, including cached and audio tokens; ``output_tokens`` counts all output
    tokens, including reasoning and audio tokens. ``cache_write_tokens`` includes ``cache_write_1h_tokens``.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0

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
