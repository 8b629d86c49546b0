"""Models that the catalogue knows: zero configuration, any id, efforts; real clients against a local server."""

from __future__ import annotations

from typing import Any

import pytest
from avengers_core.errors import NoCandidateError

from avengers_langchain import ChatAvengers
from tests.support.llm_server import LLMServer


@pytest.fixture
def openai_only(server: LLMServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
    for name in ("ANTHROPIC_API_KEY", "GOOGLE_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def told(answer: Any) -> dict[str, Any]:
    facts: dict[str, Any] = answer.response_metadata["avengers"]
    return facts


def test_without_models_todays_models_are_asked(openai_only: None, server: LLMServer) -> None:
    llm = ChatAvengers(alpha=0.4)
    assert all(name.startswith("openai/gpt-") for name in llm.dispatcher.pool.ids)
    assert llm.profile is not None
    assert llm.profile["tool_calling"]
    assert llm.profile["max_input_tokens"] > 200_000
    facts = told(llm.invoke("What is 17 * 23?"))
    assert facts["model"] in llm.dispatcher.pool.ids
    assert 0 < facts["cost_usd"] < 0.05
    assert list(server.asked) == [facts["model"].removeprefix("openai/")]


def test_a_second_key_brings_a_second_provider(openai_only: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-none")
    makers = {name.partition("/")[0] for name in ChatAvengers().dispatcher.pool.ids}
    assert makers == {"openai", "anthropic"}


def test_without_any_key_the_call_says_what_is_missing(openai_only: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    llm = ChatAvengers(alpha=0.4)
    with pytest.warns(UserWarning, match="cannot be made"), pytest.raises(NoCandidateError, match="OPENAI_API_KEY"):
        llm.invoke("hi")


def test_models_that_the_artifact_never_saw(openai_only: None, server: LLMServer) -> None:
    llm = ChatAvengers(models=["gpt-5-mini", "gpt-5.1"], alpha=1)
    assert told(llm.invoke("Prove that there are infinitely many primes."))["model"] in ("gpt-5-mini", "gpt-5.1")
    mine = ChatAvengers(models={"fast": "openai:gpt-5-nano", "deep": "openai:gpt-5.5"}, alpha=1)
    assert told(mine.invoke("Prove that there are infinitely many primes."))["model"] == "deep"
    decision = mine.router.route("Prove it.", alpha=1)
    assert decision.expected_cost > decision.costs[decision.candidates.index("fast")]


@pytest.mark.parametrize(("model", "effort"), [("gpt-5.2@low", "low"), ("openai:gpt-5.2@high", "high")])
def test_an_effort_reaches_the_provider(openai_only: None, server: LLMServer, model: str, effort: str) -> None:
    told(ChatAvengers(models=[model]).invoke("hi"))
    body = server.requests[-1]["body"]
    assert body["model"] == "gpt-5.2"
    assert effort in (body.get("reasoning_effort"), (body.get("reasoning") or {}).get("effort"))


def test_thinking_reaches_anthropic(server: LLMServer) -> None:
    llm = ChatAvengers(
        models=["claude-sonnet-4-6@thinking"], init_kwargs={"base_url": server.url, "api_key": "sk-none"}
    )
    llm.invoke("hi")
    body = server.requests[-1]["body"]
    assert body["thinking"]["type"] in ("adaptive", "enabled")
    assert body["model"] == "claude-sonnet-4-6"
    assert "temperature" not in body


def test_all_efforts_of_a_model(openai_only: None) -> None:
    llm = ChatAvengers(models=["gpt-5.2"], efforts=True)
    ids = llm.dispatcher.pool.ids
    assert ids[0] == "gpt-5.2"
    assert {"gpt-5.2@low", "gpt-5.2@high"} < set(ids)
    decision = llm.router.route("Prove it.", models=["gpt-5.2@low", "gpt-5.2@high"], alpha=1)
    assert decision.model == "gpt-5.2@high"
