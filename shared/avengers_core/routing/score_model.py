"""What each model is expected to score in each cluster, from the clusters' raw sums alone.

The estimate is a two-way model (how good the model is, how hard the cluster is) in which each cell is shrunk toward
the two effects by the evidence it has, so that sparse records and small clusters are normal. A model with few answers
is estimated from how its peers vary over the clusters, by Gaussian process regression.

The constants were chosen on splits of the training files; see ``benchmarks/RESULTS.md``.
"""

from __future__ import annotations

import numpy as np

from .statistics import Array, ClusterStatistics, divide

__all__ = ["expected_cluster_scores", "model_effects", "peer_posterior"]

#: Answers at the pool's mean score that are added to those of each model. Raising it pulls the models' levels together.
MODEL_PRIOR = 40.0

#: Answers of average difficulty, per model asked, that are added to those of each cluster. Raising it pulls the
#: clusters' difficulties toward zero.
DIFFICULTY_PRIOR = 5.0

#: Answers at ``level + difficulty`` that are added to those of each cell. Raising it makes the cells follow the two
#: effects, and lowers the standard error of a cell with few answers.
CELL_PRIOR = 40.0

#: Answers at which a model's own cells weigh as much as its peers' prediction of them. Raising it keeps the
#: prediction for longer.
PEER_HALF_LIFE_ANSWERS = 500.0

#: Answers at which a model has half of its weight as a peer of others. Raising it leaves the prediction to models with
#: many answers.
PEER_PRIOR = 200.0

#: Variance of a single score about its cell's mean. Raising it makes the prediction follow a new model's own answers
#: less.
SCORE_VARIANCE = 0.2

#: Variance of a model's level that its peers do not explain. Raising it lets a new model's level differ more.
LEVEL_VARIANCE = 0.02

#: Variance of a single cell that the model's peers do not explain. Raising it lets a new model's profile differ more.
CELL_VARIANCE = 0.003

#: Standard deviation of a score in [0, 1], for standard errors: the largest that is possible.
SCORE_DEVIATION = 0.5

#: Alternations of `model_effects` at most, and the change of the difficulties at which they end earlier.
MAX_ITERATIONS = 50
TOLERANCE = 1e-9

#: Least unbiasing factor ``1 - sum(weight ** 2)`` of a covariance over peers, so that one peer does not divide by 0.
_MIN_UNBIASING = 0.1

#: Guards the mean over no peers at all.
_TINY = 1e-9


def model_effects(statistics: ClusterStatistics) -> tuple[Array, Array]:
    """Level of each model and difficulty of each cluster, in the model ``score ~ level + difficulty``.

    Fitted by alternating shrunk means, so that a model that answered only easy queries is not mistaken for a good one.
    A model without answers has the level of the pool.

    Args:
        statistics: Sums over ``k`` clusters and ``m`` models.

    Returns:
        (m,) levels and (k,) difficulties, in points of score.
    """
    n, total = statistics.n_answers, statistics.score_sum
    answers = n.sum()
    pool = total.sum() / answers if answers else 0.0
    level = np.full(n.shape[1], pool)
    difficulty = np.zeros(n.shape[0])
    models_asked = divide(n.sum(axis=1), statistics.n_queries)
    prior = DIFFICULTY_PRIOR * np.nan_to_num(models_asked)
    for _ in range(MAX_ITERATIONS):
        before = difficulty
        residual = (total - n * level).sum(axis=1)
        weight = n.sum(axis=1) + prior
        difficulty = np.divide(residual, weight, out=np.zeros_like(residual), where=weight > 0)
        level = (pool * MODEL_PRIOR + (total - n * difficulty[:, None]).sum(axis=0)) / (MODEL_PRIOR + n.sum(axis=0))
        if np.abs(difficulty - before).max(initial=0) < TOLERANCE:
            break
    return level, difficulty


def expected_cluster_scores(statistics: ClusterStatistics) -> tuple[Array, Array]:
    """Expected score of each model in each cluster, with its standard error.

    A cell is ``level + difficulty``, moved toward its own mean by ``n / (n + CELL_PRIOR)``, less one standard error of
    the cell and of the level, ``SCORE_DEVIATION * sqrt(1 / (n + CELL_PRIOR) + 1 / (n of the model + MODEL_PRIOR))``:
    the less evidence there is, the better a model must be to be chosen. With ``h = PEER_HALF_LIFE_ANSWERS``, the share
    ``h / (h + answers)`` of a model's estimate comes from `peer_posterior`, less the mean standard error of its peers.

    Args:
        statistics: Sums over ``k`` clusters and ``m`` models.

    Returns:
        (k, m) expected scores in [0, 1] and (k, m) standard errors.
    """
    level, difficulty = model_effects(statistics)
    prior = difficulty[:, None] + level[None, :]
    n = statistics.n_answers
    error = SCORE_DEVIATION * np.sqrt(1 / (n + CELL_PRIOR) + 1 / (n.sum(axis=0) + MODEL_PRIOR))
    mean = prior + (statistics.score_sum - n * prior) / (n + CELL_PRIOR)
    answers = n.sum(axis=0)
    trust = answers / (answers + PEER_PRIOR)
    peers = peer_posterior(statistics, mean, trust)
    peer_error = ((error @ trust)[:, None] - error * trust) / np.maximum(trust.sum() - trust, _TINY)
    share = np.where(trust < trust.sum(), PEER_HALF_LIFE_ANSWERS / (PEER_HALF_LIFE_ANSWERS + answers), 0.0)
    return np.clip((1 - share) * (mean - error) + share * (peers - peer_error), 0, 1), error


def peer_posterior(statistics: ClusterStatistics, mean: Array, trust: Array) -> Array:
    """What each model's cells are likely to be if its profile over the clusters varies as its peers' profiles do.

    This is Gaussian process regression over the clusters, the best linear predictor of a model's cells from its own
    answers. The prior's mean and covariance are the trust-weighted mean and covariance of the peers' cells, plus a
    level and a cell effect of the model's own; the mean of n answers of a cell is observed with variance
    ``SCORE_VARIANCE / n``.

    Args:
        statistics: Sums over ``k`` clusters and ``m`` models.
        mean: (k, m) estimates of the cells.
        trust: (m,) weights in [0, 1] of the models as peers of others.

    Returns:
        (k, m) predicted scores; ``mean`` for a model without peers.
    """
    n, total = statistics.n_answers, statistics.score_sum
    out = mean.copy()
    for column in range(n.shape[1]):
        weight = trust.copy()
        weight[column] = 0
        if not weight.any():
            continue
        weight /= weight.sum()
        center = mean @ weight
        spread = (mean - center[:, None]) * np.sqrt(weight / max(1 - float(weight @ weight), _MIN_UNBIASING))
        covariance = spread @ spread.T + LEVEL_VARIANCE + CELL_VARIANCE * np.eye(len(n))
        observed = n[:, column] > 0
        count, scored = n[observed, column], total[observed, column]
        noisy = covariance[np.ix_(observed, observed)] + np.diag(SCORE_VARIANCE / count)
        gain = covariance[:, observed] @ np.linalg.solve(noisy, scored / count - center[observed])
        out[:, column] = center + gain
    return out
