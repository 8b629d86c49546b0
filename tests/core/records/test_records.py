from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from avengers_core import Record, RecordError, Usage, load_records, read_records
from avengers_core.records.summary import summarize_records

from tests.support.records import write_jsonl


def row(**changes: Any) -> dict[str, Any]:
    base = {
        "index": "a/1",
        "dataset": "d",
        "query": "q?",
        "records": {"m1": 1.0, "m2": None, "m3": True},
        "usages": {"m1": {"prompt_tokens": 10, "completion_tokens": 5, "cost": 0.5}},
    }
    return base | changes


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_reads_scores_and_usage(tmp_path: Path, name: str) -> None:
    table = load_records(write_jsonl(tmp_path / name, [row(), row(index=2, records={"m2": 0.5}, usages={})]))
    assert table.models == ["m1", "m2", "m3"]
    np.testing.assert_array_equal(table.scores, [[1, 0, 1], [np.nan, 0.5, np.nan]])
    np.testing.assert_array_equal(table.cost, [[0.5, np.nan, np.nan], [np.nan] * 3])
    np.testing.assert_array_equal(table.tokens[0, 0, :3], [10, 5, 0])
    assert np.isnan(table.tokens[0, 1, 0])
    assert table.index == ["a/1", "2"]


def test_reads_many_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write_jsonl(tmp_path / "a.jsonl", [row()])
    write_jsonl(tmp_path / "sub" / "b.jsonl.gz", [row(index="b")])
    (tmp_path / "notes.txt").write_text("no record")
    assert len(load_records(tmp_path)) == 2
    assert len(load_records([tmp_path / "sub", tmp_path / "a.jsonl"])) == 2


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ("{", "not valid JSON"),
        ('{"index": "x", "dataset": "d", "query": "q", "records": {"m": NaN}}', "not valid JSON"),
        (row(records={"m1": "high"}), r"records\['m1'\]"),
        (row(records={"m1": 1.5}), r"records\['m1'\]"),
        (row(records={"m1": 1, "m2": -0.1}), r"records\['m2'\]"),
        (row(records={}), "'records'"),
        (row(records=None), "'records'"),
        (row(query=7), "'query'"),
        (row(query=" "), "'query'"),
        ({"index": "x", "query": "q", "records": {"m": 1}}, "dataset"),
        (row(usages={"m1": {"cost": -1}}), r"usages\['m1'\].cost"),
        (row(usages={"m1": {"prompt_tokens": "many"}}), r"usages\['m1'\].prompt_tokens"),
        (row(usages={"m9": {"cost": 1}}), r"usages\['m9'\]"),
        ('{"index": "x", "dataset": "d", "query": "q", "records": {"m": 1e999}}', "x.jsonl:2"),
        ("[1]", "Expected `object`"),
        (row(), "already stands at .*x.jsonl:1"),
    ],
)
def test_error_names_file_line_and_field(tmp_path: Path, bad: Any, field: str) -> None:
    path = write_jsonl(tmp_path / "x.jsonl", [row(), bad])
    with pytest.raises(RecordError, match=r"x\.jsonl:2: ") as caught:
        list(read_records(path))
    with pytest.raises(RecordError, match=field):
        raise caught.value


def test_empty_missing_and_broken_files(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text("\n\n")
    (tmp_path / "g.jsonl.gz").write_bytes(b"\x1f\x8b\x08broken")
    for path, message in (
        (tmp_path / "e.jsonl", "no records"),
        (tmp_path / "none.jsonl", "no such file"),
        (tmp_path / "g.jsonl.gz", "cannot be read"),
    ):
        with pytest.raises(RecordError, match=message):
            list(read_records(path))
    (tmp_path / "folder").mkdir()
    with pytest.raises(RecordError, match=r"no \.jsonl"):
        list(read_records(tmp_path / "folder"))


def test_same_index_in_two_datasets_is_fine_and_in_two_files_is_not(tmp_path: Path) -> None:
    a = write_jsonl(tmp_path / "a.jsonl", [row(), row(dataset="e")])
    b = write_jsonl(tmp_path / "b.jsonl", [row()])
    assert len(load_records(a)) == 2
    with pytest.raises(RecordError, match=r"b\.jsonl:1: .*a\.jsonl:1"):
        load_records([a, b])


def test_split_is_per_dataset_and_repeatable(records: Any) -> None:
    table = load_records(records)
    train, test = table.split(0.7, 3)
    again, _ = table.split(0.7, 3)
    assert train.index == again.index != table.split(0.7, 4)[0].index
    assert set(train.index) | set(test.index) == set(table.index)
    assert not set(train.index) & set(test.index)
    np.testing.assert_array_equal(np.bincount(train.dataset), [56, 56, 56])


def test_exclusions(records: Any) -> None:
    table = load_records(records)
    left = table.without(["big", "small", "mid"], ["code"])
    assert left.models == ["odd"]
    assert left.datasets == ["sums", "verse"]
    assert not np.isnan(left.scores).any()
    with pytest.raises(RecordError, match="cannot exclude model 'nope'"):
        table.without(["nope"])
    with pytest.raises(RecordError, match="no record is left"):
        table.without(datasets=["code", "sums", "verse"])


def test_encode_drops_texts(records: Any) -> None:
    table = load_records(records, encode=lambda texts: np.full((len(texts), 2), len(texts), np.float32), batch_size=100)
    assert table.queries == []
    assert table.encoded is not None
    assert [table.encoded[i, 0] for i in (0, 100, 200)] == [100, 100, 40]


def test_real_records(data_folder: Path) -> None:
    table = load_records(data_folder / "zeroeval.train.jsonl.gz")
    assert (len(table), len(table.models), table.datasets) == (1987, 16, ["crux", "gsm", "math-l5"])


def test_a_summary_counts_by_dataset_and_by_model() -> None:
    table = load_records(
        [
            Record("1", "x", "a", {"m": 1.0, "n": 0.0}, {"m": Usage(input_tokens=1, output_tokens=2, cost_usd=0.5)}),
            Record("2", "x", "b", {"m": 0.0}, {"m": Usage(cost_usd=0.25)}),
            Record("3", "y", "c", {"m": 1.0}),
        ]
    )
    summary = summarize_records(table)
    x, y = summary.datasets
    assert (x.dataset, x.queries, x.coverage, x.mean_score) == ("x", 2, 0.75, pytest.approx(1 / 3))
    assert (y.dataset, y.queries, y.coverage, y.mean_score) == ("y", 1, 0.5, 1.0)
    m, n = summary.models
    assert (m.answers, m.coverage, m.cost_usd) == (3, 1.0, 0.75)
    assert (m.mean_score, m.mean_score_over_datasets) == (pytest.approx(2 / 3), pytest.approx(0.75))
    assert (m.cost_known, m.tokens_known) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert (n.answers, n.cost_usd, n.cost_known) == (1, None, 0.0)
