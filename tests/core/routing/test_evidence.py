from __future__ import annotations

import numpy as np
import pytest
from avengers_core.routing.evidence import EvidenceModel, KnownRows, Observations, Prior, fit_evidence

ROWS, MODELS, PER_CELL = 24, 40, 30


def made_up(seed: int = 0) -> tuple[np.ndarray, Observations, np.ndarray]:
    """True cells of two factors and four graders; means of right-or-wrong answers in 60% of them."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(4), ROWS // 4)
    loadings = np.column_stack([np.full(ROWS, 0.12), rng.normal(0, 0.06, ROWS)])
    true = rng.uniform(0.4, 0.6, ROWS)[:, None] + loadings @ rng.normal(size=(2, MODELS))
    true = np.clip(true + rng.normal(0, 0.05, (4, MODELS))[group], 0.02, 0.98)
    mean = rng.binomial(PER_CELL, true) / PER_CELL
    mean[rng.random(mean.shape) < 0.4] = np.nan
    return true, Observations(mean, np.full(mean.shape, 0.2 / PER_CELL)), group


def test_hidden_cells_are_told_from_the_models_other_evidence() -> None:
    true, observed, group = made_up()
    model = fit_evidence(observed, group)
    expected, deviation = model.cells(observed, model.factors(observed))
    hidden = ~observed.seen
    rows = np.broadcast_to(np.nanmean(observed.mean, axis=1)[:, None], true.shape)
    error = expected - true
    assert np.sqrt(np.mean(error[hidden] ** 2)) < 0.7 * np.sqrt(np.mean((rows - true)[hidden] ** 2))
    assert np.sqrt(np.mean(error[observed.seen] ** 2)) < np.sqrt(np.nanmean((observed.mean - true) ** 2))
    assert np.mean(np.abs(error) < 2 * deviation) > 0.9
    assert deviation[hidden].mean() > deviation[observed.seen].mean()


def test_the_posterior_is_that_of_normal_variables() -> None:
    """The closed form against conditioning on the joint covariance of all rows."""
    rng = np.random.default_rng(3)
    model = EvidenceModel(
        rng.uniform(0.3, 0.7, 5),
        rng.normal(0, 0.1, (5, 2)),
        np.array([0, 0, 1, 1, 1]),
        np.array([0.05, 0.1]),
        np.full(5, 0.01),
    )
    seen = np.array([0, 2, 3])
    mean, noise = np.full((5, 1), np.nan), np.full((5, 1), 0.02)
    mean[seen, 0] = [0.9, 0.2, 0.4]
    prior = Prior(np.array([[0.5, -1.0]]), np.array([0.7]))
    expected, deviation = model.cells(Observations(mean, noise), model.factors(Observations(mean, noise), prior))

    covariance = 0.7 * model.loadings @ model.loadings.T
    covariance += np.equal.outer(model.group, model.group) * model.effect_deviation[model.group] ** 2
    covariance += 0.01 * np.eye(5)
    center = model.row_mean + model.loadings @ prior.mean[0]
    gain = covariance[:, seen] @ np.linalg.inv(covariance[np.ix_(seen, seen)] + 0.02 * np.eye(3))
    assert expected[:, 0] == pytest.approx(center + gain @ (mean[seen, 0] - center[seen]))
    left = covariance - gain @ covariance[seen]
    assert deviation[:, 0] == pytest.approx(np.sqrt(np.diag(left)), rel=1e-6)


def test_easy_questions_are_not_taken_for_skill() -> None:
    """A model that was asked easy questions only is not expected to beat a better one on hard questions."""
    mean = np.array([[0.95, 0.85, 0.90], [0.60, 0.30, np.nan]])
    observed = Observations(mean, np.full(mean.shape, 0.002))
    model = fit_evidence(observed, np.array([0, 0]))
    expected, deviation = model.cells(observed, model.factors(observed))
    assert expected[1, 0] > expected[1, 2] > expected[1, 1]
    assert deviation[1, 2] > deviation[1, 0]


def test_a_cell_follows_its_own_answers_as_they_become_many() -> None:
    _, observed, group = made_up()
    model = fit_evidence(observed, group)
    row, column = np.argwhere(observed.seen)[0]
    distances = []
    for answers in (1, 10, 100, 10_000):
        noise = observed.noise.copy()
        noise[row, column] = 0.2 / answers
        one = Observations(observed.mean, noise)
        expected, _ = model.cells(one, model.factors(one))
        distances.append(abs(expected[row, column] - observed.mean[row, column]))
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.001


def test_a_fit_is_repeatable_and_keeps_what_it_is_told_to() -> None:
    _, observed, group = made_up()
    first = fit_evidence(observed, group)
    again = fit_evidence(observed, group)
    assert np.array_equal(first.loadings, again.loadings)
    twice = Observations(np.vstack([observed.mean] * 2), np.vstack([observed.noise] * 2))
    known = KnownRows(first, np.arange(ROWS), np.arange(4))
    wider = fit_evidence(twice, np.concatenate([group, group + 4]), known=known)
    assert np.array_equal(wider.row_mean[:ROWS], first.row_mean)
    assert np.array_equal(wider.residual_variance[:ROWS], first.residual_variance)
    assert wider.row_mean[ROWS:] == pytest.approx(first.row_mean, abs=0.05)


def test_rows_and_models_without_anything() -> None:
    """They have a middling score, and it is said that it may be far off."""
    mean = np.full((3, 2), np.nan)
    mean[0] = [0.8, 0.6]
    observed = Observations(mean, np.full(mean.shape, 0.01))
    model = fit_evidence(observed, np.array([0, 0, 1]))
    expected, deviation = model.cells(observed, model.factors(observed))
    assert np.isfinite(expected).all()
    assert expected[2] == pytest.approx([0.5, 0.5], abs=0.05)
    assert (deviation[2] > deviation[0]).all()
