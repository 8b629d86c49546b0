"""`avengers shadow`: other models are asked what users asked, by real clients of a local server, and judged."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from avengers_core import Router
from avengers_core.ledger.entry import Entry
from avengers_core.ledger.store import Ledger
from avengers_core.records.io import read_records
from avengers_core.shadowing.judging import Comparison, bias_of, read_choice
from avengers_core.shadowing.sampling import stratified_sample
from avengers_core.shadowing.types import ShadowRequest

from tests.support.commands import Result, run_command
from tests.support.llm_server import BIG, HAIKU, MINI, SONNET, LLMServer, environment, text_of

JUDGE = f"openai:{BIG}"
#: How good the simulated answers are, by model; the judge sees it in the text.
QUALITY = {MINI: 3, HAIKU: 7, "old": 5}


def says(bias: str = "") -> Any:
    """Models that write how good their answer is, and a judge that reads it."""

    def reply(body: dict[str, Any]) -> str:
        text = text_of(body["messages"][-1]["content"])
        if "Two assistants" not in text:
            return f"quality {QUALITY[body['model']]} " + "more " * QUALITY[body["model"]]
        first, second = map(int, re.findall(r"quality (\d+)", text)[:2])
        if bias == "first":
            return '{"better": 1}'
        if bias == "silent":
            return "I cannot say."
        return json.dumps({"better": 0 if first == second else 1 if first > second else 2})

    return reply


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    path = tmp_path / "asked.jsonl"
    rows = [{"query": f"What is {n} + {n}?", "answer": "quality 5 of old", "model": "old"} for n in range(12)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(server: LLMServer, requests: object, folder: Path, *more: object, **options: Any) -> Result:
    models = ("-m", f"openai:{MINI}", "-m", f"anthropic:{HAIKU}")
    words = ("shadow", str(requests), *models, "-o", folder / "shadow.jsonl", "--json", *more)
    done = run_command(*words, env=environment(server), **options)
    assert "canary" not in done.output
    return done


def test_answers_are_judged_against_the_one_that_was_given(server: LLMServer, asked: Path, tmp_path: Path) -> None:
    server.says = says()
    result = run(server, asked, tmp_path, "--judge", JUDGE, "--sample", "10").json()
    assert result["records"] == result["requests"] == 10
    scores = {name: model["score"] for name, model in result["models"].items()}
    assert scores == {HAIKU: 1.0, "old": 0.5, MINI: 0.0}
    assert result["models"]["old"]["given"] == 10
    assert server.asked == {MINI: 10, HAIKU: 10, BIG: 10 * 3 * 2}, "three pairs, in both orders"
    for record in read_records(tmp_path / "shadow.jsonl"):
        assert record.records == {HAIKU: 1.0, "old": 0.5, MINI: 0.0}
        assert set(record.usages) == {HAIKU, MINI}
        assert record.source == f"judged by {JUDGE}"
    bias = result["bias"]
    assert (bias["first"], bias["agreement"]) == (0.5, 1.0)
    assert bias["longer"] == pytest.approx(1.0, abs=0.4)
    before = dict(server.asked)
    assert run(server, asked, tmp_path, "--judge", JUDGE, "--sample", "10").json() == result
    assert server.asked == before, "nothing is asked twice"


@pytest.mark.slow
def test_update_takes_the_records(server: LLMServer, asked: Path, tmp_path: Path) -> None:
    server.says = says()
    run(server, asked, tmp_path, "--judge", JUDGE)
    run_command("update", "default", tmp_path / "shadow.jsonl", "-o", tmp_path / "new.zip")
    assert "old" in Router.load(tmp_path / "new.zip").models


def test_a_judge_that_prefers_the_first_answer_is_found_out(server: LLMServer, asked: Path, tmp_path: Path) -> None:
    server.says = says("first")
    done = run_command(
        "shadow", asked, "-m", f"openai:{MINI}", "--judge", JUDGE, "-o", tmp_path / "s.jsonl", env=environment(server)
    )
    assert "The judge prefers the first answer (100% of its verdicts" in " ".join(done.stderr.split())
    assert "agrees with itself on 0%" in " ".join(done.stderr.split())
    (scores,) = {tuple(sorted(record.records.items())) for record in read_records(tmp_path / "s.jsonl")}
    assert dict(scores) == {MINI: 0.5, "old": 0.5}, "both orders cancel out"


def test_a_cap_is_kept_over_answers_and_verdicts(server: LLMServer, asked: Path, tmp_path: Path) -> None:
    server.says = says()
    first = run(server, asked, tmp_path, "--judge", JUDGE, "--max-cost", "0.02").json()
    assert first["capped"]
    assert first["spent_usd"] <= 0.02
    more = run(server, asked, tmp_path, "--judge", JUDGE, "--max-cost", "5").json()
    assert not more["capped"]
    assert more["records"] == 12
    assert max(Counter(json.dumps(one["body"]) for one in server.requests).values()) == 1


def test_a_grader_of_ones_own_takes_the_judges_place(server: LLMServer, asked: Path, tmp_path: Path) -> None:
    server.says = says()
    code = "import re\ndef grade(answer, question):\n    return int(re.search(r'quality (\\d)', answer)[1]) / 10\n"
    (tmp_path / "mine.py").write_text(code)
    result = run(server, asked, tmp_path, "--grader", f"{tmp_path / 'mine.py'}:grade").json()
    assert {name: model["score"] for name, model in result["models"].items()} == {HAIKU: 0.7, "old": 0.5, MINI: 0.3}
    assert result["bias"] is None
    assert BIG not in server.asked


def test_a_ledger_with_prompts_is_a_source(server: LLMServer, tmp_path: Path) -> None:
    server.says = says()
    ledger = Ledger(tmp_path / "l.sqlite", store_prompts=True)
    for number in range(4):
        ledger.record(
            Entry(time=datetime.now(timezone.utc), call=f"c{number}", decision="d", attempt=0, model=SONNET,
                  provider="anthropic", status="ok", alpha=0.5, prompt=f"What is {number}?")
        )  # fmt: skip
    result = run(server, tmp_path / "l.sqlite", tmp_path, "--judge", JUDGE).json()
    assert result["records"] == 4
    assert set(result["models"]) == {HAIKU, MINI}, "a ledger keeps no answers: the models are compared with each other"
    empty = Ledger(tmp_path / "e.sqlite")
    refused = run(server, empty.url, tmp_path, "--judge", JUDGE, exit_code=1)
    assert "a ledger keeps prompts if it has store_prompts=True" in refused.stderr


def test_a_silent_judge_and_wrong_files(server: LLMServer, asked: Path, tmp_path: Path) -> None:
    server.says = says("silent")
    result = run(server, asked, tmp_path, "--judge", JUDGE).json()
    assert (result["records"], result["models"]) == (0, {})
    for text, message in (
        ('{"query": ""}', "asked.jsonl:1: field 'query': empty"),
        ('{"answer": "x"}', "asked.jsonl:1: field 'query'"),
        ('{"query": 7}', "asked.jsonl:1: field 'query': Expected `str`"),
        ("[1]", "asked.jsonl:1: field 'query'"),
        ("nonsense", "asked.jsonl:1: not a JSON object"),
    ):
        asked.write_text(text + "\n")
        assert message.split(": ")[0] in run(server, asked, tmp_path, "--judge", JUDGE, exit_code=1).stderr
    asked.write_text('{"query": "hi"}\n')
    assert "say which model judges" in run(server, asked, tmp_path, exit_code=1).stderr


def test_a_sample_holds_kinds_and_models_in_proportion() -> None:
    requests = [ShadowRequest(f"q{n}", model="a" if n % 4 else "b", index=str(n)) for n in range(400)]
    clusters = np.array([0 if n < 300 else 1 for n in range(400)])
    sample = stratified_sample(requests, clusters, 40)
    assert len({request.query for request in sample}) == 40
    counts = Counter((int(request.index) < 300, request.model) for request in sample)
    assert counts[True, "a"] == pytest.approx(22.5, abs=3)
    assert counts[False, "b"] == pytest.approx(2.5, abs=2)
    assert stratified_sample(requests, clusters, 40) == sample
    assert len(stratified_sample([requests[0]] * 9, clusters[:9], 5)) == 1


def test_biases_are_measured() -> None:
    def compared(one: str, two: str, lengths: tuple[int, int], forward: float, backward: float) -> Comparison:
        return Comparison(one, two, lengths, forward, backward)

    bias = bias_of([compared("a", "b", (100, 10), 1, 1)] * 8 + [compared("a", "b", (10, 100), 1, 0)] * 8, ["b"])
    assert bias.verdicts == 32
    assert bias.first == pytest.approx(24 / 32)  # 8 pairs: once each; 8 pairs: the first in both orders
    assert bias.agreement == 0.5
    assert (bias.longer, bias.pairs_of_lengths) == (1.0, 8)
    assert (bias.own, bias.own_pairs) == (0.25, 16)
    assert any("longer answer won" in text for text in bias.warnings()) is False  # 8 pairs are too few to say
    assert bias_of([], []).warnings() == []


@pytest.mark.parametrize(
    ("text", "score"),
    [('{"better": 1}', 1.0), ('```json\n{"better": "2"}\n```', 0.0), ('{"better":0}', 0.5), ('{"better": 3}', None)],
)
def test_verdicts(text: str, score: float | None) -> None:
    assert read_choice(text) == score
