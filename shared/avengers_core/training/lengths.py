"""Ridge regression of output tokens on the embedding and a few features of the text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..records.parts import Partitions
from ..records.table import RecordTable
from ..routing.statistics import OUTPUT, Array

LENGTH_RIDGE = 3.0


_FEATURE_GAIN = 0.1


def fit_lengths(parts: Partitions, dimension: int) -> dict[str, NDArray[np.float32]]:
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
