"""What is believed of some models while questions are asked, and which question is worth most.

All unknowns, ``x``, have a joint normal distribution: the models' factors and effects from the evidence model (see
`avengers_core.routing.evidence`), what is special about a model on a kind of questions, and how hard each kind is. A
graded answer is ``design . x + noise``, so an answer changes the distribution in closed form. What a choice would gain
in a target, such as a query of the user's, is linear in ``x`` as well. The value of asking is the expected rise of the
best choice's utility (the knowledge gradient of Frazier, Powell and Dayanik 2009, for correlated beliefs).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..routing.statistics import Array

__all__ = ["Beliefs", "Cells", "Targets"]

#: Answers that are imagined when the value of a kind of question is judged: one alone hardly changes a choice.
LOOK_AHEAD = 4.0

#: Nodes of the Gauss-Hermite quadrature over what answers may say.
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(9)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()

#: Draws from which the expected regret is estimated, and their seed.
_DRAWS, _SEED = 400, 0

#: Variance of a single score. That of an event of probability 1/2 to 2/3 is used for all: nearer to 0 and 1 a score
#: varies less, but tells less of ability, too, which the design leaves out.
_NOISE = 0.23


@dataclass(frozen=True)
class Cells:
    """What can be asked: ``m`` models, ``j`` kinds of questions.

    Attributes:
        design: (m, j, d) how a score depends on the unknowns.
        offset: (m, j) what it is if they are 0.
        cost: (m, j) US dollars of a question.
    """

    design: Array
    offset: Array
    cost: Array


@dataclass(frozen=True)
class Targets:
    """What choices are judged by: ``t`` queries, ``m`` models.

    Attributes:
        design: (t, m, d) how an expected score depends on the unknowns.
        offset: (t, m) utilities, in points of score, if the unknowns are 0: scores less costs.
        weight: (t,) how much each query counts; they sum to 1.
    """

    design: Array
    offset: Array
    weight: Array

    def utilities(self, x: Array) -> Array:
        """(..., t, m) utilities.

        Args:
            x: (..., d) unknowns.
        """
        return np.asarray(self.offset + np.tensordot(x, self.design, axes=([-1], [2])))


@dataclass(frozen=True)
class Beliefs:
    """A normal distribution of ``d`` unknowns, and what depends on them.

    Attributes:
        mean: (d,) their means.
        covariance: (d, d).
        cells: What can be asked.
        targets: What choices are judged by.
    """

    mean: Array
    covariance: Array
    cells: Cells
    targets: Targets

    def expected(self) -> tuple[Array, Array]:
        """(m, j) expected scores of each model on each kind of questions, in [0, 1], and their standard deviations."""
        mean = self.cells.offset + self.cells.design @ self.mean
        spread = np.einsum("mjd,de,mje->mj", self.cells.design, self.covariance, self.cells.design, optimize=True)
        return np.clip(mean, 0.0, 1.0), np.sqrt(np.maximum(spread, 0.0))

    def observe(self, model: int, kind: int, score: float, ease: float = 0.0) -> Beliefs:
        """The beliefs after an answer.

        Args:
            model: Position of the model.
            kind: Position of the kind of questions.
            score: Its score.
            ease: By how much the question is easier than the average one of its kind.
        """
        row = self.cells.design[model, kind]
        expected = float(self.cells.offset[model, kind] + row @ self.mean) + ease
        moved = self.covariance @ row
        variance = float(row @ moved) + _NOISE
        gain = moved / variance
        return replace(
            self, mean=self.mean + gain * (score - expected), covariance=self.covariance - np.outer(gain, moved)
        )

    def imagine(self, model: int, kind: int) -> Beliefs:
        """The beliefs once an answer of unknown score has come: the means stay, and are surer."""
        row = self.cells.design[model, kind]
        return self.observe(model, kind, float(self.cells.offset[model, kind] + row @ self.mean))

    def regret(self) -> float:
        """What the best choices would gain over those that look best now, in points of score.

        It is what the unknowns leave open, estimated from draws, always with the same seed.
        """
        values, vectors = np.linalg.eigh(self.covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        normal = np.random.default_rng(_SEED).normal(size=(_DRAWS, len(values)))
        draws = self.targets.utilities(self.mean + np.vstack([normal, -normal]) @ root.T)
        chosen = self.targets.utilities(self.mean).argmax(axis=1)
        gained = draws.max(axis=2) - np.take_along_axis(draws, chosen[None, :, None], axis=2)[:, :, 0]
        return float((gained @ self.targets.weight).mean())

    def values(self, allowed: NDArray[np.bool_]) -> Array:
        """(m, j) expected rise of the best choices' utility, in points of score, by a few answers of each cell.

        Args:
            allowed: (m, j) whether a cell can be asked; the others are worth nothing.
        """
        utilities = self.targets.utilities(self.mean)
        best = utilities.max(axis=1)
        worth = np.zeros(allowed.shape)
        for model, kind in zip(*np.nonzero(allowed), strict=True):
            row = self.cells.design[model, kind]
            moved = self.covariance @ row
            variance = float(row @ moved) + _NOISE / LOOK_AHEAD
            shift = self.targets.design @ moved / np.sqrt(variance)
            after = np.zeros(len(best))
            for node, weight in zip(_NODES, _WEIGHTS, strict=True):
                after += weight * (utilities + node * shift).max(axis=1)
            worth[model, kind] = float((after - best) @ self.targets.weight)
        return worth
