"""Collecting runs with models that are functions: money, failures, and what a run says of itself."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from avengers_core import Price, load_records, read_records
from avengers_core.collecting import CollectionPlan, CollectionResult, ModelReply, ModelUnderTest, Question, collect
from avengers_core.collecting import asking as asking_module
from avengers_core.collecting.journal import Journal
from avengers_core.collecting.spending import Spending, UsageForecast
from avengers_core.dispatch.pool import ClientProfile
from avengers_core.errors import CollectError, MissingExtraError, QuestionError
from avengers_core.pricing.tariff import PriceSchedule
from avengers_core.pricing.types import TokenUsage

Ask = Callable[[str], Awaitable[ModelReply]]

#: One US dollar for each token.
DOLLAR = Price(1e6, 1e6)
QUESTIONS = [Question(f"question {n}", str(n), n, "d") for n in range(6)]


def model(ask: Ask, id: str = "m", price: Price | None = DOLLAR) -> ModelUnderTest:
    return ModelUnderTest(id, ClientProfile("provider", f"{id}-name", {}), ask, PriceSchedule(price=price))


async def echo(prompt: str) -> ModelReply:
    return ModelReply(prompt.split()[-1], TokenUsage(input_tokens=2, output_tokens=1))


def test_a_questions_source_is_its_records_source(tmp_path: Path) -> None:
    output = tmp_path / "r.jsonl"
    questions = [Question("question 1", "1", 1, "d", source="judge"), Question("question 2", "2", 2, "d", source=" ")]
    collect(questions, [model(echo)], output, CollectionPlan())
    assert [record.source for record in read_records(output)] == ["judge", None]


def test_records_and_result_of_a_run(tmp_path: Path) -> None:
    steps: list[tuple[object, ...]] = []

    async def mute(prompt: str) -> ModelReply:
        return ModelReply("no idea", None)

    models = [model(echo), model(mute, "mute")]
    output = tmp_path / "r.jsonl"
    result = collect(QUESTIONS, models, output, CollectionPlan(), progress=lambda *step: steps.append(step))
    assert result.complete
    expected_cost = result.to_dict()["spent_usd"] - 6 * 3
    assert expected_cost > 0, "an answer without usage counts as what it was expected to cost"
    assert result.to_dict() == {
        "records": 6,
        "spent_usd": result.spent_usd,
        "lost_requests": 0,
        "lost_cost_usd": 0.0,
        "capped": False,
        "complete": True,
        "models": {
            "m": {
                "answers": 6, "graded": 6, "questions": 6, "mean_score": 1.0, "cost_usd": 18.0, "unpriced": 0,
                "failed": 0, "reason": "",
            },
            "mute": {
                "answers": 6, "graded": 6, "questions": 6, "mean_score": 0.0, "cost_usd": 0.0, "unpriced": 6,
                "failed": 0, "reason": "",
            },
        },
    }  # fmt: skip
    assert steps[0] == ("collect", 0, 12, "$0.0000")
    assert steps[-1][:3] == ("collect", 12, 12)
    table = load_records(output)
    assert table.scores.tolist() == [[1.0, 0.0]] * 6
    assert table.cost[:, 0].tolist() == [3.0] * 6
    again = collect(QUESTIONS, models, output, CollectionPlan())
    assert again.to_dict() == result.to_dict(), "a complete run asks nothing"


def test_the_cap_counts_requests_in_flight_and_ends_the_run(tmp_path: Path) -> None:
    in_flight: list[int] = []
    running = 0

    async def slow(prompt: str) -> ModelReply:
        nonlocal running
        running += 1
        in_flight.append(running)
        await asyncio.sleep(0.02)
        running -= 1
        return await echo(prompt)

    questions = [Question(f"question {n}", str(n), n, "d") for n in range(30)]
    plan = CollectionPlan(max_cost=50, output_tokens=1)
    result = collect(questions, [model(slow)], tmp_path / "r.jsonl", plan)
    assert result.capped
    assert not result.complete
    assert 5 < result.models["m"].answers < 15
    assert result.spent_usd == 3.0 * result.models["m"].answers <= 50
    assert max(in_flight) == 2, "two requests that are expected to cost about 24 dollars fit at a time, not eight"


def test_an_unknown_price_and_a_cap_exclude_each_other(tmp_path: Path) -> None:
    plan = CollectionPlan(max_cost=1, judge=model(echo, "judge", None))
    with pytest.raises(CollectError, match="the price of judge, m is unknown"):
        collect(QUESTIONS, [model(echo, price=None)], tmp_path / "r.jsonl", plan)
    assert not list(tmp_path.iterdir()), "nothing was begun"


def test_failures_in_a_row_give_a_model_up_and_others_go_on(tmp_path: Path) -> None:
    asked: list[str] = []

    async def broken(prompt: str) -> ModelReply:
        asked.append(prompt)
        raise ValueError("bad request")

    questions = [Question(f"question {n}", str(n), n, "d") for n in range(30)]
    result = collect(questions, [model(broken, "broken"), model(echo)], tmp_path / "r.jsonl", CollectionPlan(
        concurrency=1))  # fmt: skip
    assert len(asked) == 5
    assert result.models["broken"].to_dict() | {"questions": 30} == {
        "answers": 0, "graded": 0, "questions": 30, "mean_score": None, "cost_usd": 0.0, "unpriced": 0,
        "failed": 5, "reason": "refused: ValueError: bad request",
    }  # fmt: skip
    assert result.models["m"].graded == 30
    assert result.spent_usd == 90.0, "a refused request costs nothing"


def test_passing_failures_are_repeated_and_lost_ones_count_as_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking_module, "_pause", lambda state: 0.0)
    tries: dict[str, int] = {}

    async def shaky(prompt: str) -> ModelReply:
        tries[prompt] = tries.get(prompt, 0) + 1
        if tries[prompt] < 3:
            raise ConnectionError
        return await echo(prompt)

    result = collect(QUESTIONS, [model(shaky)], tmp_path / "r.jsonl", CollectionPlan())
    assert result.complete
    assert set(tries.values()) == {3}
    assert result.lost_requests == 12, "a connection that broke may have been answered, and paid"
    assert result.spent_usd == pytest.approx(18 + result.lost_cost_usd)
    result = collect(QUESTIONS[:1], [model(shaky, "n")], tmp_path / "s.jsonl", CollectionPlan(retries=0))
    assert result.complete


def test_a_judge_that_fails_is_named_in_the_result(tmp_path: Path) -> None:
    async def failing(prompt: str) -> ModelReply:
        raise ValueError

    plan = CollectionPlan(grader="judge", judge=model(failing, "judge"))
    result = collect(QUESTIONS, [model(echo)], tmp_path / "r.jsonl", plan)
    assert result.models["m"].answers == 6
    assert result.models["judge"].reason == "refused: ValueError"
    assert not result.complete
    with pytest.raises(CollectError, match="say which model judges"):
        collect(QUESTIONS, [model(echo)], tmp_path / "r.jsonl", CollectionPlan(grader="judge"))


def test_questions_that_cannot_be_graded_are_refused_before_anything_is_asked(tmp_path: Path) -> None:
    for question, message in (
        (Question("q", None, 7, "d"), "question 7 of d: no field 'answer' for exact"),
        (Question("q", "a", 7, "d", grader="mine.py:f"), "field 'grader': 'mine.py:f' is not one of exact, "),
    ):
        with pytest.raises(QuestionError, match=message):
            collect([question], [model(echo)], tmp_path / "r.jsonl", CollectionPlan())


@pytest.mark.parametrize("package", ["tenacity", "filelock"])
def test_without_the_extra_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r"avengers-router\[collect\]"):
        collect(QUESTIONS, [model(echo)], tmp_path / "r.jsonl", CollectionPlan())
    assert not list(tmp_path.iterdir())


def test_a_result_without_models_is_complete() -> None:
    assert CollectionResult().complete


def test_spending_waits_for_requests_in_flight_and_then_stays_capped() -> None:
    async def run() -> None:
        spending = Spending(spent_pico=10, cap_pico=30)
        assert await spending.reserve(15)
        waiting = asyncio.create_task(spending.reserve(10))
        await asyncio.sleep(0)
        assert not waiting.done(), "25 are spent or reserved: it may fit when the request in flight is settled"
        spending.settle(15, 5)
        assert await waiting
        assert spending.spent_pico == 25
        spending.settle(10, 10)
        assert not await spending.reserve(10)
        assert spending.capped
        assert not await spending.reserve(1), "a run that is capped ends"
        assert spending.spent_pico == 25

    asyncio.run(run())


def test_expected_usage_is_learnt_from_five_answers() -> None:
    forecast = UsageForecast({"system": "be brief"}, 500)
    for n in range(5):
        assert forecast.expect("m", "hello").output_tokens == 500
        forecast.observe("m", TokenUsage(output_tokens=10 * n))
    assert forecast.expect("m", "hello").output_tokens == 40
    assert forecast.expect("other", "hello").output_tokens == 500
    assert forecast.expect("m", "hello world " * 50).input_tokens > forecast.expect("m", "hello").input_tokens > 20
    assert UsageForecast({"max_tokens": 7}, 500).expect("m", "hello").output_tokens == 7


def test_a_full_disk_ends_a_run_and_is_not_a_models_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def begin_request(self: Journal, question: str, model: str, expected_pico: int) -> int:
        self._db.execute("PRAGMA max_page_count = 1")
        self._execute("CREATE TABLE t AS SELECT randomblob(100000)")
        return 0

    monkeypatch.setattr(Journal, "begin_request", begin_request)
    with pytest.raises(CollectError, match=r"r.jsonl.journal: the journal cannot be used \(database or disk is full\)"):
        collect(QUESTIONS, [model(echo)], tmp_path / "r.jsonl", CollectionPlan())


def test_a_providers_message_is_the_reason(tmp_path: Path) -> None:
    async def refuse(prompt: str) -> ModelReply:
        raise ValueError("temperature must be 1 for this model\nand more")

    result = collect(QUESTIONS, [model(refuse)], tmp_path / "r.jsonl", CollectionPlan())
    assert result.models["m"].reason == "refused: ValueError: temperature must be 1 for this model"


def test_two_names_of_an_output_are_one_run(tmp_path: Path) -> None:
    asked: list[str] = []

    async def count(prompt: str) -> ModelReply:
        asked.append(prompt)
        return await echo(prompt)

    (tmp_path / "link.jsonl").symlink_to(tmp_path / "r.jsonl")
    for name in ("r.jsonl", "link.jsonl"):
        assert collect(QUESTIONS, [model(count)], tmp_path / name, CollectionPlan()).complete
    assert len(asked) == len(QUESTIONS)
    assert sorted(path.name for path in tmp_path.glob("*.journal")) == ["r.jsonl.journal"]


SLOW = """
import time

def slow(answer, question):
    time.sleep(0.0 if answer == "0" else 30.0)
    return 1.0
"""


def test_a_grader_that_takes_too_long_fails_for_that_answer(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    plan = CollectionPlan(grader=f"{tmp_path}/slow.py:slow", grader_timeout=0.2, code_timeout=-9.5)
    result = collect(QUESTIONS[:3], [model(echo)], tmp_path / "r.jsonl", plan)
    assert (result.models["m"].graded, result.models["m"].failed) == (1, 2)
    assert "TimeoutError" in result.models["m"].reason
