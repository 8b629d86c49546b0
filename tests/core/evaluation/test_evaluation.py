from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from avengers_core import RecordError, RouterEstimator, load_records
from avengers_core.evaluation import Curve, area_under_curve, evaluate_router, measure, oracle_choices, singles
from avengers_core.evaluation.bootstrap import setting_intervals
from avengers_core.records.schema import Record

from tests.support.records import make_records


def record(index: int, dataset: str, scores: dict[str, float], cost: float = 1.0) -> Record:
    usages = {m: {"cost_usd": cost * (1 if m == "a" else 4)} for m in scores}
    import msgspec

    return msgspec.convert(
        {"index": index, "dataset": dataset, "query": f"q{index}", "records": scores, "usages": usages}, Record
    )


@pytest.fixture
def small() -> list[Record]:
    return [
        record(0, "x", {"a": 1, "b": 1}),
        record(1, "x", {"a": 0, "b": 1}),
        record(2, "x", {"a": 0, "b": 0}),
        record(3, "y", {"a": 1}),
    ]


def test_both_averages(small: list[Record]) -> None:
    curve = measure(load_records(small), np.array([[0, 0, 0, 0], [1, 1, 1, 0]]), ["a", "b"])
    np.testing.assert_allclose(curve.accuracy, [(1 / 3 + 1) / 2, (2 / 3 + 1) / 2])
    np.testing.assert_allclose(curve.accuracy_queries, [2 / 4, 3 / 4])
    np.testing.assert_allclose(curve.cost_usd, [1, 13 / 4])


def test_singles_use_their_own_answers(small: list[Record]) -> None:
    curve = singles(load_records(small))
    np.testing.assert_allclose(curve.accuracy, [(1 / 3 + 1) / 2, 2 / 3])
    np.testing.assert_allclose(curve.cost_usd, [1, 4])


def test_area_by_hand() -> None:
    curve = Curve(["a", "b", "c"], np.array([0.4, 0.8, 0.6]), np.array([0.1, 0.1, 0.1]), np.array([1.0, 10.0, 100.0]))
    # Budgets 1, 10, 100: best within them .4, .8, .8.
    assert area_under_curve(curve, 1, 100, budgets=3) == pytest.approx(2 / 3)
    assert area_under_curve(curve, 1, 100, over="queries") == pytest.approx(0.1)


def test_oracle_takes_the_cheapest_right_answer(small: list[Record]) -> None:
    table = load_records(small)
    chosen = oracle_choices(table, 1.0, np.array([1.0]))[0]
    assert chosen.tolist() == [0, 1, 0, 0]


def test_bootstrap_holds_the_mean_and_narrows(records: list[Record]) -> None:
    table = load_records(records)
    choice = np.zeros(len(table), dtype=int)
    point = measure(table, choice[None], ["big"])
    (intervals,) = setting_intervals(table, [choice])
    assert intervals.accuracy[0] < point.accuracy[0] < intervals.accuracy[1]
    assert intervals.cost_usd[0] < point.cost_usd[0] < intervals.cost_usd[1]
    fewer = table.rows(np.arange(30))
    (wide,) = setting_intervals(fewer, [choice[:30]])
    assert np.ptp(wide.accuracy_queries) > np.ptp(intervals.accuracy_queries)


def test_report(records: list[Record]) -> None:
    train, test = load_records(records).split(0.7, 0)
    router = RouterEstimator(6).fit(train).router_
    (report,) = evaluate_router(router, test, train=train, alphas=[0, 0.5, 1], resamples=50).panels
    rows = {row.name.partition(":")[0]: row for row in report.settings}
    assert list(rows) == [
        "alpha 0",
        "alpha 0.5",
        "alpha 1",
        "best single",
        "cheapest",
        "random",
        "knn 100, alpha 1",
        "oracle, alpha 1",
    ]
    assert rows["alpha 0"].cost_usd <= rows["alpha 0.5"].cost_usd <= rows["alpha 1"].cost_usd * 1.05
    assert rows["alpha 1"].accuracy > rows["random"].accuracy
    assert report.auc["oracle"].gap_closed == 1
    low, high = report.budget_range_usd
    drawn = report.curves["router"]
    curve = Curve([], np.array(drawn.accuracy), np.array(drawn.accuracy_queries), np.array(drawn.cost_usd))
    assert report.auc["router"].datasets == pytest.approx(area_under_curve(curve, low, high))
    assert sum(rows["alpha 0.5"].shares.values()) == pytest.approx(1)
    low, high = rows["alpha 0.5"].accuracy_interval
    assert low <= rows["alpha 0.5"].accuracy <= high


def test_records_without_cost_are_judged_by_expected_costs(records: list[Record]) -> None:
    train, test = load_records(records).split(0.7, 0)
    router = RouterEstimator(6).fit(train).router_
    test.cost[:] = np.nan
    (panel,) = evaluate_router(router, test, resamples=2).panels
    assert panel.estimated_costs
    assert 0 < panel.setting("alpha 0").cost_usd < panel.setting("alpha 1").cost_usd
    train.cost[:], train.tokens[:] = np.nan, np.nan
    with pytest.raises(RecordError, match="both a score and a cost"):
        evaluate_router(RouterEstimator(6).fit(train).router_, test)


def test_utility_beats_the_reference_on_real_records(data_folder: Path) -> None:
    table = load_records(data_folder / "zeroeval.train.jsonl.gz")
    train, test = table.split(0.7, 0)
    utility = RouterEstimator(random_state=0).fit(train).router_
    reference = RouterEstimator(25, random_state=0).fit(train).router_
    areas = [
        evaluate_router(router, test, scoring=scoring, resamples=2).means[0].auc["router"].datasets
        for router, scoring in ((utility, "utility"), (reference, "reference"))
    ]
    assert areas[0] > areas[1]


def test_figures_and_their_intervals():
    """Values are those of the metrics on the whole table; intervals hold them and shrink with more queries."""
    from avengers_core.evaluation import FIGURES, figure_intervals, router_choices
    from avengers_core.evaluation.metrics import budget_auc, cost_save, perf_gain

    found = {}
    for n in (120, 960):
        train, test = load_records(make_records(n)).without(["odd"]).split(0.5, 0)
        router = RouterEstimator(4, random_state=0).fit(train).router_
        alphas = np.linspace(0, 1, 21)
        choices = router_choices(router, test, router.embed(test.queries), alphas)
        oracle = oracle_choices(test, 1e-3, np.array([1.0]))[0]
        found[n] = figure_intervals(test, choices, oracle, resamples=200)
        curve, single = measure(test, choices), singles(test)
        at = int(single.accuracy.argmax())
        assert set(found[n]) == set(FIGURES)
        area = budget_auc(curve.cost_usd, curve.accuracy, single.cost_usd.min(), single.cost_usd.max())
        assert found[n]["auc"].value == pytest.approx(area)
        assert found[n]["perf_gain"].value == pytest.approx(perf_gain(curve.accuracy, single.accuracy[at]))
        saved = cost_save(curve.cost_usd, curve.accuracy, single.accuracy[at], single.cost_usd[at])
        assert found[n]["cost_save"].value == (None if np.isnan(saved) else pytest.approx(saved))
        for name in ("auc", "aiq", "hypervolume"):
            low, high = found[n][name].interval
            assert low < found[n][name].value < high
    width = {n: np.ptp(figures["auc"].interval) for n, figures in found.items()}
    assert width[960] < width[120] / 1.7  # about the square root of eight


def test_a_model_with_a_handful_of_answers_is_not_the_best_single_one():
    records = make_records(240)
    for record in records:
        if "odd" in record.records:
            record.records["odd"] = 1.0
    train, test = load_records(records).split(0.5, 0)
    (report,) = evaluate_router(RouterEstimator(4).fit(train).router_, test, resamples=10).panels
    (best,) = [row.name for row in report.settings if row.name.startswith("best single")]
    assert best == "best single: big"
    assert report.figures["perf_gain"].value > -0.1


def test_an_evaluation_is_plain_values(records: list[Record]) -> None:
    train, test = load_records(records).split(0.7, 0)
    evaluation = evaluate_router(RouterEstimator(6).fit(train).router_, test, alphas=[0.5], resamples=10)
    (plain,), (panel,) = evaluation.to_dict()["panels"], evaluation.panels
    (setting,) = [row for row in plain["settings"] if row["name"] == "alpha 0.5"]
    assert setting["cost_usd"] == panel.settings[0].cost_usd
    assert setting["total_cost_usd"] == pytest.approx(setting["cost_usd"] * plain["queries"])
    assert set(plain["curves"]["router"]) == {"alpha", "accuracy", "accuracy_queries", "cost_usd"}
    assert len(plain["curves"]["oracle"]["alpha"]) == 101


def test_every_module_of_the_room_can_be_imported_by_its_name() -> None:
    """No function hides the module that it is in."""
    import pkgutil
    from importlib import import_module
    from types import ModuleType

    from avengers_core import evaluation

    for module in pkgutil.iter_modules(evaluation.__path__):
        import_module(f"avengers_core.evaluation.{module.name}")
        assert isinstance(getattr(evaluation, module.name), ModuleType), module.name
    assert set(evaluation.__all__) <= set(dir(evaluation))
