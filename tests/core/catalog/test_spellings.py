"""Every spelling of a model leads to one canonical id."""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from avengers_core.catalog import Catalog, ModelId, default_catalog, resolve
from avengers_core.catalog.listings import listings_of
from avengers_core.errors import AvengersError, UnknownModelError
from hypothesis import given
from hypothesis import strategies as st

SHARED = Path(__file__).resolve().parents[4].parent / "shared"
SHARED = SHARED if (SHARED / "published").is_dir() else Path("/work/shared")

#: Canonical ids, each followed by its spellings.
SPELLINGS = """
openai/gpt-5.2
    gpt-5.2 GPT-5.2 gpt-5-2 openai:gpt-5.2 openai/gpt-5.2 openrouter/openai/gpt-5.2 openrouter:openai/gpt-5.2
    azure/gpt-5.2 azure_openai:gpt-5.2 azure/gpt-52 azure/prod-gpt-5.2-eastus gpt-5.2-2025-12-11
    openai/gpt-5.2-2025-12-11 gpt-5.2-20251211 gpt-5.2-latest github_copilot/gpt-5.2 openai.gpt-5.2
    litellm_proxy/openai/gpt-5.2
openai/gpt-5-mini
    gpt-5-mini openai:gpt-5-mini-2025-08-07 azure/my-gpt-5-mini azure/gpt5-mini-prod
openai/gpt-4o
    gpt-4o gpt-4o-2024-08-06 openai/gpt-4o azure/gpt-4o azure:gpt4o
openai/gpt-4o-2024-05-13
    gpt-4o-2024-05-13 openai:gpt-4o-2024-05-13
openai/gpt-3.5-turbo
    gpt-3.5-turbo azure/gpt-35-turbo
openai/gpt-oss-120b
    gpt-oss-120b groq:openai/gpt-oss-120b groq/openai/gpt-oss-120b openai.gpt-oss-120b-1:0 cerebras/gpt-oss-120b
    openai/gpt-oss-120b:free bedrock/openai.gpt-oss-120b-1:0 vertex_ai/openai/gpt-oss-120b-maas
openai/gpt-6.1-sol
    gpt-6.1-sol openai:gpt-6.1-sol openrouter/openai/gpt-6.1-sol gpt-6.1-sol-2026-09-29
openai/o3
    o3 openai:o3 o3-2025-04-16
anthropic/claude-opus-4-5
    claude-opus-4-5 claude-opus-4.5 anthropic/claude-opus-4.5 anthropic:claude-opus-4-5
    openrouter/anthropic/claude-opus-4.5 claude-opus-4-5-20251101 claude-opus-4-5@20251101 claude-4.5-opus
    claude-4-5-opus publishers/anthropic/models/claude-opus-4-5@20251101
    bedrock/global.anthropic.claude-opus-4-5-20251101-v1:0
anthropic/claude-sonnet-4-5
    databricks-claude-sonnet-4-5 databricks/databricks-claude-sonnet-4-5
    us.anthropic.claude-sonnet-4-5-20250929-v1:0 anthropic.claude-sonnet-4-5-20250929-v1:0
    bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0
    bedrock_converse:anthropic.claude-sonnet-4-5-20250929-v1:0
    bedrock/us-east-1/anthropic.claude-sonnet-4-5-20250929-v1:0 claude-sonnet-4-5@20250929
    vertex_ai/claude-sonnet-4-5@20250929 claude-sonnet-4-5-latest github/claude-sonnet-4.5
    arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0
    projects/p/locations/us-east5/publishers/anthropic/models/claude-sonnet-4-5@20250929
anthropic/claude-haiku-4-5
    claude-haiku-4-5 claude-haiku-4-5-20251001 anthropic/claude-haiku-4.5 claude-4.5-haiku
anthropic/claude-opus-4-0
    claude-opus-4 claude-opus-4-20250514 claude-4-opus anthropic/claude-opus-4
anthropic/claude-3-5-sonnet
    claude-3-5-sonnet claude-3.5-sonnet claude-3-5-sonnet-20241022 claude-3-5-sonnet-latest
    anthropic.claude-3-5-sonnet-20241022-v2:0 anthropic/claude-3.5-sonnet
anthropic/claude-3-5-sonnet-20240620
    claude-3-5-sonnet-20240620 anthropic.claude-3-5-sonnet-20240620-v1:0
anthropic/claude-sonnet-4-6
    claude-sonnet-4-6 vertex_ai/claude-sonnet-4-6@default us.anthropic.claude-sonnet-4-6
google/gemini-3-pro-preview
    gemini-3-pro-preview models/gemini-3-pro-preview gemini/gemini-3-pro-preview gemini-3-pro
    google_genai:gemini-3-pro-preview google-genai/gemini-3-pro-preview google/gemini-3-pro-preview
    google_vertexai:gemini-3-pro-preview publishers/google/models/gemini-3-pro-preview
google/gemini-2.5-flash
    gemini/models/gemini-2.5-flash gemini-2.5-flash google:gemini-2.5-flash vertex_ai/gemini-2.5-flash
    models/gemini-2.5-flash
google/gemini-2.0-flash
    gemini-2.0-flash gemini-2.0-flash-001
google/gemini-2.5-pro-preview-03-25
    gemini-2.5-pro-preview-03-25 gemini-2.5-pro-exp-03-25
x-ai/grok-4
    grok-4 xai:grok-4 x-ai/grok-4 grok-4-0709 xai/grok-4-latest
x-ai/grok-4.1-fast
    grok-4.1-fast grok-4-1-fast x-ai/grok-4.1-fast
mistralai/mistral-medium-2505
    mistral-medium-2505 mistralai/mistral-medium-3 mistral:mistral-medium-2505 mistral-medium-3
mistralai/mistral-medium-2508
    mistral-medium-3.1 mistralai/mistral-medium-2508 openrouter/mistralai/mistral-medium-3.1
mistralai/mistral-large-2512
    mistral-large-2512 mistral-large-latest mistralai:mistral-large-latest
mistralai/mistral-small-2506
    mistral-small-3.2-24b-instruct mistral-small-2506 mistral/mistral-small-2506
deepseek/deepseek-v3
    deepseek-v3 deepseek/deepseek-chat-v3 deepseek-ai/DeepSeek-V3
deepseek/deepseek-v3-0324
    deepseek/deepseek-chat-v3-0324 deepseek-v3-0324 deepseek-ai/DeepSeek-V3-0324
deepseek/deepseek-v3.1
    deepseek/deepseek-chat-v3.1 deepseek-v3.1 together:deepseek-ai/DeepSeek-V3.1
deepseek/deepseek-r1
    deepseek-r1 deepseek/deepseek-r1 us.deepseek.r1-v1:0 deepseek-ai/DeepSeek-R1 fireworks_ai/deepseek-ai/deepseek-r1
deepseek/deepseek-r1-distill-llama-70b
    deepseek-r1-distill-llama-70b groq/deepseek-r1-distill-llama-70b
meta-llama/llama-3.3-70b-instruct
    meta-llama/llama-3.3-70b-instruct groq:llama-3.3-70b-versatile
    together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo meta.llama3-3-70b-instruct-v1:0 Llama-3.3-70B-Instruct
    huggingface/meta-llama/Llama-3.3-70B-Instruct us.meta.llama3-3-70b-instruct-v1:0
meta-llama/llama-4-maverick
    meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8 groq:meta-llama/llama-4-maverick-17b-128e-instruct
meta-llama/llama-3.1-70b-instruct
    nvidia_nim/meta/llama-3.1-70b-instruct llama-3.1-70b-instruct
qwen/qwen3-235b-a22b
    qwen3-235b-a22b qwen/qwen3-235b-a22b:free Qwen/Qwen3-235B-A22B alibaba/qwen3-235b-a22b
qwen/qwen3-coder-480b-a35b-instruct
    qwen/qwen3-coder qwen3-coder-480b-a35b-instruct
z-ai/glm-5.2
    glm-5.2 z-ai/glm-5.2 zai-org/GLM-5.2 accounts/fireworks/models/glm-5p2 zai:glm-5.2
moonshotai/kimi-k2-0905
    kimi-k2-0905-preview moonshotai/kimi-k2-0905 moonshot/kimi-k2-0905-preview
amazon/nova-pro-v1
    amazon.nova-pro-v1:0 us.amazon.nova-pro-v1:0 bedrock/amazon.nova-pro-v1:0 amazon/nova-pro-v1 nova-pro
cohere/command-a-03-2025
    command-a cohere/command-a command-a-03-2025 cohere:command-a-03-2025
"""


def _cases() -> Iterator[tuple[str, str]]:
    id_ = ""
    for line in SPELLINGS.splitlines():
        if line.startswith(" "):
            yield from ((spelling, id_) for spelling in line.split())
        else:
            id_ = line


WITH_EFFORT = {
    "openai/gpt-5.2:high": "openai/gpt-5.2@high",
    "gpt-5.2@low": "openai/gpt-5.2@low",
    "openrouter/openai/gpt-5.2@xhigh": "openai/gpt-5.2@xhigh",
    "gpt-5.2-2025-12-11@none": "openai/gpt-5.2@none",
    "o3-mini-high": "openai/o3-mini@high",
    "openrouter/openai/o4-mini-high": "openai/o4-mini@high",
    "claude-sonnet-4-6@thinking": "anthropic/claude-sonnet-4-6@thinking",
    "claude-sonnet-4-5@20250929@thinking-16k": "anthropic/claude-sonnet-4-5@thinking-16k",
    "anthropic/claude-3.7-sonnet:thinking": "anthropic/claude-3-7-sonnet@thinking",
    "grok-4-fast-non-reasoning": "x-ai/grok-4-fast@none",
    "xai:grok-4-1-fast-reasoning": "x-ai/grok-4.1-fast@thinking",
    "openai/gpt-5.2:default": "openai/gpt-5.2",
}

#: Ids of records and of published scores, so that the test needs no files.
IDS = """
    ai21/jamba-large-1.7 anthropic/claude-3-7-sonnet-20250219:thinking anthropic/claude-opus-5-fast
    amazon/nova-2-lite-v1 bytedance-seed/seed-2.0-mini deepseek/deepseek-v3.2-exp
    deepseek/deepseek-v3.2:thinking google/gemini-3.1-flash-lite-preview:none google/gemma-3-27b-it
    minimax/minimax-m2.5:high mistralai/mistral-medium-3.5:high moonshotai/kimi-k2-thinking-turbo
    openai/gpt-5.6-luna:xhigh openrouter/pony-alpha qwen/qwen3.5-plus-02-15 qwen/qwen3-8b:thinking
    stealth/ox-alpha nvidia/llama-3.3-nemotron-super-49b-v1:thinking rednote-hilab/dots.llm1.inst
    x-ai/grok-4.20-heavy xiaomi/mimo-v2-omni alpaca-13b athene-70b-0725 chatgpt-4o-latest-2025-03
    claude-3-7-sonnet@thinking-64k claude-opus-4-6@thinking-120k codestral-25.01 command-r-plus-08-2024
    deepseek-r1-0528 doubao-seed-2.0-pro gemini-2.5-flash-preview-04-17@thinking-8k gpt-6-astra@max
    grok-4-1-fast-non-reasoning hunyuan-standard@thinking-256k llama-3.1-nemotron-70b-instruct
    mixtral-8x7b-instruct-v0.1 nova-lite-v1 open-mistral-nemo phi-4 qwen-max-0919 qwen3.8-max@xhigh
    qwq-32b-preview yi-lightning nvidia-nemotron-3-ultra-550b-a55b longcat-flash-chat xiaomi-mimo-v2.5-pro
    step-3.7-flash@high glm-4-plus-0111
"""


@pytest.mark.parametrize(("spelling", "id_"), list(_cases()))
def test_spelling(spelling: str, id_: str) -> None:
    assert resolve(spelling).id == id_
    assert resolve(spelling).effort == ""


@pytest.mark.parametrize(("spelling", "model"), WITH_EFFORT.items())
def test_effort(spelling: str, model: str) -> None:
    assert str(resolve(spelling)) == model


@pytest.mark.parametrize("id_", IDS.split())
def test_ids_of_records_and_scores(id_: str) -> None:
    found = resolve(id_)
    assert "/" in found.id
    assert resolve(str(found)) == ModelId(found.id, found.effort, "", resolve(found.id).name)


def test_a_model_is_its_own_spelling_and_each_alias_means_it() -> None:
    catalog = default_catalog()
    for entry in catalog.entries():
        assert catalog.resolve(entry.id).id == entry.id
        for alias in entry.aliases:
            assert catalog.resolve(f"{entry.provider}/{alias}").id == entry.id


@given(
    st.sampled_from([one.id for one in Catalog().entries()]),
    st.sampled_from(["", "low", "high", "thinking", "none"]),
)
def test_resolving_twice_changes_nothing(id_: str, effort: str) -> None:
    once = resolve(f"{id_}@{effort}" if effort else id_)
    assert once.id == id_
    assert resolve(str(once)) == once
    assert resolve(once) is once


@pytest.mark.parametrize(
    ("spelling", "host", "name"),
    [
        ("gpt-5.2", "", "gpt-5.2"),
        ("gpt-5.2-2025-12-11", "", "gpt-5.2-2025-12-11"),
        ("anthropic/claude-opus-4.5", "", "claude-opus-4-5"),
        ("openrouter/anthropic/claude-opus-4.5", "openrouter", "anthropic/claude-opus-4.5"),
        ("groq:llama-3.3-70b-versatile", "groq", "llama-3.3-70b-versatile"),
        ("groq/openai/gpt-oss-120b", "groq", "openai/gpt-oss-120b"),
        ("us.anthropic.claude-sonnet-4-6", "bedrock", "us.anthropic.claude-sonnet-4-6"),
        ("bedrock/us-east-1/anthropic.claude-sonnet-4-6", "bedrock", "anthropic.claude-sonnet-4-6"),
        ("azure/my-gpt-5-mini", "azure", "my-gpt-5-mini"),
        ("vertex_ai/claude-sonnet-4-5@20250929", "vertex", "claude-sonnet-4-5@20250929"),
        ("accounts/fireworks/models/glm-5p2", "fireworks", "accounts/fireworks/models/glm-5p2"),
        ("deepseek/deepseek-v4.1-flash", "", "deepseek-flash"),
    ],
)
def test_what_to_call_a_model(spelling: str, host: str, name: str) -> None:
    found = resolve(spelling)
    assert (found.host, found.name) == (host, name)


@pytest.mark.parametrize(
    ("spelling", "near"),
    [
        ("gpt-5.2-mini", "openai/gpt-5.4-mini"),
        ("anthropic/claude-opus-4-9", "anthropic/claude-opus-4-8"),
        ("claude-sonet-4-5", "anthropic/claude-sonnet-4-5"),
        ("openai/llama-3.3-70b-instruct", "meta-llama/llama-3.3-70b-instruct"),
        ("azure/gpt-5.9", "openai/gpt-5.5"),
    ],
)
def test_an_unknown_id_names_close_ones(spelling: str, near: str) -> None:
    with pytest.raises(UnknownModelError, match="unknown; did you mean") as caught:
        resolve(spelling)
    assert near in caught.value.near
    assert near in str(caught.value)
    assert isinstance(caught.value, AvengersError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("spelling", ["", "  ", "@high", "/", "openai/", "no such model at all", "azure/chatbot"])
def test_nonsense_is_unknown(spelling: str) -> None:
    with pytest.raises(UnknownModelError):
        resolve(spelling)


def test_a_snapshot_or_a_new_version_is_never_an_older_model() -> None:
    for spelling in ("gpt-5.9", "gpt-7", "claude-opus-9", "gemini-5-pro", "grok-9", "gpt-5.2-turbo"):
        with pytest.raises(UnknownModelError):
            resolve(spelling)


@pytest.mark.parametrize(
    ("gone", "spelling", "predecessor"),
    [
        ("anthropic/claude-haiku-5-5", "claude-haiku-5-5", "anthropic/claude-haiku-4-5"),
        ("openai/gpt-6.1-sol", "openai:gpt-6.1-sol", "openai/gpt-6-sol"),
        ("google/gemini-3.8-flash", "models/gemini-3.8-flash", "google/gemini-3.7-flash"),
    ],
)
def test_a_model_that_only_genai_prices_knows(gone: str, spelling: str, predecessor: str) -> None:
    catalog = Catalog(entry for entry in Catalog().entries() if entry.id != gone)
    assert catalog.resolve(spelling).id == gone
    entry, price = catalog.entry(spelling), catalog.price(spelling)
    assert entry.source.startswith("genai-prices")
    assert price == default_catalog().price(gone)
    assert catalog.predecessor(spelling) == predecessor
    assert int(catalog.capabilities(spelling)["max_input_tokens"]) >= 200_000
    assert gone in {one.id for one in catalog.entries()}


def test_an_openrouter_id_beyond_the_table() -> None:
    known = {entry.id for entry in Catalog().entries()}
    ids = [one.id for one in listings_of("openrouter") if re.match(r"qwen/[a-z0-9.-]+$", one.id) and one.price()]
    beyond = [id_ for id_ in ids if resolve(id_).id not in known]
    assert beyond
    for id_ in beyond:
        assert resolve(f"openrouter/{id_}") == ModelId(id_, "", "openrouter", id_)
        assert default_catalog().price(f"openrouter/{id_}") is not None


def test_no_two_models_share_a_spelling() -> None:
    seen: dict[tuple[str, str], str] = {}
    for entry in Catalog().entries():
        for alias in (entry.id.partition("/")[2], *entry.aliases):
            assert seen.setdefault((entry.provider, alias), entry.id) == entry.id
    assert len({entry.id for entry in Catalog().entries()}) == len(Catalog().entries())


def test_speed() -> None:
    def best(times: int, work: object) -> float:
        def once() -> float:
            start = time.perf_counter()
            work()  # type: ignore[operator]
            return time.perf_counter() - start

        return min(once() for _ in range(times))

    catalog = Catalog()
    catalog.resolve("openrouter/anthropic/claude-opus-4.5")
    assert best(5, Catalog) < 0.03
    assert best(200, lambda: catalog.resolve("openrouter/anthropic/claude-opus-4.5")) < 5e-6


@pytest.mark.skipif(not (SHARED / "published").is_dir(), reason="no shared data beside the repository")
@pytest.mark.parametrize(
    ("file", "column"),
    [
        ("published/scores.csv", "model"),
        ("published/costs.csv", "model"),
        ("published/tokens.csv", "model"),
        ("data/modern/models.csv", "id"),
    ],
)
def test_all_ids_of_the_shared_data(file: str, column: str) -> None:
    with (SHARED / file).open(newline="", encoding="utf-8") as lines:
        ids = {row[column] for row in csv.DictReader(lines)}
    unknown = []
    for id_ in sorted(ids):
        try:
            found = resolve(id_)
        except UnknownModelError:
            unknown.append(id_)
            continue
        assert resolve(str(found)).id == found.id
    assert unknown == []
