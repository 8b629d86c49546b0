"""Which cells to ask next."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .beliefs import Beliefs

__all__ = ["choose_cells"]

#: Points of score that an answer must be expected to bring to be asked for.
_LEAST_WORTH = 1e-7

#: Share of the highest worth of a question that a model's best question has, if the model is in play.
_IN_PLAY = 0.1

#: How many of the cells that were worth most at first are judged again for each further question.
_SHORTLIST = 24


def choose_cells(
    beliefs: Beliefs, left: NDArray[np.intp], count: int, tried: NDArray[Any] | None = None
) -> list[tuple[int, int]]:
    """The cells whose answers are worth most for their money, one after the other.

    After each choice its answer is imagined, so that the next one tells something else. The value of a question is
    divided by its cost and that of the average question: a cheap one is preferred, but not at any price. Every second
    question goes to the cell that was tried least, of a model whose answers are worth something: beliefs carry over
    from one kind of questions to another, and a model that is unlike others would be misjudged by a few kinds alone.

    Args:
        beliefs: What is believed so far.
        left: (m, j) how many questions each cell still has.
        count: How many questions to choose.
        tried: (m, j) how often each cell was asked, against how often it should be. Default: never.

    Returns:
        (model, kind) pairs, at most ``count``; fewer if no question could change a choice.
    """
    left, chosen = left.copy(), list[tuple[int, int]]()
    tried = np.zeros(left.shape) if tried is None else tried.astype(np.float64)
    price = beliefs.cells.cost + beliefs.cells.cost.mean()
    price = price / price.mean() if price.any() else np.ones_like(price)
    shortlist = left > 0
    for turn in range(count):
        worth = beliefs.values(shortlist & (left > 0)) / price
        if worth.max(initial=0.0) < _LEAST_WORTH:
            break
        if not chosen:  # later choices are made among the cells that are worth something now
            best = np.sort(worth, axis=None)[-_SHORTLIST:]
            shortlist &= worth >= best[0]
        if turn % 2:
            in_play = (worth.max(axis=1, keepdims=True) >= _IN_PLAY * worth.max()) & (left > 0)
            least = np.where(in_play, tried, np.inf)
            worth = np.where(least == least.min(), 1 + worth, 0.0)
        model, kind = (int(place) for place in np.unravel_index(int(worth.argmax()), worth.shape))
        chosen.append((model, kind))
        left[model, kind] -= 1
        tried[model, kind] += 1
        beliefs = beliefs.imagine(model, kind)
    return chosen
