"""What a model's tokens cost. A cost that is unknown is None, never 0."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from functools import cached_property

import msgspec

from .catalog import lookup_price
from .list_price import linear_rates, list_price
from .types import PER, Price, TokenUsage

__all__ = ["PriceSchedule"]


class PriceSchedule:
    """What finished calls of one model cost.

    Args:
        price_id: ``provider:model`` of genai-prices, which knows cached, audio and tiered tokens.
        price: Used instead of genai-prices if it is given: a contract, or what records imply.
    """

    def __init__(self, price_id: str = "", price: Price | None = None) -> None:
        self.price_id = price_id
        self.price = price

    @classmethod
    def find(cls, price_ids: Iterable[str], price: Price | None = None) -> PriceSchedule:
        """The schedule of the first id that genai-prices knows, else of a price.

        Args:
            price_ids: Ids of genai-prices, tried in order; empty ones are passed over.
            price: Used if genai-prices knows none of them; None: then costs are unknown.
        """
        for price_id in price_ids:
            if price_id and lookup_price(price_id) is not None:
                return cls(price_id)
        return cls(price=price)

    @property
    def known(self) -> bool:
        """Whether plain tokens have a price."""
        return bool(self.price_id) or self.price is not None

    def cost(self, usage: TokenUsage | None) -> Decimal | None:
        """US dollars of a call, or None if they are unknown.

        They are unknown if no usage was reported, or if a kind of token that was used has no known price.

        Args:
            usage: Tokens that the provider reported, or None.
        """
        if usage is None or not self.known:
            return None
        return _contract_price(self.price, usage) if self.price else list_price(self.price_id, usage)

    def cost_of_many(self, total: TokenUsage, calls: int) -> Decimal | None:
        """US dollars of several calls, of which only the sums of tokens are known; None if they are unknown.

        It is exact for prices without tiers. With tiers, it takes each call for an average one.

        Args:
            total: Tokens of all of them.
            calls: How many they are.
        """
        if self.price is not None or linear_rates(self.price_id) is not None:
            return self.cost(total)
        mean = TokenUsage(**{kind: round(count / calls) for kind, count in msgspec.structs.asdict(total).items()})
        one = self.cost(mean)
        return None if one is None else one * calls

    @cached_property
    def cache_discount(self) -> float:
        """US dollars saved per input token that is read from the provider's prompt cache, 0 if unknown."""
        plain = self.cost(TokenUsage(input_tokens=1000))
        cached = self.cost(TokenUsage(input_tokens=1000, cache_read_tokens=1000))
        return max(0.0, float(plain - cached) / 1000) if plain is not None and cached is not None else 0.0


def _contract_price(price: Price, usage: TokenUsage) -> Decimal | None:
    total = Decimal(0)
    plain_input = usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens - usage.input_audio_tokens
    if plain_input < 0 or usage.cache_write_1h_tokens:  # audio that was cached, and writes that last longer
        return None
    for tokens, rate in (
        (plain_input, price.input),
        (usage.output_tokens - usage.output_audio_tokens, price.output),
        (usage.cache_read_tokens, price.cache_read),
        (usage.cache_write_tokens, price.cache_write),
        (usage.input_audio_tokens, price.input_audio),
        (usage.output_audio_tokens, price.output_audio),
    ):
        if tokens and rate is msgspec.UNSET:
            return None
        if tokens:
            total += tokens * Decimal(str(rate))
    return total / PER
