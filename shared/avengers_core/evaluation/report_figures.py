"""The figures of a report: an evaluation, a sweep behind its bands, calibration, and datasets left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._utils.results import Result
from ..embedders.factory import make_embedder
from ..records.io import Source
from ..records.loading import load_records
from ..records.table import RecordTable
from ..routing.manifest import Artifact
from ..routing.score_model import ScoreModel
from ..training.encoding import encode_records
from ..training.estimator import RouterEstimator
from .calibration import Calibration, UnseenDataset, calibrate, leave_one_out
from .evaluate import Progress, evaluate_router
from .outcome import Evaluation
from .recommend import Recommendation, recommend_alpha
from .sweep import Grid, run_sweep
from .sweep_rows import SweepRow, SweepSummary, main_kind, summarize

__all__ = ["ClusterScores", "QueryCounts", "ReportFigures", "ReportSettings", "gather"]

#: Seed of the split that is evaluated, as in ``avengers evaluate``.
SPLIT_SEED = 42
#: Share of each dataset that is trained on.
TRAIN_RATIO = 0.7


@dataclass(frozen=True)
class QueryCounts:
    """Sizes of the split that is evaluated.

    Attributes:
        train: Queries that the router was trained on.
        test: Queries that it was judged on.
    """

    train: int
    test: int


@dataclass(frozen=True)
class ReportSettings:
    """How a report was made.

    Attributes:
        n_clusters: Clusters of the reported router.
        seeds: Number of splits behind bands and means.
        alpha: Alpha whose calibration is shown.
    """

    n_clusters: int
    seeds: int
    alpha: float


@dataclass(frozen=True)
class ClusterScores:
    """Expected scores by cluster and model.

    Attributes:
        names: Names of the k clusters: number and main dataset.
        models: Ids of the m models.
        expected: (k, m) expected scores.
    """

    names: list[str]
    models: list[str]
    expected: list[list[float]]


@dataclass(frozen=True)
class ReportFigures(Result):
    """All figures of a report.

    Attributes:
        queries: Sizes of the split that is evaluated.
        models: Number of models in the records.
        settings: How the report was made.
        evaluation: The router beside baselines on one split.
        summary: The settings of the sweep.
        rows: Rows of the sweep with the reported number of clusters.
        advice: The alpha that is as accurate as the best single model, or why there is none.
        calibration: Expected against real scores.
        clusters: Expected scores by cluster and model.
        unseen: Each dataset left out in turn. Empty if there is only one.
    """

    queries: QueryCounts
    models: int
    settings: ReportSettings
    evaluation: Evaluation
    summary: list[SweepSummary]
    rows: list[SweepRow]
    advice: Recommendation | str
    calibration: Calibration
    clusters: ClusterScores
    unseen: list[UnseenDataset]

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain values, without ``rows``, which the sweep's own files hold."""
        return {name: value for name, value in super().to_dict().items() if name != "rows"}


def gather(
    records: RecordTable | Source,
    folder: Path,
    *,
    seeds: int = 5,
    n_clusters: Sequence[int] = (40,),
    alpha: float = 0.5,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> ReportFigures:
    """Compute all figures of a report.

    Args:
        records: A table with query texts, or paths of the records.
        folder: Folder for the sweep, from which a stopped one continues.
        seeds: Number of splits of the sweep.
        n_clusters: Numbers of clusters to try; the first is reported.
        alpha: Alpha whose calibration is shown, in [0, 1].
        jobs: Number of processes of the sweep. Default: one per core.
        progress: Called as steps are done.

    Raises:
        RecordError: If the records are unusable.
    """
    table = records if isinstance(records, RecordTable) else load_records(records)
    table = encode_records(table, make_embedder(), progress)
    estimator = RouterEstimator(n_clusters[0], random_state=SPLIT_SEED, train_ratio=TRAIN_RATIO, progress=progress)
    estimator.fit(table)
    router, test = estimator.router_, estimator.held_out_
    assert test is not None
    train, _ = table.split(TRAIN_RATIO, SPLIT_SEED)
    evaluation = evaluate_router(router, test, train=train, progress=progress)
    rows = run_sweep(table, Grid(n_clusters=n_clusters, seeds=range(seeds)), folder, jobs=jobs, progress=progress)
    reported = [row for row in rows if row.n_clusters == n_clusters[0] and row.kind == main_kind(rows)]
    several = len(table.datasets) > 1
    return ReportFigures(
        queries=QueryCounts(estimator.n_records_, evaluation.queries),
        models=len(table.models),
        settings=ReportSettings(n_clusters[0], seeds, alpha),
        evaluation=evaluation,
        summary=summarize(rows),
        rows=reported,
        advice=_advice(reported),
        calibration=calibrate(router, test, alpha),
        clusters=_cluster_scores(router.artifact),
        unseen=leave_one_out(table, n_clusters=n_clusters[0], progress=progress) if several else [],
    )


def _advice(rows: list[SweepRow]) -> Recommendation | str:
    try:
        return recommend_alpha(rows)
    except ValueError as error:
        return str(error)


def _cluster_scores(artifact: Artifact) -> ClusterScores:
    expected = ScoreModel(artifact).expected
    main = artifact.statistics.dataset_n.argmax(axis=1)
    names = [f"{cluster}: {artifact.manifest.datasets[code]}" for cluster, code in enumerate(main)]
    return ClusterScores(names, artifact.models, expected.tolist())
