"""What is known of every model in every cluster, from answers, published scores and the models that are like it.

One low-rank model holds all evidence. Rows ``r`` are clusters and published benchmarks, columns ``m`` are models::

    score[r, m] = mean[r] + loadings[r] . z[m] + effect[group of r, m] + residual[r, m]

The factors ``z`` say what kind of a model it is, ``effect`` is what one grader makes of it, whatever the question, and
both are normal. It is fitted by expectation maximization with missing cells (probabilistic principal components;
Tipping and Bishop, 1999). A model that comes later is one more column, whose factors follow in closed form.

The constants were chosen on splits of the benchmark records; see ``benchmarks/RESULTS.md``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .statistics import Array

__all__ = ["N_FACTORS", "EvidenceModel", "Factors", "KnownRows", "Observations", "Prior", "fit_evidence"]

#: Number of factors, q.
N_FACTORS = 3

#: Steps of expectation maximization.
FIT_STEPS = 60

#: Standard deviation that a row's scores have over the models before there is evidence. Raising it spreads the models.
LOADING_SCALE = 0.12

#: Weight of that assumption, in models. Raising it makes the rows' loadings more alike.
LOADING_PRIOR = 2.0

#: Lowest and highest variance of a cell that neither factors nor effects explain. Raising the lowest makes a cell
#: follow its own answers sooner.
RESIDUAL_VARIANCE = (0.005, 0.05)

#: Lowest and highest variance of what one grader makes of a model, and where the fit begins.
EFFECT_VARIANCE = (0.001, 0.05)
_EFFECT_START = 0.002

#: Models without any effect that are added when a group's variance is estimated.
_EFFECT_PRIOR_MODELS = 2.0

#: Variance added to that of a cell's mean when its row's mean is first guessed.
_FIRST_GUESS_VARIANCE = 0.01

#: Where the fit begins: variance of the residuals, and standard deviation of the loadings of all factors but the first.
_RESIDUAL_START, _LOADING_START = 0.004, 0.02


@dataclass(frozen=True)
class Observations:
    """Means of what was observed: answers in a cluster, or a published score.

    Attributes:
        mean: (r, m) mean scores, NaN where nothing was observed.
        noise: (r, m) variances of these means; any number where nothing was observed.
    """

    mean: Array
    noise: Array

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        """(r, m) whether something was observed."""
        return np.isfinite(self.mean)

    def weights(self, variance: Array) -> Array:
        """(r, m) inverse variances of the observations, 0 where there is none.

        Args:
            variance: (r,) variance of the cells.
        """
        seen = self.seen
        return np.where(seen, 1 / (variance[:, None] + np.where(seen, self.noise, 1.0)), 0.0)


@dataclass(frozen=True)
class Prior:
    """What is assumed of the models' factors before there is evidence: ``z[m] ~ N(mean[m], variance[m] * I)``.

    Attributes:
        mean: (m, q) means.
        variance: (m,) variances.
    """

    mean: Array
    variance: Array

    @classmethod
    def standard(cls, n_models: int, n_factors: int = N_FACTORS) -> Prior:
        """``N(0, I)`` for each model."""
        return cls(np.zeros((n_models, n_factors)), np.ones(n_models))


@dataclass(frozen=True)
class Factors:
    """Posterior of each model's factors and effects.

    Attributes:
        mean: (m, q + g) means of q factors and of the effects of g groups, the latter in standard deviations.
        covariance: (m, q + g, q + g).
    """

    mean: Array
    covariance: Array


@dataclass(frozen=True)
class EvidenceModel:
    """The rows' parameters, from which every model's expected scores follow.

    Attributes:
        row_mean: (r,) scores of the average model.
        loadings: (r, q) how a row's score rises with each factor.
        group: (r,) the group, of g, whose effect a row shares: who graded it.
        effect_deviation: (g,) standard deviations of the groups' effects.
        residual_variance: (r,) variance of a cell that neither explains.
    """

    row_mean: Array
    loadings: Array
    group: NDArray[np.intp]
    effect_deviation: Array
    residual_variance: Array

    @property
    def n_factors(self) -> int:
        """The number of factors, q."""
        return int(self.loadings.shape[1])

    @cached_property
    def design(self) -> Array:
        """(r, q + g) loadings of factors and effects."""
        effects = np.zeros((len(self.row_mean), len(self.effect_deviation)))
        effects[np.arange(len(effects)), self.group] = self.effect_deviation[self.group]
        return np.hstack([self.loadings, effects])

    def factors(self, observed: Observations, prior: Prior | None = None) -> Factors:
        """The posterior of the factors of each model, in closed form.

        Args:
            observed: (r, m) what was observed.
            prior: What is assumed before. Default: the standard one.
        """
        design, m = self.design, observed.mean.shape[1]
        prior = prior or Prior.standard(m, self.n_factors)
        q, width = self.n_factors, design.shape[1]
        weights = observed.weights(self.residual_variance)
        products = (design[:, :, None] * design[:, None, :]).reshape(len(design), -1)
        precision = (weights.T @ products).reshape(m, width, width) + np.eye(width)
        diagonal = np.arange(q)
        precision[:, diagonal, diagonal] += (1 / prior.variance - 1)[:, None]
        deviation = np.where(observed.seen, observed.mean - self.row_mean[:, None], 0.0)
        moment = (weights * deviation).T @ design
        moment[:, :q] += prior.mean / prior.variance[:, None]
        covariance = np.asarray(np.linalg.inv(precision), dtype=np.float64)
        return Factors(np.einsum("mij,mj->mi", covariance, moment), covariance)

    def cells(self, observed: Observations, factors: Factors) -> tuple[Array, Array]:
        """The expected score of each model in each row, whether it was observed or not.

        A cell that was observed follows its own mean by ``v / (v + noise)``, ``v`` being the residual variance.

        Args:
            observed: (r, m) what was observed.
            factors: The posterior that follows from it.

        Returns:
            (r, m) expected scores and (r, m) their standard deviations.
        """
        design, seen = self.design, observed.seen
        fitted = self.row_mean[:, None] + design @ factors.mean.T
        variance = self.residual_variance[:, None]
        trust = np.where(seen, variance / (variance + np.where(seen, observed.noise, 1.0)), 0.0)
        expected = fitted + trust * np.where(seen, observed.mean - fitted, 0.0)
        spread = np.maximum(_quadratic(design, factors.covariance), 0.0)
        return expected, np.sqrt((1 - trust) ** 2 * spread + (1 - trust) * variance)


@dataclass(frozen=True)
class KnownRows:
    """Parameters that a fit does not change.

    Attributes:
        model: The parameters.
        rows: Positions of its rows among those of the fit.
        groups: Positions of its groups among those of the fit.
    """

    model: EvidenceModel
    rows: NDArray[np.intp]
    groups: NDArray[np.intp]

    def put(self, model: EvidenceModel) -> EvidenceModel:
        """``model`` with these parameters in their places."""

        def placed(values: Array, positions: NDArray[np.intp], kept: Array) -> Array:
            values = values.copy()
            values[positions] = kept
            return values

        return EvidenceModel(
            placed(model.row_mean, self.rows, self.model.row_mean),
            placed(model.loadings, self.rows, self.model.loadings),
            model.group,
            placed(model.effect_deviation, self.groups, self.model.effect_deviation),
            placed(model.residual_variance, self.rows, self.model.residual_variance),
        )


def fit_evidence(
    observed: Observations,
    group: NDArray[np.intp],
    n_factors: int = N_FACTORS,
    known: KnownRows | None = None,
) -> EvidenceModel:
    """Fit the rows' parameters by expectation maximization. The result does not depend on chance.

    Args:
        observed: (r, m) what was observed. A row without any observation has the mean 0.5.
        group: (r,) the group of each row, from 0: rows of one grader have an effect and a residual variance in common.
        n_factors: Number of factors, q.
        known: Rows and groups whose parameters are kept as they are.
    """
    rows = len(observed.mean)
    mean = np.where(observed.seen, observed.mean, 0.0)
    weights = observed.weights(np.full(rows, _FIRST_GUESS_VARIANCE))
    total = weights.sum(axis=1)
    first = np.divide((weights * mean).sum(axis=1), total, out=np.full(rows, 0.5), where=total > 0)
    chance = np.random.default_rng(0).normal(0, _LOADING_START, (rows, n_factors - 1))
    model = EvidenceModel(
        first,
        np.column_stack([np.full(rows, LOADING_SCALE), chance]),
        group,
        np.full(int(group.max(initial=0)) + 1, np.sqrt(_EFFECT_START)),
        np.full(rows, _RESIDUAL_START),
    )
    for _ in range(FIT_STEPS):
        before = model if known is None else known.put(model)
        after = _step(before, observed, mean)
        model = after if known is None else known.put(after)
    return model


def _step(model: EvidenceModel, observed: Observations, mean: Array) -> EvidenceModel:
    """One step of expectation maximization; ``mean`` is that of the observations with 0 for NaN."""
    factors = model.factors(observed)
    moments = factors.covariance + factors.mean[:, :, None] * factors.mean[:, None, :]
    row_mean, loadings = _regress_rows(model, observed, mean, factors, moments)
    moved = replace(model, row_mean=row_mean, loadings=loadings)
    return replace(
        moved,
        effect_deviation=_effect_deviation(model, observed, moments),
        residual_variance=_residual_variance(moved, observed, factors),
    )


def _regress_rows(
    model: EvidenceModel, observed: Observations, mean: Array, factors: Factors, moments: Array
) -> tuple[Array, Array]:
    """Means and loadings of the rows: a ridge regression of each row on the models' factors."""
    rows, q = model.loadings.shape
    effects = model.design[:, q:]
    weights = observed.weights(model.residual_variance)
    ridge = LOADING_PRIOR / LOADING_SCALE**2
    center = np.zeros(q)
    center[0] = model.loadings[:, 0].mean()
    a, b = np.zeros((rows, q + 1, q + 1)), np.zeros((rows, q + 1))
    a[:, 0, 0] = np.maximum(weights.sum(axis=1), 1e-9)
    a[:, 0, 1:] = a[:, 1:, 0] = weights @ factors.mean[:, :q]
    a[:, 1:, 1:] = np.tensordot(weights, moments[:, :q, :q], axes=1) + ridge * np.eye(q)
    b[:, 0] = (weights * mean).sum(axis=1) - (weights @ factors.mean[:, q:] * effects).sum(axis=1)
    shared = np.tensordot(weights, moments[:, :q, q:], axes=1)
    b[:, 1:] = (weights * mean) @ factors.mean[:, :q] - np.einsum("rqg,rg->rq", shared, effects) + ridge * center
    solution = np.linalg.solve(a, b[:, :, None])[:, :, 0]
    unseen = ~observed.seen.any(axis=1)
    return np.where(unseen, model.row_mean, solution[:, 0]), solution[:, 1:]


def _effect_deviation(model: EvidenceModel, observed: Observations, moments: Array) -> Array:
    """(g,) standard deviations of the groups' effects, from the models that were observed in each group."""
    q = model.n_factors
    members = np.eye(len(model.effect_deviation))[model.group]
    graded = (members.T @ observed.seen) > 0
    squares = np.einsum("mgg->gm", moments[:, q:, q:])
    share = ((graded * squares).sum(axis=1) + _EFFECT_PRIOR_MODELS) / (graded.sum(axis=1) + _EFFECT_PRIOR_MODELS)
    return np.asarray(np.sqrt(np.clip(model.effect_deviation**2 * share, *EFFECT_VARIANCE)))


def _residual_variance(model: EvidenceModel, observed: Observations, factors: Factors) -> Array:
    """(r,) variances of the residuals, the same for all rows of a group."""
    seen = observed.seen
    noise = np.where(seen, observed.noise, 0.0)
    fitted = model.row_mean[:, None] + model.design @ factors.mean.T
    rest = np.where(seen, observed.mean - fitted, 0.0) ** 2 + _quadratic(model.design, factors.covariance) - noise
    weights = observed.weights(model.residual_variance) ** 2
    members = np.eye(len(model.effect_deviation))[model.group]
    total = members.T @ weights.sum(axis=1)
    variance = (members.T @ (weights * rest).sum(axis=1)) / np.maximum(total, 1e-12)
    return np.asarray(np.clip(variance, *RESIDUAL_VARIANCE)[model.group])


def _quadratic(design: Array, covariance: Array) -> Array:
    """(r, m) ``design[r] . covariance[m] . design[r]``."""
    products = (design[:, :, None] * design[:, None, :]).reshape(len(design), -1)
    return np.asarray(products @ covariance.reshape(len(covariance), -1).T)
