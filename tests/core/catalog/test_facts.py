"""Prices, capabilities, predecessors and published scores of the shipped table."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal

import pytest
from avengers_core.catalog import Catalog, CatalogEntry, default_catalog
from avengers_core.catalog.lineage import is_chat_name, lineage_of
from avengers_core.pricing import PriceSchedule, TokenUsage, lookup_price

CATALOG = default_catalog()


def test_prices_are_positive_and_plausible() -> None:
    prices = {entry.id: price for entry in CATALOG.entries() if (price := CATALOG.price(entry.id))}
    assert len(prices) > 350
    for id_, price in prices.items():
        assert 0.005 <= price.input <= 200, id_
        assert price.input <= price.output <= 15 * price.input, id_
        assert price.source, id_
        assert price.date, id_


def test_a_price_id_means_the_price() -> None:
    counted = 0
    for entry in CATALOG.entries():
        price, price_id = CATALOG.price(entry.id), CATALOG.price_id(entry.id)
        # Perplexity takes a sum for each request, too; DeepSeek's prices depend on the hour
        if price_id and price and not price_id.startswith(("perplexity:", "deepseek:")):
            found = lookup_price(price_id)
            assert found is not None
            assert (found.input, found.output) == pytest.approx((price.input, price.output)), entry.id
            counted += 1
    assert counted > 350
    assert PriceSchedule(CATALOG.price_id("openai:gpt-5.2")).cost(TokenUsage(input_tokens=1_000_000)) == Decimal("1.75")


@pytest.mark.parametrize(
    ("model", "source"),
    [
        ("global.anthropic.claude-sonnet-4-6", "aws"),
        ("vertex_ai/claude-sonnet-4-5@20250929", "google"),
        ("together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo", "together"),
        ("azure/my-gpt-5-mini", "openai"),
        ("deepseek-r1", "openrouter"),
        ("deepseek/deepseek-chat-v3-0324", "openrouter"),
        ("deepseek-r1-distill-llama-70b", "openrouter"),
        ("mistral-medium-3", "mistral"),
        ("gpt-5.2", "openai"),
        ("claude-opus-4.5", "anthropic"),
        ("groq:openai/gpt-oss-120b", "groq"),
        ("us.anthropic.claude-sonnet-4-6", "aws"),
        ("qwen/qwen3-32b", "openrouter"),
    ],
)
def test_whose_price(model: str, source: str) -> None:
    price = CATALOG.price(model)
    assert price is not None
    assert price.source.endswith(f"({source})")


def test_a_region_of_bedrock_has_its_own_price() -> None:
    everywhere, regional = (
        CATALOG.price("global.anthropic.claude-sonnet-4-6"),
        CATALOG.price("us.anthropic.claude-sonnet-4-6"),
    )
    assert everywhere is not None
    assert regional is not None
    assert regional.input == pytest.approx(1.1 * everywhere.input)
    price_id = CATALOG.price_id("us.anthropic.claude-sonnet-4-6")
    assert lookup_price(price_id) is not None
    assert price_id.startswith("aws:")


def test_loose_rules_give_no_price() -> None:
    """genai-prices has ^deepseek-r1 for deepseek-reasoner and ^deepseek-chat for all chat models."""
    prices = {
        name: CATALOG.price(name) for name in ("deepseek-reasoner", "deepseek-r1", "deepseek-r1-distill-llama-70b")
    }
    assert all(prices.values())
    assert len({(price.input, price.output) for price in prices.values() if price}) == 3
    assert CATALOG.price("deepseek-r1-distill-llama-70b") == CATALOG.price(
        "openrouter/deepseek/deepseek-r1-distill-llama-70b"
    )
    assert CATALOG.price("deepseek-v2.5") is None
    assert CATALOG.price("deepseek-vl2") is None
    medium = CATALOG.price("mistral-medium-3")
    assert medium is not None
    assert (medium.input, medium.output) == (0.4, 2.0)


def test_a_list_price_where_genai_prices_has_none() -> None:
    price = CATALOG.price("x-ai/grok-4.1")
    assert price is not None
    assert (price.input, price.output, price.source) == (2.0, 10.0, "models.dev")
    assert CATALOG.price_id("x-ai/grok-4.1") == ""


def test_a_free_model_has_no_price() -> None:
    assert CATALOG.price("openrouter/owl-alpha") is None


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            "gpt-5.2",
            {"tools": True, "structured_output": True, "images": True, "reasoning": True, "max_input_tokens": 272_000},
        ),
        (
            "claude-haiku-5-5",
            {"tools": True, "images": True, "max_input_tokens": 1_000_000, "max_output_tokens": 128_000},
        ),
        ("gemini-3.8-flash", {"tools": True, "audio": True, "video": True, "max_input_tokens": 1_048_576}),
        ("qwen/qwen3-32b", {"tools": True}),
        ("gpt-3.5-turbo", {"tools": False, "images": False, "max_input_tokens": 16_385}),
        ("openai/gpt-5.3-codex", {"tools": True, "max_output_tokens": 128_000}),
    ],
)
def test_capabilities(model: str, expected: dict[str, object]) -> None:
    found = CATALOG.capabilities(model)
    assert {name: found.get(name) for name in expected} == expected


def test_an_installed_profile_goes_before_the_table() -> None:
    wrong = [
        CatalogEntry(id="openai/gpt-5.2", capabilities={"max_input_tokens": 1, "tools": False}),
        CatalogEntry(id="nobody/model", capabilities={"max_input_tokens": 1}),
    ]
    catalog = Catalog(wrong)
    pytest.importorskip("langchain_openai")
    assert catalog.capabilities("gpt-5.2")["max_input_tokens"] == 272_000
    assert catalog.capabilities("gpt-5.2")["tools"] is True
    assert catalog.describe("gpt-5.2")["capability_sources"]["tools"] == "langchain-openai profile"
    assert catalog.capabilities("nobody/model") == {"max_input_tokens": 1}


@pytest.mark.parametrize(
    ("model", "predecessor"),
    [
        ("claude-haiku-5-5", "anthropic/claude-haiku-4-5"),
        ("claude-haiku-4-5", "anthropic/claude-3-5-haiku"),
        ("claude-opus-5", "anthropic/claude-opus-4-8"),
        ("claude-3-5-sonnet", "anthropic/claude-3-5-sonnet-20240620"),
        ("gpt-6.1-sol", "openai/gpt-6-sol"),
        ("gpt-5.6-sol", "openai/gpt-5.5"),
        ("gpt-5.6-luna", "openai/gpt-5.4-nano"),
        ("gpt-5.4-mini", "openai/gpt-5-mini"),
        ("gpt-5.2", "openai/gpt-5.1"),
        ("o3", "openai/o1"),
        ("gemini-4-argon", "google/gemini-3.1-pro-preview"),
        ("gemini-3.1-flash-lite", "google/gemini-2.5-flash-lite-preview-09-2025"),
        ("grok-4.3", "x-ai/grok-4.20"),
        ("mistral-large-4", "mistralai/mistral-large-2512"),
        ("mistral-large-2411", "mistralai/mistral-large-2407"),
        ("llama-3.3-70b-instruct", "meta-llama/llama-3.1-70b-instruct"),
        ("qwen3.8-max", "qwen/qwen3.7-max"),
        ("kimi-k2.6", "moonshotai/kimi-k2.5"),
        ("claude-fable-5", None),
        ("o1-preview", None),
    ],
)
def test_predecessor(model: str, predecessor: str | None) -> None:
    assert CATALOG.predecessor(model) == predecessor


def test_predecessors_are_older_and_no_chain_has_a_circle() -> None:
    for entry in CATALOG.entries():
        seen = [entry]
        while (before := CATALOG.predecessor(seen[-1].id)) is not None:
            older = CATALOG.entry(before)
            assert older not in seen
            assert older.provider == entry.provider
            assert older.family == entry.family
            if older.release and seen[-1].release:
                assert older.release <= seen[-1].release, (older.id, seen[-1].id)
            seen.append(older)


@pytest.mark.parametrize(
    ("name", "family", "tier", "version"),
    [
        ("claude-sonnet-4-5", "claude", "sonnet", (4, 5)),
        ("claude-3-7-sonnet", "claude", "sonnet", (3, 7)),
        ("gpt-5.4-mini", "gpt", "mini", (5, 4)),
        ("gpt-5.2-2025-12-11", "gpt", "standard", (5, 2)),
        ("o4-mini", "o", "mini", (4,)),
        ("gemini-2.5-flash-lite-preview-09-2025", "gemini", "flash-lite", (2, 5)),
        ("qwen3-235b-a22b-thinking-2507", "qwen", "thinking-over-150b", (3, 0)),
        ("llama-3.1-8b-instruct", "llama", "5b-20b", (3, 1)),
        ("mistral-small-24b-instruct-2501", "mistral", "small", (2501,)),
        ("grok-4.20", "grok", "standard", (4, 2)),
        ("command-r7b", "command", "r7b", ()),
        ("gpt-oss-120b", "gpt-oss", "60b-150b", ()),
    ],
)
def test_lineage(name: str, family: str, tier: str, version: tuple[int, ...]) -> None:
    found = lineage_of(name)
    assert (found.family, found.tier, found.version) == (family, tier, version)


def test_names_of_models_that_do_not_chat() -> None:
    for name in [
        "text-embedding-3-small",
        "gpt-image-2",
        "gpt-4o-audio-preview",
        "whisper-1",
        "gemini-3.8-live",
        "gpt-realtime-2",
    ]:
        assert not is_chat_name(name)
    for name in ["gpt-5.2", "claude-haiku-5-5", "gemini-3.1-flash-lite", "olive-7b", "deliver-1"]:
        assert is_chat_name(name)
    assert all(is_chat_name(entry.api_name) for entry in CATALOG.entries() if entry.status == "current")


def test_published_scores() -> None:
    scores = CATALOG.published_scores("openai:gpt-5.2")
    assert len(scores) > 100
    assert {score.model for score in scores} == {"openai/gpt-5.2"}
    assert {score.effort for score in scores} >= {"", "low", "medium", "high", "xhigh", "none"}
    high = CATALOG.published_scores("gpt-5.2@high")
    assert 0 < len(high) < len(scores)
    assert {score.effort for score in high} == {"high"}
    assert all(score.source and score.harness for score in scores)
    assert CATALOG.published_scores("claude-haiku-5-5") == ()


def test_all_published_scores_are_of_known_models() -> None:
    scores = CATALOG.published_scores()
    assert len(scores) > 7000
    assert {score.model for score in scores} <= {entry.id for entry in CATALOG.entries()}
    cells = [(one.model, one.effort, one.benchmark, one.harness, one.date, one.source) for one in scores]
    assert len(set(cells)) == len(cells)


def test_output_tokens_by_effort() -> None:
    tokens = CATALOG.output_tokens("gpt-5")
    assert tokens["low"] < tokens["medium"] < tokens["high"]
    assert CATALOG.output_tokens("gpt-4.1") == {}


def test_describe_is_plain_and_whole() -> None:
    found = CATALOG.describe("anthropic/claude-opus-4.5")
    assert found["id"] == "anthropic/claude-opus-4-5"
    assert found["provider"] == "anthropic"
    assert found["tier"] == "opus"
    assert found["price"]["input"] == 5.0
    assert found["price_id"] == "anthropic:claude-opus-4-5"
    assert found["predecessor"] == "anthropic/claude-opus-4-1"
    assert found["capabilities"]["tools"] is True
    assert set(found["capability_sources"]) == set(found["capabilities"])
    assert len(found["published_scores"]) > 50


def test_the_catalogue_imports_no_framework() -> None:
    code = (
        "import sys; from avengers_core.catalog import default_catalog as d; d().resolve('gpt-5.2'); "
        "d().capabilities('gpt-5.2'); d().published_scores('gpt-5.2'); "
        "print([m for m in ('langchain_core', 'langchain_openai', 'llama_index', 'genai_prices') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_new_model_can_do_what_its_predecessor_can() -> None:
    found = CATALOG.describe("claude-fable-5-2")
    assert found["capabilities"]["tools"] is True
    assert found["capability_sources"]["tools"] == "predecessor anthropic/claude-fable-5-1"
    assert found["capability_sources"]["max_input_tokens"] == "catalogue"
    assert "max_output_tokens" not in found["capabilities"]
