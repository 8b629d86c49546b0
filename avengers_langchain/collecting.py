"""LangChain chat models for `avengers collect`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from avengers_core.collecting.types import ModelReply, ModelUnderTest
from avengers_core.pricing.catalog import split_price_id
from avengers_core.pricing.tariff import PriceSchedule
from avengers_core.pricing.types import Price
from langchain_core.runnables import Runnable

from ._models import PRICE_PROVIDERS, describe, make_model, token_usage


def price_id(spec: str) -> str:
    """genai-prices' id of a model given as LangChain's ``provider:model``."""
    provider, name = split_price_id(spec)
    return f"{PRICE_PROVIDERS.get(provider, provider)}:{name}" if provider else name


def model_under_test(
    id: str,
    model: str | Runnable[Any, Any],
    *,
    price: Price | None = None,
    system: str = "",
    init_kwargs: Mapping[str, Any] | None = None,
    **options: Any,
) -> ModelUnderTest:
    """A model to ask.

    Args:
        id: its name in the records. model: a chat model, or ``provider:model`` for `init_chat_model`.
        price: a contract, in place of list prices. system: a system message.
        init_kwargs: for making it. options: sent with each request, such as ``temperature``.

    Raises:
        UnavailableError: it cannot be made.
    """
    made = make_model(model, "", {"max_retries": 0, **(init_kwargs or {})}) if isinstance(model, str) else model
    traits = describe(made)
    client = made.bind(**options) if options else made
    before = [("system", system)] if system else []

    async def ask(prompt: str) -> ModelReply:
        message = await client.ainvoke([*before, ("human", prompt)])
        return ModelReply(str(message.text), token_usage(message.usage_metadata))

    ids = () if price else (*traits.price_ids, *([price_id(model)] if isinstance(model, str) else []))
    return ModelUnderTest(id, traits, ask, PriceSchedule.find(ids, price))
