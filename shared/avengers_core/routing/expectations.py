"""What each model is expected to score on a query, and how many tokens it is expected to write.

Scores come from the clusters' raw sums alone: two-way effects (how good the model is, how hard the cluster is) with
each cell shrunk toward them by its evidence, so that sparse records and small clusters are normal; a model with few
answers leans on how its peers' profiles vary. Output length comes from a ridge regression of log tokens on the
embedding and a few features of the text.
"""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import NDArray

from ..records.parts import Parts
from ..records.table import TOKEN_KINDS, RecordTable
from .statistics import Array, ClusterStatistics, divide

INPUT, OUTPUT = TOKEN_KINDS.index("input"), TOKEN_KINDS.index("output")

#: Answers that the prior of a model, of a cluster's difficulty and of a cell weighs. Chosen once for both pools of
#: the benchmark records, on splits of the training files; AUC is flat around them (benchmarks/RESULTS.md).
MODEL_PRIOR = 40.0
DIFFICULTY_PRIOR = 5.0
CELL_PRIOR = 40.0
LENGTH_RIDGE = 3.0

#: Answers at which a model's own cells weigh as much as what its peers say of it, and those at which a peer is half
#: trusted; the variance of one score about its cell, and of what no combination of peers explains: of a model's level
#: and of a cell. Chosen on splits of the training files (benchmarks/RESULTS.md, "A new model").
SPARSE, PEER_PRIOR = 500.0, 200.0
SCORE_VARIANCE, LEVEL_VARIANCE, CELL_VARIANCE = 0.2, 0.02, 0.003
_FEATURE_GAIN = 0.1

_CLASSES = ("0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "+-*/=^<>", "\\$", "()[]{}", " ", "\n", "?")
_CLASS_OF_BYTE = np.zeros((256, len(_CLASSES)), dtype=np.float32)
for _column, _characters in enumerate(_CLASSES):
    _CLASS_OF_BYTE[list(_characters.encode()), _column] = 1
_OPTION = re.compile(r"^[A-Z][.)] ", re.MULTILINE)
N_FEATURES = len(_CLASSES) + 4


def text_features(text: str) -> Array:
    """(f,) features of a query: log length, shares of character classes, options, code."""
    data = text.encode("utf-8", "replace")
    size = len(data) + 1
    counts = np.bincount(np.frombuffer(data, dtype=np.uint8), minlength=256) @ _CLASS_OF_BYTE
    words = float(counts[5]) + 1
    out = np.empty(N_FEATURES)
    out[:4] = (
        math.log(size),
        math.log(words),
        len(_OPTION.findall(text)),
        float("def " in text or "{\n" in text),
    )
    out[4:] = counts / size
    out[9:] = np.log1p(counts[5:])
    return out


def feature_matrix(texts: list[str]) -> Array:
    """(n, f) `text_features` of each text."""
    return np.stack([text_features(text) for text in texts]) if texts else np.zeros((0, N_FEATURES))


def array_shapes(n_models: int, dimension: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays that `fit_lengths` makes."""
    return {"length_weights": (1 + dimension + N_FEATURES, n_models), "length_range": (2, n_models)}


def model_effects(statistics: ClusterStatistics) -> tuple[Array, Array]:
    """Overall level of each model (m,) and difficulty of each cluster (k,): ``score ~ level + difficulty``.

    Fitted by alternating shrunk means, so that a model that answered only the easy queries is not taken for a good one.
    A model without answers has the level of the pool.
    """
    n, total = statistics.n, statistics.score_sum
    answers = n.sum()
    pool = total.sum() / answers if answers else 0.0
    level = np.full(n.shape[1], pool)
    difficulty = np.zeros(n.shape[0])
    models_asked = divide(n.sum(axis=1), statistics.size)
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
    ``SPARSE / (SPARSE + answers)``, to do as `peer_profiles` has it, less the mean error of its peers.
    """
    level, difficulty = model_effects(statistics)
    prior = difficulty[:, None] + level[None, :]
    n = statistics.n
    error = 0.5 * np.sqrt(1 / (n + CELL_PRIOR) + 1 / (n.sum(axis=0) + MODEL_PRIOR))
    mean = prior + (statistics.score_sum - n * prior) / (n + CELL_PRIOR)
    answers = n.sum(axis=0)
    trust = answers / (answers + PEER_PRIOR)
    peers = peer_profiles(statistics, mean, trust)
    peer_error = ((error @ trust)[:, None] - error * trust) / np.maximum(trust.sum() - trust, 1e-9)
    share = np.where(trust < trust.sum(), SPARSE / (SPARSE + answers), 0.0)
    return np.clip((1 - share) * (mean - error) + share * (peers - peer_error), 0, 1), error


def peer_profiles(statistics: ClusterStatistics, mean: Array, trust: Array) -> Array:
    """What each model's cells are likely to be, (k, m), if models' profiles over the clusters vary as its peers' do.

    The best linear predictor of its cells from its own answers (Gaussian process regression): the prior's mean and
    covariance over clusters are the trust-weighted mean and covariance of the peers' cells, plus a level and a cell of
    its own; the mean of n answers of a cell is seen with variance ``SCORE_VARIANCE / n``.

    Args:
        mean: (k, m) estimates of the cells. trust: (m,) weights of the models as peers.
    """
    n, total = statistics.n, statistics.score_sum
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


def fit_lengths(parts: Parts, dimension: int) -> dict[str, NDArray[np.float32]]:
    """Ridge regression of log output tokens, model by model over the queries whose usage is known.

    Args:
        parts: their ``encoded`` starts with d unit embeddings and f features, see `feature_matrix`. dimension: d.

    Returns:
        ``length_weights`` (1 + d + f, m) for ``exp([1, vector, features] @ weights)``, corrected so that the mean
        over the training queries is exact, and ``length_range`` (2, m), the lowest and highest log length seen. Zeros
        for a model without usage.
    """
    sums = parts.total(_length_moments, dimension)
    n = sums["n"]
    middle = sums["sum"] / n
    spread = np.sqrt(np.maximum(sums["squares"] / n - middle**2, 0))[dimension:]
    scale = np.ones(len(middle))
    scale[dimension:] = np.divide(_FEATURE_GAIN, spread, out=np.zeros_like(spread), where=spread > 1e-9)
    normal = parts.total(_length_equations, middle, scale)
    penalty = np.full(1 + len(middle), LENGTH_RIDGE)
    penalty[0] = 1e-9
    known = normal["n"] > 0
    weights = np.zeros((len(penalty), len(known)))
    weights[:, known] = np.linalg.solve(
        normal["gram"][known] + np.diag(penalty), normal["moment"].T[known][:, :, None]
    )[:, :, 0].T
    fitted_total = parts.total(_fitted_lengths, middle, scale, weights)
    some = (fitted_total > 0) & (normal["tokens"] > 0)
    weights[0, some] += np.log(normal["tokens"][some] / fitted_total[some])
    weights[1:] *= scale[:, None]
    weights[0] -= middle @ weights[1:]
    weights[:, ~known] = 0
    limits = np.stack(parts.gather(_length_limits))
    low, high = limits[:, 0].min(axis=0), limits[:, 1].max(axis=0)
    limits = np.where(known, np.stack([low, high]), 0)
    return {"length_weights": weights.astype(np.float32), "length_range": limits.astype(np.float32)}


def _inputs(table: RecordTable) -> NDArray[np.float32]:
    """(n, d + f) embeddings and features."""
    assert table.encoded is not None
    return table.encoded[:, :-1]


def _batches(table: RecordTable, size: int = 8192) -> list[slice]:
    return [slice(start, start + size) for start in range(0, len(table), size)]


def _length_moments(table: RecordTable, dimension: int) -> dict[str, Array]:
    inputs = _inputs(table)
    squares = np.zeros(inputs.shape[1])
    for rows in _batches(table):
        squares[dimension:] += np.square(inputs[rows, dimension:].astype(np.float64)).sum(axis=0)
    return {"n": np.float64(len(table)), "sum": inputs.sum(axis=0, dtype=np.float64), "squares": squares}


def _design(table: RecordTable, rows: slice, middle: Array, scale: Array) -> Array:
    inputs = _inputs(table)[rows]
    out = np.ones((len(inputs), 1 + inputs.shape[1]))
    out[:, 1:] = (inputs - middle) * scale
    return out


def _log_lengths(table: RecordTable) -> tuple[Array, NDArray[np.bool_]]:
    output = table.tokens[:, :, OUTPUT].astype(np.float64)
    return np.log(np.maximum(output, 1.0)), np.isfinite(output)


def _length_equations(table: RecordTable, middle: Array, scale: Array) -> dict[str, Array]:
    """Sums of the normal equations, by model; models that answered the same queries share theirs."""
    log_length, known = _log_lengths(table)
    width, m = 1 + len(middle), known.shape[1]
    grams, moment = np.zeros((m, width, width)), np.zeros((width, m))
    for rows in _batches(table):
        design = _design(table, rows, middle, scale)
        groups: dict[bytes, list[int]] = {}
        for column in range(m):
            groups.setdefault(known[rows, column].tobytes(), []).append(column)
        for columns in groups.values():
            part = design[known[rows, columns[0]]]
            grams[columns] += part.T @ part
            moment[:, columns] += part.T @ log_length[rows][known[rows, columns[0]]][:, columns]
    tokens = np.where(known, table.tokens[:, :, OUTPUT], 0).sum(axis=0, dtype=np.float64)
    return {"gram": grams, "moment": moment, "n": known.sum(axis=0).astype(np.float64), "tokens": tokens}


def _fitted_lengths(table: RecordTable, middle: Array, scale: Array, weights: Array) -> Array:
    _, known = _log_lengths(table)
    total = np.zeros(weights.shape[1])
    for rows in _batches(table):
        total += np.where(known[rows], np.exp(_design(table, rows, middle, scale) @ weights), 0).sum(axis=0)
    return total


def _length_limits(table: RecordTable) -> Array:
    """(2, m) lowest and highest log length."""
    log_length, known = _log_lengths(table)
    low = np.min(log_length, axis=0, where=known, initial=np.inf)
    return np.stack([low, np.max(log_length, axis=0, where=known, initial=-np.inf)])
