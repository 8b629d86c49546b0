"""One query's record: what each model scored on it, and what its answer cost."""

from __future__ import annotations

import msgspec

#: Token kinds kept apart because providers price them apart. Input and output are totals: cached and audio input
#: are part of ``input``, reasoning and audio output part of ``output``.
TOKEN_KINDS = ("input", "output", "cache_read", "cache_write", "reasoning", "input_audio", "output_audio")


_TOKEN_FIELDS = {
    "prompt_tokens": "input",
    "completion_tokens": "output",
    "cache_read_tokens": "cache_read",
    "cache_write_tokens": "cache_write",
    "reasoning_tokens": "reasoning",
    "input_audio_tokens": "input_audio",
    "output_audio_tokens": "output_audio",
}


class Usage(msgspec.Struct, frozen=True):
    """Tokens and US dollars of one answer; ``None`` is unknown, never zero."""

    prompt_tokens: float | None = None
    completion_tokens: float | None = None
    cache_read_tokens: float | None = None
    cache_write_tokens: float | None = None
    reasoning_tokens: float | None = None
    input_audio_tokens: float | None = None
    output_audio_tokens: float | None = None
    cost: float | None = None


class Record(msgspec.Struct, frozen=True):
    """One query with the scores, and where known the usages, of the models that were asked it."""

    index: str | int
    dataset: str
    query: str
    records: dict[str, float | bool | None]
    usages: dict[str, Usage | None] = {}
    weights: dict[str, float] = {}


def usage_fields() -> dict[str, str]:
    """Token fields of `Usage` with their kinds."""
    return dict(_TOKEN_FIELDS)
