"""The arguments with which each integration is asked for an effort."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal

from .types import CatalogEntry

__all__ = ["Framework", "effort_arguments"]

Framework = Literal["langchain", "llamaindex"]
Arguments = dict[str, Any]

#: Anthropic's and Google's thinking tokens if an effort is asked for without a number.
THINKING_TOKENS = 16_000
#: Google's own budgets of its efforts, for models that take a budget only.
GOOGLE_BUDGETS = {"none": 0, "low": 1024, "medium": 8192, "high": 24_576, "thinking": -1}
#: Output tokens for LlamaIndex's Anthropic, which asks for 512 by default: too few to think and answer.
LLAMAINDEX_MAX_TOKENS = 32_000

#: Models whose API has a name of its own for an effort.
_NAMES = {
    "x-ai/grok-4-fast": {"none": "grok-4-fast-non-reasoning", "thinking": "grok-4-fast-reasoning"},
    "x-ai/grok-4.1-fast": {"none": "grok-4-1-fast-non-reasoning", "thinking": "grok-4-1-fast-reasoning"},
    "x-ai/grok-4.20": {"none": "grok-4.20-0309-non-reasoning", "thinking": "grok-4.20-0309-reasoning"},
}
_BUDGET = re.compile(r"^thinking-(\d+)k$")


def effort_arguments(entry: CatalogEntry, effort: str, framework: Framework, host: str = "") -> Arguments:
    """Arguments for the constructor of a framework's chat model, so that the model takes an effort.

    Args:
        entry: The model.
        effort: One of ``entry.efforts``, or ``thinking-<n>k`` for a model that takes a number of thinking tokens;
            empty for no arguments.
        framework: ``langchain`` or ``llamaindex``.
        host: Id of the provider that serves the model, if it is not its maker.

    Returns:
        Plain values. LlamaIndex's ``GoogleGenAI`` takes ``generation_config`` as a ``GenerateContentConfig``: make one
        of the dictionary.

    Raises:
        ValueError: If the model does not take the effort, or the framework is unknown.
    """
    if framework not in ("langchain", "llamaindex"):
        raise ValueError(f"framework: {framework!r} is unknown; use 'langchain' or 'llamaindex'")
    if not effort:
        return {}
    if effort not in entry.efforts and not (_BUDGET.match(effort) and takes_budget(entry)):
        known = ", ".join(entry.efforts) or "none that is known"
        raise ValueError(f"{entry.id} does not take the effort {effort!r}; its efforts: {known}")
    translate = _HOSTS.get(host) or _MAKERS.get(entry.provider) or _plain
    return translate(entry, effort, framework)


def takes_budget(entry: CatalogEntry) -> bool:
    """Whether a model can be given a number of thinking tokens."""
    if entry.provider == "anthropic":
        return "thinking" in entry.efforts and "max" not in entry.efforts
    return entry.provider == "google" and "thinking" in entry.efforts


def _thousands(effort: str, default: int, of: int = 1000) -> int:
    found = _BUDGET.match(effort)
    return int(found[1]) * of if found else default


def _plain(entry: CatalogEntry, effort: str, framework: Framework) -> Arguments:
    """OpenAI's ``reasoning_effort``, which most others take as well."""
    if framework == "langchain":
        return {"reasoning_effort": effort}
    return {"additional_kwargs": {"reasoning_effort": effort}}


def _openai(entry: CatalogEntry, effort: str, framework: Framework) -> Arguments:
    # LlamaIndex sends its own reasoning_effort for models that it has on a list only, and a temperature to all others
    extra: Arguments = {"temperature": 1.0} if framework == "llamaindex" else {}
    return {**_plain(entry, effort, framework), **extra}


def _anthropic(entry: CatalogEntry, effort: str, framework: Framework) -> Arguments:
    thinking, max_tokens = _anthropic_thinking(entry, effort)
    level = effort if effort in ("low", "medium", "high", "xhigh", "max") else ""
    if framework == "langchain":
        return {
            **({"thinking": thinking} if thinking else {}),
            **({"max_tokens": max_tokens} if max_tokens else {}),
            **({"effort": level} if level else {}),
        }
    if not level and (thinking or {}).get("type") in (None, "disabled"):
        return {"thinking_dict": thinking} if thinking else {}
    limit = int(entry.capabilities.get("max_output_tokens", LLAMAINDEX_MAX_TOKENS))
    return {
        **({"thinking_dict": thinking, "temperature": 1.0} if thinking else {}),
        "max_tokens": max_tokens or min(LLAMAINDEX_MAX_TOKENS, limit),
        **({"additional_kwargs": {"output_config": {"effort": level}}} if level else {}),
    }


def _anthropic_thinking(entry: CatalogEntry, effort: str) -> tuple[Arguments | None, int]:
    """The ``thinking`` argument, if one is needed, and the output tokens that it needs, if it does."""
    if effort == "none":
        return (None if entry.default_effort == "none" else {"type": "disabled"}), 0
    if takes_budget(entry) and effort.startswith("thinking"):
        limit = int(entry.capabilities.get("max_output_tokens", 32_000))
        budget = min(_thousands(effort, THINKING_TOKENS), limit - 4096)
        return {"type": "enabled", "budget_tokens": budget}, min(budget + 16_000, limit)
    # models that think of their own accord take an effort only; those before can be told to think adaptively
    return ({"type": "adaptive"} if "thinking" in entry.efforts and "max" in entry.efforts else None), 0


def _google(entry: CatalogEntry, effort: str, framework: Framework) -> Arguments:
    if "thinking" in entry.efforts:
        option: Arguments = {"thinking_budget": _thousands(effort, GOOGLE_BUDGETS.get(effort, -1), of=1024)}
    else:
        option = {"thinking_level": effort}
    return option if framework == "langchain" else {"generation_config": {"thinking_config": option}}


def _xai(entry: CatalogEntry, effort: str, framework: Framework) -> Arguments:
    if entry.id in _NAMES:
        return {"model": _NAMES[entry.id][effort]}
    option = {"reasoning_effort": effort}
    return {"extra_body": option} if framework == "langchain" else {"additional_kwargs": option}


def _body(option: Arguments, framework: Framework) -> Arguments:
    """Fields of the request that the client library does not know."""
    return {"extra_body": option} if framework == "langchain" else {"additional_kwargs": {"extra_body": option}}


def _switch(entry: CatalogEntry, effort: str, framework: Framework) -> Arguments:
    """DeepSeek's, Z.ai's and Moonshot's switch, with DeepSeek's level."""
    option: Arguments = {"thinking": {"type": "disabled" if effort == "none" else "enabled"}}
    if effort not in ("none", "thinking"):
        option["reasoning_effort"] = effort
    return _body(option, framework)


def _qwen(entry: CatalogEntry, effort: str, framework: Framework) -> Arguments:
    return _body({"enable_thinking": effort != "none"}, framework)


def _mistral(entry: CatalogEntry, effort: str, framework: Framework) -> Arguments:
    option = {"reasoning_effort": effort}
    return {"model_kwargs": option} if framework == "langchain" else {"additional_kwargs": option}


def _openrouter(entry: CatalogEntry, effort: str, framework: Framework) -> Arguments:
    if effort in ("none", "thinking"):
        option: Arguments = {"enabled": effort == "thinking"}
    elif effort.startswith("thinking"):
        option = {"max_tokens": _thousands(effort, THINKING_TOKENS)}
    else:
        option = {"effort": effort}
    if framework == "langchain":
        return {"reasoning": option}
    return _body({"reasoning": option}, framework)


def _bedrock(entry: CatalogEntry, effort: str, framework: Framework) -> Arguments:
    if entry.provider != "anthropic" or (effort not in ("none", "thinking") and not effort.startswith("thinking-")):
        if framework == "langchain":
            return {"reasoning_effort": effort}
        raise ValueError(f"{entry.id}: LlamaIndex's BedrockConverse has no argument for the effort {effort!r}")
    thinking, max_tokens = _anthropic_thinking(entry, effort)
    if thinking is None:
        return {}
    fields = (
        {"additional_model_request_fields": {"thinking": thinking}}
        if framework == "langchain"
        else {"thinking": thinking}
    )
    return {**fields, **({"max_tokens": max_tokens} if max_tokens else {})}


_Translate = Callable[[CatalogEntry, str, Framework], Arguments]
_MAKERS: dict[str, _Translate] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "google": _google,
    "x-ai": _xai,
    "deepseek": _switch,
    "z-ai": _switch,
    "moonshotai": _switch,
    "qwen": _qwen,
    "mistralai": _mistral,
}
_HOSTS: dict[str, _Translate] = {
    "openrouter": _openrouter,
    "bedrock": _bedrock,
    **dict.fromkeys(("groq", "fireworks", "together", "cerebras"), _plain),
}
