"""The cost model: expected tokens and US dollars of each model's answer to each query.

A model with a price and known answer lengths costs its tokens at that price. The output tokens of an answer are
predicted by a ridge regression of their logarithm on the query's embedding and a few features of its text. A model
without either costs what its answers have cost on average, cluster by cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..embedders.base import Vectors
from ..pricing.types import PER, Price
from .features import feature_matrix
from .manifest import Artifact
from .statistics import INPUT, OUTPUT, Array, ClusterStatistics, divide

__all__ = [
    "CostModel",
    "estimate_input_tokens",
    "infinite_if_unknown",
    "mean_cost_at_prices",
    "predict_output_tokens",
    "shrunk_mean_cost",
]

#: Answers at a model's overall mean cost that are added to those of each cluster. Raising it pulls the clusters'
#: costs together.
COST_PRIOR_ANSWERS = 20.0

#: The fewest input tokens that a query is expected to have.
MIN_INPUT_TOKENS = 1.0


@dataclass(frozen=True)
class CostModel:
    """Expected tokens and US dollars of ``m`` models.

    Attributes:
        known: (m,) whether a model's cost is known at all.
        priced: (m,) whether a model's cost follows from its tokens and its price.
        input_price: (m,) US dollars per input token; 0 if not priced.
        output_price: (m,) US dollars per output token; 0 if not priced.
        cluster_cost: (k, m) US dollars of an answer of a model that is not priced, NaN if unknown; else 0.
        mean_cost: (k, m) mean US dollars of the recorded answers, at refreshed prices if there are any; NaN if unknown.
        characters_per_token: Mean length of a token in the training queries.
        length_weights: (1 + d + f, m) of the regression of log output tokens on 1, embedding and features.
        length_range: (2, m) lowest and highest log output tokens in training.
    """

    known: NDArray[np.bool_]
    priced: NDArray[np.bool_]
    input_price: Array
    output_price: Array
    cluster_cost: Array
    mean_cost: Array
    characters_per_token: float
    length_weights: NDArray[np.float32]
    length_range: NDArray[np.float32]

    @classmethod
    def from_artifact(cls, artifact: Artifact, prices: Mapping[str, Price]) -> CostModel:
        """The cost model of an artifact's models.

        Args:
            artifact: A trained artifact.
            prices: Prices by id of a model; models that have none may be missing.
        """
        statistics = artifact.statistics
        columns = {name: column for column, name in enumerate(artifact.models)}
        known_length = statistics.n_with_usage.sum(axis=0) > 0
        input_price, output_price = np.zeros(len(columns)), np.zeros(len(columns))
        priced = np.zeros(len(columns), dtype=bool)
        for name, price in prices.items():
            column = columns[name]
            if known_length[column]:
                input_price[column], output_price[column] = price.input / PER, price.output / PER
                priced[column] = True
        overall = divide(statistics.cost_sum.sum(axis=0), statistics.n_with_cost.sum(axis=0))
        return cls(
            known=priced | ~np.isnan(overall),
            priced=priced,
            input_price=input_price,
            output_price=output_price,
            cluster_cost=np.where(priced, 0.0, shrunk_mean_cost(statistics, overall)),
            mean_cost=mean_cost_at_prices(statistics, {columns[name]: price for name, price in prices.items()}),
            characters_per_token=artifact.manifest.characters_per_token,
            length_weights=artifact.arrays["length_weights"],
            length_range=artifact.arrays["length_range"],
        )

    @cached_property
    def all_known(self) -> bool:
        """Whether every model's cost is known."""
        return bool(self.known.all())

    @cached_property
    def all_priced(self) -> bool:
        """Whether every model is priced."""
        return bool(self.priced.all())

    def expect(
        self, vectors: Vectors, texts: list[str], weights: Array, output_tokens: float | None = None
    ) -> tuple[Array, Array]:
        """Expected US dollars and input tokens of each query.

        Args:
            vectors: (n, d) unit vectors of the queries.
            texts: The n queries.
            weights: (n, k) weights of the clusters.
            output_tokens: Output tokens of every answer; None: predicted.

        Returns:
            (n, m) US dollars, NaN if unknown, and (n,) input tokens.
        """
        input_tokens = estimate_input_tokens(texts, self.characters_per_token)
        if output_tokens is None:
            lengths = predict_output_tokens(vectors, texts, self.length_weights, self.length_range)
        else:
            lengths = np.full((len(texts), len(self.known)), float(output_tokens))
        costs = input_tokens[:, None] * self.input_price + lengths * self.output_price
        if not self.all_priced:
            costs = np.where(self.priced, costs, weights @ self.cluster_cost)
        return costs, input_tokens


def infinite_if_unknown(costs: Array) -> Array:
    """Costs in which unknown ones, NaN, are infinite, so that they can be compared."""
    return np.where(np.isnan(costs), np.inf, costs)


def estimate_input_tokens(texts: list[str], characters_per_token: float) -> Array:
    """(n,) estimated input tokens of each query, from its length."""
    return np.array([max(MIN_INPUT_TOKENS, len(text) / characters_per_token) for text in texts])


def predict_output_tokens(
    vectors: Vectors, texts: list[str], weights: NDArray[np.float32], limits: NDArray[np.float32]
) -> Array:
    """Expected output tokens of each model's answer, kept within the range seen in training.

    Args:
        vectors: (n, d) unit vectors of the queries.
        texts: The n queries.
        weights: (1 + d + f, m) of the regression of log output tokens on 1, embedding and `feature_matrix`.
        limits: (2, m) lowest and highest log output tokens.

    Returns:
        (n, m) tokens.
    """
    low, high = limits
    d = vectors.shape[1]
    logs = weights[0] + vectors @ weights[1 : 1 + d] + feature_matrix(texts).astype(np.float32) @ weights[1 + d :]
    return np.asarray(np.exp(np.minimum(np.maximum(logs, low), high)), dtype=np.float64)


def shrunk_mean_cost(statistics: ClusterStatistics, overall: Array) -> Array:
    """Mean cost of each model in each cluster, shrunk toward the model's overall mean cost.

    Args:
        statistics: Sums over ``k`` clusters and ``m`` models.
        overall: (m,) US dollars of each model's mean answer, NaN if unknown.

    Returns:
        (k, m) US dollars, NaN if unknown.
    """
    total = statistics.cost_sum + COST_PRIOR_ANSWERS * overall
    return np.asarray(total / (statistics.n_with_cost + COST_PRIOR_ANSWERS))


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
