"""What the arguments of a call say: its options, the models that it allows, and what the model must be able to do."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, MutableMapping
from dataclasses import replace
from typing import Any

from ..routing.candidates import exclusion_reasons
from ..routing.options import RouteOptions

__all__ = ["needs_from_arguments", "only_models", "take", "tool_provider"]

#: Arguments that only a reasoning model takes.
REASONING_ARGUMENTS = ("reasoning", "reasoning_effort", "thinking", "thinking_dict")

#: Types of tools that run at OpenAI, as far as they begin so.
_OPENAI_TOOLS = (
    "apply_patch",
    "code_interpreter",
    "computer",
    "custom",
    "file_search",
    "image_generation",
    "local_shell",
    "mcp",
    "shell",
    "web_search",
)
#: Anthropic dates the types of its tools: ``web_search_20250305``.
_ANTHROPIC_TOOL = re.compile(r"_20\d{6}$")
#: Keys of tools that run at Google.
_GOOGLE_TOOLS = (
    "google_search",
    "googleSearch",
    "google_search_retrieval",
    "code_execution",
    "url_context",
    "google_maps",
)

#: Values of ``tool_choice`` that leave the choice to the model.
FREE_TOOL_CHOICES = (None, "auto", "none", False)


def take(arguments: MutableMapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Remove the named arguments and return those that were there."""
    return {name: arguments.pop(name) for name in names if name in arguments}


def only_models(options: RouteOptions, names: Collection[str], ids: Iterable[str]) -> RouteOptions:
    """Options that exclude every model of the pool except the named ones.

    Args:
        options: The options of the call. Models that they exclude stay excluded.
        names: Ids that may be chosen.
        ids: All ids of the pool.
    """
    others = [name for name in ids if name not in names]
    excluded = options.exclude_models
    if isinstance(excluded, Mapping):
        return replace(options, exclude_models={**exclusion_reasons(others), **excluded})
    return replace(options, exclude_models=(*excluded, *others))


def tool_provider(tool: Any) -> str | None:
    """The provider at which a tool runs, such as its web search; None for a tool of the caller's own.

    Args:
        tool: A tool in any form that a framework takes.
    """
    if not isinstance(tool, Mapping) or not tool.keys().isdisjoint(("function", "parameters", "input_schema")):
        return None
    kind = str(tool.get("type") or "")
    if _ANTHROPIC_TOOL.search(kind):
        return "anthropic"
    if kind.startswith(_OPENAI_TOOLS):
        return "openai"
    return "google" if not tool.keys().isdisjoint(_GOOGLE_TOOLS) else None


def needs_from_arguments(arguments: Mapping[str, Any]) -> dict[str, bool | int]:
    """Capabilities that the arguments of a call ask for: tools, a free choice of the tool, reasoning."""
    needs: dict[str, bool | int] = {}
    for tool in arguments.get("tools") or ():
        needs["tools"] = True
        if provider := tool_provider(tool):
            needs[f"{provider}_tools"] = True
    if arguments.get("tool_required") or arguments.get("tool_choice") not in FREE_TOOL_CHOICES:
        needs["tool_choice"] = True
    if any(arguments.get(name) for name in REASONING_ARGUMENTS):
        needs["reasoning"] = True
    return needs
