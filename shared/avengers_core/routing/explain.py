"""A decision in one paragraph of English."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from .statistics import Array

__all__ = ["explain"]

#: How many of the nearest clusters, of the nearest kinds of task and of the excluded models are named.
MAX_CLUSTERS, MAX_TASKS, MAX_EXCLUDED = 3, 2, 5


class _Evidence(Protocol):
    @property
    def ood_threshold(self) -> float: ...


class _Basis(Protocol):
    @property
    def cost_estimated(self) -> bool: ...


class _Explainable(Protocol):
    """What an explanation is written from: a `avengers_core.routing.decision.Decision`, without importing it."""

    @property
    def model(self) -> str: ...
    @property
    def alpha(self) -> float: ...
    @property
    def min_quality(self) -> float | None: ...
    @property
    def candidates(self) -> Sequence[str]: ...
    @property
    def scores(self) -> Array: ...
    @property
    def costs(self) -> Array: ...
    @property
    def seconds(self) -> Array: ...
    @property
    def similarity(self) -> float: ...
    @property
    def out_of_distribution(self) -> bool: ...
    @property
    def excluded(self) -> Mapping[str, str]: ...
    @property
    def propensity(self) -> float: ...
    @property
    def evidence(self) -> _Evidence: ...
    @property
    def ranking(self) -> list[str]: ...
    @property
    def expected_score(self) -> float: ...
    @property
    def expected_cost(self) -> float: ...
    @property
    def expected_seconds(self) -> float: ...
    @property
    def clusters(self) -> list[tuple[int, float]]: ...
    @property
    def tasks(self) -> list[tuple[str, float]]: ...
    @property
    def confidence(self) -> float: ...
    def basis(self, model: str | None = None) -> _Basis: ...
    def deviation(self, model: str | None = None) -> float: ...


def explain(decision: _Explainable) -> str:
    """One paragraph on a choice: what was chosen, where the query lies, and what the alternatives are.

    Args:
        decision: A `avengers_core.routing.decision.Decision`.
    """
    sentences = [
        f"{_aim(decision)} {decision.model} is expected to score {decision.expected_score:.2f} for "
        f"{_price(decision.expected_cost, decision.expected_seconds)}.",
        _basis(decision),
        _place(decision),
    ]
    if decision.propensity < 1:
        sentences.append(f"The router explores: this choice had a probability of {decision.propensity:.3g}.")
    if len(decision.candidates) > 1:
        sentences += _alternatives(decision)
    if decision.excluded:
        listed = [f"{name}: {why}" for name, why in list(decision.excluded.items())[:MAX_EXCLUDED]]
        sentences.append(f"Left out: {'; '.join(listed)}.")
    return " ".join(sentences)


def _aim(decision: _Explainable) -> str:
    if decision.min_quality is None:
        return f"At alpha {decision.alpha:g}"
    return f"As the cheapest with {decision.min_quality:.0%} of the best expected score or more,"


def _basis(decision: _Explainable) -> str:
    """What the expectation rests on, and how sure it is."""
    basis = decision.basis()
    estimate = "; its cost is an estimate" if basis.cost_estimated else ""
    return f"This rests on {basis} (the score may be off by {decision.deviation():.2f}{estimate})."


def _place(decision: _Explainable) -> str:
    """Where the query lies among the training queries."""
    if decision.out_of_distribution:
        return (
            f"The query is unlike the training queries (similarity {decision.similarity:.2f}, below "
            f"{decision.evidence.ood_threshold:.2f}), so the average over all clusters was used."
        )
    near = ", ".join(f"{cluster} ({weight:.0%})" for cluster, weight in decision.clusters[:MAX_CLUSTERS])
    names = " and ".join(f"{task} ({share:.0%})" for task, share in decision.tasks[:MAX_TASKS])
    return f"The query is nearest to {names}; clusters {near}."


def _alternatives(decision: _Explainable) -> list[str]:
    """The runner-up, and the candidate with the best expected score if it was not chosen."""
    second = decision.candidates.index(decision.ranking[1])
    sentences = [
        f"Next is {decision.candidates[second]} (score {decision.scores[second]:.2f}, "
        f"{_price(decision.costs[second], decision.seconds[second])}); "
        f"{_confidence(decision)}."
    ]
    best = int(np.argmax(decision.scores))
    if decision.candidates[best] != decision.model:
        ratio = decision.costs[best] / decision.expected_cost if decision.expected_cost > 0 else math.nan
        times = f", {ratio:.1f} times the cost" if math.isfinite(ratio) else ""
        sentences.append(
            f"The best expected score is {decision.candidates[best]}'s ({decision.scores[best]:.2f} for "
            f"{_price(decision.costs[best], decision.seconds[best])}{times})."
        )
    return sentences


def _confidence(decision: _Explainable) -> str:
    if decision.min_quality is None:
        return f"confidence in the choice between the two {decision.confidence:.0%}"
    return f"confidence that the chosen one reaches that share {decision.confidence:.0%}"


def _price(dollars: float, seconds: float) -> str:
    """US dollars, and seconds if they are known."""
    return _dollars(dollars) if math.isnan(seconds) else f"{_dollars(dollars)} in {seconds:.2g} s"


def _dollars(value: float) -> str:
    """US dollars with two digits, of a thousand such queries if one costs less than a cent."""
    if math.isnan(value):
        return "an unknown price"
    return f"${value:.2g}" if value >= 0.01 else f"${value * 1e3:.3g} per 1K"
