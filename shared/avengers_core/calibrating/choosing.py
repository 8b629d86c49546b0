"""Which cells to ask next."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .beliefs import Beliefs

__all__ = ["choose_cells"]

#: Points of score that an answer must be expected to bring to be asked for.
_LEAST_WORTH = 1e-7

#: How many of the cells that were worth most at first are judged again for each further question.
_SHORTLIST = 24


def choose_cells(beliefs: Beliefs, left: NDArray[np.intp], count: int) -> list[tuple[int, int]]:
    """The cells whose answers are worth most for their money, one after the other.

    After each choice its answer is imagined, so that the next one tells something else. The value of a question is
    divided by its cost and that of the average question: a cheap one is preferred, but not at any price.

    Args:
        beliefs: What is believed so far.
        left: (m, j) how many questions each cell still has.
        count: How many questions to choose.

    Returns:
        (model, kind) pairs, at most ``count``; fewer if no question could change a choice.
    """
    left, chosen = left.copy(), list[tuple[int, int]]()
    price = beliefs.cells.cost + beliefs.cells.cost.mean()
    price = price / price.mean() if price.any() else np.ones_like(price)
    allowed = left > 0
    for _ in range(count):
        worth = beliefs.values(allowed) / price
        if worth.max(initial=0.0) < _LEAST_WORTH:
            break
        if not chosen:  # later choices are made among the cells that are worth something now
            best = np.sort(worth, axis=None)[-_SHORTLIST:]
            allowed &= worth >= best[0]
        model, kind = np.unravel_index(int(worth.argmax()), worth.shape)
        chosen.append((int(model), int(kind)))
        left[model, kind] -= 1
        allowed &= left > 0
        beliefs = beliefs.imagine(int(model), int(kind))
    return chosen
