from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from avengers_core import RecordError, load_records, read_records
from avengers_core.records import TOKEN_KINDS, Record, RecordTable, TableBuilder, Usage, write_records
from hypothesis import given
from hypothesis import strategies as st

from tests.support.records import write_jsonl
from tests.support.strategies import DATASETS, MODELS, record_lists


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
        ('{"index": "x", "dataset": "d", "query": "q", "records": {"m": NaN}}', r"field 'records\['m'\]': nan is"),
        (row(records={"m1": "high"}), r"records\['m1'\]"),
        (row(records={"m1": 1.5}), r"records\['m1'\]"),
        (row(records={"m1": 1, "m2": -0.1}), r"records\['m2'\]"),
        (row(records={}), "'records'"),
        (row(records=None), "'records'"),
        (row(query=7), "'query'"),
        (row(query=" "), "'query'"),
        ({"index": "x", "query": "q", "records": {"m": 1}}, "dataset"),
        (row(usages={"m1": {"cost": -1}}), r"usages\['m1'\].cost'"),
        (row(usages={"m1": {"prompt_tokens": "many"}}), r"usages\['m1'\].prompt_tokens'"),
        (row(usages={"m1": {"input_tokens": "many"}}), r"usages\['m1'\].input_tokens'"),
        (row(usages={"m1": {"completion_tokens": -1}}), r"usages\['m1'\].completion_tokens'"),
        (row(usages={"m1": {"cost_usd": -1}}), r"usages\['m1'\].cost_usd'"),
        (row(usages={"m9": {"cost": 1}}), r"usages\['m9'\]"),
        (row(source=7), "'source': Expected `str | null`, got `int`"),
        (row(source=" "), "'source': empty"),
        (
            row(usages={"m1": {"kind": "agent-runs"}}),
            r"usages\['m1'\].kind': 'agent-runs' is not one of call, agent_run; did you mean 'agent_run'\?",
        ),
        (row(usages={"m1": {"kind": "CALLS", "cost": 1}}), "did you mean 'call'"),
        (row(usages={"m1": {"kind": "xyz"}}), r"'xyz' is not one of call, agent_run$"),
        (row(usages={"m1": {"kind": 7}}), r"usages\['m1'\].kind': Expected `str`, got `int`; one of call, agent_run"),
        ('{"index": "x", "dataset": "d", "query": "q", "records": {"m": 1e999}}', "x.jsonl:2"),
        (row(usages={"m8": {"cost": 1}, "m9": {"cost": 1}}), r"usages\['m8'\]': the model has no score"),
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
    (tmp_path / "b.jsonl").write_bytes(b"\xef\xbb\xbf")
    (tmp_path / "g.jsonl.gz").write_bytes(b"\x1f\x8b\x08broken")
    for path, message in (
        (tmp_path / "e.jsonl", "no records"),
        (tmp_path / "b.jsonl", "no records"),
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


# --- old names of fields ---

OLD_USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "cost": 0.5}
NEW_USAGE = {"input_tokens": 10, "output_tokens": 5, "cost_usd": 0.5}


def assert_same_table(one: RecordTable, other: RecordTable) -> None:
    assert (one.index, one.datasets, one.models, one.queries) == (
        other.index,
        other.datasets,
        other.models,
        other.queries,
    )
    assert one.sources == other.sources
    for name in ("dataset", "scores", "tokens", "cost", "source", "agent_run", "texts"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert (one.weights is None) == (other.weights is None)
    if one.weights is not None and other.weights is not None:
        np.testing.assert_array_equal(one.weights, other.weights)


def test_old_names_of_usages_give_the_same_table_as_new_ones(tmp_path: Path) -> None:
    more = {"cache_read_tokens": 3, "reasoning_tokens": 2}
    tables = [
        load_records(write_jsonl(tmp_path / f"{name}.jsonl", [row(usages={"m1": usage, "m3": usage | more})]))
        for name, usage in (("old", OLD_USAGE), ("new", NEW_USAGE), ("mixed", {**OLD_USAGE, "cost": None} | NEW_USAGE))
    ]
    assert_same_table(tables[0], tables[1])
    assert_same_table(tables[2], tables[1])
    np.testing.assert_array_equal(tables[0].tokens[0, 2], [10, 5, 3, 0, 2, 0, 0])
    assert tables[0].cost[0, 0] == 0.5


def test_a_null_of_a_new_name_does_not_hide_the_old_one(tmp_path: Path) -> None:
    """Parquet files of old and new rows have both columns, one of them null."""
    usage = dict.fromkeys(NEW_USAGE, None) | OLD_USAGE
    table = load_records(write_jsonl(tmp_path / "r.jsonl", [row(usages={"m1": usage})]))
    assert table.tokens[0, 0, :2].tolist() == [10, 5]
    assert table.cost[0, 0] == 0.5


def test_old_names_are_read_in_usages_only(tmp_path: Path) -> None:
    named = row(query='"cost": 1', records={"cost": 1.0, "prompt_tokens": 0.5}, usages={"cost": OLD_USAGE})
    table = load_records(write_jsonl(tmp_path / "r.jsonl", [named]))
    assert table.models == ["cost", "prompt_tokens"]
    assert table.queries == ['"cost": 1']
    assert table.cost[0].tolist()[0] == 0.5


# --- properties of tables ---


def cells(table: RecordTable) -> dict[tuple[str, str], tuple[Any, ...]]:
    """All that a table says of each answer, by record and model: the plain view that properties are stated in."""
    out = {}
    for i, index in enumerate(table.index):
        for j, model in enumerate(table.models):
            if not np.isnan(table.scores[i, j]):
                weight = 1.0 if table.weights is None else float(table.weights[i, j])
                numbers = (float(table.scores[i, j]), float(table.cost[i, j]), weight, *table.tokens[i, j].tolist())
                names = table.datasets[table.dataset[i]], table.sources[table.source[i]], bool(table.agent_run[i, j])
                out[index, model] = (*names, table.queries[i], *(None if np.isnan(n) else n for n in numbers))
            else:
                assert not table.agent_run[i, j]
    return out


def expected_cells(records: list[Record]) -> dict[tuple[str, str], tuple[Any, ...]]:
    out = {}
    for record in records:
        for model, score in record.records.items():
            usage = record.usages.get(model)
            tokens: list[float | None] = [None] * len(TOKEN_KINDS)
            if usage is not None:
                reported = [getattr(usage, kind) for kind in TOKEN_KINDS]
                tokens = [*reported[:2], *(count or 0.0 for count in reported[2:])]
            cost = None if usage is None else usage.cost_usd
            weight = record.weights.get(model, 1.0)
            out[str(record.index), model] = (
                record.dataset, record.source or record.dataset, usage is not None and usage.kind == "agent_run",
                record.query, float(score or 0), cost, weight, *tokens,
            )  # fmt: skip
    return out


@given(record_lists())
def test_a_table_holds_what_the_records_say(records: list[Record]) -> None:
    table = load_records(records)
    assert cells(table) == expected_cells(records)
    assert table.models == sorted({model for record in records for model in record.records})
    assert table.datasets == sorted({record.dataset for record in records})


@given(record_lists(), st.integers(1, 4))
def test_a_builder_encodes_each_text_once_and_in_order(records: list[Record], batch_size: int) -> None:
    batches: list[list[str]] = []

    def encode(texts: list[str]) -> Any:
        batches.append(list(texts))
        return np.array([[float(text.removeprefix("query "))] for text in texts], dtype=np.float32)

    builder = TableBuilder(encode, batch_size)
    for record in records:
        builder.add(record)
    table = builder.build()
    assert [text for batch in batches for text in batch] == [record.query for record in records]
    assert all(len(batch) <= batch_size for batch in batches)
    assert table.encoded is not None
    assert table.encoded[:, 0].tolist() == [float(name) for name in table.index]
    assert table.queries == []


def test_a_builder_without_records_has_no_table() -> None:
    with pytest.raises(RecordError, match="no record was given"):
        TableBuilder().build()


@given(record_lists(), st.data())
def test_rows_keeps_what_was_chosen(records: list[Record], data: st.DataObject) -> None:
    table = load_records(records)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(table), max_size=len(table))), dtype=bool)
    by_mask, by_position = table.rows(mask), table.rows(np.flatnonzero(mask))
    assert_same_table(by_mask, by_position)
    assert by_mask.index == [name for name, kept in zip(table.index, mask, strict=True) if kept]
    assert (by_mask.models, by_mask.datasets) == (table.models, table.datasets)
    assert cells(by_mask) == {key: cell for key, cell in cells(table).items() if key[0] in by_mask.index}
    order = np.array(data.draw(st.permutations(range(len(table)))))
    shuffled = table.rows(order)
    assert shuffled.index == [table.index[i] for i in order]
    assert cells(shuffled) == cells(table)


@given(record_lists(), st.sets(st.sampled_from(MODELS)), st.sets(st.sampled_from(DATASETS)))
def test_without_is_the_table_of_the_records_that_are_left(
    records: list[Record], models: set[str], datasets: set[str]
) -> None:
    table = load_records(records)
    unknown = (models - set(table.models)) | (datasets - set(table.datasets))
    left = {key: cell for key, cell in cells(table).items() if key[1] not in models and cell[0] not in datasets}
    if unknown or not left:
        with pytest.raises(RecordError, match=r"cannot exclude|no record is left"):
            table.without(models, datasets)
        return
    rest = table.without(models, datasets)
    assert cells(rest) == left
    assert rest.models == [name for name in table.models if name not in models]
    assert rest.datasets == [name for name in table.datasets if name not in datasets]
    assert not np.isnan(rest.scores).all(axis=1).any(), "no row without an answer"
    assert rest.sources == sorted({cell[1] for cell in left.values()})
    assert_same_table(table.without(), table)


@given(record_lists(), st.floats(0, 1), st.integers(0, 5))
def test_split_takes_each_datasets_share_and_loses_nothing(records: list[Record], ratio: float, seed: int) -> None:
    table = load_records(records)
    train, rest = table.split(ratio, seed)
    assert_same_table(train, table.split(ratio, seed)[0])
    assert sorted(train.index + rest.index) == sorted(table.index)
    assert cells(train) | cells(rest) == cells(table)
    for code in range(len(table.datasets)):
        assert (train.dataset == code).sum() == round((table.dataset == code).sum() * ratio)
    for bad in (-0.1, 1.1):
        with pytest.raises(ValueError, match="train_ratio"):
            table.split(bad, seed)


# --- sources and kinds ---


def test_a_source_is_the_dataset_and_a_usage_a_call_if_nothing_is_said(tmp_path: Path) -> None:
    said = {"m1": NEW_USAGE | {"kind": "agent_run"}, "m3": NEW_USAGE | {"kind": None}}
    rows = [row(), row(index="b", source=None, usages={}), row(index="c", source="judge", usages=said)]
    table = load_records(write_jsonl(tmp_path / "r.jsonl.gz", rows))
    assert [table.sources[code] for code in table.source] == ["d", "d", "judge"]
    np.testing.assert_array_equal(table.agent_run, [[False] * 3, [False] * 3, [True, False, False]])
    assert (table.source.dtype, table.agent_run.dtype) == (np.int32, np.bool_)


@given(record_lists())
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, records: list[Record]) -> None:
    path = tmp_path_factory.mktemp("written") / "r.jsonl"
    write_records(path, records)
    assert_same_table(load_records(path), load_records(records))


def test_a_record_without_source_and_kind_is_written_as_before(tmp_path: Path) -> None:
    usages: dict[str, Usage | None] = {"m": Usage(cost_usd=1.0)}
    write_records(tmp_path / "r.jsonl", [Record("1", "d", "q", {"m": 1.0}, usages)])
    assert (tmp_path / "r.jsonl").read_text() == (
        '{"index":"1","dataset":"d","query":"q","records":{"m":1.0},"usages":{"m":{"cost_usd":1.0}}}\n'
    )


def test_the_files_name_can_be_the_source_of_records_without_one(tmp_path: Path) -> None:
    files = [
        write_jsonl(tmp_path / "first.train.jsonl.gz", [row(), row(index="b", source="judge")]),
        write_jsonl(tmp_path / ".hidden.jsonl", [row(index="c")]),
    ]
    table = load_records(files, source_from_file=True)
    assert [table.sources[code] for code in table.source] == ["first", "judge", ".hidden.jsonl"]
    assert load_records(files).sources == ["d", "judge"]


# --- splits ---


def split_as_without_repeats(table: RecordTable, train_ratio: float, seed: int) -> list[str]:
    """The split of texts that are all different, as it has always been: a share of a permutation of each dataset."""
    rng = np.random.default_rng(seed)
    chosen: list[int] = []
    for code in range(len(table.datasets)):
        rows = np.flatnonzero(table.dataset == code)
        chosen += rng.permutation(rows)[: round(len(rows) * train_ratio)].tolist()
    return [table.index[row] for row in sorted(chosen)]


@given(record_lists(), st.floats(0, 1), st.integers(0, 5))
def test_different_texts_are_split_as_ever(records: list[Record], ratio: float, seed: int) -> None:
    table = load_records(records)
    assert table.split(ratio, seed)[0].index == split_as_without_repeats(table, ratio, seed)


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 6)), min_size=1, max_size=40), st.floats(0, 1))
def test_equal_texts_are_on_one_side(rows: list[tuple[str, int]], ratio: float) -> None:
    records = [
        Record(n, dataset, f"text  {text}\n" if n % 2 else f" text {text}", {"m": 1.0})
        for n, (dataset, text) in enumerate(rows)
    ]
    table = load_records(records)
    train, rest = table.split(ratio, 1)
    assert not {" ".join(text.split()) for text in train.queries} & {" ".join(text.split()) for text in rest.queries}
    assert sorted(train.index + rest.index) == sorted(table.index)
    encoded = load_records(records, encode=lambda texts: np.zeros((len(texts), 1), np.float32))
    assert encoded.split(ratio, 1)[0].index == train.index, "as well if the texts are dropped"


def test_repeats_keep_the_share_of_each_dataset() -> None:
    """150 texts, every third asked twice: 200 rows in each of two datasets, half of whose repeats they share."""
    records = []
    for dataset in "xy":
        for text in range(150):
            shared = text % 3 == 0 and text % 2 == 0
            name = f"text {text}" if shared else f"{dataset} text {text}"
            records += [Record(f"{text}/{n}", dataset, name, {"m": 1.0}) for n in range(2 if text % 3 == 0 else 1)]
    table = load_records(records)
    for seed in range(20):
        train, _ = table.split(0.7, seed)
        assert np.bincount(train.dataset).tolist() == [140, 140]
    one_text = load_records([Record(n, "d", "the same", {"m": 1.0}) for n in range(10)])
    assert [len(one_text.split(ratio, 0)[0]) for ratio in (0.0, 0.4, 0.7, 1.0)] == [0, 0, 10, 10]


def test_what_is_harmless_in_a_file_is_accepted_and_what_is_not_is_named(tmp_path: Path) -> None:
    """A byte order mark, and NaN as Python's json module writes it."""
    line = '{"index": 1, "dataset": "x", "query": "NaN is no number", "records": {"m": 1.0}, "usages": {"m": {%s}}}\n'
    path = tmp_path / "r.jsonl"
    path.write_text("\ufeff" + line % '"input_tokens": NaN, "cost_usd": 0.5', encoding="utf-8")
    (record,) = read_records(path)
    assert record.usages["m"] is not None
    assert (record.usages["m"].input_tokens, record.usages["m"].cost_usd) == (None, 0.5)
    assert record.query == "NaN is no number"
    path.write_text((line % "").replace("1.0", "NaN"))
    with pytest.raises(RecordError, match=r"r\.jsonl:1: field 'records\['m'\]': nan is no score"):
        list(read_records(path))
    path.write_text(line % '"cost_usd": Infinity')
    with pytest.raises(RecordError, match=r"r\.jsonl:1: field .usages\[.m.\]\.cost_usd.: inf is no amount"):
        list(read_records(path))
