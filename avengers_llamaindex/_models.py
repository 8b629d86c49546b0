"""LlamaIndex LLMs as members of a pool: made from ids, described by their metadata, their reported tokens read."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from avengers_core import UnavailableError
from avengers_core.adapters import Framework
from avengers_core.dispatch.pool import ClientProfile
from avengers_core.pricing.catalog import provider_of, split_price_id
from llama_index.core.llms import LLM
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.loading import load_llm
from pydantic import BaseModel

from ._events import suppress_events

__all__ = [
    "INTEGRATIONS",
    "LLAMAINDEX",
    "Integration",
    "answering_name",
    "as_client",
    "describe",
    "is_client",
    "make_model",
    "provider_name",
    "reported_usage",
    "streams_usage_on_request",
]


class Integration(NamedTuple):
    """LlamaIndex's package for a provider.

    Attributes:
        module: The module below ``llama_index.llms``.
        name: The class of LLMs.
        keys: Environment variables that may hold the key.
    """

    module: str
    name: str
    keys: tuple[str, ...] = ()


#: Integrations by genai-prices' ids of providers.
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
    """Whether a value is an LLM."""
    return isinstance(value, LLM)


def as_client(value: Any) -> Any:
    """Make a value that a user gives for a model ready for a pool.

    Args:
        value: An LLM, which is copied without its events; a dumped LLM, which is loaded; or an id, which stays.

    Raises:
        ValueError: If LlamaIndex does not load the class of a dumped LLM by name.
    """
    if isinstance(value, Mapping):
        try:
            value = load_llm(dict(value))
        except ValueError as error:
            raise ValueError(f"models: {error}; give the LLM itself") from None
    return suppress_events(value) if isinstance(value, LLM) else value


def make_model(name: str, price_id: str, init_kwargs: Mapping[str, Any]) -> LLM:
    """Make an LLM with LlamaIndex's integration.

    Args:
        name: ``provider:model``, or the name of a model.
        price_id: The artifact's price id of the model, whose provider is used if ``name`` has none; may be empty.
        init_kwargs: Arguments for making the LLM.

    Raises:
        UnavailableError: If no integration is known for the model, or it is not installed, or its key is missing.
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
    keyless = "api_key" in init_kwargs or not integration.keys
    if not keyless and not any(os.environ.get(key) for key in integration.keys):
        raise UnavailableError(f"{' or '.join(integration.keys)} is not set")
    llm: LLM = getattr(module, integration.name)(model=model, **init_kwargs)
    return suppress_events(llm)


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
    """Whether an LLM reports a stream's tokens only if ``stream_options`` asks for them, and its own fields do not."""
    is_openai = any(base.__module__ == "llama_index.llms.openai.base" for base in type(client).__mro__)
    return is_openai and "stream_options" not in getattr(client, "additional_kwargs", {})


def reported_usage(response: Any) -> dict[str, Any]:
    """The usage part of a response under its provider's names, empty if there is none."""
    raw = response.raw
    for name in ("usage", "usage_metadata"):
        usage = raw.get(name) if isinstance(raw, Mapping) else getattr(raw, name, None)
        if usage:
            break
    if isinstance(usage, BaseModel):
        usage = usage.model_dump()
    counts = dict(usage) if isinstance(usage, Mapping) else dict(response.additional_kwargs)
    return {name: value for name, value in counts.items() if value is not None}


def answering_name(response: Any) -> str:
    """The name that a response reports for its model, empty if it reports none."""
    raw = response.raw
    return str((raw.get("model") if isinstance(raw, Mapping) else getattr(raw, "model", None)) or "")


LLAMAINDEX = Framework[LLM](
    kind="an LLM", make_model=make_model, is_client=is_client, describe=describe, prepare=as_client
)
