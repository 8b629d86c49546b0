"""Arguments for an effort: what they are, and that the integrations send them."""

from __future__ import annotations

from typing import Any

import pytest
from avengers_core.catalog import default_catalog
from avengers_core.errors import UnknownModelError

CATALOG = default_catalog()


@pytest.mark.parametrize(
    ("model", "effort", "langchain", "llamaindex"),
    [
        (
            "gpt-5.2",
            "xhigh",
            {"reasoning_effort": "xhigh"},
            {"additional_kwargs": {"reasoning_effort": "xhigh"}, "temperature": 1.0},
        ),
        (
            "claude-sonnet-4-5",
            "thinking",
            {"thinking": {"type": "enabled", "budget_tokens": 16000}, "max_tokens": 32000},
            {"thinking_dict": {"type": "enabled", "budget_tokens": 16000}, "max_tokens": 32000, "temperature": 1.0},
        ),
        (
            "claude-haiku-4-5",
            "thinking-32k",
            {"thinking": {"type": "enabled", "budget_tokens": 32000}, "max_tokens": 48000},
            {"thinking_dict": {"type": "enabled", "budget_tokens": 32000}, "max_tokens": 48000, "temperature": 1.0},
        ),
        ("claude-sonnet-4-5", "none", {}, {}),
        (
            "claude-opus-4-5",
            "low",
            {"effort": "low"},
            {"additional_kwargs": {"output_config": {"effort": "low"}}, "max_tokens": 32000},
        ),
        (
            "claude-sonnet-4-6",
            "high",
            {"thinking": {"type": "adaptive"}, "effort": "high"},
            {
                "thinking_dict": {"type": "adaptive"},
                "temperature": 1.0,
                "max_tokens": 32000,
                "additional_kwargs": {"output_config": {"effort": "high"}},
            },
        ),
        (
            "claude-opus-5-5",
            "max",
            {"effort": "max"},
            {"additional_kwargs": {"output_config": {"effort": "max"}}, "max_tokens": 32000},
        ),
        ("claude-opus-5", "none", {"thinking": {"type": "disabled"}}, {"thinking_dict": {"type": "disabled"}}),
        (
            "gemini-2.5-flash",
            "none",
            {"thinking_budget": 0},
            {"generation_config": {"thinking_config": {"thinking_budget": 0}}},
        ),
        (
            "gemini-2.5-pro",
            "thinking-8k",
            {"thinking_budget": 8192},
            {"generation_config": {"thinking_config": {"thinking_budget": 8192}}},
        ),
        (
            "gemini-3.8-flash",
            "low",
            {"thinking_level": "low"},
            {"generation_config": {"thinking_config": {"thinking_level": "low"}}},
        ),
        ("grok-4-fast", "none", {"model": "grok-4-fast-non-reasoning"}, {"model": "grok-4-fast-non-reasoning"}),
        (
            "grok-4.3",
            "high",
            {"extra_body": {"reasoning_effort": "high"}},
            {"additional_kwargs": {"reasoning_effort": "high"}},
        ),
        (
            "deepseek-v4-pro",
            "max",
            {"extra_body": {"thinking": {"type": "enabled"}, "reasoning_effort": "max"}},
            {"additional_kwargs": {"extra_body": {"thinking": {"type": "enabled"}, "reasoning_effort": "max"}}},
        ),
        (
            "mistral-medium-3.5",
            "high",
            {"model_kwargs": {"reasoning_effort": "high"}},
            {"additional_kwargs": {"reasoning_effort": "high"}},
        ),
        (
            "openrouter/z-ai/glm-5",
            "thinking",
            {"reasoning": {"enabled": True}},
            {"additional_kwargs": {"extra_body": {"reasoning": {"enabled": True}}}},
        ),
        (
            "openrouter/openai/gpt-5.2",
            "low",
            {"reasoning": {"effort": "low"}},
            {"additional_kwargs": {"extra_body": {"reasoning": {"effort": "low"}}}},
        ),
        (
            "groq/openai/gpt-oss-120b",
            "low",
            {"reasoning_effort": "low"},
            {"additional_kwargs": {"reasoning_effort": "low"}},
        ),
        (
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "thinking",
            {
                "additional_model_request_fields": {"thinking": {"type": "enabled", "budget_tokens": 16000}},
                "max_tokens": 32000,
            },
            {"thinking": {"type": "enabled", "budget_tokens": 16000}, "max_tokens": 32000},
        ),
    ],
)
def test_arguments(model: str, effort: str, langchain: dict[str, Any], llamaindex: dict[str, Any]) -> None:
    assert CATALOG.effort_arguments(model, effort, "langchain") == langchain
    assert CATALOG.effort_arguments(model, effort, "llamaindex") == llamaindex


def test_every_effort_of_every_model_has_arguments() -> None:
    for entry in CATALOG.entries():
        for effort in entry.efforts:
            for framework in ("langchain", "llamaindex"):
                assert isinstance(CATALOG.effort_arguments(entry.id, effort, framework), dict)
        assert entry.default_effort in ("", *entry.efforts)
        assert CATALOG.effort_arguments(entry.id, "", "langchain") == {}


def test_thinking_tokens_stay_below_the_output_limit() -> None:
    arguments = CATALOG.effort_arguments("claude-opus-4-1", "thinking-64k", "langchain")
    assert arguments["thinking"]["budget_tokens"] < arguments["max_tokens"] <= 32_000


def test_what_a_model_does_not_take_is_an_error() -> None:
    with pytest.raises(ValueError, match="does not take the effort 'minimal'; its efforts: none, low"):
        CATALOG.effort_arguments("gpt-5.2", "minimal", "langchain")
    with pytest.raises(ValueError, match="its efforts: none that is known"):
        CATALOG.effort_arguments("gpt-4.1", "high", "langchain")
    with pytest.raises(ValueError, match="does not take the effort 'thinking-16k'"):
        CATALOG.effort_arguments("claude-opus-5", "thinking-16k", "langchain")
    with pytest.raises(ValueError, match="'haystack' is unknown"):
        CATALOG.effort_arguments("gpt-5.2", "low", "haystack")  # type: ignore[arg-type]
    with pytest.raises(UnknownModelError):
        CATALOG.effort_arguments("gpt-77", "low", "langchain")


@pytest.mark.parametrize(
    ("model", "efforts"),
    [
        ("gpt-5", ("minimal", "low", "medium", "high")),
        ("gpt-5.2", ("none", "low", "medium", "high", "xhigh")),
        ("gpt-6.1-sol", ("low", "medium", "high", "xhigh", "max")),
        ("gpt-5-pro", ("high",)),
        ("gpt-4.1", ()),
        ("gpt-5-chat-latest", ()),
        ("claude-opus-4-7", ("none", "low", "medium", "high", "xhigh", "max", "thinking")),
        ("claude-3-5-sonnet", ()),
        ("gemini-3.1-pro-preview", ("low", "medium", "high")),
        ("qwen3-235b-a22b-instruct-2507", ()),
        ("qwen3-32b", ("none", "thinking")),
    ],
)
def test_efforts(model: str, efforts: tuple[str, ...]) -> None:
    assert CATALOG.efforts(model) == efforts


@pytest.mark.parametrize("effort", ["none", "low", "xhigh"])
def test_langchain_openai_sends_it(effort: str) -> None:
    openai = pytest.importorskip("langchain_openai")
    client = openai.ChatOpenAI(model="gpt-5.2", api_key="x", **CATALOG.effort_arguments("gpt-5.2", effort, "langchain"))
    assert client._get_request_payload("hello")["reasoning_effort"] == effort


@pytest.mark.parametrize(
    ("model", "effort", "sent"),
    [
        (
            "claude-sonnet-4-5",
            "thinking-8k",
            {"thinking": {"type": "enabled", "budget_tokens": 8000}, "max_tokens": 24000},
        ),
        ("claude-opus-4-5", "medium", {"output_config": {"effort": "medium"}}),
        ("claude-sonnet-4-6", "max", {"output_config": {"effort": "max"}, "thinking": {"type": "adaptive"}}),
        ("claude-opus-5-5", "xhigh", {"output_config": {"effort": "xhigh"}}),
        ("claude-opus-5", "none", {"thinking": {"type": "disabled"}}),
    ],
)
def test_langchain_anthropic_sends_it(model: str, effort: str, sent: dict[str, Any]) -> None:
    anthropic = pytest.importorskip("langchain_anthropic")
    client = anthropic.ChatAnthropic(model=model, api_key="x", **CATALOG.effort_arguments(model, effort, "langchain"))
    payload = client._get_request_payload("hello")
    assert {name: payload.get(name) for name in sent} == sent


@pytest.mark.parametrize(("model", "effort"), [("gpt-5.2", "low"), ("gpt-6.1-terra", "high"), ("gpt-6-luna", "max")])
def test_llamaindex_openai_sends_it(model: str, effort: str) -> None:
    openai = pytest.importorskip("llama_index.llms.openai")
    client = openai.OpenAI(model=model, api_key="x", **CATALOG.effort_arguments(model, effort, "llamaindex"))
    sent = client._get_model_kwargs()
    assert sent["reasoning_effort"] == effort
    assert sent.get("temperature", 1.0) == 1.0


@pytest.mark.parametrize(
    ("model", "effort", "sent"),
    [
        ("claude-sonnet-4-5", "thinking", {"thinking": {"type": "enabled", "budget_tokens": 16000}, "temperature": 1}),
        (
            "claude-sonnet-4-6",
            "low",
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}, "temperature": 1},
        ),
        ("claude-opus-5-5", "high", {"output_config": {"effort": "high"}}),
    ],
)
def test_llamaindex_anthropic_sends_it(model: str, effort: str, sent: dict[str, Any]) -> None:
    anthropic = pytest.importorskip("llama_index.llms.anthropic")
    client = anthropic.Anthropic(model=model, api_key="x", **CATALOG.effort_arguments(model, effort, "llamaindex"))
    payload = client._get_all_kwargs()
    assert {name: payload.get(name) for name in sent} == sent
    assert payload["max_tokens"] > payload.get("thinking", {}).get("budget_tokens", 512)
