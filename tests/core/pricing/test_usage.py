from __future__ import annotations

import pytest
from avengers_core.pricing.types import TokenUsage
from avengers_core.pricing.usage import read_usage

OPENAI = {
    "prompt_tokens": 100,
    "completion_tokens": 50,
    "prompt_tokens_details": {"cached_tokens": 20, "audio_tokens": 5},
    "completion_tokens_details": {"reasoning_tokens": 7, "audio_tokens": 3},
}
ANTHROPIC = {
    "input_tokens": 100,
    "output_tokens": 50,
    "cache_read_input_tokens": 30,
    "cache_creation_input_tokens": 10,
    "cache_creation": {"ephemeral_1h_input_tokens": 4, "ephemeral_5m_input_tokens": 6},
}


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        (
            OPENAI,
            TokenUsage(
                input_tokens=100,
                output_tokens=50,
                cache_read_tokens=20,
                input_audio_tokens=5,
                output_audio_tokens=3,
                reasoning_tokens=7,
            ),
        ),
        (
            {"input_tokens": 9, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 2}},
            TokenUsage(input_tokens=9, output_tokens=5, cache_read_tokens=2),
        ),
        (
            ANTHROPIC,
            TokenUsage(
                input_tokens=140, output_tokens=50, cache_read_tokens=30, cache_write_tokens=10, cache_write_1h_tokens=4
            ),
        ),
        (
            {"input_tokens": 7, "output_tokens": 3, "cache_read_input_tokens": None},
            TokenUsage(input_tokens=7, output_tokens=3),
        ),
        (
            {"promptTokenCount": 100, "candidatesTokenCount": 40, "thoughtsTokenCount": 5},
            TokenUsage(input_tokens=100, output_tokens=45, reasoning_tokens=5),
        ),
        ({"prompt_token_count": 100, "candidates_token_count": 40}, TokenUsage(input_tokens=100, output_tokens=40)),
        ({"inputTokens": 8, "outputTokens": 4}, TokenUsage(input_tokens=8, output_tokens=4)),
        ({}, None),
        (None, None),
        ({"words": 3}, None),
        ({"prompt_tokens": "many"}, None),
    ],
)
def test_every_providers_usage(reported: dict[str, object] | None, expected: TokenUsage | None) -> None:
    assert read_usage(reported) == expected


def test_usages_add_up() -> None:
    total = TokenUsage(input_tokens=1, cache_read_tokens=1) + TokenUsage(input_tokens=2, output_tokens=3)
    assert total == TokenUsage(input_tokens=3, output_tokens=3, cache_read_tokens=1)
