"""What is in a table of records: answers, coverage, mean scores and costs, by dataset and by model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._utils.results import Result
from .table import RecordTable

__all__ = ["DatasetSummary", "ModelSummary", "RecordsSummary", "dataset_weights", "summarize_records"]


@dataclass(frozen=True)
class DatasetSummary:
    """The records of one dataset.

    Attributes:
        dataset: Its name.
        queries: Number of records.
        coverage: Share of the (query, model) pairs that have a score.
        mean_score: Mean over these pairs.
    """

    dataset: str
    queries: int
    coverage: float
    mean_score: float


@dataclass(frozen=True)
class ModelSummary:
    """The answers of one model.

    Attributes:
        model: Its id.
        answers: Number of answers with a score.
        coverage: Share of the queries that it answered.
        mean_score: Mean over its answers.
        mean_score_over_datasets: Mean over datasets of its mean score there.
        cost_usd: US dollars of all its answers whose cost is known. None if no cost is known.
        cost_known: Share of its answers whose cost is known.
        tokens_known: Share of the queries for which its input and output tokens are known.
    """

    model: str
    answers: int
    coverage: float
    mean_score: float
    mean_score_over_datasets: float
    cost_usd: float | None
    cost_known: float
    tokens_known: float


@dataclass(frozen=True)
class RecordsSummary(Result):
    """What is in a table of records.

    Attributes:
        queries: Number of records.
        datasets: One entry per dataset, sorted by name.
        models: One entry per model, sorted by id.
    """

    queries: int
    datasets: list[DatasetSummary]
    models: list[ModelSummary]


def dataset_weights(table: RecordTable) -> NDArray[np.float64]:
    """(n,) weights that turn a sum over queries into the mean over datasets of each dataset's mean."""
    counts = np.bincount(table.dataset, minlength=len(table.datasets))
    return np.asarray(1.0 / (counts[table.dataset] * np.count_nonzero(counts)), dtype=np.float64)


def summarize_records(table: RecordTable) -> RecordsSummary:
    """Count answers, and average scores and costs, by dataset and by model."""
    known = ~np.isnan(table.scores)
    datasets = []
    for code, name in enumerate(table.datasets):
        rows = table.dataset == code
        mean = float(np.nanmean(table.scores[rows], dtype=np.float64))
        datasets.append(DatasetSummary(name, int(rows.sum()), float(known[rows].mean()), mean))
    return RecordsSummary(len(table), datasets, [_model(table, column) for column in range(len(table.models))])


def _model(table: RecordTable, column: int) -> ModelSummary:
    rows, priced = ~np.isnan(table.scores[:, column]), ~np.isnan(table.cost[:, column])
    part = table.rows(rows)
    scores = part.scores[:, column].astype(np.float64)
    return ModelSummary(
        model=table.models[column],
        answers=int(rows.sum()),
        coverage=float(rows.mean()),
        mean_score=float(scores.mean()),
        mean_score_over_datasets=float(scores @ dataset_weights(part)),
        cost_usd=float(table.cost[priced, column].sum()) if priced.any() else None,
        cost_known=float((rows & priced).sum() / rows.sum()),
        tokens_known=float(np.isfinite(part.tokens[:, column, :2]).all(axis=1).mean()),
    )
