from __future__ import annotations

import random
import sqlite3
from collections import Counter
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from avengers_core.errors import LedgerError
from avengers_core.ledger.budget import PICO, Budget
from avengers_core.ledger.entry import Entry, now
from avengers_core.ledger.reader import CallFilter, LedgerReader
from avengers_core.ledger.reservation import Reservation
from avengers_core.ledger.store import Ledger
from avengers_core.pricing.types import TokenUsage

DAY = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)


def entry(call: str = "c", **given: Any) -> Entry:
    values: dict[str, Any] = {
        "time": DAY, "call": call, "decision": "d", "attempt": 0, "model": "small", "provider": "openai",
        "status": "ok", "alpha": 0.5, "usage": TokenUsage(input_tokens=10, output_tokens=5), "cost_pico": 1000,
        "expected_cost_pico": 900, "seconds": 1.0,
    }  # fmt: skip
    return Entry(**{**values, **given})


def some_entries(count: int, seed: int = 0) -> list[Entry]:
    chance = random.Random(seed)
    return [
        entry(
            f"call{number}",
            time=DAY - timedelta(days=chance.randrange(4)),
            attempt=chance.randrange(2),
            model=chance.choice(["small", "large"]),
            status=chance.choice(["ok", "ok", "timeout"]),
            decision=chance.choice(["d", "d", ""]),
            tags=chance.sample(["rag", "a_b", "a%b"], chance.randrange(3)),
            session=chance.choice(["", "s1", "s2"]),
            cost_pico=chance.choice([None, chance.randrange(10**9)]),
            usage=chance.choice([None, TokenUsage(input_tokens=chance.randrange(1, 99), output_tokens=3)]),
            seconds=chance.random(),
        )
        for number in range(count)
    ]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite")


def test_sums_are_those_of_the_report(ledger: Ledger) -> None:
    for one in some_entries(200):
        ledger.record(one)
    reader = LedgerReader(ledger.url.database)
    for _ in range(2):  # the second time from what is kept
        for by in ("model", "day", "provider", "status"):
            sums: dict[str, Counter[str]] = {}
            for row in reader.totals():
                sums.setdefault(row[by], Counter()).update(
                    calls=row["attempts"] * (row["status"] == "ok"),
                    failed=row["attempts"] * (row["status"] != "ok"),
                    unknown=row["attempts"] * (not row["known"]),
                    **{name: row[name] for name in ("input_tokens", "output_tokens", "picodollars")},
                )
            for told in ledger.report(by):
                found = sums.pop(told[by])
                assert Decimal(found.pop("picodollars")) / PICO == told["cost_usd"]
                assert {name: told[name] for name in found} == dict(found)
            assert not sums
        ledger.record(entry("late", time=DAY - timedelta(days=2), cost_pico=7))  # a day that was summed already
    told = {row["tag"]: row["cost_usd"] for row in ledger.report("tag")}
    assert {row["tag"]: Decimal(row["picodollars"]) / PICO for row in reader.tags()} == told
    told = {row["session"]: row["cost_usd"] for row in ledger.report("session") if row["session"]}
    assert {row["session"]: Decimal(row["picodollars"]) / PICO for row in reader.sessions()} == told


def test_a_period_is_summed(ledger: Ledger) -> None:
    for one in some_entries(100):
        ledger.record(one)
    reader = LedgerReader(ledger.url.database)
    total = sum(row["attempts"] for row in reader.totals("2026-11-19", "2026-11-19"))
    assert total == sum(row["calls"] + row["failed"] for row in ledger.report("day", "2026-11-19", "2026-11-19")) > 0
    with pytest.raises(ValueError, match="since: 'monday' is not a day"):
        reader.totals("monday")


def test_nothing_is_changed(ledger: Ledger) -> None:
    ledger.record(entry())
    reader = LedgerReader(ledger.url.database)
    with pytest.raises(sa.exc.OperationalError, match="readonly"), reader._engine.begin() as db:
        db.exec_driver_sql("DELETE FROM calls")
    assert reader.newest() == 1


def test_pages_and_filters(ledger: Ledger) -> None:
    entries = some_entries(120)
    for one in entries:
        ledger.record(one)
    reader = LedgerReader(ledger.url.database)
    first = reader.page(CallFilter(), limit=100)
    rest = reader.page(CallFilter(), before=first[-1]["id"], limit=100)
    assert [row["call"] for row in first + rest] == [one.call for one in reversed(entries)]
    assert "prompt" not in first[0]
    for chosen, matches in (
        (CallFilter(model="large"), lambda one: one.model == "large"),
        (CallFilter(status="failed"), lambda one: one.status != "ok"),
        (CallFilter(status="timeout"), lambda one: one.status == "timeout"),
        (CallFilter(session="s1"), lambda one: one.session == "s1"),
        (CallFilter(tag="a_b"), lambda one: "a_b" in one.tags),
        (CallFilter(tag="a%b"), lambda one: "a%b" in one.tags),
        (CallFilter(tag="a"), lambda one: False),
        (CallFilter(since="2026-11-20", until="2026-11-20"), lambda one: one.time.day == 20),
    ):
        assert {row["call"] for row in reader.page(chosen, limit=200)} == {one.call for one in entries if matches(one)}


def test_a_call_and_a_run(ledger: Ledger) -> None:
    ledger.record(entry("one", run="r", attempt=0, status="timeout"))
    ledger.record(entry("one", run="r", attempt=1))
    ledger.record(entry("two", run="r"))
    ledger.add_feedback("one", 1)
    ledger.add_feedback("r", "down", "tone")
    reader = LedgerReader(ledger.url.database)
    assert [row["attempt"] for row in reader.call("one")] == [0, 1]
    assert [row["call"] for row in reader.call("r")] == ["one", "one", "two"]
    assert reader.call("none") == []
    assert [(row["key"], row["score"]) for row in reader.feedback(["one", "r"])] == [("user", 1.0), ("tone", 0.0)]


def test_feedback_is_the_answering_models(ledger: Ledger) -> None:
    ledger.record(entry("one", model="large", status="timeout"))
    ledger.record(entry("one", attempt=1))
    ledger.record(entry("two", run="r", model="large"))
    ledger.add_feedback("one", 0)
    ledger.add_feedback("one", 1)  # the later one counts
    ledger.add_feedback("r", 0.5)
    reader = LedgerReader(ledger.url.database)
    assert [(one["model"], one["key"], one["scores"], one["mean"]) for one in reader.feedback_by_model()] == [
        ("large", "user", 1, 0.5),
        ("small", "user", 1, 1.0),
    ]


@pytest.mark.parametrize("kept", [True, False])
def test_decisions_are_kept_once_a_call_unless_told_otherwise(tmp_path: Path, kept: bool) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite", store_decisions=kept)
    for attempt in range(2):
        ledger.record(entry("one", attempt=attempt, describe_decision=lambda: '{"model": "small"}'))
    reader = LedgerReader(ledger.url.database)
    assert reader.decision("one") == ({"model": "small"} if kept else None)
    assert reader.decision("two") is None


def test_a_decision_that_is_no_text_loses_no_row(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    def describe() -> str:
        raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")

    ledger.record(entry("one", describe_decision=describe))
    assert len(LedgerReader(ledger.url.database).call("one")) == 1
    assert "cannot be kept" in caplog.text


def test_limits_of_today(ledger: Ledger) -> None:
    budget = Budget(per_day=2.0, per_session=1.0)
    for session, expected in (("near", 0.9), ("far", 0.1)):
        reservation = Reservation(ledger, budget, session, expected)
        assert reservation.take()
        spent = entry(session, time=now(), session=session, cost_pico=round(expected * PICO))
        reservation.settle(lambda spent=spent: spent)
    Reservation(ledger, Budget(per_session=5.0), "idle", 0.1).take()  # no call of it is from today
    limits = LedgerReader(ledger.url.database).limits()
    shares = [(row["scope"].partition(":")[2], row["picodollars"] / row["limit_picodollars"]) for row in limits]
    assert shares == [("near", 0.9), (f"{now():%Y-%m-%d}", 0.5), ("far", 0.1)]


def test_models_that_are_cooling_down(ledger: Ledger) -> None:
    failed = {"status": "rate_limit", "seconds": 1.0, "cooldown_seconds": 30.0}
    for number, (model, before) in enumerate([("resting", 11), ("rested", 40), ("back", 11)]):
        ledger.record(entry(f"{number}", model=model, time=DAY - timedelta(seconds=before), **failed))
    ledger.record(entry("ok", model="back", time=DAY - timedelta(seconds=5)))
    found = LedgerReader(ledger.url.database).cooling_down(DAY)
    assert found == [{"model": "resting", "status": "rate_limit", "seconds": pytest.approx(20)}]


def test_a_ledger_of_an_earlier_version_says_what_to_do(ledger: Ledger) -> None:
    path = str(ledger.url.database)
    ledger.close()
    with sqlite3.connect(path) as db:
        db.execute("ALTER TABLE spend DROP COLUMN limit_picodollars")
        db.execute("DROP TABLE decisions")
    with pytest.raises(LedgerError, match=r"`avengers ledger .*` brings it up to date"):
        LedgerReader(path)
    Ledger(path)
    assert LedgerReader(path).newest() == 0


def test_what_is_no_ledger_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such ledger"):
        LedgerReader(tmp_path / "none.sqlite")
    (tmp_path / "text.sqlite").write_text("not a database, whatever its name is" * 30)
    with pytest.raises(LedgerError, match="cannot be read"):
        LedgerReader(tmp_path / "text.sqlite")
    sqlite3.connect(tmp_path / "other.sqlite").execute("CREATE TABLE t (x)").connection.close()
    with pytest.raises(LedgerError, match="cannot be read"):
        LedgerReader(tmp_path / "other.sqlite")
