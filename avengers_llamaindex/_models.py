"""LlamaIndex LLMs as members of a pool: made from ids, described by their metadata, their reported tokens read."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from avengers_core import UnavailableError
from avengers_core.dispatch.pool import ClientProfile
from avengers_core.pricing.catalog import provider_of, split_price_id
from llama_index.core.llms import LLM
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.loading import load_llm
from pydantic import BaseModel

from ._inner import suppress_handlers


class Integration(NamedTuple):
    """Where LlamaIndex has the LLMs of a provider, and the environment's names for its key."""

    module: str
    name: str
    keys: tuple[str, ...] = ()


#: By genai-prices' ids of providers.
INTEGRATIONS = {
    "anthropic": Integration("anthropic", "Anthropic", ("ANTHROPIC_API_KEY",)),
    "aws": Integration("bedrock_converse", "BedrockConverse"),
    "azure": Integration("azure_openai", "AzureOpenAI", ("AZURE_OPENAI_API_KEY",)),
    "cohere": Integration("cohere", "Cohere", ("COHERE_API_KEY",)),
    "deepseek": Integration("deepseek", "DeepSeek", ("DEEPSEEK_API_KEY",)),
    "fireworks": Integration("fireworks", "Fireworks", ("FIREWORKS_API_KEY",)),
    "google": Integration("google_genai", "GoogleGenAI", ("GOOGLE_API_KEY", "GEMINI_API_KEY")),
    "groq": Integration("groq", "Groq", ("GROQ_API_KEY",)),
    "mistral": Integration("mistralai", "MistralAI", ("MISTRAL_API_KEY",)),
    "ollama": Integration("ollama", "Ollama"),
    "openai": Integration("openai", "OpenAI", ("OPENAI_API_KEY",)),
    "openrouter": Integration("openrouter", "OpenRouter", ("OPENROUTER_API_KEY",)),
    "together": Integration("together", "TogetherLLM", ("TOGETHER_API_KEY",)),
}
_PROVIDERS = {integration.module: provider for provider, integration in INTEGRATIONS.items()}


def is_client(value: Any) -> bool:
    """Whether it is an LLM."""
    return isinstance(value, LLM)


def as_client(value: Any) -> Any:
    """What a user gives for a model, ready for a pool: an LLM is quieted, a dumped one loaded, an id stays.

    Raises:
        ValueError: a dumped LLM is of a class that LlamaIndex does not load by name.
    """
    if isinstance(value, Mapping):
        try:
            value = load_llm(dict(value))
        except ValueError as error:
            raise ValueError(f"models: {error}; give the LLM itself") from None
    return suppress_handlers(value) if isinstance(value, LLM) else value


def make_model(name: str, price_id: str, init_kwargs: Mapping[str, Any]) -> LLM:
    """An LLM from ``provider:model``, or from a name with the provider of its price, by LlamaIndex's integration.

    Raises:
        UnavailableError: no integration is known for it, or it is not installed, or its key is missing.
    """
    provider, model = split_price_id(name)
    if provider not in INTEGRATIONS:
        provider, model = split_price_id(price_id)[0] or provider_of(name) or "", name
    integration = INTEGRATIONS.get(provider)
    if integration is None:
        raise UnavailableError(f"no LlamaIndex integration is known for {provider or name}; give the LLM itself")
    package = f"llama-index-llms-{integration.module.replace('_', '-')}"
    try:
        module = importlib.import_module(f"llama_index.llms.{integration.module}")
    except ImportError:
        raise UnavailableError(f"pip install {package}") from None
    given = {"api_key"} & set(init_kwargs) or not integration.keys
    if not given and not any(os.environ.get(key) for key in integration.keys):
        raise UnavailableError(f"{' or '.join(integration.keys)} is not set")
    llm: LLM = getattr(module, integration.name)(model=model, **init_kwargs)
    return suppress_handlers(llm)


def describe(client: LLM) -> ClientProfile:
    """Provider, name, capabilities and price id of an LLM."""
    metadata = client.metadata
    provider = provider_name(client)
    capabilities: dict[str, bool | int] = {
        "tools": isinstance(client, FunctionCallingLLM) and metadata.is_function_calling_model
    }
    if metadata.context_window > 0:
        capabilities["max_input_tokens"] = metadata.context_window
    name = str(metadata.model_name)
    priced = provider in INTEGRATIONS and name != "unknown"
    return ClientProfile(provider, name, capabilities, (f"{provider}:{name}",) if priced else ())


def provider_name(client: LLM) -> str:
    """genai-prices' id of an LLM's provider, else the name of its integration."""
    for base in type(client).__mro__:
        parts = base.__module__.split(".")
        if parts[:2] == ["llama_index", "llms"]:
            return _PROVIDERS.get(parts[2], parts[2])
    return type(client).__module__.split(".")[0]


def streams_usage_on_request(client: LLM) -> bool:
    """Whether it reports a stream's tokens only when asked with ``stream_options``, and was not told otherwise."""
    is_openai = any(base.__module__ == "llama_index.llms.openai.base" for base in type(client).__mro__)
    return is_openai and "stream_options" not in getattr(client, "additional_kwargs", {})


def reported_usage(response: Any) -> dict[str, Any]:
    """The usage part of a response as its provider names it; empty where there is none."""
    raw = response.raw
    for name in ("usage", "usage_metadata"):
        usage = raw.get(name) if isinstance(raw, Mapping) else getattr(raw, name, None)
        if usage:
            break
    if isinstance(usage, BaseModel):
        usage = usage.model_dump()
    found = dict(usage) if isinstance(usage, Mapping) else dict(response.additional_kwargs)
    return {name: value for name, value in found.items() if value is not None}


def answering_name(response: Any) -> str:
    """The name under which a provider says that it answered."""
    raw = response.raw
    return str((raw.get("model") if isinstance(raw, Mapping) else getattr(raw, "model", None)) or "")
