"""Which questions to ask a new model first: those that stand for all others as well as so few can."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Leading directions of the embeddings that are balanced, and how much they count beside the models' scores.
COMPONENTS, GAIN, PASSES = 30, 3.0, 2


def choose_questions(
    scores: NDArray[Any], vectors: NDArray[np.float32], count: int, random_state: int = 42
) -> NDArray[np.intp]:
    """(count,) rows of a balanced sample.

    The mean over the sample of each known model's score, of the embeddings' leading components, and of those times the
    question's easiness is as near to the mean over all questions as swapping single questions can bring it, so that the
    new model's mean over the sample is near its mean over all (a balanced sample, as survey statistics knows it).

    Args:
        scores: (n, m) of models that are known, NaN where one was not asked. vectors: (n, d) unit embeddings.

    Raises:
        ValueError: fewer than ``count`` questions.
    """
    if not 1 <= count <= len(scores):
        raise ValueError(f"cannot choose {count} of {len(scores)} questions")
    answered = np.isfinite(scores)
    level = np.divide(np.where(answered, scores, 0).sum(axis=0), np.maximum(answered.sum(axis=0), 1))
    ease = np.where(answered, scores - level, 0).sum(axis=1) / np.maximum(answered.sum(axis=1), 1)
    filled = np.where(answered, scores, np.clip(level + ease[:, None], 0, 1)).astype(np.float64)
    centered = (vectors - vectors.mean(axis=0)).astype(np.float64)
    axes = np.linalg.eigh(centered.T @ centered)[1][:, ::-1][:, :COMPONENTS]
    place = GAIN * centered @ axes
    points = np.hstack([filled, place, place * filled.mean(axis=1)[:, None]])
    points -= points.mean(axis=0)
    squares = np.einsum("np,np->n", points, points)
    rows = np.random.default_rng(random_state).choice(len(points), count, replace=False)
    used = np.zeros(len(points), dtype=bool)
    used[rows] = True
    total = points[rows].sum(axis=0)
    for _ in range(PASSES):
        for position in range(count):
            rest = total - points[rows[position]]
            distance = squares + 2 * points @ rest
            now = distance[rows[position]]
            distance[used] = np.inf
            best = int(distance.argmin())
            if distance[best] < now:
                used[rows[position]], used[best] = False, True
                total, rows[position] = rest + points[best], best
    return rows
