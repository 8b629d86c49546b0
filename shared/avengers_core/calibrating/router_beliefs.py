"""Beliefs from a router: what its artifact knows of some models, and what its choices for queries depend on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..routing.evidence import EFFECT_VARIANCE, RESIDUAL_VARIANCE
from ..routing.router import Router
from ..routing.score_model import observations
from ..routing.statistics import Array
from .beliefs import Beliefs, Cells, Targets

__all__ = ["BankRows", "beliefs_of_bank", "beliefs_of_clusters"]

#: Mean score that a level's questions are thought to bring before any was asked, and how far a kind may be off.
LEVEL_SCORES = {1: 0.93, 2: 0.85, 3: 0.7, 4: 0.5, 5: 0.25}
KIND_DEVIATION = 0.15

#: By how much a score rises with a standard deviation of general ability.
ABILITY_LOADING = 0.15

#: Share of what sets models apart that a level shows: where nearly all or nearly none succeed, they look alike.
LEVEL_SENSITIVITY = {1: 0.25, 2: 0.5, 3: 0.85, 4: 1.0, 5: 0.75}

#: Standard deviations of what is special about a model on a kind of questions, and on one of its levels.
EFFECT_DEVIATION = float(np.sqrt(EFFECT_VARIANCE[1])) / 2
CELL_DEVIATION = float(np.sqrt(RESIDUAL_VARIANCE[0]))

#: Share of the targets that the bank's own kinds are; the rest are queries.
_BANK_SHARE = 0.5

#: Least dollars that a point of score is worth, so that alpha 0 has finite utilities.
_LEAST_RATE = 1e-9


class BankRows(NamedTuple):
    """The kinds and levels of the bank that are asked.

    Attributes:
        kinds: Names of kinds.
        levels: Levels of difficulty.
    """

    kinds: Sequence[str]
    levels: Sequence[int]

    @property
    def cells(self) -> list[tuple[str, int]]:
        """Kind and level of each cell, kind by kind."""
        return [(kind, level) for kind in self.kinds for level in self.levels]


class _Queries(NamedTuple):
    """What choices for ``n`` queries depend on, for ``m`` models with ``w`` factors and effects.

    Attributes:
        design: (n, m, w) how expected scores depend on the factors and effects.
        score: (n, m) expected scores if those are 0.
        fee: (n, m) expected costs in points of score.
    """

    design: Array
    score: Array
    fee: Array


def beliefs_of_bank(
    router: Router, models: Sequence[str], rows: BankRows, cost: Array, alpha: float, queries: Sequence[str] = ()
) -> Beliefs:
    """Beliefs about models before any question of the bank was asked.

    The unknowns are each model's factors and effects, an effect of each kind on each model, a residual of each cell,
    and the difficulty of each cell, which all models share.

    Args:
        router: Knows the models.
        models: Ids of ``m`` models.
        rows: The kinds and levels, ``j`` cells in all.
        cost: (m, j) US dollars of a question.
        alpha: The alpha that choices are made with.
        queries: What users ask. Default: the router's probes.
    """
    m, kinds, levels = len(models), len(rows.kinds), len(rows.levels)
    j = kinds * levels
    evidence, factors = router.score_model.evidence, router.score_model.factors
    columns = [router.models.index(name) for name in models]
    width = factors.mean.shape[1]
    own = width + kinds + j  # unknowns of one model
    size = m * own + j
    mean, covariance = np.zeros(size), np.zeros((size, size))
    special = np.concatenate([np.full(kinds, EFFECT_DEVIATION**2), np.full(j, CELL_DEVIATION**2)])
    for place, column in enumerate(columns):
        start = place * own
        mean[start : start + width] = factors.mean[column]
        covariance[start : start + width, start : start + width] = factors.covariance[column]
        rest = np.arange(start + width, start + own)
        covariance[rest, rest] = special
    shared = np.arange(m * own, size)
    covariance[shared, shared] = KIND_DEVIATION**2
    kind, level = np.repeat(np.arange(kinds), levels), np.tile(np.arange(levels), kinds)
    ability = evidence.loadings[: len(router.artifact.centers)].mean(axis=0)
    ability = ability / max(float(np.linalg.norm(ability)), 1e-9)
    sensitivity = np.array([LEVEL_SENSITIVITY[one] for one in rows.levels])[level]
    usual = np.array([LEVEL_SCORES[one] for one in rows.levels])[level]
    design, every = np.zeros((m, j, size)), np.arange(j)
    for place in range(m):
        start = place * own
        design[place, :, start : start + evidence.n_factors] = ABILITY_LOADING * sensitivity[:, None] * ability
        design[place, every, start + width + kind] = sensitivity
        design[place, every, start + width + kinds + every] = sensitivity
        design[place, every, m * own + every] = 1.0
    asked = _queries(router, columns, alpha, queries)
    n = len(asked.score)
    targets = np.zeros((n + kinds, m, size))
    for place in range(m):
        targets[:n, place, place * own : place * own + width] = asked.design[:, place]
        for one in range(kinds):
            targets[n + one, place] = design[place, kind == one].mean(axis=0)
    offset = np.vstack([asked.score - asked.fee, np.tile(usual.mean() - asked.fee.mean(axis=0), (kinds, 1))])
    weight = np.concatenate([np.full(n, (1 - _BANK_SHARE) / n), np.full(kinds, _BANK_SHARE / kinds)])
    cells = Cells(design, np.tile(usual, (m, 1)), cost)
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
    mixture, _ = router.mixtures()
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
        texts: The queries. None: the router's probes.
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
    return _Queries(np.einsum("nk,kmw->nmw", mixture, design), mixture @ now, fee)
