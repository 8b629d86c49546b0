"""What users know better, from values and from files, and what is said of faults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from avengers_core.catalog import Catalog, default_catalog
from avengers_core.errors import CatalogError, UnknownModelError
from avengers_core.pricing import Price

ALIASES = {"my-model": "openai/gpt-5.2@low", "azure:chat-prod": "gpt-5-mini"}
PRICES = {"gpt-5.2": {"input": 1.0, "output": 8.0, "source": "contract"}, "acme/own-7b": {"input": 0.1, "output": 0.2}}
CAPABILITIES = {"openai/gpt-5.2": {"tools": False, "max_input_tokens": 1000}}
PUBLISHED = [
    {"model": "gpt-5.2@high", "benchmark": "ours", "score": 0.9, "harness": "me"},
    {
        "model": "acme/own-7b",
        "benchmark": "ours",
        "score": 0.4,
        "harness": "me",
        "date": "2026-11",
        "source": "a report",
    },
]


def as_csv(what: str) -> str:
    if what == "aliases":
        return "alias,model\n" + "".join(f"{alias},{model}\n" for alias, model in ALIASES.items())
    if what == "prices":
        return "model,input,output,source\ngpt-5.2,1.0,8.0,contract\nacme/own-7b,0.1,0.2,\n"
    if what == "capabilities":
        return "model,tools,max_input_tokens\nopenai/gpt-5.2,false,1000\n"
    header = "model,benchmark,score,harness,date,source\n"
    return header + "gpt-5.2@high,ours,0.9,me,,\nacme/own-7b,ours,0.4,me,2026-11,a report\n"


@pytest.fixture(params=["values", "json", "csv"])
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Catalog:
    given: dict[str, Any] = {"aliases": ALIASES, "prices": PRICES, "capabilities": CAPABILITIES, "published": PUBLISHED}
    for what, values in list(given.items()):
        if request.param == "json":
            given[what] = tmp_path / f"{what}.json"
            given[what].write_text(json.dumps(values))
        elif request.param == "csv":
            given[what] = str(tmp_path / f"{what}.csv")
            Path(given[what]).write_text(as_csv(what))
    return default_catalog().with_overrides(**given)


def test_aliases(catalog: Catalog) -> None:
    assert str(catalog.resolve("my-model")) == "openai/gpt-5.2@low"
    assert str(catalog.resolve("MY-MODEL@high")) == "openai/gpt-5.2@high"
    found = catalog.resolve("azure:chat-prod")
    assert (found.id, found.host, found.name) == ("openai/gpt-5-mini", "azure", "chat-prod")


def test_prices(catalog: Catalog) -> None:
    assert catalog.price("openai:gpt-5.2") == Price(1.0, 8.0, "contract")
    assert catalog.price_id("gpt-5.2") == ""
    assert catalog.price("my-model") == catalog.price("gpt-5.2")
    assert catalog.price("gpt-5.1") == default_catalog().price("gpt-5.1")


def test_capabilities(catalog: Catalog) -> None:
    found = catalog.capabilities("gpt-5.2")
    assert (found["tools"], found["max_input_tokens"], found["images"]) == (False, 1000, True)
    assert catalog.describe("gpt-5.2")["capability_sources"]["tools"] == "user"


def test_published(catalog: Catalog) -> None:
    scores = {one.benchmark: one.score for one in catalog.published_scores("gpt-5.2@high")}
    assert scores["ours"] == 0.9
    assert len(catalog.published_scores("gpt-5.2")) == len(default_catalog().published_scores("gpt-5.2")) + 1


def test_a_model_of_ones_own(catalog: Catalog) -> None:
    entry = catalog.entry("acme/own-7b")
    assert (entry.provider, entry.family, entry.tier, entry.source) == ("acme", "own", "5b-20b", "user")
    assert catalog.price("acme/own-7b") == Price(0.1, 0.2)
    assert [one.score for one in catalog.published_scores("acme/own-7b")] == [0.4]


def test_the_catalogue_stays_as_it_is(catalog: Catalog) -> None:
    with pytest.raises(UnknownModelError):
        default_catalog().resolve("my-model")
    with pytest.raises(UnknownModelError):
        default_catalog().resolve("acme/own-7b")
    assert default_catalog().capabilities("gpt-5.2")["tools"] is True


def test_overrides_add_up(catalog: Catalog) -> None:
    more = catalog.with_overrides(aliases={"second": "my-model"}, capabilities={"gpt-5.2": {"audio": True}})
    assert str(more.resolve("second")) == "openai/gpt-5.2@low"
    assert more.price("second") == Price(1.0, 8.0, "contract")
    assert more.capabilities("second")["tools"] is False
    assert more.capabilities("second")["audio"] is True


def test_a_published_score_takes_the_place_of_the_shipped_one() -> None:
    shipped = next(one for one in default_catalog().published_scores("gpt-5.2") if one.effort == "high")
    row = {"model": "gpt-5.2@high", "benchmark": shipped.benchmark, "score": 0.123, "harness": shipped.harness}
    catalog = default_catalog().with_overrides(published=[row])
    same = [one for one in catalog.published_scores("gpt-5.2@high") if one.benchmark == shipped.benchmark]
    assert [one.score for one in same if one.harness == shipped.harness] == [0.123]


FAULTS = [
    (
        "prices",
        "model,input,output\ngpt-5.2,1,2\ngpt-5.1,cheap,2\n",
        ":3: field 'input': 'cheap' is not a finite number",
    ),
    ("prices", "model,input,output\ngpt-5.2,-1,2\n", ":2: field 'input': -1.0 is below 0"),
    ("prices", "model,input,output\ngpt-5.2,1,nan\n", ":2: field 'output': 'nan' is not a finite number"),
    ("prices", "model,input\ngpt-5.2,1\n", ":2: field 'output' is missing"),
    ("prices", "model,input,output,per\ngpt-5.2,1,2,3\n", ":2: field 'per' is unknown"),
    ("prices", "model,input,output\n,1,2\n", ":2: field 'model' is missing"),
    ("prices", "model,input,output\ngpt-5.2,1,2,3,4\n", ":2: has more fields than the header"),
    ("aliases", "alias,model\nmine,\n", ":2: field 'model' is missing"),
    ("aliases", "alias,model\nmine,gpt-5.2-mini\n", "aliases: 'mine': model 'gpt-5.2-mini' is unknown; did you mean"),
    ("capabilities", "model,flies\ngpt-5.2,true\n", ":2: field 'flies' is unknown; capabilities are tools"),
    ("capabilities", "model,tools\ngpt-5.2,perhaps\n", ":2: field 'tools': 'perhaps' is neither true nor false"),
    (
        "capabilities",
        "model,max_input_tokens\ngpt-5.2,1e3\n",
        ":2: field 'max_input_tokens': '1e3' is not a whole number",
    ),
    ("published", "model,benchmark,score\ngpt-5.2,gpqa,high\n", ":2: field 'score': 'high' is not a finite number"),
    ("published", "model,benchmark,score\ngpt-5.2,,1\n", ":2: field 'benchmark' is missing"),
    ("published", "model,benchmark,score,mood\ngpt-5.2,gpqa,1,good\n", ":2: field 'mood' is unknown"),
]


@pytest.mark.parametrize(("what", "text", "message"), FAULTS)
def test_faults_of_csv_files(tmp_path: Path, what: str, text: str, message: str) -> None:
    path = tmp_path / f"{what}.csv"
    path.write_text(text)
    with pytest.raises(CatalogError) as caught:
        default_catalog().with_overrides(**{what: path})
    assert message in str(caught.value)
    if message.startswith(":"):
        assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("what", "text", "message"),
    [
        ("prices", "{\n  nothing\n}", ".json:2: not valid JSON"),
        ("prices", '["gpt-5.2"]', ".json: item 1: 'gpt-5.2' is not a set of fields"),
        ("prices", '{"gpt-5.2": 3}', ".json: 'gpt-5.2': 3 is not a set of fields"),
        (
            "prices",
            '{"gpt-5.2": {"input": true, "output": 1}}',
            ".json: 'gpt-5.2': field 'input': True is not a finite number",
        ),
        ("aliases", '{"mine": 3}', ".json: 'mine': field 'model': 3 is not a name"),
        ("published", '{"gpt-5.2": {"gpqa": 1}}', ".json: is not a list of rows"),
        ("capabilities", "3", ".json: is not a mapping by model"),
    ],
)
def test_faults_of_json_files(tmp_path: Path, what: str, text: str, message: str) -> None:
    path = tmp_path / f"{what}.json"
    path.write_text(text)
    with pytest.raises(CatalogError) as caught:
        default_catalog().with_overrides(**{what: path})
    assert message in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"none\.csv: cannot be read"):
        default_catalog().with_overrides(prices=tmp_path / "none.csv")
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CatalogError, match="cannot be read"):
        default_catalog().with_overrides(prices=binary)
