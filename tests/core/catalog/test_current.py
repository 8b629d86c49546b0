"""A sensible few models of each provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from avengers_core.catalog import Catalog, CatalogEntry, PublishedScore, default_catalog, find_provider, providers
from avengers_core.catalog.current import few_models
from avengers_core.pricing import Price


@pytest.mark.parametrize(
    ("provider", "some", "none"),
    [
        (
            "openai",
            {"openai/gpt-6.1-sol", "openai/gpt-6-luna"},
            {"openai/gpt-4o", "openai/gpt-5.5-pro", "openai/gpt-4.1"},
        ),
        ("anthropic", {"anthropic/claude-haiku-5-5", "anthropic/claude-opus-5-5"}, {"anthropic/claude-opus-4-1"}),
        (
            "google",
            {"google/gemini-3.8-flash", "google/gemini-4-argon"},
            {"google/gemini-2.0-flash", "google/gemma-4-31b-it"},
        ),
        ("x-ai", {"x-ai/grok-4.7"}, {"x-ai/grok-4", "x-ai/grok-4.20-multi-agent-0309"}),
        ("mistralai", {"mistralai/mistral-large-4"}, {"mistralai/codestral-2508", "mistralai/mistral-large-2411"}),
        ("deepseek", {"deepseek/deepseek-v4.1-flash"}, {"deepseek/deepseek-r1"}),
    ],
)
def test_of_a_provider(provider: str, some: set[str], none: set[str]) -> None:
    found = [entry.id for entry in default_catalog().current_models(provider)]
    assert 1 < len(found) <= 5
    assert some <= set(found)
    assert not none & {default.id for default in default_catalog().current_models(provider, limit=99)}


def test_all_can_be_asked_and_paid() -> None:
    catalog = default_catalog()
    for provider in ("openai", "anthropic", "google", "x-ai", "mistralai", "openrouter"):
        found = catalog.current_models(provider)
        prices = [catalog.price(entry.id) for entry in found]
        blends = [3 * price.input + price.output for price in prices if price]
        assert len(blends) == len(found)
        assert blends == sorted(blends)
        for entry in found:
            assert entry.chat
            assert entry.status in ("current", "hosted")
            assert catalog.capabilities(entry.id)["tools"] is True, entry.id


def test_names_of_providers_and_limits() -> None:
    catalog = default_catalog()
    assert catalog.current_models("google_genai") == catalog.current_models("google")
    assert len(catalog.current_models("openai", limit=2)) == 2
    assert catalog.current_models("nobody") == ()
    assert catalog.current_models("meta-llama") == ()


def test_a_successor_that_only_genai_prices_knows_is_among_them() -> None:
    gone = {"openai/gpt-6.1-sol", "openai/gpt-6-sol", "anthropic/claude-haiku-5-5"}
    catalog = Catalog(entry for entry in Catalog().entries() if entry.id not in gone)
    found = {entry.id for name in ("openai", "anthropic") for entry in catalog.current_models(name)}
    assert gone - {"openai/gpt-6-sol"} <= found


def _few(
    models: Mapping[str, tuple[float, float, str]],
    scores: Mapping[str, Sequence[float]],
    predecessor: Mapping[str, str] | None = None,
    limit: int = 9,
) -> list[str]:
    entries = [CatalogEntry(id=f"m/{name}", release=release) for name, (_, _, release) in models.items()]
    prices = {f"m/{name}": Price(cost, output) for name, (cost, output, _) in models.items()}
    published = {
        f"m/{name}": [PublishedScore(f"m/{name}", "", f"b{number}", value) for number, value in enumerate(values)]
        for name, values in scores.items()
    }
    before = {f"m/{later}": f"m/{earlier}" for later, earlier in (predecessor or {}).items()}
    found = few_models(entries, lambda entry: prices.get(entry.id), published, before, limit)
    return [entry.id.removeprefix("m/") for entry in found]


def test_a_cheaper_and_better_model_beats() -> None:
    models = {"a": (1.0, 4.0, "2026-01"), "b": (2.0, 8.0, "2026-01"), "c": (3.0, 9.0, "2026-01")}
    assert _few(models, {"a": (0.5, 0.5, 0.5), "b": (0.4, 0.4, 0.6), "c": (0.9, 0.9, 0.9)}) == ["a", "c"]


def test_without_common_scores_none_beats() -> None:
    models = {"a": (1.0, 4.0, "2026-01"), "b": (2.0, 8.0, "2026-01")}
    assert _few(models, {"a": (0.9, 0.9), "b": (0.1, 0.1)}) == ["a", "b"]


def test_a_successor_that_is_not_dearer_beats_without_scores() -> None:
    models = {"old": (1.0, 4.0, "2025-01"), "new": (1.0, 4.0, "2026-01"), "dear": (2.0, 8.0, "2026-02")}
    assert _few(models, {}, {"new": "old", "dear": "new"}) == ["new", "dear"]


def test_scores_of_its_own_count_before_the_order_of_a_tier() -> None:
    models = {"old": (1.0, 4.0, "2025-01"), "new": (1.0, 3.0, "2026-01")}
    assert _few(models, {"old": (0.9, 0.8, 0.7), "new": (0.5, 0.5, 0.5)}, {"new": "old"}) == ["new", "old"]


def test_a_new_model_is_as_good_as_its_predecessor() -> None:
    models = {"new": (1.0, 3.0, "2026-01"), "other": (2.0, 8.0, "2025-06")}
    scores = {"old": (0.9, 0.9, 0.9), "other": (0.5, 0.5, 0.5)}
    assert _few(models, scores, {"new": "old"}) == ["new"]


def test_of_two_equals_the_newer_stays() -> None:
    models = {"a": (1.0, 4.0, "2026-01"), "b": (1.0, 4.0, "2026-03")}
    assert _few(models, {"a": (0.5, 0.4, 0.5), "b": (0.5, 0.4, 0.5), "c": (0.1, 0.2, 0.3)}) == ["b"]


def test_too_many_are_thinned_where_they_are_closest_in_price() -> None:
    models = {
        "a": (0.1, 0.4, "2026-01"),
        "b": (1.0, 4.0, "2026-01"),
        "c": (1.1, 4.4, "2026-03"),
        "d": (9.0, 36.0, "2026-01"),
    }
    assert _few(models, {}, limit=3) == ["a", "c", "d"]


def test_the_very_dear_and_those_without_a_price_are_left_out() -> None:
    assert _few({"a": (1.0, 4.0, "2026-01"), "pro": (30.0, 180.0, "2026-01")}, {}) == ["a"]


def test_providers() -> None:
    openai = find_provider("azure_openai"), find_provider("OpenAI")
    assert [one.id for one in openai if one] == ["azure", "openai"]
    google = find_provider("gemini")
    assert google is not None
    assert google.keys == ("GOOGLE_API_KEY", "GEMINI_API_KEY")
    assert google.langchain is not None
    assert (google.langchain.package, google.langchain.module, google.langchain.name) == (
        "langchain-google-genai",
        "langchain_google_genai",
        "google_genai",
    )
    assert find_provider("no-such-provider") is None
    names = [name for one in providers() for name in (one.id, *one.names)]
    assert len(names) == len(set(names))


def test_the_integrations_are_langchains_own_names() -> None:
    base = pytest.importorskip("langchain.chat_models.base")
    for one in providers():
        if one.langchain:
            module = base._BUILTIN_PROVIDERS[one.langchain.name][0]
            assert module.split(".")[0] == one.langchain.module
