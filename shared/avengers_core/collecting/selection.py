"""Which questions to ask a new model first: a small sample that represents all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["choose_questions"]

#: Number of principal components of the embeddings that are balanced.
_COMPONENTS = 30
#: How much a component counts beside a model's score.
_COMPONENT_WEIGHT = 3.0
#: How often each chosen question is compared with all others.
_PASSES = 2


def choose_questions(
    scores: NDArray[Any], vectors: NDArray[np.float32], count: int, random_state: int = 42
) -> NDArray[np.intp]:
    """Pick a balanced sample of questions.

    Single questions are swapped until the sample means match the population means of (1) each known model's score, (2)
    the top principal components of the embeddings, and (3) these components times the question's easiness. The new
    model's mean score over the sample is then close to its mean over all questions.

    Args:
        scores: (n, m) scores of the known models, NaN if a model was not asked.
        vectors: (n, d) unit embeddings of the questions.
        count: How many questions to pick.
        random_state: Seed of the sample that is improved.

    Returns:
        (count,) rows of the picked questions.

    Raises:
        ValueError: If ``count`` is not between 1 and n.
    """
    if not 1 <= count <= len(scores):
        raise ValueError(f"cannot choose {count} of {len(scores)} questions")
    points = _centered_points(scores, vectors)
    rows = np.random.default_rng(random_state).choice(len(points), count, replace=False)
    return _balance(points, rows)


def _centered_points(scores: NDArray[Any], vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n, p) what is balanced, with a mean of 0: the best sample has the shortest sum."""
    answered = np.isfinite(scores)
    mean_score = np.divide(np.where(answered, scores, 0).sum(axis=0), np.maximum(answered.sum(axis=0), 1))
    easiness = np.where(answered, scores - mean_score, 0).sum(axis=1) / np.maximum(answered.sum(axis=1), 1)
    filled = np.where(answered, scores, np.clip(mean_score + easiness[:, None], 0, 1)).astype(np.float64)
    centered = (vectors - vectors.mean(axis=0)).astype(np.float64)
    axes = np.linalg.eigh(centered.T @ centered)[1][:, ::-1][:, :_COMPONENTS]
    components = _COMPONENT_WEIGHT * centered @ axes
    points = np.hstack([filled, components, components * filled.mean(axis=1)[:, None]])
    points -= points.mean(axis=0)
    return points


def _balance(points: NDArray[np.float64], rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Swap each row in turn for the row that makes the length of the sample's sum shortest."""
    squares = np.einsum("np,np->n", points, points)
    used = np.zeros(len(points), dtype=bool)
    used[rows] = True
    total = points[rows].sum(axis=0)
    for _ in range(_PASSES):
        for position in range(len(rows)):
            rest = total - points[rows[position]]
            length = squares + 2 * points @ rest
            current = length[rows[position]]
            length[used] = np.inf
            best = int(length.argmin())
            if length[best] < current:
                used[rows[position]], used[best] = False, True
                total, rows[position] = rest + points[best], best
    return rows
