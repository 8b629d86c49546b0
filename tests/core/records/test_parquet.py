"""Records in Parquet files, which the workers of a cluster read: they say what the same records say as JSON lines."""

from __future__ import annotations

import datetime
import json
import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from avengers_core import RecordError, load_records
from avengers_core.records import Record
from avengers_core.records.slices import find_slices, read_slice
from avengers_core.training.reading import check_indices, index_keys

from tests.support.records import make_records, plain, write_jsonl

SCORES = pa.map_(pa.string(), pa.float64())


def row(**fields: Any) -> dict[str, Any]:
    return {"index": "1", "dataset": "d", "query": "What is a lake?", "records": {"a": 1.0, "b": 0.5}} | fields


def write(path: Path, *rows: dict[str, Any], **types: Any) -> Path:
    schema = pa.schema([(name, types.get(name, pa.infer_type([one[name] for one in rows]))) for name in rows[0]])
    pq.write_table(pa.Table.from_pylist(list(rows), schema), path)
    return path


def read(path: Path) -> list[Record]:
    return [record for piece in find_slices(path, more_suffixes=(".parquet",)) for record in read_slice(piece)]


def test_null_is_a_failure_in_a_map_and_in_json_and_not_asked_in_a_struct(tmp_path: Path) -> None:
    given = {"a": 1.0, "b": None}
    (struct,) = read(write(tmp_path / "s.parquet", row(records=given)))
    (pairs,) = read(write(tmp_path / "m.parquet", row(records=list(given.items())), records=SCORES))
    (text,) = read(write(tmp_path / "t.parquet", row(records=json.dumps(given))))
    assert struct.records == {"a": 1.0}
    assert pairs.records == text.records == given


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"records": {"a": float("nan")}}, r"field 'records\['a'\]': nan is no score"),
        ({"records": '{"a": NaN}'}, r"field 'records\['a'\]': nan is no score"),
        ({"records": '{"a": 1'}, "field 'records': not valid JSON: Expecting ',' delimiter"),
        ({"records": "5"}, "field 'records': it must be a mapping from models, not int"),
        ({"usages": {"a": {"cost_usd": float("inf")}}}, r"field 'usages\['a'\]\.cost_usd': inf is no amount"),
    ],
)
def test_a_fault_names_the_file_the_row_and_the_field(fields: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "r.parquet", row(**fields), row(**fields, index="2"))
    with pytest.raises(RecordError, match=rf"r\.parquet: row 1: {message}"):
        read(path)


def test_a_date_is_as_good_an_index_as_any(tmp_path: Path) -> None:
    (record,) = read(write(tmp_path / "r.parquet", row(index=datetime.date(2026, 11, 29))))
    assert record.index == "2026-11-29"


def test_what_is_no_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "r.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(RecordError, match=r"r\.parquet: it cannot be read as Parquet"):
        read(tmp_path / "r.parquet")


def test_an_index_that_occurs_twice_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "r.parquet", row(), row(index="2"), row())
    with pytest.raises(RecordError, match=r"r\.parquet: field 'index': '1' occurs twice in dataset 'd'"):
        check_indices([index_keys(load_records(read(path)))], [path])


def test_one_machine_refuses_parquet_and_says_if_it_leaves_it_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "r.parquet", row())
    with pytest.raises(RecordError, match=r"r\.parquet: Parquet files are read on a Dask cluster only"):
        load_records(path)
    write_jsonl(tmp_path / "r.jsonl", map(plain, make_records(30)))
    with caplog.at_level(logging.WARNING):
        assert len(load_records(tmp_path)) == 30
    assert "r.parquet is left out" in caplog.text
