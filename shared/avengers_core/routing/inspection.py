"""What an artifact contains, as plain values: settings, models, clusters, datasets. It contains no query text."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from .manifest import Artifact
from .speeds import SpeedModel
from .statistics import OUTPUT, divide

__all__ = ["describe"]

#: How many of the best models of a cluster are listed.
TOP_MODELS = 5


def describe(artifact: Artifact) -> dict[str, Any]:
    """Settings, models and clusters of an artifact, for JSON.

    Args:
        artifact: A trained artifact.

    Returns:
        Plain values. Costs are in US dollars per answer, prices in US dollars per million tokens, speeds in seconds;
        None is unknown.
    """
    manifest, statistics = artifact.manifest, artifact.statistics
    answers = statistics.n_answers.sum(axis=0)
    scores = divide(statistics.score_sum.sum(axis=0), answers)
    costs = divide(statistics.cost_sum.sum(axis=0), statistics.n_with_cost.sum(axis=0))
    speeds = SpeedModel.from_artifact(artifact)
    models = [
        {
            "model": model.id,
            "answers": int(answers[column]),
            "mean_score": _number(scores[column]),
            "mean_cost": _number(costs[column]),
            "speed": None if (speed := speeds.of(column)) is None else speed._asdict(),
            "price": msgspec.to_builtins(model.price),
            "price_id": model.price_id,
            "capabilities": model.capabilities,
        }
        for column, model in enumerate(manifest.models)
    ]
    return {
        "library_version": manifest.library_version,
        "created": manifest.created,
        "settings": msgspec.to_builtins(manifest.settings),
        "embedder": msgspec.to_builtins(manifest.embedder),
        "queries": manifest.n_records,
        "datasets": manifest.datasets,
        "sources": msgspec.to_builtins(manifest.sources),
        "benchmarks": msgspec.to_builtins(manifest.benchmarks),
        "card": manifest.card,
        "figures": manifest.figures,
        "models": models,
        "clusters": [_cluster(artifact, cluster) for cluster in range(len(artifact.centers))],
    }


def _cluster(artifact: Artifact, cluster: int) -> dict[str, Any]:
    statistics, names = artifact.statistics, artifact.models
    n, size = statistics.n_answers[cluster], statistics.n_queries[cluster]
    scores, costs = statistics.mean_score()[cluster], statistics.mean_cost()[cluster]
    variance = divide(statistics.score_squares[cluster], n) - scores**2
    usage = statistics.n_with_usage[cluster].sum()
    top = [c for c in np.argsort(-np.nan_to_num(scores, nan=-1.0), kind="stable") if n[c] > 0][:TOP_MODELS]
    datasets = statistics.dataset_n[cluster]
    return {
        "cluster": cluster,
        "task": artifact.sources[artifact.cluster_sources[cluster]].label if len(artifact.sources) > 1 else "",
        "queries": int(size),
        "mean_score": _number(statistics.score_sum[cluster].sum() / n.sum()) if n.sum() else None,
        "mean_output_tokens": float(statistics.tokens[cluster, :, OUTPUT].sum() / usage) if usage else None,
        "datasets": {
            artifact.manifest.datasets[code]: float(datasets[code] / size)
            for code in np.argsort(-datasets, kind="stable")
            if datasets[code] > 0
        },
        "top_models": [
            {
                "model": names[column],
                "answers": int(n[column]),
                "mean_score": float(scores[column]),
                "standard_error": float(np.sqrt(max(variance[column], 0.0) / n[column])),
                "mean_cost": _number(costs[column]),
            }
            for column in top
        ],
    }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
