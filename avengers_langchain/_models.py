"""LangChain chat models as members of a pool: made from ids, described by their profiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from avengers_core import MissingExtraError, UnavailableError
from avengers_core.adapters import Framework
from avengers_core.catalog import find_provider
from avengers_core.catalog.available import effort_of, find_call, require_key
from avengers_core.catalog.spelling import split_effort
from avengers_core.dispatch.pool import ClientProfile, read_timeout
from avengers_core.pricing.catalog import split_price_id
from avengers_core.pricing.types import TokenUsage
from avengers_core.routing.capabilities import canonical
from langchain_core.language_models import BaseChatModel
from langchain_core.messages.ai import UsageMetadata
from langchain_core.runnables import Runnable, RunnableBinding

__all__ = ["LANGCHAIN", "Client", "describe", "is_client", "make_model", "price_id", "token_usage", "unwrap"]

#: A chat model, perhaps with bound arguments.
Client = Runnable[Any, Any]

#: genai-prices' ids of providers by LangChain's names.
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
#: LangChain's names of providers by genai-prices' ids.
_PROVIDERS = {"google": "google_genai", "mistral": "mistralai", "x-ai": "xai"}


def is_client(value: Any) -> bool:
    """Whether a value is a chat model, perhaps with bound arguments. One with a config is not: it would be ignored."""
    while isinstance(value, RunnableBinding):
        if value.config or value.config_factories:
            return False
        value = value.bound
    return isinstance(value, BaseChatModel)


def unwrap(model: Any) -> tuple[BaseChatModel, dict[str, Any]]:
    """The chat model behind bindings, and what they bind.

    Raises:
        TypeError: If there is no chat model behind them.
    """
    kwargs: dict[str, Any] = {}
    while isinstance(model, RunnableBinding):
        kwargs = {**model.kwargs, **kwargs}
        model = model.bound
    if not isinstance(model, BaseChatModel):
        raise TypeError(f"{type(model).__name__} is not a chat model")
    return model, kwargs


def make_model(name: str, price_id: str, init_kwargs: Mapping[str, Any]) -> BaseChatModel:
    """Make a chat model.

    Args:
        name: Any spelling that the catalogue resolves, with ``@effort`` if the model is to take one; or LangChain's
            ``provider:model``; or an id of the artifact.
        price_id: The artifact's price id of the model, whose provider is used if nothing else tells; may be empty.
        init_kwargs: Arguments for making the model, which go before those for the effort.

    Raises:
        UnavailableError: If no integration is known for the model, or its key is not set.
        MissingExtraError: If ``langchain`` is not installed.
    """
    try:
        from langchain.chat_models import init_chat_model
    except ImportError:
        raise MissingExtraError("models given as ids", "langchain") from None
    try:
        prefix, colon, _ = split_effort(name)[0].partition(":")
        call = None if colon else find_call(name, "langchain", init_kwargs)
        if call is not None:
            provider, model_name, arguments = call.integration.name, call.name, {**call.arguments, **init_kwargs}
        else:
            provider = "" if colon and find_provider(prefix) else split_price_id(price_id)[0]
            require_key(provider or prefix, init_kwargs)
            provider = _PROVIDERS.get(provider, provider)
            effort = effort_of(name, "langchain") if "@" in name else {}
            model_name, arguments = split_effort(name)[0], {**effort, **init_kwargs}
        model: BaseChatModel = init_chat_model(model_name, model_provider=provider or None, **arguments)
    except (ValueError, KeyError) as error:
        raise UnavailableError(str(error.args[0]).split("\n")[0]) from error
    return model


def describe(client: Client) -> ClientProfile:
    """Provider, name, capabilities and price id of a chat model."""
    model, kwargs = unwrap(client)
    params = model._get_ls_params(**{key: value for key, value in kwargs.items() if key == "model"})
    provider, name = str(params.get("ls_provider") or ""), str(params.get("ls_model_name") or "")
    capabilities = canonical(dict(model.profile or {}))
    if type(model).bind_tools is BaseChatModel.bind_tools:
        capabilities["tools"] = False
    return ClientProfile(
        provider,
        name,
        capabilities,
        (f"{PRICE_PROVIDERS.get(provider, provider)}:{name}",) if name else (),
        read_timeout(model, ("request_timeout", "default_request_timeout", "timeout")),
        getattr(model, "max_retries", None),
    )


def price_id(spec: str) -> str:
    """genai-prices' id of a model that is given as LangChain's ``provider:model``."""
    provider, name = split_price_id(spec)
    return f"{PRICE_PROVIDERS.get(provider, provider)}:{name}" if provider else name


LANGCHAIN = Framework[Client](
    name="langchain",
    kind="a chat model (give the model itself, and with_config, with_retry or with_fallbacks to ChatAvengers)",
    make_model=make_model,
    is_client=is_client,
    describe=describe,
    price_id=price_id,
)


def token_usage(usage: UsageMetadata | None) -> TokenUsage | None:
    """LangChain's usage as the core's; None if it has no tokens, as that of an answer from LangChain's cache.

    Args:
        usage: Usage metadata of a message.
    """
    if usage is None or "input_tokens" not in usage:
        return None
    input_details: dict[str, Any] = dict(usage.get("input_token_details") or {})
    output_details: dict[str, Any] = dict(usage.get("output_token_details") or {})
    hour = input_details.get("ephemeral_1h_input_tokens") or 0
    timed = (input_details.get("ephemeral_5m_input_tokens") or 0) + hour
    return TokenUsage(
        input_tokens=usage["input_tokens"],
        output_tokens=usage["output_tokens"],
        cache_read_tokens=input_details.get("cache_read") or 0,
        cache_write_tokens=max(input_details.get("cache_creation") or 0, timed),
        cache_write_1h_tokens=hour,
        reasoning_tokens=output_details.get("reasoning") or 0,
        input_audio_tokens=input_details.get("audio") or 0,
        output_audio_tokens=output_details.get("audio") or 0,
    )
