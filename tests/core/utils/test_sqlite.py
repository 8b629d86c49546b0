"""SQLite files that several processes open at once."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from avengers_core._utils.sqlite import write_ahead

#: A small process, as its children are copies of it.
RACE = """
import multiprocessing, sqlite3, sys
from avengers_core._utils.sqlite import write_ahead

def open_file(path, barrier):
    barrier.wait()
    write_ahead(sqlite3.connect(path, timeout=10), 10)

context = multiprocessing.get_context("fork")
for number in range(25):
    barrier = context.Barrier(6)
    workers = [context.Process(target=open_file, args=(f"{sys.argv[1]}/{number}.sqlite", barrier)) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        sys.exit(f"round {number}")
"""


def test_processes_that_make_a_file_at_the_same_moment(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", RACE, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]


def test_what_is_no_database_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"not a database at all" * 100)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        write_ahead(sqlite3.connect(tmp_path / "x"), 60)
