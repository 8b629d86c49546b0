"""LlamaIndex LLMs for `avengers collect`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from avengers_core.adapters.collecting import make_model_under_test
from avengers_core.collecting.types import Asker, ModelReply, ModelUnderTest
from avengers_core.pricing.types import Price
from avengers_core.pricing.usage import read_usage
from llama_index.core.llms import LLM, ChatMessage, ChatResponse
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.tools import FunctionTool, ToolMetadata
from pydantic import BaseModel

from ._messages import portable
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

    def sent(client: LLM, prompt: str | list[ChatMessage]) -> list[ChatMessage]:
        asked = [*before, ChatMessage(role="user", content=prompt)] if isinstance(prompt, str) else prompt
        return portable(asked, LLAMAINDEX.describe(client).provider)

    def asker(client: LLM) -> Asker:
        async def ask(prompt: str | list[ChatMessage], tools: Sequence[dict[str, Any]] = ()) -> ModelReply:
            messages = sent(client, prompt)
            if not tools:
                return _reply(await client.achat(messages, **options), [])
            if not isinstance(client, FunctionCallingLLM):
                raise NotImplementedError(f"{type(client).__name__} cannot call tools")
            response = await client.achat_with_tools(
                [_tool(tool) for tool in tools], chat_history=messages, allow_parallel_tool_calls=True, **options
            )
            return _reply(response, client.get_tool_calls_from_response(response, error_on_no_tool_call=False))

        return ask

    def caller(client: LLM) -> Callable[[str | list[ChatMessage]], ModelReply]:
        return lambda prompt: _reply(client.chat(sent(client, prompt), **options), [])

    return make_model_under_test(LLAMAINDEX, id, model, asker, caller, price=price, init_kwargs=init_kwargs)


def _reply(response: ChatResponse, calls: Sequence[ToolSelection]) -> ModelReply:
    called = [{"name": call.tool_name, "args": call.tool_kwargs} for call in calls]
    return ModelReply(response.message.content or "", read_usage(reported_usage(response)), called)


def _tool(tool: Mapping[str, Any]) -> FunctionTool:
    """A tool of OpenAI's form as one of LlamaIndex's, which does nothing."""
    function = tool["function"]

    def parameters(_: type[BaseModel], *args: Any, **kwargs: Any) -> dict[str, Any]:
        return dict(function["parameters"])

    schema = type(function["name"], (BaseModel,), {"model_json_schema": classmethod(parameters)})
    metadata = ToolMetadata(name=function["name"], description=function["description"], fn_schema=schema)
    return FunctionTool(fn=lambda **_: "", metadata=metadata)
