"""What a collecting run has done so far, in an SQLite file that survives a crash at any moment."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from .._utils.files import user_path
from ..errors import CollectError, MissingExtraError
from ..pricing.types import TokenUsage

__all__ = ["Answer", "Journal", "LostRequests", "read_setting"]

_TABLES = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS answers (
    question TEXT, model TEXT, text TEXT NOT NULL, usage TEXT, cost_pico INTEGER, expected_pico INTEGER NOT NULL,
    seconds REAL NOT NULL, PRIMARY KEY (question, model)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS grades (
    question TEXT, model TEXT, grader TEXT, score REAL NOT NULL, cost_pico INTEGER, expected_pico INTEGER NOT NULL,
    PRIMARY KEY (question, model, grader)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY, question TEXT, model TEXT, expected_pico INTEGER NOT NULL,
    lost INTEGER NOT NULL DEFAULT 0, settled INTEGER NOT NULL DEFAULT 0);
"""


class Answer(NamedTuple):
    """A model's answer.

    Attributes:
        text: The text.
        usage: Tokens as the provider reports them, or None.
        cost_pico: Picodollars, or None if unknown.
        expected_pico: Picodollars that the request was expected to cost.
        seconds: Duration of the request.
    """

    text: str
    usage: TokenUsage | None
    cost_pico: int | None
    expected_pico: int
    seconds: float


class LostRequests(NamedTuple):
    """Requests that were sent and never answered.

    Attributes:
        number: How many.
        expected_pico: Picodollars that they were expected to cost.
    """

    number: int
    expected_pico: int


class Journal:
    """Answers, grades and requests in flight. One process at a time works on a journal.

    A request is noted before it is sent, and its answer before anything else happens to it. A request that was never
    answered may have been paid: it counts as spent, see `lost`.

    Args:
        path: The file; created if it does not exist. A lock file is kept beside it.
        settings: What all answers in the file have in common, such as a temperature.

    Raises:
        CollectError: If another process is working on the file, it is not a journal, its answers were given with other
            settings, or it cannot be written. All methods raise this, too, if it cannot be written.
        MissingExtraError: If filelock is not installed.
    """

    def __init__(self, path: str | Path, settings: Mapping[str, Any]) -> None:
        self.path = user_path(path)
        self.path = self.path.resolve() if self.path.is_symlink() else self.path
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.is_file() and self.path.stat().st_nlink > 1:
            raise CollectError(
                f"{self.path}: it has a second name (a hard link), under which another run may work on it"
            )
        self._lock = _acquire_lock(self.path)
        try:
            self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            try:
                self._open(settings)
            except BaseException:
                self._db.close()
                raise
        except BaseException as error:
            self._lock.release()
            if isinstance(error, sqlite3.Error):
                raise CollectError(f"{self.path}: not a journal of avengers collect: {error}") from None
            raise

    def _open(self, settings: Mapping[str, Any]) -> None:
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_TABLES)
        self._db.execute("UPDATE requests SET lost = 1 WHERE settled = 0")
        for name, value in settings.items():
            text = json.dumps(value, sort_keys=True)
            self._db.execute("INSERT OR IGNORE INTO settings VALUES (?, ?)", (name, text))
            ((before,),) = self._db.execute("SELECT value FROM settings WHERE name = ?", (name,))
            if before != text:
                raise CollectError(
                    f"{self.path}: its answers were given with {name} {before}, not {text}: use the same settings, or "
                    "write to another file"
                )

    def _execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        try:
            return self._db.execute(statement, values)
        except sqlite3.Error as error:
            raise CollectError(
                f"{self.path}: the journal cannot be used ({error}); when it can again, run the same command: what is "
                "in it is not asked again"
            ) from error

    def begin_request(self, question: str, model: str, expected_pico: int) -> int:
        """Note that a request is about to be sent.

        Args:
            question: Key of the question.
            model: Id of the model, or what a judge is asked about.
            expected_pico: Picodollars that it is expected to cost.

        Returns:
            The number of the request.
        """
        values = (question, model, expected_pico)
        cursor = self._execute("INSERT INTO requests (question, model, expected_pico) VALUES (?, ?, ?)", values)
        return cursor.lastrowid or 0

    def refuse_request(self, request: int) -> None:
        """Note that the provider refused a request, which costs nothing."""
        self._execute("DELETE FROM requests WHERE id = ?", (request,))

    def lose_request(self, request: int) -> None:
        """Note that a request brought no answer, although it may have been paid."""
        self._execute("UPDATE requests SET lost = 1 WHERE id = ?", (request,))

    def settle_request(self, request: int, cost_pico: int | None) -> None:
        """Note that a request brought an answer that cannot be used.

        Args:
            request: The number of the request.
            cost_pico: Picodollars that it cost, or None: as much as expected.
        """
        self._execute(
            "UPDATE requests SET lost = 0, expected_pico = COALESCE(?, expected_pico), settled = 1 WHERE id = ?",
            (cost_pico, request),
        )

    def save_answer(self, request: int, question: str, model: str, answer: Answer) -> None:
        """Save an answer and end its request, in one transaction."""
        usage = None if answer.usage is None else msgspec.json.encode(answer.usage).decode()
        text = answer.text.encode("utf-8", "replace").decode()  # half of a pair of surrogates cannot be kept
        row = (question, model, text, usage, answer.cost_pico, answer.expected_pico, answer.seconds)
        with self._transaction():
            self._execute("INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            self._execute("DELETE FROM requests WHERE id = ?", (request,))

    def save_grade(
        self,
        question: str,
        model: str,
        grader: str,
        score: float,
        *,
        cost_pico: int | None = 0,
        request: int | None = None,
    ) -> None:
        """Save a grade and end the judge's request, if there was one, in one transaction.

        Args:
            question: Key of the question.
            model: Id of the model whose answer is graded.
            grader: Name of the grader.
            score: The grade, in [0, 1].
            cost_pico: Picodollars that the judge cost, or None if unknown.
            request: Number of the judge's request.
        """
        with self._transaction():
            expected_pico = 0
            if request is not None:
                ((expected_pico,),) = self._execute("SELECT expected_pico FROM requests WHERE id = ?", (request,))
                self._execute("DELETE FROM requests WHERE id = ?", (request,))
            row = (question, model, grader, score, cost_pico, expected_pico)
            self._execute("INSERT OR REPLACE INTO grades VALUES (?, ?, ?, ?, ?, ?)", row)

    def answer(self, question: str, model: str) -> Answer | None:
        """The answer of a model to a question, if there is one."""
        row = self._execute(
            "SELECT text, usage, cost_pico, expected_pico, seconds FROM answers WHERE question = ? AND model = ?",
            (question, model),
        ).fetchone()
        if row is None:
            return None
        usage = None if row[1] is None else msgspec.json.decode(row[1], type=TokenUsage)
        return Answer(row[0], usage, *row[2:])

    def answered(self) -> dict[str, set[str]]:
        """Keys of the questions that each model has answered; empty for other models."""
        found: dict[str, set[str]] = defaultdict(set)
        for question, model in self._execute("SELECT question, model FROM answers"):
            found[model].add(question)
        return found

    def grade(self, question: str, model: str, grader: str) -> float | None:
        """The grade of a model's answer to a question, if there is one."""
        row = self._execute(
            "SELECT score FROM grades WHERE question = ? AND model = ? AND grader = ?", (question, model, grader)
        ).fetchone()
        return None if row is None else float(row[0])

    @property
    def spent_pico(self) -> int:
        """Picodollars of all answers and grades (an unknown cost as expected) and of all requests without an answer."""
        ((total,),) = self._execute(
            "SELECT COALESCE(SUM(amount), 0) FROM ("
            "SELECT COALESCE(cost_pico, expected_pico) AS amount FROM answers "
            "UNION ALL SELECT COALESCE(cost_pico, expected_pico) FROM grades "
            "UNION ALL SELECT expected_pico FROM requests)"
        )
        return int(total)

    @property
    def lost(self) -> LostRequests:
        """The requests that were sent and never answered."""
        ((number, amount),) = self._execute(
            "SELECT COUNT(*), COALESCE(SUM(expected_pico), 0) FROM requests WHERE lost = 1"
        )
        return LostRequests(number, amount)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with contextlib.suppress(CollectError):
                self._execute("ROLLBACK")
            raise
        self._execute("COMMIT")

    def close(self) -> None:
        """Close the file and let another process work on it."""
        self._db.close()
        self._lock.release()


def read_setting(path: Path, name: str) -> Any:
    """What a journal's answers have in common under a name, None if there is no journal or no such setting.

    Args:
        path: The file, which may be in use.
        name: The setting.
    """
    if not path.is_file():
        return None
    try:
        database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            row = database.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        finally:
            database.close()
    except sqlite3.Error:
        return None  # what is wrong with it is said when it is opened
    return None if row is None else json.loads(row[0])


def _acquire_lock(path: Path) -> Any:
    """A lock that the system releases when the process ends, in whatever way."""
    try:
        from filelock import FileLock, Timeout
    except ImportError:
        raise MissingExtraError("a journal", "collect") from None
    lock = FileLock(f"{path}.lock", thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise CollectError(f"{path}: another run is working on it") from None
    return lock
