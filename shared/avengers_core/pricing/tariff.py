"""What a model's tokens cost. An unknown price is None and said so, never 0."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..records.parts import Parts
from ..records.table import RecordTable

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


class Tariff:
    """What finished calls of one model cost.

    Args:
        price_id: ``provider:model`` of genai-prices, which knows cached, audio and tiered tokens.
        price: used where given, in place of genai-prices: a contract, or what records imply.
    """

    def __init__(self, price_id: str = "", price: Price | None = None) -> None:
        self.price_id = price_id
        self.price = price

    @classmethod
    def find(cls, price_ids: Iterable[str], price: Price | None = None) -> Tariff:
        """The tariff of the first of these ids that genai-prices knows, else ``price``, which may be unknown."""
        for price_id in price_ids:
            if price_id and lookup_price(price_id) is not None:
                return cls(price_id)
        return cls(price=price)

    @property
    def known(self) -> bool:
        """Whether plain tokens have a price."""
        return bool(self.price_id) or self.price is not None

    def cost(self, usage: TokenUsage | None) -> Decimal | None:
        """US dollars of a call, or None: no usage was reported, or a kind of token that was used has no known price."""
        if usage is None or not self.known:
            return None
        return self._contract(self.price, usage) if self.price else _list_price(self.price_id, usage)

    @cached_property
    def cache_discount(self) -> float:
        """US dollars saved per input token that is read from the provider's prompt cache; 0 where unknown."""
        plain, cached = self.cost(TokenUsage(input=1000)), self.cost(TokenUsage(input=1000, cache_read=1000))
        return max(0.0, float(plain - cached) / 1000) if plain is not None and cached is not None else 0.0

    @staticmethod
    def _contract(price: Price, usage: TokenUsage) -> Decimal | None:
        total = Decimal(0)
        plain_input = usage.input - usage.cache_read - usage.cache_write - usage.input_audio
        for tokens, rate in (
            (plain_input, price.input),
            (usage.output - usage.output_audio, price.output),
            (usage.cache_read, price.cache_read),
            (usage.cache_write, price.cache_write),
            (usage.input_audio, price.input_audio),
            (usage.output_audio, price.output_audio),
        ):
            if tokens and rate is msgspec.UNSET:
                return None
            if tokens:
                total += tokens * Decimal(str(rate))
        return total / PER


#: Fields of `TokenUsage` under genai-prices' names. ``input`` and ``output`` hold the others.
USAGE_KINDS = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cache_read": "cache_read_tokens",
    "cache_write": "cache_write_tokens",
    "cache_write_1h": "cache_write_1h_tokens",
    "reasoning": "output_reasoning_tokens",
    "input_audio": "input_audio_tokens",
    "output_audio": "output_audio_tokens",
}
#: Which kinds a token of a kind also counts under.
_WITHIN = {
    "cache_read": ("input",),
    "cache_write": ("input",),
    "cache_write_1h": ("input", "cache_write"),
    "reasoning": ("output",),
}


def _list_price(price_id: str, usage: TokenUsage) -> Decimal | None:
    rates = None if usage.input_audio or usage.output_audio else _linear_rates(price_id)  # cached audio is no sum
    if rates is None:
        return _calculate(price_id, {kind: getattr(usage, kind) for kind in USAGE_KINDS})
    return sum((getattr(usage, kind) * rate for kind, rate in rates.items()), Decimal(0))


def _calculate(price_id: str, tokens: Mapping[str, int]) -> Decimal | None:
    from genai_prices import Usage, calc_price

    provider, model = split_price_id(price_id)
    used = {USAGE_KINDS[kind]: count for kind, count in tokens.items() if count or kind in ("input", "output")}
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
    for kind in ("input", "output", *_WITHIN):
        within = _WITHIN.get(kind, ())
        costs = [_calculate(price_id, dict.fromkeys((kind, *within), count)) for count in (1000, PER)]
        if costs[0] is None or costs[1] is None or costs[0] * 1000 != costs[1]:
            return None
        rates[kind] = costs[1] / PER - sum((rates[outer] for outer in within), Decimal(0))
    return {kind: rate for kind, rate in rates.items() if rate}


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


def implied_prices(parts: Parts, models: list[str]) -> dict[str, Price]:
    """Prices that explain each model's recorded dollars by its recorded tokens (least squares).

    A model is left out where the records have no tokens or dollars, or where a linear price misses their total by
    more than a percent or any tenth of the answers by more than 5% (tiers, caching, rounded costs).
    """
    sums = parts.total(_price_equations)
    rates = np.zeros((len(models), 2))
    for column in range(len(models)):
        if sums["n"][column] >= 2:
            rates[column] = np.linalg.lstsq(sums["gram"][column], sums["moment"][column], rcond=1e-12)[0]
    fit = parts.total(_price_fit, rates)
    prices = {}
    for column, model in enumerate(models):
        n, total = sums["n"][column], sums["cost"][column]
        right = abs(fit["cost"][column] - total) <= 0.01 * total and fit["close"][column] >= 0.9 * n
        if n >= 2 and (rates[column] >= 0).all() and right:
            # Recorded costs are rounded; four figures are what they can tell.
            rounded = [float(f"{rate * PER:.4g}") for rate in rates[column]]
            prices[model] = Price(rounded[0], rounded[1], "records")
    return prices


def _paid(table: RecordTable) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """(n, m, 2) tokens and (n, m) dollars, 0 where either is unknown, and where both are known."""
    tokens = table.tokens[:, :, :2].astype(np.float64)
    known = np.isfinite(tokens).all(axis=2) & np.isfinite(table.cost)
    return np.where(known[:, :, None], tokens, 0), np.where(known, table.cost, 0), known


def _price_equations(table: RecordTable) -> dict[str, NDArray[np.float64]]:
    tokens, cost, known = _paid(table)
    return {
        "gram": np.einsum("nmi,nmj->mij", tokens, tokens),
        "moment": np.einsum("nmi,nm->mi", tokens, cost),
        "n": known.sum(axis=0).astype(np.float64),
        "cost": cost.sum(axis=0),
    }


def _price_fit(table: RecordTable, rates: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    tokens, cost, known = _paid(table)
    fit = np.einsum("nmi,mi->nm", tokens, rates)
    close = known & (np.abs(fit - cost) <= 0.05 * cost + 1e-9)
    return {"cost": fit.sum(axis=0), "close": close.sum(axis=0).astype(np.float64)}
