"""Graders whose references are values, rows, calls, files or rules."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from avengers_core.collecting import structured_graders
from avengers_core.collecting.graders import GRADERS
from avengers_core.collecting.questions import Question
from avengers_core.errors import QuestionError


def grade(name: str, answer: str, reference: Any) -> float:
    return GRADERS[name](answer, Question(query="?", answer=reference, index=1))


@pytest.mark.parametrize(
    ("answer", "reference", "score"),
    [
        ("I think so.\n**Answer:** Ann, Bob and Cid.", "Ann, Bob, Cid", 1),
        ("Answer: Ann\n\nNo, wait. Answer: Bob", "Bob", 1),
        ("Answer: Ann -> Bob", "Ann, Bob", 1),
        ("The answer is: 'not stated'", "not stated", 1),
        ("\\boxed{Paris}", "Paris", 1),
        ("Paris", ["Lutetia", "paris"], 1),
        ("Answer:\nParis", "Paris", 1),
        ("Answer: Paris or London", "Paris", 0),
        ("", "Paris", 0),
    ],
)
def test_final(answer: str, reference: Any, score: float) -> None:
    assert grade("final", answer, reference) == score


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ('{"a": 1.0, "b": ["X ", null]}', 1),
        ('Here it is:\n```json\n{"b": ["x", null], "a": 1}\n```', 1),
        ('Sure: {"a": 1, "b": ["x", null]} as you asked', 1),
        ('{"a": true, "b": ["x", null]}', 0),
        ('{"a": "1", "b": ["x", null]}', 0),
        ('{"a": 1, "b": ["x", null], "c": 2}', 0),
        ('{"a": 1, "b": ["x"]}', 0),
        ("[" * 100_000, 0),
        ("none", 0),
    ],
)
def test_json(answer: str, score: float) -> None:
    assert grade("json", answer, {"a": 1, "b": ["x", None]}) == score


SHOP = {
    "setup": "CREATE TABLE t (a INTEGER, b TEXT); INSERT INTO t VALUES (1, 'x'), (2, 'y');",
    "rows": [[1, "x"], [2, "y"]],
    "ordered": False,
}


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("```sql\nSELECT a, b FROM t ORDER BY a DESC;\n```", 1),
        ("SELECT a, b FROM t", 1),
        ("WITH n(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n LIMIT 2) SELECT a, b FROM n JOIN t USING (a)", 1),
        ("SELECT a FROM t", 0),
        ("SELECT b, a FROM t", 0),
        ("DELETE FROM t", 0),
        ("ATTACH DATABASE '/tmp/x' AS x", 0),
        ("PRAGMA writable_schema = 1", 0),
        ("SELECT load_extension('x')", 0),
        ("SELECT 1; SELECT a, b FROM t", 0),
        ("I do not know", 0),
    ],
)  # fmt: skip
def test_sql(answer: str, score: float) -> None:
    assert grade("sql", answer, SHOP) == score


def test_a_query_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structured_graders, "SQL_SECONDS", 0.2)
    started = time.monotonic()
    endless = "WITH RECURSIVE n(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n) SELECT COUNT(*), 'x' FROM n"
    assert grade("sql", endless, SHOP) == 0
    assert grade("sql", "WITH RECURSIVE n(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n) SELECT a FROM n", SHOP) == 0
    assert time.monotonic() - started < 60, "neither runs for ever"


def test_order_counts_if_it_was_asked_for() -> None:
    ordered = {**SHOP, "ordered": True}
    assert grade("sql", "SELECT a, b FROM t ORDER BY a", ordered) == 1
    assert grade("sql", "SELECT a, b FROM t ORDER BY a DESC", ordered) == 0
    with pytest.raises(QuestionError, match="field 'answer': not a database and its rows"):
        grade("sql", "SELECT 1", {"setup": "CREATE nonsense", "rows": [], "ordered": True})


def test_tool_calls() -> None:
    wanted = [{"name": "add", "args": {"a": 1, "b": "X"}}, {"name": "add", "args": {"a": 2, "b": "y"}}]

    def said(*calls: dict[str, Any]) -> str:
        return json.dumps({"text": "", "tool_calls": calls})

    assert grade("tool_calls", said(wanted[1], {"name": "add", "args": {"b": "x", "a": 1.0}}), wanted) == 1
    assert grade("tool_calls", said(wanted[0], wanted[0]), wanted) == 0
    assert grade("tool_calls", said(*wanted, wanted[0]), wanted) == 0
    assert grade("tool_calls", said(), []) == 1
    assert grade("tool_calls", "no JSON", wanted) == 0


def test_files() -> None:
    assert grade("file", "Done:\n```ini\n[a]\nx = 1  \n```\n", "[a]\nx = 1\n") == 1
    assert grade("file", "```\n[a]\nx=1\n```", "[a]\nx = 1") == 0
