"""Records in parts, in memory and on disk, by one process and by several: the same artifact in every digit."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from avengers_core import RecordError, RouterEstimator, WordLlamaEmbedder, load_records
from avengers_core.cli.options import parse_bytes
from avengers_core.embedders.callable import CallableEmbedder
from avengers_core.records import loading, slices, write_records
from avengers_core.records.schema import Record, Usage
from avengers_core.records.table import RecordTable
from avengers_core.routing.manifest import Artifact
from avengers_core.training import clustering, estimator, parts, reading
from avengers_core.training.reading import training_parts
from msgspec.structs import replace

from tests.support.commands import run_command
from tests.support.records import make_records, plain, write_jsonl

AVENGERS = [sys.executable, "-m", "avengers_core.cli"]


def assert_equal(one: Artifact, other: Artifact) -> None:
    np.testing.assert_array_equal(one.centers, other.centers)
    for name, values in vars(one.statistics).items():
        np.testing.assert_array_equal(values, getattr(other.statistics, name))
    assert one.arrays.keys() == other.arrays.keys()
    for name, values in one.arrays.items():
        np.testing.assert_array_equal(values, other.arrays[name])
    assert one.manifest.models == other.manifest.models
    assert one.manifest.sources == other.manifest.sources


def mixed_records() -> list[Record]:
    """Records some of which have weights, durations, sources and models that others have not."""
    records = make_records(360)
    records[40] = Record("w", "code", "weighed", {"big": 1.0, "rare": 0.5}, {}, {"big": 2.0}, "judge")
    records[300] = Record("t", "sums", "timed", {"small": 0.0}, {"small": Usage(output_tokens=5, seconds=2.0)})
    return records


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of 70 rows, Lloyd's steps over all, slices of a few lines, and no room for parts in memory."""
    for module in (parts, reading):
        monkeypatch.setattr(module, "PART_ROWS", 70)
    monkeypatch.setattr(clustering, "SAMPLE_PER_CLUSTER", 12)
    monkeypatch.setattr(estimator, "MIN_MEMORY", 1)


def test_parts_on_disk_make_the_same_artifact(
    small_parts: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    path = tmp_path / "r.jsonl"
    write_records(path, mixed_records())
    here = RouterEstimator(5).fit(path)
    stored: list[int] = []

    def watch(step: str, done: int, total: int) -> None:
        stored.append(len(list((tmp_path / "temporary").rglob("encoded.npy"))))

    there = RouterEstimator(5, memory=1, progress=watch).fit(path)
    assert max(stored) == 6, "360 records in parts of 70 are on disk"
    assert not list((tmp_path / "temporary").iterdir()), "and removed at the end"
    assert_equal(here.artifact_, there.artifact_)
    np.testing.assert_array_equal(here.labels_, there.labels_)
    stored.clear()
    some = RouterEstimator(5, memory=4 * 3 * 70 * 1800, progress=watch).fit(path)
    assert 0 < max(stored) < 6
    assert_equal(here.artifact_, some.artifact_)
    for excluded in ({"exclude_models": ["rare"]}, {"soft_exclude_datasets": ["verse"]}):
        one, other = (RouterEstimator(5, memory=memory, **excluded).fit(path) for memory in (None, 1))
        assert_equal(one.artifact_, other.artifact_)


def test_a_table_and_its_file_make_the_same_artifact(small_parts: None, tmp_path: Path) -> None:
    records = mixed_records()
    path = tmp_path / "r.jsonl"
    write_records(path, records)
    from_file = RouterEstimator(5, train_ratio=0.8).fit(path)
    from_table = RouterEstimator(5, train_ratio=0.8).fit(load_records(path))
    assert_equal(from_file.artifact_, from_table.artifact_)
    assert from_file.held_out_ is not None
    assert from_table.held_out_ is not None
    assert from_file.held_out_.index == from_table.held_out_.index
    assert_equal(from_file.artifact_, RouterEstimator(5, train_ratio=0.8).fit(records).artifact_)


def test_processes_read_what_one_process_reads(
    small_parts: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = mixed_records()
    write_records(tmp_path / "r" / "a.jsonl", records[:250])
    write_records(tmp_path / "r" / "b.jsonl.gz", records[250:])
    monkeypatch.setattr(slices.find_slices, "__defaults__", (20_000, 20))
    assert len(slices.find_slices(tmp_path / "r")) > 3
    done: list[int] = []
    one = RouterEstimator(5).fit(tmp_path / "r")
    two = RouterEstimator(5, n_jobs=2, progress=lambda step, n, _: done.append(n) if step == "embed" else None)
    assert_equal(one.artifact_, two.fit(tmp_path / "r").artifact_)
    assert done == sorted(done)
    assert done[-1] == 360
    with training_parts(tmp_path / "r", None, n_jobs=2) as found:
        tables = [part for part in found if isinstance(part, RecordTable)]
        assert [len(table) for table in tables] == [70] * 5 + [10]
        assert [name for table in tables for name in table.index] == [str(record.index) for record in records]


def test_processes_say_what_one_process_says_of_a_fault(tmp_path: Path) -> None:
    lines = [json.dumps(plain(record)) for record in make_records(60)]
    broken = tmp_path / "broken.jsonl"
    broken.write_text("\n".join([*lines[:30], lines[30].replace('"dataset"', '"dataser"'), *lines[31:]]))
    twice = tmp_path / "twice.jsonl"
    twice.write_text("\n".join([*lines, lines[7]]))
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n")
    for path, message in (
        (broken, r"broken\.jsonl:31: .*dataset"),
        (twice, r"twice\.jsonl:61: field 'index': .* already stands at .*twice\.jsonl:8;"),
        (empty, r"empty\.jsonl: the file has no records"),
    ):
        for n_jobs in (None, 2):
            with pytest.raises(RecordError, match=message):
                RouterEstimator(3, n_jobs=n_jobs).fit(path)


@pytest.mark.parametrize(
    ("parameters", "records", "message"),
    [
        ({"n_jobs": 0}, "r.jsonl", "n_jobs must be a whole number of 1 or more, not 0"),
        (
            {"n_jobs": 2, "embedder": WordLlamaEmbedder()},
            "r.jsonl",
            "each process makes its own embedder: give its name",
        ),
        ({"n_jobs": 2}, make_records(30), "with n_jobs records are read from files"),
        ({"memory": 1000}, "r.jsonl", "memory must be a whole number of 1073741824 or more, not 1000"),
        ({"memory": 1 << 31, "train_ratio": 0.5}, "r.jsonl", "with a limit of memory train_ratio must be 1"),
    ],
)
def test_what_cannot_be_is_refused(parameters: dict[str, Any], records: Any, message: str, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "r.jsonl", map(plain, make_records(30)))
    with pytest.raises((ValueError, TypeError), match=message):
        RouterEstimator(3, **parameters).fit(tmp_path / records if isinstance(records, str) else records)


def test_a_table_without_rows_is_refused() -> None:
    empty = load_records(make_records(30)).rows(np.zeros(30, dtype=bool))
    with pytest.raises(RecordError, match="no record is left"):
        RouterEstimator(3).fit(empty)


def test_a_full_disk_is_said_to_be_full(small_parts: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_jsonl(tmp_path / "r.jsonl", map(plain, make_records(100)))

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="cannot be written: No space left on device; set TMPDIR to a folder"):
        RouterEstimator(3, memory=1).fit(path)


def test_a_script_without_a_main_guard_is_told(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "r.jsonl", map(plain, make_records(30)))
    script = tmp_path / "script.py"
    script.write_text(f"from avengers_core import RouterEstimator\nRouterEstimator(2, n_jobs=2).fit({str(path)!r})\n")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    assert done.returncode
    assert "`if __name__ == '__main__':`" in done.stderr


def test_the_command_takes_a_limit_of_memory(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "r.jsonl", map(plain, make_records(60)))
    command = [*AVENGERS, "train", str(path), "-o", str(tmp_path / "out.zip"), "--quiet"]
    for more, code, message in (
        (["--memory", "4 GiB", "--jobs", "2"], 0, "60 queries"),
        (["--memory", "lots"], 2, "'lots' is not a size such as 4GiB or 500MB"),
        (["--memory", "10MB"], 1, "memory must be a whole number of 1073741824 or more"),
    ):
        done = subprocess.run([*command, *more], capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stderr
        assert message in " ".join((done.stdout + done.stderr).replace("│", " ").split())


def test_sizes_are_read() -> None:
    read = {text: parse_bytes(text, "--memory") for text in ("4GiB", "1.5 GB", "500m", "2e9", "7KiB", "3b")}
    assert list(read.values()) == [4 << 30, 1_500_000_000, 500_000_000, 2_000_000_000, 7 << 10, 3]


def test_processes_tell_indices_apart_that_differ_in_white_space(tmp_path: Path) -> None:
    records = [replace(record, index=f"q{' ' * number}") for number, record in enumerate(make_records(60))]
    path = write_jsonl(tmp_path / "r.jsonl", map(plain, records))
    assert RouterEstimator(3, n_jobs=2).fit(path).n_records_ == 60


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_stays_behind_if_training_is_ended(sent: signal.Signals, tmp_path: Path) -> None:
    lines = [json.dumps(plain(record)) for record in make_records(60)]
    path = tmp_path / "r.jsonl"
    with path.open("w") as file:
        for number in range(4_000):
            file.writelines(line.replace('"index": "', f'"index": "{number}/') + "\n" for line in lines)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    options = ["--jobs", "2", "--memory", "1GiB", "--quiet", "-o", str(tmp_path / "router.zip")]
    process = subprocess.Popen([*AVENGERS, "train", str(path), *options], env={**os.environ, "TMPDIR": str(temporary)})
    own = psutil.Process(process.pid)
    while len(workers := own.children(recursive=True)) < 3 or not list(temporary.iterdir()):  # and a resource tracker
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(sent)
    assert process.wait(30) == (143 if sent is signal.SIGTERM else -sent)
    assert not psutil.wait_procs(workers, 30)[1]
    if sent is signal.SIGTERM:
        assert not list(temporary.iterdir())


def test_a_fault_does_not_wait_for_what_is_embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_jsonl(tmp_path / "r.jsonl", map(plain, make_records(60)))
    with path.open("a") as file:
        file.write("no record\n")
    go_on, waited = threading.Event(), threading.Event()

    def embed(texts: list[str]) -> Any:
        go_on.wait(30)
        waited.set()

    monkeypatch.setitem(loading.load_parts.__kwdefaults__, "batch_size", 60)
    with pytest.raises(RecordError, match=r"r\.jsonl:61"):
        RouterEstimator(3, embedder=CallableEmbedder(embed, id="slow", dimension=8)).fit(path)
    assert not waited.is_set()
    go_on.set()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--jobs", "2", "--cache", "c.sqlite"], "--jobs cannot be combined with --cache"),
        (["--jobs", "2", "--embedder", "openai:x"], "--jobs cannot be combined with --cache"),
        (["--scheduler", "tcp://127.0.0.1:1", "--cache", "c.sqlite"], "--cache is of no use with --scheduler"),
    ],
)
def test_options_that_do_not_go_together(options: list[str], message: str, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "r.jsonl", map(plain, make_records(30)))
    shown = run_command("train", path, *options, "-o", tmp_path / "a.zip", exit_code=2).output
    assert message in " ".join(shown.replace("│", " ").split())


def test_a_price_id_without_a_model_is_refused(tmp_path: Path) -> None:
    shown = run_command("update", "default", "--price-id", "nano", "-o", tmp_path / "a.zip", exit_code=2).output
    assert "give it as id=provider:model" in shown
