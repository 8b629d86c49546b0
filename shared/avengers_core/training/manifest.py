"""The manifest of a trained artifact, with the figures that are read from the training records."""

from __future__ import annotations

import datetime
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._version import __version__
from ..embedders.base import Embedder
from ..records.partitions import Partitions, quantile
from ..records.schema import TOKEN_KINDS
from ..records.table import CONTENT_KEYS, RecordTable
from ..routing.manifest import FORMAT, SCHEMA_VERSION, EmbedderInfo, Manifest, ModelInfo, Settings, SourceInfo
from ..routing.statistics import INPUT, ClusterStatistics, divide
from .clustering import max_similarity, nearest_of_source

__all__ = ["artifact_timestamp", "build_manifest"]

#: Share of the training queries that count as out of distribution: those least similar to any cluster.
OOD_QUANTILE = 0.01
#: Characters per input token if the records do not tell.
DEFAULT_CHARACTERS_PER_TOKEN = 4.0
#: Characters per input token below which prompts held more than the query.
MIN_CHARACTERS_PER_TOKEN = 2.5
#: US dollars that an answer costs if the records do not tell.
DEFAULT_TYPICAL_COST = 1e-3


def build_manifest(
    partitions: Partitions,
    *,
    settings: Settings,
    embedder: Embedder,
    models: list[ModelInfo],
    datasets: list[str],
    centers: NDArray[np.float32],
    statistics: ClusterStatistics,
    sources: list[SourceInfo],
    cluster_sources: list[int],
) -> Manifest:
    """The manifest of an artifact.

    Args:
        partitions: The encoded training records.
        settings: The settings of the estimator.
        embedder: The embedder that encoded the records.
        models: The models, in the order of the records' columns.
        datasets: Names of the datasets.
        centers: (k, d) centres of the clusters.
        statistics: Sums by cluster.
        sources: Who graded the records; empty if they were clustered together.
        cluster_sources: Position in ``sources`` of each cluster's source.
    """
    threshold = quantile(partitions, max_similarity, (embedder.dimension, centers), OOD_QUANTILE, (-1.0, 1.0))
    ratio = quantile(partitions, _token_ratios, (), 0.5, (0.0, 20.0))
    hold_more = ratio is not None and ratio < MIN_CHARACTERS_PER_TOKEN
    return Manifest(
        format=FORMAT,
        schema_version=SCHEMA_VERSION,
        library_version=__version__,
        created=artifact_timestamp(),
        settings=settings,
        embedder=EmbedderInfo(embedder.id, embedder.dimension, embedder.fingerprint),
        models=models,
        datasets=datasets,
        token_kinds=[kind.removesuffix("_tokens") for kind in TOKEN_KINDS],
        n_records=sum(partitions.map(len)),
        batches=[sum(partitions.map(RecordTable.content_key)) % CONTENT_KEYS],
        characters_per_token=_characters_per_token(ratio),
        prompt_overhead=_prompt_overhead(partitions, centers, cluster_sources) if hold_more else [],
        typical_cost=_typical_cost(statistics, sources, cluster_sources),
        ood_threshold=threshold or 0.0,
        sources=sources,
        cluster_sources=cluster_sources,
    )


def artifact_timestamp() -> str:
    """The time in ISO 8601 (UTC): now, or the environment's SOURCE_DATE_EPOCH, so that builds can be reproduced."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    utc = datetime.timezone.utc
    moment = datetime.datetime.fromtimestamp(int(epoch), utc) if epoch else datetime.datetime.now(utc)
    return moment.isoformat(timespec="seconds")


def _typical_cost(statistics: ClusterStatistics, sources: list[SourceInfo], cluster_sources: list[int]) -> float:
    """The mean over models of a call's mean cost in US dollars; of an agent run's if there are no calls."""
    calls = np.array([sources[code].kind == "call" for code in cluster_sources] or [True])
    rows = calls if calls.any() and len(sources) else slice(None)
    mean_cost = divide(statistics.cost_sum[rows].sum(axis=0), statistics.n_with_cost[rows].sum(axis=0))
    return float(np.nanmean(mean_cost)) if np.nansum(mean_cost) > 0 else DEFAULT_TYPICAL_COST


def _characters_per_token(median: float | None) -> float:
    """Median characters of a query per recorded input token, or the default if prompts hold more than the query."""
    return median if median is not None and MIN_CHARACTERS_PER_TOKEN <= median <= 6 else DEFAULT_CHARACTERS_PER_TOKEN


def _prompt_overhead(partitions: Partitions, centers: NDArray[np.float32], cluster_sources: list[int]) -> list[float]:
    """Input tokens of a call beside those of the query, by cluster."""
    sums = partitions.reduce(_tokens_beside, centers, cluster_sources)
    return np.maximum(sums["tokens"] / np.maximum(sums["n"], 1), 0).tolist()  # type: ignore[no-any-return]


def _tokens_beside(table: RecordTable, centers: NDArray[np.float32], cluster_sources: list[int]) -> dict[str, Any]:
    """Sums over the calls of each cluster: input tokens that are not the query's, and calls with known tokens."""
    assert table.encoded is not None
    beside = _call_input(table) - table.encoded[:, -1:] / DEFAULT_CHARACTERS_PER_TOKEN
    known = np.isfinite(beside)
    labels = nearest_of_source(table, centers, cluster_sources)
    by_query = {"tokens": np.where(known, beside, 0).sum(axis=1), "n": known.sum(axis=1).astype(np.float64)}
    return {name: np.bincount(labels, values, len(centers)) for name, values in by_query.items()}


def _call_input(table: RecordTable) -> NDArray[Any]:
    """(n, m) input tokens of single calls, NaN if unknown."""
    return np.where(table.agent_run, np.nan, table.tokens[:, :, INPUT]).astype(np.float64)


def _token_ratios(table: RecordTable) -> NDArray[Any]:
    assert table.encoded is not None
    input_tokens = _call_input(table)
    ratio = table.encoded[:, -1:] / np.where(input_tokens > 0, input_tokens, np.nan)
    return np.asarray(ratio[np.isfinite(ratio)])
