"""Which models can be called, from made-up environments."""

from __future__ import annotations

import logging

import pytest
from avengers_core.catalog import available, available_models, default_catalog
from avengers_core.catalog.available import default_models, find_call, with_efforts

OPENAI, ANTHROPIC = {"OPENAI_API_KEY": "x"}, {"ANTHROPIC_API_KEY": "y"}


@pytest.mark.parametrize("framework", ["langchain", "llamaindex"])
def test_models_of_providers_with_a_key(framework: available.Framework) -> None:
    one = available_models(framework, environ=OPENAI)
    assert one.ids
    assert all(name.startswith("openai/") for name in one.ids)
    assert one.reasons["anthropic"] == "set ANTHROPIC_API_KEY"
    both = available_models(framework, environ=OPENAI | ANTHROPIC, limit=2)
    assert [name.partition("/")[0] for name in both.ids] == ["openai", "openai", "anthropic", "anthropic"]
    assert all(entry.chat and entry.status == "current" for entry in both.models)
    assert not available_models(framework, environ={}).ids


def test_an_integration_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(available.importlib.util, "find_spec", lambda name: None)
    found = available_models("langchain", environ=OPENAI)
    assert not found.ids
    assert found.reasons["openai"] == "pip install langchain-openai"


def test_a_host_of_many_makers_is_the_last_resort(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(available, "_installed", lambda module: True)
    host = available_models("langchain", environ={"OPENROUTER_API_KEY": "z"}, limit=3)
    assert len(host.ids) == 3
    assert all(name.startswith("openrouter/") for name in host.ids)
    assert all(default_catalog().resolve(name).host == "openrouter" for name in host.ids)
    assert available_models("langchain", environ={"OPENROUTER_API_KEY": "z", **OPENAI}).ids[0].startswith("openai/")


def test_the_list_is_told_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    available._tell_once.cache_clear()
    caplog.set_level(logging.INFO, "avengers")
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    names = default_models("langchain")
    default_models("langchain")
    assert [record.getMessage().startswith("routing among openai/") for record in caplog.records] == [True]
    monkeypatch.delenv("OPENAI_API_KEY")
    assert set(names) < set(default_models("langchain")), "without any key, all that are installed"


def test_a_call_has_the_hosts_name_and_the_efforts_arguments() -> None:
    found = find_call("gpt-5.2@low", "langchain", {"api_key": "x"})
    assert found is not None
    assert (found.name, found.integration.name, found.arguments) == ("gpt-5.2", "openai", {"reasoning_effort": "low"})
    hosted = find_call("openrouter/z-ai/glm-5", "langchain", {"api_key": "x"})
    assert hosted is not None
    assert (hosted.provider.id, hosted.name) == ("openrouter", "z-ai/glm-5")
    assert find_call("nobody-knows-this", "langchain", {}) is None


def test_a_missing_key_is_named_unless_the_model_is_reached_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(KeyError, match="ANTHROPIC_API_KEY is not set"):
        find_call("claude-opus-4-5", "langchain", {"api_key": None})
    for argument in ("api_key", "anthropic_api_key", "base_url"):
        assert find_call("claude-opus-4-5", "langchain", {argument: "x"}) is not None


def test_models_at_each_effort() -> None:
    names = with_efforts(["gpt-5.2", "gpt-5.1@low", "nobody-knows-this"])
    assert names[0] == "gpt-5.2"
    assert {"gpt-5.2@low", "gpt-5.2@high"} < set(names)
    assert names[-2:] == ["gpt-5.1@low", "nobody-knows-this"]
