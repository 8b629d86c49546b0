"""LangChain chat models for `avengers collect`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from avengers_core.adapters.collecting import make_model_under_test
from avengers_core.collecting.types import Asker, ModelReply, ModelUnderTest
from avengers_core.pricing.types import Price
from langchain_core.messages import AIMessage, BaseMessage

from ._messages import portable
from ._models import LANGCHAIN, Client, price_id, token_usage
from ._structured import bind

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

    def sent(client: Client, prompt: str | list[BaseMessage]) -> list[Any]:
        if isinstance(prompt, str):
            return [*before, ("human", prompt)]
        return portable(prompt, LANGCHAIN.describe(client).provider)

    def asker(client: Client) -> Asker:
        async def ask(prompt: str | list[BaseMessage], tools: Sequence[dict[str, Any]] = ()) -> ModelReply:
            given = {**options, **({"tools": [*tools]} if tools else {})}
            model, arguments = bind(client, given, None)
            return _reply(await model.ainvoke(sent(client, prompt), **arguments))

        return ask

    def caller(client: Client) -> Callable[[str | list[BaseMessage]], ModelReply]:
        def call(prompt: str | list[BaseMessage]) -> ModelReply:
            model, arguments = bind(client, options, None)
            return _reply(model.invoke(sent(client, prompt), **arguments))

        return call

    return make_model_under_test(LANGCHAIN, id, model, asker, caller, price=price, init_kwargs=init_kwargs)


def _reply(message: AIMessage) -> ModelReply:
    calls = [{"name": call["name"], "args": call["args"]} for call in message.tool_calls]
    return ModelReply(str(message.text), token_usage(message.usage_metadata), calls)
