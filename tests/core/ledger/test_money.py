from __future__ import annotations

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from avengers_core import Budget, Ledger, LedgerError
from avengers_core.ledger import connection, writer
from avengers_core.ledger.budget import PICO, budget_scopes, picodollars, within
from avengers_core.ledger.budget_store import BudgetStore, InMemoryBudgetStore, remaining
from avengers_core.ledger.entry import Entry, now
from avengers_core.ledger.factory import open_ledger
from avengers_core.ledger.reservation import Reservation
from avengers_core.ledger.rows import to_row
from avengers_core.ledger.schema import SCHEMA_VERSION
from avengers_core.ledger.writer import PendingRow, wait
from avengers_core.pricing.list_price import calculate, linear_rates
from avengers_core.pricing.tariff import PriceSchedule
from avengers_core.pricing.types import Price, TokenUsage
from hypothesis import given, settings
from hypothesis import strategies as st

MODELS = [
    "openai:gpt-4o",
    "openai:gpt-5",
    "anthropic:claude-3-5-sonnet",
    "google:gemini-2.5-pro",
    "deepseek:deepseek-chat",
]


@st.composite
def usages(draw: st.DrawFn) -> TokenUsage:
    total, output = draw(st.integers(0, 500_000)), draw(st.integers(0, 50_000))
    read = draw(st.integers(0, total))
    write = draw(st.integers(0, total - read))
    hour = draw(st.integers(0, write))
    reasoning = draw(st.integers(0, output))
    return TokenUsage(
        input_tokens=total,
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=write,
        cache_write_1h_tokens=hour,
        reasoning_tokens=reasoning,
    )


@settings(max_examples=60, deadline=None)
@given(usages(), st.sampled_from(MODELS))
def test_list_prices_are_genai_prices_own(usage: TokenUsage, price_id: str) -> None:
    assert PriceSchedule(price_id).cost(usage) == calculate(price_id, usage)


def test_tiers_are_not_taken_for_linear() -> None:
    assert linear_rates("google:gemini-2.5-pro") is None
    assert linear_rates("openai:gpt-4o") is not None


def test_dollars_are_exact() -> None:
    assert picodollars(Decimal("0.000000075")) == 75_000
    assert picodollars(None) is None
    assert picodollars(float("nan")) is None
    assert within(0.5, None)
    assert not within(float("nan"), 10)
    assert within(1e-12, 1)


@pytest.mark.parametrize("limit", [0, -1, float("nan"), float("inf")])
def test_a_budget_is_positive(limit: float) -> None:
    with pytest.raises(ValueError, match="per_day must be a positive"):
        Budget(per_day=limit)


def entry(**fields: Any) -> Entry:
    given: dict[str, Any] = {
        "time": now(), "call": "c", "decision": "d", "attempt": 0, "model": "m", "provider": "p", "status": "ok",
        "alpha": 0.4, "usage": TokenUsage(input_tokens=3, output_tokens=4), "cost_pico": 10, "expected_cost_pico": 12,
    }  # fmt: skip
    return Entry(**{**given, **fields})


def test_money_in_memory_holds_under_threads() -> None:
    store, limits = InMemoryBudgetStore(), {"day": 1000}
    taken = []

    def work(_: int) -> None:
        if store.reserve(10, limits):
            taken.append(1)
            store.begin_record(entry(cost_pico=10), reserved={"day": 10})

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(500)))
    assert len(taken) == 100
    assert remaining(store, limits) == 0


def test_reserved_money_is_not_spent_twice() -> None:
    store, limits = InMemoryBudgetStore(), {"day": 100}
    assert store.reserve(60, limits)
    assert not store.reserve(60, limits)
    store.begin_record(entry(cost_pico=20), reserved={"day": 60})
    assert remaining(store, limits) == 80
    assert store.reserve(80, limits)


@pytest.mark.parametrize("kind", ["memory", "ledger"])
def test_a_reservation_is_settled_with_what_was_spent(kind: str, tmp_path: Path) -> None:
    store: BudgetStore = InMemoryBudgetStore() if kind == "memory" else Ledger(tmp_path / "l.sqlite")
    budget, scopes = Budget(per_call=2.0, per_session=3.0, per_day=10.0), budget_scopes("s")
    limits = budget.limits(scopes)
    assert not Reservation(store, budget, "s", 2.5).take(), "more than one call may cost"
    assert not Reservation(store, budget, "s", float("nan")).take(), "an unknown cost fits no limit"
    first, second = (Reservation(store, budget, "s", 2.0) for _ in range(2))
    assert first.take()
    assert not second.take(), "the session has a dollar left"
    assert store.spent(limits) == dict.fromkeys(limits, 2 * PICO)
    wait(first.settle(lambda: entry(cost_pico=PICO // 2)))
    assert store.spent(limits) == dict.fromkeys(limits, PICO // 2)
    assert second.take()
    wait(second.settle(lambda: entry(cost_pico=None, expected_cost_pico=2 * PICO)))
    assert store.spent(limits) == dict.fromkeys(limits, 5 * PICO // 2), "an unknown cost counts as the expected one"
    assert Reservation(store, Budget(), "", float("nan")).take(), "without limits any cost will do"


def test_threads_and_ledgers_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "l.sqlite"
    ledgers = [Ledger(path) for _ in range(4)]
    barrier = threading.Barrier(4)

    def work(ledger: Ledger) -> None:
        barrier.wait()
        for _ in range(50):
            ledger.record(entry(), ["day:1", "session:s"])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, ledgers))
    assert len(list(ledgers[0].entries())) == 200
    assert ledgers[1].spent(["day:1", "session:s", "day:2"]) == {"day:1": 2000, "session:s": 2000}


def test_an_unknown_cost_is_spent_as_expected_and_reported_as_unknown(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.sqlite")
    ledger.record(entry(cost_pico=None, usage=None), ["day:1"])
    ledger.record(entry(cost_pico=None, expected_cost_pico=None, status="timeout"), ["day:1"])
    assert ledger.spent(["day:1"]) == {"day:1": 12}
    (row,) = ledger.report()
    assert (row["cost_usd"], row["unknown"], row["calls"], row["failed"]) == (0, 2, 1, 1)


def test_reports(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.sqlite")
    ledger.record(entry(model="a", tags=["x", "y"], cost_pico=3 * PICO, seconds=2.0))
    ledger.record(entry(model="b", tags=["x"], cost_pico=1 * PICO, seconds=2.0))
    ledger.record(entry(model="a", cost_pico=1 * PICO, seconds=4.0, first_token_seconds=1.5))
    ledger.record(entry(model="b", cost_pico=0, seconds=60.0, status="timeout"))
    by_model = {row["model"]: row for row in ledger.report()}
    assert (by_model["a"]["seconds"], by_model["a"]["first_token_seconds"]) == (3.0, 1.5)
    assert (by_model["b"]["seconds"], by_model["b"]["first_token_seconds"]) == (2.0, None)
    assert [(row["model"], row["cost_usd"]) for row in ledger.report()] == [("a", 4), ("b", 1)]
    assert {row["tag"]: row["cost_usd"] for row in ledger.report("tag")} == {"x": 4, "y": 3, "(none)": 1}
    assert len(ledger.report("day")) == 1
    assert ledger.report(since="2999-01-01") == []
    with pytest.raises(ValueError, match="by must be one of"):
        ledger.report("hour")


def test_a_ledgers_errors_hide_its_password(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="cannot be opened") as caught:
        Ledger("postgresql+nodriver://me:canary@localhost/db")
    assert "canary" not in str(caught.value)
    with pytest.raises(LedgerError, match="not an SQLAlchemy URL") as caught:
        Ledger("://me:canary@nowhere")
    assert "canary" not in str(caught.value)
    with pytest.raises(LedgerError, match="cannot be opened"):
        Ledger(tmp_path)


def test_which_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AVENGERS_LEDGER", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert open_ledger(None) is None
    assert open_ledger(False) is None
    ledger = open_ledger(True)
    assert ledger is not None
    assert (tmp_path / "avengers" / "ledger.sqlite").is_file()
    monkeypatch.setenv("AVENGERS_LEDGER", str(tmp_path / "other.sqlite"))
    assert open_ledger(None) is not None
    assert (tmp_path / "other.sqlite").is_file()
    assert budget_scopes("s")["session"] == "session:s"


def test_ledgers_of_other_processes_hold_one_limit_together(tmp_path: Path) -> None:
    one, two = Ledger(tmp_path / "l.sqlite"), Ledger(tmp_path / "l.sqlite")
    limits = {"day:1": 100, "session:s": 70}
    assert one.reserve(60, limits)
    assert not two.reserve(60, limits)
    assert two.spent(limits) == {"day:1": 60, "session:s": 60}, "a refused reservation takes nothing"
    one.record(entry(cost_pico=20), limits, dict.fromkeys(limits, 60))
    assert two.spent(limits) == {"day:1": 20, "session:s": 20}
    assert two.reserve(50, limits)
    assert remaining(one, limits) == 0


def test_a_ledger_of_an_older_version_gets_the_new_columns_and_a_version(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    Ledger(path).close()
    with sqlite3.connect(path) as db:
        for name in ("artifact", "cluster", "similarity", "propensity"):
            db.execute(f"ALTER TABLE calls DROP COLUMN {name}")
        db.execute("DROP TABLE schema_version")
    ledger = Ledger(path)
    ledger.record(entry(cluster=3, propensity=0.25))
    (row,) = ledger.entries()
    assert (row["cluster"], row["propensity"], row["artifact"]) == (3, 0.25, "")
    assert ledger.schema_version == SCHEMA_VERSION
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT id, version FROM schema_version").fetchall() == [(1, SCHEMA_VERSION)]


def test_a_ledger_of_a_later_version_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    Ledger(path).close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE schema_version SET version = ?", [SCHEMA_VERSION + 1])
    with pytest.raises(LedgerError, match="written by a later version of avengers-router"):
        Ledger(path)
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT version FROM schema_version").fetchall() == [(SCHEMA_VERSION + 1,)]


def test_a_row_is_read_as_it_was_written(tmp_path: Path) -> None:
    usage = TokenUsage(input_tokens=9, output_tokens=5, cache_read_tokens=4, reasoning_tokens=2)
    written = entry(
        usage=usage, session="s", run="r", tags=["a", "b"], error="E", cost_pico=7, expected_cost_pico=None,
        seconds=1.5, prompt="secret", artifact="abc", cluster=3, similarity=0.5, propensity=0.25,
    )  # fmt: skip
    for store_prompts in (False, True):
        ledger = Ledger(tmp_path / f"{store_prompts}.sqlite", store_prompts=store_prompts)
        ledger.record(written)
        (row,) = ledger.entries()
        assert row["prompt"] == ("secret" if store_prompts else None)
        assert (row["cost_usd"], row["expected_cost_usd"]) == (Decimal(7) / PICO, None)
        assert {kind: row[kind] for kind in usage.__struct_fields__} == {
            kind: getattr(usage, kind) for kind in usage.__struct_fields__
        }
        same = ("call", "decision", "attempt", "model", "provider", "status", "alpha", "session", "run", "tags",
                "error", "seconds", "artifact", "cluster", "similarity", "propensity")  # fmt: skip
        assert {name: row[name] for name in same} == {name: getattr(written, name) for name in same}


def test_feedback_is_a_number_a_bool_or_a_thumb(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.sqlite")
    for score in (0.25, True, "down", "up"):
        ledger.add_feedback("a", score)
    ledger.add_feedback("a", 0.5, "correctness")
    assert ledger.feedback() == {"a": {"user": 1.0, "correctness": 0.5}}
    for wrong in (1.5, -1, float("nan"), "good", None):
        with pytest.raises(ValueError, match="a score must be"):
            ledger.add_feedback("a", wrong)  # type: ignore[arg-type]


# --- what cannot be ---


@pytest.mark.parametrize(
    "usage",
    [
        TokenUsage(),
        TokenUsage(input_tokens=-5, output_tokens=3),
        TokenUsage(input_tokens=5, output_tokens=3, cache_read_tokens=6),
        TokenUsage(input_tokens=5, output_tokens=3, cache_read_tokens=3, cache_write_tokens=3),
        TokenUsage(input_tokens=5, output_tokens=3, output_audio_tokens=4),
        TokenUsage(input_tokens=2**70, output_tokens=3),
    ],
)
def test_counts_that_cannot_be(usage: TokenUsage) -> None:
    assert not usage.plausible
    assert TokenUsage(input_tokens=5, output_tokens=0, cache_read_tokens=5).plausible


@pytest.mark.parametrize("rate", [-0.1, float("nan"), float("inf")])
def test_a_price_below_nothing_is_refused(rate: float) -> None:
    for name in ("input", "output", "cache_read"):
        with pytest.raises(ValueError, match=f"{name} must be 0 or more US dollars"):
            Price(**{"input": 1.0, "output": 1.0, name: rate})


@pytest.mark.parametrize("session", ["s" * 300, "nul\0l", "lone \ud800 surrogate", "s" * 300 + "\0", "日本" * 200])
def test_a_row_is_kept_whatever_its_session_is_called(tmp_path: Path, session: str) -> None:
    ledger = Ledger(tmp_path / "l.sqlite", store_prompts=True)
    scopes = budget_scopes(session)
    assert len(scopes["session"]) < 255
    odd = entry(session=session, tags=[session], run=session, prompt=session, cost_pico=picodollars(Decimal(10**9)))
    ledger.record(odd, scopes.values())
    (row,) = ledger.entries()
    assert len(row["session"]) <= 200
    assert "\0" not in row["session"] + row["prompt"] + row["tags"][0]
    assert ledger.spent(scopes.values()) == dict.fromkeys(scopes.values(), row["cost_usd"] * PICO)


def test_long_sessions_do_not_become_one() -> None:
    assert budget_scopes("s" * 300)["session"] != budget_scopes("s" * 301)["session"]
    assert budget_scopes("short")["session"] == "session:short"


@pytest.mark.parametrize("day", ["2026-13-45", "yesterday", "2026-1-1", "20260101"])
def test_a_day_that_is_none_is_an_error(tmp_path: Path, day: str) -> None:
    ledger = Ledger(tmp_path / "l.sqlite")
    with pytest.raises(ValueError, match=f"since: '{day}' is not a day"):
        ledger.report(since=day)
    with pytest.raises(ValueError, match=f"until: '{day}' is not a day"):
        list(ledger.entries(until=day))


# --- databases that are away ---


def test_a_locked_ledger_does_not_lose_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "WAIT", 0.1)
    ledger = Ledger(tmp_path / "l.sqlite")
    ledger.writer._pause = 0.05
    other = sqlite3.connect(tmp_path / "l.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    ledger.record(entry(call="paid"), ["day:1"])
    assert len(ledger.writer) == 1
    other.execute("COMMIT")
    other.close()
    ledger.close()
    again = Ledger(tmp_path / "l.sqlite")
    assert [row["call"] for row in again.entries()] == ["paid"]
    assert again.spent(["day:1"]) == {"day:1": 10}
    written = PendingRow(to_row(entry(call="paid"), store_prompt=False), {"day:1": 10}, tried=True)
    again._write([written, PendingRow(to_row(entry(call="new"), store_prompt=False), {"day:1": 10})])
    assert [row["call"] for row in again.entries()] == ["paid", "new"], "the first is there already"
    assert again.spent(["day:1"]) == {"day:1": 20}


def test_a_ledger_that_says_nothing_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer, "PATIENCE", 0.1)
    ledger = Ledger(tmp_path / "l.sqlite")
    ledger.writer._bounded = False  # as of a database behind a network
    answers, write = threading.Event(), ledger.writer._write
    monkeypatch.setattr(ledger.writer, "_write", lambda batch: (answers.wait(10), write(batch)))
    ledger.record(entry(call="paid"), ["day:1"])
    assert "a row is written later" in caplog.text
    answers.set()
    ledger.close()
    assert [row["call"] for row in Ledger(tmp_path / "l.sqlite").entries()] == ["paid"]


def test_rows_of_many_threads_are_written_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(tmp_path / "l.sqlite")
    sizes, write = [], ledger.writer._write

    def slow(batch: Any) -> None:
        sizes.append(len(batch))
        time.sleep(0.02)
        write(batch)

    monkeypatch.setattr(ledger.writer, "_write", slow)
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda n: ledger.record(entry(call=str(n), cost_pico=3), ["day:1", "session:s"]), range(100)))
    assert sum(sizes) == 100
    assert len(sizes) < 30
    assert sorted(int(row["call"]) for row in ledger.entries()) == list(range(100))
    assert ledger.spent(["day:1", "session:s"]) == {"day:1": 300, "session:s": 300}


def test_a_row_that_is_refused_holds_up_no_other(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.sqlite")
    rows = [to_row(entry(call=str(n)), store_prompt=False) for n in range(3)]
    rows[1]["time"] = None
    with ledger.writer._changed:  # so that they are one batch
        done = [ledger.writer.add(row, {"day:1": 10}) for row in rows]
    for number, one in enumerate(done):
        if number == 1:
            with pytest.raises(LedgerError, match="could not be recorded"):
                wait(one)
        else:
            wait(one)
    assert [row["call"] for row in ledger.entries()] == ["0", "2"]
    assert ledger.spent(["day:1"]) == {"day:1": 20}


def test_a_removed_file_is_begun_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ledger = Ledger(tmp_path / "l.sqlite")
    ledger.record(entry(call="before"), ["day:1"])
    for file in tmp_path.glob("l.sqlite*"):
        file.unlink()
    ledger.record(entry(call="after"), ["day:1"])
    assert "was removed while in use" in caplog.text
    assert [row["call"] for row in Ledger(tmp_path / "l.sqlite").entries()] == ["after"]
