"""What a model can do, under one set of names, and what a request needs of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = [
    "LENIENT",
    "NAMES",
    "PROVIDER_TOOLS",
    "Capabilities",
    "Require",
    "as_needs",
    "canonical",
    "lacking",
    "provider_tools",
    "united",
]

#: What a model can do: yes or no, or a number of tokens. What is missing is unknown.
Capabilities = Mapping[str, "bool | int"]

#: What a request needs: one name, several, or a mapping with least numbers.
Require = str | Iterable[str] | Capabilities

#: Whose tools run at the provider, by the names that frameworks have for these providers.
_TOOL_PROVIDERS = {
    "openai": "openai",
    "azure": "openai",
    "azure_openai": "openai",
    "anthropic": "anthropic",
    "google": "google",
    "google_genai": "google",
    "google_vertexai": "google",
}

#: Whose tools, such as a web search that runs at the provider, a model has.
PROVIDER_TOOLS = tuple(f"{provider}_tools" for provider in dict.fromkeys(_TOOL_PROVIDERS.values()))

#: The names, each with the names that other sources use for it.
NAMES: dict[str, tuple[str, ...]] = {
    "tools": ("tool_calling", "function_calling"),
    "tool_choice": (),
    "structured_output": (),
    "images": ("image_inputs",),
    "audio": ("audio_inputs",),
    "video": ("video_inputs",),
    "pdf": ("pdf_inputs",),
    "reasoning": ("reasoning_output",),
    "temperature": (),
    **dict.fromkeys(PROVIDER_TOOLS, ()),
    "max_input_tokens": ("context_window",),
    "max_output_tokens": (),
}
_CANONICAL = {other: name for name, others in NAMES.items() for other in (name, *others)}

#: Names that are not an obstacle if they are unknown: few sources list them, and nearly all models have them.
LENIENT = frozenset({"max_input_tokens", "max_output_tokens", "tool_choice"})


def canonical(capabilities: Mapping[str, object]) -> dict[str, bool | int]:
    """The known capabilities under their names here; anything else is dropped."""
    return {
        _CANONICAL[name]: value
        for name, value in capabilities.items()
        if name in _CANONICAL and isinstance(value, (bool, int))
    }


def provider_tools(provider: str) -> dict[str, bool | int]:
    """Whose tools, such as a web search that runs at the provider, the models of a provider have.

    Args:
        provider: The provider's name in genai-prices or LangChain.
    """
    own = _TOOL_PROVIDERS.get(provider)
    return {name: name == f"{own}_tools" for name in PROVIDER_TOOLS}


def as_needs(require: Require) -> dict[str, bool | int]:
    """A requirement in any of its forms as a mapping; True for a name without a number."""
    if isinstance(require, str):
        return {require: True}
    return dict(require) if isinstance(require, Mapping) else dict.fromkeys(require, True)


def lacking(capabilities: Capabilities, needs: Capabilities, lenient: Iterable[str] = ()) -> str:
    """Why a model does not meet the needs; empty if it does.

    Args:
        capabilities: What the model can do. What is unknown counts as missing.
        needs: What it needs to do. A name may list alternatives (``tools|structured_output``).
        lenient: Names that do not count as missing if they are unknown.
    """
    for name, need in needs.items():
        reasons = [
            _lacking_one(alternative, capabilities.get(alternative), need, alternative in lenient)
            for alternative in name.split("|")
        ]
        if all(reasons):
            return " and ".join(reasons)
    return ""


def _lacking_one(name: str, value: bool | int | None, need: bool | int, lenient: bool) -> str:
    if value is None:
        return "" if lenient else f"{name} unknown"
    if isinstance(need, bool):
        return "" if bool(value) == need else f"no {name}" if need else f"has {name}"
    return "" if value >= need else f"{name} {value} below {need}"


def united(members: Iterable[Capabilities]) -> dict[str, bool | int]:
    """What at least one of the models can do: flags are or-ed, and limits take the maximum.

    Args:
        members: Capabilities of each model. What is unknown of a model does not count.
    """
    union: dict[str, bool | int] = {}
    for member in members:
        for name, value in member.items():
            union[name] = max(value, union.get(name, value))
    return dict(sorted(union.items()))
