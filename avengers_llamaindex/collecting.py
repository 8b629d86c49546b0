"""LlamaIndex LLMs for `avengers collect`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from avengers_core.adapters.collecting import make_model_under_test
from avengers_core.collecting.types import ModelReply, ModelUnderTest
from avengers_core.pricing.types import Price
from avengers_core.pricing.usage import read_usage
from llama_index.core.llms import LLM, ChatMessage

from ._models import LLAMAINDEX, reported_usage

__all__ = ["model_under_test", "price_id"]

#: genai-prices' id of a model that is given as ``provider:model``: the names are the same.
price_id = LLAMAINDEX.price_id


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
        id: The model's name in the records.
        model: An LLM, or ``provider:model``.
        price: A contract price, in place of list prices.
        system: A system message.
        init_kwargs: Arguments for making the model.
        options: Sent with each request, such as ``temperature``.

    Raises:
        UnavailableError: If the model cannot be made.
    """
    before = [ChatMessage(role="system", content=system)] if system else []

    def asker(client: LLM) -> Callable[[str], Awaitable[ModelReply]]:
        async def ask(prompt: str) -> ModelReply:
            response = await client.achat([*before, ChatMessage(role="user", content=prompt)], **options)
            return ModelReply(response.message.content or "", read_usage(reported_usage(response)))

        return ask

    return make_model_under_test(LLAMAINDEX, id, model, asker, price=price, init_kwargs=init_kwargs)
