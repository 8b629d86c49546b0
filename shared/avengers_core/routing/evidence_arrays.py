"""The evidence model of an artifact as the arrays of its files."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .evidence import EvidenceModel, Prior
from .manifest import Artifact, Manifest, PublishedSums

__all__ = ["evidence_arrays", "evidence_shapes", "impossible_evidence", "with_evidence_arrays"]

#: Bound of the parameters' absolute values: scores are in [0, 1], factors have unit variance.
_MAX_PARAMETER = 1e3


def evidence_shapes(manifest: Manifest) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays of an evidence model; none if the artifact has none.

    Args:
        manifest: The manifest of an artifact.
    """
    q = manifest.n_factors
    if not q:
        return {}
    b, m = len(manifest.benchmarks), len(manifest.models)
    rows = manifest.settings.n_clusters + b
    groups = max(len(manifest.sources), 1) + (b > 0)
    return {
        "row_mean": (rows,),
        "row_loadings": (rows, q),
        "residual_variance": (rows,),
        "effect_deviation": (groups,),
        "published_n": (b, m),
        "published_sum": (b, m),
        "prior_mean": (m, q),
        "prior_variance": (m,),
        "score_variance": (manifest.settings.n_clusters,),
    }


def evidence_arrays(artifact: Artifact) -> dict[str, NDArray[Any]]:
    """The arrays of an artifact's evidence model, by name; none if it has none.

    Args:
        artifact: A trained artifact.
    """
    evidence = artifact.evidence
    if evidence is None:
        return {}
    published, prior = artifact.published_sums, artifact.factor_prior(evidence.n_factors)
    return {
        "row_mean": evidence.row_mean,
        "row_loadings": evidence.loadings,
        "residual_variance": evidence.residual_variance,
        "effect_deviation": evidence.effect_deviation,
        "published_n": published.count,
        "published_sum": published.total,
        "prior_mean": prior.mean,
        "prior_variance": prior.variance,
        "score_variance": artifact.score_variances,
    }


def with_evidence_arrays(artifact: Artifact, arrays: dict[str, NDArray[Any]]) -> Artifact:
    """The artifact with the evidence model of these arrays.

    Args:
        artifact: An artifact without one.
        arrays: As from `evidence_arrays`.
    """
    if not arrays:
        return artifact
    evidence = EvidenceModel(
        arrays["row_mean"],
        arrays["row_loadings"],
        artifact.row_groups,
        arrays["effect_deviation"],
        arrays["residual_variance"],
    )
    return dataclasses.replace(
        artifact,
        evidence=evidence,
        published=PublishedSums(arrays["published_n"], arrays["published_sum"]),
        prior=Prior(arrays["prior_mean"], arrays["prior_variance"]),
        score_variance=arrays["score_variance"],
    )


def impossible_evidence(arrays: dict[str, NDArray[Any]]) -> str | None:
    """The first array with a value that no training writes.

    Args:
        arrays: As from `evidence_arrays`.
    """
    if "row_mean" not in arrays:
        return None
    possible = {name: (np.abs(arrays[name]) < _MAX_PARAMETER).all() for name in ("row_mean", "row_loadings")}
    possible["prior_mean"] = (np.abs(arrays["prior_mean"]) < _MAX_PARAMETER).all()
    for name in ("residual_variance", "prior_variance", "score_variance"):
        possible[name] = ((arrays[name] > 1e-6) & (arrays[name] < _MAX_PARAMETER)).all()
    possible["effect_deviation"] = ((arrays["effect_deviation"] >= 0) & (arrays["effect_deviation"] < 10)).all()
    possible["published_n"] = (arrays["published_n"] >= 0).all()
    return next((name for name, fine in possible.items() if not fine), None)
