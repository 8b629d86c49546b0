"""The command line: run in this process, and as a process if the process itself matters."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from avengers_core.records.schema import Record
from pyarrow import parquet

from tests.support.commands import run_command
from tests.support.records import plain, write_jsonl

AVENGERS = [sys.executable, "-m", "avengers_core.cli"]


def run_json(*arguments: object) -> Any:
    return run_command(*arguments, "--json").json()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, records: list[Record]) -> Path:
    return write_jsonl(tmp_path_factory.mktemp("records") / "r.jsonl.gz", [plain(r) for r in records])


@pytest.fixture(scope="module")
def artifact(file: Path) -> Path:
    path = file.parent / "router.zip"
    run_command("train", file, "-o", path, "--n-clusters", 6, "--export-cluster", file.parent / "export")
    return path


def test_records_check(file: Path) -> None:
    report = run_json("records", "check", file)
    assert report["queries"] == 240
    assert {m["model"]: m["answers"] for m in report["models"]} == {"big": 240, "mid": 240, "odd": 12, "small": 240}
    shown = run_command("records", "check", file).stdout
    assert "240 queries, 3 datasets, 3 sources, 4 models" in shown
    assert "verse" in shown


def test_train_route_inspect(artifact: Path) -> None:
    decision = run_json("route", "write a poem about river 5 and love", "--alpha", 1, "-a", artifact)
    assert decision["model"] == "big"
    assert decision["explanation"]
    shown = run_command("route", "-", "--alpha", 0, "-a", artifact, input="add the numbers 1 and 2").stdout
    assert shown.startswith("small\n")
    report = run_json("inspect", artifact)
    assert len(report["clusters"]) == 6
    assert sum(c["queries"] for c in report["clusters"]) == 240
    assert "clusters" in run_command("inspect", artifact).stdout
    exported = json.loads((artifact.parent / "export" / "clusters.json").read_text())
    assert exported["clusters"] == report["clusters"]


def test_nothing_of_the_queries_is_in_the_artifact(artifact: Path) -> None:
    shown = run_command("inspect", artifact, "--json").stdout
    assert "river" not in shown
    assert "sonnet" not in shown


def test_evaluate(file: Path, artifact: Path) -> None:
    shown = run_command("evaluate", file, "--n-clusters", 6, "--resamples", 20).stdout
    for word in ("alpha 0.39", "best single", "cheapest", "random", "knn 100", "oracle", "accuracy by dataset"):
        assert word in shown
    report = run_json("evaluate", file, "-a", artifact, "--alphas", "0.5", "--resamples", 20, "--scoring", "reference")
    assert report["panels"][0]["settings"][0]["name"] == "alpha 0.5"
    assert report["scoring"] == "reference"


def test_the_packaged_artifact_routes_offline() -> None:
    decision = run_json("route", "What is 17 * 23?", "--alpha", 0.4)
    assert decision["expected_cost"] > 0
    old = run_json("route", "hi", "-a", "default", "--require", "tools,max_input_tokens=150000")
    assert old["excluded"]["openai/gpt-4o"]


def test_without_models_the_candidates_are_current_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    from avengers_core.catalog import default_catalog
    from avengers_core.catalog.providers import providers

    for provider in providers():
        for key in provider.keys:
            monkeypatch.delenv(key, raising=False)

    def candidates() -> list[str]:
        return [one["model"] for one in run_json("route", "What is 17 * 23?")["candidates"]]

    everywhere = candidates()
    assert {name.partition("/")[0] for name in everywhere} >= {"openai", "anthropic", "google"}
    assert not [name for name in everywhere if default_catalog().entry(name).status == "retired"]
    monkeypatch.setenv("ANTHROPIC_API_KEY", "fake")
    assert {name.partition("/")[0] for name in candidates()} == {"anthropic"}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "missing.jsonl"], 1, "no such file"),
        (["route", "x", "-a", "missing.zip"], 1, "no such artifact"),
        (["route", "x", "--alpha", "3"], 1, "alpha must be"),
        (["route", "x", "--models", "nobody"], 1, "model 'nobody' is unknown"),
        (["train", "--n-clusters", "many"], 2, "--n-clusters"),
        (["fly"], 2, "No such command"),
    ],
)
def test_errors_have_codes_and_no_traceback(arguments: list[str], code: int, message: str) -> None:
    done = run_command(*arguments, exit_code=code)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_leaves_no_half_file(tmp_path: Path, records: list[Record]) -> None:
    rows = [plain(r) | {"index": f"{copy}/{r.index}"} for copy in range(200) for r in records]
    file = write_jsonl(tmp_path / "big.jsonl", rows)
    process = subprocess.Popen(
        [*AVENGERS, "train", str(file), "-o", str(tmp_path / "out.zip"), "--n-clusters", "4000"],  # minutes of k-means
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.default_int_handler
        ),  # a job in the background ignores it
    )
    time.sleep(2.0)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130, errors
    assert "interrupted" in errors
    assert [p.name for p in tmp_path.iterdir()] == ["big.jsonl"]


def test_ledger(tmp_path: Path) -> None:
    from avengers_core.ledger.entry import Entry, now
    from avengers_core.ledger.store import Ledger
    from avengers_core.pricing.types import TokenUsage

    path = tmp_path / "l.sqlite"
    Ledger(path).record(
        Entry(
            time=now(), call="c", decision="d", attempt=0, model="big", provider="p", status="ok", alpha=0.4,
            tags=["shop"], usage=TokenUsage(input_tokens=30, output_tokens=40), cost_pico=2_500_000_000,
        )
    )  # fmt: skip
    (row,) = run_json("ledger", path)
    assert (row["model"], row["calls"], row["cost_usd"]) == ("big", 1, 0.0025)
    assert "0.002500" in run_command("ledger", path, "--by", "tag").stdout
    assert "no such ledger" in run_command("ledger", tmp_path / "none.sqlite", exit_code=1).stderr
    assert "by must be one of" in run_command("ledger", path, "--by", "hour", exit_code=1).stderr


def test_sweep_and_recommend(file: Path, tmp_path: Path) -> None:
    tried = ["sweep", file, "-o", tmp_path, "--n-clusters", "3", "--seeds", "0:2", "--alpha-step", "0.1"]
    assert "22 rows in" in run_command(*tried).stdout
    assert run_json(*tried, "--parquet")[0]["seeds"] == 2
    assert parquet.read_table(tmp_path / "curves.parquet").num_rows == 22
    found = run_json("recommend", tmp_path, "--target", "accuracy >= 60% of best single")
    assert 0 <= found["alpha"] <= 1
    assert "seeds meet the target" in run_command("recommend", tmp_path, "--target", "accuracy >= 0.3").stdout
    assert "is not understood" in run_command("recommend", tmp_path, "--target", "fast", exit_code=1).stderr
    run_command("sweep", file, "-o", tmp_path, "--beta", "x", exit_code=2)
    run_command("sweep", file, "-o", tmp_path, "--alpha-step", "2", exit_code=2)


def test_compare(file: Path, artifact: Path, tmp_path: Path) -> None:
    run_command("train", file, "-o", tmp_path / "one.zip", "--n-clusters", 1)
    found = run_json("compare", artifact, tmp_path / "one.zip", file, "--alphas", "0.4,1")
    assert [row["alpha"] for row in found["settings"]] == [0.4, 1.0]
    assert found["auc"][0] > found["auc"][1]
    assert "difference" in run_command("compare", artifact, artifact, file).stdout


def test_routerarena(artifact: Path, tmp_path: Path) -> None:
    entries = [{"global index": "A_1", "prompt": "add 3 and 4"}, {"global index": "B_2", "prompt_formatted": "a poem"}]
    (tmp_path / "d.json").write_text(json.dumps(entries))
    run_command(
        "routerarena", tmp_path / "d.json", "-o", tmp_path / "p.json", "-a", artifact, "--names", "small=s-1,big=b-1"
    )
    made = json.loads((tmp_path / "p.json").read_text())
    assert [one["global index"] for one in made] == ["A_1", "B_2"]
    assert {one["prediction"] for one in made} <= {"s-1", "b-1"}
    assert made[0] | {"prediction": ""} == {
        "global index": "A_1",
        "prompt": "add 3 and 4",
        "prediction": "",
        "generated_result": None,
        "cost": None,
        "accuracy": None,
    }
    (tmp_path / "d.json").write_text('[{"prompt": "x"}]')
    wrong = run_command("routerarena", tmp_path / "d.json", "-o", tmp_path / "q.json", "-a", artifact, exit_code=1)
    assert "entry 0: 'global index' is missing" in wrong.stderr
    assert not (tmp_path / "q.json").exists()
    run_command("routerarena", tmp_path / "d.json", "-o", tmp_path / "q.json", "--names", "small", exit_code=2)


def test_names_cannot_move_the_cursor_or_become_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    from avengers_core._utils.results import Table
    from avengers_core.cli.console import print_path, print_result, print_warning

    print_result(
        [], lambda _: ["openai:m: \x1b[31mred\x07", Table("t", ("model",), [("\x1b[2Jopenai:smile:",)])], False
    )
    print_path("/tmp/\x1b[0m:bug:")
    print_warning("a\x9bb")
    shown = capsys.readouterr()
    text = shown.out + shown.err
    assert not set(text) & {"\x1b", "\x07", "\x9b"}
    assert "openai:smile:" in text
    assert ":bug:" in text
