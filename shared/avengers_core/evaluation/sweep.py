"""Many settings on many splits: what alpha, clusters, weights and embedder are worth, from any records.

Texts are embedded once for each embedder, clusters are made once for each seed and number of clusters, and all alphas
are routed together. Finished work is kept line by line, so that a sweep that was stopped goes on where it was.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..embedders.factory import make_embedder
from ..errors import MissingExtraError
from ..records.io import Source
from ..records.table import RecordTable, load_records
from ..routing.router import Router
from ..routing.scoring import check_alpha, check_scoring
from ..routing.statistics import Array
from ..training.encoding import encode_records
from ..training.estimator import RouterEstimator
from .bootstrap import answered_enough
from .evaluate import ALPHAS, Curve, available, measure, oracle_choices, router_choices, singles
from .metrics import FIGURES, curve_figures

Progress = Callable[[str, int, int], None]

#: Columns that name a setting, in the order in which they are sorted.
SETTING = ("embedder", "scoring", "n_clusters", "top_k", "beta")


@dataclass(frozen=True)
class Grid:
    """What is tried; every combination of it.

    Attributes:
        n_clusters: numbers of clusters. top_k, beta: None is the scoring's default.
        scoring: ``utility``, ``reference``, ``simple``. embedder: names for `make_embedder`.
        seeds: of splits and clusters. alphas: of each curve. train_ratio: share of each dataset that is trained on.

    Raises:
        ValueError: a value is out of range, or a list is empty.
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
            if isinstance(values, (list, tuple)) and not values:
                raise ValueError(f"{name}: there is none to try")
        for scoring in self.scoring:
            check_scoring(scoring)
        for alpha in self.alphas:
            check_alpha(alpha)
        if not 0 < self.train_ratio < 1:
            raise ValueError(f"train_ratio must be above 0 and below 1, not {self.train_ratio!r}")

    def units(self) -> Iterator[tuple[str, int, int]]:
        """(embedder, seed, number of clusters): what is trained once."""
        return itertools.product(self.embedder, self.seeds, self.n_clusters)


def sweep(
    records: RecordTable | Source,
    grid: Grid,
    folder: str | Path,
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Evaluate every setting of the grid; returns one row for each setting, seed and alpha.

    Writes ``runs.jsonl`` (finished units, from which a stopped sweep goes on), ``curves.csv`` (the rows) and
    ``summary.csv`` (`summarize`) into the folder.

    Args:
        records: a table with texts, or where to load it from.
        jobs: processes; default: as many as cores.

    Raises:
        RecordError: unusable records. ValueError: the folder holds a sweep of other records or alphas.
    """
    table = records if isinstance(records, RecordTable) else load_records(records)
    table = table.rows(np.asarray(available(table).any(axis=1)))
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    identity = _identity(table, grid)
    finished = _finished(target / "runs.jsonl", identity)
    missing = [unit for unit in grid.units() if _key(unit, grid) not in finished]
    total = len(list(grid.units()))
    if progress:
        progress("train and evaluate", total - len(missing), total)
    with (target / "runs.jsonl").open("a", encoding="utf-8") as log:
        for unit, rows in _run(table, grid, missing, jobs or os.cpu_count() or 1, progress):
            finished[_key(unit, grid)] = rows
            log.write(_line(identity, _key(unit, grid), rows))
            log.flush()
            if progress:
                progress("train and evaluate", sum(_key(one, grid) in finished for one in grid.units()), total)
    rows = [row for unit in grid.units() for row in finished[_key(unit, grid)]]
    write_csv(target / "curves.csv", rows)
    write_csv(target / "summary.csv", summarize(rows))
    return rows


def _run(
    table: RecordTable,
    grid: Grid,
    units: list[tuple[str, int, int]],
    jobs: int,
    progress: Progress | None,
) -> Iterator[tuple[tuple[str, int, int], list[dict[str, Any]]]]:
    for embedder, group in itertools.groupby(units, key=lambda unit: unit[0]):
        wanted = list(group)
        table.encoded = None
        table = encode_records(table, make_embedder(embedder), progress)
        if jobs == 1 or len(wanted) == 1:
            for unit in wanted:
                yield unit, evaluate_unit(table, grid, *unit)
            continue
        with ProcessPoolExecutor(jobs, initializer=_start_worker, initargs=(table, grid)) as pool:
            waiting = {pool.submit(_work, unit): unit for unit in wanted}
            try:
                for task in as_completed(waiting):
                    yield waiting[task], task.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


_shared: list[Any] = []


def _start_worker(table: RecordTable, grid: Grid) -> None:
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)  # the processes are the parallelism
    _shared[:] = [table, grid]


def _work(unit: tuple[str, int, int]) -> list[dict[str, Any]]:
    table, grid = _shared
    return evaluate_unit(table, grid, *unit)


def evaluate_unit(table: RecordTable, grid: Grid, embedder: str, seed: int, n_clusters: int) -> list[dict[str, Any]]:
    """Rows of one training: every ``top_k``, ``beta``, scoring and alpha of the grid over it.

    Args:
        table: records with `RecordTable.encoded` set.
    """
    estimator = RouterEstimator(
        n_clusters, embedder=make_embedder(embedder), random_state=seed, train_ratio=grid.train_ratio
    ).fit(table)
    test = estimator.held_out_
    assert test is not None
    assert test.encoded is not None
    router, alphas = estimator.router_, np.array(grid.alphas, dtype=np.float64)
    vectors = np.ascontiguousarray(test.encoded[:, : router.embedder.dimension])
    single = singles(test)
    answers = dict(zip(test.models, available(test).sum(axis=0).tolist(), strict=True))
    oracle = measure(test, oracle_choices(test, router.artifact.manifest.typical_cost, np.array([1.0])), ["oracle"])
    rows = []
    for scoring, top_k, beta in itertools.product(grid.scoring, grid.top_k, grid.beta):
        changed = msgspec.structs.replace(router.artifact.manifest.settings, top_k=top_k, beta=beta)
        manifest = msgspec.structs.replace(router.artifact.manifest, settings=changed)
        variant = Router(replace(router.artifact, manifest=manifest), embedder=router.embedder)
        chosen = router_choices(variant, test, vectors, alphas, scoring)
        curve = measure(test, chosen, [])
        setting = {"embedder": embedder, "scoring": scoring, "n_clusters": n_clusters, "top_k": top_k, "beta": beta}
        about = {**setting, "seed": seed, **_figures(curve, single, answers, float(oracle.accuracy[0]))}
        for position, alpha in enumerate(grid.alphas):
            counts = np.bincount(chosen[position], minlength=len(test.models)) / len(test)
            rows.append(
                {
                    **about,
                    "alpha": alpha,
                    "accuracy": float(curve.accuracy[position]),
                    "accuracy_queries": float(curve.accuracy_queries[position]),
                    "cost": float(curve.cost[position]),
                    "shares": {test.models[c]: float(counts[c]) for c in np.flatnonzero(counts)},
                }
            )
    return rows


def _figures(curve: Curve, single: Curve, answers: dict[str, int], oracle: float) -> dict[str, float | str | None]:
    """What a curve is worth; a figure that it does not have is None."""
    enough = answered_enough(np.array([answers[label] for label in single.labels]))
    best = int(np.where(enough, single.accuracy, -1).argmax())
    found = curve_figures(curve.cost, curve.accuracy, single.cost, single.accuracy, oracle, enough)
    return {
        **{name: value if math.isfinite(value) else None for name, value in found.items()},
        "best_single": single.labels[best],
        "best_single_accuracy": float(single.accuracy[best]),
        "best_single_cost": float(single.cost[best]),
        "oracle_accuracy": oracle,
    }


def summarize(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each setting: mean and standard deviation over seeds of the figures of its curves, best AUC first.

    A figure that a seed does not have (``cost_save`` where no alpha is as accurate as the best single model) is left
    out of its mean; ``seeds`` counts all.
    """
    curves = {tuple(row[name] for name in (*SETTING, "seed")): row for row in rows}
    settings: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for key, row in curves.items():
        settings.setdefault(key[:-1], []).append(row)
    out = []
    for key, found in settings.items():
        summary: dict[str, Any] = {**dict(zip(SETTING, key, strict=True)), "seeds": len(found)}
        for name in FIGURES:
            values = np.array([row[name] for row in found], dtype=np.float64)
            values = values[np.isfinite(values)]
            summary[name] = float(values.mean()) if len(values) else None
            summary[f"{name}_sd"] = float(values.std()) if len(values) else None
        out.append(summary)
    return sorted(out, key=lambda row: -(row["auc"] or 0))


def by_alpha(rows: Sequence[dict[str, Any]], *names: str) -> tuple[Array, ...]:
    """(a,) alphas, then for each name its (seeds, a) values, from the rows of one setting."""
    alphas = np.array(sorted({row["alpha"] for row in rows}))
    seeds = sorted({row["seed"] for row in rows})
    at = {(row["seed"], row["alpha"]): row for row in rows}
    return alphas, *(np.array([[at[seed, float(a)][name] for a in alphas] for seed in seeds]) for name in names)


def _plain(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without their nested values."""
    return [{k: v for k, v in row.items() if not isinstance(v, dict)} for row in rows]


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Plain rows as CSV, written beside and renamed."""
    plain = _plain(rows)
    beside = path.with_name(f".{path.name}.part")
    with beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(plain[0]) if plain else [])
        writer.writeheader()
        writer.writerows(plain)
    beside.replace(path)


def write_parquet(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Plain rows as Parquet.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError("Parquet", "report") from None
    beside = path.with_name(f".{path.name}.part")
    parquet.write_table(pyarrow.Table.from_pylist(_plain(rows)), beside)
    beside.replace(path)


def load_rows(folder: str | Path) -> list[dict[str, Any]]:
    """The rows of a finished or stopped sweep.

    Raises:
        ValueError: there is none in the folder, or a line of it is no JSON.
    """
    path = Path(folder) / "runs.jsonl"
    if not path.is_file():
        raise ValueError(f"{folder}: no sweep is in this folder (runs.jsonl is missing); make one with avengers sweep")
    return [row for run in _runs(path) for row in run["rows"]]


def _runs(path: Path) -> Iterator[dict[str, Any]]:
    """Lines of the log; a last one that was cut off is left out."""
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            yield json.loads(line)
        except ValueError:
            if number < len(lines):
                raise ValueError(f"{path}: line {number} is no JSON; remove it, and its unit is run again") from None


def _finished(path: Path, identity: str) -> dict[str, list[dict[str, Any]]]:
    if not path.is_file():
        return {}
    finished = {}
    for run in _runs(path):
        if run["identity"] != identity:
            raise ValueError(f"{path}: made from other records, alphas or train_ratio; give another folder")
        finished[run["key"]] = run["rows"]
    kept = "".join(_line(identity, key, rows) for key, rows in finished.items())
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(kept, encoding="utf-8")
    beside.replace(path)  # without a line that was cut off
    return finished


def _identity(table: RecordTable, grid: Grid) -> str:
    """What a sweep's rows may be put together by: the same records, alphas and split."""
    digest = hashlib.sha256()
    for part in (table.scores.tobytes(), table.cost.tobytes(), json.dumps(table.models).encode()):
        digest.update(part)
    digest.update(json.dumps([list(grid.alphas), grid.train_ratio]).encode())
    return digest.hexdigest()[:16]


def _line(identity: str, key: str, rows: list[dict[str, Any]]) -> str:
    return json.dumps({"identity": identity, "key": key, "rows": rows}) + "\n"


def _key(unit: tuple[str, int, int], grid: Grid) -> str:
    return json.dumps([*unit, list(grid.scoring), list(grid.top_k), list(grid.beta)])
