"""What the arguments of a call say: its options, the models that it allows, and what the model must be able to do."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, MutableMapping
from dataclasses import replace
from typing import Any

from ..routing.candidates import exclusion_reasons
from ..routing.options import RouteOptions

__all__ = ["needs_from_arguments", "only_models", "take"]

#: Arguments that only a reasoning model takes.
REASONING_ARGUMENTS = ("reasoning", "reasoning_effort", "thinking", "thinking_dict")

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


def needs_from_arguments(arguments: Mapping[str, Any]) -> dict[str, bool | int]:
    """Capabilities that the arguments of a call ask for: tools, a free choice of the tool, reasoning."""
    needs: dict[str, bool | int] = {}
    if arguments.get("tools"):
        needs["tools"] = True
    if arguments.get("tool_required") or arguments.get("tool_choice") not in FREE_TOOL_CHOICES:
        needs["tool_choice"] = True
    if any(arguments.get(name) for name in REASONING_ARGUMENTS):
        needs["reasoning"] = True
    return needs
