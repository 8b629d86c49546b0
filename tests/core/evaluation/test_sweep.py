from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from avengers_core import RouterEstimator, load_records
from avengers_core.evaluation.evaluate import evaluate_router
from avengers_core.evaluation.metrics import FIGURES
from avengers_core.evaluation.recommend import recommend
from avengers_core.evaluation.sweep import Grid, load_rows, summarize, sweep
from avengers_core.records.table import RecordTable

from tests.support.records import make_records

GRID = Grid(n_clusters=[3, 5], scoring=["utility", "reference"], top_k=[None, 2], seeds=[0, 1], alphas=[0.0, 0.4, 1.0])


@pytest.fixture(scope="module")
def table() -> RecordTable:
    return load_records(make_records())


@pytest.fixture(scope="module")
def folder(table: RecordTable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("sweep")
    sweep(table, GRID, target, jobs=2)
    return target


def test_every_combination_has_its_rows(folder: Path) -> None:
    rows = load_rows(folder)
    assert len(rows) == 2 * 2 * 2 * 2 * 3
    keys = {(r["scoring"], r["n_clusters"], r["top_k"], r["seed"], r["alpha"]) for r in rows}
    assert len(keys) == len(rows)
    with (folder / "curves.csv").open() as file:
        plain = list(csv.DictReader(file))
    assert len(plain) == len(rows)
    assert {float(row["accuracy"]) for row in plain} == {row["accuracy"] for row in rows}
    for row in rows:
        assert sum(row["shares"].values()) == pytest.approx(1)


def test_its_figures_are_those_of_evaluate(table: RecordTable, folder: Path) -> None:
    estimator = RouterEstimator(5, random_state=1, train_ratio=0.7).fit(table)
    assert estimator.held_out_ is not None
    report = evaluate_router(estimator.router_, estimator.held_out_, alphas=[0.4], resamples=10)
    (row,) = [
        r
        for r in load_rows(folder)
        if (r["scoring"], r["n_clusters"], r["top_k"], r["seed"], r["alpha"]) == ("utility", 5, None, 1, 0.4)
    ]
    assert row["accuracy"] == pytest.approx(report["settings"][0]["accuracy"])
    assert row["cost"] == pytest.approx(report["settings"][0]["cost"])
    assert row["shares"] == pytest.approx(report["settings"][0]["shares"])


def test_a_stopped_sweep_goes_on(table: RecordTable, folder: Path, tmp_path: Path) -> None:
    lines = (folder / "runs.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "runs.jsonl").write_bytes(lines[0] + lines[1] + lines[2][: len(lines[2]) // 2])  # cut off while writing
    steps: list[int] = []

    def note(step: str, done: int, total: int) -> None:
        if step == "train and evaluate":
            steps.append(done)

    rows = sweep(table, GRID, tmp_path, jobs=1, progress=note)
    assert steps == [2, 3, 4]
    assert (tmp_path / "curves.csv").read_text() == (folder / "curves.csv").read_text()
    assert sweep(table, GRID, tmp_path, jobs=1) == rows


def test_other_records_do_not_mix(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "runs.jsonl").write_bytes((folder / "runs.jsonl").read_bytes())
    with pytest.raises(ValueError, match="made from other records"):
        sweep(load_records(make_records(seed=5)), GRID, tmp_path)
    (tmp_path / "runs.jsonl").write_text('{"nonsense\n' + "{}\n")
    with pytest.raises(ValueError, match="line 1 is no JSON"):
        load_rows(tmp_path)
    with pytest.raises(ValueError, match="no sweep is in this folder"):
        load_rows(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"seeds": []}, "seeds: there is none"),
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
    assert [row["auc"] for row in summary] == sorted((row["auc"] for row in summary), reverse=True)
    first = summary[0]
    areas = {r["seed"]: r["auc"] for r in rows if all(r[k] == first[k] for k in ("scoring", "n_clusters", "top_k"))}
    assert first["auc"] == pytest.approx(np.mean(list(areas.values())))
    assert first["seeds"] == 2


def curve(seed: int, shift: float = 0.0) -> list[dict[str, object]]:
    """Accuracy and cost both rise with alpha; the best single model has .8 for $4."""
    setting = {"embedder": "e", "scoring": "utility", "n_clusters": 3, "top_k": None, "beta": None, "seed": seed}
    figures = dict.fromkeys(FIGURES, 0.5)
    single = {"best_single_accuracy": 0.8, "best_single_cost": 4.0}
    return [
        {**setting, **figures, **single, "alpha": a / 10, "accuracy": 0.5 + 0.04 * a + shift, "cost": a / 2}
        for a in range(11)
    ]


def test_recommendations_by_hand() -> None:
    rows = [*curve(0), *curve(1, 0.03), *curve(2, -0.03)]
    found = recommend(rows)
    assert found["alpha"] == 0.8
    assert found["alpha_interval"] == [0.7, 0.9]
    assert (found["seeds"], found["seeds_met"]) == (3, 3)
    assert found["accuracy"] == pytest.approx(0.82)
    assert recommend(rows, "accuracy >= 90% of best single")["alpha"] == 0.6
    assert recommend(rows, "Accuracy>=0.7")["alpha"] == 0.5
    assert recommend(rows, "cost <= 50% of best single")["alpha"] == 0.4
    assert recommend(rows, "cost <= 1.6")["alpha"] == 0.3
    hard = recommend(rows, "accuracy >= 0.9")
    assert (hard["alpha"], hard["seeds_met"]) == (1.0, 2)
    assert recommend(rows, "accuracy >= 0.6", max_cost=2.0)["alpha"] == 0.3
    with pytest.raises(ValueError, match=r"the most accuracy within \$1 a query is 0.5800"):
        recommend(rows, max_cost=1.0)
    for text in ("accuracy <= 0.5", "cost >= 1", "fast", "accuracy >="):
        with pytest.raises(ValueError, match="is not understood"):
            recommend(rows, text)


def test_rows_are_plain(folder: Path) -> None:
    assert json.dumps(load_rows(folder))
