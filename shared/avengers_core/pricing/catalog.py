"""List prices of genai-prices by id."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from decimal import Decimal

from .types import PER, Price, TokenUsage

#: genai-prices' name of each field of `TokenUsage`.
USAGE_KINDS = {
    name: "output_reasoning_tokens" if name == "reasoning_tokens" else name for name in TokenUsage.__struct_fields__
}

#: Which kinds a token of a kind also counts under.
_WITHIN = {
    "cache_read_tokens": ("input_tokens",),
    "cache_write_tokens": ("input_tokens",),
    "cache_write_1h_tokens": ("input_tokens", "cache_write_tokens"),
    "reasoning_tokens": ("output_tokens",),
}


def _list_price(price_id: str, usage: TokenUsage) -> Decimal | None:
    rates = (
        None if usage.input_audio_tokens or usage.output_audio_tokens else _linear_rates(price_id)
    )  # cached audio is no sum
    if rates is None:
        return _calculate(price_id, {kind: getattr(usage, kind) for kind in USAGE_KINDS})
    return sum((getattr(usage, kind) * rate for kind, rate in rates.items()), Decimal(0))


def _calculate(price_id: str, tokens: Mapping[str, int]) -> Decimal | None:
    from genai_prices import Usage, calc_price

    provider, model = split_price_id(price_id)
    used = {
        USAGE_KINDS[kind]: count for kind, count in tokens.items() if count or kind in ("input_tokens", "output_tokens")
    }
    try:
        return calc_price(Usage(**used), model, provider_id=provider or None).total_price
    except (LookupError, ValueError):
        return None


@functools.cache
def _linear_rates(price_id: str) -> dict[str, Decimal] | None:
    """Dollars that one more token of each kind adds, or None where the price has tiers or changes with the time.

    genai-prices takes 0.1 ms for a call; most prices are linear, and then this is the same sum.
    """
    from genai_prices import Usage, calc_price

    provider, model = split_price_id(price_id)
    try:
        found = calc_price(Usage(input_tokens=1), model, provider_id=provider or None).model
    except (LookupError, ValueError):
        return None
    if isinstance(found.prices, list):
        return None
    rates: dict[str, Decimal] = {}
    for kind in ("input_tokens", "output_tokens", *_WITHIN):
        within = _WITHIN.get(kind, ())
        costs = [_calculate(price_id, dict.fromkeys((kind, *within), count)) for count in (1000, PER)]
        if costs[0] is None or costs[1] is None or costs[0] * 1000 != costs[1]:
            return None
        rates[kind] = costs[1] / PER - sum((rates[outer] for outer in within), Decimal(0))
    return {kind: rate for kind, rate in rates.items() if rate}


def split_price_id(price_id: str) -> tuple[str, str]:
    """``provider:model`` in its two parts; a colon after a slash belongs to the model's name."""
    if ":" not in price_id.split("/")[0]:
        return "", price_id
    provider, _, model = price_id.partition(":")
    return provider, model


def provider_of(model: str) -> str | None:
    """genai-prices' id of the provider that a model's name belongs to, or None."""
    from genai_prices import Usage, calc_price

    try:
        return str(calc_price(Usage(input_tokens=1), model).provider.id)
    except (LookupError, ValueError):
        return None


def lookup_price(price_id: str) -> Price | None:
    """The price that the installed genai-prices has for ``provider:model`` or ``model``, or None.

    Read from the package's own data: nothing is sent.
    """
    from genai_prices import Usage, calc_price
    from genai_prices.data_snapshot import get_snapshot

    provider, model = split_price_id(price_id)
    try:
        prices = [
            calc_price(Usage(**{kind: 1000}), model, provider_id=provider or None).total_price * Decimal(PER) / 1000
            for kind in ("input_tokens", "output_tokens")
        ]
    except (LookupError, ValueError):
        return None
    stamp = getattr(get_snapshot(), "timestamp", None)
    from genai_prices import __version__

    return Price(float(prices[0]), float(prices[1]), f"genai-prices {__version__}", str(stamp)[:10] if stamp else "")


def latest_prices(price_ids: Mapping[str, str]) -> dict[str, Price]:
    """Prices of those models (``{model: price_id}``) that genai-prices knows."""
    found = {model: lookup_price(price_id) for model, price_id in price_ids.items()}
    return {model: price for model, price in found.items() if price is not None}
