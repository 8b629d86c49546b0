from __future__ import annotations

from pathlib import Path

import pytest
from avengers_core import load_artifact
from avengers_core.errors import RecordError
from avengers_core.evaluation.drift import Drift
from avengers_core.records.io import write_records
from avengers_core.records.schema import Record
from avengers_core.routing.pretrained import find_artifact
from avengers_core.ui.quality import advise, judged_models

ARTIFACT = load_artifact(find_artifact(None))


def test_judged_records_by_source_and_model(tmp_path: Path) -> None:
    path = tmp_path / "shadow.jsonl"
    records = [
        Record(str(number), "shadow", "q", {"small": score, "large": 1 - score}, source="judged by j")
        for number, score in enumerate([1.0, 0.5, 0.0, 0.0])
    ] + [Record("5", "gsm", "q", {"small": None, "large": True, "other": 1.0})]
    write_records(path, records)
    found = {(one.source, one.model): one for one in judged_models([path])}
    small, large = found["judged by j", "small"], found["judged by j", "large"]
    assert (small.scores, small.mean, small.wins, small.ties, small.losses) == (4, 0.375, 1, 1, 2)
    assert (large.mean, large.wins, large.losses) == (0.625, 2, 1)
    assert (found["gsm", "small"].mean, found["gsm", "large"].wins) == (0.0, 0)


def test_a_line_that_is_no_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"index": 1}\n')
    with pytest.raises(RecordError, match=r"bad.jsonl:1"):
        judged_models([tmp_path / "bad.jsonl"])


def test_advice_has_the_command_that_does_it() -> None:
    drift = Drift(advice=["retrain: queries have moved", "update: calls cost 2.00 times what is expected"])
    found = advise(drift, ARTIFACT, [], "my ledger.sqlite", "default", prompts=True, timed=True)
    assert [one.command for one in found] == [
        "avengers records from-ledger 'my ledger.sqlite' -o feedback.jsonl",
        "avengers update default --prices latest -o router.zip",
        "avengers feedback CALL_ID up --ledger 'my ledger.sqlite'",
        "avengers shadow 'my ledger.sqlite' -m MODEL --judge JUDGE --max-cost 1 -o shadow.jsonl",
        "avengers update default --speeds 'my ledger.sqlite' -o router.zip",
    ]
    judged = [{"model": "small", "key": "user", "scores": 3, "mean": 0.5}]
    assert [one.why for one in advise(Drift(), ARTIFACT, judged, "l", "default", prompts=False, timed=False)] == []
