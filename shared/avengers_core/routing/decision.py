"""`Decision`: which model a query goes to, and why."""

from __future__ import annotations

import itertools
import math
import os
from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from .._utils.html import bar, html_table, paragraph
from .._utils.results import Table
from .basis import Basis, ModelBasis
from .costs import infinite_if_unknown
from .explain import explain
from .scorers import SCORERS
from .statistics import Array

__all__ = ["Decision", "Evidence", "new_id"]

#: Candidates that a notebook shows.
SHOWN_CANDIDATES = 10

#: Clusters, and kinds of task, that a summary lists.
SHOWN_GROUPS = 5

#: Clusters that weigh less are not listed.
MIN_CLUSTER_WEIGHT = 0.01


class Evidence(NamedTuple):
    """What the training queries near a query say of it. A tuple, as one is made for every decision.

    Attributes:
        weights: (k,) weights of the clusters, which sum to 1.
        errors: (c,) standard deviations of the candidates' expected scores.
        overall_scores: (c,) the candidates' expected scores over all training queries.
        task_shares: (t,) how near the query is to each kind of task; they sum to 1.
        basis: What the expectations of all models rest on, and the names of the kinds of task.
        columns: (c,) the candidates' columns among all models.
        nearby: (c,) answers to the training queries near the query, weighted by cluster.
        ood_threshold: Cosine similarity below which a query is out of distribution.
    """

    weights: Array
    errors: Array
    overall_scores: Array
    task_shares: Array
    basis: Basis
    columns: NDArray[np.intp]
    nearby: Array
    ood_threshold: float

    @property
    def tasks(self) -> list[tuple[str, float]]:
        """Kinds of task with shares of 1% or more, and these shares, largest first."""
        return [(self.basis.tasks[code], share) for code, share in _heaviest(self.task_shares)]


#: Standard deviation that two expectations have between them at least.
_LEAST_SPREAD = 1e-9


def new_id() -> str:
    """32 random hexadecimal digits, for a decision or a call."""
    return os.urandom(16).hex()


@dataclass(frozen=True, eq=False, kw_only=True, repr=False, slots=True)
class Decision:
    """Which model a query goes to, and why. Immutable, and independent of the router that made it.

    Attributes:
        model: The chosen model.
        alpha: From 0 (cost only) to 1 (quality only), as it was used, unless there is a ``min_quality``.
        min_quality: Share of the best expected score that the chosen model had to reach; None: alpha decided.
        scoring: ``utility``, ``reference`` or ``simple``, as it was used.
        candidates: Models that could be chosen, in the artifact's order, as in the four arrays below.
        scores: (c,) expected scores in [0, 1].
        costs: (c,) expected US dollars, NaN if unknown.
        seconds: (c,) expected seconds to the end of the answer, NaN if unknown.
        totals: (c,) what candidates are ranked by: utilities, sums of weighted inverse ranks, or by how much they miss
            ``min_quality``.
        exchange_rate: US dollars that a full point of score is worth at this alpha; infinite at alpha 1.
        input_tokens: Estimated tokens of the query.
        similarity: Cosine similarity of the query and its nearest cluster centre.
        out_of_distribution: Whether the query is less like the training queries than 99% of those are. Its clusters
            say little then, so the average over all clusters was used.
        excluded: Models that could not be chosen, each with the reason.
        propensity: Probability of the choice; below 1 if the router explores.
        evidence: What the training queries near the query say of it.
        id: Name of the decision, for logs: 32 random hexadecimal digits.
    """

    model: str
    alpha: float
    min_quality: float | None
    scoring: str
    candidates: list[str]
    scores: Array
    costs: Array
    seconds: Array
    totals: Array
    exchange_rate: float
    input_tokens: float
    similarity: float
    out_of_distribution: bool
    excluded: dict[str, str]
    propensity: float
    evidence: Evidence
    id: str = field(default_factory=new_id)

    def __repr__(self) -> str:
        return (
            f"Decision(model={self.model!r}, alpha={self.alpha:g}, expected_score={self.expected_score:.3f}, "
            f"expected_cost={self.expected_cost:.3g}, confidence={self.confidence:.2f})"
        )

    def _repr_html_(self) -> str:
        """The choice and its alternatives as a notebook shows them."""
        rows, timed = [], not np.isnan(self.seconds).all()
        for position in self._order().tolist():
            cost, seconds = float(self.costs[position]), float(self.seconds[position])
            score, deviation = float(self.scores[position]), float(self.evidence.errors[position])
            rows.append(
                (
                    escape(self.candidates[position]),
                    f"{score:.2f} {bar(score, deviation)}",
                    "unknown" if math.isnan(cost) else f"{cost * 1000:.4f}",
                    *(["unknown" if math.isnan(seconds) else f"{seconds:.2g}"] if timed else []),
                )
            )
        columns = ("model", "expected score", "$ per 1,000 such queries", *(["seconds"] if timed else []))
        ranking = html_table(Table("", columns, rows[:SHOWN_CANDIDATES]), safe=True)
        more = f"and {len(rows) - SHOWN_CANDIDATES} more" if len(rows) > SHOWN_CANDIDATES else ""
        return (
            f"<p><b>{escape(self.model)}</b></p>{paragraph(self.explain())}{ranking}{paragraph(more) if more else ''}"
        )

    def _order(self) -> NDArray[np.intp]:
        """(c,) positions of the candidates: the chosen one, then the others, best first."""
        order = SCORERS[self.scoring].ranking(self.totals, self.scores, infinite_if_unknown(self.costs))
        chosen = self.candidates.index(self.model)
        if order[0] != chosen:  # it was drawn at random
            order = np.concatenate(([chosen], order[order != chosen]))
        return order

    @property
    def ranking(self) -> list[str]:
        """Candidates, best first; the chosen one is the first even if it was drawn at random."""
        return [self.candidates[position] for position in self._order().tolist()]

    @property
    def best_single(self) -> str:
        """The candidate with the best expected score over all training queries."""
        return self.candidates[int(self.evidence.overall_scores.argmax())]

    @property
    def weighs_costs(self) -> bool:
        """Whether the scoring weighs expected US dollars, so that a cost added for one model moves the choice."""
        return SCORERS[self.scoring].weighs_costs

    @property
    def expected_score(self) -> float:
        """Expected score of the chosen model, in [0, 1]."""
        return float(self.scores[self.candidates.index(self.model)])

    @property
    def expected_cost(self) -> float:
        """Expected US dollars of the chosen model, NaN if unknown."""
        return float(self.costs[self.candidates.index(self.model)])

    @property
    def expected_seconds(self) -> float:
        """Seconds that the chosen model is expected to take, NaN if unknown."""
        return float(self.seconds[self.candidates.index(self.model)])

    @property
    def cluster(self) -> int:
        """The heaviest cluster: the nearest one, unless the query is out of distribution."""
        return int(self.evidence.weights.argmax())

    @property
    def clusters(self) -> list[tuple[int, float]]:
        """Clusters that weigh 1% or more in the decision, with their weights, heaviest first."""
        return _heaviest(self.evidence.weights)

    @property
    def confidence(self) -> float:
        """Probability, in [0.5, 1], that the chosen model is truly better than the runner-up.

        This is the normal probability of the margin between the two, in points of score, over the standard errors of
        both expectations. The margin is that of the utilities, or of the expected scores if the scoring is by ranks.
        1.0 if there is one candidate, and at alpha 0, at which only known costs count.

        With ``min_quality`` it is the probability, in [0.5, 1], that the chosen model truly reaches that share of the
        best one's score.
        """
        return self._confidence(self._order())

    def _confidence(self, order: NDArray[np.intp]) -> float:
        if self.min_quality is not None:
            return self._confidence_to_reach(self.min_quality)
        if len(self.candidates) < 2 or self.alpha == 0:
            return 1.0
        runners = order[:2]
        points = SCORERS[self.scoring].in_points(self.totals, self.scores)
        margin = float(points[runners[0]] - points[runners[1]])
        errors = self.evidence.errors[runners]
        return _probability_above_zero(max(margin, 0.0), math.sqrt(float(errors @ errors)))

    def _confidence_to_reach(self, min_quality: float) -> float:
        chosen, best = self.candidates.index(self.model), int(np.argmax(self.scores))
        if chosen == best:
            return 1.0
        margin = float(self.scores[chosen] - min_quality * self.scores[best])
        spread = math.hypot(float(self.evidence.errors[chosen]), min_quality * float(self.evidence.errors[best]))
        return _probability_above_zero(margin, spread)

    @property
    def tasks(self) -> list[tuple[str, float]]:
        """Kinds of task that the query is near to, with shares that sum to about 1, nearest first."""
        return self.evidence.tasks

    def basis(self, model: str | None = None) -> ModelBasis:
        """What the expectation of a candidate rests on.

        Args:
            model: The candidate. Default: the chosen one.

        Raises:
            ValueError: If it is not a candidate.
        """
        evidence, position = self.evidence, self.candidates.index(self.model if model is None else model)
        return evidence.basis.of(int(evidence.columns[position]), float(evidence.nearby[position]))

    def deviation(self, model: str | None = None) -> float:
        """Standard deviation of a candidate's expected score: how far it may be off.

        Args:
            model: The candidate. Default: the chosen one.

        Raises:
            ValueError: If it is not a candidate.
        """
        return float(self.evidence.errors[self.candidates.index(self.model if model is None else model)])

    def explain(self) -> str:
        """One paragraph on the choice."""
        return explain(self)

    def to_dict(self) -> dict[str, Any]:
        """The decision as plain values for JSON, with ``candidates`` best first and None for what is unknown."""
        return {
            "id": self.id,
            "model": self.model,
            "alpha": self.alpha,
            "min_quality": self.min_quality,
            "scoring": self.scoring,
            "exchange_rate": _finite_or_none(self.exchange_rate),
            "expected_score": self.expected_score,
            "expected_cost": _finite_or_none(self.expected_cost),
            "expected_seconds": _finite_or_none(self.expected_seconds),
            "confidence": self.confidence,
            "out_of_distribution": self.out_of_distribution,
            "similarity": self.similarity,
            "propensity": self.propensity,
            "input_tokens": self.input_tokens,
            "tasks": [{"task": task, "share": share} for task, share in self.tasks],
            "clusters": [{"cluster": cluster, "weight": weight} for cluster, weight in self.clusters],
            "candidates": [
                {
                    **self._expected(position),
                    "total": _finite_or_none(self.totals[position]),
                    "basis": asdict(self.basis(self.candidates[position])),
                }
                for position in self._order().tolist()
            ],
            "excluded": self.excluded,
            "explanation": self.explain(),
        }

    def summary(self, most: int = 12) -> dict[str, Any]:
        """What the choice was made from, as plain values: short enough to be kept for every call.

        Args:
            most: Candidates, and excluded models, that are listed.
        """
        order = self._order()
        listed = order[:most].tolist()
        return {
            "model": self.model,
            "alpha": self.alpha,
            "min_quality": self.min_quality,
            "scoring": self.scoring,
            "exchange_rate": _finite_or_none(self.exchange_rate),
            "confidence": self._confidence(order),
            "out_of_distribution": bool(self.out_of_distribution),
            "input_tokens": float(self.input_tokens),
            "tasks": self.tasks[:SHOWN_GROUPS],
            "clusters": self.clusters[:SHOWN_GROUPS],
            "n_candidates": len(self.candidates),
            "candidates": [self._expected(position) for position in listed],
            "n_excluded": len(self.excluded),
            "excluded": dict(itertools.islice(self.excluded.items(), most)),
        }

    def _expected(self, position: int) -> dict[str, Any]:
        return {
            "model": self.candidates[position],
            "expected_score": float(self.scores[position]),
            "deviation": float(self.evidence.errors[position]),
            "expected_cost": _finite_or_none(self.costs[position]),
            "expected_seconds": _finite_or_none(self.seconds[position]),
        }

    def summary_json(self) -> str:
        """`summary` as JSON."""
        return msgspec.json.encode(self.summary()).decode()


def _heaviest(weights: Array) -> list[tuple[int, float]]:
    """Positions of weights of 1% or more, and these weights, largest first."""
    found = [one for one in enumerate(weights.tolist()) if one[1] >= MIN_CLUSTER_WEIGHT]
    return sorted(found, key=lambda one: -one[1])


def _probability_above_zero(mean: float, deviation: float) -> float:
    """Probability that a normally distributed number is above 0."""
    return 0.5 * (1 + math.erf(mean / max(deviation, _LEAST_SPREAD) / math.sqrt(2)))


def _finite_or_none(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
