"""`avengers calibrate` against a local server of simulated models of known ability."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from avengers_core import Router
from avengers_core.bank import KINDS, generate
from avengers_core.calibrating.questions import LEVEL_ORDER, QuestionBank, earlier_seed
from avengers_core.dispatch.factory import extended_router
from avengers_core.records.io import read_records

from tests.support.commands import Result, run_command
from tests.support.llm_server import BIG, HAIKU, MINI, SONNET, LLMServer, environment, text_of
from tests.support.processes import start_program
from tests.support.simulated import says

SEED = 7
#: Kinds that need no sandbox and are quickly made.
FEW = ("arithmetic", "sql", "tools")
MODELS = (f"openai:{MINI}", f"openai:{BIG}", f"anthropic:{HAIKU}", f"anthropic:{SONNET}")
#: The cheapest is weak; haiku is weak, too, but for SQL.
SKILLS = {
    MINI: lambda kind: -0.2,
    BIG: lambda kind: 0.15,
    HAIKU: lambda kind: 0.3 if kind == "sql" else -0.25,
    SONNET: lambda kind: 0.1,
}


@pytest.fixture(scope="module")
def answers() -> Any:
    return says(SKILLS, SEED, FEW)


def words(folder: Path, *more: object, models: tuple[str, ...] = MODELS) -> list[object]:
    named = [word for model in models for word in ("-m", model)]
    return ["calibrate", *named, "--kinds", ",".join(FEW), "--seed", SEED, "-o", folder / "c.zip", "--json", *more]


def run(server: LLMServer, folder: Path, *more: object, **options: Any) -> Result:
    done = run_command(*words(folder, *more, **options), env=environment(server))
    assert "canary" not in done.output
    return done


def prompts(server: LLMServer) -> Counter[tuple[str, str]]:
    """How often each model was asked each question."""
    bodies = [request["body"] for request in list(server.requests)]
    return Counter((body["model"], text_of(body["messages"][-1]["content"])) for body in bodies)


def test_a_run_learns_who_is_good_at_what(server: LLMServer, answers: Any, tmp_path: Path) -> None:
    server.says = answers
    result = run(server, tmp_path, "--alpha", "0.5").json()
    assert result["reason"] == "regret"
    assert result["regret"] <= 0.02 < result["regret_before"]
    assert result["answers"] == len(server.requests) == len(prompts(server)), "nothing is asked twice"
    spent = sum(one["answers"] * (one["cost_usd"] or 0) for one in result["results"])
    assert result["spent_usd"] == pytest.approx(spent)
    known = {(one["model"], one["kind"]): one for one in result["results"]}
    assert known[BIG, "arithmetic"]["expected"] > known[MINI, "arithmetic"]["expected"]
    assert known[HAIKU, "sql"]["expected"] > known[HAIKU, "arithmetic"]["expected"]
    assert all(one["low"] <= one["expected"] <= one["high"] for one in result["results"])

    router = Router.load(tmp_path / "c.zip")
    assert set(router.models) == set(SKILLS)
    models = [MINI, BIG, HAIKU, SONNET]
    query = generate("sql", 4, 999).query
    before = extended_router(Router.load(), {name: name for name in models}).route(query, alpha=0.5)
    after = router.route(query, alpha=0.5)
    gained = {
        name: after.scores[after.candidates.index(name)] - before.scores[before.candidates.index(name)]
        for name in models
    }
    assert max(gained, key=lambda name: gained[name]) == HAIKU
    assert after.tasks[0][0] == "SQL queries (generated)"
    assert after.expected_seconds > 0, "calibrating tells seconds as well"
    for name in models:
        told = [
            one for one in result["results"] if one["model"] == name and one["kind"] == "sql" and one["answers"] > 9
        ]
        expected = after.costs[after.candidates.index(name)]
        for one in told:  # what answers cost here outweighs what they cost in the records of the artifact
            assert one["cost_usd"] / 4 < expected < one["cost_usd"] * 4

    page = (tmp_path / "c.html").read_text()
    assert "http" not in page.replace("http-equiv", "")
    assert all(name in page for name in (*models, "SQL queries", "calls of tools"))


@pytest.mark.slow
def test_records_are_those_of_the_answers(server: LLMServer, answers: Any, tmp_path: Path) -> None:
    server.says = answers
    run(server, tmp_path, "--max-regret", "0.03")
    bank = QuestionBank(list(FEW), SEED)
    records = list(read_records(tmp_path / "c.records.jsonl"))
    by_query = {bank.question(kind, place).index: kind for kind in range(3) for place in range(40)}
    assert {record.index for record in records} <= set(by_query)
    assert {record.source for record in records} <= {f"{KINDS[kind].task} (generated)" for kind in FEW}
    assert_in_order(tmp_path / "c.records.jsonl")
    assert all(usage and usage.seconds for record in records for usage in record.usages.values())


def assert_in_order(path: Path) -> None:
    """Who was asked fewer questions of a kind was asked the first ones."""
    records = list(read_records(path))
    for kind in FEW:
        places = {int(str(record.index).split("/")[1]): record for record in records if kind in record.dataset}
        for model in SKILLS:
            asked = sorted(place for place, record in places.items() if model in record.records)
            assert asked == list(range(len(asked)))


@pytest.mark.slow
def test_a_cap_is_kept_and_a_higher_one_continues(server: LLMServer, answers: Any, tmp_path: Path) -> None:
    server.says = answers
    first = run(server, tmp_path, "--max-cost", "0.005", "--max-regret", "0.01").json()
    assert first["reason"] == "money"
    assert 0 < first["spent_usd"] <= 0.005
    second = run(server, tmp_path, "--max-cost", "0.01", "--max-regret", "0.01").json()
    assert second["answers"] > first["answers"]
    assert second["spent_usd"] <= 0.01
    assert max(prompts(server).values()) == 1
    whole = run(server, tmp_path, "--max-cost", "1", "--max-regret", "0.03").json()
    assert whole["reason"] == "regret"
    for record in read_records(tmp_path / "c.records.jsonl"):  # gaps of runs that were cut off are filled
        assert int(str(record.index).split("/")[1]) < 40
    assert_in_order(tmp_path / "c.records.jsonl")


@pytest.mark.slow
def test_killed_runs_continue_and_ask_nothing_twice(server: LLMServer, answers: Any, tmp_path: Path) -> None:
    server.says, server.delay = answers, 0.05
    log = tmp_path / "log"
    command = [str(word) for word in words(tmp_path, "--max-regret", "0.045")]
    for goal in (5, 25):
        process = start_program("avengers", *command, env=environment(server), cwd=tmp_path, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while len(server.requests) < goal and process.is_alive():
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.01)
        process.kill()
        process.join(20)
    server.delay = 0.0
    before = prompts(server)
    result = run(server, tmp_path, "--max-regret", "0.045").json()
    again = {question for question, count in prompts(server).items() if count > 1}
    assert len(again) <= 16, "only what was in flight when it was killed"
    assert result["answers"] >= len(before) - 32
    other = tmp_path / "whole"
    other.mkdir()
    server.reset()
    server.says = answers
    whole = run(server, other, "--max-regret", "0.045").json()
    assert {one["kind"] for one in whole["results"]} == {one["kind"] for one in result["results"]}


@pytest.mark.slow
def test_without_a_seed_a_run_is_continued(server: LLMServer, tmp_path: Path) -> None:
    server.answer = "Answer: 1"
    command = [
        "calibrate",
        "-m",
        MODELS[0],
        "-m",
        MODELS[1],
        "--kinds",
        "arithmetic",
        "-o",
        tmp_path / "c.zip",
        "--json",
    ]
    command += ["--max-regret", "0"]
    first = run_command(*command, "--max-cost", "0.001", env=environment(server)).json()
    assert earlier_seed(tmp_path / "c.records.jsonl.journal") == first["seed"]
    again = run_command(*command, "--max-cost", "0.01", env=environment(server)).json()
    assert again["seed"] == first["seed"]
    assert again["answers"] > first["answers"]
    assert earlier_seed(tmp_path / "none") is None
    refused = run_command(*command, "--seed", first["seed"] + 1, env=environment(server), exit_code=1)
    assert "its answers were given with seed" in refused.stderr


def test_a_dry_run_says_the_price_and_asks_nothing(server: LLMServer, tmp_path: Path) -> None:
    shown = run(server, tmp_path, "--dry-run").json()
    costs = {row["model"]: row["cost_usd_per_question"] for row in shown["models"]}
    assert costs[SONNET] > costs[BIG] > costs[HAIKU] > costs[MINI] > 0
    assert not server.requests
    assert not list(tmp_path.iterdir())


def test_models_that_fail_end_the_run(server: LLMServer, tmp_path: Path) -> None:
    server.model_faults = {MINI: 401, BIG: 401}
    result = run(server, tmp_path, models=MODELS[:2]).json()
    assert result["reason"] == "failures"
    assert result["answers"] == 0
    assert set(result["failed"]) == {MINI, BIG}
    assert set(Router.load(tmp_path / "c.zip").models) == {MINI, BIG}


def test_what_users_ask_can_be_given(server: LLMServer, answers: Any, tmp_path: Path) -> None:
    server.says = answers
    (tmp_path / "asked.jsonl").write_text("".join(json.dumps({"query": f"SELECT {n}?"}) + "\n" for n in range(5)))
    result = run(server, tmp_path, "--max-regret", "0.05", "--prompts", tmp_path / "asked.jsonl").json()
    assert result["changes"][0]["queries"] == "your queries"
    assert result["changes"][0]["number"] == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--kinds", "poetry"], "'poetry' is not one of arithmetic"),
        (["-o", "folder"], "give a name that ends in .zip"),
        (["--max-regret", "2"], "max_regret must be"),
        (["--max-cost", "nan"], "max_cost must be"),
    ],
)
def test_wrong_options(server: LLMServer, tmp_path: Path, options: list[str], message: str) -> None:
    done = run_command(*words(tmp_path), *options, env=environment(server), exit_code=None)
    assert done.exit_code in (1, 2)
    assert message in " ".join(done.stderr.replace("│", " ").split())
    assert not server.requests


@pytest.mark.slow
def test_with_llamaindex_and_its_tools(server: LLMServer, answers: Any, tmp_path: Path) -> None:
    server.says = answers
    result = run(server, tmp_path, "--with", "llamaindex", "--max-cost", "0.02", "--kinds", "tools", models=MODELS[:2])
    called = [one for one in result.json()["results"] if one["answers"]]
    assert called
    assert any(one["mean_score"] for one in called), "calls of tools were read"


def test_every_level_is_asked() -> None:
    assert set(LEVEL_ORDER[:5]) | set(LEVEL_ORDER[5:]) == {1, 2, 3, 4, 5}
