"""Ridge regression of output tokens on the embedding and a few features of the text."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from ..records.partitions import Partitions
from ..records.table import RecordTable
from ..routing.costs import predict_output_tokens
from ..routing.features import split_encoded
from ..routing.manifest import Artifact
from ..routing.statistics import OUTPUT, Array

__all__ = ["fit_lengths", "with_lengths_of"]

#: Penalty on the squared weights. Raising it pulls every prediction towards the model's mean length.
LENGTH_RIDGE = 3.0
#: Answers that a model needs for a regression of its own. One with fewer has its peers' mean, shifted by as much of the
#: difference in tokens as its answers bear out.
MIN_LENGTH_ANSWERS = 20
#: Penalty on the squared intercept, which keeps the equations solvable and is otherwise without effect.
_INTERCEPT_RIDGE = 1e-9
#: Standard deviation that a text feature is scaled to; an embedding's components have about 0.06. Raising it penalizes
#: the features' weights less.
_FEATURE_SCALE = 0.1
_BATCH_SIZE = 8192


def fit_lengths(partitions: Partitions, dimension: int) -> dict[str, NDArray[np.float32]]:
    """Ridge regression of log output tokens, for each model over the calls whose usage is known.

    Args:
        partitions: Records whose ``encoded`` starts with d unit embeddings and f features; see `feature_matrix`.
        dimension: Length d of an embedding.

    Returns:
        ``length_weights`` (1 + d + f, m) for ``exp([1, vector, features] @ weights)``, corrected so that the mean
        over the training queries is exact, and ``length_range`` (2, m), the lowest and highest log length seen. Both
        are zeros for a model without usage, and lean on the other models for one with few answers.
    """
    mean, scale = _standardization(partitions, dimension)
    equations = partitions.reduce(_normal_equations, mean, scale)
    penalty = np.full(1 + len(mean), LENGTH_RIDGE)
    penalty[0] = _INTERCEPT_RIDGE
    known = equations["n"] > 0
    weights = np.zeros((len(penalty), len(known)))
    weights[:, known] = np.linalg.solve(
        equations["gram"][known] + np.diag(penalty), equations["moment"].T[known][:, :, None]
    )[:, :, 0].T
    fitted_total = partitions.reduce(_fitted_lengths, mean, scale, weights)
    positive = (fitted_total > 0) & (equations["tokens"] > 0)
    weights[0, positive] += np.log(equations["tokens"][positive] / fitted_total[positive])
    few = known & (equations["n"] < MIN_LENGTH_ANSWERS) & bool((equations["n"] >= MIN_LENGTH_ANSWERS).any())
    if few.any():
        weights[:, few] = weights[:, known & ~few].mean(axis=1, keepdims=True)
        fitted_total = partitions.reduce(_fitted_lengths, mean, scale, weights)
        share = equations["n"] / (equations["n"] + MIN_LENGTH_ANSWERS)
        shift = share[few] * np.log(np.maximum(equations["tokens"][few], 1.0) / np.maximum(fitted_total[few], 1.0))
        weights[0, few] += shift
    weights[1:] *= scale[:, None]
    weights[0] -= mean @ weights[1:]
    weights[:, ~known] = 0
    limits = np.stack(partitions.map(_log_length_range))
    low, high = limits[:, 0].min(axis=0), limits[:, 1].max(axis=0)
    limits = np.where(known, np.stack([low, high]), 0)
    if few.any():
        limits[:, few] = limits[:, known & ~few].mean(axis=1, keepdims=True)
    return {"length_weights": weights.astype(np.float32), "length_range": limits.astype(np.float32)}


def with_lengths_of(artifact: Artifact, table: RecordTable) -> Artifact:
    """The artifact whose models are expected to answer as long as they do in these records, on the whole.

    How a model is called (its effort, its instructions, its limits) decides how long its answers are. So a user's own
    calls say more of that than the records that an artifact was trained with. Each model's expected lengths are
    multiplied by one number, which leans towards 1 if it has few answers here.

    Args:
        artifact: A trained artifact with the table's models; it is not changed.
        table: Encoded records.
    """
    assert table.encoded is not None
    vectors, features, _ = split_encoded(table.encoded)
    weights, limits = (artifact.arrays[name].copy() for name in ("length_weights", "length_range"))
    tokens = _call_tokens(table)
    for place, name in enumerate(table.models):
        column, known = artifact.models.index(name), np.isfinite(tokens[:, place])
        n = int(known.sum())
        if not n or not weights[:, column].any():
            continue
        expected = predict_output_tokens(vectors[known], features[known], weights[:, [column]], limits[:, [column]])
        share = n / (n + MIN_LENGTH_ANSWERS)
        shift = share * np.log(max(float(tokens[known, place].sum()), 1.0) / float(expected.sum()))
        weights[0, column] += shift
        limits[:, column] += shift
    return dataclasses.replace(artifact, arrays={**artifact.arrays, "length_weights": weights, "length_range": limits})


def _standardization(partitions: Partitions, dimension: int) -> tuple[Array, Array]:
    """(d + f,) means of the inputs, and factors that scale the features, but not the embedding."""
    sums = partitions.reduce(_input_moments, dimension)
    n = sums["n"]
    mean = sums["sum"] / n
    deviation = np.sqrt(np.maximum(sums["squares"] / n - mean**2, 0))[dimension:]
    scale = np.ones(len(mean))
    scale[dimension:] = np.divide(_FEATURE_SCALE, deviation, out=np.zeros_like(deviation), where=deviation > 1e-9)
    return mean, scale


def _inputs(table: RecordTable) -> NDArray[np.float32]:
    """(n, d + f) embeddings and features."""
    assert table.encoded is not None
    return table.encoded[:, :-1]


def _batches(table: RecordTable) -> list[slice]:
    return [slice(start, start + _BATCH_SIZE) for start in range(0, len(table), _BATCH_SIZE)]


def _input_moments(table: RecordTable, dimension: int) -> dict[str, Array]:
    inputs = _inputs(table)
    squares = np.zeros(inputs.shape[1])
    for rows in _batches(table):
        squares[dimension:] += np.square(inputs[rows, dimension:].astype(np.float64)).sum(axis=0)
    return {"n": np.float64(len(table)), "sum": inputs.sum(axis=0, dtype=np.float64), "squares": squares}


def _design_matrix(table: RecordTable, rows: slice, mean: Array, scale: Array) -> Array:
    inputs = _inputs(table)[rows]
    out = np.ones((len(inputs), 1 + inputs.shape[1]))
    out[:, 1:] = (inputs - mean) * scale
    return out


def _log_lengths(table: RecordTable) -> tuple[Array, NDArray[np.bool_]]:
    """(n, m) log output tokens, and which of them are known."""
    output = _call_tokens(table)
    return np.log(np.maximum(output, 1.0)), np.isfinite(output)


def _call_tokens(table: RecordTable) -> Array:
    """(n, m) output tokens of single calls, NaN if unknown. Those of agent runs say nothing about a call."""
    return np.where(table.agent_run, np.nan, table.tokens[:, :, OUTPUT]).astype(np.float64)


def _normal_equations(table: RecordTable, mean: Array, scale: Array) -> dict[str, Array]:
    """Sums of the normal equations, by model; models that answered the same queries share theirs."""
    log_length, known = _log_lengths(table)
    width, m = 1 + len(mean), known.shape[1]
    grams, moment = np.zeros((m, width, width)), np.zeros((width, m))
    for rows in _batches(table):
        design = _design_matrix(table, rows, mean, scale)
        same_queries: dict[bytes, list[int]] = {}
        for column in range(m):
            same_queries.setdefault(known[rows, column].tobytes(), []).append(column)
        for columns in same_queries.values():
            answered = known[rows, columns[0]]
            grams[columns] += design[answered].T @ design[answered]
            moment[:, columns] += design[answered].T @ log_length[rows][answered][:, columns]
    tokens = np.where(known, _call_tokens(table), 0).sum(axis=0)
    return {"gram": grams, "moment": moment, "n": known.sum(axis=0).astype(np.float64), "tokens": tokens}


def _fitted_lengths(table: RecordTable, mean: Array, scale: Array, weights: Array) -> Array:
    """(m,) sum of the predicted output tokens."""
    _, known = _log_lengths(table)
    total = np.zeros(weights.shape[1])
    for rows in _batches(table):
        total += np.where(known[rows], np.exp(_design_matrix(table, rows, mean, scale) @ weights), 0).sum(axis=0)
    return total


def _log_length_range(table: RecordTable) -> Array:
    """(2, m) lowest and highest log length."""
    log_length, known = _log_lengths(table)
    low = np.min(log_length, axis=0, where=known, initial=np.inf)
    return np.stack([low, np.max(log_length, axis=0, where=known, initial=-np.inf)])
