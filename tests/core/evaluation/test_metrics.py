from __future__ import annotations

import math

import numpy as np
import pytest
from avengers_core.evaluation.metrics import (
    aiq,
    apgr,
    budget_auc,
    cost_save,
    cpt,
    hypervolume,
    oracle_gap,
    oracle_share,
    paired_test,
    pareto_front,
    perf_gain,
    routerarena_score,
)
from hypothesis import given
from hypothesis import strategies as st

COST, ACCURACY = np.array([1.0, 2.0, 4.0, 3.0]), np.array([0.4, 0.7, 0.8, 0.6])
points = st.lists(st.tuples(st.floats(0.01, 10), st.floats(0, 1)), min_size=1, max_size=12)


def test_areas_by_hand() -> None:
    assert pareto_front(COST, ACCURACY).tolist() == [0, 1, 2]
    assert hypervolume(COST, ACCURACY, 1, 5) == pytest.approx((0.4 * 1 + 0.7 * 2 + 0.8 * 1) / 4)
    assert aiq(COST, ACCURACY, 1, 5) == pytest.approx((0.55 + 2 * 0.75 + 0.8) / 4)
    assert aiq([1, 2, 4], [0.4, 0.5, 0.8], 1, 4) == pytest.approx(0.6)  # the middle point is under the hull
    assert budget_auc([1.0, 4.0], [0.5, 1.0], 1, 16, budgets=3) == pytest.approx((0.5 + 1 + 1) / 3)
    assert budget_auc([1e-6, 1e-4, 1e-2], [0.2, 0.4, 0.6], 1e-6, 1e-2, budgets=3) == pytest.approx(0.4)
    assert budget_auc([0.0, 1.0], [0.2, 0.6], 0, 1, budgets=4) == pytest.approx(0.3), (
        "a free one counts as a thousandth"
    )
    assert budget_auc([0.0, 0.0], [0.2, 0.6], 0, 0) == 0.6


@given(points)
def test_a_dominated_point_changes_nothing_and_a_better_one_never_harms(found: list[tuple[float, float]]) -> None:
    cost, accuracy = map(np.array, zip(*found, strict=True))
    worse = np.append(cost, cost[0] * 2), np.append(accuracy, accuracy[0] / 2)
    better = np.append(cost, cost.min() / 2), np.append(accuracy, 1.0)
    for metric in (hypervolume, aiq, budget_auc):
        value = metric(cost, accuracy, 0.01, 20)
        assert 0 <= value <= 1 + 1e-9
        assert metric(*worse, 0.01, 20) == pytest.approx(value)
        assert metric(*better, 0.01, 20) >= value - 1e-9
    assert hypervolume(cost, accuracy, 0.01, 20) <= aiq(cost, accuracy, 0.01, 20) + 1e-9


def test_against_single_models_and_oracle() -> None:
    assert perf_gain(ACCURACY, 0.64) == pytest.approx(0.25)
    assert cost_save(COST, ACCURACY, 0.65, 8.0) == pytest.approx(0.75)
    assert math.isnan(cost_save(COST, ACCURACY, 0.9, 8.0))
    assert oracle_gap(0.6, 0.8) == pytest.approx(0.25)
    assert oracle_share(0.7, 0.6, 0.8) == pytest.approx(0.5)
    assert math.isnan(oracle_share(0.7, 0.8, 0.8))


def test_published_figures_of_avengers_pro() -> None:
    """arXiv 2508.12631: GPT-5-medium 62.25 for $47.96; Avengers-Pro 66.66 (+7%), and 62.66 for $35.05 (-27%)."""
    accuracy, cost = [0.6666, 0.6266, 0.5624], [47.13, 35.05, 17.81]
    assert perf_gain(accuracy, 0.6225) == pytest.approx(0.07, abs=0.002)
    assert cost_save(cost, accuracy, 0.6225, 47.96) == pytest.approx(0.27, abs=0.002)


def test_routellm_on_a_random_and_a_perfect_router() -> None:
    share = np.linspace(0, 1, 11)
    assert apgr(share, 0.5 + 0.3 * share, 0.5, 0.8) == pytest.approx(0.5)
    assert cpt(share, 0.5 + 0.3 * share, 0.5, 0.8, 0.35) == pytest.approx(0.35)
    assert apgr([0.3], [0.8], 0.5, 0.8) == pytest.approx(0.85)
    assert cpt([0.3], [0.8], 0.5, 0.8, 0.5) == pytest.approx(0.15)
    with pytest.raises(ValueError, match="no gap"):
        apgr(share, share, 0.5, 0.5)


def test_routerarena_score() -> None:
    assert routerarena_score(0.7, 0.0044) == pytest.approx(1.1 * 0.7 / 1.07)
    assert routerarena_score(0.7, 200) == 0
    middle = math.sqrt(200 * 0.0044)
    assert routerarena_score(0.6, middle) == pytest.approx(1.1 * 0.6 * 0.5 / (0.06 + 0.5))


def test_paired_tests() -> None:
    rng = np.random.default_rng(0)
    base = rng.random(400) < 0.6
    same = paired_test(base, base)
    assert (same.p_value, same.difference, same.test) == (1.0, 0.0, "none")
    better = base | (rng.random(400) < 0.3)
    found = paired_test(better, base)
    assert found.test == "McNemar"
    assert found.losses == 0
    assert found.p_value == pytest.approx(2 * 0.5**found.wins)
    assert found.interval[0] < found.difference < found.interval[1]
    graded = paired_test(better * 0.5, base * 0.5)
    assert graded.test == "permutation"
    assert graded.p_value < 0.01
    shuffled = rng.permutation(base)
    assert paired_test(base * 0.7, shuffled * 0.7).p_value > 0.05
    with pytest.raises(ValueError, match="shapes"):
        paired_test([1.0], [1.0, 0.0])


def test_wrong_points() -> None:
    with pytest.raises(ValueError, match="one point per setting"):
        hypervolume([], [], 1, 2)
