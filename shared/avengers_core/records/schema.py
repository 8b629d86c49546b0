"""One query's record: what each model scored on it, and what its answer cost."""

from __future__ import annotations

import msgspec

#: Token kinds are kept apart because providers price them apart. Input and output are totals: cached and audio input
#: tokens are part of ``input_tokens``, reasoning and audio output tokens part of ``output_tokens``.
TOKEN_KINDS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
)

#: Names of older records files, which are still read.
OLD_NAMES = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens", "cost": "cost_usd"}


class Usage(msgspec.Struct, frozen=True):
    """Tokens and US dollars of one answer; ``None`` is unknown, never zero."""

    input_tokens: float | None = None
    output_tokens: float | None = None
    cache_read_tokens: float | None = None
    cache_write_tokens: float | None = None
    reasoning_tokens: float | None = None
    input_audio_tokens: float | None = None
    output_audio_tokens: float | None = None
    cost_usd: float | None = None


class Record(msgspec.Struct, frozen=True):
    """One query with the scores, and where known the usages, of the models that were asked it."""

    index: str | int
    dataset: str
    query: str
    records: dict[str, float | bool | None]
    usages: dict[str, Usage | None] = {}
    weights: dict[str, float] = {}
