"""Graders whose references are more than a text: values, rows, calls, files, rules."""

from __future__ import annotations

import json
import math
import re
import sqlite3
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..bank.instructions import check_text
from ..errors import QuestionError

if TYPE_CHECKING:
    from .questions import Question

__all__ = [
    "SQL_SECONDS",
    "constraints",
    "file",
    "final",
    "json_value",
    "same_number",
    "sql",
    "squeeze",
    "tool_calls",
    "unfenced",
]

#: Seconds that a query may take, and rows that it may return.
SQL_SECONDS, SQL_ROWS = 5.0, 10_000

#: What SQLite may do for a model's query: read, and call functions.
_ALLOWED = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    getattr(sqlite3, "SQLITE_RECURSIVE", 33),
}

_FENCE = re.compile(r"```(?:[\w+-]*)[ \t]*\r?\n(.*?)```", re.DOTALL)
_BLANKS = re.compile(r"\s+")
_STATED = re.compile(r"\banswer\W{0,4}?\s*(?:is)?\s*:\W{0,4}?\s*(.*)", re.IGNORECASE)


def final(answer: str, question: Question) -> float:
    """1 if what stands behind the last ``Answer:``, or else in the last line, is the reference or one of several.

    Case, blanks, quotation marks, markup and a final full stop do not count.
    """
    answer = squeeze(answer)
    stated = _STATED.findall(answer)
    lines = [line for line in answer.splitlines() if line.strip()]
    said = stated[-1] if stated and stated[-1].strip() else lines[-1] if lines else ""
    references = question.answer if isinstance(question.answer, list) else [question.answer]
    return float(_plain(said) in {_plain(reference) for reference in references})


def json_value(answer: str, question: Question) -> float:
    """1 if the answer is JSON, in a code fence or not, of the reference's value.

    Texts are compared without regard to case and outer blanks, numbers as by `same_number`.
    """
    text = unfenced(answer).strip()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        start, end = text.find("{"), text.rfind("}")
        try:
            value = json.loads(text[start : end + 1])
        except (ValueError, RecursionError):
            return 0.0
    return float(_same(value, question.answer))


def sql(answer: str, question: Question) -> float:
    """1 if the answer's SELECT statement returns the reference's rows from the reference's SQLite database.

    The reference is ``{"setup": SQL that makes the database, "rows": [[...]], "ordered": whether their order counts}``.

    Raises:
        QuestionError: If the reference is not of this form, or its database cannot be made.
    """
    reference = question.answer
    try:
        setup, rows, ordered = reference["setup"], reference["rows"], reference["ordered"]
        database = sqlite3.connect(":memory:")
        database.executescript(setup)
    except (TypeError, KeyError, sqlite3.Error) as error:
        raise QuestionError(
            f"question {question.index!r}: field 'answer': not a database and its rows: {error}"
        ) from None
    try:
        found = _select(database, unfenced(answer))
    except (sqlite3.Error, sqlite3.Warning, ValueError):
        return 0.0
    finally:
        database.close()
    if not ordered:
        found, rows = sorted(found, key=_row_key), sorted(rows, key=_row_key)
    return float(_same(found, rows))


def tool_calls(answer: str, question: Question) -> float:
    """1 if the answer calls the reference's tools with its arguments, in any order, and none else.

    The reference is a list of ``{"name", "args"}``; the answer is JSON, ``{"text", "tool_calls"}``, as the answers to
    questions with tools are kept.
    """
    try:
        called = json.loads(answer)["tool_calls"]
        left = [(call["name"], call["args"]) for call in called]
    except (ValueError, TypeError, KeyError):
        return 0.0
    for wanted in question.answer:
        match = next((call for call in left if call[0] == wanted["name"] and _same(call[1], wanted["args"])), None)
        if match is None:
            return 0.0
        left.remove(match)
    return float(not left)


def constraints(answer: str, question: Question) -> float:
    """1 if the answer keeps to all of the reference's rules; see `avengers_core.bank.instructions.check_text`."""
    return float(check_text(unfenced(answer), question.answer))


def file(answer: str, question: Question) -> float:
    """1 if the answer's last code fence is the reference, but for blanks at the ends of lines and of the file."""
    return float(_lines(unfenced(answer)) == _lines(str(question.answer)))


def squeeze(text: str) -> str:
    """A text with runs of white space as one character each, as searches take long on long runs."""
    return _BLANKS.sub(lambda run: "\n" if "\n" in run[0] else " ", text.strip())


def unfenced(text: str) -> str:
    """What is inside the last code fence, or the whole text."""
    fences = _FENCE.findall(text)
    return str(fences[-1]) if fences else text


def _select(database: sqlite3.Connection, statement: str) -> list[list[Any]]:
    """The rows of a statement that may only read.

    Raises:
        sqlite3.Error: If it is not valid, does anything else, or takes too long.
        ValueError: If it returns too many rows.
    """
    deadline = time.monotonic() + SQL_SECONDS
    database.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY)
    database.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
    rows = database.execute(statement.strip().rstrip(";")).fetchmany(SQL_ROWS + 1)
    if len(rows) > SQL_ROWS:
        raise ValueError("too many rows")
    return [list(row) for row in rows]


def _row_key(row: Sequence[Any]) -> list[tuple[str, str]]:
    """What rows are sorted by: values that are the same have the same key."""
    return [
        ("number", f"{value:030.6f}") if isinstance(value, (int, float)) else ("text", str(value).strip().casefold())
        for value in row
    ]


def same_number(value: float, reference: float) -> bool:
    """Whether two numbers are equal, or, unless both are whole, within one part in a million."""
    try:
        if float(value).is_integer() and float(reference).is_integer():
            return value == reference
        return math.isclose(value, reference, rel_tol=1e-6, abs_tol=1e-9)
    except OverflowError:  # a whole number of more than 308 digits
        return value == reference


def _same(value: Any, reference: Any) -> bool:
    """Whether two JSON values are the same to a reader."""
    if isinstance(reference, bool) or isinstance(value, bool):
        return value is reference
    if isinstance(reference, (int, float)) and isinstance(value, (int, float)):
        return same_number(value, reference)
    if isinstance(reference, str) and isinstance(value, str):
        return value.strip().casefold() == reference.strip().casefold()
    if isinstance(reference, dict) and isinstance(value, dict):
        return value.keys() == reference.keys() and all(_same(value[name], reference[name]) for name in reference)
    if isinstance(reference, list) and isinstance(value, list):
        return len(value) == len(reference) and all(map(_same, value, reference))
    return value is None and reference is None


def _plain(text: Any) -> str:
    """A short answer without case, markup, quotation marks and a final full stop; lists with plain commas."""
    words = re.sub(r"[*_`\"'“”‘’$\\{}\[\]()]|boxed", "", str(text)).strip(" .\t").casefold()
    return re.sub(r"\s*[,;]\s*(?:and\s+)?|\s*(?:->|→)\s*|\s+and\s+", ", ", " ".join(words.split()))


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]
