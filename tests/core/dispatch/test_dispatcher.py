"""Calls through the dispatcher, whatever the framework: a model here is an object with a price."""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from avengers_core import Budget, BudgetError, Ledger, NoCandidateError, Price, RouterEstimator
from avengers_core.dispatch import CallLabels, ClientProfile, Dispatcher, ModelPool, Prompt
from avengers_core.dispatch.failures import failure_kind, retry_after
from avengers_core.errors import EmptyAnswerError
from avengers_core.ledger.budget import PICO, budget_scopes
from avengers_core.pricing.types import TokenUsage
from avengers_core.routing.options import RouteOptions

USAGE = TokenUsage(input_tokens=1_000_000, output_tokens=1_000_000)
SUMS = Prompt("add the numbers 3 and 4", tokens=10.0)
DEFAULT = RouteOptions(alpha=0.5)


@dataclass
class Client:
    name: str


class StatusError(Exception):
    def __init__(self, status: int, headers: dict[str, str] | None = None) -> None:
        super().__init__("it quotes a secret")
        self.status_code = status
        self.response = Response(headers or {})


@dataclass
class Response:
    headers: dict[str, str]


Make = Callable[..., Dispatcher[Client]]


@pytest.fixture
def make(estimator: RouterEstimator) -> Make:
    def build(models: dict[str, Any] | None = None, ledger: Ledger | None = None, **fields: Any) -> Dispatcher[Client]:
        pool: ModelPool[Client] = ModelPool(
            estimator.router_,
            models or {name: Client(name) for name in ("small", "big", "mid")},
            lambda client: ClientProfile("provider", client.name, {"tools": client.name != "small"}),
            is_client=lambda value: isinstance(value, Client),
            prices={"small": Price(0.1, 0.2), "big": Price(3.0, 15.0), "mid": Price(0.5, 1.5)},
        )
        return Dispatcher(estimator.router_, pool, ledger=ledger, **fields)

    return build


def answer(
    dispatcher: Dispatcher[Client], prompt: Prompt = SUMS, options: RouteOptions = DEFAULT, **failures: Any
) -> Any:
    """The attempt that answered; ``failures`` are raised by the models that they are named after."""
    call = dispatcher.plan(prompt, options)
    for attempt in call:
        with attempt:
            if attempt.member.id in failures:
                raise failures[attempt.member.id]
            attempt.finish(USAGE, "its-name")
    return attempt


def test_a_row_says_what_happened_and_under_what_it_is_filed(make: Make, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.sqlite", store_prompts=True)
    call = make(ledger=ledger).plan(SUMS, DEFAULT, CallLabels("s", "r", ("a", "b")))
    for attempt in call:
        with attempt:
            attempt.finish(USAGE)
    (row,) = ledger.entries()
    assert (row["session"], row["run"], row["tags"]) == ("s", "r", ["a", "b"])
    assert (row["model"], row["provider"], row["status"], row["attempt"]) == (call.order[0], "provider", "ok", 0)
    assert (row["call"], row["decision"], row["alpha"]) == (call.id, call.decision.id, 0.5)
    assert (row["prompt"], row["propensity"], row["error"]) == (SUMS.text, 1.0, "")
    assert row["cost_usd"] == attempt.cost_usd
    assert float(row["expected_cost_usd"]) == pytest.approx(attempt.expected_cost)
    scopes = budget_scopes("s")
    assert ledger.spent(scopes.values()) == dict.fromkeys(scopes.values(), int(attempt.cost_usd * PICO))
    summary = attempt.summary()
    assert (summary["call_id"], summary["cost_usd"]) == (call.id, float(attempt.cost_usd))
    assert summary["attempts"] == [{"model": call.order[0], "error": None}]


def test_without_labels_a_call_counts_for_its_day_only(make: Make, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.sqlite")
    attempt = answer(make(ledger=ledger))
    (row,) = ledger.entries()
    assert (row["session"], row["run"], row["tags"]) == ("", "", [])
    scopes = budget_scopes("")
    assert ledger.spent(scopes.values()) == {scopes["day"]: int(attempt.cost_usd * PICO)}


def test_a_model_that_fails_is_followed_and_cools_down(make: Make, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.sqlite")
    dispatcher = make(ledger=ledger)
    first, second, *_ = dispatcher.plan(SUMS, DEFAULT).order
    attempt = answer(dispatcher, **{first: StatusError(429)})
    assert attempt.member.id == second
    rows = list(ledger.entries())
    assert [(row["model"], row["status"], row["error"]) for row in rows] == [
        (first, "rate_limit", "StatusError"),
        (second, "ok", ""),
    ]
    assert rows[0]["cost_usd"] == 0, "a refused attempt costs nothing"
    assert (rows[0]["propensity"], rows[1]["propensity"]) == (1.0, None), "a fallback is not the router's choice"
    plan = dispatcher.plan(SUMS, DEFAULT)
    assert plan.order[0] != first
    assert "cooling down" in plan.decision.excluded[first]
    only = RouteOptions(alpha=0.5, exclude_models=[name for name in dispatcher.pool.ids if name != first])
    assert dispatcher.plan(SUMS, only).order == [first], "a model that is cooling down is better than none"
    others = plan.decision.costs.min()
    own = dispatcher.router.route(SUMS.text, models=[first]).expected_cost
    assert own < others
    cheap = RouteOptions(max_cost=(own + others) / 2)
    assert dispatcher.plan(SUMS, cheap).order == [first], "or than none within the limit"
    answer(dispatcher, options=only)
    assert dispatcher.plan(SUMS, DEFAULT).order[0] == first, "it is well again"


def test_an_attempt_that_was_cut_off_may_cost_what_was_expected(make: Make, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.sqlite")
    dispatcher = make(ledger=ledger)
    first = dispatcher.plan(SUMS, DEFAULT).order[0]
    attempt = answer(dispatcher, **{first: TimeoutError()})
    lost, paid = ledger.entries()
    assert (lost["status"], lost["cost_usd"]) == ("timeout", None)
    day = budget_scopes("")["day"]
    assert ledger.spent([day]) == {day: int((lost["expected_cost_usd"] + paid["cost_usd"]) * PICO)}
    assert attempt.summary()["attempts"][0] == {"model": first, "error": "TimeoutError"}


@pytest.mark.parametrize("error", [StatusError(400), StatusError(422), KeyboardInterrupt()])
def test_what_another_model_cannot_help_with_is_raised(make: Make, tmp_path: Path, error: BaseException) -> None:
    ledger = Ledger(tmp_path / "l.sqlite")
    dispatcher = make(ledger=ledger)
    first = dispatcher.plan(SUMS, DEFAULT).order[0]
    with pytest.raises(type(error)):
        answer(dispatcher, **{first: error})
    (row,) = ledger.entries()
    assert row["status"] in ("caller", "cancelled")
    assert dispatcher.plan(SUMS, DEFAULT).order[0] == first


def test_a_stream_that_has_begun_is_not_begun_again(make: Make) -> None:
    call = make().plan(SUMS, DEFAULT)
    attempt = next(iter(call))
    with pytest.raises(ConnectionError), attempt:  # noqa: PT012
        attempt.begun = True
        raise ConnectionError
    assert len(call.outcomes) == 1


def test_the_first_failure_that_passes_is_raised(make: Make) -> None:
    dispatcher = make()
    first, second, last = dispatcher.plan(SUMS, DEFAULT).order
    failures: dict[str, Exception] = {first: TypeError("x"), second: StatusError(503), last: StatusError(500)}
    with pytest.raises(StatusError) as caught:
        answer(dispatcher, **failures)
    assert caught.value is failures[second]
    refusals: dict[str, Exception] = {name: ValueError(name) for name in (first, second, last)}
    with pytest.raises(ValueError, match=first):
        answer(make(), **refusals)


def test_a_request_that_a_client_refuses_goes_to_the_next_and_costs_nothing(make: Make, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.sqlite")
    dispatcher = make(ledger=ledger)
    first, second, _ = dispatcher.plan(SUMS, DEFAULT).order
    attempt = answer(dispatcher, **{first: TypeError("create() got an unexpected keyword argument 'seed'")})
    assert attempt.member.id == second
    rows = list(ledger.entries())
    assert [(row["status"], row["cost_usd"] == 0) for row in rows] == [("refused", True), ("ok", False)]
    assert dispatcher.plan(SUMS, DEFAULT).order[0] == first, "it does not rest: it takes other requests"


def test_a_model_that_is_gone_rests_for_long(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    dispatcher = make(cooldown=30.0)
    first = dispatcher.plan(SUMS, DEFAULT).order[0]
    answer(dispatcher, **{first: StatusError(404)})
    assert "may have retired it" in caplog.text
    assert dispatcher.plan(SUMS, DEFAULT).decision.excluded[first] == "cooling down for 300 s"


def test_too_long_for_one_is_not_too_long_for_the_next(make: Make) -> None:
    dispatcher = make()
    first, second, _ = dispatcher.plan(SUMS, DEFAULT).order
    attempt = answer(dispatcher, **{first: BodyError(400, {"code": "context_length_exceeded"})})
    assert attempt.member.id == second
    assert dispatcher.plan(SUMS, DEFAULT).order[0] == first


@pytest.mark.parametrize("scoring", ["utility", "reference"])
def test_a_tool_loop_stays_with_its_model(make: Make, scoring: str) -> None:
    dispatcher, options = make(), RouteOptions(alpha=0.5, scoring=scoring, exploration=0.5)
    for current in dispatcher.pool.ids:
        loop = Prompt(SUMS.text, current=current, in_tool_loop=True)
        call = dispatcher.plan(loop, options)
        assert call.order[0] == current
        assert call.propensity is None
    free = [dispatcher.plan(loop, options.override({"sticky": False})) for _ in range(30)]
    assert len({call.order[0] for call in free}) > 1
    assert all(call.propensity is not None for call in free)


def test_between_turns_a_scoring_without_dollars_changes_only_for_more_utility(make: Make) -> None:
    dispatcher, options = make(), RouteOptions(alpha=1.0, scoring="simple")
    best = dispatcher.plan(SUMS, options).order[0]
    worst = dispatcher.plan(SUMS, options).decision.ranking[-1]
    assert dispatcher.plan(Prompt(SUMS.text, current=best), options).order[0] == best
    changed = dispatcher.plan(Prompt(SUMS.text, current=worst), options)
    assert changed.order[0] == best
    assert changed.propensity is None


def test_a_budget_in_memory_holds(make: Make) -> None:
    dispatcher = make()
    limited = RouteOptions(alpha=0.5, budget=Budget(per_day=1.0))
    spent = 0.0
    with pytest.raises(BudgetError, match="leaves no model"):  # noqa: PT012
        for _ in range(100):
            spent += float(answer(dispatcher, options=limited).cost_usd)
    assert 1.0 <= spent < 1.0 + 18.0, "only what was really spent exceeds what was expected"


def test_reasons_are_kept(make: Make) -> None:
    excluded = RouteOptions(exclude_models={"big": "it is on holiday"})
    assert make().plan(SUMS, excluded).decision.excluded["big"] == "it is on holiday"
    needs_tools = Prompt(SUMS.text, needs={"tools": True})
    assert make().plan(needs_tools, DEFAULT).decision.excluded["small"] == "no tools"
    with pytest.raises(NoCandidateError, match="no model can take this call") as caught:
        make().plan(needs_tools, RouteOptions(exclude_models=["big", "mid"]))
    assert caught.value.reasons == {
        "small": "no tools", "big": "excluded by the caller", "mid": "excluded by the caller",
    }  # fmt: skip
    with pytest.raises(NoCandidateError, match="the artifact has no model 'huge'"):
        make().plan(SUMS, RouteOptions(fallbacks=["huge"]))


def test_fallbacks_are_as_many_or_those_that_are_named(make: Make) -> None:
    full = make().plan(SUMS, DEFAULT)
    assert sorted(full.order) == ["big", "mid", "small"]
    assert full.order == full.decision.ranking
    assert make().plan(SUMS, DEFAULT.override({"fallbacks": False})).order == full.order[:1]
    assert make().plan(SUMS, DEFAULT.override({"fallbacks": 1})).order == full.order[:2]
    named = make().plan(SUMS, DEFAULT.override({"fallbacks": full.order[::-1]})).order
    assert named == [full.order[0], *full.order[:0:-1]]


def test_models_that_cannot_be_made_are_left_out_with_one_warning(make: Make) -> None:
    def missing() -> Client:
        raise ImportError("pip install it\nsecond line")

    dispatcher = make({"small": missing, "big": missing, "mid": lambda: Client("mid")})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert answer(dispatcher).member.id == "mid"
        assert answer(dispatcher).member.id == "mid"
    (warning,) = [str(w.message) for w in caught if "leaves out" in str(w.message)]
    assert "small: ImportError: pip install it" in warning
    assert "big: ImportError: pip install it" in warning
    assert set(dispatcher.pool.unavailable) == {"small", "big"}


class BodyError(Exception):
    def __init__(self, status: int, body: object, text: str = "") -> None:
        super().__init__(text)
        self.status_code, self.body = status, body


def broken_answer() -> Exception:
    def _create_chat_result() -> None:
        raise ValueError("what is this?")

    try:
        _create_chat_result()
    except ValueError as error:
        return error
    raise AssertionError


class BadGateway(Exception):
    http_status = 502


class ReadTimeoutError(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (StatusError(429), "rate_limit"),
        (StatusError(403), "auth"),
        (StatusError(408), "timeout"),
        (StatusError(404), "not_found"),
        (StatusError(400), "caller"),
        (StatusError(402), "auth"),
        (StatusError(413), "too_long"),
        (BodyError(200, {"type": "error", "error": {"type": "overloaded_error"}}), "server"),
        (BodyError(200, {"type": "error", "error": {"type": "rate_limit_error"}}), "rate_limit"),
        (BodyError(200, {"error": {"message": "x", "code": 502}}), "server"),
        (BodyError(200, {"error": {"type": "invalid_request_error"}}), "caller"),
        (BodyError(200, {"error": {"message": "words", "type": "new_kind"}}), "server"),
        (BodyError(400, None, "prompt is too long: 210000 tokens > 200000 maximum"), "too_long"),
        (BodyError(400, None, "This model's maximum context length is 8192 tokens"), "too_long"),
        (BodyError(400, None, "The model `gpt-4-x` has been decommissioned"), "not_found"),
        (BodyError(400, None, "Unsupported parameter: not supported with this model"), "caller"),
        (ValueError({"message": "slow down", "type": "rate_limit_exceeded"}), "rate_limit"),
        (TypeError("'NoneType' object is not iterable"), "invalid_response"),
        (TypeError("create() got an unexpected keyword argument 'seed'"), "refused"),
        (UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"), "invalid_response"),
        (IndexError("list index out of range"), "invalid_response"),
        (NotImplementedError("no images"), "refused"),
        (broken_answer(), "invalid_response"),
        (BadGateway(), "server"),
        (asyncio.TimeoutError(), "timeout"),
        (ReadTimeoutError(), "timeout"),
        (ConnectionResetError(), "connection"),
        (EmptyAnswerError(), "invalid_response"),
        (ValueError(), "refused"),
    ],
)
def test_kinds_of_failures(error: Exception, kind: str) -> None:
    assert failure_kind(error) == kind


def test_a_provider_may_ask_for_a_longer_cooldown(make: Make) -> None:
    assert retry_after(StatusError(429, {"retry-after": "120"})) == 120
    assert retry_after(StatusError(429, {"retry-after": "soon"})) == 0
    dispatcher = make(cooldown=30.0)
    first = dispatcher.plan(SUMS, DEFAULT).order[0]
    answer(dispatcher, **{first: StatusError(429, {"retry-after": "100"})})
    assert dispatcher.plan(SUMS, DEFAULT).decision.excluded[first] == "cooling down for 100 s"


# --- paid answers ---


def test_impossible_tokens_are_unknown_and_charged_as_expected(make: Make, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.sqlite")
    for attempt in make(ledger=ledger).plan(SUMS, DEFAULT):
        with attempt:
            attempt.finish(TokenUsage(input_tokens=10, output_tokens=5, cache_read_tokens=99))
    (row,) = ledger.entries()
    assert (row["status"], row["cost_usd"], row["input_tokens"]) == ("ok", None, None)
    assert ledger.spent([budget_scopes("")["day"]]) == {budget_scopes("")["day"]: int(row["expected_cost_usd"] * PICO)}


def test_a_callback_that_fails_does_not_undo_a_paid_answer(make: Make, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.sqlite")
    call = make(ledger=ledger).plan(SUMS, DEFAULT)
    with pytest.raises(RuntimeError, match="a handler"):  # noqa: PT012
        for attempt in call:
            with attempt:
                attempt.finish(TokenUsage(input_tokens=1000, output_tokens=10))
                raise RuntimeError("a handler")
    (row,) = ledger.entries()
    assert row["status"] == "ok"
    assert row["cost_usd"] > 0
    assert len(call.outcomes) == 1, "it is not asked again"


def test_a_cached_answer_costs_nothing(make: Make, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.sqlite")
    for attempt in make(ledger=ledger).plan(SUMS, DEFAULT):
        with attempt:
            attempt.finish(TokenUsage(input_tokens=1000, output_tokens=10), cached=True)
    (row,) = ledger.entries()
    assert (row["cost_usd"], row["input_tokens"]) == (0, None)


def test_a_stream_that_is_closed_is_charged_for_what_came(make: Make, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.sqlite")
    attempt = next(iter(make(ledger=ledger).plan(SUMS, DEFAULT)))
    with pytest.raises(GeneratorExit), attempt:  # noqa: PT012
        attempt.begun = True
        for _ in range(1000):
            attempt.count(3500)
        raise GeneratorExit
    (row,) = ledger.entries()
    assert (row["status"], row["cost_usd"]) == ("cancelled", None)
    counted = attempt.member.price_schedule.cost(TokenUsage(input_tokens=1, output_tokens=10**6))
    day = budget_scopes("")["day"]
    assert counted is not None
    assert ledger.spent([day])[day] >= int(counted * PICO) > row["expected_cost_usd"] * PICO


async def test_the_async_twin_records_even_if_its_task_is_cancelled(make: Make, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.sqlite")
    call = make(ledger=ledger).plan(SUMS, DEFAULT)

    async def ask() -> None:
        async for attempt in call:
            async with attempt:
                await asyncio.sleep(60)

    task = asyncio.ensure_future(ask())
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    while not (rows := list(ledger.entries())):
        await asyncio.sleep(0.01)
    assert [row["status"] for row in rows] == ["cancelled"]


async def test_money_of_an_attempt_that_a_cancelled_task_cannot_make_is_given_back(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(tmp_path / "l.sqlite")
    reserving, go_on, reserve = threading.Event(), threading.Event(), ledger.reserve

    def slowly(amount: int, limits: Any) -> bool:
        taken = reserve(amount, limits)
        reserving.set()
        go_on.wait(10)
        return taken

    monkeypatch.setattr(ledger, "reserve", slowly)
    call = make(ledger=ledger).plan(SUMS, RouteOptions(alpha=0.5, budget=Budget(per_day=100.0)))
    day = budget_scopes("")["day"]

    async def ask() -> None:
        async for _ in call:
            raise AssertionError("the task was cancelled before")

    task = asyncio.ensure_future(ask())
    await asyncio.to_thread(reserving.wait, 10)
    assert ledger.spent([day])[day] > 0
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    for _ in range(200):
        if not ledger.spent([day])[day]:
            break
        await asyncio.sleep(0.01)
    assert ledger.spent([day]) == {day: 0}


def test_a_call_that_is_made_twice_has_two_rows(make: Make, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.sqlite")
    call = make(ledger=ledger).plan(SUMS, DEFAULT)
    for _ in range(2):
        for attempt in call:
            with attempt:
                attempt.finish(USAGE)
    first, second = ledger.entries()
    assert first["call"] != second["call"]
    assert first["decision"] == second["decision"]
