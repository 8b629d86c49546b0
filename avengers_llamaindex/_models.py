"""LlamaIndex LLMs as members of a pool: made from ids, described by their metadata, their reported tokens read."""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from avengers_core import UnavailableError
from avengers_core.adapters import Framework
from avengers_core.catalog import default_catalog
from avengers_core.catalog.available import effort_of, find_call
from avengers_core.catalog.spelling import split_effort
from avengers_core.dispatch.pool import ClientProfile, read_timeout
from avengers_core.pricing.catalog import provider_of, split_price_id
from llama_index.core.base.llms.types import CompletionResponse, LLMMetadata, TextBlock
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
    "has_content",
    "is_client",
    "make_model",
    "provider_name",
    "reported_usage",
    "streams_usage_on_request",
    "tells_why",
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

#: Input tokens of a model whose context window nobody tells.
DEFAULT_CONTEXT_WINDOW = 128_000


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
        name: Any spelling that the catalogue resolves, with ``@effort`` if the model is to take one; or
            ``provider:model``; or an id of the artifact.
        price_id: The artifact's price id of the model, whose provider is used if nothing else tells; may be empty.
        init_kwargs: Arguments for making the LLM, which go before those for the effort.

    Raises:
        UnavailableError: If no integration is known for the model, or it is not installed, or its key is missing.
    """
    try:
        call = None if ":" in split_effort(name)[0] else find_call(name, "llamaindex", init_kwargs)
        if call is not None:
            made, arguments = call.integration, {"model": call.name, **call.arguments, **init_kwargs}
            module, class_name, package = made.module, made.name, made.package
        else:
            provider, model = _provider_and_model(split_effort(name)[0], price_id)
            integration = _integration(provider, name, init_kwargs)
            effort = effort_of(name, "llamaindex") if "@" in name else {}
            arguments = {"model": model, **effort, **init_kwargs}
            module, class_name = f"llama_index.llms.{integration.module}", integration.name
            package = f"llama-index-llms-{integration.module.replace('_', '-')}"
    except (ValueError, KeyError) as error:
        raise UnavailableError(str(error.args[0])) from error
    try:
        found = importlib.import_module(module)
    except ImportError:
        raise UnavailableError(f"pip install {package}") from None
    llm: LLM = getattr(found, class_name)(**_typed(arguments))
    return suppress_events(_listed(llm))


def _provider_and_model(name: str, price_id: str) -> tuple[str, str]:
    """genai-prices' id of the provider, and the model's name."""
    provider, model = split_price_id(name)
    if provider not in INTEGRATIONS:
        provider, model = split_price_id(price_id)[0] or provider_of(name) or "", name
    return provider, model


def _integration(provider: str, name: str, init_kwargs: Mapping[str, Any]) -> Integration:
    """The provider's integration.

    Raises:
        ValueError: If none is known.
        KeyError: If its key is not set.
    """
    integration = INTEGRATIONS.get(provider)
    if integration is None:
        raise ValueError(f"no LlamaIndex integration is known for {provider or name}; give the LLM itself")
    keyless = "api_key" in init_kwargs or not integration.keys
    if not keyless and not any(os.environ.get(key) for key in integration.keys):
        raise KeyError(f"{' or '.join(integration.keys)} is not set")
    return integration


def _typed(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments, with Google's configuration as the object that its LLM takes."""
    configuration = arguments.get("generation_config")
    if not isinstance(configuration, Mapping):
        return arguments
    from google.genai import types  # type: ignore[import-untyped]

    return {**arguments, "generation_config": types.GenerateContentConfig(**configuration)}


def _listed(llm: LLM) -> LLM:
    """The LLM; if LlamaIndex's list of OpenAI's models does not have it yet, with the catalogue's context window."""
    try:
        llm.metadata  # noqa: B018
    except ValueError:
        return _unlisted(type(llm))(**llm.__dict__)
    return llm


@functools.cache
def _unlisted(made: type[LLM]) -> type[LLM]:
    """A subclass whose metadata do not need LlamaIndex's list of models."""

    def metadata(self: Any) -> LLMMetadata:
        catalog = default_catalog()
        known = catalog.capabilities(self.model) if catalog.knows(self.model) else {}
        return LLMMetadata(
            context_window=int(known.get("max_input_tokens", DEFAULT_CONTEXT_WINDOW)),
            num_output=self.max_tokens or -1,
            is_chat_model=True,
            is_function_calling_model=bool(known.get("tools", True)),
            model_name=self.model,
        )

    members = {"metadata": property(metadata), "__module__": made.__module__}
    return cast(type[LLM], type(made.__name__, (made,), members))


def describe(client: LLM) -> ClientProfile:
    """Provider, name, capabilities and price id of an LLM."""
    metadata = client.metadata
    provider = provider_name(client)
    capabilities: dict[str, bool | int] = {
        "tools": isinstance(client, FunctionCallingLLM) and metadata.is_function_calling_model
    }
    if not _takes_temperature(client):
        capabilities["temperature"] = False
    if metadata.context_window > 0:  # for LlamaIndex it holds the answer, too
        capabilities["max_input_tokens"] = max(metadata.context_window - max(metadata.num_output, 0), 1)
    name = str(metadata.model_name)
    priced = provider in INTEGRATIONS and name != "unknown"
    return ClientProfile(
        provider,
        name,
        capabilities,
        (f"{provider}:{name}",) if priced else (),
        read_timeout(client, ("timeout", "request_timeout")),
        getattr(client, "max_retries", None),
    )


def _takes_temperature(client: LLM) -> bool:
    """Whether a temperature may be sent: integrations list models that refuse one."""
    name = str(client.metadata.model_name)
    for module in (sys.modules.get(base.__module__) for base in type(client).__mro__):
        refusing = getattr(module, "ANTHROPIC_NO_TEMP_MODELS", ())
        if name in getattr(module, "O1_MODELS", ()) or any(one in name for one in refusing):
            return False
    return True


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


def has_content(response: Any) -> bool:
    """Whether a response, or a part of a streamed one, has text, reasoning, tool calls or other blocks."""
    if response.delta or isinstance(response, CompletionResponse):
        return bool(response.delta or response.text)
    message = response.message
    blocks = (not isinstance(block, TextBlock) or block.text for block in message.blocks)
    return any(blocks) or bool(message.additional_kwargs.get("tool_calls"))


def tells_why(response: Any) -> bool:
    """Whether a provider says why its answer ends."""
    raw = response.raw
    plain = raw.model_dump() if isinstance(raw, BaseModel) else raw
    if not isinstance(plain, Mapping):
        return bool(getattr(raw, "stop_reason", None) or getattr(raw, "finish_reason", None))
    parts = [plain, plain.get("delta"), *(plain.get("choices") or ()), *(plain.get("candidates") or ())]
    names = ("finish_reason", "stop_reason", "done_reason", "stopReason", "done")
    return any(part.get(name) for part in parts if isinstance(part, Mapping) for name in names)


def answering_name(response: Any) -> str:
    """The name that a response reports for its model, empty if it reports none."""
    raw = response.raw
    return str((raw.get("model") if isinstance(raw, Mapping) else getattr(raw, "model", None)) or "")


LLAMAINDEX = Framework[LLM](
    name="llamaindex", kind="an LLM", make_model=make_model, is_client=is_client, describe=describe, prepare=as_client
)
