"""What a model's tokens cost. An unknown price is None and said so, never 0."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from .records import RecordTable

PER = 1_000_000


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base list price of a model in US dollars per million tokens, with where it comes from.

    Used for the expected cost of a route, on plain input and output tokens. What a finished call cost, with cached,
    audio and tiered tokens, is a matter for `genai_prices.calc_price`.
    """

    input: float
    output: float
    source: str
    date: str = ""


def lookup_price(price_id: str) -> Price | None:
    """The price that the installed genai-prices has for ``provider:model`` or ``model``, or None.

    Read from the package's own data: nothing is sent.
    """
    from genai_prices import Usage, calc_price
    from genai_prices.data_snapshot import get_snapshot

    provider, _, model = price_id.rpartition(":") if ":" in price_id.split("/")[0] else ("", "", price_id)
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


def implied_prices(table: RecordTable) -> dict[str, Price]:
    """Prices that explain each model's recorded dollars by its recorded tokens (least squares).

    A model is left out where the records have no tokens or dollars, or where a linear price misses their total by
    more than a percent or any tenth of the answers by more than 5% (tiers, caching, rounded costs).
    """
    prices = {}
    for column, model in enumerate(table.models):
        tokens: NDArray[np.float64] = table.tokens[:, column, :2].astype(np.float64)
        cost: NDArray[Any] = table.cost[:, column]
        known = np.isfinite(tokens).all(axis=1) & np.isfinite(cost)
        if known.sum() < 2:
            continue
        tokens, cost = tokens[known], cost[known]
        rates = np.linalg.lstsq(tokens, cost, rcond=None)[0]
        fit = tokens @ rates
        close = np.abs(fit - cost) <= 0.05 * cost + 1e-9
        if (rates >= 0).all() and abs(fit.sum() - cost.sum()) <= 0.01 * cost.sum() and close.mean() >= 0.9:
            # Recorded costs are rounded; four figures are what they can tell.
            rounded = [float(f"{rate * PER:.4g}") for rate in rates]
            prices[model] = Price(rounded[0], rounded[1], "records")
    return prices
