"""How far a router's own numbers can be trusted: calibration, confidence, and records of a kind it has never seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..records.table import RecordTable
from ..routing.decision import Decision
from ..routing.router import Router
from ..training.estimator import RouterEstimator
from .evaluate import ALPHAS, available, by_answering_models, measure, router_choices, singles
from .metrics import budget_auc


def auroc(positive: ArrayLike, score: ArrayLike) -> float:
    """Probability that a positive case has the higher score (ties count half); NaN where one kind is missing."""
    from sklearn.metrics import roc_auc_score

    labels = np.asarray(positive, dtype=bool)
    return float(roc_auc_score(labels, np.asarray(score))) if labels.any() and not labels.all() else float("nan")


def decisions(router: Router, table: RecordTable, alpha: float) -> list[Decision]:
    """The router's decision for each query of a table with `RecordTable.encoded`, among the models that answered it."""
    assert table.encoded is not None
    vectors = np.ascontiguousarray(table.encoded[:, : router.embedder.dimension])
    known = available(table) & np.array([model in router.models for model in table.models])
    found: list[Decision | None] = [None] * len(table)
    for rows, names in by_answering_models(table, known):
        texts = [table.queries[row] for row in rows]
        made = router.route_vectors(vectors[rows], texts, alpha=alpha, models=names)
        for row, decision in zip(rows, made, strict=True):
            found[row] = decision
    return [one for one in found if one is not None]


def calibrate(router: Router, table: RecordTable, alpha: float, bins: int = 10) -> dict[str, Any]:
    """Expected against real scores of the chosen models, and what the confidence tells.

    Returns:
        ``bins`` (``expected``, ``scored``, ``standard_error``, ``queries``) by equal numbers of queries, ``error``: the
        mean distance of the two, and ``confidence_auroc``: whether a confident choice is more often as good as the
        best of the models that answered.
    """
    made = decisions(router, table, alpha)
    expected, scores = np.array([one.expected_score for one in made]), _scores(table, made)
    confidence = np.array([one.confidence for one in made])
    best = np.where(available(table), table.scores, -1).max(axis=1)
    parts = [part for part in np.array_split(np.argsort(expected, kind="stable"), bins) if len(part)]
    rows = [
        {
            "expected": float(expected[part].mean()),
            "scored": float(scores[part].mean()),
            "standard_error": float(scores[part].std() / np.sqrt(len(part))),
            "queries": len(part),
        }
        for part in parts
    ]
    apart = [abs(row["expected"] - row["scored"]) for row in rows]
    return {
        "bins": rows,
        "error": float(np.average(apart, weights=[row["queries"] for row in rows])),
        "confidence_auroc": auroc(scores >= best, confidence),
    }


def _scores(table: RecordTable, made: list[Decision]) -> NDArray[np.float64]:
    column = {model: position for position, model in enumerate(table.models)}
    return table.scores[np.arange(len(table)), [column[one.model] for one in made]].astype(np.float64)


def leave_one_out(
    table: RecordTable,
    *,
    n_clusters: int = 40,
    random_state: int = 42,
    alphas: ArrayLike = ALPHAS,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Each dataset in turn is unknown to the router: one row with its AUC there, and how well it is told apart.

    Args:
        table: records with texts and `RecordTable.encoded`. A fifth of each other dataset is kept out of training, too,
            as the known kind.

    Returns:
        ``dataset``, ``queries``, ``auc`` of the router and ``auc_singles`` of the front of single models there,
        ``flagged`` and ``flagged_known`` (shares of the unknown and of the known queries that are flagged), and
        ``similarity_auroc``: whether the similarity behind the flag is lower for the unknown ones.
    """
    grid = np.asarray(alphas, dtype=np.float64)
    names = [table.datasets[code] for code in np.unique(table.dataset)]
    rows = []
    for number, name in enumerate(names):
        unknown = table.rows(table.dataset == table.datasets.index(name))
        unknown = unknown.rows(np.asarray(available(unknown).any(axis=1)))
        known = table.rows(table.dataset != table.datasets.index(name))
        fitted = RouterEstimator(n_clusters, random_state=random_state, train_ratio=0.8).fit(known)
        router, held_out = fitted.router_, fitted.held_out_
        assert held_out is not None
        assert unknown.encoded is not None
        vectors = np.ascontiguousarray(unknown.encoded[:, : router.embedder.dimension])
        single = singles(unknown)
        low, high = float(single.cost.min()), float(single.cost.max())
        curve = measure(unknown, router_choices(router, unknown, vectors, grid), [])
        new, old = (_likeness(router, part) for part in (unknown, held_out))
        flag = router.artifact.manifest.ood_threshold
        rows.append(
            {
                "dataset": name,
                "queries": len(unknown),
                "auc": budget_auc(curve.cost, curve.accuracy, low, high),
                "auc_singles": budget_auc(single.cost, single.accuracy, low, high),
                "flagged": float((new < flag).mean()),
                "flagged_known": float((old < flag).mean()),
                "similarity_auroc": auroc(
                    np.concatenate((np.ones(len(new)), np.zeros(len(old)))), -np.concatenate((new, old))
                ),
            }
        )
        if progress:
            progress("leave one dataset out", number + 1, len(names))
    return rows


def _likeness(router: Router, table: RecordTable) -> NDArray[np.float32]:
    assert table.encoded is not None
    vectors = table.encoded[:, : router.embedder.dimension]
    return np.asarray((vectors @ router.artifact.centers.T).max(axis=1))
