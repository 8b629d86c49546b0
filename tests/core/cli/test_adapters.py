"""Adapters of frameworks are found by entry points. Without the framework, the error says which extra installs it."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pytest
from avengers_core import MissingExtraError
from avengers_core.cli import adapters


def declared() -> dict[str, str]:
    return {point.name: point.value for point in entry_points(group=adapters.GROUP)}


def test_both_frameworks_are_declared() -> None:
    """They are read from the installed package: after a change of pyproject.toml it must be installed again."""
    assert {"langchain", "llamaindex"} <= set(declared())


@pytest.mark.parametrize(
    ("name", "functions"),
    [
        ("langchain", {"price_id", "model_under_test", "serve"}),
        ("llamaindex", {"price_id", "model_under_test"}),
    ],
)
def test_an_adapter_has_what_the_commands_need(name: str, functions: set[str]) -> None:
    adapter = adapters.load_adapter(name, "a test", "x")
    assert all(callable(getattr(adapter, function)) for function in functions)
    assert adapter.price_id("openai:gpt-4o") == "openai:gpt-4o"


class Distribution:
    def __init__(self, name: str) -> None:
        self.name = name


def install(monkeypatch: pytest.MonkeyPatch, name: str, value: str, distribution: str = "avengers-router") -> None:
    point = EntryPoint(name, value, adapters.GROUP)
    vars(point)["dist"] = Distribution(distribution)
    monkeypatch.setattr(adapters, "entry_points", lambda group: [point] if group == adapters.GROUP else [])


def test_a_missing_framework_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "langchain", "no_such_framework.adapter")
    with pytest.raises(MissingExtraError, match=r"serving needs an extra: pip install 'avengers-router\[serve\]'"):
        adapters.load_adapter("langchain", "serving", "serve")


def test_another_packages_adapter_says_itself_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "haystack", "no_such_framework.adapter", "avengers-haystack")
    with pytest.raises(ModuleNotFoundError, match="no_such_framework") as caught:
        adapters.load_adapter("haystack", "serving", "serve")
    assert not isinstance(caught.value, MissingExtraError)


def test_another_packages_adapter_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "json", "json:JSONDecoder", "avengers-json")
    import json

    found: Any = adapters.load_adapter("json", "a test", "x")
    assert found is json.JSONDecoder
    with pytest.raises(ValueError, match="there is no adapter 'langchain'; installed are: json"):
        adapters.load_adapter("langchain", "serving", "serve")
