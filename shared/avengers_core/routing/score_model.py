"""What each model is expected to score in each cluster of an artifact, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .evidence import EvidenceModel, Factors, Observations, Prior, fit_evidence
from .manifest import Artifact, BenchmarkInfo, PublishedSums
from .statistics import Array, ClusterStatistics, divide

__all__ = ["ScoreModel", "observations", "published_deviations", "score_variance"]

#: Lowest variance of a single score about its cell's mean. Raising it makes few answers that agree count for less.
MIN_SCORE_VARIANCE = 0.01

#: Standard deviations of a published score about what a model would score in the router's own records: those that the
#: model's maker measured, and those of others.
SELF_REPORTED_DEVIATION, INDEPENDENT_DEVIATION = 0.1, 0.05

#: Answers of its own at which a model's published scores count half. They are measured on other questions, so that own
#: answers should soon outweigh them.
PUBLISHED_HALF_LIFE_ANSWERS = 50.0

#: How `avengers_core.catalog.PublishedScore.harness` names the maker.
_SELF = "self"


class ScoreModel:
    """Expected scores of an artifact's models.

    Args:
        artifact: A trained artifact. If it has no evidence model, one is fitted.

    Attributes:
        evidence: The parameters of the rows.
        factors: The posterior of the models' factors.
        expected: (k, m) expected scores in [0, 1].
        deviation: (k, m) their standard deviations.
    """

    evidence: EvidenceModel
    factors: Factors
    expected: Array
    deviation: Array

    def __init__(self, artifact: Artifact) -> None:
        k = len(artifact.centers)
        observed = observations(artifact)
        self.evidence = artifact.evidence or fit_evidence(observed, artifact.row_groups)
        self.prior = artifact.prior or Prior.standard(len(artifact.models), self.evidence.n_factors)
        self.factors = self.evidence.factors(observed, self.prior)
        expected, deviation = self.evidence.cells(observed, self.factors)
        self.expected, self.deviation = np.clip(expected[:k], 0.0, 1.0), deviation[:k]


def observations(artifact: Artifact) -> Observations:
    """(k + b, m) mean scores of the clusters' answers and of the published benchmarks, with their variances.

    Args:
        artifact: A trained artifact with k clusters, b benchmarks and m models.
    """
    published = artifact.published or PublishedSums.none(len(artifact.models))
    deviations = published_deviations(artifact.manifest.benchmarks)
    n = artifact.statistics.n_answers
    variance = score_variance(artifact.statistics) if artifact.score_variance is None else artifact.score_variance
    mean = artifact.statistics.mean_score()
    noise = np.divide(variance[:, None], n, out=np.ones_like(n), where=n > 0)
    published_noise = deviations[:, None] ** 2 * (1 + n.sum(axis=0) / PUBLISHED_HALF_LIFE_ANSWERS)
    return Observations(
        np.vstack([mean, divide(published.total, published.count)]), np.vstack([noise, published_noise])
    )


def published_deviations(benchmarks: Sequence[BenchmarkInfo]) -> Array:
    """(b,) standard deviations of published scores about what a model would score in the router's own records.

    Args:
        benchmarks: The b benchmarks.
    """
    return np.array(
        [SELF_REPORTED_DEVIATION if one.harness == _SELF else INDEPENDENT_DEVIATION for one in benchmarks],
        dtype=np.float64,
    )


def score_variance(statistics: ClusterStatistics) -> Array:
    """(k,) variance of a single score in each cluster, over all models.

    Args:
        statistics: Sums over k clusters.
    """
    answers = statistics.n_answers.sum(axis=1)
    variance = divide(statistics.score_squares.sum(axis=1), answers)
    variance -= divide(statistics.score_sum.sum(axis=1), answers) ** 2
    return np.maximum(np.nan_to_num(variance), MIN_SCORE_VARIANCE)
