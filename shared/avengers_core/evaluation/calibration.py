"""How far a router's own numbers can be trusted: calibration, confidence, and datasets that it has never seen."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._utils.results import Result
from ..errors import RecordError
from ..records.table import RecordTable
from ..routing.decision import Decision
from ..routing.router import Router
from ..routing.statistics import Array
from ..training.estimator import RouterEstimator
from .curves import ALPHAS, area_under_curve, cost_range, measure, singles
from .evaluate import Progress, answer_patterns, router_choices
from .panels import router_panels

__all__ = ["Calibration", "CalibrationBin", "UnseenDataset", "auroc", "calibrate", "leave_one_out", "route_table"]


@dataclass(frozen=True)
class CalibrationBin:
    """Queries with similar expected scores.

    Attributes:
        expected: Mean expected score of the chosen models.
        scored: Mean score of the chosen models.
        standard_error: Standard error of ``scored``.
        queries: Number of queries.
    """

    expected: float
    scored: float
    standard_error: float
    queries: int


@dataclass(frozen=True)
class Calibration(Result):
    """Expected against real scores of the chosen models.

    Attributes:
        bins: Equal numbers of queries, by ascending expected score.
        error: Expected calibration error: mean distance between expected and real score over the bins, weighted by
            queries.
        confidence_auroc: Probability that a choice as good as the best available answer has a higher confidence than
            one that is not. 0.5 if confidence says nothing, NaN if all choices are alike.
    """

    bins: list[CalibrationBin]
    error: float
    confidence_auroc: float


@dataclass(frozen=True)
class UnseenDataset(Result):
    """A router on a dataset that it was not trained on.

    Attributes:
        dataset: Name of the dataset.
        queries: Number of judged queries.
        auc: Area under the router's accuracy-cost curve (`area_under_curve`); the mean over panels (`panels.Panel`).
        auc_singles: Area under the front of the single models.
        flagged: Share of the queries that the router flags as out of distribution.
        flagged_known: The same share of held-out queries of the datasets that it was trained on.
        similarity_auroc: Probability that an unseen query is less similar to the training queries than a held-out one.
    """

    dataset: str
    queries: int
    auc: float
    auc_singles: float
    flagged: float
    flagged_known: float
    similarity_auroc: float


def auroc(positive: ArrayLike, score: ArrayLike) -> float:
    """Probability that a positive case has a higher score than a negative one; ties count half.

    Args:
        positive: (n,) whether each case is positive.
        score: (n,) scores.

    Returns:
        A number in [0, 1], or NaN if all cases are positive or none is.
    """
    from sklearn.metrics import roc_auc_score

    labels = np.asarray(positive, dtype=bool)
    return float(roc_auc_score(labels, np.asarray(score))) if labels.any() and not labels.all() else float("nan")


def route_table(router: Router, table: RecordTable, alpha: float) -> list[Decision]:
    """Route each query of a table among the models that answered it.

    Args:
        router: The router.
        table: Records with query texts and `RecordTable.encoded`, each with a score of a model that the router knows.
        alpha: Trade-off in [0, 1].

    Returns:
        One decision per query, in order.
    """
    vectors = _vectors(router, table)
    usable = _scored(router, table, alpha)
    by_row: dict[int, Decision] = {}
    for rows, names in answer_patterns(table, usable):
        texts = [table.queries[row] for row in rows]
        routed = router.route_vectors(vectors[rows], texts, alpha=alpha, models=names)
        by_row.update(zip(rows.tolist(), routed, strict=True))
    return [by_row[row] for row in range(len(table))]


def calibrate(router: Router, table: RecordTable, alpha: float, bins: int = 10) -> Calibration:
    """Compare expected with real scores of the chosen models.

    Args:
        router: The router.
        table: Judged records with query texts and `RecordTable.encoded`.
        alpha: Trade-off in [0, 1].
        bins: Number of bins.
    """
    table = table.rows(np.asarray(_scored(router, table, alpha).any(axis=1)))
    decisions = route_table(router, table, alpha)
    column = {model: position for position, model in enumerate(table.models)}
    chosen = [column[decision.model] for decision in decisions]
    scores = table.scores[np.arange(len(table)), chosen].astype(np.float64)
    expected = np.array([decision.expected_score for decision in decisions])
    confidence = np.array([decision.confidence for decision in decisions])
    best = np.where(_scored(router, table, alpha), table.scores, -1).max(axis=1)
    parts = [part for part in np.array_split(np.argsort(expected, kind="stable"), bins) if len(part)]
    rows = [_bin(expected[part], scores[part]) for part in parts]
    distances = [abs(row.expected - row.scored) for row in rows]
    error = float(np.average(distances, weights=[row.queries for row in rows]))
    return Calibration(rows, error, auroc(scores >= best, confidence))


def _scored(router: Router, table: RecordTable, alpha: float) -> NDArray[np.bool_]:
    """(n, m) answers with a score, of models that the router may choose."""
    choosable = router.choosable(alpha)
    return np.asarray(~np.isnan(table.scores) & np.array([model in choosable for model in table.models]))


def _bin(expected: Array, scores: Array) -> CalibrationBin:
    return CalibrationBin(
        expected=float(expected.mean()),
        scored=float(scores.mean()),
        standard_error=float(scores.std() / np.sqrt(len(scores))),
        queries=len(scores),
    )


def leave_one_out(
    table: RecordTable,
    *,
    n_clusters: int = 40,
    random_state: int = 42,
    alphas: ArrayLike = ALPHAS,
    progress: Progress | None = None,
) -> list[UnseenDataset]:
    """Train without each dataset in turn, and judge the router on it.

    A fifth of every other dataset is held out of training too, to compare with.

    Args:
        table: Records with query texts and `RecordTable.encoded`.
        n_clusters: Clusters of each router.
        random_state: Seed of the splits and of the clusters.
        alphas: (s,) alphas of the curves, in [0, 1].
        progress: Called after each dataset.

    Returns:
        One entry per dataset in which some models answered the same queries.
    """
    grid = np.asarray(alphas, dtype=np.float64)
    codes = np.unique(table.dataset)
    found = []
    for number, code in enumerate(codes, start=1):
        unseen = table.rows(table.dataset == code)
        estimator = RouterEstimator(n_clusters, random_state=random_state, train_ratio=0.8)
        estimator.fit(table.rows((table.dataset != code) & ~np.isin(table.texts, unseen.texts)))
        held_out = estimator.held_out_
        assert held_out is not None
        with contextlib.suppress(RecordError):
            found.append(_judge_unseen(estimator.router_, table.datasets[code], unseen, held_out, grid))
        if progress:
            progress("leave one dataset out", number, len(codes))
    return found


def _judge_unseen(
    router: Router, name: str, unseen: RecordTable, held_out: RecordTable, alphas: Array
) -> UnseenDataset:
    vectors, areas = _vectors(router, unseen), []
    for panel in router_panels(unseen, router, vectors).panels:
        single = singles(panel.table)
        curve = measure(panel.table, router_choices(router, panel.table, vectors[panel.rows], alphas))
        areas.append([area_under_curve(one, *cost_range(single)) for one in (curve, single)])
    auc, auc_singles = np.mean(areas, axis=0).tolist()
    new, known = (_similarity(router, _vectors(router, part)) for part in (unseen, held_out))
    threshold = router.artifact.manifest.ood_threshold
    is_new = np.concatenate((np.ones(len(new)), np.zeros(len(known))))
    return UnseenDataset(
        dataset=name,
        queries=len(unseen),
        auc=auc,
        auc_singles=auc_singles,
        flagged=float((new < threshold).mean()),
        flagged_known=float((known < threshold).mean()),
        similarity_auroc=auroc(is_new, -np.concatenate((new, known))),
    )


def _vectors(router: Router, table: RecordTable) -> NDArray[np.float32]:
    """(n, d) embeddings of a table's queries."""
    assert table.encoded is not None
    return np.ascontiguousarray(table.encoded[:, : router.embedder.dimension])


def _similarity(router: Router, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) cosine similarity to the nearest cluster centre."""
    return np.asarray((vectors @ router.artifact.centers.T).max(axis=1))
