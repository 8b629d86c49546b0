"""``avengers models``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from avengers_core.records.schema import Record
from avengers_core.routing.artifact import load_artifact

from tests.support.commands import run_command
from tests.support.records import plain, write_jsonl


@pytest.fixture(autouse=True)
def _one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "GOOGLE_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    monkeypatch.setenv("COLUMNS", "80")


def test_what_can_be_routed_today() -> None:
    shown = run_command("models")
    assert shown.exit_code == 0, shown.stderr
    assert "openai/gpt-" in shown.stdout
    assert "anthropic/" not in shown.stdout
    assert "not offered: anthropic: set ANTHROPIC_API_KEY" in shown.stdout
    assert "expected score by kind of task" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    rows = json.loads(run_command("models", "--json").stdout)["models"]
    assert all(0 <= score <= 1 for row in rows for score in row["expected"].values())
    assert all(row["input"] > 0 and row["max_input_tokens"] > 100_000 for row in rows)


def test_the_whole_catalogue_or_one_provider() -> None:
    every = json.loads(run_command("models", "--all", "--json").stdout)["models"]
    assert len(every) > 300
    mistral = json.loads(run_command("models", "--all", "--provider", "mistralai", "--json").stdout)["models"]
    assert {row["id"].partition("/")[0] for row in mistral} == {"mistralai"}
    assert run_command("models", "--framework", "haystack", exit_code=2).exit_code == 2


def test_all_that_is_known_of_a_model() -> None:
    shown = run_command("models", "show", "claude-sonnet-4-6@thinking")
    assert shown.exit_code == 0, shown.stderr
    for part in ("anthropic/claude-sonnet-4-6@thinking", "per million tokens: $3 in", "predecessor: anthropic/"):
        assert part in shown.stdout
    facts = json.loads(run_command("models", "show", "gpt-5.2", "--json").stdout)
    assert facts["effort_arguments"]["low"]["langchain"] == {"reasoning_effort": "low"}
    assert facts["published_scores"]
    assert set(facts["capabilities"]) == set(facts["capability_sources"])


def test_an_unknown_model_has_near_misses() -> None:
    shown = run_command("models", "show", "gpt-5-minni", exit_code=1)
    assert shown.exit_code == 1
    assert "did you mean openai/gpt-5-mini" in shown.stderr


def test_a_query_is_routed_among_any_models() -> None:
    shown = run_command("route", "What is 17 * 23?", "--models", "gpt-5-mini,claude-opus-4-8", "--json")
    assert {row["model"] for row in json.loads(shown.stdout)["candidates"]} == {"gpt-5-mini", "claude-opus-4-8"}


def test_files_say_more_than_the_catalogue(tmp_path: Path, records: list[Record]) -> None:
    file = write_jsonl(tmp_path / "r.jsonl", [plain(record) for record in records])
    (tmp_path / "prices.json").write_text('{"odd": {"input": 7, "output": 9}}')
    (tmp_path / "able.csv").write_text("model,tools\nodd,true\n")
    scores = "".join(f"{model},my-bench,{0.1 * n}\n" for n, model in enumerate(("small", "mid", "big", "odd"), start=1))
    (tmp_path / "scores.csv").write_text("model,benchmark,score\n" + scores)
    given = ("--prices", tmp_path / "prices.json", "--capabilities", tmp_path / "able.csv")
    run_command("train", file, "-o", tmp_path / "a.zip", *given, "--published", tmp_path / "scores.csv", "-q")
    infos = {info.id: info for info in load_artifact(tmp_path / "a.zip").manifest.models}
    assert (infos["odd"].price.input, infos["odd"].capabilities) == (7.0, {"tools": True})  # type: ignore[union-attr]
    (tmp_path / "aliases.json").write_text('{"house-model": "gpt-5-mini"}')
    run_command(
        "update", tmp_path / "a.zip", "-m", "gpt-5.2@low", "-m", "house-model", "--aliases", tmp_path / "aliases.json",
        "-o", tmp_path / "b.zip", "-q",
    )  # fmt: skip
    wider = load_artifact(tmp_path / "b.zip")
    assert wider.models[-2:] == ["gpt-5.2@low", "house-model"]
    chosen = run_command("route", "hi", "-a", tmp_path / "b.zip", "--models", "house-model", "--json").json()
    assert chosen["model"] == "house-model"
    assert chosen["expected_cost"] > 0
    (tmp_path / "bad.csv").write_text("model,benchmark\nodd,x\n")
    failed = run_command("train", file, "--published", tmp_path / "bad.csv", exit_code=1)
    assert "bad.csv" in failed.stderr
