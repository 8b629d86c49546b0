"""One query's record: the score of each model that answered it, and what each answer cost."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

__all__ = [
    "DURATIONS",
    "LARGEST_WEIGHT",
    "LEAST_WEIGHT",
    "OLD_NAMES",
    "TIMING",
    "TOKEN_KINDS",
    "USAGE_KINDS",
    "Amount",
    "Record",
    "Score",
    "Usage",
    "Weight",
]

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

#: How long an answer took, in seconds: to its end, and to its first token.
DURATIONS = ("seconds", "first_token_seconds")

#: What is summed up of answers whose duration and output tokens are known: their number, seconds, output tokens,
#: squared output tokens and seconds times output tokens; and of those whose first token was timed: their number,
#: seconds to the first token, seconds after it, and output tokens.
TIMING = (
    "n", "seconds", "output", "output_squares", "seconds_output",
    "n_first", "first_seconds", "later_seconds", "later_output",
)  # fmt: skip

#: What the tokens and dollars of a usage are those of: one call, or a whole run of an agent.
USAGE_KINDS = ("call", "agent_run")

#: Field names of older records files, which are still read, and today's names.
OLD_NAMES = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens", "cost": "cost_usd"}


#: What numbers may be. They are checked when a record is decoded.
Amount = Annotated[float, msgspec.Meta(ge=0)]
Score = Annotated[float, msgspec.Meta(ge=0, le=1)]
#: Weights that sums in single precision can hold.
LEAST_WEIGHT, LARGEST_WEIGHT = 1e-6, 1e9
Weight = Annotated[float, msgspec.Meta(ge=LEAST_WEIGHT, le=LARGEST_WEIGHT)]


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens, US dollars and seconds of one answer. ``None`` means unknown, never zero.

    Attributes:
        input_tokens: All input tokens.
        output_tokens: All output tokens.
        cache_read_tokens: Input tokens that were read from the provider's prompt cache.
        cache_write_tokens: Input tokens that were written to the provider's prompt cache.
        reasoning_tokens: Output tokens that were spent on reasoning.
        input_audio_tokens: Input tokens of audio.
        output_audio_tokens: Output tokens of audio.
        cost_usd: US dollars.
        seconds: Seconds from the request to the end of the answer.
        first_token_seconds: Seconds from the request to the first token of the answer.
        kind: One of `USAGE_KINDS`. The tokens and dollars of an ``agent_run`` are those of the whole task, dozens of
            calls, never those of one call.
    """

    input_tokens: Amount | None = None
    output_tokens: Amount | None = None
    cache_read_tokens: Amount | None = None
    cache_write_tokens: Amount | None = None
    reasoning_tokens: Amount | None = None
    input_audio_tokens: Amount | None = None
    output_audio_tokens: Amount | None = None
    cost_usd: Amount | None = None
    seconds: Amount | None = None
    first_token_seconds: Amount | None = None
    kind: Literal["call", "agent_run"] = "call"


class Record(msgspec.Struct, frozen=True):
    """One query with the scores and usages of the models that answered it.

    Attributes:
        index: Name of the record, unique within its dataset.
        dataset: Name of the dataset.
        query: What the user asked.
        records: Score in [0, 1] or bool by model. ``None``: the model was asked and failed, which scores 0.
        usages: Usage by model, if known.
        weights: How many answers each answer counts as, by model. Default: 1.
        source: Who graded the answers. Scores of one source are on one scale. Default: the dataset.
    """

    index: str | int
    dataset: str
    query: str
    records: dict[str, Score | bool | None]
    usages: dict[str, Usage | None] = {}
    weights: dict[str, Weight] = {}
    source: str | None = None
