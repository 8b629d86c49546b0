"""LangChain chat models as members of a pool: made from ids, described by their profiles."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from avengers_core import MissingExtraError, Router, UnavailableError
from avengers_core.capabilities import canonical
from avengers_core.pool import Pool, Traits
from avengers_core.pricing import Price, TokenUsage, split_price_id
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

Models = Mapping[str, Any] | Sequence[str] | None


def make_pool(
    router: Router,
    models: Models,
    *,
    capabilities: Mapping[str, Mapping[str, Any]] | None,
    prices: Mapping[str, Price] | None,
    init_kwargs: Mapping[str, Any],
) -> Pool[Runnable[Any, Any]]:
    """A pool from what a user gives as ``models``; ids are made with `init_chat_model` when first chosen."""
    known = {info.id: info.price_id for info in router.artifact.manifest.models}
    if models is None:
        models = list(known)
    given = models if isinstance(models, Mapping) else {name: name for name in models}
    entries: dict[str, Runnable[Any, Any] | Callable[[], Runnable[Any, Any]]] = {}
    for name, value in given.items():
        if isinstance(value, str):
            price_id = known.get(name, "") if value == name else ""
            entries[name] = functools.partial(make_model, value, price_id, dict(init_kwargs))
        elif is_client(value):
            entries[name] = value
        else:
            raise ValueError(
                f"models[{name!r}] must be a chat model or 'provider:model', not {type(value).__name__}"
                " (give the model itself, and with_retry or with_fallbacks to ChatAvengers)"
            )
    return Pool(router, entries, describe, is_client=is_client, capabilities=capabilities, prices=prices)


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


def describe(client: Runnable[Any, Any]) -> Traits:
    """Provider, name, capabilities and price id of a chat model."""
    model, kwargs = unwrap(client)
    params = model._get_ls_params(**{key: value for key, value in kwargs.items() if key == "model"})
    provider, name = str(params.get("ls_provider") or ""), str(params.get("ls_model_name") or "")
    capabilities = canonical(dict(model.profile or {}))
    if type(model).bind_tools is BaseChatModel.bind_tools:
        capabilities["tools"] = False
    return Traits(provider, name, capabilities, (f"{PRICE_PROVIDERS.get(provider, provider)}:{name}",) if name else ())


def token_usage(usage: UsageMetadata | None) -> TokenUsage | None:
    """LangChain's usage as the core's; None stays None."""
    if usage is None:
        return None
    read: dict[str, Any] = dict(usage.get("input_token_details") or {})
    wrote: dict[str, Any] = dict(usage.get("output_token_details") or {})
    hour = read.get("ephemeral_1h_input_tokens") or 0
    timed = (read.get("ephemeral_5m_input_tokens") or 0) + hour
    return TokenUsage(
        input=usage["input_tokens"],
        output=usage["output_tokens"],
        cache_read=read.get("cache_read") or 0,
        cache_write=max(read.get("cache_creation") or 0, timed),
        cache_write_1h=hour,
        reasoning=wrote.get("reasoning") or 0,
        input_audio=read.get("audio") or 0,
        output_audio=wrote.get("audio") or 0,
    )
