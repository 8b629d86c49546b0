"""`Router`: a trained artifact with its embedder. Text in, `Decision` out."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._utils.html import bar, html_table, paragraph
from .._utils.results import Table
from ..embedders.base import Embedder, Vectors, embed_all
from ..embedders.factory import make_embedder
from ..errors import ArtifactError
from ..pricing.types import Price
from .artifact import load_artifact
from .basis import Basis, tasks_of
from .candidates import Candidates, Eligibility
from .capabilities import Require
from .clusters import Clusters
from .costs import CostModel, infinite_if_unknown
from .decision import Decision, Evidence
from .exchange import ExchangeRates, Probes
from .features import split_encoded
from .manifest import Artifact
from .options import RouteArguments, RouteOptions, RouteOverrides
from .pretrained import find_artifact
from .prices import resolve_prices
from .request import Request
from .score_model import ScoreModel
from .scorers import SCORERS, Expectations
from .scoring import shortfalls
from .speeds import SpeedModel
from .statistics import Array
from .tables import Tables

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Router"]

_NO_OPTIONS = RouteOptions()

#: Candidates that are computed alone, rather than taken from all models.
_FEW = 64
#: Sets of a few candidates whose tables are kept.
_MOST_TABLES = 64
#: Queries of a batch that are computed at a time.
_BATCH = 1024

#: Models that a notebook shows.
_SHOWN_MODELS = 15


class _Queries(NamedTuple):
    """What is known of ``n`` queries.

    Attributes:
        vectors: (n, d) unit vectors.
        weights: (n, k) weights of the clusters.
        similarity: (n,) cosine similarity to the nearest centre.
        outside: (n,) whether a query is out of distribution.
        input_tokens: (n,) expected input tokens.
        task_shares: (n, t) how near it is to each kind of task.
    """

    vectors: Vectors
    weights: Array
    similarity: NDArray[np.float32]
    outside: NDArray[np.bool_]
    input_tokens: Array
    task_shares: Array

    def row(self, position: int) -> _Queries:
        """One of them."""
        return _Queries._make(values[position : position + 1] for values in self)


class _Expected(NamedTuple):
    """What is expected of ``c`` candidates for ``n`` queries.

    Attributes:
        scores: (n, c) expected scores.
        costs: (n, c) expected US dollars, NaN if unknown.
        seconds: (n, c) expected seconds, NaN if unknown.
        errors: (n, c) standard deviations of the expected scores.
        nearby: (n, c) answers to the training queries near each query.
    """

    scores: Array
    costs: Array
    seconds: Array
    errors: Array
    nearby: Array

    def row(self, position: int) -> _Expected:
        """The same for one query."""
        return _Expected._make(values[position : position + 1] for values in self)

    def only(self, before: Candidates, after: Candidates) -> _Expected:
        """The same of those candidates that are left."""
        if after is before:
            return self
        kept = np.searchsorted(before.columns, after.columns)
        return _Expected._make(values[:, kept] for values in self)


class Router:
    """Chooses a model for a query. Immutable once made, so threads may share it.

    Args:
        artifact: A trained artifact.
        embedder: Must have the fingerprint that the artifact was trained with. Default: made from the artifact's id.
        prices: See `load`.
        costs_like: A router of more models, whose recorded dollars say what answers cost if these models have none.

    Attributes:
        artifact: The artifact.
        embedder: The embedder.
        models: Ids of the models, in the artifact's order.
        prices: Prices by id, for the models that have one.
        cost_known: (m,) whether a model's cost is known.
        speeds: Expected seconds of the models.
        score_model: Expected scores by cluster, and the evidence model that they follow from.
        random: What exploration draws from.

    Raises:
        ArtifactError: If the embedder differs from the artifact's.
        ValueError: If the prices are not what `load` describes.
    """

    def __init__(
        self,
        artifact: Artifact,
        *,
        embedder: Embedder | None = None,
        prices: str | Mapping[str, Price] | None = None,
        costs_like: Router | None = None,
    ) -> None:
        self.artifact = artifact
        self.embedder = _matching_embedder(artifact, embedder)
        self.random = random.Random()
        self.models: list[str] = artifact.models
        self.prices: dict[str, Price] = resolve_prices(artifact, prices)
        self._columns = {name: column for column, name in enumerate(self.models)}
        self._clusters = Clusters.from_artifact(artifact)
        anchor = None if costs_like is None else costs_like._costs.anchor
        self._costs: CostModel = CostModel.from_artifact(artifact, self.prices, anchor)
        self.score_model = ScoreModel(artifact)
        self.speeds = SpeedModel.from_artifact(artifact)
        self._cell_score = self.score_model.expected
        tasks, task_shares = tasks_of(artifact)
        self._basis = Basis.from_artifact(artifact, self._costs, tasks)
        self._overall_score = self._clusters.shares @ self._cell_score
        self._tables = Tables(
            self._cell_score,
            np.hstack([self.score_model.deviation, artifact.statistics.n_answers, task_shares]),
            self._costs,
            self.speeds,
        )
        self._tables_of_few: dict[bytes, Tables] = {}
        self._log_typical = np.log(artifact.typical_costs) if artifact.manifest.settings.relative_costs else None
        self._scorers = {
            name: scorer.from_artifact(artifact, self._costs, self._cell_score) for name, scorer in SCORERS.items()
        }
        self._eligibility = Eligibility(artifact)

    @cached_property
    def _default_of_known_cost(self) -> Candidates:
        return self._eligibility.default.known_cost(self._costs.known)

    def choosable(self, alpha: float) -> set[str]:
        """Ids of the models that may be chosen if nothing is excluded: those with records enough and a known cost.

        Args:
            alpha: Trade-off in [0, 1]. At 1 the cost need not be known.
        """
        default = self._eligibility.default if alpha == 1 else self._default_of_known_cost
        return set(default.names)

    @cached_property
    def exchange_rates(self) -> ExchangeRates:
        """What a point of score is worth at each alpha."""
        return ExchangeRates(self.artifact.manifest.typical_cost, self._expect_probes())

    @classmethod
    def load(
        cls,
        name_or_path: str | Path | None = None,
        *,
        embedder: Embedder | None = None,
        prices: str | Mapping[str, Price] | None = None,
    ) -> Router:
        """Load an artifact by path, or a pretrained one by name.

        Args:
            name_or_path: A zip, a folder, or a name of `pretrained_names`. Default: ``default``.
            embedder: Default: made from the id in the artifact.
            prices: None: those in the artifact. ``"latest"``: those of the installed genai-prices for the models that
                it lists. A mapping from id to `Price`: these, and the artifact's for the other models.

        Raises:
            ArtifactError: If the artifact is missing or damaged, or the embedder differs.
            ValueError: If ``prices`` is another string, or names a model that the artifact does not have.
        """
        return cls(load_artifact(find_artifact(name_or_path)), embedder=embedder, prices=prices)

    def _repr_html_(self) -> str:
        """What the router knows, as a notebook shows it: its best models first."""
        manifest = self.artifact.manifest
        order = np.argsort(-self._overall_score, kind="stable")[:_SHOWN_MODELS].tolist()
        rows = []
        for column in order:
            name, score = self.models[column], float(self._overall_score[column])
            price = self.prices.get(name)
            rows.append(
                (
                    escape(name),
                    f"{score:.2f} {bar(score)}",
                    f"{self.artifact.statistics.n_answers[:, column].sum():,.0f}",
                    "unknown" if price is None else f"{price.input:g} / {price.output:g}",
                )
            )
        summary = (
            f"A router over {len(self.models)} models, trained on {manifest.n_records:,} queries from "
            f"{len(self.artifact.sources)} sources; alpha {manifest.settings.alpha:g} unless a call says otherwise."
        )
        columns = ("model", "expected score over all queries", "answers", "$ per 1M tokens in / out")
        return paragraph(summary) + html_table(Table("", columns, rows), safe=True)

    @property
    def cost_known(self) -> NDArray[np.bool_]:
        """(m,) whether a model's cost is known. One whose cost is not is chosen at alpha 1 only."""
        return self._costs.known

    def route(
        self,
        text: str,
        options: RouteOptions | None = None,
        *,
        models: Iterable[str] | None = None,
        require: Require = (),
        performance_weight: float | None = None,
        cost_sensitivity: float | None = None,
        output_tokens: float | None = None,
        input_tokens: float | None = None,
        extra_cost: Mapping[str, float] | None = None,
        **overrides: Unpack[RouteOverrides],
    ) -> Decision:
        """Choose a model for one query.

        Args:
            text: The query.
            options: How to choose. Default: the artifact's alpha and scoring, nothing excluded, no exploration.
            models: Ids of the candidates. Default: all models of the artifact.
            require: Capabilities that every candidate must have: names (``["tools"]``), or a mapping with least
                numbers (``{"max_input_tokens": 50_000}``). A capability that is not known counts as missing.
            performance_weight: Weight of the score in ``reference``, in place of alpha.
            cost_sensitivity: Weight of the cost in ``reference``, in place of 1 - alpha.
            output_tokens: Expected output tokens of every model, if the caller knows better.
            input_tokens: Input tokens of the whole request, if it holds more than the query, such as instructions or
                a conversation. Default: those of the query, and as many beside it as the prompts in training had.
            extra_cost: US dollars by id to add to a model's expected cost; negative ones are a discount.
            **overrides: Single options in place of those in ``options``, such as ``alpha=0.6``; see `RouteOptions`.

        Raises:
            NoCandidateError: If no model is left, such as within ``max_cost`` or ``max_seconds``; the message gives the
                reason for each.
            TypeError: If there is no option of that name.
            ValueError: If an option is out of its range.
        """
        request = self.prepare(
            options,
            models=models,
            require=require,
            performance_weight=performance_weight,
            cost_sensitivity=cost_sensitivity,
            output_tokens=output_tokens,
            input_tokens=input_tokens,
            extra_cost=extra_cost,
            **overrides,
        )
        return next(self.decide(self.embed([text]), [text], request))

    def route_many(
        self, texts: Iterable[str], options: RouteOptions | None = None, **arguments: Unpack[RouteArguments]
    ) -> list[Decision]:
        """Choose a model for each of many queries, which are embedded together.

        Args:
            texts: The queries.
            options: How to choose, for all of them.
            **arguments: Arguments and single options, as in `route`.

        Raises:
            NoCandidateError: If no model is left.
            TypeError: If ``texts`` is a string, or there is no option of that name.
            ValueError: If an option is out of its range.
        """
        if isinstance(texts, str):
            raise TypeError("texts must be a list of queries, not one string: use route for a single query")
        request = self.prepare(options, **arguments)
        queries = list(texts)
        return list(self.decide(self.embed(queries), queries, request))

    def route_vectors(
        self,
        vectors: Vectors,
        texts: list[str],
        options: RouteOptions | None = None,
        **arguments: Unpack[RouteArguments],
    ) -> Iterator[Decision]:
        """Choose a model for each of many queries whose vectors are at hand.

        Arguments are checked at once, decisions are made as they are iterated: only then it is seen that ``max_cost``
        or ``max_seconds`` leaves no model for a query.

        Args:
            vectors: (n, d) unit vectors of the queries, as from `embed`.
            texts: The n queries.
            options: How to choose, for all of them.
            **arguments: Arguments and single options, as in `route`.

        Raises:
            NoCandidateError: If no model is left.
            TypeError: If there is no option of that name.
            ValueError: If an option is out of its range, or there are more or fewer vectors than texts.
        """
        if len(vectors) != len(texts):
            raise ValueError(f"there are {len(vectors)} vectors for {len(texts)} texts")
        return self.decide(vectors, texts, self.prepare(options, **arguments))

    def embed(self, texts: list[str]) -> Vectors:
        """(n, d) float32 unit vectors of n queries, for `route_vectors`."""
        clean = [text.encode("utf-8", "replace").decode() for text in texts]
        return embed_all(self.embedder, clean)

    def expect_costs(self, vectors: Vectors, texts: list[str]) -> Array:
        """(n, m) expected US dollars of each model's answer to each query. NaN: unknown.

        Args:
            vectors: (n, d) unit vectors of the queries.
            texts: The n queries.
        """
        scorer = self._scorers[self._resolve_scoring(_NO_OPTIONS)]
        weights, _, _ = self._clusters.weigh(vectors, scorer.top_k, scorer.beta)
        return self._costs.expect(vectors, texts, weights).costs

    def best_single(self, models: Iterable[str]) -> str:
        """Which of these models has the best expected score over all training queries."""
        return max(models, key=lambda name: self._overall_score[self._columns[name]])

    def scores_by_task(self) -> tuple[list[str], Array]:
        """Kinds of task, and (t, m) expected mean scores of each model in each."""
        tasks, shares = tasks_of(self.artifact)
        weights = shares * self.artifact.statistics.n_queries[:, None]
        return list(tasks), (weights / weights.sum(axis=0)).T @ self._cell_score

    def choose(
        self,
        vectors: Vectors,
        texts: list[str],
        *,
        alphas: Array,
        models: Iterable[str] | None = None,
        scoring: str | None = None,
        exchange: str | None = None,
    ) -> tuple[NDArray[np.intp], list[str]]:
        """Choices at many alphas, without decisions.

        Expectations are computed once. A model whose cost is unknown is chosen at alpha 1 only.

        Args:
            vectors: (n, d) unit vectors of the queries.
            texts: The n queries.
            alphas: (s,) alphas.
            models: Ids of the candidates. Default: all models of the artifact.
            scoring: ``utility``, ``reference`` or ``simple``. Default: the artifact's.
            exchange: ``even`` or ``fixed``. Default: the artifact's.

        Returns:
            (s, n) positions in the candidates, and the candidates.

        Raises:
            NoCandidateError: If no model is left.
            ValueError: If ``scoring`` or ``exchange`` is unknown.
        """
        options = _NO_OPTIONS.override({"scoring": scoring, "exchange": exchange})
        scorer, exchange = self._scorers[self._resolve_scoring(options)], self._resolve_exchange(options)
        candidates = self._eligibility.select(models).require_any()
        weights, _, _ = self._clusters.weigh(vectors, scorer.top_k, scorer.beta)
        costs = self._costs.expect(vectors, texts, weights).costs
        scores, typical = candidates.take(weights @ self._cell_score), self._typicality(weights)
        batch = Expectations(vectors, candidates.columns, scores, candidates.take(self._comparable(costs)))
        chosen = []
        for alpha in alphas.tolist():
            rates = self.exchange_rates.rate(alpha, candidates.columns, exchange) * typical
            chosen.append(scorer.choice(batch, scorer.totals(batch, alpha, rates)))
        return np.stack(chosen), list(candidates.names)

    def prepare(
        self,
        options: RouteOptions | None,
        *,
        models: Iterable[str] | None = None,
        require: Require = (),
        performance_weight: float | None = None,
        cost_sensitivity: float | None = None,
        output_tokens: float | None = None,
        input_tokens: float | None = None,
        extra_cost: Mapping[str, float] | None = None,
        **overrides: Unpack[RouteOverrides],
    ) -> Request:
        """Check what a caller gives, and fill in what the artifact's settings say, for `decide`.

        Args:
            options: How to choose.
            models: As for `route`, as are all other arguments.
            require: As for `route`.
            performance_weight: As for `route`.
            cost_sensitivity: As for `route`.
            output_tokens: As for `route`.
            input_tokens: As for `route`.
            extra_cost: As for `route`.
            **overrides: As for `route`.

        Raises:
            NoCandidateError: If no model is left.
            TypeError: If there is no option of that name.
            ValueError: If an option is out of its range.
        """
        options = (_NO_OPTIONS if options is None else options).override(overrides)
        scoring = self._resolve_scoring(options)
        scorer = self._scorers[scoring].with_weights(performance_weight, cost_sensitivity)
        if options.min_quality is not None and scoring != "utility":
            raise ValueError(f"min_quality needs the scoring utility, not {scoring}")
        alpha, limited = options.alpha, options.min_quality is not None or options.max_cost is not None
        if alpha is None:
            alpha = self.artifact.manifest.settings.alpha if options.max_cost is None else 1.0
        candidates = self._eligibility.select(models, options.exclude_models, require)
        if not self._costs.all_known and (limited or scorer.requires_known_cost(alpha)):
            every = candidates is self._eligibility.default
            candidates = self._default_of_known_cost if every else candidates.known_cost(self._costs.known)
        candidates = candidates.require_any()
        return Request(
            scorer,
            scoring,
            alpha,
            self.exchange_rates.rate(alpha, candidates.columns, self._resolve_exchange(options)),
            options.min_quality,
            options.max_cost,
            options.max_seconds,
            options.exploration,
            candidates,
            output_tokens,
            input_tokens,
            extra_cost,
        )

    def _resolve_scoring(self, options: RouteOptions) -> str:
        return options.scoring or self.artifact.manifest.settings.scoring

    def _resolve_exchange(self, options: RouteOptions) -> str:
        return options.exchange or self.artifact.manifest.settings.exchange

    def decide(self, vectors: Vectors, texts: list[str], request: Request) -> Iterator[Decision]:
        """Choose for each of n queries; decisions are made as they are iterated.

        Args:
            vectors: (n, d) unit vectors of the queries, as from `embed`.
            texts: The n queries.
            request: What the choice is made with, as from `prepare`.

        Raises:
            NoCandidateError: If ``max_cost`` or ``max_seconds`` leaves no model for a query.
        """
        for start in range(0, len(texts), _BATCH):
            rows = slice(start, start + _BATCH)
            queries, expected = self._expect(vectors[rows], texts[rows], request)
            if request.max_cost is None and request.max_seconds is None:
                yield from self._choose(queries, expected, request, request.candidates)
                continue
            for position in range(len(expected.costs)):
                candidates, one = self._within_limits(expected.row(position), request)
                yield from self._choose(queries.row(position), one, request, candidates)

    def _expect(self, vectors: Vectors, texts: list[str], request: Request) -> tuple[_Queries, _Expected]:
        """What is expected of the candidates: a few are computed alone, many are taken from all."""
        scorer, candidates = request.scorer, request.candidates
        few = len(candidates.names) <= _FEW and not candidates.every
        tables = self._tables_of(candidates) if few else self._tables
        weights, similarity, outside = self._clusters.weigh(vectors, scorer.top_k, scorer.beta)
        usage = tables.costs.expect(vectors, texts, weights, request.output_tokens, request.input_tokens)
        errors, nearby, task_shares = tables.evidence_of(weights)
        queries = _Queries(vectors, weights, similarity, outside, usage.input_tokens, task_shares)
        seconds = tables.speeds.expect(usage.output_tokens)
        expected = _Expected(weights @ tables.scores, usage.costs, seconds, errors, nearby)
        if not few:
            expected = _Expected._make(map(candidates.take, expected))
        if request.extra_cost:
            extra = [request.extra_cost.get(name, 0.0) for name in candidates.names]
            expected = expected._replace(costs=np.maximum(expected.costs + extra, 0.0))
        return queries, expected

    def _tables_of(self, candidates: Candidates) -> Tables:
        """The tables of a few candidates, which are kept."""
        key = candidates.columns.tobytes()
        tables = self._tables_of_few.get(key)
        if tables is None:
            if len(self._tables_of_few) >= _MOST_TABLES:
                self._tables_of_few.clear()
            tables = self._tables_of_few[key] = self._tables.of_columns(candidates.columns)
        return tables

    def _within_limits(self, expected: _Expected, request: Request) -> tuple[Candidates, _Expected]:
        """The candidates within the limits of one query, and what is expected of them.

        Raises:
            NoCandidateError: If there are none.
        """
        candidates = request.candidates
        if request.max_seconds is not None:
            left = candidates.within_seconds(expected.seconds[0], request.max_seconds)
            candidates, expected = left, expected.only(candidates, left)
        if request.max_cost is not None:
            left = candidates.within_cost(expected.costs[0], request.max_cost)
            candidates, expected = left, expected.only(candidates, left)
        return candidates.require_any(), expected

    def _choose(
        self, queries: _Queries, expected: _Expected, request: Request, candidates: Candidates
    ) -> Iterator[Decision]:
        """Rank the candidates."""
        scorer, weights = request.scorer, queries.weights
        batch = Expectations(queries.vectors, candidates.columns, expected.scores, self._comparable(expected.costs))
        rates = request.rate * self._typicality(weights)
        if request.min_quality is None:
            totals = scorer.totals(batch, request.alpha, rates)
        else:
            totals = shortfalls(batch.scores, request.min_quality)
        chosen = scorer.choice(batch, totals).tolist()
        manifest = self.artifact.manifest
        names, excluded = list(candidates.names), dict(candidates.ineligible)
        overall_scores = candidates.take(self._overall_score)
        rows = zip(
            chosen,
            expected.scores,
            expected.costs,
            expected.seconds,
            totals,
            [rates] * len(weights) if isinstance(rates, float) else rates[:, 0].tolist(),
            queries.input_tokens.tolist(),
            queries.similarity.tolist(),
            queries.outside.tolist(),
            weights,
            expected.errors,
            expected.nearby,
            queries.task_shares,
            strict=True,
        )
        for row in rows:
            (position, scores, row_costs, row_seconds, row_totals, rate, tokens, nearest, ood, *found) = row
            row_weights, errors, nearby, task_shares = found
            propensity = 1.0
            if request.exploration:
                ranking = scorer.ranking(row_totals, scores, infinite_if_unknown(row_costs))
                if request.min_quality is not None:
                    ranking = ranking[row_totals[ranking] == 0]  # those that do not fall short
                position, propensity = self._explore(ranking, request.exploration)
            yield Decision(
                model=names[position],
                alpha=request.alpha,
                min_quality=request.min_quality,
                scoring=request.scoring,
                candidates=names,
                scores=scores,
                costs=row_costs,
                seconds=row_seconds,
                totals=row_totals,
                exchange_rate=rate,
                input_tokens=tokens,
                similarity=nearest,
                out_of_distribution=ood,
                excluded=excluded,
                propensity=propensity,
                evidence=Evidence(
                    row_weights,
                    errors,
                    overall_scores,
                    task_shares,
                    self._basis,
                    candidates.columns,
                    nearby,
                    manifest.ood_threshold,
                ),
            )

    def _comparable(self, costs: Array) -> Array:
        """Costs of which unknown ones are infinite, if there are any."""
        return costs if self._costs.all_known else infinite_if_unknown(costs)

    def _typicality(self, weights: Array) -> float | Array:
        """(n, 1) by how much the typical cost of each query is above that of the artifact; 1 if costs are not relative.

        Args:
            weights: (n, k) weights of the clusters.
        """
        if self._log_typical is None:
            return 1.0
        return np.exp(weights @ self._log_typical)[:, None] / self.artifact.manifest.typical_cost

    def mixtures(self, texts: Sequence[str] = ()) -> tuple[Array, Array]:
        """The clusters that queries are near to, and what answers to them are expected to cost.

        Args:
            texts: The n queries. Default: the artifact's probes, or one query in each of its clusters if it has none.

        Returns:
            (n, k) weights of the clusters, and (n, m) US dollars, infinite if unknown; if costs are relative, as they
            would be for a query of typical cost.
        """
        if not texts:
            weights, costs, _ = self._probe_mixtures()
        else:
            vectors, scorer = self.embed(list(texts)), self._scorers["utility"]
            weights, _, _ = self._clusters.weigh(vectors, scorer.top_k, scorer.beta)
            costs = self._costs.expect(vectors, list(texts), weights).costs
        return weights, infinite_if_unknown(costs) / self._typicality(weights)

    def _expect_probes(self) -> Probes:
        """What is expected of all models for the artifact's probes, or for its clusters if it has none."""
        weights, costs, shares = self._probe_mixtures()
        return Probes(weights @ self._cell_score, infinite_if_unknown(costs) / self._typicality(weights), shares)

    def _probe_mixtures(self) -> tuple[Array, Array, Array]:
        """(p, k) weights of the clusters, (p, m) US dollars and (p,) shares of the probes."""
        probes, cluster_cost = self.artifact.probes, self._costs.cluster_cost
        if probes is None:
            weights, shares = np.eye(len(cluster_cost)), self._clusters.shares
            recorded = self._costs.mean_cost
            costs = np.where(np.isnan(recorded), cluster_cost, recorded)
        else:
            scorer, (vectors, features, characters) = self._scorers["utility"], split_encoded(probes)
            weights, _, _ = self._clusters.weigh(vectors, scorer.top_k, scorer.beta)
            costs = self._costs.expect_encoded(vectors, features, characters, weights).costs
            shares = np.full(len(probes), 1 / len(probes))
        return weights, costs, shares

    def _explore(self, ranking: NDArray[np.intp], exploration: float) -> tuple[int, float]:
        """The choice, drawn anew with probability ``exploration``, and its probability."""
        place = 0
        if self.random.random() < exploration:
            place = self.random.randrange(len(ranking))
        propensity = exploration / len(ranking) + (1 - exploration if place == 0 else 0.0)
        return int(ranking[place]), propensity


def _matching_embedder(artifact: Artifact, embedder: Embedder | None) -> Embedder:
    """The embedder, made now if there is none.

    Raises:
        ArtifactError: If it is not the one that the artifact was trained with.
    """
    trained = artifact.manifest.embedder
    embedder = make_embedder(trained.id) if embedder is None else embedder
    if embedder.fingerprint != trained.fingerprint or embedder.dimension != trained.dimension:
        raise ArtifactError(
            f"the artifact was trained with embedder {trained.id} ({trained.dimension} dimensions, fingerprint "
            f"{trained.fingerprint[:12]}), not with {embedder.id} ({embedder.dimension}, {embedder.fingerprint[:12]}): "
            "pass the same embedder or train again"
        )
    return embedder
