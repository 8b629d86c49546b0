"""Beliefs from a router: what its artifact knows of some models, and what its choices for queries depend on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..routing.router import Router
from ..routing.score_model import observations
from ..routing.statistics import Array
from .beliefs import Beliefs, Cells, Targets

__all__ = ["LEVEL_SCORES", "beliefs_of_bank", "beliefs_of_clusters"]

#: Mean score that questions of a level are thought to bring before any was asked, and how far a kind may be off.
LEVEL_SCORES = {1: 0.93, 2: 0.85, 3: 0.7, 4: 0.5, 5: 0.25}
KIND_DEVIATION = 0.15

#: By how much the score on a kind of questions rises with a standard deviation of general ability.
ABILITY_LOADING = 0.12

#: Standard deviation of what is special about a model on a kind of questions.
EFFECT_DEVIATION = 0.12

#: Share of the targets that the bank's own kinds are; the rest are queries.
_BANK_SHARE = 0.5

#: Least dollars that a point of score is worth, so that alpha 0 has finite utilities.
_LEAST_RATE = 1e-9


class _Queries(NamedTuple):
    """What choices for ``n`` queries depend on, for ``m`` models with ``w`` factors and effects.

    Attributes:
        design: (n, m, w) how expected scores depend on the factors and effects.
        score: (n, m) expected scores if those are 0.
        fee: (n, m) expected costs in points of score.
        mixture: (n, k) weights of the clusters.
    """

    design: Array
    score: Array
    fee: Array
    mixture: Array


def beliefs_of_bank(
    router: Router, models: Sequence[str], cost: Array, alpha: float, queries: Sequence[str] = ()
) -> Beliefs:
    """Beliefs about models before any question of the bank was asked.

    The unknowns are each model's factors and effects, an effect of each kind of questions on each model, and the
    difficulty of each kind, which all models share.

    Args:
        router: Knows the models.
        models: Ids of ``m`` models.
        cost: (m, j) US dollars of a question of each of ``j`` kinds.
        alpha: The alpha that choices are made with.
        queries: What users ask. Default: the router's probes.
    """
    m, kinds = cost.shape
    evidence, factors = router.score_model.evidence, router.score_model.factors
    columns = [router.models.index(name) for name in models]
    width = factors.mean.shape[1]
    own = width + kinds  # unknowns of one model
    size = m * own + kinds
    mean, covariance = np.zeros(size), np.zeros((size, size))
    for place, column in enumerate(columns):
        start = place * own
        mean[start : start + width] = factors.mean[column]
        covariance[start : start + width, start : start + width] = factors.covariance[column]
        special = np.arange(start + width, start + own)
        covariance[special, special] = EFFECT_DEVIATION**2
    shared = np.arange(m * own, size)
    covariance[shared, shared] = KIND_DEVIATION**2
    ability = evidence.loadings[: len(router.artifact.centers)].mean(axis=0)
    ability = ABILITY_LOADING * ability / max(float(np.linalg.norm(ability)), 1e-9)
    design, every = np.zeros((m, kinds, size)), np.arange(kinds)
    for place in range(m):
        start = place * own
        design[place, :, start : start + evidence.n_factors] = ability
        design[place, every, start + width + every] = 1.0
        design[place, every, m * own + every] = 1.0
    usual = float(np.mean(list(LEVEL_SCORES.values())))
    # A typical model, of mean ability, scores what is usual.
    typical = float(factors.mean[:, : evidence.n_factors].mean(axis=0) @ ability)
    cells = Cells(design, np.full((m, kinds), usual - typical), cost)
    asked = _queries(router, columns, alpha, queries)
    n = len(asked.score)
    targets = np.zeros((n + kinds, m, size))
    for place in range(m):
        targets[:n, place, place * own : place * own + width] = asked.design[:, place]
        targets[n:, place] = design[place]
    offset = np.vstack([asked.score - asked.fee, np.tile(usual - typical - asked.fee.mean(axis=0), (kinds, 1))])
    weight = np.concatenate([np.full(n, (1 - _BANK_SHARE) / n), np.full(kinds, _BANK_SHARE / kinds)])
    return Beliefs(mean, covariance, cells, Targets(targets, offset, weight))


def beliefs_of_clusters(router: Router, model: str, models: Sequence[str], alpha: float) -> Beliefs:
    """Beliefs about one model that is to be asked questions like those that the router was trained with.

    The unknowns are its factors and effects, and a residual in each cluster. The other models stay as they are.

    Args:
        router: Knows the models.
        model: Id of the model.
        models: Ids of the candidates, the model among them.
        alpha: The alpha that choices are made with.
    """
    evidence, factors, k = router.score_model.evidence, router.score_model.factors, len(router.artifact.centers)
    column = router.models.index(model)
    columns = [router.models.index(name) for name in models]
    width = factors.mean.shape[1]
    mean, covariance = np.zeros(width + k), np.zeros((width + k, width + k))
    mean[:width], covariance[:width, :width] = factors.mean[column], factors.covariance[column]
    residuals = np.arange(width, width + k)
    covariance[residuals, residuals] = evidence.residual_variance[:k]
    rows = np.hstack([evidence.design[:k], np.eye(k)])
    cells = Cells(rows[None], evidence.row_mean[None, :k], np.zeros((1, k)))
    asked, place = _queries(router, columns, alpha, ()), columns.index(column)
    mixture = asked.mixture
    offset = asked.score - asked.fee + np.einsum("nmw,mw->nm", asked.design, factors.mean[columns])
    offset[:, place] = mixture @ evidence.row_mean[:k] - asked.fee[:, place]
    design = np.zeros((len(offset), len(columns), width + k))
    design[:, place] = mixture @ rows
    return Beliefs(mean, covariance, cells, Targets(design, offset, np.full(len(offset), 1 / len(offset))))


def _queries(router: Router, columns: Sequence[int], alpha: float, texts: Sequence[str]) -> _Queries:
    """What choices for queries depend on.

    Args:
        router: Knows the models.
        columns: Columns of ``m`` models.
        alpha: The alpha that choices are made with.
        texts: The queries. Default: the router's probes.
    """
    mixture, costs = router.mixtures(texts)
    k, model = len(router.artifact.centers), router.score_model
    evidence, observed = model.evidence, observations(router.artifact)
    variance = evidence.residual_variance[:k, None]
    seen, noise = observed.seen[:k, columns], observed.noise[:k, columns]
    trust = np.where(seen, variance / (variance + np.where(seen, noise, 1.0)), 0.0)
    design = (1 - trust)[:, :, None] * evidence.design[:k, None, :]
    now = model.expected[:, columns] - np.einsum("kmw,mw->km", design, model.factors.mean[columns])
    rate = router.exchange_rates.rate(alpha, np.array(columns, dtype=np.intp), "even")
    own = costs[:, columns]
    dearest = own[np.isfinite(own)].max(initial=0.0)
    fee = np.where(np.isfinite(own), own, dearest) / max(rate, _LEAST_RATE)
    return _Queries(np.einsum("nk,kmw->nmw", mixture, design), mixture @ now, fee, mixture)
