from __future__ import annotations

import msgspec
import numpy as np
import pytest
from avengers_core import RouterEstimator, load_records
from avengers_core.embedders.factory import make_embedder
from avengers_core.evaluation.calibration import auroc, calibrate, leave_one_out
from avengers_core.evaluation.compare import compare_routers
from avengers_core.evaluation.evaluate import evaluate_router
from avengers_core.evaluation.panels import find_panels
from avengers_core.evaluation.plots import along_alpha, elbows, shares
from avengers_core.evaluation.sweep import Grid, run_sweep
from avengers_core.evaluation.sweep_rows import mean_shares
from avengers_core.records.table import RecordTable
from avengers_core.training.encoding import encode_records

from tests.support.records import make_records


@pytest.fixture(scope="module")
def table() -> RecordTable:
    return encode_records(load_records(make_records(360)), make_embedder())


def test_auroc() -> None:
    assert auroc([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4]) == 1.0
    assert auroc([0, 1], [0.5, 0.5]) == 0.5
    assert np.isnan(auroc([1, 1], [0.1, 0.2]))


def test_calibration_bins_hold_every_query_once(table: RecordTable) -> None:
    fitted = RouterEstimator(3, train_ratio=0.6, random_state=1).fit(table)
    assert fitted.held_out_ is not None
    found = calibrate(fitted.router_, fitted.held_out_, 0.8, bins=5)
    assert sum(row.queries for row in found.bins) == len(fitted.held_out_)
    expected = [row.expected for row in found.bins]
    assert expected == sorted(expected)
    assert 0 <= found.error < 0.3
    (panel,) = find_panels(fitted.held_out_).panels
    (report,) = evaluate_router(fitted.router_, fitted.held_out_, alphas=[0.8], resamples=10).panels
    compared = calibrate(fitted.router_, panel.table, 0.8, bins=5)
    mean = sum(row.scored * row.queries for row in compared.bins) / len(panel.table)
    assert mean == pytest.approx(report.settings[0].accuracy_queries)


def test_an_unseen_kind_of_query_is_told_apart(table: RecordTable) -> None:
    rows = leave_one_out(table, n_clusters=4)
    assert [row.dataset for row in rows] == ["code", "sums", "verse"]
    assert sum(row.queries for row in rows) == len(table)
    assert all(row.similarity_auroc > 0.9 for row in rows)
    assert all(row.flagged > row.flagged_known for row in rows)


def test_a_query_is_unseen_only_if_its_text_is_in_no_other_dataset() -> None:
    records = make_records(240)
    copies = [msgspec.structs.replace(one, dataset="copies") for one in records if one.dataset == "verse"]
    table = encode_records(load_records(records + copies), make_embedder())
    rows = {row.dataset: row for row in leave_one_out(table, n_clusters=4)}
    assert rows["verse"].queries == rows["copies"].queries == 80
    assert rows["verse"].similarity_auroc > 0.9


def test_a_router_compared_with_itself_and_with_a_blind_one(table: RecordTable) -> None:
    train, test = table.split(0.6, 0)
    good, blind = (RouterEstimator(k, random_state=0).fit(train).router_ for k in (6, 1))
    same = compare_routers(good, good, test, alphas=[0.5])
    assert same.auc[0] == same.auc[1]
    assert (same.settings[0].p_value, same.settings[0].wins) == (1.0, 0)
    found = compare_routers(good, blind, test, alphas=[0.8, 1.0])
    assert found.queries == len(test)
    assert found.auc[0] > found.auc[1]
    for row in found.settings:
        assert row.difference == pytest.approx(row.accuracy[0] - row.accuracy[1])
        assert row.interval[0] <= row.difference <= row.interval[1]


def test_elbows_by_hand() -> None:
    alphas = np.linspace(0, 1, 101)
    steps = np.interp(alphas, [0, 0.2, 0.6, 0.8, 1], [0, 0.5, 0.55, 1, 1])
    assert elbows(alphas, steps) == [0.2, 0.8]
    assert elbows(alphas, alphas) == []
    assert elbows(alphas, np.ones(101)) == []


def test_pictures_hold_what_was_measured(table: RecordTable, tmp_path_factory: pytest.TempPathFactory) -> None:
    rows = run_sweep(table, Grid(n_clusters=[3], seeds=[0, 1]), tmp_path_factory.mktemp("s"), jobs=1)
    alphas, found = mean_shares(rows)
    assert np.sum(list(found.values()), axis=0) == pytest.approx(np.ones(len(alphas)))
    upper, lower = along_alpha(rows).axes
    drawn = upper.lines[0].get_ydata()
    assert drawn == pytest.approx([np.mean([row.accuracy for row in rows if row.alpha == alpha]) for alpha in alphas])
    assert lower.get_yscale() == "log"
    assert len(shares(rows, most=2).axes[0].collections) == min(3, len(found))
