"""List prices of genai-prices by id."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from decimal import Decimal

from .types import PER, Price

__all__ = ["latest_prices", "lookup_price", "provider_of", "split_price_id"]


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


def lookup_price(price_id: str) -> Price | None:
    """The price that the installed genai-prices has for ``provider:model`` or ``model``, or None if it has none.

    It is read from the package's own data: nothing is sent. What some take for each request is not in it, and where a
    price changes within the day, the one at noon UTC counts.
    """
    from genai_prices import Usage, __version__, calc_price
    from genai_prices.data_snapshot import get_snapshot

    provider, model = split_price_id(price_id)
    noon = datetime.datetime.now(datetime.timezone.utc).replace(hour=12, minute=0)

    def cost(kind: str, tokens: int) -> Decimal:
        usage = Usage(**{kind: tokens})
        return calc_price(usage, model, provider_id=provider or None, genai_request_timestamp=noon).total_price

    try:
        prices = [
            (cost(kind, 2000) - cost(kind, 1000)) * Decimal(PER) / 1000 for kind in ("input_tokens", "output_tokens")
        ]
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
