"""What each model is expected to score on a query, and how many tokens it is expected to write.

Scores come from the clusters' raw sums alone: two-way effects (how good the model is, how hard the cluster is) with
each cell shrunk toward them by its evidence, so that sparse records and small clusters are normal; a model with few
answers leans on how its peers' profiles vary. Output length comes from a ridge regression of log tokens on the
embedding and a few features of the text.
"""

from __future__ import annotations

import numpy as np

from ..records.schema import TOKEN_KINDS
from .features import _CLASS_OF_BYTE, _CLASSES
from .statistics import Array, ClusterStatistics, divide

INPUT, OUTPUT = TOKEN_KINDS.index("input_tokens"), TOKEN_KINDS.index("output_tokens")

#: Answers that the prior of a model, of a cluster's difficulty and of a cell weighs. Chosen once for both pools of
#: the benchmark records, on splits of the training files; AUC is flat around them (benchmarks/RESULTS.md).
MODEL_PRIOR = 40.0
DIFFICULTY_PRIOR = 5.0
CELL_PRIOR = 40.0

#: Answers at which a model's own cells weigh as much as what its peers say of it, and those at which a peer is half
#: trusted; the variance of one score about its cell, and of what no combination of peers explains: of a model's level
#: and of a cell. Chosen on splits of the training files (benchmarks/RESULTS.md, "A new model").
PEER_HALF_LIFE_ANSWERS, PEER_PRIOR = 500.0, 200.0
SCORE_VARIANCE, LEVEL_VARIANCE, CELL_VARIANCE = 0.2, 0.02, 0.003

for _column, _characters in enumerate(_CLASSES):
    _CLASS_OF_BYTE[list(_characters.encode()), _column] = 1


def model_effects(statistics: ClusterStatistics) -> tuple[Array, Array]:
    """Overall level of each model (m,) and difficulty of each cluster (k,): ``score ~ level + difficulty``.

    Fitted by alternating shrunk means, so that a model that answered only the easy queries is not taken for a good one.
    A model without answers has the level of the pool.
    """
    n, total = statistics.n_answers, statistics.score_sum
    answers = n.sum()
    pool = total.sum() / answers if answers else 0.0
    level = np.full(n.shape[1], pool)
    difficulty = np.zeros(n.shape[0])
    models_asked = divide(n.sum(axis=1), statistics.n_queries)
    prior = DIFFICULTY_PRIOR * np.nan_to_num(models_asked)
    for _ in range(50):
        before = difficulty
        residual = (total - n * level).sum(axis=1)
        weight = n.sum(axis=1) + prior
        difficulty = np.divide(residual, weight, out=np.zeros_like(residual), where=weight > 0)
        level = (pool * MODEL_PRIOR + (total - n * difficulty[:, None]).sum(axis=0)) / (MODEL_PRIOR + n.sum(axis=0))
        if np.abs(difficulty - before).max(initial=0) < 1e-9:
            break
    return level, difficulty


def expected_cluster_scores(statistics: ClusterStatistics) -> tuple[Array, Array]:
    """Expected score of each model in each cluster, and its standard error, both (k, m).

    A cell is ``level + difficulty`` moved toward its own mean by ``n / (n + CELL_PRIOR)``, less one standard error of
    the cell and of the level, ``0.5 * sqrt(1 / (n + CELL_PRIOR) + 1 / (n of the model + MODEL_PRIOR))``: with little
    evidence a model must be expected to be better by more. A model with few answers is expected, by
    ``h / (h + answers)`` with ``h = PEER_HALF_LIFE_ANSWERS``, to do as `peer_posterior` has it, less the mean error
    of its peers.
    """
    level, difficulty = model_effects(statistics)
    prior = difficulty[:, None] + level[None, :]
    n = statistics.n_answers
    error = 0.5 * np.sqrt(1 / (n + CELL_PRIOR) + 1 / (n.sum(axis=0) + MODEL_PRIOR))
    mean = prior + (statistics.score_sum - n * prior) / (n + CELL_PRIOR)
    answers = n.sum(axis=0)
    trust = answers / (answers + PEER_PRIOR)
    peers = peer_posterior(statistics, mean, trust)
    peer_error = ((error @ trust)[:, None] - error * trust) / np.maximum(trust.sum() - trust, 1e-9)
    share = np.where(trust < trust.sum(), PEER_HALF_LIFE_ANSWERS / (PEER_HALF_LIFE_ANSWERS + answers), 0.0)
    return np.clip((1 - share) * (mean - error) + share * (peers - peer_error), 0, 1), error


def peer_posterior(statistics: ClusterStatistics, mean: Array, trust: Array) -> Array:
    """What each model's cells are likely to be, (k, m), if models' profiles over the clusters vary as its peers' do.

    The best linear predictor of its cells from its own answers (Gaussian process regression): the prior's mean and
    covariance over clusters are the trust-weighted mean and covariance of the peers' cells, plus a level and a cell of
    its own; the mean of n answers of a cell is seen with variance ``SCORE_VARIANCE / n``.

    Args:
        mean: (k, m) estimates of the cells. trust: (m,) weights of the models as peers.
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
        spread = (mean - center[:, None]) * np.sqrt(weight / max(1 - float(weight @ weight), 0.1))
        covariance = spread @ spread.T + LEVEL_VARIANCE + CELL_VARIANCE * np.eye(len(n))
        seen = n[:, column] > 0
        count, scored = n[seen, column], total[seen, column]
        noisy = covariance[np.ix_(seen, seen)] + np.diag(SCORE_VARIANCE / count)
        out[:, column] = center + covariance[:, seen] @ np.linalg.solve(noisy, scored / count - center[seen])
    return out
