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
        (OPENAI, TokenUsage(input=100, output=50, cache_read=20, input_audio=5, output_audio=3, reasoning=7)),
        (
            {"input_tokens": 9, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 2}},
            TokenUsage(input=9, output=5, cache_read=2),
        ),
        (ANTHROPIC, TokenUsage(input=140, output=50, cache_read=30, cache_write=10, cache_write_1h=4)),
        ({"input_tokens": 7, "output_tokens": 3, "cache_read_input_tokens": None}, TokenUsage(input=7, output=3)),
        (
            {"promptTokenCount": 100, "candidatesTokenCount": 40, "thoughtsTokenCount": 5},
            TokenUsage(input=100, output=45, reasoning=5),
        ),
        ({"prompt_token_count": 100, "candidates_token_count": 40}, TokenUsage(input=100, output=40)),
        ({"inputTokens": 8, "outputTokens": 4}, TokenUsage(input=8, output=4)),
        ({}, None),
        (None, None),
        ({"words": 3}, None),
        ({"prompt_tokens": "many"}, None),
    ],
)
def test_every_providers_usage(reported: dict[str, object] | None, expected: TokenUsage | None) -> None:
    assert read_usage(reported) == expected


def test_usages_add_up() -> None:
    total = TokenUsage(input=1, cache_read=1) + TokenUsage(input=2, output=3)
    assert total == TokenUsage(input=3, output=3, cache_read=1)
