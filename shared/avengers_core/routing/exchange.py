"""What a full point of score is worth in US dollars at each alpha, for any set of candidates.

With the ``even`` exchange, alpha is the share of the way, in log expected cost, from the cheapest choice of the
candidates to their best one. The way is measured on probes: some training queries, for which the artifact keeps what
their expectations are computed from. With the ``fixed`` exchange, the worth is ``typical_cost * (alpha / (1 -
alpha)) ** 2`` whatever the candidates are.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._utils.checks import check_one_of
from .statistics import Array

__all__ = ["EXCHANGES", "ExchangeRates", "ExchangeTable", "Probes", "check_exchange", "exchange_table", "fixed_rate"]

#: Names of the ways to turn alpha into dollars.
EXCHANGES = ("even", "fixed")

#: Share of the highest mean cost that the cheapest one counts as at least, so that a free model has a logarithm.
FREE_SHARE = 1e-3

#: Difference of the log costs below which the choices at alpha 0 and 1 cost the same.
_LEAST_SPAN = 1e-4

#: Relative difference below which two rates are the same.
_SAME_RATE = 1e-9

#: Sets of candidates whose tables are kept.
_MAX_TABLES = 1024


def check_exchange(exchange: Any) -> str:
    """``exchange``, if it is one of `EXCHANGES`.

    Raises:
        ValueError: If it is not.
    """
    return check_one_of("exchange", exchange, EXCHANGES)


def fixed_rate(alpha: float, typical_cost: float) -> float:
    """What one full point of score is worth at ``alpha``: ``typical_cost * (alpha / (1 - alpha)) ** 2``.

    The square spreads the five orders of magnitude between models' prices over the knob; ``typical_cost`` makes alpha
    mean the same for cheap and for expensive pools.

    Args:
        alpha: From 0 (cost only) to 1 (quality only).
        typical_cost: US dollars of the pool's typical answer.

    Returns:
        US dollars per point of score: 0 at alpha 0, infinite at alpha 1.
    """
    return float("inf") if alpha == 1 else typical_cost * (alpha / (1 - alpha)) ** 2


@dataclass(frozen=True)
class ExchangeTable:
    """The rates at which the probes' choices change.

    Attributes:
        alphas: j alphas, ascending.
        log_rates: j log US dollars per point of score at these alphas, ascending.
    """

    alphas: Sequence[float]
    log_rates: Sequence[float]

    def rate(self, alpha: float) -> float:
        """US dollars per point of score. It rises with alpha: from 0 at alpha 0 to infinite at alpha 1."""
        if alpha <= 0:
            return 0.0
        if alpha >= 1:
            return float("inf")
        alphas, logs = self.alphas, self.log_rates
        after = bisect_right(alphas, alpha)
        if after == 0:
            return math.exp(logs[0]) * alpha / alphas[0]
        if after == len(alphas):
            return math.exp(logs[-1]) * (1 - alphas[-1]) / (1 - alpha)
        share = (alpha - alphas[after - 1]) / (alphas[after] - alphas[after - 1])
        return math.exp(logs[after - 1] + share * (logs[after] - logs[after - 1]))


def exchange_table(scores: Array, costs: Array, weights: Array) -> ExchangeTable | None:
    """The even exchange of some candidates.

    As the rate rises from 0, the choice for each probe moves along the lower convex hull of the candidates' costs and
    scores, from the cheapest to the best. It leaves one candidate for the next at the rate ``difference of costs /
    difference of scores``. The probes' mean expected cost is therefore a step function that never falls, and alpha is
    the share of the way in its logarithm; a step stands in the middle between the costs before and after it.

    Args:
        scores: (p, c) expected scores.
        costs: (p, c) expected US dollars.
        weights: (p,) how much each probe counts; they sum to 1.

    Returns:
        The table, or None if all rates lead to choices that cost the same.
    """
    rates, rises, cheapest = _steps(scores, costs, weights)
    order = np.argsort(rates, kind="stable")
    rates, rises = rates[order], rises[order]
    cheapest += rises[rates <= 0].sum()
    rates, rises = rates[rates > 0], rises[rates > 0]
    if not len(rates):
        return None
    first = np.flatnonzero(np.diff(rates, prepend=0.0) > _SAME_RATE * rates)  # equal rates are one step
    rates, means = rates[first], cheapest + np.concatenate([[0.0], np.cumsum(np.add.reduceat(rises, first))])
    levels = np.log(np.maximum(means, FREE_SHARE * means[-1]))
    span = levels[-1] - levels[0]
    if span < _LEAST_SPAN:
        return None
    alphas = ((levels[:-1] + levels[1:]) / 2 - levels[0]) / span
    return ExchangeTable(alphas.tolist(), np.log(rates).tolist())


def _steps(scores: Array, costs: Array, weights: Array) -> tuple[Array, Array, float]:
    """The rates at which choices change, by how much each change raises the mean cost, and the mean cost at rate 0."""
    probe = np.arange(len(scores))
    current = np.where(costs == costs.min(axis=1, keepdims=True), scores, -np.inf).argmax(axis=1)
    cheapest = float(weights @ costs[probe, current])
    rates, rises = [np.empty(0)], [np.empty(0)]
    while len(probe):
        score, cost, place, here = scores[probe], costs[probe], np.arange(len(probe)), current[probe]
        better, dearer = score - score[place, here][:, None], cost - cost[place, here][:, None]
        rate = np.divide(dearer, better, out=np.full(better.shape, np.inf), where=better > 0)
        lowest = rate.min(axis=1)
        moves = np.isfinite(lowest)
        probe, rate, lowest, better, dearer = probe[moves], rate[moves], lowest[moves], better[moves], dearer[moves]
        target = np.where(rate <= lowest[:, None], better, -np.inf).argmax(axis=1)
        rates.append(lowest)
        rises.append(dearer[np.arange(len(probe)), target] * weights[probe])
        current[probe] = target
    return np.concatenate(rates), np.concatenate(rises), cheapest


@dataclass(frozen=True)
class Probes:
    """What is expected of ``m`` models for the queries that an exchange is measured on.

    Attributes:
        scores: (p, m) expected scores.
        costs: (p, m) expected US dollars; if costs are relative, as they would be for a query of typical cost.
        weights: (p,) how much each probe counts; they sum to 1.
    """

    scores: Array
    costs: Array
    weights: Array


@dataclass(frozen=True)
class ExchangeRates:
    """The exchange rates of a router, whose tables are made once for each set of candidates.

    Attributes:
        typical_cost: US dollars of the pool's typical answer, for the fixed exchange.
        probes: What the even exchange is measured on.
    """

    typical_cost: float
    probes: Probes
    _tables: dict[bytes, ExchangeTable | None] = field(default_factory=dict, repr=False, compare=False)

    def rate(self, alpha: float, columns: NDArray[np.intp], exchange: str) -> float:
        """US dollars per point of score: 0 at alpha 0, infinite at alpha 1, and never falling in between.

        Args:
            alpha: From 0 (cost only) to 1 (quality only).
            columns: (c,) columns of the candidates.
            exchange: ``even``, or ``fixed``, which is also used if all choices of the candidates cost the same.
        """
        table = self.table(columns) if exchange == "even" and 0 < alpha < 1 else None
        return fixed_rate(alpha, self.typical_cost) if table is None else table.rate(alpha)

    def table(self, columns: NDArray[np.intp]) -> ExchangeTable | None:
        """The table of some candidates, or None if all their choices cost the same.

        Args:
            columns: (c,) their columns. Those whose cost is unknown do not count.
        """
        key = columns.tobytes()
        try:
            return self._tables[key]
        except KeyError:
            pass
        costs = self.probes.costs[:, columns]
        known = np.isfinite(costs).all(axis=0)
        table = None
        if known.sum() > 1:
            table = exchange_table(self.probes.scores[:, columns[known]], costs[:, known], self.probes.weights)
        if len(self._tables) >= _MAX_TABLES:
            self._tables.clear()
        self._tables[key] = table
        return table
