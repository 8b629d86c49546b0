"""Prices in US dollars per million tokens, and the tokens of an answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["PER", "Price", "TokenUsage", "plain_prices"]

#: Tokens that prices are given for.
PER = 1_000_000
#: No answer has as many tokens.
MOST_TOKENS = 10**9


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Price of a model in US dollars per million tokens. A rate that is not set is unknown.

    The expected cost of a route uses plain input and output tokens. `PriceSchedule` prices finished calls, with cached,
    audio and tiered tokens.

    Attributes:
        input: Rate of plain input tokens.
        output: Rate of plain output tokens.
        source: Where the price comes from.
        date: Date of the source, as ``2026-11-24``.
        cache_read: Rate of input tokens that are read from the provider's prompt cache.
        cache_write: Rate of input tokens that are written to it.
        input_audio: Rate of audio input tokens.
        output_audio: Rate of audio output tokens.

    Raises:
        ValueError: If a rate is negative or not finite.
    """

    input: float
    output: float
    source: str = "user"
    date: str = ""
    cache_read: float | msgspec.UnsetType = msgspec.UNSET
    cache_write: float | msgspec.UnsetType = msgspec.UNSET
    input_audio: float | msgspec.UnsetType = msgspec.UNSET
    output_audio: float | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        for name in ("input", "output", "cache_read", "cache_write", "input_audio", "output_audio"):
            rate = getattr(self, name)
            if rate is not msgspec.UNSET and not (0 <= rate < math.inf):
                raise ValueError(f"{name} must be 0 or more US dollars per million tokens, not {rate!r}")


class TokenUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens that a provider reports for one call.

    Attributes:
        input_tokens: All input tokens, including cached and audio tokens.
        output_tokens: All output tokens, including reasoning and audio tokens.
        cache_read_tokens: Input tokens that were read from the provider's prompt cache.
        cache_write_tokens: Input tokens that were written to it.
        cache_write_1h_tokens: Those of them that are kept for an hour.
        reasoning_tokens: Output tokens of hidden reasoning.
        input_audio_tokens: Input tokens of audio.
        output_audio_tokens: Output tokens of audio.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0

    @property
    def plausible(self) -> bool:
        """Whether an answer can have these counts: none is negative, no part exceeds its whole, not all are 0."""
        counts = [getattr(self, kind) for kind in self.__struct_fields__]
        if not all(type(count) is int and 0 <= count < MOST_TOKENS for count in counts):
            return False
        cached = self.cache_read_tokens + self.cache_write_tokens
        parts = ((cached, self.input_tokens), (self.cache_write_1h_tokens, self.cache_write_tokens),
                 (self.input_audio_tokens, self.input_tokens),
                 (self.output_audio_tokens, self.output_tokens))  # fmt: skip
        return any(counts) and all(part <= whole for part, whole in parts)

    def __add__(self, other: TokenUsage) -> TokenUsage:
        """Sums by kind."""
        return TokenUsage(**{kind: getattr(self, kind) + getattr(other, kind) for kind in self.__struct_fields__})


def plain_prices(prices: Mapping[str, Any] | None) -> dict[str, dict[str, Any]] | None:
    """Prices by model as plain values that can be dumped.

    Args:
        prices: A `Price` or its fields, by model.

    Raises:
        ValueError: If a value is neither.
    """
    if prices is None:
        return None
    try:
        return {name: msgspec.to_builtins(msgspec.convert(price, Price)) for name, price in prices.items()}
    except msgspec.ValidationError as error:
        raise ValueError(f"prices: {error}") from None
