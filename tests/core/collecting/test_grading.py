from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from avengers_core.collecting import graders, sandbox
from avengers_core.collecting.graders import chosen_letter, judge_prompt, last_number, make_grader, read_verdict
from avengers_core.collecting.questions import Question, read_questions
from avengers_core.errors import AvengersError, QuestionError, SandboxError


def grade(name: str, answer: str, reference: Any, **options: Any) -> float:
    return make_grader(name, **options)(answer, Question("q", reference, "1", "d"))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("It is 1,234.5 dollars", 1234.5),
        ("first 3, then -7.", -7),
        (r"so \boxed{3/4} (see page 12)", 0.75),
        ("about 5%", 5),
        ("6.02e23", 6.02e23),
        ("no number", None),
        ("1/0", None),
        (r"\boxed{\frac{3}{4}}", 0.75),
        ("on pages 3-4", 4),
        ("f(-2) = -6", -6),
        ("In 2024, 12 apples", 12),
        ("x = \u22125", -5),
        (r"\boxed{1{,}234}", 1234),
        (r"\boxed{12\text{ cm}^2}", 12),
        (r"\boxed{12\,\mathrm{cm}^{2}}", 12),
        (r"\boxed{\text{5}}", 5),
        (r"\text{The total is 42}", 42),
    ],
)
def test_the_last_number(text: str, number: float | None) -> None:
    assert last_number(text) == number


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("The answer is (C).", "C"),
        ("A is tempting, but the final answer is: b", "B"),
        (r"\boxed{D}", "D"),
        ("**Answer: E**", "E"),
        ("C", "C"),
        ("(J)", "J"),
        ("I'd say I cannot tell.", "I"),
        ("none of them", None),
        ("C. I hope this helps!", "C"),
        ("B. A whale is a mammal.", "B"),
        ("Answer: C\n\nThis answer is a direct consequence of the law.", "C"),
        ("The answer is: I think C", "C"),
        ("The answer is A because whales breathe.", "A"),
        ("the answer is (b).", "B"),
        ("Answer: b\n\nBecause it is so.", "B"),
        ("The answer is b because it is.", "B"),
        ("Answer: a\nIt is.", "A"),
        ("the answer" + "\n" * 20_000 + "is what nobody knows", None),
    ],
)
def test_the_letter_chosen(text: str, letter: str | None) -> None:
    assert chosen_letter(text) == letter


def test_graders_by_name(tmp_path: Path) -> None:
    assert grade("exact", " Paris. ", "paris") == 1
    assert grade("exact", "Lyon", ["Paris", "lyon"]) == 1
    assert grade("exact", "Paris, France", "Paris") == 0
    assert grade("numeric", "It is 0.3333333", "0.33333333") == 1
    assert grade("numeric", "It is 0.34", 0.33) == 0
    assert grade("choice", "The answer is B", "b") == 1
    assert grade("regex", "call 555-1234", r"\d{3}-\d{4}") == 1
    schema = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}
    assert grade("json_schema", '```json\n{"a": 1}\n```', schema) == 1
    assert grade("json_schema", '{"a": "x"}', schema) == 0
    assert grade("json_schema", "not json", schema) == 0
    own = tmp_path / "mine.py"
    own.write_text("def half(answer, question):\n    return 0.5 if answer == question.answer else 7\n")
    assert grade(f"{own}:half", "x", "x") == 0.5
    with pytest.raises(ValueError, match=r"7.0 is not in \[0, 1\]"):
        grade(f"{own}:half", "y", "x")
    for wrong in ("good", f"{own}:none", "no.such.module:f"):
        with pytest.raises(ValueError, match=r"grader must be|has no 'none'|cannot import"):
            make_grader(wrong)
    for name, reference in (("numeric", "x"), ("regex", "("), ("json_schema", {"type": 3})):
        with pytest.raises(QuestionError, match="question '1': field 'answer'"):
            grade(name, "{}", reference)


@pytest.mark.parametrize(
    ("grader", "answer", "reference"),
    [
        ("regex", "a" * 40 + "!", "^(a|aa)+$"),
        ("json_schema", json.dumps("a" * 40 + "!"), {"type": "string", "pattern": "^(a|aa)+$"}),
        ("json_schema", json.dumps({"a" * 40 + "!": 1}), {"patternProperties": {"^(a|aa)+$": {"type": "string"}}}),
    ],
)
def test_an_endless_search_is_given_up(
    grader: str, answer: str, reference: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graders, "SEARCH_SECONDS", 0.2)
    with pytest.raises(TimeoutError, match=r"the search for '\^\(a\|aa\)\+\$' takes longer than 0.2 s"):
        grade(grader, answer, reference)


def test_patterns_of_a_schema_are_checked() -> None:
    schema = {"properties": {"id": {"pattern": "^[a-c]+$"}}, "patternProperties": {"^n_": {"type": "integer"}}}
    assert grade("json_schema", '{"id": "abc", "n_x": 1}', schema) == 1.0
    assert grade("json_schema", '{"id": "xyz", "n_x": 1}', schema) == 0.0
    assert grade("json_schema", '{"id": "abc", "n_x": "1"}', schema) == 0.0
    with pytest.raises(QuestionError, match="not a JSON schema"):
        grade("json_schema", '{"id": "abc"}', {"type": 3})


def test_a_schema_is_checked_before_the_answer() -> None:
    for answer in ("", "no JSON", "{}"):
        with pytest.raises(QuestionError, match="not a JSON schema"):
            grade("json_schema", answer, {"type": "thing"})


def test_numbers_and_rows_of_any_size_and_case() -> None:
    assert grade("json", "1" * 400, 5) == 0
    assert grade("json", "1" * 400, int("1" * 400)) == 1
    setup = "CREATE TABLE t (name TEXT); INSERT INTO t VALUES ('apple'), ('Banana');"
    reference = {"setup": setup, "rows": [["Apple"], ["banana"]], "ordered": False}
    assert grade("sql", "SELECT name FROM t", reference) == 1


def test_a_judge_is_asked_and_read() -> None:
    assert "<reference>\nParis" in judge_prompt("Lyon", Question("Capital?", "Paris"))
    assert "<reference>" not in judge_prompt("Lyon", Question("Capital?"))
    assert read_verdict('Sure: {"score": 7}') == 0.7
    assert read_verdict('{"score": 70}') is None
    assert read_verdict("seven") is None


needs_bubblewrap = pytest.mark.skipif(sandbox.bubblewrap_command() is None, reason="bubblewrap does not work here")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="limits over all processes are Linux's")
PRINTS_ALL_IT_CAN_READ = """
import os, sys
print(open(__file__).read(), sys.stdin.read(), sys.argv, os.environ, open("/proc/self/cmdline").read())
os._exit(0)
"""
PICKLES = """
import pickle
class Point:
    x = 3
copy = pickle.loads(pickle.dumps(Point()))
"""
SANDBOXED = pytest.param(True, marks=needs_bubblewrap)


@pytest.mark.parametrize("sandboxed", [SANDBOXED, False])
def test_code_is_graded_by_its_tests(sandboxed: bool) -> None:
    tests = "assert add(2, 3) == 5"
    good, bad = "Here:\n```python\ndef add(a, b):\n    return a + b\n```", "def add(a, b): return a - b"
    assert grade("code", good, tests, sandboxed=sandboxed) == 1
    assert grade("code", bad, tests, sandboxed=sandboxed) == 0
    assert grade("code", "import sys\nsys.exit(0)", tests, sandboxed=sandboxed) == 0
    assert grade("code", "import os\nos._exit(0)", tests, sandboxed=sandboxed) == 0
    assert grade("code", PRINTS_ALL_IT_CAN_READ, tests, sandboxed=sandboxed) == 0
    assert grade("code", PICKLES, "assert copy.x == 3", sandboxed=sandboxed) == 1
    assert grade("code", "while True: pass", tests, sandboxed=sandboxed, timeout=1.0) == 0
    assert grade("code", "while True: print('x' * 1000)", tests, sandboxed=sandboxed, timeout=1.0) == 0
    assert grade("code", "x = 'a' * (4 << 30)", tests, sandboxed=sandboxed) == 0
    assert grade("code", good + "\n", "open('f', 'wb').write(b'x' * (64 << 20))", sandboxed=sandboxed) == 0


@needs_linux
@pytest.mark.parametrize("sandboxed", [SANDBOXED, False])
@pytest.mark.parametrize(
    "code",
    [
        "import os, time\nfor _ in range(400):\n    if not os.fork():\n        time.sleep(40)\ntime.sleep(40)",
        "import os, time\nfor _ in range(4):\n    if not os.fork():\n        x = b'x' * (700 << 20)\n"
        "        time.sleep(40)\ntime.sleep(40)",
        "import time\nfor n in range(30):\n    open(f'f{n}', 'wb').write(b'x' * (15 << 20))\ntime.sleep(40)",
    ],
    ids=["processes", "memory", "files"],
)
def test_a_program_and_its_children_have_limits_together(code: str, sandboxed: bool) -> None:
    started = time.monotonic()
    outcome = sandbox.run_python(code, sandboxed=sandboxed, timeout=30.0)
    assert not outcome.passed
    assert not outcome.timed_out, f"stopped only after {time.monotonic() - started:.1f} s"


@needs_linux
def test_no_daemon_outlives_its_program() -> None:
    code = (
        "import subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(986)'], start_new_session=True,"
        " stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
    )
    assert sandbox.run_python(code, sandboxed=False).passed
    deadline = time.monotonic() + 10
    while alive := [p for p in Path("/proc").glob("[0-9]*/cmdline") if b"time.sleep(986)" in _read(p)]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.05)


@needs_bubblewrap
def test_sandboxed_code_sees_no_file_no_secret_and_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary")
    monkeypatch.setenv("OPENAI_API_KEY", "canary")
    probe = f"""
import os, socket, subprocess
assert not os.path.exists({str(secret)!r})
assert not os.path.exists('/root/.ssh') and not os.path.exists('/etc/passwd') and not os.path.exists('/home')
assert 'canary' not in str(os.environ)
assert len([p for p in os.listdir('/proc') if p.isdigit()]) < 10
try:
    socket.create_connection(('127.0.0.1', 22), 1)
except OSError as error:
    print(type(error).__name__)
for place in ('/usr/x', '/bin/x', '/lib/x'):
    try:
        open(place, 'w')
        raise SystemExit('wrote ' + place)
    except OSError:
        pass
open('own', 'w').write('fine')
"""
    outcome = sandbox.run_python(probe)
    assert outcome.passed, outcome.output


def test_without_bubblewrap_code_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "bubblewrap_command", lambda: None)
    with pytest.raises(SandboxError, match="install it"):
        sandbox.run_python("print(1)")


def test_without_limits_for_processes_code_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "resource", None)
    for sandboxed in (True, False):
        with pytest.raises(SandboxError, match="cannot be run on this system"):
            sandbox.run_python("print(1)", sandboxed=sandboxed)


def test_modules_of_posix_systems_are_not_needed_to_import() -> None:
    code = (
        "import sys\nsys.modules['fcntl'] = sys.modules['resource'] = None\n"
        "import avengers_core.collecting, avengers_core.collecting.sandbox as s, avengers_core.cli\n"
        "assert s.resource is None\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_no_process_outlives_its_program() -> None:
    code = "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(987)'])\nprint(1)"
    assert sandbox.run_python(code, sandboxed=False, timeout=2.0).timed_out, "the child holds the pipe"
    deadline = time.monotonic() + 10  # a killed process may take a moment to go
    while alive := [p for p in Path("/proc").glob("[0-9]*/cmdline") if b"time.sleep(987)" in _read(p)]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.05)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_questions_of_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text('query,answer,extra\n"2 + 2, please",4,x\nCapital?,Paris,\n')
    (tmp_path / "a.jsonl").write_text(
        '{"question": "q1", "answer": 1}\n\n{"query": "q2", "dataset": "own", "index": 7}\n'
    )
    questions = read_questions(tmp_path)
    assert [(q.dataset, str(q.index), q.query, q.answer) for q in questions] == [
        ("a", "1", "q1", 1),
        ("own", "7", "q2", None),
        ("b", "2", "2 + 2, please", "4"),
        ("b", "3", "Capital?", "Paris"),
    ]
    assert len({q.key for q in questions}) == 4


def test_columns_may_be_separated_by_tabs(tmp_path: Path) -> None:
    (tmp_path / "q.tsv").write_text("query\tanswer\nWhat is 1, 2 or 3?\t2\n")
    (question,) = read_questions(tmp_path)
    assert (question.query, question.answer, question.dataset) == ("What is 1, 2 or 3?", "2", "q")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("q.jsonl", '{"query": "a"}\n{"query": 5}', "q.jsonl:2: field 'query'"),
        ("q.jsonl", '{"query": "a"}\n{"quer', "q.jsonl:2: not a JSON object"),
        ("q.jsonl", '{"query": " "}', "q.jsonl:1: field 'query': empty"),
        ("q.jsonl", '{"answer": 3}', "q.jsonl:1: field 'query'"),
        ("q.jsonl", '{"query": "a", "index": "x"}\n{"query": "b", "index": "x"}', "already stands at"),
        ("q.csv", "text,answer\na,b\n", "no column 'query'"),
        ("q.csv", 'query\n"a', "cannot be read"),
        ("q.tsv", "text\tanswer\na\tb\n", "no column 'query'"),
        ("q.jsonl", '{"query": "a", "query": "b"}', "q.jsonl:1: field 'query': given twice"),
        ("q.jsonl", "", "no question"),
        ("none.jsonl", None, "no such file"),
    ],
)
def test_unusable_questions_are_named(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(AvengersError, match=message):
        read_questions(tmp_path / name)


def test_processes_that_end_while_they_are_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As `Path.glob` does, if a folder of /proc goes between two looks."""

    def glob(path: Path, pattern: str) -> Any:
        yield path / "gone"
        raise FileNotFoundError(f"{path}/{pattern}")

    monkeypatch.setattr(sandbox.Path, "glob", glob)
    monkeypatch.setattr(sandbox.Path, "rglob", glob)
    assert sandbox._descendants(4_000_000) == [4_000_000]
    assert not sandbox._uses_too_much(4_000_000, tmp_path)
