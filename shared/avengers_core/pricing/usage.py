"""`TokenUsage` from what providers report, in any of the wire formats that genai-prices knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .list_price import USAGE_KINDS
from .types import TokenUsage

__all__ = ["read_usage"]

#: A field that tells one format from another, with genai-prices' provider, flavour and key of the format. The first
#: format whose field is there is taken.
_FORMATS = (
    ("prompt_tokens", "openai", "chat", "usage"),
    ("input_tokens_details", "openai", "responses", "usage"),
    ("output_tokens_details", "openai", "responses", "usage"),
    ("input_tokens", "anthropic", "default", "usage"),
    ("promptTokenCount", "google", "default", "usageMetadata"),
    ("inputTokens", "aws", "default", "usage"),
)


def read_usage(reported: Mapping[str, Any] | None) -> TokenUsage | None:
    """Tokens of the ``usage`` part of a provider's answer, or None if it has none or they are of an unknown format.

    Args:
        reported: Tokens as OpenAI (chat completions and responses), Anthropic, Google or Bedrock name them; Google's
            also in snake case.
    """
    from genai_prices import extract_usage

    known = {name: value for name, value in (reported or {}).items() if value is not None}
    if "prompt_token_count" in known:
        known = {_camel(name): value for name, value in known.items()}
    for mark, provider, flavor, key in _FORMATS:
        if mark in known:
            try:
                usage = extract_usage({key: known}, provider_id=provider, api_flavor=flavor).usage
            except (LookupError, ValueError):
                return None
            counts = vars(usage)  # its attributes would search for what may imply a kind that is missing
            return TokenUsage(**{ours: counts.get(theirs) or 0 for ours, theirs in USAGE_KINDS.items()})
    return None


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
