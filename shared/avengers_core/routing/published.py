"""Published scores as evidence: which benchmarks count, on which scale, and what a model scored in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ..catalog.types import ModelId, PublishedScore
from .manifest import BenchmarkInfo, PublishedSums
from .statistics import Array

__all__ = ["linked_benchmarks", "published_sums", "scores_of"]

#: Models with records that a benchmark needs, so that its scores can be compared with theirs.
MIN_LINKED_MODELS = 5

#: Harness of scores whose page does not say who measured: they are not used.
_UNKNOWN_HARNESS = "secondary"

#: Scores above this are no shares of right answers, but Elo ratings and indices.
_LARGEST_SHARE = 1.5

#: Mean and standard deviation that Elo ratings and indices are brought to.
_MIDDLE, _SPREAD = 0.5, 0.15


def linked_benchmarks(
    everything: Iterable[PublishedScore], scores: Sequence[Sequence[PublishedScore]]
) -> list[BenchmarkInfo]:
    """The benchmarks in which enough models with records have scores, sorted by name and harness, with their scales.

    A benchmark by two harnesses is two benchmarks: they differ by several points of score.

    Args:
        everything: Published scores of all models, which tell the scale of Elo ratings and indices.
        scores: Published scores of each model with records.
    """
    linked = Counter(key for listed in scores for key in {(score.benchmark, score.harness) for score in listed})
    values: dict[tuple[str, str], list[float]] = {}
    for score in everything:
        values.setdefault((score.benchmark, score.harness), []).append(score.score)
    return [
        BenchmarkInfo(name, harness, *_scale(np.array(values[name, harness])))
        for (name, harness), models in sorted(linked.items())
        if models >= MIN_LINKED_MODELS and harness != _UNKNOWN_HARNESS
    ]


def _scale(values: Array) -> tuple[float, float]:
    """Offset and scale that bring a benchmark's scores to the scale of records."""
    deviation = float(values.std())
    if values.max() <= _LARGEST_SHARE or deviation == 0:
        return 0.0, 1.0
    scale = _SPREAD / deviation
    return _MIDDLE - scale * float(values.mean()), scale


def scores_of(scores: Sequence[PublishedScore], model: ModelId) -> list[PublishedScore]:
    """Those of a model's published scores that say something of it at its effort.

    Args:
        scores: All published scores of the model.
        model: The model. Without an effort, scores of all efforts count.
    """
    return [score for score in scores if not model.effort or score.effort in ("", model.effort)]


def published_sums(benchmarks: Sequence[BenchmarkInfo], scores: Sequence[Sequence[PublishedScore]]) -> PublishedSums:
    """Sums of the published scores of m models in b benchmarks.

    Args:
        benchmarks: The b benchmarks.
        scores: Published scores of each model.
    """
    rows: Mapping[tuple[str, str], int] = {(one.name, one.harness): row for row, one in enumerate(benchmarks)}
    count, total = np.zeros((2, len(benchmarks), len(scores)))
    for column, listed in enumerate(scores):
        for score in listed:
            row = rows.get((score.benchmark, score.harness))
            if row is not None:
                count[row, column] += 1
                total[row, column] += benchmarks[row].offset + benchmarks[row].scale * score.score
    return PublishedSums(count, total)
