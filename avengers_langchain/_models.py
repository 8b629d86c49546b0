"""LangChain chat models as members of a pool: made from ids, described by their profiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from avengers_core import MissingExtraError, UnavailableError
from avengers_core.dispatch.pool import ClientProfile
from avengers_core.pricing.catalog import split_price_id
from avengers_core.pricing.types import TokenUsage
from avengers_core.routing.capabilities import canonical
from langchain_core.language_models import BaseChatModel
from langchain_core.messages.ai import UsageMetadata
from langchain_core.runnables import Runnable, RunnableBinding

#: genai-prices' provider ids under LangChain's names for them.
PRICE_PROVIDERS = {
    "google_genai": "google",
    "google_vertexai": "google",
    "google": "google",
    "mistralai": "mistral",
    "amazon_bedrock": "aws",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "azure_openai": "azure",
    "xai": "x-ai",
}
#: LangChain's providers under genai-prices' ids.
_PROVIDERS = {"google": "google_genai", "mistral": "mistralai", "x-ai": "xai"}


def is_client(value: Any) -> bool:
    """Whether it is a chat model, perhaps with bound arguments."""
    while isinstance(value, RunnableBinding):
        value = value.bound
    return isinstance(value, BaseChatModel)


def unwrap(model: Any) -> tuple[BaseChatModel, dict[str, Any]]:
    """The chat model behind bindings, and what they bind."""
    kwargs: dict[str, Any] = {}
    while isinstance(model, RunnableBinding):
        kwargs = {**model.kwargs, **kwargs}
        model = model.bound
    if not isinstance(model, BaseChatModel):
        raise TypeError(f"{type(model).__name__} is no chat model")
    return model, kwargs


def make_model(name: str, price_id: str, init_kwargs: Mapping[str, Any]) -> BaseChatModel:
    """A chat model from ``provider:model``, or from an artifact's id with the provider of its price.

    Raises:
        UnavailableError: no integration is known for it.
        MissingExtraError: ``langchain`` is not installed.
    """
    try:
        from langchain.chat_models import init_chat_model
    except ImportError:
        raise MissingExtraError("models given as ids", "langchain") from None
    provider = split_price_id(price_id)[0]
    provider = _PROVIDERS.get(provider, provider)
    try:
        model: BaseChatModel = init_chat_model(name, model_provider=provider or None, **init_kwargs)
    except ValueError as error:
        raise UnavailableError(str(error).split("\n")[0]) from error
    return model


def describe(client: Runnable[Any, Any]) -> ClientProfile:
    """Provider, name, capabilities and price id of a chat model."""
    model, kwargs = unwrap(client)
    params = model._get_ls_params(**{key: value for key, value in kwargs.items() if key == "model"})
    provider, name = str(params.get("ls_provider") or ""), str(params.get("ls_model_name") or "")
    capabilities = canonical(dict(model.profile or {}))
    if type(model).bind_tools is BaseChatModel.bind_tools:
        capabilities["tools"] = False
    return ClientProfile(
        provider, name, capabilities, (f"{PRICE_PROVIDERS.get(provider, provider)}:{name}",) if name else ()
    )


def token_usage(usage: UsageMetadata | None) -> TokenUsage | None:
    """LangChain's usage as the core's; None stays None."""
    if usage is None:
        return None
    read: dict[str, Any] = dict(usage.get("input_token_details") or {})
    wrote: dict[str, Any] = dict(usage.get("output_token_details") or {})
    hour = read.get("ephemeral_1h_input_tokens") or 0
    timed = (read.get("ephemeral_5m_input_tokens") or 0) + hour
    return TokenUsage(
        input_tokens=usage["input_tokens"],
        output_tokens=usage["output_tokens"],
        cache_read_tokens=read.get("cache_read") or 0,
        cache_write_tokens=max(read.get("cache_creation") or 0, timed),
        cache_write_1h_tokens=hour,
        reasoning_tokens=wrote.get("reasoning") or 0,
        input_audio_tokens=read.get("audio") or 0,
        output_audio_tokens=wrote.get("audio") or 0,
    )
