"""List prices of genai-prices by id."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from .types import PER, Price

__all__ = ["latest_prices", "lookup_price", "provider_of", "split_price_id", "token_rate"]


def split_price_id(price_id: str) -> tuple[str, str]:
    """``provider:model`` in its two parts; the provider is empty if there is none.

    A colon after a slash belongs to the model's name.
    """
    if ":" not in price_id.split("/")[0]:
        return "", price_id
    provider, _, model = price_id.partition(":")
    return provider, model


def provider_of(model: str) -> str | None:
    """genai-prices' id of the provider that a model's name belongs to, or None if it is unknown."""
    from genai_prices import Usage, calc_price

    try:
        return str(calc_price(Usage(input_tokens=1), model).provider.id)
    except (LookupError, ValueError):
        return None


def token_rate(kind: str, cost: Callable[[Any, datetime.datetime], Decimal]) -> Decimal:
    """US dollars per million tokens at noon UTC, without what is taken for each request.

    Args:
        kind: Field of genai-prices' usage, such as ``input_tokens``.
        cost: Gives the US dollars of a usage at a time.
    """
    from genai_prices import Usage

    noon = datetime.datetime.now(datetime.timezone.utc).replace(hour=12, minute=0)
    once, twice = (cost(Usage(**{kind: tokens}), noon) for tokens in (1000, 2000))
    return (twice - once) * PER / 1000


def lookup_price(price_id: str) -> Price | None:
    """The price that the installed genai-prices has for ``provider:model`` or ``model``, or None if it has none.

    It is read from the package's own data: nothing is sent. What some take for each request is not in it, and where a
    price changes within the day, the one at noon UTC counts.
    """
    from genai_prices import __version__, calc_price
    from genai_prices.data_snapshot import get_snapshot

    provider, model = split_price_id(price_id)

    def cost(usage: Any, noon: datetime.datetime) -> Decimal:
        return calc_price(usage, model, provider_id=provider or None, genai_request_timestamp=noon).total_price

    try:
        prices = [token_rate(kind, cost) for kind in ("input_tokens", "output_tokens")]
    except (LookupError, ValueError):
        return None
    stamp = getattr(get_snapshot(), "timestamp", None)
    return Price(float(prices[0]), float(prices[1]), f"genai-prices {__version__}", str(stamp)[:10] if stamp else "")


def latest_prices(price_ids: Mapping[str, str]) -> dict[str, Price]:
    """Prices by model, without those that genai-prices does not know.

    Args:
        price_ids: ``provider:model`` of genai-prices, by model.
    """
    prices = {model: lookup_price(price_id) for model, price_id in price_ids.items()}
    return {model: price for model, price in prices.items() if price is not None}
