"""What the installed genai-prices knows, by exact id only: its looser rules give some models another model's price."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from ..pricing.catalog import token_rate
from ..pricing.types import Price
from .providers import find_provider
from .spelling import key_of

__all__ = ["Listing", "find_listing", "listings_of", "loose_listings"]


class Listing(msgspec.Struct, frozen=True):
    """A model in genai-prices.

    Attributes:
        provider: Its provider there.
        id: Its id there.
        context_window: Tokens; None if unknown.
        deprecated: Whether it is marked so.
    """

    provider: str
    id: str
    context_window: int | None
    deprecated: bool

    def price_id(self, names: Iterable[str] = ()) -> str:
        """``provider:model`` by which genai-prices finds this very model; empty if its rules find another first.

        Args:
            names: What else the model is called.
        """
        from genai_prices import Usage, calc_price

        for name in (self.id, *names):
            try:
                found = calc_price(Usage(input_tokens=1), name, provider_id=self.provider).model.id
            except (LookupError, ValueError):
                continue
            if found == self.id:
                return f"{self.provider}:{name}"
        return ""

    @property
    def source(self) -> str:
        """The package and its list."""
        return f"{_version()} ({self.provider})"

    def price(self) -> Price | None:
        """Base list price in US dollars per million tokens, or None for a model that is free or not sold by token."""
        rates = [_rate(self.provider, self.id, kind) for kind in ("input_tokens", "output_tokens")]
        if any(rate is None or rate <= 0 for rate in rates):
            return None
        return Price(float(rates[0] or 0), float(rates[1] or 0), self.source, _date())


def find_listing(maker: str, names: Sequence[str], host: str = "") -> Listing | None:
    """The model of one of these names that has a price: at its host, else at its maker, else at OpenRouter.

    Args:
        maker: First part of a canonical id.
        names: What the model is called, best first, in any case and with ``.`` or ``-``.
        host: Id of the provider that serves the model, if it is not its maker.
    """
    tables = [provider for one in (host, maker) if (known := find_provider(one)) for provider in known.prices]
    for provider in [*tables, "openrouter"]:
        index = _index(provider)
        for name in names:
            keys = (
                (key_of(f"{maker}/{name}"),) if provider == "openrouter" else (key_of(name), key_of(f"{maker}/{name}"))
            )
            for key in keys:
                listing = index.get(key)
                if listing and listing.price():
                    return listing
    return None


def loose_listings(host: str, name: str) -> list[Listing]:
    """What a host's price lists find by their rules: one must check that it is the same model.

    Args:
        host: Id of a provider that serves other makers' models.
        name: What the host calls the model.
    """
    from genai_prices import Usage, calc_price

    found = []
    known = find_provider(host)
    for provider in known.prices if known else ():
        try:
            model = calc_price(Usage(input_tokens=1), name, provider_id=provider).model
        except (LookupError, ValueError):
            continue
        if model.id in _models(provider):  # else it is another provider's, to which this one refers
            found.append(_listing(provider, model))
    return [listing for listing in found if listing.price()]


def listings_of(provider: str) -> list[Listing]:
    """All models of a provider of genai-prices."""
    return list(dict.fromkeys(_index(provider).values()))


@functools.cache
def _index(provider: str) -> dict[str, Listing]:
    """Models by the key of their ids and of the names that a rule says are equal to them."""
    found: dict[str, Listing] = {}
    models = _models(provider)
    listings = {id_: _listing(provider, model) for id_, model in models.items()}
    for id_ in models:
        if ":" not in id_:  # a variant such as :free is no other model, but has another price
            found.setdefault(key_of(id_), listings[id_])
    for id_, model in models.items():
        for name in _equal_names(model.match):
            if ":" not in name:
                found.setdefault(key_of(name), listings[id_])
    return found


def _listing(provider: str, model: Any) -> Listing:
    deprecated = bool(getattr(model, "deprecated", False))
    return Listing(provider, model.id, getattr(model, "context_window", None), deprecated)


@functools.cache
def _models(provider: str) -> dict[str, Any]:
    from genai_prices.data_snapshot import get_snapshot

    for one in get_snapshot().providers:
        if one.id == provider:
            return {model.id: model for model in one.models}
    return {}


def _equal_names(clause: Any) -> Iterator[str]:
    if hasattr(clause, "equals"):
        yield clause.equals
    for inner in getattr(clause, "or_", ()):
        yield from _equal_names(inner)


@functools.lru_cache(maxsize=8192)
def _rate(provider: str, model: str, kind: str) -> Decimal | None:
    from genai_prices.data_snapshot import get_snapshot

    owner = next(one for one in get_snapshot().providers if one.id == provider)

    def cost(usage: Any, noon: datetime.datetime) -> Decimal:
        price: Decimal = _models(provider)[model].calc_price(usage, owner, genai_request_timestamp=noon).total_price
        return price

    try:
        return token_rate(kind, cost)
    except (LookupError, ValueError):
        return None


@functools.cache
def _version() -> str:
    from genai_prices import __version__

    return f"genai-prices {__version__}"


@functools.cache
def _date() -> str:
    from genai_prices.data_snapshot import get_snapshot

    stamp = getattr(get_snapshot(), "timestamp", None)
    return str(stamp)[:10] if stamp else ""
