from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from avengers_core import RouterEstimator, load_records
from avengers_core.evaluation.evaluate import evaluate_router
from avengers_core.evaluation.metrics import FIGURES
from avengers_core.evaluation.recommend import recommend_alpha
from avengers_core.evaluation.sweep import Grid, run_sweep
from avengers_core.evaluation.sweep_files import load_rows, write_parquet
from avengers_core.evaluation.sweep_rows import SweepRow, summarize
from avengers_core.records.table import RecordTable

from tests.support.records import make_records

GRID = Grid(n_clusters=[3, 5], scoring=["utility", "reference"], top_k=[None, 2], seeds=[0, 1], alphas=[0.0, 0.4, 1.0])


@pytest.fixture(scope="module")
def table() -> RecordTable:
    return load_records(make_records())


@pytest.fixture(scope="module")
def folder(table: RecordTable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("sweep")
    run_sweep(table, GRID, target, jobs=2)
    return target


def test_every_combination_has_its_rows(folder: Path) -> None:
    rows = load_rows(folder)
    assert len(rows) == 2 * 2 * 2 * 2 * 3
    keys = {(r.scoring, r.n_clusters, r.top_k, r.seed, r.alpha) for r in rows}
    assert len(keys) == len(rows)
    with (folder / "curves.csv").open() as file:
        plain = list(csv.DictReader(file))
    assert len(plain) == len(rows)
    assert {float(row["accuracy"]) for row in plain} == {row.accuracy for row in rows}
    for row in rows:
        assert sum(row.shares.values()) == pytest.approx(1)


def test_its_figures_are_those_of_evaluate(table: RecordTable, folder: Path) -> None:
    estimator = RouterEstimator(5, random_state=1, train_ratio=0.7).fit(table)
    assert estimator.held_out_ is not None
    (report,) = evaluate_router(estimator.router_, estimator.held_out_, alphas=[0.4], resamples=10).panels
    (row,) = [
        r
        for r in load_rows(folder)
        if (r.scoring, r.n_clusters, r.top_k, r.seed, r.alpha) == ("utility", 5, None, 1, 0.4)
    ]
    assert row.accuracy == pytest.approx(report.settings[0].accuracy)
    assert row.cost_usd == pytest.approx(report.settings[0].cost_usd)
    assert row.shares == pytest.approx(report.settings[0].shares)


def test_a_stopped_sweep_goes_on(table: RecordTable, folder: Path, tmp_path: Path) -> None:
    lines = (folder / "runs.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "runs.jsonl").write_bytes(lines[0] + lines[1] + lines[2][: len(lines[2]) // 2])  # cut off while writing
    steps: list[int] = []

    def note(step: str, done: int, total: int) -> None:
        if step == "train and evaluate":
            steps.append(done)

    rows = run_sweep(table, GRID, tmp_path, jobs=1, progress=note)
    assert steps == [2, 3, 4]
    assert (tmp_path / "curves.csv").read_text() == (folder / "curves.csv").read_text()
    assert run_sweep(table, GRID, tmp_path, jobs=1) == rows


def test_other_records_do_not_mix(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "runs.jsonl").write_bytes((folder / "runs.jsonl").read_bytes())
    with pytest.raises(ValueError, match="made from other records"):
        run_sweep(load_records(make_records(seed=5)), GRID, tmp_path)
    (tmp_path / "runs.jsonl").write_text('{"nonsense\n' + "{}\n")
    with pytest.raises(ValueError, match="line 1 is not a finished run"):
        load_rows(tmp_path)
    with pytest.raises(ValueError, match="no sweep is in this folder"):
        load_rows(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"seeds": []}, "seeds: give at least one"),
        ({"scoring": ["magic"]}, "scoring must be"),
        ({"alphas": [2.0]}, "alpha must be"),
        ({"train_ratio": 1.0}, "train_ratio must be"),
    ],
)
def test_wrong_grids(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Grid(**fields)  # type: ignore[arg-type]


def test_summaries_average_curves_not_alphas(folder: Path) -> None:
    rows = load_rows(folder)
    summary = summarize(rows)
    assert len(summary) == 8
    assert [row.auc for row in summary] == sorted((row.auc for row in summary if row.auc is not None), reverse=True)
    first = summary[0]
    areas = {row.seed: row.auc for row in rows if row.setting == first.setting}
    assert first.auc == pytest.approx(np.mean([areas[seed] for seed in (0, 1)]))
    assert first.seeds == 2


def curve(seed: int, shift: float = 0.0) -> list[SweepRow]:
    """Accuracy and cost both rise with alpha; the best single model has .8 for $4."""
    of_curve: dict[str, Any] = {
        "embedder": "e",
        "scoring": "utility",
        "n_clusters": 3,
        "top_k": None,
        "beta": None,
        "kind": "call",
        "seed": seed,
        **dict.fromkeys(FIGURES, 0.5),
        "best_single": "big",
        "best_single_accuracy": 0.8,
        "best_single_cost_usd": 4.0,
        "oracle_accuracy": 0.9,
    }
    accuracies = [0.5 + 0.04 * a + shift for a in range(11)]
    return [
        SweepRow(
            **of_curve,
            alpha=a / 10,
            accuracy=value,
            accuracy_queries=value,
            cost_usd=a / 2,
            relative_cost=a / 8,
            shares={"big": 1.0},
        )
        for a, value in enumerate(accuracies)
    ]


def test_recommendations_by_hand() -> None:
    rows = [*curve(0), *curve(1, 0.03), *curve(2, -0.03)]
    found = recommend_alpha(rows)
    assert found.alpha == 0.8
    assert found.alpha_interval == (0.7, 0.9)
    assert (found.seeds, found.seeds_met) == (3, 3)
    assert found.accuracy == pytest.approx(0.82)
    assert recommend_alpha(rows, "accuracy >= 90% of best single").alpha == 0.6
    assert recommend_alpha(rows, "Accuracy>=0.7").alpha == 0.5
    assert recommend_alpha(rows, "cost <= 50% of best single").alpha == 0.4
    assert recommend_alpha(rows, "cost <= 1.6").alpha == 0.3
    hard = recommend_alpha(rows, "accuracy >= 0.9")
    assert (hard.alpha, hard.seeds_met) == (1.0, 2)
    assert recommend_alpha(rows, "accuracy >= 0.6", max_cost_usd=2.0).alpha == 0.3
    share = recommend_alpha(rows, "accuracy >= 90% of best single", max_cost_usd=4.0)
    assert share.per_request == {"min_quality": 0.9, "max_cost": 4.0}
    assert recommend_alpha(rows, "cost <= 1.6").per_request == {"max_cost": 1.6}
    for average in ("accuracy >= 0.6", "cost <= 50% of best single"):
        assert recommend_alpha(rows, average).per_request == {}
    with pytest.raises(ValueError, match=r"the highest accuracy within \$1 a query is 0.5800"):
        recommend_alpha(rows, max_cost_usd=1.0)
    for text in ("accuracy <= 0.5", "cost >= 1", "fast", "accuracy >="):
        with pytest.raises(ValueError, match="is not understood"):
            recommend_alpha(rows, text)
    with pytest.raises(ValueError, match="no finished rows"):
        recommend_alpha([])


def test_rows_are_plain(folder: Path) -> None:
    assert json.dumps([row.to_dict() for row in load_rows(folder)])


def test_a_figure_that_no_seed_has_is_unknown() -> None:
    rows = [replace(row, cost_save=None) for row in curve(0)] + [
        replace(row, cost_save=0.5 if seed == 1 else None) for seed in (1, 2) for row in curve(seed)
    ]
    (summary,) = summarize(rows)
    assert (summary.cost_save, summary.cost_save_sd, summary.seeds) == (0.5, 0.0, 3)
    (nothing,) = summarize([replace(row, cost_save=None) for row in rows])
    assert (nothing.cost_save, nothing.cost_save_sd) == (None, None)


def test_a_log_of_another_shape_is_named(folder: Path, tmp_path: Path) -> None:
    """A whole last line is not taken for one that was cut off."""
    lines = (folder / "runs.jsonl").read_text().replace('"cost_usd"', '"cost"')
    (tmp_path / "runs.jsonl").write_text(lines.rstrip("\n"))
    with pytest.raises(ValueError, match=r"runs\.jsonl: line 1 is not a finished run .*cost_usd"):
        load_rows(tmp_path)


def test_parquet_holds_the_rows(folder: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = load_rows(folder)
    write_parquet(tmp_path / "curves.parquet", rows)
    table = parquet.read_table(tmp_path / "curves.parquet")
    assert table.column("cost_usd").to_pylist() == [row.cost_usd for row in rows]
    assert "shares" not in table.column_names
    assert [path.name for path in tmp_path.iterdir()] == ["curves.parquet"]
