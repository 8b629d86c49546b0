"""`Router`: a trained artifact with its embedder; text in, `Decision` out."""

from __future__ import annotations

import difflib
import random
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..embedders.base import Embedder, Vectors, embed_all
from ..embedders.factory import make_embedder
from ..errors import ArtifactError, NoCandidateError
from ..pricing.catalog import latest_prices
from ..pricing.types import PER, Price
from .artifact import load_artifact
from .capabilities import Require, as_needs, lacking
from .decision import Decision
from .expectations import expected_cluster_scores
from .features import feature_matrix
from .manifest import Artifact
from .pretrained import find_artifact
from .scoring import (
    check_alpha,
    check_exploration,
    check_scoring,
    inverse_ranks,
    nearest_clusters,
    rank_totals,
    reference_scores,
    utilities,
    utility_choice,
    utility_order,
)
from .statistics import Array, divide

#: (top_k, beta) where neither the artifact nor the caller says.
DEFAULTS = {"utility": (None, 12.0), "reference": (3, 9.0), "simple": (3, 9.0)}


class Router:
    """Chooses a model for a query. Immutable once made, so threads may share it.

    Args:
        artifact: a trained artifact.
        embedder: must have the fingerprint that the artifact was trained with; default: made from the artifact's id.
        prices: see `load`.

    Raises:
        ArtifactError: the embedder is another than the artifact's.
    """

    def __init__(
        self,
        artifact: Artifact,
        *,
        embedder: Embedder | None = None,
        prices: str | Mapping[str, Price] | None = None,
    ) -> None:
        manifest = artifact.manifest
        embedder = make_embedder(manifest.embedder.id) if embedder is None else embedder
        if embedder.fingerprint != manifest.embedder.fingerprint or embedder.dimension != manifest.embedder.dimension:
            raise ArtifactError(
                f"the artifact was trained with embedder {manifest.embedder.id} ({manifest.embedder.dimension} "
                f"dimensions, fingerprint {manifest.embedder.fingerprint[:12]}), not with {embedder.id} "
                f"({embedder.dimension}, {embedder.fingerprint[:12]}): pass the same embedder or train again"
            )
        self.artifact = artifact
        self.embedder = embedder
        #: What exploration draws from.
        self.random = random.Random()
        self.models: list[str] = artifact.models
        self.prices: dict[str, Price] = _resolve_prices(artifact, prices)
        self._columns = {name: column for column, name in enumerate(self.models)}
        self._cell_score, self._cell_error = expected_cluster_scores(artifact.statistics)
        size = artifact.statistics.n_queries
        self._everywhere = size / size.sum()
        self._center_table = np.ascontiguousarray(artifact.centers.T)
        self._set_costs()
        self._all, self._unfit = self._filter(None, (), ())

    def _set_costs(self) -> None:
        """Per-token prices, or, for a model without a price, its mean dollars by cluster."""
        statistics = self.artifact.statistics
        m = len(self.models)
        known_length = statistics.n_with_usage.sum(axis=0) > 0
        self._input_price, self._output_price = np.zeros(m), np.zeros(m)
        priced = np.zeros(m, dtype=bool)
        for name, price in self.prices.items():
            column = self._columns[name]
            if known_length[column]:
                self._input_price[column], self._output_price[column] = price.input / PER, price.output / PER
                priced[column] = True
        total, count = statistics.cost_sum.sum(axis=0), statistics.n_with_cost.sum(axis=0)
        overall = divide(total, count)
        self._flat_cost = np.zeros(statistics.n_answers.shape)
        for column in np.flatnonzero(~priced).tolist():
            cells = statistics.cost_sum[:, column] + 20 * overall[column]
            self._flat_cost[:, column] = cells / (statistics.n_with_cost[:, column] + 20)
        self._flat = bool((~priced).any())
        self._priced = priced
        self.cost_known = priced | ~np.isnan(overall)
        # Reference costs: the dollars recorded, or the recorded tokens at today's prices where those were refreshed.
        self._mean_cost = statistics.mean_cost()
        for name, price in self.prices.items():
            if price.source != "records":
                column = self._columns[name]
                dollars = statistics.tokens[:, column, 0] * price.input + statistics.tokens[:, column, 1] * price.output
                refreshed = divide(dollars / PER, statistics.n_with_usage[:, column])
                self._mean_cost[:, column] = np.where(np.isnan(refreshed), self._mean_cost[:, column], refreshed)

    @classmethod
    def load(
        cls,
        name_or_path: str | Path | None = None,
        *,
        embedder: Embedder | None = None,
        prices: str | Mapping[str, Price] | None = None,
    ) -> Router:
        """Load an artifact by path, or a pretrained one by name (default: ``default``).

        Args:
            name_or_path: a zip, a folder, or a name of `pretrained_names`.
            embedder: default: made from the id in the artifact.
            prices: None: those in the artifact; ``"latest"``: genai-prices' where it has the model; or a mapping of
                `Price` by model, over the artifact's.

        Raises:
            ArtifactError: the artifact is missing or damaged, or the embedder differs.
        """
        return cls(load_artifact(find_artifact(name_or_path)), embedder=embedder, prices=prices)

    def route(
        self,
        text: str,
        *,
        alpha: float | None = None,
        models: Iterable[str] | None = None,
        exclude: Iterable[str] | Mapping[str, str] = (),
        require: Require = (),
        scoring: str | None = None,
        performance_weight: float | None = None,
        cost_sensitivity: float | None = None,
        output_tokens: float | None = None,
        extra_cost: Mapping[str, float] | None = None,
        exploration: float = 0.0,
    ) -> Decision:
        """Choose a model for one query.

        Args:
            text: the query.
            alpha: from 0 (cost only) to 1 (quality only); default: the artifact's.
            models: candidates; default: all of the artifact.
            exclude: models that must not be chosen, or a mapping that says why.
            require: capabilities every candidate must have: names (``"tools"``), or a mapping with least numbers
                (``{"max_input_tokens": 50_000}``). A capability that is not known counts as missing.
            scoring: ``utility``, ``reference`` or ``simple``; default: the artifact's.
            performance_weight, cost_sensitivity: of ``reference``, in place of alpha and 1 - alpha.
            output_tokens: expected output tokens of every model, where the caller knows better.
            extra_cost: US dollars by model to add to its expected cost, such as those of a conversation so far.
            exploration: share of choices that are drawn evenly from all candidates, so that what the router would not
                choose is seen, too. `Decision.propensity` tells how probable the choice was.

        Raises:
            NoCandidateError: no model is left; the message says what ruled out which.
            ValueError: alpha, scoring or exploration is none.
        """
        vectors = self.embed([text])
        routed = self.route_vectors(
            vectors,
            [text],
            alpha=alpha,
            models=models,
            exclude=exclude,
            require=require,
            scoring=scoring,
            performance_weight=performance_weight,
            cost_sensitivity=cost_sensitivity,
            output_tokens=output_tokens,
            extra_cost=extra_cost,
            exploration=exploration,
        )
        return next(routed)

    def route_many(self, texts: list[str], **options: Any) -> list[Decision]:
        """`route` for many queries at once, embedded together; takes the same options."""
        return list(self.route_vectors(self.embed(list(texts)), list(texts), **options))

    def route_vectors(
        self,
        vectors: Vectors,
        texts: list[str],
        *,
        alpha: float | None = None,
        models: Iterable[str] | None = None,
        exclude: Iterable[str] | Mapping[str, str] = (),
        require: Require = (),
        scoring: str | None = None,
        performance_weight: float | None = None,
        cost_sensitivity: float | None = None,
        output_tokens: float | None = None,
        extra_cost: Mapping[str, float] | None = None,
        exploration: float = 0.0,
    ) -> Iterator[Decision]:
        """`route` for queries whose (n, d) unit vectors are at hand."""
        settings = self.artifact.manifest.settings
        scoring = self._check_scoring(scoring)
        alpha = settings.alpha if alpha is None else check_alpha(alpha)
        exploration = check_exploration(exploration)
        if models is None and not exclude and not require:
            columns, excluded = self._all, self._unfit
        else:
            columns, excluded = self._filter(models, exclude, require)
        if scoring == "utility":
            blind = [self.models[column] for column in columns if not self.cost_known[column]]
            if blind and alpha < 1:
                columns = columns[self.cost_known[columns]]
                excluded = {
                    **excluded,
                    **dict.fromkeys(blind, "its cost is unknown: give it a price, or alpha 1"),
                }
        if not len(columns):
            raise NoCandidateError(
                "no model can be chosen: " + ("; ".join(f"{m}: {why}" for m, why in excluded.items()) or "none given"),
                excluded,
            )
        weights, similarity, outside = self.cluster_weights(vectors, scoring)
        scores, costs, input_tokens = self.expect(vectors, texts, weights, output_tokens)
        if extra_cost:
            costs = np.maximum(costs + [extra_cost.get(name, 0.0) for name in self.models], 0.0)
        if scoring == "utility":
            scores, costs = scores[:, columns], costs[:, columns]
            totals = utilities(scores, costs, alpha, self.artifact.manifest.typical_cost)
        else:
            totals = self._reference_totals(vectors, scoring, alpha, performance_weight, cost_sensitivity, columns)
            scores, costs = scores[:, columns], costs[:, columns]
        candidates = [self.models[column] for column in columns]
        if len(texts) == 1:
            orders: list[Any] = [self._rank(scoring, scores[0], costs[0], totals[0], alpha)]
        elif scoring == "utility":
            known = np.where(np.isnan(costs), np.inf, costs)
            orders = utility_choice(scores, known, alpha, self.artifact.manifest.typical_cost).tolist()
        else:
            orders = totals.argmax(axis=1).tolist()
        for row, order in enumerate(orders):
            propensity = 1.0
            if exploration:
                ranks = self._rank(scoring, scores[row], costs[row], totals[row], alpha)
                order, propensity = self._explore(ranks, exploration)
            yield Decision(
                self,
                weights[row],
                alpha,
                scoring,
                candidates,
                scores[row],
                costs[row],
                totals[row],
                order,
                float(input_tokens[row]),
                float(similarity[row]),
                bool(outside[row]),
                excluded,
                propensity,
            )

    def _explore(self, ranks: NDArray[np.intp], exploration: float) -> tuple[NDArray[np.intp], float]:
        """The ranking with the choice drawn anew with probability ``exploration``, and the choice's probability."""
        m, place = len(ranks), 0
        if self.random.random() < exploration:
            place = self.random.randrange(m)
        propensity = exploration / m + (1 - exploration if place == 0 else 0.0)
        return np.concatenate([ranks[place : place + 1], np.delete(ranks, place)]), propensity

    def embed(self, texts: list[str]) -> Vectors:
        """Unit vectors of queries for `route_vectors`, (n, d) float32."""
        clean = [text.encode("utf-8", "replace").decode() for text in texts]
        return embed_all(self.embedder, clean)

    def best_single(self, models: Iterable[str]) -> str:
        """Which of these models has the best expected score over all training queries."""
        overall = self._everywhere @ self._cell_score
        return max(models, key=lambda name: overall[self._columns[name]])

    def choose(
        self,
        vectors: Vectors,
        texts: list[str],
        *,
        alphas: Array,
        models: Iterable[str] | None = None,
        scoring: str | None = None,
    ) -> tuple[NDArray[np.intp], list[str]]:
        """Choices at many alphas, without decisions: (s, n) positions in the candidates, and the candidates.

        Expectations are computed once; a model of unknown cost is chosen at alpha 1 only.
        """
        scoring = self._check_scoring(scoring)
        columns, reasons = self._filter(models, (), ())
        if not len(columns):
            raise NoCandidateError("no model can be chosen", reasons)
        weights, _, _ = self.cluster_weights(vectors, scoring)
        if scoring == "utility":
            scores, costs, _ = self.expect(vectors, texts, weights)
            scores, costs = scores[:, columns], costs[:, columns]
            known = np.where(np.isnan(costs), np.inf, costs)
            scale = self.artifact.manifest.typical_cost
            chosen = [utility_choice(scores, known, float(alpha), scale) for alpha in alphas]
        else:
            chosen = [
                self._reference_totals(vectors, scoring, float(alpha), None, None, columns).argmax(axis=1)
                for alpha in alphas
            ]
        return np.stack(chosen), [self.models[column] for column in columns]

    def _rank(self, scoring: str, scores: Array, costs: Array, totals: Array, alpha: float) -> NDArray[np.intp]:
        if scoring != "utility":
            return np.argsort(-totals, kind="stable")
        known = np.where(np.isnan(costs), np.inf, costs)
        return utility_order(scores, known, alpha, self.artifact.manifest.typical_cost)

    def _check_scoring(self, scoring: str | None) -> str:
        return check_scoring(scoring or self.artifact.manifest.settings.scoring)

    def cluster_weights(
        self, vectors: Vectors, scoring: str = "utility"
    ) -> tuple[Array, NDArray[np.float32], NDArray[np.bool_]]:
        """How much each cluster says of each query.

        Returns:
            (n, k) weights that sum to 1, (n,) similarity to the nearest centre, (n,) whether the query is out of
            distribution (its weights are the clusters' sizes then).
        """
        settings = self.artifact.manifest.settings
        top_k, beta = settings.top_k or DEFAULTS[scoring][0], settings.beta
        beta = DEFAULTS[scoring][1] if beta is None else beta
        similarity = vectors @ self._center_table
        nearest = similarity.max(axis=1)
        outside = nearest < self.artifact.manifest.ood_threshold
        k = similarity.shape[1]
        if top_k is not None and top_k < k:
            clusters, near = nearest_clusters(vectors, self.artifact.centers, top_k, beta)
            weights = np.zeros(similarity.shape)
            np.put_along_axis(weights, clusters, near, axis=1)
        else:
            weights = np.exp(beta * (similarity - nearest[:, None]).astype(np.float64))
            weights /= weights.sum(axis=1, keepdims=True)
        if outside.any():
            weights[outside] = self._everywhere
        return weights, nearest, outside

    def expect(
        self, vectors: Vectors, texts: list[str], weights: Array, output_tokens: float | None = None
    ) -> tuple[Array, Array, Array]:
        """Expected scores and US dollars (NaN: unknown), both (n, m) over all models, and (n,) input tokens."""
        scores = weights @ self._cell_score
        per_token = self.artifact.manifest.characters_per_token
        input_tokens = np.array([max(1.0, len(text) / per_token) for text in texts])
        if output_tokens is None:
            length = self._lengths(vectors, texts)
        else:
            length = np.full((len(texts), len(self.models)), float(output_tokens))
        costs = input_tokens[:, None] * self._input_price + length * self._output_price
        if self._flat:
            costs = np.where(self._priced, costs, weights @ self._flat_cost)
        return scores, costs, input_tokens

    def _lengths(self, vectors: Vectors, texts: list[str]) -> Array:
        """(n, m) expected output tokens, kept within the range seen in training."""
        head = self.artifact.arrays["length_weights"]
        low, high = self.artifact.arrays["length_range"]
        d = vectors.shape[1]
        logs = head[0] + vectors @ head[1 : 1 + d] + feature_matrix(texts).astype(np.float32) @ head[1 + d :]
        return np.asarray(np.exp(np.minimum(np.maximum(logs, low), high)), dtype=np.float64)

    def _reference_totals(
        self,
        vectors: Vectors,
        scoring: str,
        alpha: float,
        performance_weight: float | None,
        cost_sensitivity: float | None,
        columns: NDArray[np.intp],
    ) -> Array:
        settings = self.artifact.manifest.settings
        default_k, default_beta = DEFAULTS["reference"]
        beta = default_beta if settings.beta is None else settings.beta
        clusters, weights = nearest_clusters(vectors, self.artifact.centers, settings.top_k or default_k or 3, beta)
        mean_score = self.artifact.statistics.mean_score()[:, columns]
        if scoring == "simple":
            return rank_totals(clusters, weights, inverse_ranks(mean_score))
        gain = performance_weight if performance_weight is not None else settings.performance_weight
        thrift = cost_sensitivity if cost_sensitivity is not None else settings.cost_sensitivity
        scores = reference_scores(
            mean_score,
            self._mean_cost[:, columns],
            alpha if gain is None else gain,
            1 - alpha if thrift is None else thrift,
            settings.min_accuracy_threshold,
        )
        return rank_totals(clusters, weights, inverse_ranks(scores))

    def _filter(
        self, models: Iterable[str] | None, exclude: Iterable[str] | Mapping[str, str], require: Require
    ) -> tuple[NDArray[np.intp], dict[str, str]]:
        """Columns of the models that may be chosen, and why the others may not."""
        named = None if models is None else list(models)
        excluded = (
            exclude
            if isinstance(exclude, Mapping)
            else dict.fromkeys([exclude] if isinstance(exclude, str) else exclude, "excluded by the caller")
        )
        for name in (*(named or ()), *excluded):
            if name not in self._columns:
                close = difflib.get_close_matches(name, self.models, 1)
                hint = f"; did you mean {close[0]!r}?" if close else f": it has {', '.join(self.models)}"
                raise NoCandidateError(f"the artifact has no model {name!r}{hint}")
        needs = as_needs(require)
        least = self.artifact.manifest.settings.min_records
        answers = self.artifact.statistics.n_answers.sum(axis=0)
        reasons: dict[str, str] = {}
        for column, model in enumerate(self.artifact.manifest.models):
            if named is not None and model.id not in named:
                continue
            if model.id in excluded:
                reasons[model.id] = excluded[model.id]
            elif answers[column] < least:
                reasons[model.id] = f"only {answers[column]:.0f} records (min_records {least})"
            elif missing := lacking(model.capabilities, needs):
                reasons[model.id] = missing
        columns = [
            column
            for column, name in enumerate(self.models)
            if name not in reasons and (named is None or name in named)
        ]
        return np.array(columns, dtype=np.intp), reasons


def _resolve_prices(artifact: Artifact, prices: str | Mapping[str, Price] | None) -> dict[str, Price]:
    known = {model.id: model.price for model in artifact.manifest.models if model.price is not None}
    if prices is None:
        return known
    if isinstance(prices, str):
        if prices != "latest":
            raise ValueError(f"prices must be 'latest', a mapping or None, not {prices!r}")
        return known | latest_prices({m.id: m.price_id or m.id for m in artifact.manifest.models})
    unknown = sorted(set(prices) - set(artifact.models))
    if unknown:
        raise ValueError(f"prices: the artifact has no model {unknown[0]!r}")
    return known | dict(prices)


def with_prices(artifact: Artifact, prices: Mapping[str, Price]) -> Artifact:
    """The artifact with these prices in place of its own; nothing is trained again."""
    models = [
        msgspec.structs.replace(model, price=prices.get(model.id, model.price)) for model in artifact.manifest.models
    ]
    manifest = msgspec.structs.replace(artifact.manifest, models=models)
    return Artifact(manifest, artifact.centers, artifact.statistics, artifact.arrays)
