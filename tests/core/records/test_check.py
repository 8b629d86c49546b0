"""What spoils a union of records is found, and what does not is not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from avengers_core import load_records
from avengers_core._utils.results import to_json
from avengers_core.records import Record, Usage
from avengers_core.records.check import KnownModel, RecordsCheck, check_records

MODELS = [f"m{number}" for number in range(6)]
KNOWN = {model: KnownModel(f"maker/{model}", 1.0, 10.0) for model in MODELS}


def usage(input_tokens: float = 100, output_tokens: float = 50, times: float = 1.0, kind: Any = "call") -> Usage:
    """A usage that costs so many times its list price."""
    dollars = times * (input_tokens * 1.0 + output_tokens * 10.0) / 1e6
    return Usage(input_tokens=input_tokens, output_tokens=output_tokens, cost_usd=dollars, kind=kind)


def make(
    source: str,
    n: int = 30,
    models: list[str] = MODELS,
    score: Callable[[int, int], float] = lambda row, column: float((row * 7 + column * 3) % 10 < 3 + column),
    usage: Callable[[], Usage | None] = usage,
) -> list[Record]:
    """Records of a source; the later a model, the better it is."""
    return [
        Record(
            f"{source}/{row}",
            source,
            f"{source} question {row}",
            {model: score(row, MODELS.index(model)) for model in models},
            {model: usage() for model in models},
        )
        for row in range(n)
    ]


def check(*sources: list[Record], known: dict[str, KnownModel] = KNOWN) -> RecordsCheck:
    return check_records(load_records([record for records in sources for record in records]), known)


def found(result: RecordsCheck) -> dict[str, list[list[str]]]:
    return {finding.code: [item.names for item in finding.items] for finding in result.findings}


def test_nothing_is_found_in_sound_records() -> None:
    result = check(make("one"), make("two"))
    assert result.findings == []
    assert (result.queries, result.answers, result.datasets) == (60, 360, ["one", "two"])
    one = result.sources[0]
    assert (one.source, one.queries, one.models, one.answers, one.kind, one.problems) == ("one", 30, 6, 180, "call", [])
    assert (one.above_others, one.mean_score) == (pytest.approx(0), pytest.approx(0.55))
    assert one.cost_usd == pytest.approx(600e-6)
    worst = min(result.models, key=lambda model: model.mean_score)
    assert (worst.model, worst.id, worst.answers, worst.sources, worst.coverage) == ("m0", "maker/m0", 60, 2, 1.0)
    assert (worst.mean_score, worst.above_source) == (pytest.approx(0.3), pytest.approx(-0.25))
    assert (worst.cost_known, worst.tokens_known, worst.list_price) == (1.0, 1.0, True)


def test_a_result_is_plain_values() -> None:
    result = check(make("one", usage=lambda: None), make("two", n=3))
    assert result.to_dict()["sources"][0]["source"] == "one"
    assert '"cost_usd": null' in to_json(result.to_dict())
    assert set(result.to_dict()) == {field.name for field in dataclasses.fields(RecordsCheck)}


def test_repeated_texts_within_a_source_are_counted_and_shown() -> None:
    again = [
        Record("again/0", "one", " one  question 4\n", {"m0": 1.0, "m1": 1.0}),
        Record("again/1", "one", "one question 4", {"m0": 1.0}),
    ]
    result = check(make("one"), again, make("two"))
    (finding,) = result.findings
    assert finding.code == "repeats"
    (item,) = finding.items
    assert (item.names, item.text) == (["one"], "1 text in 3 records, 3 answers again")
    assert item.examples == ["one/4", "again/0", "again/1"]
    assert "question" not in to_json(result.to_dict()), "no text is shown"
    assert {source.source: source.problems for source in result.sources} == {"one": ["repeats"], "two": []}


def test_texts_that_sources_share_are_found_by_pair() -> None:
    copies = [
        Record(f"copy/{number}", "three", record.query, {"m0": 1.0}) for number, record in enumerate(make("one", n=25))
    ]
    result = check(make("one"), make("two"), copies)
    (finding,) = [one for one in result.findings if one.code == "shared_texts"]
    (item,) = finding.items
    assert (item.names, item.text, item.examples) == (["one", "three"], "25 texts", ["one/0", "copy/0"])


def test_one_model_under_two_ids_is_found() -> None:
    known = KNOWN | {"m5": KnownModel("maker/m4", 1.0, 10.0)}
    result = check(make("one"), known=known)
    assert found(result) == {"two_ids": [["m4", "m5"]]}
    assert [model.model for model in result.models[:2]] == ["m4", "m5"], "worst first"


def test_a_source_on_another_scale_is_found_if_only_some_models_are_in_it() -> None:
    harsh = make("harsh", models=MODELS[:5], score=lambda row, column: 0.02 * column + (row % 2) * 0.3)
    more = make("more", models=["m5", "m4", "m3"])
    assert "scale" not in found(check(make("one"), make("two"), harsh)), "five of six models: the means are of the same"
    few = {f"n{number}": 1.0 for number in range(3)}
    others = [Record(f"x/{row}", "others", f"other {row}", few) for row in range(30)]
    result = check(make("one"), make("two"), harsh, more, others)
    assert found(result)["scale"] == [["harsh"]]
    assert [source.source for source in result.sources if "scale" in source.problems] == ["harsh"]


@pytest.mark.parametrize(
    ("score", "narrow"),
    [
        (lambda row, column: 0.9 + 0.01 * (row % 5) * (column % 2), True),
        (lambda row, column: 0.05 * (row % 2), True),
        (lambda row, column: 0.5 + 0.01 * column, True),
        (lambda row, column: 0.5 + 0.05 * column, False),
    ],
)
def test_a_source_at_the_ceiling_or_that_tells_no_models_apart_is_found(score: Any, narrow: bool) -> None:
    assert found(check(make("one", score=score))) == ({"narrow": [["one"]]} if narrow else {})


def test_agent_runs_that_are_not_marked_are_found_by_their_tokens() -> None:
    runs = make("runs", usage=lambda: usage(300_000, 5000))
    assert found(check(make("one"), runs)) == {"agent_runs": [["runs"]]}
    marked = make("runs", usage=lambda: usage(300_000, 5000, kind="agent_run"))
    result = check(make("one"), marked)
    assert result.findings == []
    assert {source.source: source.kind for source in result.sources} == {"one": "call", "runs": "agent_run"}
    assert all(model.cost_usd == pytest.approx(600e-6) for model in result.models), "of calls only"


def test_a_long_query_is_no_agent_run() -> None:
    long = [
        msgspec.structs.replace(record, query=f"{record.query} " + "word " * 24_000)
        for record in make("long", n=20, usage=lambda: usage(30_000))
    ]
    assert found(check(long)) == {}


def test_dollars_of_another_order_are_found_with_the_source_they_are_compared_with() -> None:
    dear = make("dear", usage=lambda: Usage(cost_usd=0.5))
    result = check(make("one"), dear)
    assert found(result) == {"dollars": [["dear"]]}
    assert result.findings[0].items[0].text == "$0.5, 833 times one"
    bill: dict[str, Usage | None] = {"n": Usage(cost_usd=9.0)}
    strangers = [Record(f"s/{row}", "strangers", f"s {row}", {"n": row % 2}, bill) for row in range(30)]
    result = check(make("one"), strangers, known=KNOWN | {"n": KnownModel("maker/n")})
    assert result.findings[0].items[0].text == "$9, 15,000 times other models of one"
    twice = make("twice", usage=lambda: Usage(cost_usd=0.002))
    assert check(make("one"), twice).findings == []
    marked = make("dear", usage=lambda: Usage(cost_usd=0.5, kind="agent_run"))
    assert check(make("one"), marked).findings == []


def test_calls_and_agent_runs_in_one_source_are_found() -> None:
    kinds = iter(["call", "agent_run"] * 90)
    mixed = make("mixed", usage=lambda: usage(kind=next(kinds)))
    result = check(make("one"), mixed)
    assert found(result) == {"mixed_kinds": [["mixed"]]}
    assert result.findings[0].items[0].text == "50.0% of its usages are agent runs"


def test_dollars_that_are_not_list_price_times_tokens_are_found() -> None:
    for times, wrong in ((1.0, False), (3.0, False), (6.0, True), (0.1, True), (0.0, True)):
        records = [
            msgspec.structs.replace(record, usages=record.usages | {"m2": usage(times=times)}) for record in make("one")
        ]
        assert found(check(records)) == ({"list_price": [["m2"]]} if wrong else {}), times


def test_models_without_a_price_are_those_that_neither_records_nor_list_price() -> None:
    known = {"m0": KnownModel("maker/m0"), "m1": KnownModel("maker/m1"), "m2": KnownModel("maker/m2", 1.0, 1.0)}
    records = [
        Record(str(row), "one", f"q {row}", {f"m{n}": float(row % 3 > n % 3) for n in range(4)}, {"m0": usage()})
        for row in range(30)
    ]
    result = check(records, known=known)
    assert found(result) == {"no_price": [["m1"], ["m3"]]}
    assert [item.text for item in result.findings[0].items] == ["no list price", "unknown model"]


def test_models_with_few_answers_come_fewest_first() -> None:
    many = make("one", models=["m0", "m2", "m3", "m4"])
    few = make("two", n=19, models=["m1"]) + make("three", n=1, models=["m5"])
    result = check(many, few)
    assert found(result) == {"few": [["m5"], ["m1"]]}
    assert [model.model for model in result.models[:2]] == ["m5", "m1"]
    assert check_records(load_records(many + few), KNOWN, min_answers=1).findings == []
