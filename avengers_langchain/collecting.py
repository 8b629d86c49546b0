"""LangChain chat models for `avengers collect`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from avengers_core.adapters.collecting import make_model_under_test
from avengers_core.collecting.types import ModelReply, ModelUnderTest
from avengers_core.pricing.types import Price

from ._models import LANGCHAIN, Client, price_id, token_usage

__all__ = ["model_under_test", "price_id"]


def model_under_test(
    id: str,
    model: str | Client,
    *,
    price: Price | None = None,
    system: str = "",
    init_kwargs: Mapping[str, Any] | None = None,
    **options: Any,
) -> ModelUnderTest:
    """A model to ask.

    Args:
        id: The model's name in the records.
        model: A chat model, or ``provider:model`` for `init_chat_model`.
        price: A contract price, in place of list prices.
        system: A system message.
        init_kwargs: Arguments for making the model.
        options: Sent with each request, such as ``temperature``.

    Raises:
        UnavailableError: If the model cannot be made.
    """
    before = [("system", system)] if system else []

    def asker(client: Client) -> Callable[[str], Awaitable[ModelReply]]:
        bound = client.bind(**options) if options else client

        async def ask(prompt: str) -> ModelReply:
            message = await bound.ainvoke([*before, ("human", prompt)])
            return ModelReply(str(message.text), token_usage(message.usage_metadata))

        return ask

    return make_model_under_test(LANGCHAIN, id, model, asker, price=price, init_kwargs=init_kwargs)
