"""What a router is worth on records that it has not seen: accuracy and cost along alpha, beside baselines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._utils.results import Result
from ..embedders.base import embed_all
from ..errors import RecordError
from ..records.table import RecordTable
from ..routing.router import Router
from ..routing.scoring import check_alpha
from ..routing.statistics import Array
from .baselines import fixed_choices, knn_choices, oracle_choices, random_choices
from .bootstrap import FigureInterval, Interval, figure_intervals, setting_intervals
from .curves import ALPHAS, Curve, area_under_curve, available, cost_range, measure, singles

__all__ = [
    "AlphaCurve",
    "Area",
    "DatasetAccuracy",
    "Evaluation",
    "Progress",
    "Setting",
    "SingleModel",
    "answer_patterns",
    "evaluate_router",
    "router_choices",
]

#: Alphas that `evaluate_router` lists, unless others are given.
LISTED_ALPHAS = (0.0, 0.25, 0.39, 0.53, 0.8, 1.0)
#: Resamples for the figures of a whole curve, which cost more than those of one setting.
FIGURE_RESAMPLES = 500

#: Called with the name of a step, how much of it is done, and how much there is (0: unknown).
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Setting:
    """A router at one alpha, or a baseline. Intervals are 95% bootstrap intervals.

    Attributes:
        name: Such as ``alpha 0.5``, ``best single: <model>`` or ``oracle, alpha 1``.
        accuracy: Mean over datasets of each dataset's mean score.
        accuracy_interval: Its interval.
        accuracy_queries: Mean score over queries.
        accuracy_queries_interval: Its interval.
        cost_usd: Mean US dollars a query.
        cost_usd_interval: Its interval.
        total_cost_usd: US dollars of all queries.
        shares: Share of the queries that each chosen model gets, by model.
    """

    name: str
    accuracy: float
    accuracy_interval: Interval
    accuracy_queries: float
    accuracy_queries_interval: Interval
    cost_usd: float
    cost_usd_interval: Interval
    total_cost_usd: float
    shares: dict[str, float]


@dataclass(frozen=True)
class Area:
    """Area under an accuracy-cost curve (`area_under_curve`).

    Attributes:
        datasets: Of the mean over datasets.
        queries: Of the mean over queries.
        gap_closed: Share of the way from the single models' area to the oracle's, over datasets. NaN if there is no way
            to go.
    """

    datasets: float
    queries: float
    gap_closed: float


@dataclass(frozen=True)
class AlphaCurve:
    """Accuracy and cost along alpha, with one value per alpha in each list.

    Attributes:
        alpha: The alphas, ascending.
        accuracy: Mean over datasets of each dataset's mean score.
        accuracy_queries: Mean score over queries.
        cost_usd: Mean US dollars a query.
    """

    alpha: list[float]
    accuracy: list[float]
    accuracy_queries: list[float]
    cost_usd: list[float]


@dataclass(frozen=True)
class SingleModel:
    """One model for all queries that it answered.

    Attributes:
        accuracy: Mean over datasets of each dataset's mean score.
        accuracy_queries: Mean score over queries.
        cost_usd: Mean US dollars a query.
    """

    accuracy: float
    accuracy_queries: float
    cost_usd: float


@dataclass(frozen=True)
class DatasetAccuracy:
    """Accuracies on one dataset.

    Attributes:
        dataset: Its name.
        queries: Number of queries.
        accuracy: Mean score by the name of the setting.
    """

    dataset: str
    queries: int
    accuracy: dict[str, float]


@dataclass(frozen=True)
class Evaluation(Result):
    """A router's accuracy and cost on records, beside baselines.

    Attributes:
        queries: Number of judged queries.
        skipped: Queries without any answer that has a score and a cost.
        scoring: The router's scoring: ``utility``, ``reference`` or ``simple``.
        settings: The router at the listed alphas, then the baselines.
        auc: Areas by curve: ``single models``, ``router``, ``knn 100`` (if training records were given), ``oracle``.
        figures: `metrics.FIGURES` of the router's curve, by name.
        budget_range_usd: US dollars a query of the cheapest and of the most expensive single model, between which
            areas are computed.
        curves: The curves behind ``auc``, except that of the single models.
        singles: The single models, by id.
        datasets: Accuracies by dataset.
    """

    queries: int
    skipped: int
    scoring: str
    settings: list[Setting]
    auc: dict[str, Area]
    figures: dict[str, FigureInterval]
    budget_range_usd: Interval
    curves: dict[str, AlphaCurve]
    singles: dict[str, SingleModel]
    datasets: list[DatasetAccuracy]


def answer_patterns(table: RecordTable, usable: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.intp], list[str]]]:
    """Group queries by the models that may be chosen for them.

    Args:
        table: Records.
        usable: (n, m) which models may be chosen for each query.

    Yields:
        Positions of queries with the same models, and the ids of these models.
    """
    for pattern in np.unique(usable, axis=0):
        rows = np.flatnonzero((usable == pattern).all(axis=1))
        yield rows, [table.models[column] for column in np.flatnonzero(pattern)]


def router_choices(
    router: Router,
    table: RecordTable,
    vectors: NDArray[np.float32],
    alphas: Array,
    scoring: str | None = None,
) -> NDArray[np.intp]:
    """Let a router choose among the `available` answers at each alpha.

    Queries are grouped by the models that answered them, so that sparse records are routed exactly.

    Args:
        router: The router.
        table: Records with query texts.
        vectors: (n, d) embeddings of the queries, from the router's embedder.
        alphas: (s,) trade-offs in [0, 1].
        scoring: ``utility``, ``reference`` or ``simple``. Default: the artifact's.

    Returns:
        (s, n) columns of the chosen models in the table.

    Raises:
        RecordError: If the router knows none of the models that answered some query.
    """
    usable = available(table) & np.array([model in router.models for model in table.models])
    if not usable.any(axis=1).all():
        raise RecordError("some queries have no answer, with a cost, of a model that the router knows")
    column_of = {model: column for column, model in enumerate(table.models)}
    choices = np.zeros((len(alphas), len(table)), dtype=np.intp)
    for rows, names in answer_patterns(table, usable):
        texts = [table.queries[row] for row in rows]
        chosen, candidates = router.choose(vectors[rows], texts, alphas=alphas, models=names, scoring=scoring)
        columns = np.array([column_of[name] for name in candidates])
        choices[:, rows] = columns[chosen]
    return choices


def evaluate_router(
    router: Router,
    table: RecordTable,
    *,
    train: RecordTable | None = None,
    alphas: Sequence[float] | None = None,
    scoring: str | None = None,
    resamples: int = 1000,
    random_state: int = 0,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure accuracy and US dollars a query, per alpha and beside baselines.

    The baselines are the best single model, the cheapest one, random choices, the 100 nearest neighbours (if ``train``
    is given) and the oracle. Queries without any answer that can be judged are skipped and counted.

    Args:
        router: The router to evaluate.
        table: Records to judge by, with query texts or `RecordTable.encoded`.
        train: The records that the router was trained on.
        alphas: Alphas to list, in [0, 1]. Areas are always over `ALPHAS`.
        scoring: ``utility``, ``reference`` or ``simple``. Default: the artifact's.
        resamples: Bootstrap resamples of the intervals.
        random_state: Seed of the random choices and of the bootstrap.
        progress: Called while queries are embedded.

    Raises:
        RecordError: If no record has both a score and a cost, or the router knows none of the models of some query.
        ValueError: If an alpha is outside [0, 1], or the scoring is unknown.
    """
    judged = np.asarray(available(table).any(axis=1))
    skipped = int((~judged).sum())
    table = table.rows(judged)
    if not len(table):
        raise RecordError("no record has both a score and a cost: nothing can be evaluated")
    listed = [check_alpha(alpha) for alpha in (alphas or LISTED_ALPHAS)]
    grid = np.array(sorted({*ALPHAS, *listed}))
    choices = _curve_choices(router, table, train, grid, scoring, progress)
    curves = {name: measure(table, chosen) for name, chosen in choices.items()}
    single = singles(table)
    rows = _setting_choices(table, choices, grid, listed, random_state)
    oracle = choices["oracle"][int(np.flatnonzero(grid == 1.0)[0])]
    return Evaluation(
        queries=len(table),
        skipped=skipped,
        scoring=scoring or router.artifact.manifest.settings.scoring,
        settings=_settings(table, rows, resamples, random_state),
        auc=_areas({"single models": single, **curves}, *cost_range(single)),
        figures=figure_intervals(
            table, choices["router"], oracle, resamples=min(resamples, FIGURE_RESAMPLES), random_state=random_state
        ),
        budget_range_usd=cost_range(single),
        curves={name: _alpha_curve(grid, curve) for name, curve in curves.items()},
        singles=_single_models(single),
        datasets=_by_dataset(table, rows),
    )


def _curve_choices(
    router: Router,
    table: RecordTable,
    train: RecordTable | None,
    grid: Array,
    scoring: str | None,
    progress: Progress | None,
) -> dict[str, NDArray[np.intp]]:
    """(s, n) choices of the router and of the baselines that depend on alpha, by name."""
    vectors, scale = _embed(router, table, progress), router.artifact.manifest.typical_cost
    choices = {"router": router_choices(router, table, vectors, grid, scoring)}
    if train is not None:
        choices["knn 100"] = knn_choices(train, _embed(router, train, progress), table, vectors, scale, grid)
    return {**choices, "oracle": oracle_choices(table, scale, grid)}


def _setting_choices(
    table: RecordTable,
    choices: dict[str, NDArray[np.intp]],
    grid: Array,
    listed: Sequence[float],
    random_state: int,
) -> dict[str, NDArray[np.intp]]:
    """(n,) choices of each listed setting and baseline, by name."""
    at = {float(alpha): position for position, alpha in enumerate(grid)}
    rows = {f"alpha {alpha:g}": choices["router"][at[alpha]] for alpha in listed}
    rows |= fixed_choices(table)
    rows["random"] = random_choices(table, 1, random_state)[0]
    rows |= {f"{name}, alpha 1": choices[name][at[1.0]] for name in ("knn 100", "oracle") if name in choices}
    return rows


def _settings(
    table: RecordTable, rows: dict[str, NDArray[np.intp]], resamples: int, random_state: int
) -> list[Setting]:
    points = measure(table, np.stack(list(rows.values())))
    intervals = setting_intervals(table, list(rows.values()), resamples=resamples, random_state=random_state)
    settings = []
    for at, ((name, chosen), spread) in enumerate(zip(rows.items(), intervals, strict=True)):
        columns, counts = np.unique(chosen, return_counts=True)
        cost = float(points.cost_usd[at])
        settings.append(
            Setting(
                name=name,
                accuracy=float(points.accuracy[at]),
                accuracy_interval=spread.accuracy,
                accuracy_queries=float(points.accuracy_queries[at]),
                accuracy_queries_interval=spread.accuracy_queries,
                cost_usd=cost,
                cost_usd_interval=spread.cost_usd,
                total_cost_usd=cost * len(table),
                shares={table.models[c]: float(n / len(table)) for c, n in zip(columns, counts, strict=True)},
            )
        )
    return settings


def _areas(curves: dict[str, Curve], low: float, high: float) -> dict[str, Area]:
    """Areas by curve; ``single models`` and ``oracle`` are the ends of the way."""
    over = {
        name: [area_under_curve(curve, low, high, over=mean) for mean in ("datasets", "queries")]
        for name, curve in curves.items()
    }
    start, end = over["single models"][0], over["oracle"][0]
    return {
        name: Area(datasets, queries, (datasets - start) / (end - start) if end > start else float("nan"))
        for name, (datasets, queries) in over.items()
    }


def _alpha_curve(grid: Array, curve: Curve) -> AlphaCurve:
    return AlphaCurve(grid.tolist(), curve.accuracy.tolist(), curve.accuracy_queries.tolist(), curve.cost_usd.tolist())


def _single_models(single: Curve) -> dict[str, SingleModel]:
    columns = (single.accuracy.tolist(), single.accuracy_queries.tolist(), single.cost_usd.tolist())
    return {label: SingleModel(*values) for label, *values in zip(single.labels, *columns, strict=True)}


def _by_dataset(table: RecordTable, rows: dict[str, NDArray[np.intp]]) -> list[DatasetAccuracy]:
    scores = {name: table.scores[np.arange(len(table)), chosen] for name, chosen in rows.items()}
    found = []
    for code in np.unique(table.dataset):
        members = table.dataset == code
        accuracy = {name: float(values[members].mean(dtype=np.float64)) for name, values in scores.items()}
        found.append(DatasetAccuracy(table.datasets[code], int(members.sum()), accuracy))
    return found


def _embed(router: Router, table: RecordTable, progress: Progress | None) -> NDArray[np.float32]:
    if table.encoded is not None:
        return table.encoded[:, : router.embedder.dimension]
    if not table.queries:
        raise RecordError("the table has no query texts: load it without encode")
    done = 0

    def step(count: int) -> None:
        nonlocal done
        done += count
        if progress:
            progress("embed the queries to judge", done, 0)

    return embed_all(router.embedder, table.queries, progress=step)
