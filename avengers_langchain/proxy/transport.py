"""Chat models that ask by aiohttp: httpx's pool of connections costs more than the rest of a call above a hundred."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from langchain_core.language_models import BaseChatModel

__all__ = ["use_aiohttp"]


def use_aiohttp(models: Iterable[BaseChatModel]) -> None:
    """Let async calls of models of OpenAI's and Anthropic's SDKs go by aiohttp, and leave all other models alone.

    Versions of the SDKs that do not know aiohttp yet are left alone, too. A model that was given an HTTP client keeps
    it. This must be called on the event loop that the calls will run on.

    Args:
        models: The models. They are changed.
    """
    for model in models:
        kinds = {base.__module__.partition(".")[0] for base in type(model).__mro__}
        if "langchain_openai" in kinds:
            _change_openai(model)
        elif "langchain_anthropic" in kinds:
            _change_anthropic(model)


def _change_openai(model: Any) -> None:
    import openai

    root, make = getattr(model, "root_async_client", None), getattr(openai, "DefaultAioHttpClient", None)
    if make and isinstance(root, openai.AsyncOpenAI) and getattr(model, "http_async_client", None) is None:
        model.root_async_client = root.with_options(http_client=make())
        model.async_client = model.root_async_client.chat.completions


def _change_anthropic(model: Any) -> None:
    import anthropic

    client, make = getattr(model, "_async_client", None), getattr(anthropic, "DefaultAioHttpClient", None)
    if make and isinstance(client, anthropic.AsyncAnthropic):
        vars(model)["_async_client"] = client.with_options(http_client=make())  # it is a cached property
