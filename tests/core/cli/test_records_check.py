"""`avengers records check` and `merge`: what they show, write and end with."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from avengers_core import read_records
from avengers_core.cli.columns import MIN_NAME, align, shorten, shorten_all
from rich.cells import cell_len

from tests.support.commands import run_command
from tests.support.records import make_records, plain, write_jsonl


def rows_of(models: list[str], name: str = "q", n: int = 30, dollars: float | None = 0.001) -> list[dict[str, Any]]:
    usages = {} if dollars is None else {model: {"cost_usd": dollars} for model in models}
    return [
        {
            "index": f"{name}/{row}",
            "dataset": name,
            "query": f"{name} {row}",
            "records": {
                model: float((row * 7 + column * 3) % 10 < 2 + column % 7) for column, model in enumerate(models)
            },
            "usages": usages,
        }
        for row in range(n)
    ]


@pytest.fixture(scope="module")
def union(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 models whose names are long and alike, in two files, one of them of agent runs that are not marked."""
    folder = tmp_path_factory.mktemp("union")
    models = [f"some-provider/a-model-with-a-long-name-{number:03d}b-instruct:thinking" for number in range(400)]
    write_jsonl(folder / "first_half.jsonl", rows_of(models, "first"))
    write_jsonl(folder / "second_half.train.jsonl.gz", rows_of([*models[:50], "gpt-5.2"], "second", dollars=0.9))
    write_jsonl(folder / "third.jsonl", rows_of(["openai/gpt-5.2"], "third", n=5, dollars=None))
    return folder


@pytest.mark.slow
def test_400_models_are_400_aligned_lines_of_80_cells(union: Path) -> None:
    lines = run_command("records", "check", union, "--source-from-file", env={"COLUMNS": "80"}).stdout.splitlines()
    assert max(map(cell_len, lines)) <= 80
    assert lines[0].startswith("65 queries, 3 datasets, 3 sources, 402 models")
    (head,) = [number for number, line in enumerate(lines) if line.startswith("model ")]
    models = lines[head + 1 : head + 1 + 402]
    assert {line.index(" 1 " if " 1 " in line else " 2 ") for line in models} == {models[0].index(" 1 ")}
    names = [line.split()[0] for line in models]
    assert len(set(names)) == 402, "shortened names are still different"
    assert models[0].startswith("openai/gpt-5.2 ")
    assert models[0].endswith("two ids, few")
    assert all("no price" not in line for line in models if "some-provider" in line)


def test_findings_say_what_to_do(union: Path) -> None:
    shown = run_command("records", "check", union, "--source-from-file", env={"COLUMNS": "80"}).stdout
    assert re.search(r"1\. dollars: .*\n +second_half +\$0\.9, 900 times first_half\n", shown)
    assert 'set "kind": "agent_run" in their usages' in " ".join(shown.split())
    assert "gpt-5.2, openai/gpt-5.2  are openai/gpt-5.2" in shown
    assert "openai/gpt-5.2  5 answers" in shown


def test_json_has_all_items(union: Path) -> None:
    found = run_command("records", "check", union, "--json").json()
    assert [one["code"] for one in found["findings"]] == ["dollars", "two_ids", "few"]
    assert found["findings"][0]["items"][0]["names"] == ["second"], "the dataset, if there is no source"
    assert len(found["models"]) == 402


def test_findings_end_with_exit_code_3_only_if_asked(union: Path, tmp_path: Path) -> None:
    run_command("records", "check", union)
    shown = run_command("records", "check", union, "--exit-code", exit_code=3).stdout
    assert "3 findings" in shown
    sound = write_jsonl(tmp_path / "r.jsonl", rows_of(["gpt-5.2", "claude-haiku-4-5"]))
    shown = run_command("records", "check", sound, "--exit-code", exit_code=0).stdout
    assert "nothing found that spoils these records" in shown
    assert "few" in run_command("records", "check", sound, "--min-answers", 31).stdout
    broken = write_jsonl(tmp_path / "b.jsonl", [{"index": 1}])
    assert "b.jsonl:1: " in run_command("records", "check", broken, "--exit-code", exit_code=1).stderr


def test_merge_keeps_sources_and_kinds(tmp_path: Path) -> None:
    rows = [plain(record) for record in make_records(6)]
    rows[0]["source"], rows[0]["usages"]["big"]["kind"] = "judge", "agent_run"
    files = [write_jsonl(tmp_path / "a.x.jsonl", rows[:3]), write_jsonl(tmp_path / "b.jsonl.gz", rows[3:])]
    out = tmp_path / "all.jsonl.gz"
    assert "6 records" in run_command("records", "merge", *files, "-o", out).stdout
    assert list(read_records(out)) == list(read_records(files))
    run_command("records", "merge", *files, "-o", out, "--source-from-file")
    merged = list(read_records(out))
    assert [record.source for record in merged] == ["judge", "a", "a", "b", "b", "b"]
    usage = merged[0].usages["big"]
    assert usage is not None
    assert usage.kind == "agent_run"
    clash = run_command("records", "merge", files[0], files[0], "-o", tmp_path / "no.jsonl", exit_code=1)
    assert "already stands at" in clash.stderr
    assert not (tmp_path / "no.jsonl").exists()


def test_chosen_questions_keep_the_source_of_their_records(tmp_path: Path) -> None:
    rows = [
        plain(record) | {"source": "judge" if number % 2 else None} for number, record in enumerate(make_records(8))
    ]
    questions = [{"index": row["index"], "dataset": row["dataset"], "query": row["query"], "answer": 1} for row in rows]
    questions[1]["source"] = "own"
    records, out = write_jsonl(tmp_path / "r.jsonl", rows), tmp_path / "c.jsonl"
    for more in ([], ["--questions", write_jsonl(tmp_path / "q.jsonl", questions)]):
        run_command("records", "choose", records, "-n", 8, "-o", out, *more)
        chosen = {row["index"]: row for row in map(json.loads, out.read_text().splitlines())}
        expected = [None, "own" if more else "judge", *[None, "judge"] * 3]
        assert [chosen[str(number)].get("source") for number in range(8)] == expected


# --- columns ---


def test_names_are_shortened_in_the_middle() -> None:
    assert shorten("short", 10) == "short"
    assert shorten("abcdefghijklm", 9) == "abcd…jklm"
    assert shorten("abcdefghijklm", 9, head=1.0) == "abcdefgh…"
    assert shorten("a\nb\x1b[1m", 20) == "a?b?[1m"
    assert cell_len(shorten("日本語のモデルの名前", 9)) <= 9


def test_the_cut_is_made_where_names_stay_different() -> None:
    names = ["aaaaaaaaaaaaXbbbbbbbb", "aaaaaaaaaaaaYbbbbbbbb"]
    for name in (names, [name[::-1] for name in names]):
        short = shorten_all(name, 16)
        assert len(set(short)) == 2
        assert all(len(one) == 16 and "…" in one for one in short)


def test_columns_are_aligned_and_never_wider_than_the_console() -> None:
    lines = align(("name", "n", "rest"), [("x" * 50, "1,000", ""), ("日本", "7", "why")], 40)
    assert max(map(cell_len, lines)) <= 40
    assert [cell_len(line) for line in lines] == [40, 34, 39]
    assert cell_len(lines[2].rpartition("  why")[0]) == cell_len(lines[1])
    assert len(align(("name", "n", "rest"), [("x" * 50, "1", "y" * 50)], 20)[1].split()[0]) == MIN_NAME
