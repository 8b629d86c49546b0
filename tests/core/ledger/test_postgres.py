"""The ledger and its budgets on a real PostgreSQL, shared by processes."""

from __future__ import annotations

import multiprocessing
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from avengers_core.errors import LedgerError
from avengers_core.ledger import store, writer
from avengers_core.ledger.budget import PICO, budget_scopes, picodollars
from avengers_core.ledger.entry import Entry, now
from avengers_core.ledger.schema import SCHEMA_VERSION
from avengers_core.ledger.store import Ledger
from avengers_core.pricing.types import TokenUsage

PROCESSES = 8
CALLS = int(os.environ.get("AVENGERS_POSTGRES_CALLS", "1000"))


def binaries() -> Path | None:
    """Where PostgreSQL's programs are; Debian keeps them out of the path."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return folders[0] if folders else None


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The URL of a server that lives as long as this module's tests.

    Skipped if there is no server to start. A server that does not start is a failure.
    """
    pytest.importorskip("psycopg")
    programs = binaries()
    if programs is None:
        pytest.skip("no PostgreSQL server: neither initdb in the path nor Debian's package 'postgresql'")
    user: Any = {}
    # Not pytest's folder: its parents are closed to the user that the server runs as.
    folder = Path(tempfile.mkdtemp(prefix="avengers-postgres-"))
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        account = pwd.getpwnam("postgres" if "postgres" in {entry.pw_name for entry in pwd.getpwall()} else "nobody")
        user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        os.chown(folder, account.pw_uid, account.pw_gid)
    data, log = folder / "data", folder / "log"

    def run(program: str, *arguments: str) -> None:
        # pg_ctl's server keeps what it is given as its output, so it must not be given a pipe.
        with (folder / "output").open("w+") as output:
            command = [str(programs / program), "-D", str(data), *arguments]
            done = subprocess.run(command, stdout=output, stderr=output, timeout=120, cwd=folder, **user)
            output.seek(0)
            said = output.read() + (log.read_text() if log.is_file() else "")
        assert done.returncode == 0, f"{program} failed:\n{said}"

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c max_connections=200"
    try:
        run("initdb", "-U", "avengers", "--auth=trust")
        run("pg_ctl", "-o", options, "-l", str(log), "-w", "start")
        try:
            yield f"postgresql+psycopg://avengers:canary@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def url(postgres: str, request: pytest.FixtureRequest) -> str:
    """A database of the test's own."""
    import sqlalchemy as sa

    name = "t" + str(abs(hash(request.node.name)))
    engine = sa.create_engine(postgres, isolation_level="AUTOCOMMIT")
    with engine.connect() as db:
        db.execute(sa.DDL(f"CREATE DATABASE {name}"))
    engine.dispose()
    return postgres.rpartition("/")[0] + "/" + name


def work(url: str, worker: int, calls: int, limit: int) -> int:
    """Calls as the dispatcher makes them: reserve, answer, record. Each costs less than was expected."""
    ledger = Ledger(url)
    limits = {budget_scopes("")["day"]: limit} if limit else {}
    done = 0
    for number in range(calls):
        expected, cost = 1_000_000_007, 1_000_000_007 - 3 * (number % 11)
        if not ledger.reserve(expected, limits):
            continue
        entry = Entry(
            time=now(), call=f"{worker}-{number}", decision="d", attempt=0, model=f"m{number % 3}", provider="p",
            status="ok", alpha=0.4, session=f"s{worker}",
            usage=TokenUsage(input_tokens=number, output_tokens=7), cost_pico=cost,
            expected_cost_pico=expected, cluster=number % 5, propensity=1.0,
        )  # fmt: skip
        ledger.record(entry, budget_scopes(f"s{worker}").values(), dict.fromkeys(limits, expected))
        done += cost
    ledger.close()
    return done


def run_workers(url: str, calls: int, limit: int = 0) -> dict[int, int]:
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as pool:
        running = {n: pool.submit(work, url, n, calls, limit) for n in range(PROCESSES)}
        return {n: future.result(timeout=300) for n, future in running.items()}


@pytest.mark.slow
def test_the_sums_of_eight_processes_are_exact(url: str) -> None:
    spent = run_workers(url, CALLS)
    ledger = Ledger(url)
    total = sum(spent.values())
    (day,) = ledger.report(by="day")
    assert day["calls"] == PROCESSES * CALLS
    assert day["cost_usd"] == Decimal(total) / PICO
    assert day["input_tokens"] == PROCESSES * sum(range(CALLS))
    scopes = [budget_scopes("")["day"], *(f"session:s{n}" for n in range(PROCESSES))]
    assert ledger.spent(scopes) == {scopes[0]: total, **{f"session:s{n}": spent[n] for n in range(PROCESSES)}}
    assert sum(row["cost_usd"] for row in ledger.report(by="session")) == Decimal(total) / PICO
    assert len({row["call"] for row in ledger.entries()}) == PROCESSES * CALLS


@pytest.mark.slow
def test_eight_processes_hold_one_budget(url: str) -> None:
    limit = 1_000_000_007 * PROCESSES * CALLS // 2
    spent = run_workers(url, CALLS, limit)
    total = sum(spent.values())
    assert Ledger(url).spent([budget_scopes("")["day"]]) == {budget_scopes("")["day"]: total}
    assert limit - 1_000_000_007 < total <= limit, "used up, and not passed"


def test_workers_that_start_together_make_one_ledger(url: str) -> None:
    import sqlalchemy as sa

    barrier = threading.Barrier(PROCESSES)

    def open_it(_: int) -> Ledger:
        barrier.wait()
        return Ledger(url)

    with ThreadPoolExecutor(PROCESSES) as pool:
        ledgers = list(pool.map(open_it, range(PROCESSES)))
    assert {ledger.schema_version for ledger in ledgers} == {SCHEMA_VERSION}
    engine = sa.create_engine(url)
    with engine.begin() as db:
        assert db.execute(sa.text("SELECT id, version FROM schema_version")).all() == [(1, SCHEMA_VERSION)]
        for statement in ("DROP TABLE schema_version", "ALTER TABLE calls DROP COLUMN propensity"):
            db.execute(sa.text(statement))
    engine.dispose()
    older = Ledger(url)
    assert older.schema_version == SCHEMA_VERSION
    assert list(older.entries()) == [], "the column is back"
    for ledger in (*ledgers, older):
        ledger.close()


def test_a_killed_worker_leaves_what_it_set_aside_as_spent(url: str) -> None:
    limits = {"day:x": 100}
    code = (
        f"import os; from avengers_core.ledger.store import Ledger; Ledger({url!r}).reserve(60, {limits}); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 9
    ledger = Ledger(url)
    assert ledger.spent(limits) == {"day:x": 60}
    assert not ledger.reserve(60, limits)


def test_a_chat_model_records_to_postgres(url: str, server: Any) -> None:
    pytest.importorskip("langchain_openai")
    from langchain_openai import ChatOpenAI

    from avengers_langchain import ChatAvengers
    from tests.support.llm_server import MINI

    client = ChatOpenAI(model=MINI, base_url=f"{server.url}/v1", api_key="k")  # type: ignore[arg-type]
    llm = ChatAvengers(models={MINI: client}, ledger=url, budget={"per_day": 1.0})
    costs = [llm.invoke("What is 2 + 2?").response_metadata["avengers"]["cost_usd"] for _ in range(3)]
    assert llm.spending is not None
    (row,) = llm.spending.report()
    assert (row["calls"], row["cost_usd"]) == (3, sum(map(Decimal, map(str, costs))))
    day = budget_scopes("")["day"]
    assert llm.spending.spent([day]) == {day: sum(picodollars(Decimal(str(cost))) or 0 for cost in costs)}
    assert "canary" not in repr(llm.spending) + repr(llm)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_ledger_that_was_used_before_a_fork_works_in_the_child(url: str) -> None:
    code = (
        "import os\n"
        "from avengers_core.ledger.store import Ledger\n"
        f"ledger = Ledger({url!r})\n"
        "ledger.reserve(1, {'day:x': 100})\n"
        "child = os.fork()\n"
        "for _ in range(20): assert ledger.reserve(1, {'day:x': 100})\n"
        "if not child: os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "assert ledger.reserve(1, {'day:x': 100})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Ledger(url).spent(["day:x"]) == {"day:x": 42}


@pytest.mark.parametrize("session", ["s" * 300, "nul\0l", "lone \ud800 surrogate"])
def test_a_row_is_kept_whatever_its_session_is_called(url: str, session: str) -> None:
    ledger = Ledger(url)
    odd = Entry(
        time=now(), call="c", decision="d", attempt=0, model="m", provider="p", status="ok", alpha=0.4,
        session=session, run=session, tags=[session], cost_pico=7,
    )  # fmt: skip
    ledger.record(odd, budget_scopes(session).values())
    assert len(list(ledger.entries())) == 1
    ledger.close()


def paid_entry(call: str) -> Entry:
    return Entry(
        time=now(), call=call, decision="d", attempt=0, model="m", provider="p", status="ok", alpha=0.4, cost_pico=7
    )


def test_a_server_that_hangs_is_not_waited_for(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is stopped: its connections stay open, and nothing comes from them."""
    monkeypatch.setattr(writer, "PATIENCE", 0.3)
    monkeypatch.setattr(store, "PATIENCE", -1.7)
    ledger = Ledger(url)
    ledger.record(paid_entry("before"), ["session:stall"])
    with ledger._engine.connect() as db:
        query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        backends = [pid for (pid,) in db.exec_driver_sql(query)]
    parent = Path(f"/proc/{backends[0]}/status").read_text().partition("PPid:")[2].split()[0]
    stopped = [*backends, int(parent)]  # without the parent, no new connection is answered
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        ledger.record(paid_entry("paid"), ["session:stall"])
        assert "a row is written later" in caplog.text
        with pytest.raises(LedgerError, match="does not answer"):
            ledger.reserve(10, {"session:stall": 1000})
        with pytest.raises(LedgerError, match="does not answer"):
            ledger.spent(["session:stall"])
        assert time.monotonic() - began < 10, "seconds; a test of hanging, not of speed"
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    monkeypatch.setattr(writer, "PATIENCE", 10)
    ledger.close()
    again = Ledger(url)
    assert {row["call"] for row in again.entries()} == {"before", "paid"}


def test_a_console_reads_it_and_changes_nothing(url: str) -> None:
    import sqlalchemy as sa
    from avengers_core.ledger.reader import CallFilter, LedgerReader

    from tests.core.ledger.test_reader import some_entries

    ledger = Ledger(url)
    for entry in some_entries(100):
        ledger.record(entry)
    ledger.reserve(10, {budget_scopes("")["day"]: 100})
    ledger.add_feedback("call0", 1)
    reader = LedgerReader(url)
    assert "canary" not in reader.name
    for _ in range(2):
        rows = reader.totals()
        for told in ledger.report("model"):
            amount = sum(row["picodollars"] for row in rows if row["model"] == told["model"])
            assert Decimal(amount) / PICO == told["cost_usd"]
        ledger.record(some_entries(1)[0])
    assert [row["tag"] for row in reader.tags()] == [row["tag"] for row in ledger.report("tag")]
    assert {row["session"] for row in reader.sessions()} == {"s1", "s2"}
    assert [(row["picodollars"], row["limit_picodollars"]) for row in reader.limits()] == [(10, 100)]
    assert len(reader.page(CallFilter(tag="a_b"))) == sum("a_b" in row["tags"] for row in ledger.entries())
    assert len(reader.call("call0")) == 3
    assert reader.cooling_down() == []
    assert len(reader.feedback_by_model()) <= 1
    with pytest.raises(sa.exc.InternalError, match="read-only"), reader._engine.begin() as db:
        db.execute(sa.text("DELETE FROM calls"))
    reader.close()
    ledger.close()
