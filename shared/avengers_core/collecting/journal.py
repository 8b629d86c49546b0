"""What a collecting run has done so far, in an SQLite file that outlives a crash at any moment."""

from __future__ import annotations

import fcntl
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ..errors import CollectError
from ..pricing.types import TokenUsage

_TABLES = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS answers (
    question TEXT, model TEXT, text TEXT NOT NULL, usage TEXT, picodollars INTEGER, expected INTEGER NOT NULL,
    seconds REAL NOT NULL, PRIMARY KEY (question, model)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS grades (
    question TEXT, model TEXT, grader TEXT, score REAL NOT NULL, picodollars INTEGER, expected INTEGER NOT NULL,
    PRIMARY KEY (question, model, grader)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS asked (
    id INTEGER PRIMARY KEY, question TEXT, model TEXT, expected INTEGER NOT NULL, lost INTEGER NOT NULL DEFAULT 0,
    done INTEGER NOT NULL DEFAULT 0);
"""


class Answer(NamedTuple):
    """A model's answer: text, tokens, picodollars (None: unknown), and what was expected of them."""

    text: str
    usage: TokenUsage | None
    cost_pico: int | None
    expected_pico: int
    seconds: float


class Journal:
    """Answers, grades and requests on their way; one process at a time.

    A request is noted before it is sent and its answer before anything else happens to it. What is noted as sent and
    was never answered may have been paid: it counts as spent, as `lost` tells.

    Args:
        path: the file; made where it is not there.
        settings: what all answers of a file have in common, such as a temperature.

    Raises:
        CollectError: another process is at work on it, it is no journal, or it was made with other settings.
    """

    def __init__(self, path: str | Path, settings: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = open(f"{self.path}.lock", "w")  # noqa: SIM115
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise CollectError(f"{self.path}: another run is at work on it") from None
        try:
            self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_TABLES)
            self._db.execute("UPDATE asked SET lost = 1 WHERE done = 0")
            self._check(settings)
        except sqlite3.Error as error:
            self._lock.close()
            raise CollectError(f"{self.path}: not a journal of avengers collect: {error}") from None

    def _check(self, settings: Mapping[str, Any]) -> None:
        for name, value in settings.items():
            text = json.dumps(value, sort_keys=True)
            self._db.execute("INSERT OR IGNORE INTO settings VALUES (?, ?)", (name, text))
            ((was,),) = self._db.execute("SELECT value FROM settings WHERE name = ?", (name,))
            if was != text:
                raise CollectError(
                    f"{self.path}: its answers were made with {name} {was}, not {text}: go on as before, or write to "
                    "another file"
                )

    def asking(self, question: str, model: str, expected: int) -> int:
        """Note that a request is about to be sent, with the picodollars it may cost; returns its number."""
        values = (question, model, expected)
        cursor = self._db.execute("INSERT INTO asked (question, model, expected) VALUES (?, ?, ?)", values)
        return cursor.lastrowid or 0

    def refused(self, request: int) -> None:
        """Note that a request was turned away, which costs nothing."""
        self._db.execute("DELETE FROM asked WHERE id = ?", (request,))

    def unanswered(self, request: int) -> None:
        """Note that a request was sent and brought nothing, which may have been paid."""
        self._db.execute("UPDATE asked SET lost = 1 WHERE id = ?", (request,))

    def settled(self, request: int, cost: int | None) -> None:
        """Note that a request was answered, with what is of no use, and what that cost (None: as expected)."""
        self._db.execute(
            "UPDATE asked SET lost = 0, expected = COALESCE(?, expected), done = 1 WHERE id = ?", (cost, request)
        )

    def save_answer(self, request: int, question: str, model: str, answer: Answer) -> None:
        """Keep an answer, in one transaction with the end of its request."""
        usage = None if answer.usage is None else msgspec.json.encode(answer.usage).decode()
        row = (question, model, answer.text, usage, answer.cost_pico, answer.expected_pico, answer.seconds)
        with self._transaction():
            self._db.execute("INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            self._db.execute("DELETE FROM asked WHERE id = ?", (request,))

    def save_grade(
        self, question: str, model: str, grader: str, score: float, cost: int | None = 0, request: int | None = None
    ) -> None:
        """Keep a grade; ``cost`` is what a judge was paid, in picodollars, and ``request`` the judge's."""
        with self._transaction():
            expected = 0
            if request is not None:
                ((expected,),) = self._db.execute("SELECT expected FROM asked WHERE id = ?", (request,))
                self._db.execute("DELETE FROM asked WHERE id = ?", (request,))
            row = (question, model, grader, score, cost, expected)
            self._db.execute("INSERT OR REPLACE INTO grades VALUES (?, ?, ?, ?, ?, ?)", row)

    def answer(self, question: str, model: str) -> Answer | None:
        """The answer of a model, if it was given."""
        row = self._db.execute(
            "SELECT text, usage, picodollars, expected, seconds FROM answers WHERE question = ? AND model = ?",
            (question, model),
        ).fetchone()
        if row is None:
            return None
        usage = None if row[1] is None else msgspec.json.decode(row[1], type=TokenUsage)
        return Answer(row[0], usage, *row[2:])

    def grade(self, question: str, model: str, grader: str) -> float | None:
        """The grade of an answer, if it was given."""
        row = self._db.execute(
            "SELECT score FROM grades WHERE question = ? AND model = ? AND grader = ?", (question, model, grader)
        ).fetchone()
        return None if row is None else float(row[0])

    @property
    def spent(self) -> int:
        """Picodollars of all answers and grades (unknown costs as expected) and of all requests without an answer."""
        total = 0
        for table, amount in (
            ("answers", "COALESCE(picodollars, expected)"),
            ("grades", "COALESCE(picodollars, expected)"),
            ("asked", "expected"),
        ):
            total += self._db.execute(f"SELECT COALESCE(SUM({amount}), 0) FROM {table}").fetchone()[0]
        return total

    @property
    def lost(self) -> tuple[int, int]:
        """Requests that were sent and never answered, and the picodollars that they may have cost."""
        count, amount = self._db.execute(
            "SELECT COUNT(*), COALESCE(SUM(expected), 0) FROM asked WHERE lost = 1"
        ).fetchone()
        return count, amount

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the file and let others at it."""
        self._db.close()
        self._lock.close()
