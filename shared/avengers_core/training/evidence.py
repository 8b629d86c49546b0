"""The evidence model of a trained artifact: published scores beside its clusters, and the parameters of both."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from ..catalog.catalog import Catalog
from ..catalog.types import ModelId
from ..routing.evidence import KnownRows, Observations, Prior, fit_evidence
from ..routing.manifest import Artifact
from ..routing.published import linked_benchmarks, published_sums, scores_of
from ..routing.score_model import observations

__all__ = ["resolved_models", "with_evidence"]

#: Standard deviation, at least, of a model's standing in all published benchmarks about its standing in the records.
#: Few models tell it, and many benchmarks that agree would else be taken for certainty.
PUBLISHED_EFFECT_DEVIATION = 0.08


def resolved_models(models: Sequence[str], catalog: Catalog) -> dict[str, ModelId]:
    """The models that the catalogue knows, by the name that they have here.

    Args:
        models: Names of models.
        catalog: Knows spellings.
    """
    found = {name: catalog.find(name) for name in models}
    return {name: model for name, model in found.items() if model is not None}


def with_evidence(artifact: Artifact, known: Mapping[str, ModelId], catalog: Catalog) -> Artifact:
    """The artifact with published scores of its models and with a fitted evidence model.

    The clusters' parameters are fitted to the records alone. Those of a benchmark follow from the models that have both
    records and a score in it, so that models without records, which may be much better, do not shift its scale.

    Args:
        artifact: An artifact without an evidence model.
        known: Its models that the catalogue knows.
        catalog: Knows published scores.
    """
    scores = [
        scores_of(catalog.published_scores(known[name].id), known[name]) if name in known else []
        for name in artifact.models
    ]
    benchmarks = linked_benchmarks(catalog.published_scores() if known else (), scores)
    manifest = msgspec.structs.replace(artifact.manifest, benchmarks=benchmarks)
    artifact = dataclasses.replace(artifact, manifest=manifest, published=published_sums(benchmarks, scores))
    observed, k = observations(artifact), len(artifact.centers)
    evidence = fit_evidence(Observations(observed.mean[:k], observed.noise[:k]), artifact.cluster_sources)
    if benchmarks:
        kept = KnownRows(evidence, np.arange(k), np.arange(len(artifact.sources)))
        evidence = fit_evidence(observed, artifact.row_groups, evidence.n_factors, kept)
        deviation = evidence.effect_deviation.copy()
        deviation[-1] = max(deviation[-1], PUBLISHED_EFFECT_DEVIATION)
        evidence = dataclasses.replace(evidence, effect_deviation=deviation)
    manifest = msgspec.structs.replace(manifest, n_factors=evidence.n_factors)
    prior = Prior.standard(len(artifact.models), evidence.n_factors)
    return dataclasses.replace(
        artifact, manifest=manifest, evidence=evidence, prior=prior, score_variance=artifact.score_variances
    )
