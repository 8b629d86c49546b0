"""What a ledger does if its database is away, its file is replaced, or Python cannot go on: no paid answer is lost."""

from __future__ import annotations

import gc
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from avengers_core import Ledger, LedgerError
from avengers_core.ledger import connection, writer
from avengers_core.ledger.budget_store import InMemoryBudgetStore, remaining
from avengers_core.ledger.entry import Entry, now
from avengers_core.ledger.rows import to_row
from avengers_core.ledger.writer import wait
from avengers_core.pricing.types import TokenUsage


def entry(call: str, **fields: Any) -> Entry:
    given: dict[str, Any] = {
        "time": now(), "call": call, "decision": "d", "attempt": 0, "model": "m", "provider": "p", "status": "ok",
        "alpha": 0.4, "usage": TokenUsage(input_tokens=3, output_tokens=4), "cost_pico": 10, "expected_cost_pico": 12,
    }  # fmt: skip
    return Entry(**{**given, **fields})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "l.sqlite"


@pytest.fixture
def ledger(file: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setattr(connection, "WAIT", 0.2)
    opened = Ledger(file)
    opened.writer._pause = 0.05
    return opened


def calls(ledger: Ledger) -> list[str]:
    return [row["call"] for row in ledger.entries()]


def begin(ledger: Ledger, *names: str) -> list[Any]:
    """Rows that come while others are written, so that the ledger's thread must take them."""
    with ledger.writer._changed:
        return [ledger.writer.add(to_row(entry(name), store_prompt=False), {}) for name in names]


class NoThread(threading.Thread):
    def start(self) -> None:
        raise RuntimeError("can't start new thread")


def test_without_a_thread_a_row_is_written_later(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(writer.threading, "Thread", NoThread)
        for done in begin(ledger, "a", "b"):
            assert done.done(), "nobody waits for a thread that there is none of"
    assert "no thread can be started" in caplog.text
    ledger.record(entry("c"))
    ledger.close()
    assert sorted(calls(ledger)) == ["a", "b", "c"]


def test_without_a_thread_whoever_waits_writes_what_is_there(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer.threading, "Thread", NoThread)
    begin(ledger, "a", "b")
    ledger.record(entry("c"))
    assert calls(ledger) == ["a", "b", "c"]
    begin(ledger, "d", "e")
    ledger.close()
    assert calls(ledger) == ["a", "b", "c", "d", "e"]
    assert "lost" not in caplog.text


def test_a_row_that_is_refused_when_nobody_waits_any_more_is_logged(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    away = LedgerError("away")
    away.__cause__ = OSError()
    failures = [away]

    def write(batch: Any) -> None:
        raise failures.pop() if failures else LedgerError("refused for good")

    monkeypatch.setattr(ledger.writer, "_write", write)
    ledger.record(entry("a"))
    ledger.close()
    assert "refused for good" in caplog.text


def test_a_folder_that_is_gone_loses_no_row(ledger: Ledger, file: Path) -> None:
    ledger.record(entry("a"))
    file.parent.rename(file.parent.with_name("away"))
    file.parent.write_text("a file where the folder was")
    ledger.record(entry("b"), ["day:1"])
    assert len(ledger.writer) == 1
    with pytest.raises(LedgerError, match="could not be read"):
        ledger.spent(["day:1"])
    file.parent.unlink()
    ledger.close()
    assert calls(ledger) == ["b"]
    assert ledger.spent(["day:1"]) == {"day:1": 10}


def test_a_fault_of_ours_loses_one_row_and_not_its_batch(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    write = ledger.writer._write

    def faulty(batch: Any) -> None:
        if any(pending.row["call"] == "b" for pending in batch):
            raise KeyError("a prompt")
        write(batch)

    monkeypatch.setattr(ledger.writer, "_write", faulty)
    first, second, third = begin(ledger, "a", "b", "c")
    wait(first)
    wait(third)
    with pytest.raises(LedgerError, match=r"could not be written \(KeyError\)$"):
        wait(second)
    assert calls(ledger) == ["a", "c"]


def test_an_interrupted_write_is_written_later(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(batch: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ledger.writer, "_write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ledger.record(entry("a"))
        patched.undo()
    assert not ledger.writer._busy
    ledger.close()
    ledger.record(entry("b"))
    assert calls(ledger) == ["a", "b"]


def test_no_row_waits_longer_than_it_takes_to_fail_once(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_BATCH", 2)
    away = LedgerError("away")
    away.__cause__ = OSError()

    def fail(batch: Any) -> None:
        raise away

    monkeypatch.setattr(ledger.writer, "_write", fail)
    for done in begin(ledger, "a", "b", "c", "d", "e"):
        done.result(5)
    assert len(ledger.writer) == 5


def test_a_file_that_another_process_began_anew_gets_the_rows(file: Path, ledger: Ledger) -> None:
    other = Ledger(file)
    other.record(entry("before"))
    for part in file.parent.glob("l.sqlite*"):
        part.unlink()
    ledger.record(entry("a"), ["day:1"])
    other.record(entry("b"), ["day:1"])
    assert calls(Ledger(file)) == ["a", "b"]
    assert other.spent(["day:1"]) == ledger.spent(["day:1"]) == {"day:1": 20}


def test_who_reads_keeps_nobody_from_writing(ledger: Ledger) -> None:
    for name in ("a", "b"):
        ledger.record(entry(name))
    rows = ledger.entries()
    assert next(rows)["call"] == "a"
    ledger.record(entry("c"))
    assert len(ledger.writer) == 0, "it is written while rows are read"
    assert [row["call"] for row in rows] == ["b"], "they are read as they were"


def test_reading_a_ledger_that_is_none_is_a_named_error(ledger: Ledger, file: Path) -> None:
    ledger._engine.dispose()
    with sqlite3.connect(file) as db:
        for table in ("calls", "feedback", "spend"):
            db.execute(f"DROP TABLE {table}")
    reads = (
        lambda: ledger.spent(["day:1"]),
        ledger.feedback,
        lambda: list(ledger.entries()),
        ledger.report,
        ledger.timing,
    )
    for read in reads:
        with pytest.raises(LedgerError, match="could not be read: no such table"):
            read()


def test_money_that_is_given_back_can_be_spent(ledger: Ledger) -> None:
    for store in (ledger, InMemoryBudgetStore()):
        limits = {"day:1": 100, "session:s": 100}
        assert store.reserve(80, limits)
        assert not store.reserve(80, limits)
        store.release(80, limits)
        assert remaining(store, limits) == 100


class Closes:
    """Records when garbage collection comes to it, as a stream does that nobody reads to its end."""

    def __init__(self, store: InMemoryBudgetStore) -> None:
        self.me, self.store = self, store

    def __del__(self) -> None:
        self.store.begin_record(entry("late"), reserved={"day:1": 0})


def test_garbage_collection_in_the_middle_of_adding_up_does_not_stop_it() -> None:
    store = InMemoryBudgetStore()

    class Collects(Counter[str]):
        def update(self, *given: Any, **named: Any) -> None:
            if not collected:
                collected.append(1)
                gc.collect()
            super().update(*given, **named)

    collected = [0]
    store._spent = Collects()
    collected.clear()
    Closes(store)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(store.reserve, 5, {"day:1": 100}).result(10)
    assert collected
    assert store.spent(["day:1"]) == {"day:1": 15}


@pytest.fixture(autouse=True)
def _no_long_test() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 8, "something waited for what does not come"
