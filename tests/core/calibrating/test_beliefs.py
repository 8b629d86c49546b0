"""Beliefs are those of a normal distribution, and questions are asked where they are worth something."""

from __future__ import annotations

import numpy as np
import pytest
from avengers_core import Router
from avengers_core.calibrating.beliefs import Beliefs, Cells, Targets
from avengers_core.calibrating.choosing import choose_cells
from avengers_core.calibrating.router_beliefs import beliefs_of_bank, beliefs_of_clusters
from hypothesis import given, settings
from hypothesis import strategies as st

MODELS = ["openai/gpt-5-mini", "openai/gpt-5.1"]


def simple(
    means: tuple[float, float] = (0.5, 0.6), variance: float = 0.04, cost: tuple[float, float] = (1, 1)
) -> Beliefs:
    """Two models, one kind of questions, one target that is the kind itself."""
    design = np.eye(2)[:, None, :]
    cells = Cells(design, np.zeros((2, 1)), np.array(cost, dtype=float)[:, None])
    targets = Targets(np.eye(2)[None], np.zeros((1, 2)), np.ones(1))
    return Beliefs(np.array(means, dtype=float), variance * np.eye(2), cells, targets)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=20), st.floats(0.2, 0.8))
def test_answers_move_the_mean_and_narrow_the_spread(scores: list[float], mean: float) -> None:
    beliefs = simple((mean, 0.5))
    for score in scores:
        after = beliefs.observe(0, 0, score)
        assert (after.mean[0] - beliefs.mean[0]) * (score - beliefs.mean[0]) >= 0
        assert after.covariance[0, 0] < beliefs.covariance[0, 0]
        assert after.mean[1] == beliefs.mean[1]
        beliefs = after


def test_an_answer_counts_as_bayes_says() -> None:
    after = simple((0.5, 0.5), variance=0.04).observe(0, 0, 1.0)
    assert after.mean[0] == pytest.approx(0.5 + 0.04 / (0.04 + 0.23) * 0.5)
    assert after.covariance[0, 0] == pytest.approx(0.04 - 0.04**2 / (0.04 + 0.23))


def test_an_easy_question_answered_right_says_less() -> None:
    beliefs = simple()
    assert beliefs.observe(0, 0, 1.0, ease=0.3).mean[0] < beliefs.observe(0, 0, 1.0).mean[0]


def test_regret_is_that_of_two_normal_numbers() -> None:
    beliefs = simple((0.5, 0.5), variance=0.04)
    assert beliefs.regret() == pytest.approx(0.2 / np.sqrt(np.pi), rel=0.1)  # E max of two with deviation 0.2
    assert simple((0.1, 0.9), variance=1e-6).regret() == pytest.approx(0, abs=1e-6)


def test_a_question_that_cannot_change_the_choice_is_not_asked() -> None:
    left = np.array([[5], [5]])
    assert choose_cells(simple((0.1, 0.9), variance=1e-9), left, 4) == []
    assert set(choose_cells(simple(), left, 4)) == {(0, 0), (1, 0)}
    assert choose_cells(simple(), np.zeros((2, 1), dtype=int), 4) == []
    assert len(choose_cells(simple(), np.array([[1], [0]]), 4)) == 1


def test_the_cheaper_of_two_questions_of_equal_worth_is_asked() -> None:
    assert choose_cells(simple((0.5, 0.5), cost=(0.001, 1.0)), np.array([[5], [5]]), 1) == [(0, 0)]
    assert choose_cells(simple((0.5, 0.5), cost=(1.0, 0.001)), np.array([[5], [5]]), 1) == [(1, 0)]


def test_a_router_knows_the_order_of_models_before_any_question() -> None:
    beliefs = beliefs_of_bank(Router.load(), MODELS, np.ones((2, 3)), alpha=0.5, queries=["2 + 2", "Write a poem."])
    expected, deviation = beliefs.expected()
    assert (expected[1] > expected[0]).all()
    assert (deviation > 0.1).all()
    before = beliefs.targets.utilities(beliefs.mean)
    for _ in range(30):
        beliefs = beliefs.observe(0, 0, 1.0).observe(1, 0, 0.0)
    after = beliefs.targets.utilities(beliefs.mean)
    assert beliefs.expected()[0][0, 0] > 0.8 > 0.3 > beliefs.expected()[0][1, 0]
    assert beliefs.expected()[0][0, 1] > expected[0, 1], "what is good at one kind is thought better at others"
    assert (after[:, 0] - before[:, 0]).mean() > (after[:, 1] - before[:, 1]).mean()


def test_beliefs_of_clusters_are_the_routers() -> None:
    router = Router.load()
    beliefs = beliefs_of_clusters(router, MODELS[0], MODELS, alpha=1.0)
    expected, _ = beliefs.expected()
    assert expected.shape == (1, len(router.artifact.centers))
    column = router.models.index(MODELS[1])
    mixture, _ = router.mixtures()
    utilities = beliefs.targets.utilities(beliefs.mean)
    assert utilities[:, 1] == pytest.approx(mixture @ router.score_model.expected[:, column], abs=0.02)
