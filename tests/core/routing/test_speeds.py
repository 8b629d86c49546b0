"""Expected seconds, and ``max_seconds``."""

from __future__ import annotations

import dataclasses
import math
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from avengers_core import NoCandidateError, Router, RouterEstimator
from avengers_core.ledger.entry import Entry
from avengers_core.ledger.store import Ledger
from avengers_core.pricing.types import TokenUsage
from avengers_core.records.io import read_records, write_records
from avengers_core.records.loading import load_records
from avengers_core.records.schema import Record, Usage
from avengers_core.routing.artifact import load_artifact, save_artifact
from avengers_core.routing.inspection import describe
from avengers_core.routing.speeds import SpeedModel
from avengers_core.training.updating import update_artifact
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.commands import run_command
from tests.support.records import make_records

TEXTS = ("2 + 2", "Write a sonnet about rain.", "def f(x): return x", "Name the capital of Peru.")
#: Seconds to the first token and per output token.
SPEEDS = {"small": (0.3, 0.01), "big": (1.5, 0.04), "mid": (0.5, 0.02)}


def timed(records: list[Record], *, first: bool = False, kind: Any = "call") -> list[Record]:
    """Records whose answers took exactly what `SPEEDS` says; of ``odd`` nothing is known."""

    def usage(model: str, given: Usage | None) -> Usage | None:
        if given is None or model not in SPEEDS:
            return given
        start, per_token = SPEEDS[model]
        seconds = start + per_token * (given.output_tokens or 0)
        return msgspec.structs.replace(given, seconds=seconds, first_token_seconds=start if first else None, kind=kind)

    return [
        msgspec.structs.replace(record, usages={name: usage(name, u) for name, u in record.usages.items()})
        for record in records
    ]


@pytest.fixture(scope="module")
def router() -> Router:
    return RouterEstimator(4).fit(timed(make_records(200))).router_


@pytest.mark.parametrize("first", [False, True])
def test_speeds_are_what_the_answers_took(first: bool) -> None:
    router = RouterEstimator(4).fit(timed(make_records(90), first=first)).router_
    for name, (start, per_token) in SPEEDS.items():
        speed = router.speeds.of(router.models.index(name))
        assert speed is not None
        assert (speed.first_token, speed.per_token) == pytest.approx((start, per_token), rel=1e-3)
    assert "odd" not in router.models or router.speeds.of(router.models.index("odd")) is None
    decision = router.route(TEXTS[0], alpha=1)
    assert decision.expected_seconds > SPEEDS[decision.model][0]
    assert f"in {decision.expected_seconds:.2g} s" in decision.explain()
    assert decision.to_dict()["expected_seconds"] == decision.expected_seconds


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(TEXTS),
    st.floats(0, 1),
    st.one_of(st.none(), st.floats(0, 1)),
    st.one_of(st.none(), st.floats(0, 1)),
    st.one_of(st.none(), st.floats(0, 1)),
)
def test_no_choice_is_expected_to_be_slower_or_dearer_than_the_limits(
    router: Router, text: str, place: float, alpha: float | None, min_quality: float | None, price: float | None
) -> None:
    every = router.route(text, alpha=1)
    known = every.seconds[np.isfinite(every.seconds)]
    limit = float(known.min() + place * 1.1 * (np.ptp(known)))
    max_cost = None if price is None else float(every.costs.min() + price * np.ptp(every.costs))
    within = every.seconds <= limit
    if max_cost is not None:
        within &= every.costs <= max_cost
    arguments: Any = {"max_seconds": limit, "max_cost": max_cost, "alpha": alpha, "min_quality": min_quality}
    if not within.any():
        with pytest.raises(NoCandidateError, match="more than max_"):
            router.route(text, **arguments)
        return
    decision = router.route(text, **arguments)
    assert decision.candidates == [name for name, fits in zip(every.candidates, within, strict=True) if fits]
    assert decision.expected_seconds <= limit
    if min_quality is not None:
        reached = decision.scores >= min_quality * decision.scores.max()
        assert decision.expected_cost == decision.costs[reached].min()


def test_a_model_of_unknown_speed_is_left_out(router: Router) -> None:
    plain = RouterEstimator(4).fit(make_records(90)).router_
    assert math.isnan(plain.route("hi").expected_seconds)
    with pytest.raises(NoCandidateError, match="its speed is unknown: update the artifact with records that tell"):
        plain.route("hi", max_seconds=10)
    with pytest.raises(NoCandidateError, match=r"expected to take .* s, more than max_seconds \(0\.001 s\)"):
        router.route("hi", max_seconds=0.001)


@pytest.mark.parametrize("wrong", [0, -1, math.inf, math.nan, "soon", True])
def test_a_wrong_max_seconds(router: Router, wrong: Any) -> None:
    with pytest.raises(ValueError, match="max_seconds must be a number of seconds above 0"):
        router.route("hi", max_seconds=wrong)


def test_durations_of_agent_runs_are_not_those_of_calls() -> None:
    runs = timed(make_records(90), kind="agent_run")
    router = RouterEstimator(4).fit(runs).router_
    assert not router.speeds.any_known


def test_speeds_are_saved_updated_and_shown(tmp_path: Path) -> None:
    plain = RouterEstimator(4).fit(make_records(90)).artifact_
    assert "timing" not in load_artifact(save_artifact(plain, tmp_path / "plain.zip")).manifest.parts
    path = save_artifact(update_artifact(plain, timed(make_records(90, seed=1))), tmp_path / "router.zip")
    artifact = load_artifact(path)
    speeds = SpeedModel.from_artifact(artifact)
    assert speeds.first_token[artifact.models.index("big")] == pytest.approx(1.5, rel=1e-3)
    assert describe(artifact)["models"][artifact.models.index("big")]["speed"]["answers"] == 90
    shown = run_command("inspect", str(path))
    assert "1.5 + 40" in shown.output
    assert "expected seconds" in run_command("route", "hi", "--artifact", str(path), "--max-seconds", "30").output
    wrong = dataclasses.replace(artifact.statistics, timing=-artifact.statistics.timing)
    save_artifact(dataclasses.replace(artifact, statistics=wrong), tmp_path / "wrong.zip")
    refused = run_command("inspect", tmp_path / "wrong.zip", exit_code=1)
    assert "timing.npy has a value that no training writes" in refused.stderr


def test_records_keep_durations(tmp_path: Path) -> None:
    records = timed(make_records(10), first=True)
    write_records(tmp_path / "r.jsonl", records)
    assert list(read_records(tmp_path / "r.jsonl")) == records
    table = load_records(records)
    assert table.durations is not None
    column = table.models.index("big")
    assert table.durations[:, column, 1].tolist() == [1.5] * 10
    assert table.rows(np.array([3])).durations is not None
    assert np.isnan(table.columns(np.array([table.models.index("odd")])).durations).all()
    assert load_records(make_records(10)).durations is None


def test_speeds_are_taken_over_from_a_ledger(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.sqlite")
    day = datetime(2026, 11, 24, tzinfo=timezone.utc)

    def record(model: str, seconds: float, first: float | None, output: int | None, status: str = "ok") -> None:
        usage = None if output is None else TokenUsage(input_tokens=1, output_tokens=output)
        ledger.record(
            Entry(time=day, call="c", decision="d", attempt=0, model=model, provider="p", status=status, alpha=0.5,
                  usage=usage, seconds=seconds, first_token_seconds=first)
        )  # fmt: skip

    for output in (100, 200, 300):
        record("big", 1.0 + 0.05 * output, 1.0, output)
        record("openai/gpt-5-mini", 0.5 + 0.01 * output, None, output)
        record("gpt-5-mini", 0.5 + 0.01 * output, None, output)
        record("big", 90.0, None, output, "timeout")
    record("big", 90.0, None, None)
    before = update_artifact(RouterEstimator(4).fit(timed(make_records(90))).artifact_, models=["openai/gpt-5-mini"])
    save_artifact(before, tmp_path / "before.zip")
    run_command("update", tmp_path / "before.zip", "--speeds", ledger.url, "-o", tmp_path / "after.zip")
    after = load_artifact(tmp_path / "after.zip")
    assert after.models == before.models
    speeds = SpeedModel.from_artifact(after)
    found = {name: speeds.of(column) for column, name in enumerate(after.models)}
    assert found["big"] == pytest.approx((1.0, 0.05, 3))
    assert found["openai/gpt-5-mini"] == pytest.approx((0.5, 0.01, 6))
    assert found["small"] == SpeedModel.from_artifact(before).of(before.models.index("small"))
    assert ledger.timing(since="2026-11-25") == {}
