"""`Decision`: which model a query goes to, and why."""

from __future__ import annotations

import math
import uuid
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .statistics import Array

if TYPE_CHECKING:
    from .router import Router


class Decision:
    """Which model a query goes to, and why.

    Attributes:
        id: name of the decision, for logs.
        model: the chosen model.
        alpha, scoring: what it was chosen with.
        candidates: models that could be chosen, in the artifact's order, as in the three arrays below.
        scores: (m,) expected scores in [0, 1].
        costs: (m,) expected US dollars, NaN where unknown.
        totals: (m,) what models are ranked by: utility, or the reference's sum of weighted inverse ranks.
        input_tokens: estimated tokens of the query.
        similarity: cosine of the query and its nearest cluster centre.
        out_of_distribution: the query is less like the training queries than 99% of those are. Its clusters say
            little then, so the expectation falls back to the average over all clusters.
        excluded: models that could not be chosen, each with what ruled it out.
        propensity: probability of the choice; below 1 where the router explores.
    """

    __slots__ = (
        "__dict__",
        "_order",
        "_router",
        "_weights",
        "alpha",
        "candidates",
        "costs",
        "excluded",
        "input_tokens",
        "model",
        "out_of_distribution",
        "propensity",
        "scores",
        "scoring",
        "similarity",
        "totals",
    )

    def __init__(
        self,
        router: Router,
        weights: Array,
        alpha: float,
        scoring: str,
        candidates: list[str],
        scores: Array,
        costs: Array,
        totals: Array,
        order: NDArray[np.intp] | int,
        input_tokens: float,
        similarity: float,
        out_of_distribution: bool,
        excluded: dict[str, str],
        propensity: float = 1.0,
    ) -> None:
        self._router = router
        self._weights = weights
        self._order = order
        self.alpha = alpha
        self.scoring = scoring
        self.candidates = candidates
        self.scores = scores
        self.costs = costs
        self.totals = totals
        self.input_tokens = input_tokens
        self.similarity = similarity
        self.out_of_distribution = out_of_distribution
        self.excluded = excluded
        self.propensity = propensity
        self.model = candidates[order if isinstance(order, int) else order[0]]

    def __repr__(self) -> str:
        return (
            f"Decision(model={self.model!r}, alpha={self.alpha:g}, expected_score={self.expected_score:.3f}, "
            f"expected_cost={self.expected_cost:.3g}, confidence={self.confidence:.2f})"
        )

    @cached_property
    def id(self) -> str:  # noqa: D102
        return uuid.uuid4().hex

    @cached_property
    def _ranks(self) -> NDArray[np.intp]:
        if not isinstance(self._order, int):
            return self._order
        return self._router._rank(self.scoring, self.scores, self.costs, self.totals, self.alpha)

    @property
    def ranking(self) -> list[str]:
        """Candidates, best first."""
        return [self.candidates[position] for position in self._ranks]

    @property
    def expected_score(self) -> float:
        """Expected score of the chosen model."""
        return float(self.scores[self._ranks[0]])

    @property
    def expected_cost(self) -> float:
        """Expected US dollars of the chosen model, NaN if unknown."""
        return float(self.costs[self._ranks[0]])

    @property
    def cluster(self) -> int:
        """The heaviest cluster: the nearest one, where the query is like the training queries."""
        return int(np.argmax(self._weights))

    @cached_property
    def clusters(self) -> list[tuple[int, float]]:
        """Clusters that weigh 1% or more in the decision, with their weights, heaviest first."""
        order = np.argsort(-self._weights, kind="stable")
        return [(int(c), float(self._weights[c])) for c in order if self._weights[c] >= 0.01]

    @cached_property
    def confidence(self) -> float:
        """Probability, in [0.5, 1], that the chosen model's true utility is above the runner-up's.

        The normal probability of the margin in points of score over the standard errors of both expectations. 1.0
        with one candidate and at alpha 0, where only known costs count. For the reference it is that of the scores.
        """
        ranks = self._ranks
        if len(ranks) < 2 or self.alpha == 0:
            return 1.0
        first, second = ranks[0], ranks[1]
        if self.scoring == "utility":
            margin = float(self.totals[first] - self.totals[second])
        else:
            margin = float(self.scores[first] - self.scores[second])
        columns = [self._router._columns[self.candidates[position]] for position in (first, second)]
        errors = self._weights @ self._router._cell_error[:, columns]
        spread = math.sqrt(float(errors @ errors))
        return 0.5 * (1 + math.erf(max(margin, 0.0) / spread / math.sqrt(2)))

    def explain(self) -> str:
        """One paragraph on the choice."""
        artifact = self._router.artifact
        shares = artifact.statistics.dataset_n.T @ self._weights
        names = [artifact.manifest.datasets[i] for i in np.argsort(-shares)[:2] if shares[i] > 0]
        if self.out_of_distribution:
            where = (
                f"The query is unlike the training queries (similarity {self.similarity:.2f}, below "
                f"{artifact.manifest.ood_threshold:.2f}), so the average over all clusters was used."
            )
        else:
            near = ", ".join(f"{cluster} ({weight:.0%})" for cluster, weight in self.clusters[:3])
            where = f"The query lies near clusters {near}, mostly {' and '.join(names)}."
        chosen = f"{self.model} is expected to score {self.expected_score:.2f} for {_dollars(self.expected_cost)}"
        parts = [f"At alpha {self.alpha:g} {chosen}. {where}"]
        if self.propensity < 1:
            parts.append(f"The router explores: this choice had a probability of {self.propensity:.3g}.")
        if len(self.candidates) > 1:
            second = self._ranks[1]
            parts.append(
                f"Next is {self.candidates[second]} (score {self.scores[second]:.2f}, {_dollars(self.costs[second])}); "
                f"confidence in the choice between the two {self.confidence:.0%}."
            )
            best = int(np.argmax(self.scores))
            if self.candidates[best] != self.model:
                ratio = self.costs[best] / self.expected_cost if self.expected_cost > 0 else math.nan
                times = f", {ratio:.1f} times the cost" if math.isfinite(ratio) else ""
                parts.append(
                    f"The best expected score is {self.candidates[best]}'s ({self.scores[best]:.2f} for "
                    f"{_dollars(self.costs[best])}{times})."
                )
        if self.excluded:
            parts.append(f"Left out: {'; '.join(f'{m}: {why}' for m, why in list(self.excluded.items())[:5])}.")
        return " ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """The decision as plain values for JSON, with ``candidates`` best first."""
        return {
            "id": self.id,
            "model": self.model,
            "alpha": self.alpha,
            "scoring": self.scoring,
            "expected_score": self.expected_score,
            "expected_cost": _plain(self.expected_cost),
            "confidence": self.confidence,
            "out_of_distribution": self.out_of_distribution,
            "similarity": self.similarity,
            "propensity": self.propensity,
            "input_tokens": self.input_tokens,
            "clusters": [{"cluster": cluster, "weight": weight} for cluster, weight in self.clusters],
            "candidates": [
                {
                    "model": self.candidates[position],
                    "expected_score": float(self.scores[position]),
                    "expected_cost": _plain(self.costs[position]),
                    "total": _plain(self.totals[position]),
                }
                for position in self._ranks
            ],
            "excluded": self.excluded,
            "explanation": self.explain(),
        }


def _dollars(value: float) -> str:
    return (
        "an unknown price" if math.isnan(value) else f"${value:.2g}" if value >= 0.01 else f"${value * 1e3:.3g} per 1K"
    )


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
