"""Sparse records are compared on what the same models answered."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from avengers_core import RecordError, RouterEstimator, load_records
from avengers_core.evaluation import compare_routers, evaluate_router, find_panels
from avengers_core.evaluation.curves import Curve
from avengers_core.evaluation.means import PanelCurve, geometric_mean, mean_curve, mean_figures
from avengers_core.evaluation.sweep import Grid, run_sweep
from avengers_core.records.schema import Record

from tests.support.commands import run_command
from tests.support.records import make_records, plain, write_jsonl


def answered(index: int, source: str, models: str, *, run: str = "", cost: float | None = 1.0) -> Record:
    """A record that the models, one letter each, answered; those in ``run`` as whole runs of agents."""
    usages = {m: {"cost_usd": cost, "kind": "agent_run" if m in run else "call"} for m in models}
    return msgspec.convert(
        {
            "index": index,
            "dataset": source,
            "query": f"{source} {index}",
            "records": dict.fromkeys(models, 1.0),
            "usages": usages,
        },
        Record,
    )


def union() -> list[Record]:
    """Two sources with other models, a third of agent runs: a strong model is only in the easy source."""
    records = make_records(360)
    made = []
    for number, one in enumerate(records):
        source = ("easy", "hard", "runs")[number % 3]
        models = {"easy": ("small", "mid"), "hard": ("mid", "big"), "runs": ("small", "big")}[source]
        scores = {m: one.records[m] for m in models}
        usages = {m: one.usages[m] for m in models}
        if source == "runs":
            usages = {
                m: msgspec.structs.replace(usage, kind="agent_run", cost_usd=(usage.cost_usd or 0) * 1000)
                for m, usage in usages.items()
                if usage is not None
            }
        if source == "easy":
            scores["mid"] = 1.0
        made.append(msgspec.structs.replace(one, source=source, records=scores, usages=usages))
    return made


def test_a_source_without_gaps_is_one_panel() -> None:
    records = [answered(i, source, "abc") for source in ("x", "y") for i in range(12)]
    panels, left_out = find_panels(load_records(records))
    (panel,) = panels
    assert panel.sources == ("x", "y")
    assert (len(panel.table), panel.table.models, left_out) == (24, ["a", "b", "c"], [])


def test_gaps_cost_as_few_comparisons_as_possible() -> None:
    """One model with few answers is dropped rather than the queries, and one query rather than a model."""
    records = [answered(i, "x", "abc") for i in range(19)] + [answered(19, "x", "ab"), answered(20, "x", "abcd")]
    (panel,), left_out = find_panels(load_records(records))
    assert (len(panel.table), panel.table.models) == (20, ["a", "b", "c"])
    assert not np.isnan(panel.table.cost).any()
    assert [(one.queries, one.models) for one in left_out] == [(1, ()), (0, ("d",))]


def test_queries_fall_out_with_a_reason() -> None:
    records = [answered(i, "x", "ab") for i in range(12)]
    records += [answered(i, "alone", "a") for i in range(3)]
    records += [answered(i, "unpriced", "ab", cost=None) for i in range(4)]
    records += [answered(i, "small", "ab") for i in range(5)]
    found = find_panels(load_records(records))
    assert [panel.sources for panel in found.panels] == [("x",)]
    assert {one.source: (one.queries, one.why) for one in found.left_out} == {
        "alone": (3, "too few queries with the same models"),
        "unpriced": (4, "no answer has a score and a cost"),
        "small": (5, "too few queries with the same models"),
    }


def test_runs_of_agents_are_apart_from_calls() -> None:
    records = [answered(i, "x", "abc") for i in range(12)] + [answered(i, "y", "abc", run="abc") for i in range(12)]
    panels = find_panels(load_records(records)).panels
    assert [(panel.kind, panel.sources) for panel in panels] == [("call", ("x",)), ("agent_run", ("y",))]
    mixed = [answered(i, "x", "abc", run="c") for i in range(12)]
    (panel,), left_out = find_panels(load_records(mixed))
    assert (panel.table.models, left_out[0].models) == (["a", "b"], ("c",))


def test_nothing_to_compare_is_an_error() -> None:
    with pytest.raises(RecordError, match="no two models answered the same query"):
        find_panels(load_records([answered(i, "x", "ab"[i % 2]) for i in range(12)]))
    with pytest.raises(RecordError, match="both a score and a cost"):
        find_panels(load_records([answered(i, "x", "ab", cost=None) for i in range(12)]))


def test_no_single_model_beats_the_oracle() -> None:
    train, test = load_records(union()).split(0.6, 0)
    found = evaluate_router(RouterEstimator(6).fit(train).router_, test, train=train, resamples=20)
    assert [(panel.kind, panel.sources) for panel in found.panels] == [
        ("call", ["easy"]),
        ("call", ["hard"]),
        ("agent_run", ["runs"]),
    ]
    for panel in found.panels:
        oracle = panel.setting("oracle, alpha 1")
        assert all(single.accuracy <= oracle.accuracy for single in panel.singles.values())
        assert all(setting.accuracy <= oracle.accuracy for setting in panel.settings)
        assert {model for setting in panel.settings for model in setting.shares} <= set(panel.singles)
    calls, runs = found.means
    assert (calls.kind, calls.panels, runs.kind, runs.panels) == ("call", 2, "agent_run", 1)
    best = {setting.name: setting for setting in calls.settings}
    assert best["best single"].relative_cost == pytest.approx(1.0)
    by_panel = [panel.setting("alpha 1") for panel in found.panels[:2]]
    assert best["alpha 1"].accuracy == pytest.approx(np.mean([one.accuracy for one in by_panel]))
    ratios = [panel.setting("alpha 1").cost_usd / panel.setting("best single").cost_usd for panel in found.panels[:2]]
    assert best["alpha 1"].relative_cost == pytest.approx(float(np.sqrt(np.prod(ratios))))
    assert all(np.isfinite(setting.accuracy) for setting in calls.settings)


def test_a_sweep_has_rows_of_both_kinds(tmp_path: Path) -> None:
    rows = run_sweep(load_records(union()), Grid(n_clusters=[6], seeds=[0], alphas=[0.0, 1.0]), tmp_path, jobs=1)
    assert [(row.kind, row.alpha) for row in rows] == [
        ("call", 0.0),
        ("call", 1.0),
        ("agent_run", 0.0),
        ("agent_run", 1.0),
    ]
    call, run = rows[1], rows[3]
    assert run.cost_usd > 100 * call.cost_usd
    assert call.best_single_accuracy <= call.oracle_accuracy
    assert call.relative_cost is not None
    assert sum(call.shares.values()) == pytest.approx(1)


def test_two_routers_are_compared_on_the_same_queries() -> None:
    train, test = load_records(union()).split(0.6, 0)
    routers = [RouterEstimator(n).fit(train).router_ for n in (3, 6)]
    pytest.importorskip("scipy")
    found = compare_routers(routers[0], routers[1], test, alphas=[1.0])
    panels = find_panels(test).panels
    assert found.queries == sum(len(panel.table) for panel in panels if panel.kind == "call")
    assert found.settings[0].cost_usd[0] < 0.1


def test_means_by_hand() -> None:
    first = PanelCurve(
        Curve([], np.array([0.5, 0.8]), np.array([0.4, 0.6]), np.array([1.0, 4.0])),
        Curve(["a", "b"], np.array([0.5, 0.7]), np.array([0.4, 0.7]), np.array([1.0, 2.0])),
        0.9,
    )
    second = PanelCurve(
        Curve([], np.array([0.7, 0.6]), np.array([0.4, 0.8]), np.array([100.0, 50.0])),
        Curve(["c", "d"], np.array([0.5, 0.6]), np.array([0.4, 0.7]), np.array([10.0, 100.0])),
        0.8,
    )
    mean = mean_curve([first, second])
    np.testing.assert_allclose(mean.accuracy, [0.6, 0.7])
    np.testing.assert_allclose(mean.relative_cost, [np.sqrt(0.5 * 1.0), np.sqrt(2.0 * 0.5)])
    assert (mean.best_accuracy, mean.best_cost_usd, mean.oracle) == pytest.approx((0.65, 51.0, 0.85))
    figures = mean_figures([first, second])
    assert figures.perf_gain == pytest.approx(0.7 / 0.65 - 1)
    np.testing.assert_allclose(geometric_mean(np.array([[4.0, np.nan, 0.0], [1.0, 3.0, 2.0]])), [2.0, 3.0, 0.0])


def test_the_command_tells_what_is_left_out(tmp_path: Path) -> None:
    records = [*union(), *(answered(i, "alone", "s") for i in range(12))]
    file = write_jsonl(tmp_path / "r.jsonl", [plain(record) for record in records])
    shown = run_command("evaluate", file, "--n-clusters", 6, "--resamples", 10).stdout
    for text in ("calls: ", "means over 2 sources", "calls by source", "runs of agents", "left out"):
        assert text in shown
    assert "nan" not in shown
