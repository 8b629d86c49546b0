"""What a model can do, under one set of names, and what a request needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Capabilities = Mapping[str, "bool | int"]
Require = str | Iterable[str] | Capabilities

#: The names, each with those that other sources use for it.
NAMES: dict[str, tuple[str, ...]] = {
    "tools": ("tool_calling", "function_calling"),
    "tool_choice": (),
    "structured_output": (),
    "images": ("image_inputs",),
    "audio": ("audio_inputs",),
    "video": ("video_inputs",),
    "pdf": ("pdf_inputs",),
    "reasoning": ("reasoning_output",),
    "max_input_tokens": ("context_window",),
    "max_output_tokens": (),
}
_CANONICAL = {other: name for name, others in NAMES.items() for other in (name, *others)}

#: Not known here means no obstacle: few sources say it, and nearly all models can.
LENIENT = frozenset({"max_input_tokens", "max_output_tokens", "tool_choice"})


def canonical(capabilities: Mapping[str, object]) -> dict[str, bool | int]:
    """The known capabilities under their names here; anything else is dropped."""
    return {
        _CANONICAL[name]: value
        for name, value in capabilities.items()
        if name in _CANONICAL and isinstance(value, (bool, int))
    }


def as_needs(require: Require) -> dict[str, bool | int]:
    """A requirement in any of its forms as a mapping."""
    if isinstance(require, str):
        return {require: True}
    return dict(require) if isinstance(require, Mapping) else dict.fromkeys(require, True)


def lacking(capabilities: Capabilities, needs: Capabilities, lenient: Iterable[str] = ()) -> str:
    """Why a model with these capabilities does not meet the needs; empty where it does.

    A need may name alternatives (``tools|structured_output``). What is not known counts as missing, but for the
    ``lenient`` names.
    """
    for name, need in needs.items():
        reasons = [_lacking(one, capabilities.get(one), need, one in lenient) for one in name.split("|")]
        if all(reasons):
            return " and ".join(reasons)
    return ""


def _lacking(name: str, have: bool | int | None, need: bool | int, lenient: bool) -> str:
    if have is None:
        return "" if lenient else f"{name} unknown"
    if isinstance(need, bool):
        return "" if bool(have) == need else f"no {name}" if need else f"has {name}"
    return "" if have >= need else f"{name} {have} below {need}"


def shared(members: Iterable[Capabilities]) -> dict[str, bool | int]:
    """What every one of them can do: all for yes and no, the least for numbers; unknown in one is left out."""
    listed = list(members)
    names = set.intersection(*(set(one) for one in listed)) if listed else set()
    out: dict[str, bool | int] = {}
    for name in sorted(names):
        values = [one[name] for one in listed]
        out[name] = all(values) if all(isinstance(value, bool) for value in values) else min(int(v) for v in values)
    return out
