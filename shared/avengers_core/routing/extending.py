"""Models that an artifact was not trained with, as further columns: nothing is fitted again.

What is expected of such a model follows from its published scores and from the models that it is like: the model
itself at another effort, its predecessor, or models of its price.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..catalog.catalog import Catalog, default_catalog
from ..catalog.types import ModelId
from ..pricing.types import Price
from .evidence import EvidenceModel, Observations, Prior
from .manifest import Artifact, ModelInfo, PublishedSums
from .published import published_sums, scores_of
from .score_model import ScoreModel, published_deviations
from .statistics import Array, divide

__all__ = ["select_models", "with_models"]

#: What a model's first factor gains over its predecessor's, and the variance of the difference.
GENERATION_GAIN, GENERATION_VARIANCE = 0.35, 0.5

#: What a model's first factor gains at an effort, against the model itself if it reasons by default, and the variance
#: of the difference.
EFFORT_GAIN = {"none": -0.4, "minimal": -0.3, "low": -0.15, "high": 0.2, "xhigh": 0.25, "max": 0.25, "thinking": 0.1}
EFFORT_VARIANCE = 0.1

#: Output tokens at an effort, against the default effort, where the catalogue has not measured them.
EFFORT_LENGTH = {"none": 0.3, "minimal": 0.35, "low": 0.55, "high": 1.8, "xhigh": 2.5, "max": 2.5, "thinking": 1.0}

#: What a model is assumed to be like if it has neither relatives nor a price that says anything.
AVERAGE_MODEL = "the average model"

#: Predecessors that are followed, at most.
MAX_GENERATIONS = 4

#: Models with a price that the relation of price and factors needs, and the ridge of its regression.
MIN_PRICED_MODELS, PRICE_RIDGE = 8, 3.0

#: Variance of the factors about what the price suggests, at least: a price says little, as newer models are cheaper.
PRICE_VARIANCE = 1.0


def with_models(
    artifact: Artifact,
    names: Iterable[str] | Mapping[str, str],
    catalog: Catalog | None = None,
    *,
    strict: bool = True,
    score_model: ScoreModel | None = None,
) -> Artifact:
    """The artifact with a column for each of the models that it does not have.

    A name that means a model of the artifact in another spelling gets that model's column.

    Args:
        artifact: A trained artifact; it is not changed.
        names: Any spellings that the catalogue resolves, such as ``gpt-5.2@low`` or ``openrouter/z-ai/glm-5``; or a
            mapping from the names of the columns to such spellings.
        catalog: Knows models. Default: the one in the package.
        strict: Whether a name that the catalogue does not know is an error; else its column rests on nothing.
        score_model: The artifact's, if it is at hand.

    Raises:
        UnknownModelError: If the catalogue does not know a name; the message has near misses.
    """
    spelled = names if isinstance(names, Mapping) else {name: name for name in names}
    new = {name: spelling for name, spelling in spelled.items() if name not in artifact.models}
    if not new:
        return artifact
    relatives = _Relatives(artifact, catalog or default_catalog(), score_model or ScoreModel(artifact))
    columns = [relatives.column(name, spelling, strict) for name, spelling in new.items()]
    return _joined(artifact, relatives.evidence, columns)


def select_models(artifact: Artifact, names: Sequence[str]) -> Artifact:
    """The artifact with the columns of these models alone, in this order.

    Args:
        artifact: A trained artifact; it is not changed.
        names: Ids of models that it has.
    """
    if list(names) == artifact.models:
        return artifact
    evidence = artifact.evidence or ScoreModel(artifact).evidence
    positions = np.array([artifact.models.index(name) for name in names], dtype=np.intp)
    published, prior = artifact.published_sums, artifact.factor_prior(evidence.n_factors)
    infos = [artifact.manifest.models[position] for position in positions]
    return dataclasses.replace(
        artifact,
        manifest=msgspec.structs.replace(artifact.manifest, models=infos, n_factors=evidence.n_factors),
        statistics=artifact.statistics.map_columns(lambda values: values[:, positions]),
        arrays={name: np.ascontiguousarray(values[:, positions]) for name, values in artifact.arrays.items()},
        evidence=evidence,
        published=PublishedSums(published.count[:, positions], published.total[:, positions]),
        prior=Prior(prior.mean[positions], prior.variance[positions]),
        score_variance=artifact.score_variances,
    )


@dataclass(frozen=True)
class _Column:
    """A new model's part of an artifact's arrays.

    Attributes:
        info: What the manifest says of it.
        like: Column of the artifact's model that it is, in another spelling; None if it has no records.
        published: (b,) numbers and sums of its published scores.
        prior_mean: (q,) what is assumed of its factors.
        prior_variance: How sure that is.
        lengths: Its part of the length arrays; zeros: unknown.
    """

    info: ModelInfo
    like: int | None
    published: tuple[Array, Array]
    prior_mean: Array
    prior_variance: float
    lengths: dict[str, NDArray[Any]]


@dataclass(frozen=True)
class _Posterior:
    """Factors of a model: (q,) means, their mean variance, and the name of the model."""

    mean: Array
    variance: float
    name: str


class _Relatives:
    """Finds what a new model is like among an artifact's models."""

    def __init__(self, artifact: Artifact, catalog: Catalog, score_model: ScoreModel) -> None:
        self._artifact, self._catalog, self._scores = artifact, catalog, score_model
        self.evidence = self._scores.evidence
        self._columns: dict[str, int] = {}
        for column, name in enumerate(artifact.models):
            if (model := catalog.find(name)) is not None:
                self._columns.setdefault(str(self._plain(model)), column)

    def column(self, name: str, spelling: str, strict: bool) -> _Column:
        """The column of a model, named ``name``.

        Raises:
            UnknownModelError: If it is not known, and ``strict`` is True.
        """
        spelled = self._catalog.resolve(spelling) if strict else self._catalog.find(spelling)
        if spelled is None:
            return self._nothing(name)
        column = self._of_model(name, self._plain(spelled))
        if not spelled.host or (price := self._catalog.price(spelled)) is None:
            return column
        info = msgspec.structs.replace(column.info, price=price, price_id=self._catalog.price_id(spelled))
        return dataclasses.replace(column, info=info)  # at what its host takes

    def _of_model(self, name: str, model: ModelId) -> _Column:
        if (like := self._columns.get(str(model))) is not None:
            return self._same(name, like)
        published = self._published(model)
        assumed = self._assumed(model, MAX_GENERATIONS)
        info = ModelInfo(
            name,
            self._catalog.price_id(model),
            self._catalog.price(model),
            self._catalog.capabilities(model),
            assumed.name if assumed else AVERAGE_MODEL,
        )
        if assumed is None:
            assumed = _Posterior(np.zeros(self.evidence.n_factors), 1.0, "")
        return _Column(info, None, published, assumed.mean, assumed.variance, self._lengths(model))

    def _plain(self, model: ModelId) -> ModelId:
        """The model without its effort if that is what it does anyhow, and without its host."""
        effort = "" if model.effort == self._catalog.entry(model).default_effort else model.effort
        return ModelId(model.id, effort)

    def _nothing(self, name: str) -> _Column:
        b, q = len(self._artifact.manifest.benchmarks), self.evidence.n_factors
        return _Column(ModelInfo(name), None, (np.zeros(b), np.zeros(b)), np.zeros(q), 1.0, self._no_lengths())

    def _same(self, name: str, like: int) -> _Column:
        artifact = self._artifact
        published, prior = artifact.published_sums, artifact.factor_prior(self.evidence.n_factors)
        return _Column(
            msgspec.structs.replace(artifact.manifest.models[like], id=name),
            like,
            (published.count[:, like], published.total[:, like]),
            prior.mean[like],
            float(prior.variance[like]),
            {key: values[:, like] for key, values in artifact.arrays.items()},
        )

    def _published(self, model: ModelId) -> tuple[Array, Array]:
        listed = scores_of(self._catalog.published_scores(model.id), model)
        sums = published_sums(self._artifact.manifest.benchmarks, [listed])
        return sums.count[:, 0], sums.total[:, 0]

    def _assumed(self, model: ModelId, generations: int) -> _Posterior | None:
        """What is assumed of a model's factors before there is evidence, and from what."""
        gain = np.zeros(self.evidence.n_factors)
        if model.effort:
            base = self._posterior(ModelId(model.id), generations)
            gain[0] = EFFORT_GAIN.get(model.effort, 0.0) - EFFORT_GAIN.get(self._idle_effort(model), 0.0)
            return None if base is None else _Posterior(base.mean + gain, base.variance + EFFORT_VARIANCE, base.name)
        before = self._catalog.predecessor(model) if generations else None
        if before is not None and (found := self._posterior(ModelId(before), generations - 1)) is not None:
            gain[0] = GENERATION_GAIN
            return _Posterior(found.mean + gain, found.variance + GENERATION_VARIANCE, before)
        price = self._catalog.price(model)
        return None if price is None else self._by_price(price)

    def _posterior(self, model: ModelId, generations: int) -> _Posterior | None:
        """The factors of a model, which may have records, or published scores, or nothing but relatives."""
        q = self.evidence.n_factors
        if (column := self._columns.get(str(model))) is not None:
            factors = self._scores.factors
            variance = float(np.trace(factors.covariance[column, :q, :q]) / q)
            return _Posterior(factors.mean[column, :q], variance, model.id)
        count, total = self._published(model)
        assumed = self._assumed(model, generations)
        if not count.any():
            return assumed
        k = len(self._artifact.centers)
        mean = np.concatenate([np.full(k, np.nan), divide(total, count)])
        noise = np.concatenate([np.ones(k), published_deviations(self._artifact.manifest.benchmarks) ** 2])
        prior = Prior.standard(1, q)
        if assumed is not None:
            prior = Prior(assumed.mean[None], np.array([assumed.variance]))
        found = self.evidence.factors(Observations(mean[:, None], noise[:, None]), prior)
        return _Posterior(found.mean[0, :q], float(np.trace(found.covariance[0, :q, :q]) / q), model.id)

    def _by_price(self, price: Price) -> _Posterior | None:
        if self._price_relation is None or not price.output:
            return None
        slope, variance = self._price_relation
        return _Posterior(np.array([1.0, _log_price(price)]) @ slope, variance, "price")

    @cached_property
    def _price_relation(self) -> tuple[Array, float] | None:
        """Factors by log price: (2, q) intercepts and slopes of a ridge regression, and the variance about it."""
        q = self.evidence.n_factors
        priced = [
            (_log_price(info.price), self._scores.factors.mean[column, :q])
            for column, info in enumerate(self._artifact.manifest.models)
            if info.price is not None and info.price.output
        ]
        if len(priced) < MIN_PRICED_MODELS:
            return None
        x = np.array([[1.0, logarithm] for logarithm, _ in priced])
        y = np.array([factors for _, factors in priced])
        center = x[:, 1].mean()
        x[:, 1] -= center
        slope = np.linalg.solve(x.T @ x + np.diag([0.0, PRICE_RIDGE]), x.T @ y)
        variance = float(np.mean((y - x @ slope) ** 2))
        slope[0] -= center * slope[1]
        return slope, max(variance, PRICE_VARIANCE)

    def _no_lengths(self) -> dict[str, NDArray[Any]]:
        return {key: np.zeros(len(values), values.dtype) for key, values in self._artifact.arrays.items()}

    def _lengths(self, model: ModelId) -> dict[str, NDArray[Any]]:
        """Lengths like those of the model at its default effort or of its predecessor, else those of all models."""
        arrays = self._artifact.arrays
        measured = np.asarray(arrays["length_weights"].any(axis=0))
        base: str | None = model.id
        for _ in range(MAX_GENERATIONS):
            column = None if base is None else self._columns.get(base)
            if column is not None and measured[column]:
                lengths = {key: values[:, column].copy() for key, values in arrays.items()}
                break
            base = self._catalog.predecessor(base) if base is not None else None
        else:
            if not measured.any():
                return self._no_lengths()
            lengths = {key: values[:, measured].mean(axis=1) for key, values in arrays.items()}
        shift = np.log(self._effort_length(model))
        lengths["length_weights"][0] += shift
        lengths["length_range"] = lengths["length_range"] + np.float32(shift)
        return lengths

    def _effort_length(self, model: ModelId) -> float:
        """Output tokens at the model's effort, against its default effort."""
        if not model.effort:
            return 1.0
        measured = self._catalog.output_tokens(model.id)
        usual = measured.get(self._catalog.entry(model).default_effort) or measured.get("")
        if usual and model.effort in measured:
            return measured[model.effort] / usual
        return EFFORT_LENGTH.get(model.effort, 1.0) / EFFORT_LENGTH.get(self._idle_effort(model), 1.0)

    def _idle_effort(self, model: ModelId) -> str:
        """``none`` if the model does not reason unless it is told to: any effort is more then. Empty otherwise."""
        return "none" if self._catalog.entry(model).default_effort == "none" else ""


def _log_price(price: Price) -> float:
    return float(np.log(max(price.input + price.output, 1e-3)))


def _joined(artifact: Artifact, evidence: EvidenceModel, columns: Sequence[_Column]) -> Artifact:
    """The artifact with these columns behind its own."""
    like = [column.like for column in columns]

    def widened(values: Array) -> Array:
        parts = [values[:, [one]] if one is not None else np.zeros_like(values[:, :1]) for one in like]
        return np.concatenate([values, *parts], axis=1)

    published, prior = artifact.published_sums, artifact.factor_prior(evidence.n_factors)
    counts, totals = zip(*(column.published for column in columns), strict=True)
    return dataclasses.replace(
        artifact,
        manifest=msgspec.structs.replace(
            artifact.manifest,
            models=[*artifact.manifest.models, *(column.info for column in columns)],
            n_factors=evidence.n_factors,
        ),
        statistics=artifact.statistics.map_columns(widened),
        arrays={
            name: np.column_stack([values, *(column.lengths[name] for column in columns)]).astype(values.dtype)
            for name, values in artifact.arrays.items()
        },
        evidence=evidence,
        published=PublishedSums(
            np.column_stack([published.count, *counts]), np.column_stack([published.total, *totals])
        ),
        prior=Prior(
            np.vstack([prior.mean, *(column.prior_mean for column in columns)]),
            np.concatenate([prior.variance, [column.prior_variance for column in columns]]),
        ),
        score_variance=artifact.score_variances,
    )
