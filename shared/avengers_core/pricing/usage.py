"""Tokens as providers report them, in any of the wire formats that genai-prices knows, as the core's `TokenUsage`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .catalog import USAGE_KINDS
from .types import TokenUsage

#: What tells one format from another, with where genai-prices has its fields. The first that fits is taken.
_FORMATS = (
    ("prompt_tokens", "openai", "chat", "usage"),
    ("input_tokens_details", "openai", "responses", "usage"),
    ("output_tokens_details", "openai", "responses", "usage"),
    ("input_tokens", "anthropic", "default", "usage"),
    ("promptTokenCount", "google", "default", "usageMetadata"),
    ("inputTokens", "aws", "default", "usage"),
)


def read_usage(reported: Mapping[str, Any] | None) -> TokenUsage | None:
    """Tokens of the ``usage`` part of a provider's answer, or None where it has none or they are of an unknown format.

    Args:
        reported: as OpenAI (chat completions and responses), Anthropic, Google or Bedrock name them; Google's also in
            snake case.
    """
    from genai_prices import extract_usage

    known = {name: value for name, value in (reported or {}).items() if value is not None}
    if "prompt_token_count" in known:
        known = {_camel(name): value for name, value in known.items()}
    for mark, provider, flavor, key in _FORMATS:
        if mark in known:
            try:
                found = extract_usage({key: known}, provider_id=provider, api_flavor=flavor).usage
            except (LookupError, ValueError):
                return None
            counts = vars(found)  # asked for a kind that is not there, it would search for what may imply it
            return TokenUsage(**{ours: counts.get(theirs) or 0 for ours, theirs in USAGE_KINDS.items()})
    return None


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
