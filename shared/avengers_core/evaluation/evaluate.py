"""What a router is worth on records that it has not seen: accuracy and cost along alpha, beside baselines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from ..embedders.base import embed_all
from ..errors import RecordError
from ..records.table import RecordTable
from ..routing.router import Router
from ..routing.scoring import check_alpha
from ..routing.statistics import Array
from .baselines import fixed_choices, knn_choices, oracle_choices, random_choices
from .bootstrap import figure_intervals, setting_intervals
from .curves import ALPHAS, Curve, area_under_curve, available, cost_range, measure, singles
from .means import PanelCurve, mean_curve, mean_figures
from .outcome import (
    AlphaCurve,
    Area,
    DatasetAccuracy,
    Evaluation,
    MeanSetting,
    PanelEvaluation,
    PanelMeans,
    Setting,
    SingleModel,
)
from .panels import KINDS, Panel, router_panels

__all__ = ["Progress", "answer_patterns", "evaluate_router", "router_choices"]

#: Alphas that `evaluate_router` lists, unless others are given.
LISTED_ALPHAS = (0.0, 0.25, 0.39, 0.53, 0.8, 1.0)
#: Resamples for the figures of a whole curve, which cost more than those of one setting.
FIGURE_RESAMPLES = 500

#: Called with the name of a step, how much of it is done, and how much there is (0: unknown).
Progress = Callable[[str, int, int], None]


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
    exchange: str | None = None,
) -> NDArray[np.intp]:
    """Let a router choose among the `available` answers at each alpha.

    Queries are grouped by the models that answered them, so that sparse records are routed exactly.

    Args:
        router: The router.
        table: Records with query texts.
        vectors: (n, d) embeddings of the queries, from the router's embedder.
        alphas: (s,) trade-offs in [0, 1].
        scoring: ``utility``, ``reference`` or ``simple``. Default: the artifact's.
        exchange: ``even`` or ``fixed``. Default: the artifact's.

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
        chosen, candidates = router.choose(
            vectors[rows], texts, alphas=alphas, models=names, scoring=scoring, exchange=exchange
        )
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
    exchange: str | None = None,
    resamples: int = 1000,
    random_state: int = 0,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure accuracy and US dollars a query, per alpha and beside baselines.

    Only models that answered the same queries are compared (`panels.find_panels`); what is left out for that is
    counted, with the reason. If a source recorded no cost at all, the costs that the router expects stand for it. The
    baselines are the best single model, the cheapest one, random choices, the 100 nearest
    neighbours (if ``train`` is given and costs are recorded) and the oracle.

    Args:
        router: The router to evaluate.
        table: Records to judge by, with query texts.
        train: The records that the router was trained on.
        alphas: Alphas to list, in [0, 1]. Areas are always over `ALPHAS`.
        scoring: ``utility``, ``reference`` or ``simple``. Default: the artifact's.
        exchange: ``even`` or ``fixed``. Default: the artifact's.
        resamples: Bootstrap resamples of the intervals.
        random_state: Seed of the random choices and of the bootstrap.
        progress: Called while queries are embedded.

    Raises:
        RecordError: If no record has a score and a cost that is recorded or can be estimated, or no two models that the
            router knows answered the same query.
        ValueError: If an alpha is outside [0, 1], the scoring or exchange is unknown, or there are no resamples.
    """
    if resamples < 1:
        raise ValueError(f"resamples must be 1 or more, not {resamples!r}")
    listed = [check_alpha(alpha) for alpha in (alphas or LISTED_ALPHAS)]
    if len(table.queries) < len(table):
        raise RecordError("the table has no query texts: load its records without `encode`")
    vectors = _embed(router, table, progress)
    found = router_panels(table, router, vectors)
    judge = _Judge(
        router,
        np.array(sorted({*ALPHAS, *listed})),
        listed,
        scoring,
        exchange,
        None if train is None else (train, _embed(router, train, progress)),
        resamples,
        random_state,
    )
    panels = [judge.judge(panel, vectors[panel.rows]) for panel in found.panels]
    return Evaluation(
        queries=sum(panel.queries for panel in panels),
        scoring=scoring or router.artifact.manifest.settings.scoring,
        panels=panels,
        means=[_means(kind, of_kind) for kind in KINDS if (of_kind := [one for one in panels if one.kind == kind])],
        left_out=found.left_out,
    )


@dataclass(frozen=True)
class _Judge:
    """How each panel is judged."""

    router: Router
    grid: Array
    listed: Sequence[float]
    scoring: str | None
    exchange: str | None
    train: tuple[RecordTable, NDArray[np.float32]] | None
    resamples: int
    random_state: int

    def judge(self, panel: Panel, vectors: NDArray[np.float32]) -> PanelEvaluation:
        table, single = panel.table, singles(panel.table)
        choices = self._curve_choices(panel, vectors)
        curves = {name: measure(table, chosen) for name, chosen in choices.items()}
        rows = _setting_choices(table, choices, self.grid, self.listed, self.random_state)
        figures = figure_intervals(
            table,
            choices["router"],
            choices["oracle"][int(np.flatnonzero(self.grid == 1.0)[0])],
            resamples=min(self.resamples, FIGURE_RESAMPLES),
            random_state=self.random_state,
        )
        return PanelEvaluation(
            sources=list(panel.sources),
            kind=panel.kind,
            queries=len(table),
            models=len(table.models),
            estimated_costs=panel.estimated,
            settings=_settings(table, rows, self.resamples, self.random_state),
            auc=_areas({"single models": single, **curves}, *cost_range(single)),
            figures=figures,
            budget_range_usd=cost_range(single),
            curves={name: _alpha_curve(self.grid, curve) for name, curve in curves.items()},
            singles=_single_models(single),
            datasets=_by_dataset(table, rows),
        )

    def _curve_choices(self, panel: Panel, vectors: NDArray[np.float32]) -> dict[str, NDArray[np.intp]]:
        """(s, n) choices of the router and of the baselines that depend on alpha, by name."""
        table, scale = panel.table, cost_scale(self.router, panel)
        choices = {"router": router_choices(self.router, table, vectors, self.grid, self.scoring, self.exchange)}
        if self.train is not None and not panel.estimated:
            train, train_vectors = self.train
            same_models = train.columns(panel.columns)
            choices["knn 100"] = knn_choices(same_models, train_vectors, table, vectors, scale, self.grid)
        return {**choices, "oracle": oracle_choices(table, scale, self.grid)}


def cost_scale(router: Router, panel: Panel) -> float:
    """US dollars that baselines take for a typical query's, as the router does.

    Args:
        router: The router.
        panel: The queries to judge.
    """
    manifest = router.artifact.manifest
    known = {source.name: source.typical_cost for source in manifest.sources}
    if not manifest.settings.relative_costs:
        return manifest.typical_cost
    return float(np.mean([known.get(name, manifest.typical_cost) for name in panel.sources]))


def _means(kind: str, panels: Sequence[PanelEvaluation]) -> PanelMeans:
    curves = [_panel_curve(panel) for panel in panels]
    names = _common([[setting.name.partition(":")[0] for setting in panel.settings] for panel in panels])
    mean = mean_curve([_setting_curve(panel, curve, names) for panel, curve in zip(panels, curves, strict=True)])
    columns = (mean.accuracy.tolist(), mean.relative_cost.tolist(), mean.cost_usd.tolist())
    areas = {
        name: Area(*np.mean([astuple(panel.auc[name]) for panel in panels], axis=0).tolist())
        for name in _common([list(panel.auc) for panel in panels])
    }
    figures = {name: value if np.isfinite(value) else None for name, value in asdict(mean_figures(curves)).items()}
    settings = [MeanSetting(name, *values) for name, *values in zip(names, *columns, strict=True)]
    return PanelMeans(kind, len(panels), sum(panel.queries for panel in panels), settings, areas, figures)


def _common(names: Sequence[Sequence[str]]) -> list[str]:
    """Names that are in all lists, in the order of the first."""
    return [name for name in names[0] if all(name in others for others in names)]


def _panel_curve(panel: PanelEvaluation) -> PanelCurve:
    drawn, singles_ = panel.curves["router"], panel.singles.values()
    return PanelCurve(
        Curve([], np.array(drawn.accuracy), np.array(drawn.accuracy_queries), np.array(drawn.cost_usd)),
        Curve(list(panel.singles), *np.array([astuple(one) for one in singles_]).T),
        panel.setting("oracle, alpha 1").accuracy,
    )


def _setting_curve(panel: PanelEvaluation, curve: PanelCurve, names: Sequence[str]) -> PanelCurve:
    """The panel's settings as a curve."""
    found = [panel.setting(name) for name in names]
    points = np.array([(one.accuracy, one.accuracy_queries, one.cost_usd) for one in found])
    return curve._replace(curve=Curve(names, *points.T))


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
