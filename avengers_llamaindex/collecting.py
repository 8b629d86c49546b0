"""LlamaIndex LLMs for `avengers collect`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from avengers_core.collecting.types import ModelReply, ModelUnderTest
from avengers_core.pricing.tariff import PriceSchedule
from avengers_core.pricing.types import Price
from avengers_core.pricing.usage import read_usage
from llama_index.core.llms import LLM, ChatMessage

from ._models import describe, make_model, reported_usage


def price_id(spec: str) -> str:
    """genai-prices' id of a model given as ``provider:model``: LlamaIndex's integrations go by the same names here."""
    return spec


def model_under_test(
    id: str,
    model: str | LLM,
    *,
    price: Price | None = None,
    system: str = "",
    init_kwargs: Mapping[str, Any] | None = None,
    **options: Any,
) -> ModelUnderTest:
    """A model to ask.

    Args:
        id: its name in the records. model: an LLM, or ``provider:model``.
        price: a contract, in place of list prices. system: a system message.
        init_kwargs: for making it. options: sent with each request, such as ``temperature``.

    Raises:
        UnavailableError: it cannot be made.
    """
    client = make_model(model, "", {"max_retries": 0, **(init_kwargs or {})}) if isinstance(model, str) else model
    traits = describe(client)
    before = [ChatMessage(role="system", content=system)] if system else []

    async def ask(prompt: str) -> ModelReply:
        response = await client.achat([*before, ChatMessage(role="user", content=prompt)], **options)
        return ModelReply(response.message.content or "", read_usage(reported_usage(response)))

    ids = () if price else (*traits.price_ids, *([price_id(model)] if isinstance(model, str) else []))
    return ModelUnderTest(id, traits, ask, PriceSchedule.find(ids, price))
