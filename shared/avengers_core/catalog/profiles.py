"""Model profiles that installed LangChain integrations ship: data files, read without importing the integration."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .providers import find_provider
from .spelling import key_of

__all__ = ["CAPABILITIES", "find_profile", "profile_capabilities", "profile_source"]

#: The catalogue's names of a profile's fields.
_CAPABILITIES = {
    "tool_calling": "tools",
    "tool_choice": "tool_choice",
    "structured_output": "structured_output",
    "image_inputs": "images",
    "audio_inputs": "audio",
    "video_inputs": "video",
    "pdf_inputs": "pdf",
    "reasoning_output": "reasoning",
    "max_input_tokens": "max_input_tokens",
    "max_output_tokens": "max_output_tokens",
}
#: All capabilities that the catalogue knows by name.
CAPABILITIES = tuple(_CAPABILITIES.values())


def find_profile(maker: str, names: tuple[str, ...]) -> Mapping[str, Any] | None:
    """The profile of a model in its maker's installed integration; None if there is none.

    Args:
        maker: First part of a canonical id.
        names: What the model may be called, best first.
    """
    known = find_provider(maker)
    if known is None or known.langchain is None:
        return None
    profiles = _profiles(known.langchain.module)
    return next((profiles[key] for key in map(key_of, names) if key in profiles), None)


def profile_capabilities(profile: Mapping[str, Any]) -> dict[str, bool | int]:
    """A profile's known capabilities under the catalogue's names."""
    found: dict[str, bool | int] = {}
    for field, name in _CAPABILITIES.items():
        value = profile.get(field)
        if isinstance(value, bool) or (isinstance(value, int) and value > 0):
            found[name] = value
    return found


def profile_source(maker: str) -> str:
    """What to name as the source of facts from a maker's profile."""
    known = find_provider(maker)
    return f"{known.langchain.package} profile" if known and known.langchain else ""


@functools.cache
def _profiles(module: str) -> dict[str, Mapping[str, Any]]:
    path = _profile_file(module)
    if path is None:
        return {}
    spec = importlib.util.spec_from_file_location(f"_avengers_profiles_{module}", path)
    if spec is None or spec.loader is None:
        return {}
    loaded = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(loaded)
        profiles = dict(loaded._PROFILES)
    except Exception:  # another version's file may be anything; the table has what this version knows
        return {}
    found: dict[str, Mapping[str, Any]] = {}
    for name, profile in profiles.items():
        if isinstance(profile, Mapping):
            found.setdefault(key_of(str(name)), profile)
    return found


def _profile_file(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "data" / "_profiles.py"
        if path.is_file():
            return path
    return None
