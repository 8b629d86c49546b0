"""What a router is worth on records it has not seen: accuracy and cost along alpha, beside baselines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..embedders.base import embed_all
from ..errors import RecordError
from ..records.table import RecordTable
from ..routing.scoring import check_alpha, utility_choice
from ..routing.statistics import Array, divide
from .bootstrap import answered_enough, figure_intervals
from .metrics import budget_auc

if TYPE_CHECKING:
    from ..routing.router import Router

#: Resamples for the figures of a whole curve.
FIGURE_RESAMPLES = 500
ALPHAS = tuple(round(step / 100, 2) for step in range(101))


@dataclass(frozen=True)
class Curve:
    """Accuracy and cost of a router at each of its settings (alphas, or single models).

    Attributes:
        labels: one per setting.
        accuracy: (s,) mean over datasets of the mean score: the average of the seed.
        accuracy_queries: (s,) mean over queries.
        cost: (s,) mean US dollars a query.
    """

    labels: list[str]
    accuracy: Array
    accuracy_queries: Array
    cost: Array


def available(table: RecordTable) -> NDArray[np.bool_]:
    """(n, m) answers that can be judged: score and dollars are recorded. Every router chooses among these."""
    return np.asarray(~np.isnan(table.scores) & ~np.isnan(table.cost))


def dataset_weights(table: RecordTable) -> Array:
    """(n,) weights that turn a sum over queries into the mean over datasets of the mean."""
    counts = np.bincount(table.dataset, minlength=len(table.datasets))
    return np.asarray(1.0 / (counts[table.dataset] * np.count_nonzero(counts)), dtype=np.float64)


def measure(table: RecordTable, choices: NDArray[np.intp], labels: list[str]) -> Curve:
    """The curve of (s, n) choices, each the column of the chosen model."""
    rows = np.arange(len(table))
    scores = table.scores[rows, choices].astype(np.float64)
    return Curve(labels, scores @ dataset_weights(table), scores.mean(axis=1), table.cost[rows, choices].mean(axis=1))


def singles(table: RecordTable) -> Curve:
    """Each model alone, over the queries that it answered."""
    known = available(table)
    labels, accuracy, queries, cost = [], [], [], []
    for column, model in enumerate(table.models):
        rows = known[:, column]
        if rows.any():
            part = table.rows(rows)
            labels.append(model)
            accuracy.append(part.scores[:, column].astype(np.float64) @ dataset_weights(part))
            queries.append(part.scores[:, column].mean(dtype=np.float64))
            cost.append(part.cost[:, column].mean())
    return Curve(labels, np.array(accuracy), np.array(queries), np.array(cost))


def area_under_curve(curve: Curve, low: float, high: float, *, over: str = "datasets", budgets: int = 200) -> float:
    """AUC of DESIGN section 3: mean over log-spaced budgets of the best accuracy within the budget.

    Args:
        curve: one point per setting.
        low, high: US dollars a query of the cheapest and of the dearest single model.
        over: the average of the accuracy: ``datasets`` or ``queries``.
        budgets: how many budgets; below the curve's cheapest point its accuracy counts.
    """
    accuracy = curve.accuracy if over == "datasets" else curve.accuracy_queries
    return budget_auc(curve.cost, accuracy, low, high, budgets=budgets)


def utility_curve(table: RecordTable, scores: Array, costs: Array, scale: float, alphas: Array) -> NDArray[np.intp]:
    """(s, n) choices by expected utility among `available` answers, from (n, m) expectations."""
    usable = available(table) & np.isfinite(costs)
    scores, costs = np.where(usable, scores, -np.inf), np.where(usable, costs, np.inf)
    return np.stack([utility_choice(scores, costs, float(alpha), scale) for alpha in alphas])


def oracle_choices(table: RecordTable, scale: float, alphas: Array) -> NDArray[np.intp]:
    """Choices that know each answer's score and cost beforehand: a bound that no router reaches."""
    return utility_curve(table, np.nan_to_num(table.scores).astype(np.float64), table.cost, scale, alphas)


def knn_choices(
    train: RecordTable,
    train_vectors: NDArray[np.float32],
    test: RecordTable,
    vectors: NDArray[np.float32],
    scale: float,
    alphas: Array,
    neighbors: int = 100,
) -> NDArray[np.intp]:
    """Choices by utility of the mean score and cost over the nearest training queries (cosine)."""
    scores = np.where(np.isnan(train.scores), 0, train.scores).astype(np.float64)
    known, priced = ~np.isnan(train.scores), ~np.isnan(train.cost)
    dollars = np.where(priced, train.cost, 0)
    neighbors = min(neighbors, len(train))
    expected, cost = np.empty(test.scores.shape), np.empty(test.scores.shape)
    for start in range(0, len(test), 512):
        part = slice(start, start + 512)
        near = np.argpartition(-(vectors[part] @ train_vectors.T), neighbors - 1, axis=1)[:, :neighbors]
        expected[part] = divide(scores[near].sum(axis=1), known[near].sum(axis=1).astype(np.float64))
        cost[part] = divide(dollars[near].sum(axis=1), priced[near].sum(axis=1).astype(np.float64))
    unknown = np.isnan(expected) | np.isnan(cost)
    return utility_curve(test, np.nan_to_num(expected), np.where(unknown, np.inf, cost), scale, alphas)


def random_choices(table: RecordTable, repeats: int, random_state: int) -> NDArray[np.intp]:
    """(repeats, n) models drawn evenly among the available."""
    rng = np.random.default_rng(random_state)
    draws = rng.random((repeats, *table.scores.shape))
    return np.asarray(np.where(available(table), draws, -1).argmax(axis=2))


def bootstrap_interval(
    table: RecordTable,
    choices: NDArray[np.intp],
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of one setting's (n,) choices over resampled queries.

    Queries are drawn within their dataset for the mean over datasets, and freely for the mean over queries and for
    the mean cost.
    """
    rng = np.random.default_rng(seed)
    rows = np.arange(len(table))
    scores = table.scores[rows, choices].astype(np.float64)
    cost = table.cost[rows, choices]
    by_dataset = np.zeros(resamples)
    codes = np.unique(table.dataset)
    for code in codes:
        part = scores[table.dataset == code]
        by_dataset += part[rng.integers(0, len(part), (resamples, len(part)))].mean(axis=1) / len(codes)
    draws = rng.integers(0, len(table), (resamples, len(table)))
    tails = [50 * (1 - confidence), 50 * (1 + confidence)]

    def interval(values: Array) -> tuple[float, float]:
        low, high = np.percentile(values, tails)
        return float(low), float(high)

    return {
        "accuracy": interval(by_dataset),
        "accuracy_queries": interval(scores[draws].mean(axis=1)),
        "cost": interval(cost[draws].mean(axis=1)),
    }


def by_answering_models(table: RecordTable, usable: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.intp], list[str]]]:
    """Positions of queries for which the same models may be chosen, with these models' names, by (n, m) ``usable``."""
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
    """(s, n) columns of ``table`` that a router chooses at each alpha, among the `available` answers.

    Queries are grouped by the set of models that answered them, so that sparse records are routed exactly.

    Raises:
        RecordError: the router and the records have no model in common for some query.
    """
    known = available(table)
    shared = np.array([model in router.models for model in table.models])
    usable = known & shared
    if not usable.any(axis=1).all():
        raise RecordError("some queries have no answer, with a cost, of a model that the router knows")
    column_of = {model: column for column, model in enumerate(table.models)}
    choices = np.zeros((len(alphas), len(table)), dtype=np.intp)
    for rows, names in by_answering_models(table, usable):
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
    alphas: list[float] | None = None,
    scoring: str | None = None,
    resamples: int = 1000,
    random_state: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """Accuracy (mean over datasets, mean over queries) and US dollars a query, per alpha and beside baselines.

    Baselines: best single model, cheapest, random, kNN 100 (where ``train`` is given), oracle. Queries without any
    judged answer are left out and counted in ``skipped``.

    Args:
        table: records to judge by, with their texts.
        train: the records that the router was trained on.
        alphas: rows of the result; the areas are over `ALPHAS`.
        resamples: of the bootstrap.

    Returns:
        Plain values: ``settings`` (name, accuracy, cost, their intervals, shares of models), ``auc``, ``figures`` of
        the router's curve with intervals (`metrics.curve_figures`), ``datasets``.
    """
    judged = np.asarray(available(table).any(axis=1))
    skipped = int((~judged).sum())
    table = table.rows(judged)
    if not len(table):
        raise RecordError("no record has both a score and a cost: nothing can be evaluated")
    wanted = [check_alpha(alpha) for alpha in (alphas or [0.0, 0.25, 0.39, 0.53, 0.8, 1.0])]
    grid = np.array(sorted({*ALPHAS, *wanted}))
    vectors = _embed(router, table, progress)
    scale = router.artifact.manifest.typical_cost

    single = singles(table)
    low, high = float(single.cost.min()), float(single.cost.max())
    choices = {"router": router_choices(router, table, vectors, grid, scoring)}
    if train is not None:
        choices["knn 100"] = knn_choices(train, _embed(router, train, progress), table, vectors, scale, grid)
    choices["oracle"] = oracle_choices(table, scale, grid)
    curves = {name: measure(table, chosen, [f"{a:g}" for a in grid]) for name, chosen in choices.items()}

    areas: dict[str, dict[str, float]] = {}
    for name, curve in {"single models": single, **curves}.items():
        areas[name] = {over: area_under_curve(curve, low, high, over=over) for over in ("datasets", "queries")}
    start, end = areas["single models"]["datasets"], areas["oracle"]["datasets"]
    for area in areas.values():
        area["gap_closed"] = (area["datasets"] - start) / (end - start) if end > start else float("nan")

    at = {float(alpha): position for position, alpha in enumerate(grid)}
    rows: list[tuple[str, NDArray[np.intp]]] = [(f"alpha {alpha:g}", choices["router"][at[alpha]]) for alpha in wanted]
    known = available(table)
    enough = answered_enough(known.sum(axis=0))
    scores = np.where(known, table.scores, np.nan)
    means = np.array([np.nanmean(column) if some else -1.0 for column, some in zip(scores.T, enough, strict=True)])
    costs = np.array([c[k].mean() if k.any() else np.inf for c, k in zip(table.cost.T, known.T, strict=True)])
    for title, ranking in (
        ("best single", np.argsort(-means, kind="stable")),
        ("cheapest", np.argsort(costs)),
    ):
        rows.append((f"{title}: {table.models[ranking[0]]}", _first_available(known, ranking)))
    rows.append(("random", random_choices(table, 1, random_state)[0]))
    for name in ("knn 100", "oracle"):
        if name in choices:
            rows.append((f"{name}, alpha 1", choices[name][at[1.0]]))

    settings, by_dataset = [], {}
    for name, chosen in rows:
        point = measure(table, chosen[None, :], [name])
        intervals = bootstrap_interval(table, chosen, resamples=resamples, seed=random_state)
        names, counts = np.unique(chosen, return_counts=True)
        settings.append(
            {
                "name": name,
                "accuracy": float(point.accuracy[0]),
                "accuracy_interval": intervals["accuracy"],
                "accuracy_queries": float(point.accuracy_queries[0]),
                "accuracy_queries_interval": intervals["accuracy_queries"],
                "cost": float(point.cost[0]),
                "cost_interval": intervals["cost"],
                "total_cost": float(point.cost[0] * len(table)),
                "shares": {table.models[c]: float(k / len(table)) for c, k in zip(names, counts, strict=True)},
            }
        )
        by_dataset[name] = table.scores[np.arange(len(table)), chosen]
    present = [code for code in range(len(table.datasets)) if (table.dataset == code).any()]
    return {
        "queries": len(table),
        "skipped": skipped,
        "scoring": scoring or router.artifact.manifest.settings.scoring,
        "settings": settings,
        "auc": areas,
        "figures": figure_intervals(
            table,
            choices["router"],
            choices["oracle"][at[1.0]],
            resamples=min(resamples, FIGURE_RESAMPLES),
            seed=random_state,
        ),
        "budget_range": [low, high],
        "curves": {
            name: {
                "alpha": [float(a) for a in grid],
                "accuracy": curve.accuracy.tolist(),
                "accuracy_queries": curve.accuracy_queries.tolist(),
                "cost": curve.cost.tolist(),
            }
            for name, curve in curves.items()
        },
        "singles": {
            label: {"accuracy": float(a), "accuracy_queries": float(q), "cost": float(c)}
            for label, a, q, c in zip(single.labels, single.accuracy, single.accuracy_queries, single.cost, strict=True)
        },
        "datasets": [
            {
                "dataset": table.datasets[code],
                "queries": int((table.dataset == code).sum()),
                "accuracy": {
                    name: float(values[table.dataset == code].mean(dtype=np.float64))
                    for name, values in by_dataset.items()
                },
            }
            for code in present
        ],
    }


def _first_available(known: NDArray[np.bool_], ranking: NDArray[np.intp]) -> NDArray[np.intp]:
    """(n,) the first model of the ranking that answered each query."""
    return np.asarray(ranking[known[:, ranking].argmax(axis=1)])


def _embed(router: Router, table: RecordTable, progress: Callable[[str, int, int], None] | None) -> NDArray[np.float32]:
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
