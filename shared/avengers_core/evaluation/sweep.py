"""Many settings on many splits: what alpha, clusters, weights and embedder are worth, from any records.

Texts are embedded once for each embedder, clusters are made once for each seed and number of clusters, and all alphas
are routed together. Finished work is logged line by line, so that a stopped sweep continues where it was.
"""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import json
import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from .._utils.files import user_path
from .._utils.processes import live_as_long_as_parent, terminate
from ..embedders.factory import make_embedder
from ..errors import AvengersError, MissingExtraError
from ..records.io import Source
from ..records.loading import load_records
from ..records.table import RecordTable
from ..routing.router import Router
from ..routing.scoring import check_alpha, check_scoring
from ..training.encoding import encode_records
from ..training.estimator import RouterEstimator
from .baselines import oracle_choices
from .curves import ALPHAS, measure, singles
from .evaluate import Progress, cost_scale, router_choices
from .means import PanelCurve, mean_curve, mean_figures
from .panels import KINDS, Panel, router_panels
from .sweep_files import LOG, append_run, read_finished, write_csv
from .sweep_rows import SweepRow, SweepSetting, summarize

__all__ = ["Grid", "SweepUnit", "evaluate_unit", "run_sweep"]


class SweepUnit(NamedTuple):
    """What a sweep trains once.

    Attributes:
        embedder: Name of the embedder.
        seed: Seed of the split and of the clusters.
        n_clusters: Number of clusters.
    """

    embedder: str
    seed: int
    n_clusters: int


@dataclass(frozen=True)
class Grid:
    """The values that a sweep tries, in every combination.

    Attributes:
        n_clusters: Numbers of clusters.
        top_k: Nearest clusters that count. None is the scoring's default.
        beta: Sharpness of the clusters' weights. None is the scoring's default.
        scoring: ``utility``, ``reference`` or ``simple``.
        embedder: Names for `make_embedder`.
        seeds: Seeds of the splits and of the clusters.
        alphas: Alphas of each curve, in [0, 1].
        train_ratio: Share of each dataset to train on, above 0 and below 1.

    Raises:
        ValueError: If a value is out of range, or a list is empty.
    """

    n_clusters: Sequence[int] = (40,)
    top_k: Sequence[int | None] = (None,)
    beta: Sequence[float | None] = (None,)
    scoring: Sequence[str] = ("utility",)
    embedder: Sequence[str] = ("wordllama",)
    seeds: Sequence[int] = tuple(range(10))
    alphas: Sequence[float] = ALPHAS
    train_ratio: float = 0.7

    def __post_init__(self) -> None:
        for name, values in asdict(self).items():
            if isinstance(values, Sequence) and not values:
                raise ValueError(f"{name}: give at least one value to try")
        for scoring in self.scoring:
            check_scoring(scoring)
        for alpha in self.alphas:
            check_alpha(alpha)
        if not 0 < self.train_ratio < 1:
            raise ValueError(f"train_ratio must be above 0 and below 1, not {self.train_ratio!r}")

    def units(self) -> list[SweepUnit]:
        """What is trained once each."""
        return [SweepUnit(*values) for values in itertools.product(self.embedder, self.seeds, self.n_clusters)]


def run_sweep(
    records: RecordTable | Source,
    grid: Grid,
    folder: str | Path,
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> list[SweepRow]:
    """Evaluate every setting of a grid on every split, at every alpha.

    Writes ``runs.jsonl`` (finished units, from which a stopped sweep continues), ``curves.csv`` (the rows) and
    ``summary.csv`` (`summarize`) into the folder.

    Args:
        records: A table with query texts, or where to load it from.
        grid: What to try.
        folder: Folder for the results. It is made if it is missing.
        jobs: Number of processes. Default: one per core.
        progress: Called after each finished unit.

    Returns:
        One row for each setting, seed and alpha.

    Raises:
        RecordError: If the records are unusable.
        ValueError: If the folder holds a sweep of other records, alphas or train_ratio.
        MissingExtraError: If scikit-learn is not installed.
        AvengersError: If a process was killed.
    """
    if not importlib.util.find_spec("sklearn"):
        raise MissingExtraError("training", "train")
    table = replace(records) if isinstance(records, RecordTable) else load_records(records)
    target = user_path(folder)
    target.mkdir(parents=True, exist_ok=True)
    identity, units = _identity(table, grid), grid.units()
    finished = read_finished(target / LOG, identity)
    missing = [unit for unit in units if _key(unit, grid) not in finished]
    done = len(units) - len(missing)
    if progress:
        progress("train and evaluate", done, len(units))
    for unit, rows in _run(table, grid, missing, jobs or os.cpu_count() or 1, progress):
        append_run(target / LOG, identity, _key(unit, grid), rows)
        finished[_key(unit, grid)] = rows
        done += 1
        if progress:
            progress("train and evaluate", done, len(units))
    rows = [row for unit in units for row in finished[_key(unit, grid)]]
    write_csv(target / "curves.csv", rows)
    write_csv(target / "summary.csv", summarize(rows))
    return rows


def _run(
    table: RecordTable, grid: Grid, units: list[SweepUnit], jobs: int, progress: Progress | None
) -> Iterator[tuple[SweepUnit, list[SweepRow]]]:
    """Evaluate units, in processes if there are several, as they finish."""
    for embedder, group in itertools.groupby(units, key=lambda unit: unit.embedder):
        of_embedder = list(group)
        table.encoded = None
        table = encode_records(table, make_embedder(embedder), progress)
        if jobs == 1 or len(of_embedder) == 1:
            for unit in of_embedder:
                yield unit, evaluate_unit(table, grid, unit)
            continue
        with ProcessPoolExecutor(jobs, initializer=_start_worker, initargs=(table, grid)) as pool:
            tasks = {pool.submit(_work, unit): unit for unit in of_embedder}
            try:
                for task in as_completed(tasks):
                    yield tasks[task], task.result()
            except BrokenProcessPool:
                raise AvengersError("a worker process was killed, perhaps for want of memory: use fewer jobs") from None
            except BaseException:
                terminate(pool)
                raise


#: Table and grid of a worker process.
_shared: list[Any] = []


def _start_worker(table: RecordTable, grid: Grid) -> None:
    from threadpoolctl import threadpool_limits

    live_as_long_as_parent()
    threadpool_limits(1)  # the processes are the parallelism
    _shared[:] = [table, grid]


def _work(unit: SweepUnit) -> list[SweepRow]:
    table, grid = _shared
    return evaluate_unit(table, grid, unit)


def evaluate_unit(table: RecordTable, grid: Grid, unit: SweepUnit) -> list[SweepRow]:
    """Train once, and evaluate every ``top_k``, ``beta``, scoring and alpha of the grid.

    Args:
        table: Records with query texts and `RecordTable.encoded` from the unit's embedder.
        grid: What to try.
        unit: What to train.
    """
    estimator = RouterEstimator(
        unit.n_clusters,
        embedder=make_embedder(unit.embedder),
        random_state=unit.seed,
        train_ratio=grid.train_ratio,
    ).fit(table)
    test, router = estimator.held_out_, estimator.router_
    assert test is not None
    assert test.encoded is not None
    vectors = np.ascontiguousarray(test.encoded[:, : router.embedder.dimension])
    panels, rows = router_panels(test, router, vectors).panels, list[SweepRow]()
    for scoring, top_k, beta, kind in itertools.product(grid.scoring, grid.top_k, grid.beta, KINDS):
        setting = SweepSetting(unit.embedder, scoring, unit.n_clusters, top_k, beta, kind)
        of_kind = [panel for panel in panels if panel.kind == kind]
        if of_kind:
            rows += _rows(setting, unit.seed, grid, _variant(router, top_k, beta), vectors, of_kind)
    return rows


def _rows(
    setting: SweepSetting,
    seed: int,
    grid: Grid,
    router: Router,
    vectors: NDArray[np.float32],
    panels: Sequence[Panel],
) -> list[SweepRow]:
    alphas = np.array(grid.alphas, dtype=np.float64)
    curves, shares = [], []
    for panel in panels:
        chosen = router_choices(router, panel.table, vectors[panel.rows], alphas, setting.scoring)
        oracle = oracle_choices(panel.table, cost_scale(router, panel), np.array([1.0]))
        best_possible = float(measure(panel.table, oracle).accuracy[0])
        curves.append(PanelCurve(measure(panel.table, chosen), singles(panel.table), best_possible))
        shares.append([_shares(panel.table, row) for row in chosen])
    mean = mean_curve(curves)
    best = {curve.single.labels[curve.best] for curve in curves}
    of_curve = {
        **asdict(setting),
        "seed": seed,
        **{name: _finite(value) for name, value in asdict(mean_figures(curves)).items()},
        "best_single": best.pop() if len(best) == 1 else "",
        "best_single_accuracy": mean.best_accuracy,
        "best_single_cost_usd": mean.best_cost_usd,
        "oracle_accuracy": mean.oracle,
    }
    return [
        SweepRow(
            **of_curve,
            alpha=float(alpha),
            accuracy=float(mean.accuracy[position]),
            accuracy_queries=float(mean.accuracy_queries[position]),
            cost_usd=float(mean.cost_usd[position]),
            relative_cost=_finite(float(mean.relative_cost[position])),
            shares=_mean_shares([of_panel[position] for of_panel in shares]),
        )
        for position, alpha in enumerate(grid.alphas)
    ]


def _variant(router: Router, top_k: int | None, beta: float | None) -> Router:
    """The router with other weights of clusters."""
    manifest = router.artifact.manifest
    settings = msgspec.structs.replace(manifest.settings, top_k=top_k, beta=beta)
    artifact = replace(router.artifact, manifest=msgspec.structs.replace(manifest, settings=settings))
    return Router(artifact, embedder=router.embedder)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _shares(table: RecordTable, chosen: NDArray[np.intp]) -> dict[str, float]:
    counts = np.bincount(chosen, minlength=len(table.models)) / len(table)
    return {table.models[column]: float(counts[column]) for column in np.flatnonzero(counts)}


def _mean_shares(of_panels: Sequence[dict[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for shares in of_panels for name in shares)
    return {name: sum(shares.get(name, 0.0) for shares in of_panels) / len(of_panels) for name in names}


def _identity(table: RecordTable, grid: Grid) -> str:
    """A digest of what rows that are put together must share: the records, the alphas and the split."""
    digest = hashlib.sha256()
    for part in (table.scores, table.cost, table.source, table.agent_run):
        digest.update(part.tobytes())
    digest.update(json.dumps([table.models, table.sources]).encode())
    digest.update(json.dumps([list(grid.alphas), grid.train_ratio]).encode())
    return digest.hexdigest()[:16]


def _key(unit: SweepUnit, grid: Grid) -> str:
    return json.dumps([*unit, list(grid.scoring), list(grid.top_k), list(grid.beta)])
