"""`avengers collect` against a local server of models."""

from __future__ import annotations

import json
import random
import re
import signal
import sqlite3
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from avengers_core import load_records

from tests.support.commands import run_command
from tests.support.llm_server import BIG, HAIKU, MINI, LLMServer, environment
from tests.support.processes import start_program

QUESTIONS = 120


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "questions.jsonl"
    rows = [{"index": n, "query": f"Question {n} ends here", "answer": f"to: Question {n} "} for n in range(QUESTIONS)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(server: LLMServer, *arguments: str | Path, code: int = 0) -> dict[str, Any]:
    done = run_command("collect", *arguments, "--json", env=environment(server), exit_code=code)
    assert "canary" not in done.output
    return done.json() if done.stdout else {"error": done.stderr}


TWO = ("-m", f"mini=openai:{MINI}", "-m", f"haiku=anthropic:{HAIKU}", "--grader", "regex")

OPENAI = ("-m", f"mini=openai:{MINI}", "-m", f"big=openai:{BIG}", "--grader", "regex")


def asked(server: LLMServer) -> Counter[tuple[str, str]]:
    """How often each model was asked each question."""
    found: Counter[tuple[str, str]] = Counter()
    for request in list(server.requests):
        body = request["body"]
        number = re.search(r"Question (\d+) ends", json.dumps(body["messages"]))
        assert number
        found[body["model"], number.group(1)] += 1
    return found


@pytest.mark.parametrize("lives", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_many_times_it_ends_with_one_record_a_question_and_a_model(
    server: LLMServer, questions: Path, tmp_path: Path, lives: int
) -> None:
    output = tmp_path / "records.jsonl"
    journal = Path(f"{output}.journal")
    server.delay = 0.05
    words = ("avengers", "collect", questions, "-o", output, *OPENAI, "--concurrency", "4", "--json")
    log = tmp_path / "log"
    dice = random.Random(0)
    in_flight = 0
    saved: set[tuple[str, str]] = set()
    before = asked(server)
    for _ in range(lives):
        process = start_program(*words, env=environment(server), cwd=tmp_path, stdout=log, stderr=log)
        goal = len(server.requests) + dice.randrange(2, 14)
        deadline = time.monotonic() + 60
        while len(server.requests) < goal:
            assert process.exitcode is None, log.read_text()
            assert time.monotonic() < deadline, "it asks nothing"
            time.sleep(0.002)
        time.sleep(dice.random() * 0.06)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        again = asked(server) - before
        assert not {pair for pair in again if pair in saved}, "an answer that was kept was asked for again"
        before = asked(server)
        with sqlite3.connect(journal) as db:
            models = {"mini": MINI, "big": BIG}
            kept = db.execute("SELECT model, text FROM answers").fetchall()
            in_flight = db.execute("SELECT COUNT(*) FROM requests").fetchone()[0]
        saved = {(models[model], re.findall(r"Question (\d+)", text)[0]) for model, text in kept}
        assert len(saved) == len(kept)
    server.delay = 0.0
    outcome = run(server, questions, "-o", output, *OPENAI)
    assert outcome["complete"]
    rows = [json.loads(row) for row in output.read_text().splitlines()]
    assert Counter(row["index"] for row in rows) == dict.fromkeys(range(QUESTIONS), 1)
    assert all(row["records"] == {"mini": 1.0, "big": 1.0} for row in rows)
    requests = asked(server)
    pairs = 2 * QUESTIONS
    assert len(requests) == pairs
    # What was asked more than once is what a kill cut off, and the run says so.
    assert sum(requests.values()) - pairs <= outcome["lost_requests"] == in_flight
    assert in_flight <= lives * 8
    cost = {model: outcome["models"][model]["cost_usd"] for model in ("mini", "big")}
    table = load_records(output)
    assert {m: pytest.approx(float(table.cost[:, i].sum())) for i, m in enumerate(table.models)} == cost
    assert outcome["spent_usd"] == pytest.approx(sum(cost.values()) + outcome["lost_cost_usd"])
    run(server, questions, "-o", output, *OPENAI)
    assert sum(asked(server).values()) == sum(requests.values()), "a complete run asks nothing"


def test_a_dry_run_prices_without_a_key_and_asks_nothing(server: LLMServer, questions: Path) -> None:
    env = {name: None if name.endswith("_KEY") else value for name, value in environment(server).items()}
    words = ("collect", questions, *TWO, "--dry-run", "--json", "--max-tokens", "100")
    told = run_command(*words, env=env).json()
    assert not server.requests
    mini = next(row for row in told["models"] if row["model"] == "mini")
    assert mini["output_tokens"] == 100 * QUESTIONS
    assert mini["cost_usd"] == pytest.approx((mini["input_tokens"] * 0.15 + mini["output_tokens"] * 0.6) / 1e6)
    unknown = ("-m", "openai:no-such-model", "--dry-run")
    assert run(server, questions, *unknown)["cost_usd"] is None


def test_the_spend_cap_holds_and_a_higher_one_goes_on(server: LLMServer, questions: Path, tmp_path: Path) -> None:
    output = tmp_path / "r.jsonl"
    cap = 0.0005
    capped = run(server, questions, "-o", output, *TWO, "--max-cost", str(cap), "--max-tokens", "40", code=1)
    assert capped["capped"]
    assert 0.8 * cap < capped["spent_usd"] <= cap
    answered = sum(server.answered.values())
    assert 0 < answered < 2 * QUESTIONS
    assert run(server, questions, "-o", output, *TWO, "--max-tokens", "40")["complete"]
    assert sum(server.answered.values()) == 2 * QUESTIONS
    other = run(server, questions, "-o", output, *TWO, "--max-tokens", "41", code=1)
    assert "max_tokens 40, not 41" in other["error"]
    no_price = run(server, questions, "-m", "openai:no-such-model", "--max-cost", "1", code=1)
    assert "price of no-such-model is unknown" in no_price["error"]


@pytest.mark.slow
def test_passing_faults_are_retried_and_hopeless_models_are_given_up(
    server: LLMServer, questions: Path, tmp_path: Path
) -> None:
    output = tmp_path / "r.jsonl"
    server.random_faults(0.2, [429, 500, "drop", "garbage"])
    assert run(server, questions, "-o", output, *TWO)["complete"]
    assert sum(server.served.values()) > 10
    server.reset()
    server.model_faults = {HAIKU: 401, MINI: 404}
    output = tmp_path / "s.jsonl"
    outcome = run(server, questions, "-o", output, *TWO, code=1)
    assert outcome["models"]["haiku"]["reason"].startswith("auth: ")
    assert outcome["models"]["mini"]["reason"].startswith("not_found: ")
    assert sum(server.asked.values()) <= 8 + 16, "both are given up soon"
    assert outcome["spent_usd"] == 0
    assert not output.exists()
    server.reset()
    assert run(server, questions, "-o", output, *TWO)["complete"], "what failed is asked in the next run"


def test_tokens_by_kind_and_prices_of_a_contract(server: LLMServer, questions: Path, tmp_path: Path) -> None:
    prices = tmp_path / "prices.json"
    prices.write_text(json.dumps({"mini": {"input": 1.0, "output": 10.0, "cache_read": 0.5}}))
    server.usage = {
        "prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 60}, "completion_tokens_details": {"reasoning_tokens": 7},
    }  # fmt: skip
    output = tmp_path / "r.jsonl.gz"
    run(server, questions, "-o", output, "-m", f"mini=openai:{MINI}", "--grader", "regex", "--prices", prices)
    table = load_records(output)
    assert table.tokens[0, 0].tolist() == [100, 20, 60, 0, 7, 0, 0]
    assert table.cost[0, 0] == pytest.approx((40 * 1.0 + 60 * 0.5 + 20 * 10.0) / 1e6)


def test_a_judge_grades_and_its_cost_is_not_the_models(server: LLMServer, questions: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.jsonl"
    short.write_text("".join(questions.read_text().splitlines(keepends=True)[:6]))
    output = tmp_path / "r.jsonl"
    server.answer = 'I would say {"score": 8}'
    judged = ("-m", f"mini=openai:{MINI}", "--grader", "judge", "--judge", f"anthropic:{HAIKU}")
    outcome = run(server, short, "-o", output, *judged)
    assert server.asked == {MINI: 6, HAIKU: 6}
    assert outcome["models"]["mini"]["mean_score"] == pytest.approx(0.8)
    assert outcome["spent_usd"] > outcome["models"]["mini"]["cost_usd"] > 0
    regraded = run(server, short, "-o", output, "-m", f"mini=openai:{MINI}", "--grader", "regex")
    assert server.asked[MINI] == 6, "another grader grades what is there"
    assert regraded["models"]["mini"]["mean_score"] == 0
    server.answer = "I cannot say."
    silent = run(server, short, "-o", tmp_path / "s.jsonl", *judged, code=1)
    assert (silent["models"]["mini"]["answers"], silent["models"]["mini"]["graded"]) == (6, 0)
    assert not silent["complete"]
    assert silent["lost_requests"] == 0
    assert silent["spent_usd"] > silent["models"]["mini"]["cost_usd"], "a judge without a verdict was paid"
    dry = run(server, short, *judged, "--dry-run")
    assert [row["requests"] for row in dry["models"]] == [6, 6]
    twice = ("-m", "ollama:llama3.1:8b", "-m", "ollama:llama3.1:8b")
    assert "two models have the same id" in run(server, short, *twice, code=2)["error"]


def test_models_of_ones_own_and_llamaindex(server: LLMServer, questions: Path, tmp_path: Path) -> None:
    own = tmp_path / "own_models.py"
    own.write_text(
        "from langchain_openai import ChatOpenAI\n"
        f"models = {{'tuned': ChatOpenAI(model={MINI!r}, base_url='{server.url}/v1', api_key='k', max_retries=0)}}\n"
    )
    outcome = run(server, questions, "-o", tmp_path / "a.jsonl", "--models-from", f"{own}:models", "--grader", "regex")
    assert outcome["models"]["tuned"]["mean_score"] == 1
    outcome = run(server, questions, "-o", tmp_path / "b.jsonl", *TWO, "--with", "llamaindex")
    assert outcome["complete"]
    tables = [load_records(tmp_path / name) for name in ("a.jsonl", "b.jsonl")]
    column = tables[1].models.index("mini")
    assert tables[0].tokens[:, 0, 1].tolist() == tables[1].tokens[:, column, 1].tolist()


def test_questions_name_no_code_and_bad_references_are_told_before_asking(server: LLMServer, tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'owned')!r}, 'w')\n")
    rows = {
        "field 'grader'": {"query": "q", "answer": "a", "grader": f"{tmp_path}/evil.py:f"},
        "not a regular expression": {"query": "q", "answer": "(open", "grader": "regex"},
        "is not a number": {"query": "q", "answer": "four", "grader": "numeric"},
    }
    for message, row in rows.items():
        path = tmp_path / "q.jsonl"
        path.write_text(json.dumps({"query": "first", "answer": "x"}) + "\n" + json.dumps(row) + "\n")
        assert message in run(server, path, "-m", f"openai:{MINI}", "-o", tmp_path / "r.jsonl", code=1)["error"]
    assert not (tmp_path / "owned").exists()
    assert not server.requests


def test_a_failing_grader_keeps_the_answer(server: LLMServer, questions: Path, tmp_path: Path) -> None:
    own = tmp_path / "own_grader.py"
    own.write_text("def grade(answer, question):\n    return 1 if int(question.index) % 2 else 1 / 0\n")
    arguments = (questions, "-m", f"openai:{MINI}", "-o", tmp_path / "r.jsonl")
    outcome = run(server, *arguments, "--grader", f"{own}:grade", code=1)
    told = outcome["models"][MINI]
    assert (told["answers"], told["graded"], told["failed"]) == (QUESTIONS, QUESTIONS // 2, QUESTIONS // 2)
    assert "ZeroDivisionError" in told["reason"]
    assert run(server, *arguments, "--grader", "regex")["complete"]
    assert server.asked[MINI] == QUESTIONS


def test_two_runs_do_not_share_a_journal(server: LLMServer, questions: Path, tmp_path: Path) -> None:
    output = tmp_path / "r.jsonl"
    server.delay = 2.0
    words, log = ("avengers", "collect", questions, "-o", output, *TWO), tmp_path / "log"
    first = start_program(*words, env=environment(server), cwd=tmp_path, stdout=log, stderr=log)
    while not server.requests:
        assert first.exitcode is None, log.read_text()
        time.sleep(0.01)
    assert "another run is working on it" in run(server, questions, "-o", output, *TWO, code=1)["error"]
    first.kill()
    first.join()


def test_what_a_run_shows_without_json(server: LLMServer, questions: Path, tmp_path: Path) -> None:
    words = ("collect", questions, "-o", tmp_path / "r.jsonl", *TWO, "--max-tokens", "40")
    env = environment(server)
    estimated = run_command(*words, "--dry-run", env=env).stdout
    assert "what it would cost (nothing was asked)" in estimated
    assert re.search(r"mini .* 120 .* 4,800 ", estimated)
    capped = run_command(*words, "--max-cost", "0.0005", env=env, exit_code=1)
    assert "stopped at the limit on costs" in capped.stderr
    done = run_command(*words, env=env)
    assert f"{QUESTIONS} records, $" in done.stdout
    assert re.search(rf"haiku .* {QUESTIONS} of {QUESTIONS} ", done.stdout)


def test_a_second_run_in_one_process_pays_for_nothing_twice(server: LLMServer, questions: Path, tmp_path: Path) -> None:
    """Clients keep connections open, and a connection works only on the event loop that opened it."""
    for name in ("first", "second"):
        server.reset()
        outcome = run(server, questions, "-o", tmp_path / f"{name}.jsonl", *TWO)
        assert server.asked == {MINI: QUESTIONS, HAIKU: QUESTIONS}
        assert outcome["lost_requests"] == 0
