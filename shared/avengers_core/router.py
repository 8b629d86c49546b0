"""`Router`: a trained artifact with its embedder; text in, `Decision` out."""

from __future__ import annotations

import difflib
import math
import os
import random
import uuid
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from .artifact import Artifact, load_artifact
from .capabilities import Require, as_needs, lacking
from .embedding import Embedder, Vectors, embed_all, make_embedder
from .errors import ArtifactError, NoCandidateError
from .expectations import expected_cluster_scores, feature_matrix
from .pricing import PER, Price, latest_prices
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

DEFAULT_ARTIFACT = "default"

#: (top_k, beta) where neither the artifact nor the caller says.
DEFAULTS = {"utility": (None, 12.0), "reference": (3, 9.0), "simple": (3, 9.0)}


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
                f"{artifact.manifest.familiar_similarity:.2f}), so the average over all clusters was used."
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
        size = artifact.statistics.size
        self._everywhere = size / size.sum()
        self._center_table = np.ascontiguousarray(artifact.centers.T)
        self._set_costs()
        self._all, self._unfit = self._filter(None, (), ())

    def _set_costs(self) -> None:
        """Per-token prices, or, for a model without a price, its mean dollars by cluster."""
        statistics = self.artifact.statistics
        m = len(self.models)
        known_length = statistics.usage_n.sum(axis=0) > 0
        self._input_price, self._output_price = np.zeros(m), np.zeros(m)
        priced = np.zeros(m, dtype=bool)
        for name, price in self.prices.items():
            column = self._columns[name]
            if known_length[column]:
                self._input_price[column], self._output_price[column] = price.input / PER, price.output / PER
                priced[column] = True
        total, count = statistics.cost_sum.sum(axis=0), statistics.cost_n.sum(axis=0)
        overall = divide(total, count)
        self._flat_cost = np.zeros(statistics.n.shape)
        for column in np.flatnonzero(~priced).tolist():
            cells = statistics.cost_sum[:, column] + 20 * overall[column]
            self._flat_cost[:, column] = cells / (statistics.cost_n[:, column] + 20)
        self._flat = bool((~priced).any())
        self._priced = priced
        self.cost_known = priced | ~np.isnan(overall)
        # Reference costs: the dollars recorded, or the recorded tokens at today's prices where those were refreshed.
        self._mean_cost = statistics.mean_cost()
        for name, price in self.prices.items():
            if price.source != "records":
                column = self._columns[name]
                dollars = statistics.tokens[:, column, 0] * price.input + statistics.tokens[:, column, 1] * price.output
                refreshed = divide(dollars / PER, statistics.usage_n[:, column])
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
            totals = utilities(scores, costs, alpha, self.artifact.manifest.cost_scale)
        else:
            totals = self._reference_totals(vectors, scoring, alpha, performance_weight, cost_sensitivity, columns)
            scores, costs = scores[:, columns], costs[:, columns]
        candidates = [self.models[column] for column in columns]
        if len(texts) == 1:
            orders: list[Any] = [self._rank(scoring, scores[0], costs[0], totals[0], alpha)]
        elif scoring == "utility":
            known = np.where(np.isnan(costs), np.inf, costs)
            orders = utility_choice(scores, known, alpha, self.artifact.manifest.cost_scale).tolist()
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
            scale = self.artifact.manifest.cost_scale
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
        return utility_order(scores, known, alpha, self.artifact.manifest.cost_scale)

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
        outside = nearest < self.artifact.manifest.familiar_similarity
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
        answers = self.artifact.statistics.n.sum(axis=0)
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


def pretrained_names() -> list[str]:
    """Names of the artifacts in the installed package."""
    return sorted(p.name.removesuffix(".zip") for p in _pretrained().iterdir() if p.name.endswith(".zip"))


def _pretrained() -> Any:
    return resources.files(__package__) / "pretrained"


def find_artifact(name_or_path: str | Path | None = None) -> Path:
    """The path of an artifact given by path or by the name of a pretrained one.

    Raises:
        ArtifactError: neither exists.
    """
    name = DEFAULT_ARTIFACT if name_or_path is None else os.fspath(name_or_path)
    if Path(name).exists():
        return Path(name)
    packaged = Path(str(_pretrained() / f"{name}.zip"))
    if name == Path(name).name and packaged.is_file():
        return packaged
    raise ArtifactError(f"{name}: no such artifact; pretrained ones are {', '.join(pretrained_names()) or 'none'}")


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


def _dollars(value: float) -> str:
    return (
        "an unknown price" if math.isnan(value) else f"${value:.2g}" if value >= 0.01 else f"${value * 1e3:.3g} per 1K"
    )


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
