"""SQLite files that several processes open at once."""

from __future__ import annotations

import multiprocessing
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from avengers_core._utils.sqlite import write_ahead


def _open(path: str, barrier: Any, said: Any) -> None:
    barrier.wait()
    try:
        write_ahead(sqlite3.connect(path, timeout=10), 10)
    except sqlite3.Error as error:
        said.put(str(error))


def test_processes_that_make_a_file_at_the_same_moment(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    said = context.SimpleQueue()
    for round_number in range(60):
        barrier = context.Barrier(6)
        path = str(tmp_path / f"{round_number}.sqlite")
        workers = [context.Process(target=_open, args=(path, barrier, said)) for _ in range(6)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert said.empty()


def test_what_is_no_database_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"not a database at all" * 100)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        write_ahead(sqlite3.connect(tmp_path / "x"), 60)
