"""The cost model: expected tokens and US dollars of each model's answer to each query.

A model with a price and known answer lengths costs its tokens at that price. The output tokens of an answer are
predicted by a ridge regression of their logarithm on the query's embedding and a few features of its text; a model
whose lengths are not known is taken to answer at its peers' length, which is an estimate. A model without a price
costs what its answers have cost, cluster by cluster: ``log dollars = row + model``, and a cell's own mean where it has
answers. The dollars of agent runs are always read in this way, and never mixed with those of calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..embedders.base import Vectors
from ..pricing.types import PER, Price
from .features import feature_matrix
from .manifest import Artifact
from .statistics import INPUT, OUTPUT, Array, ClusterStatistics, divide

__all__ = [
    "CostAnchor",
    "CostModel",
    "ExpectedUsage",
    "cost_by_cluster",
    "infinite_if_unknown",
    "log_dollars",
    "mean_cost_at_prices",
    "predict_output_tokens",
]

#: Answers at ``row + model`` dollars that are added to those of each cell. Raising it makes cells follow both effects.
CELL_PRIOR_ANSWERS = 5.0

#: Answers without any effect of the model that are added when its effect on costs is estimated.
_MODEL_PRIOR_ANSWERS = 2.0

#: Alternations when the effects on costs are fitted.
_COST_STEPS = 50

#: Output tokens of an answer if no record tells any.
DEFAULT_OUTPUT_TOKENS = 500.0

#: Input tokens per output token of a typical call, when a model's dollars are estimated from its price alone.
_INPUT_PER_OUTPUT = 1.0

#: Dollars that are too few to count, so that the logarithm of a free answer is finite.
_FREE = 1e-12

#: The fewest input tokens that a query is expected to have.
MIN_INPUT_TOKENS = 1.0


class CostAnchor(NamedTuple):
    """What answers cost by the records of some models, for models whose dollars were never recorded.

    Attributes:
        row: (k,) log US dollars of an answer of a model without an effect, NaN if unknown.
        shift: What is added to the logarithm of a model's price for its effect, NaN if unknown.
    """

    row: Array
    shift: float


class ExpectedUsage(NamedTuple):
    """What ``m`` models' answers to ``n`` queries are expected to take.

    Attributes:
        costs: (n, m) US dollars, NaN if unknown.
        input_tokens: (n,) input tokens.
        output_tokens: (n, m) output tokens of one call.
    """

    costs: Array
    input_tokens: Array
    output_tokens: Array


@dataclass(frozen=True)
class CostModel:
    """Expected tokens and US dollars of ``m`` models.

    Attributes:
        known: (m,) whether a model's cost is known at all, be it estimated.
        estimated: (m,) whether its cost is estimated from its price and the length of its peers' answers.
        priced: (m,) whether a model's cost follows from its tokens and its price.
        input_price: (m,) US dollars per input token; 0 if not priced.
        output_price: (m,) US dollars per output token; 0 if not priced.
        cluster_cost: (k, m) US dollars of an answer, by ``row + model``; NaN if unknown.
        agent_runs: (k,) whether a cluster's dollars are those of whole agent runs.
        mean_cost: (k, m) mean US dollars of the recorded answers, at refreshed prices if there are any; NaN if unknown.
        characters_per_token: Mean length of a token in the training queries.
        prompt_overhead: (k,) input tokens around a query of a cluster.
        length_weights: (1 + d + f, m) of the regression of log output tokens on 1, embedding and features.
        length_range: (2, m) lowest and highest log output tokens in training.
        anchor: What ``cluster_cost`` of models without recorded dollars follows from.
    """

    known: NDArray[np.bool_]
    estimated: NDArray[np.bool_]
    priced: NDArray[np.bool_]
    input_price: Array
    output_price: Array
    cluster_cost: Array
    agent_runs: NDArray[np.bool_]
    mean_cost: Array
    characters_per_token: float
    prompt_overhead: Array
    length_weights: NDArray[np.float32]
    length_range: NDArray[np.float32]
    anchor: CostAnchor

    @classmethod
    def from_artifact(
        cls, artifact: Artifact, prices: Mapping[str, Price], anchor: CostAnchor | None = None
    ) -> CostModel:
        """The cost model of an artifact's models.

        Args:
            artifact: A trained artifact.
            prices: Prices by id of a model; models that have none may be missing.
            anchor: That of more models, which is used if none of these has both a price and recorded dollars.
        """
        statistics = artifact.statistics
        columns = {name: column for column, name in enumerate(artifact.models)}
        input_price, output_price = np.zeros(len(columns)), np.zeros(len(columns))
        priced = np.zeros(len(columns), dtype=bool)
        for name, price in prices.items():
            column = columns[name]
            input_price[column], output_price[column] = price.input / PER, price.output / PER
            priced[column] = True
        weights, limits, measured = _complete_lengths(artifact)
        blended = np.where(priced, _INPUT_PER_OUTPUT * input_price + output_price, np.nan)
        cluster_cost, found = cost_by_cluster(statistics, artifact.agent_runs, blended, anchor)
        return cls(
            known=priced | ~np.isnan(cluster_cost).all(axis=0),
            estimated=priced & ~measured,
            priced=priced,
            input_price=input_price,
            output_price=output_price,
            cluster_cost=cluster_cost,
            agent_runs=artifact.agent_runs,
            mean_cost=mean_cost_at_prices(statistics, {columns[name]: price for name, price in prices.items()}),
            characters_per_token=artifact.manifest.characters_per_token,
            prompt_overhead=_padded(artifact.manifest.prompt_overhead, len(artifact.centers)),
            length_weights=weights,
            length_range=limits,
            anchor=found,
        )

    def of_columns(self, columns: NDArray[np.intp]) -> CostModel:
        """The cost model of some of the models.

        Args:
            columns: (c,) their columns.
        """
        names = ("known", "estimated", "priced", "input_price", "output_price")
        tables = ("cluster_cost", "mean_cost", "length_weights", "length_range")
        rows = {name: getattr(self, name)[columns] for name in names}
        rows |= {name: np.ascontiguousarray(getattr(self, name)[:, columns]) for name in tables}
        return replace(self, **rows)

    @cached_property
    def all_known(self) -> bool:
        """Whether every model's cost is known."""
        return bool(self.known.all())

    @cached_property
    def all_priced(self) -> bool:
        """Whether every model is priced."""
        return bool(self.priced.all())

    @cached_property
    def _has_overhead(self) -> bool:
        return bool(self.prompt_overhead.any())

    @cached_property
    def _has_agent_runs(self) -> bool:
        return bool(self.agent_runs.any())

    @cached_property
    def _agent_cost_known(self) -> bool:
        """Whether every model has a cost above 0 of agent runs; one without costs as much as a call."""
        return bool((self.cluster_cost[self.agent_runs] > 0).all())

    @cached_property
    def _log_agent_cost(self) -> Array:
        """(k, m) log US dollars of agent runs, 0 for clusters of calls."""
        return np.where(self.agent_runs[:, None], log_dollars(self.cluster_cost), 0.0)

    def expect(
        self,
        vectors: Vectors,
        texts: list[str],
        weights: Array,
        output_tokens: float | None = None,
        input_tokens: float | None = None,
    ) -> ExpectedUsage:
        """What each model's answer to each query is expected to cost.

        Args:
            vectors: (n, d) unit vectors of the queries.
            texts: The n queries.
            weights: (n, k) weights of the clusters.
            output_tokens: Output tokens of every answer; None: predicted.
            input_tokens: Input tokens of every request, if it holds more than the query. None: those of the query, and
                as many beside it as in training.
        """
        features = feature_matrix(texts) if output_tokens is None else np.empty((len(texts), 0))
        characters = np.array([len(text) for text in texts], dtype=np.float64)
        return self.expect_encoded(vectors, features, characters, weights, output_tokens, input_tokens)

    def expect_encoded(
        self,
        vectors: Vectors,
        features: Array,
        characters: Array,
        weights: Array,
        output_tokens: float | None = None,
        input_tokens: float | None = None,
    ) -> ExpectedUsage:
        """What `expect` returns, from what it needs of the texts.

        Args:
            vectors: (n, d) unit vectors of the queries.
            features: (n, f) `feature_matrix` of the queries; not used if ``output_tokens`` are given.
            characters: (n,) lengths of the queries.
            weights: (n, k) weights of the clusters.
            output_tokens: As for `expect`.
            input_tokens: As for `expect`.
        """
        tokens_in = np.maximum(characters / self.characters_per_token, MIN_INPUT_TOKENS)
        if input_tokens is not None:
            tokens_in = np.maximum(tokens_in, input_tokens)
        elif self._has_overhead:
            tokens_in = tokens_in + weights @ self.prompt_overhead
        if output_tokens is None:
            lengths = predict_output_tokens(vectors, features, self.length_weights, self.length_range)
        else:
            lengths = np.full((len(vectors), len(self.known)), float(output_tokens))
        costs = tokens_in[:, None] * self.input_price + lengths * self.output_price
        if not self.all_priced:
            costs = np.where(self.priced, costs, weights @ self.cluster_cost)
        if self._has_agent_runs:
            agent = weights @ self._log_agent_cost
            calls = (1 - weights @ self.agent_runs)[:, None] * log_dollars(costs)
            mixed = np.exp(calls + agent)
            costs = mixed if self._agent_cost_known else np.where(np.isnan(mixed) | (costs == 0), costs, mixed)
        return ExpectedUsage(costs, tokens_in, lengths)


def _padded(values: Sequence[float], size: int) -> Array:
    return np.pad(np.array(values, dtype=np.float64), (0, size - len(values)))


def log_dollars(costs: Array) -> Array:
    """Natural logarithms of US dollars; a free answer's is finite."""
    return np.asarray(np.log(np.maximum(costs, _FREE)))


def infinite_if_unknown(costs: Array) -> Array:
    """Costs in which unknown ones, NaN, are infinite, so that they can be compared."""
    return np.where(np.isnan(costs), np.inf, costs)


def predict_output_tokens(
    vectors: Vectors, features: Array, weights: NDArray[np.float32], limits: NDArray[np.float32]
) -> Array:
    """Expected output tokens of each model's answer, kept within the range seen in training.

    Args:
        vectors: (n, d) unit vectors of the queries.
        features: (n, f) `feature_matrix` of the queries.
        weights: (1 + d + f, m) of the regression of log output tokens on 1, embedding and features.
        limits: (2, m) lowest and highest log output tokens.

    Returns:
        (n, m) tokens.
    """
    low, high = limits
    d = vectors.shape[1]
    logs = weights[0] + vectors @ weights[1 : 1 + d] + features.astype(np.float32) @ weights[1 + d :]
    return np.asarray(np.exp(np.minimum(np.maximum(logs, low), high)), dtype=np.float64)


def cost_by_cluster(
    statistics: ClusterStatistics,
    agent_runs: NDArray[np.bool_],
    blended_price: Array,
    anchor: CostAnchor | None = None,
) -> tuple[Array, CostAnchor]:
    """US dollars of each model's answers in each cluster: ``log dollars = row + model``, and a cell's own mean.

    So a model is not expensive because it was asked what costs much. A model without recorded dollars has the effect
    that its price suggests, compared with the other models' prices and effects. A cluster without recorded dollars
    costs as much as the average cluster of its kind. A model whose price is 0 costs nothing.

    Args:
        statistics: Sums over ``k`` clusters and ``m`` models.
        agent_runs: (k,) whether a cluster's dollars are those of whole agent runs.
        blended_price: (m,) US dollars per token, NaN if unknown.
        anchor: What models without recorded dollars cost if no model has both a price and recorded dollars.

    Returns:
        (k, m) US dollars, NaN if unknown, and what those of models without recorded dollars follow from.
    """
    n = np.where(statistics.cost_sum > 0, statistics.n_with_cost, 0.0)
    cell = np.log(np.divide(statistics.cost_sum, n, out=np.ones_like(n), where=n > 0))
    row, model = np.zeros(len(n)), np.zeros(n.shape[1])
    for _ in range(_COST_STEPS):
        row = np.divide((n * (cell - model)).sum(axis=1), n.sum(axis=1), out=row, where=n.sum(axis=1) > 0)
        model = (n * (cell - row[:, None])).sum(axis=0) / (n.sum(axis=0) + _MODEL_PRIOR_ANSWERS)
    known_row, known = n.sum(axis=1) > 0, n.sum(axis=0) > 0
    for kind in (True, False):
        alike = known_row & (agent_runs == kind)
        fallback = alike if alike.any() else known_row
        row[~known_row & (agent_runs == kind)] = row[fallback].mean() if fallback.any() else np.nan
    log_price = np.log(np.where(blended_price > 0, blended_price, np.nan))
    both = known & np.isfinite(log_price)
    if both.any() or anchor is None:
        anchor = CostAnchor(row, float((model - log_price)[both].mean()) if both.any() else np.nan)
    by_price = anchor.row[:, None] + log_price + anchor.shift
    free = ((statistics.n_with_cost.sum(axis=0) > 0) | (blended_price == 0)) & ~known
    prior = np.where(free, 0.0, np.exp(np.where(known, row[:, None] + model, by_price)))
    total = statistics.cost_sum + CELL_PRIOR_ANSWERS * prior
    return np.asarray(total / (statistics.n_with_cost + CELL_PRIOR_ANSWERS)), anchor


def _complete_lengths(artifact: Artifact) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """The artifact's length arrays, in which a model without lengths has its peers' mean, and which were measured."""
    weights, limits = artifact.arrays["length_weights"], artifact.arrays["length_range"]
    given = weights.any(axis=0)
    measured = given & (artifact.statistics.n_with_usage[~artifact.agent_runs].sum(axis=0) > 0)
    if given.all():
        return weights, limits, measured
    weights, limits = weights.copy(), limits.copy()
    if given.any():
        peers = measured if measured.any() else given
        weights[:, ~given] = weights[:, peers].mean(axis=1, keepdims=True)
        limits[:, ~given] = limits[:, peers].mean(axis=1, keepdims=True)
    else:
        weights[0] = limits[:] = np.log(DEFAULT_OUTPUT_TOKENS)
    return weights, limits, measured


def mean_cost_at_prices(statistics: ClusterStatistics, prices: Mapping[int, Price]) -> Array:
    """Mean US dollars of the recorded answers; those of a model with a refreshed price, at that price.

    Args:
        statistics: Sums over ``k`` clusters and ``m`` models.
        prices: Prices by column. One whose source is ``records`` was implied by the recorded dollars, which stay.

    Returns:
        (k, m) US dollars, NaN if unknown.
    """
    mean_cost = statistics.mean_cost()
    for column, price in prices.items():
        if price.source != "records":
            tokens = statistics.tokens[:, column]
            dollars = (tokens[:, INPUT] * price.input + tokens[:, OUTPUT] * price.output) / PER
            refreshed = divide(dollars, statistics.n_with_usage[:, column])
            mean_cost[:, column] = np.where(np.isnan(refreshed), mean_cost[:, column], refreshed)
    return mean_cost
