"""What each model is expected to score in each cluster of an artifact, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .evidence import Observations, fit_evidence
from .manifest import Artifact, BenchmarkInfo
from .statistics import Array, divide

__all__ = ["ScoreModel", "observations", "published_deviations"]

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

    def __init__(self, artifact: Artifact) -> None:
        k = len(artifact.centers)
        observed = observations(artifact)
        self.evidence = artifact.evidence or fit_evidence(observed, artifact.row_groups)
        self.factors = self.evidence.factors(observed, artifact.factor_prior(self.evidence.n_factors))
        expected, deviation = self.evidence.cells(observed, self.factors)
        self.expected, self.deviation = np.clip(expected[:k], 0.0, 1.0), deviation[:k]


def observations(artifact: Artifact) -> Observations:
    """(k + b, m) mean scores of the clusters' answers and of the published benchmarks, with their variances.

    Args:
        artifact: A trained artifact with k clusters, b benchmarks and m models.
    """
    published = artifact.published_sums
    deviations = published_deviations(artifact.manifest.benchmarks)
    n = artifact.statistics.n_answers
    mean = artifact.statistics.mean_score()
    noise = np.divide(artifact.score_variances[:, None], n, out=np.ones_like(n), where=n > 0)
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
