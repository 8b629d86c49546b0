"""What a router over models of 2025 and 2026 is worth, on traffic of many kinds that was kept out of training.

python benchmarks/modern.py [--data DIR] [--seeds 5] [--parts area,transfer,new,hints]

area      Seven pools of models. Scores are averaged over sources, and a cost is relative to the highest mean cost of a
          single model on the same source. Area: mean over log-spaced costs of the best score within the cost, above the
          same of the single models. A source without dollars takes the models' relative costs elsewhere.
transfer  Each model is hidden from each source in turn (a fifth of the models at a time); the error of its expected
          mean score there, in points of score.
new       Each model of the last six months is hidden whole, and expected from its published scores alone, from its
          predecessor alone, or from its price alone. Regret: what is lost in score by choosing, for each source, the
          model that is expected to be best, among it and four others, against choosing with its records.
hints     What is won if a request with tools counts as nearer to agents' tasks than its words alone.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
from avengers_core import Router, RouterEstimator, load_records
from avengers_core.catalog import default_catalog
from avengers_core.embedders.factory import make_embedder
from avengers_core.evaluation import area_under_curve, find_panels, measure, router_choices, singles
from avengers_core.evaluation.curves import cost_range
from avengers_core.records.schema import Record
from avengers_core.records.table import RecordTable
from avengers_core.routing.evidence import Observations, Prior, fit_evidence
from avengers_core.routing.extending import with_models
from avengers_core.routing.manifest import Artifact, PublishedSums
from avengers_core.routing.score_model import ScoreModel, observations
from avengers_core.training.encoding import encode_records
from modern_records import AGENT_RUNS, DATA, TASKS, in_test, one_effort, read_rows

POOLS = {
    "frontier 2025": [
        "deepseek/deepseek-v3.2",
        "google/gemini-3-pro-preview",
        "openai/gpt-5.2",
        "anthropic/claude-opus-4-5",
        "anthropic/claude-sonnet-4-5",
    ],
    "frontier 2026": [
        "google/gemini-3.5-flash",
        "google/gemini-3.1-pro-preview",
        "openai/gpt-5.5",
        "anthropic/claude-opus-4-8",
        "moonshotai/kimi-k2.5",
        "minimax/minimax-m2.5",
    ],
    "open and closed": [
        "moonshotai/kimi-k2.5",
        "minimax/minimax-m2.5",
        "deepseek/deepseek-v3.2",
        "openai/gpt-5.2",
        "anthropic/claude-opus-4-5",
    ],
    "anthropic": [f"anthropic/claude-{name}" for name in ("sonnet-4-5", "sonnet-4-6", "opus-4-5", "opus-4-6")]
    + ["anthropic/claude-opus-4-7", "anthropic/claude-opus-4-8"],
    "openai": ["openai/gpt-5.6-luna", "openai/gpt-5.6-terra", "openai/gpt-5.6-sol"],
    "cheap and expensive": [
        "deepseek/deepseek-v4-pro",
        "google/gemini-3.5-flash",
        "openai/gpt-5.5",
        "anthropic/claude-opus-4-8",
    ],
    "two models": ["deepseek/deepseek-v4-pro", "anthropic/claude-opus-4-8"],
}
BETA = 20.0
#: Test queries that a source needs in a pool, and sources that a pool needs.
MIN_QUERIES, MIN_SOURCES = 9, 3
RATES = np.r_[0, np.geomspace(1e-3, 30, 200)]
FOLDS = 5
#: Day after which a model counts as new.
NEW_SINCE = "2026-02-27"


class Pool(NamedTuple):
    """Test queries that all models of a pool answered, with weights that average over sources."""

    name: str
    models: list[str]
    records: list[Record]
    source: np.ndarray
    sources: list[str]
    score: np.ndarray
    cost: np.ndarray
    weight: np.ndarray

    def point(self, choice: np.ndarray) -> tuple[float, float]:
        """Cost and score of a choice for each query."""
        rows = np.arange(len(self.records))
        return float(self.weight @ self.cost[rows, choice]), float(self.weight @ self.score[rows, choice])


def estimator(seed: int, **changes: object) -> RouterEstimator:
    settings = {"beta": BETA, "min_records": 10, "random_state": seed, "tasks": TASKS} | changes
    return RouterEstimator(**settings)  # type: ignore[arg-type]


def relative_costs(records: Sequence[Record]) -> dict[str, float]:
    """Each model's effect on dollars, whatever it was asked: ``log dollars = source + model``."""
    cells: dict[tuple[str, str], list[float]] = defaultdict(list)
    for record in records:
        for model, usage in record.usages.items():
            if usage is not None and usage.cost_usd:
                cells[str(record.source), model].append(float(np.log(usage.cost_usd)))
    row: dict[str, float] = defaultdict(float)
    effect: dict[str, float] = {model: 0.0 for record in records for model in record.records}
    for _ in range(50):
        rows, columns = defaultdict(list), defaultdict(list)
        for (source, model), logs in cells.items():
            rows[source] += [value - effect[model] for value in logs]
        row = defaultdict(float, {source: float(np.mean(values)) for source, values in rows.items()})
        for (source, model), logs in cells.items():
            columns[model] += [value - row[source] for value in logs]
        effect |= {model: sum(values) / (len(values) + 2) for model, values in columns.items()}
    return {model: float(np.exp(value)) for model, value in effect.items()}


def pools_of(train: Sequence[Record], test: Sequence[Record]) -> Iterator[Pool]:
    relative = relative_costs(train)
    for name, models in POOLS.items():
        part, source_of = [], []
        for source in sorted({str(record.source) for record in test}):
            mine = [r for r in test if r.source == source and all(model in r.records for model in models)]
            if len(mine) >= MIN_QUERIES:
                part += mine
                source_of += [source] * len(mine)
        sources = sorted(set(source_of))
        if len(sources) < MIN_SOURCES:
            continue
        at = np.array([sources.index(source) for source in source_of])
        score = np.array([[float(r.records[model] or 0) for model in models] for r in part])
        cost = np.array([[_dollars(r, model) for model in models] for r in part])
        for code in range(len(sources)):
            mine_cost = cost[at == code]
            if np.isfinite(mine_cost).all():
                cost[at == code] = mine_cost / mine_cost.mean(axis=0).max()
            else:
                cost[at == code] = np.array([relative[m] for m in models]) / max(relative[m] for m in models)
        weight = np.array([1 / (at == code).sum() for code in at]) / len(sources)
        yield Pool(name, list(models), part, at, sources, score, cost, weight)


def _dollars(record: Record, model: str) -> float:
    usage = record.usages.get(model)
    return float(usage.cost_usd) if usage is not None and usage.cost_usd else np.nan


def envelope(points: Sequence[tuple[float, float]], cheapest: tuple[float, float]) -> float:
    """Mean over log-spaced costs, from the cheapest single model's to 1, of the best score within the cost.

    Below the costs that a router comes down to, it has the cheapest single model's score.
    """
    low, floor = cheapest
    ordered = sorted(points)
    grid = np.geomspace(low, 1, 300)
    return float(np.mean([max((s for c, s in ordered if c <= limit), default=floor) for limit in grid]))


def areas(records: list[Record], seeds: int) -> None:
    rows: dict[str, dict[str, list[tuple[float, float, float]]]] = defaultdict(lambda: defaultdict(list))
    for seed in range(seeds):
        train = [record for record in records if not in_test(record.query, seed)]
        test = [record for record in records if in_test(record.query, seed)]
        table = encode_records(load_records(train), make_embedder())
        routers = {
            "utility": estimator(seed).fit(table).router_,
            "utility, records only": estimator(seed, published=False).fit(table).router_,
        }
        for pool in pools_of(train, test):
            singles = [pool.point(np.full(len(pool.records), j)) for j in range(len(pool.models))]
            best, cheapest = max(singles, key=lambda point: point[1]), min(singles)
            curves = {"best model per source": _by_source(pool, train), "oracle": _oracle(pool)}
            curves |= {name: _routed(router, pool) for name, router in routers.items()}
            for name, points in curves.items():
                enough = [cost for cost, score in points if score >= best[1] - 1e-9]
                saved = min(enough) / best[0] - 1 if enough else np.nan
                area = envelope(points, cheapest) - envelope(singles, cheapest)
                rows[name][pool.name].append((area, saved, max(s for _, s in points) - best[1]))
    names = list(next(iter(rows.values())))
    print(f"\nArea above the front of single models, {seeds} seeds\n")
    print(f"| router | {' | '.join(names)} | mean |\n|---|{'---|' * (len(names) + 1)}")
    for name, pools in rows.items():
        means = [float(np.mean([one[0] for one in pools[pool]])) for pool in names]
        print(f"| {name} | {' | '.join(f'{value:+.4f}' for value in means)} | {np.mean(means):+.4f} |")
    print("\nCost at the best single model's score, median over seeds (seeds in which it was reached)\n")
    print(f"| router | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for name, pools in rows.items():
        cells = []
        for pool in names:
            reached = [one[1] for one in pools[pool] if np.isfinite(one[1])]
            cells.append(f"{np.median(reached):+.0%} ({len(reached)})" if reached else "not reached")
        print(f"| {name} | {' | '.join(cells)} |")


def _by_source(pool: Pool, train: Sequence[Record]) -> list[tuple[float, float]]:
    mean = np.array(
        [
            [
                np.mean([float(r.records[m] or 0) for r in train if r.source == source and m in r.records] or [0])
                for m in pool.models
            ]
            for source in pool.sources
        ]
    )
    price = np.array([pool.cost[pool.source == code].mean(axis=0) for code in range(len(pool.sources))])
    return [pool.point((mean - rate * price).argmax(axis=1)[pool.source]) for rate in RATES]


def _oracle(pool: Pool) -> list[tuple[float, float]]:
    return [pool.point((pool.score - rate * pool.cost).argmax(axis=1)) for rate in RATES]


def _routed(router: Router, pool: Pool) -> list[tuple[float, float]]:
    queries = [record.query for record in pool.records]
    alphas = np.linspace(0, 1, 201)
    choices, names = router.choose(router.embed(queries), queries, alphas=alphas, models=pool.models)
    position = np.array([pool.models.index(name) for name in names])
    return [pool.point(position[choice]) for choice in choices]


def transfer(table: RecordTable) -> None:
    """Errors of expected means where a model's answers were hidden; parameters are fitted without them, too."""
    print("\nA model hidden from a source: root mean square error of its expected mean there\n")
    print("| evidence | models of 2 sources or more | of 4 or more |\n|---|---|---|")
    for label, published in (("records of other sources", False), ("and published scores", True)):
        artifact = estimator(0, published=published).fit(table).artifact_
        observed, sources = observations(artifact), artifact.cluster_sources
        k, m = len(artifact.centers), len(artifact.models)
        asked = np.array(
            [[observed.seen[:k][sources == s, j].any() for j in range(m)] for s in range(sources.max() + 1)]
        )
        errors = []
        for source in range(sources.max() + 1):
            rows = np.flatnonzero(sources == source)
            candidates = np.flatnonzero(asked[source] & (asked.sum(axis=0) > 1))
            for fold in range(FOLDS):
                hidden = candidates[fold::FOLDS]
                mean = observed.mean.copy()
                mean[np.ix_(rows, hidden)] = np.nan
                left = Observations(mean, observed.noise)
                model = fit_evidence(left, artifact.row_groups)
                expected, _ = model.cells(left, model.factors(left))
                for column in hidden:
                    own = rows[observed.seen[rows, column]]
                    weight = 1 / observed.noise[own, column]
                    true = np.average(observed.mean[own, column], weights=weight)
                    others = [np.nanmean(observed.mean[rows, j]) for j in np.flatnonzero(asked[source]) if j != column]
                    error = np.average(expected[own, column], weights=weight) - true
                    errors.append((asked[:, column].sum(), error, np.mean(others) - true))
        found = np.array(errors)
        shown = []
        for least in (2, 4):
            kept = found[found[:, 0] >= least]
            error, plain = np.sqrt(np.mean(kept[:, 1:] ** 2, axis=0))
            shown.append(f"{error:.4f} (source mean {plain:.4f}, n {len(kept)})")
        print(f"| {label} | {' | '.join(shown)} |")


def new_models(table: RecordTable) -> None:
    """What is lost by choosing with what is known of a model on its first day."""
    catalog = default_catalog()
    whole = estimator(0).fit(table).artifact_
    recent = [
        name
        for name in whole.models
        if catalog.knows(name) and catalog.entry(name).release >= NEW_SINCE and catalog.price(name) is not None
    ]
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    rng = np.random.default_rng(0)
    for name in recent:
        hidden = estimator(0).fit(table.without([name])).artifact_
        others = [str(other) for other in rng.choice(hidden.models, 4, replace=False)]
        asked = whole.statistics.n_answers[:, whole.models.index(name)] > 0
        sources = {whole.sources[code].name for code in np.unique(whole.cluster_sources[asked])}
        real = _means(whole, [name, *others])
        for label, variant in {"its records": whole, **_variants(hidden, name)}.items():
            expected = real if variant is whole else _means(variant, [name, *others])
            for source in sorted(sources & set(expected)):
                truth, guess = real[source], expected[source]
                regret = truth.max() - truth[guess.argmax()]
                found[label].append((float(guess[0] - truth[0]), float(regret)))
    print(f"\nNew models: each of {len(recent)} models since {NEW_SINCE} hidden whole\n")
    print("| expected from | error of its mean in a source | regret | cases |\n|---|---|---|---|")
    for label, pairs in found.items():
        values = np.array(pairs)
        error = np.sqrt(np.mean(values[:, 0] ** 2))
        print(f"| {label} | {error:.4f} | {values[:, 1].mean():.4f} | {len(values)} |")


def _means(artifact: Artifact, models: list[str]) -> dict[str, np.ndarray]:
    """Expected mean scores of models, by source."""
    expected = ScoreModel(artifact).expected[:, [artifact.models.index(name) for name in models]]
    size, found = artifact.statistics.n_queries, {}
    for code, source in enumerate(artifact.sources):
        rows = artifact.cluster_sources == code
        found[source.name] = np.average(expected[rows], axis=0, weights=size[rows])
    return found


def _variants(hidden: Artifact, name: str) -> dict[str, Artifact]:
    """The artifact with the model expected in different ways."""
    extended = with_models(hidden, [name])
    column = extended.models.index(name)
    published, prior = extended.published, extended.prior
    assert published is not None
    assert prior is not None

    def changed(scores: bool, assumed: bool) -> Artifact:
        count, total = published.count.copy(), published.total.copy()
        mean, variance = prior.mean.copy(), prior.variance.copy()
        if not scores:
            count[:, column] = total[:, column] = 0
        if not assumed:
            mean[column], variance[column] = 0.0, 1.0
        return dataclasses.replace(extended, published=PublishedSums(count, total), prior=Prior(mean, variance))

    by_price = extended.manifest.models[column].assumed_from == "price"
    return {
        "published scores and relatives": changed(True, True),
        "published scores alone": changed(True, False),
        "price alone" if by_price else "predecessor alone": changed(False, True),
        "nothing": changed(False, False),
    }


def hints(records: list[Record], seeds: int) -> None:
    """Whether a request with tools should count as nearer to agents' tasks than its words alone.

    The weights of agents' clusters are multiplied. Queries are cut to their first 40 characters, as a short request to
    an agent would be, or left whole.
    """
    found: dict[tuple[str, int, int], list[tuple[float, float]]] = defaultdict(list)
    for seed in range(seeds):
        train = [record for record in records if not in_test(record.query, seed)]
        router = estimator(seed).fit(encode_records(load_records(train), make_embedder())).router_
        for length in (40, 10**6):
            test = [record for record in records if in_test(record.query, seed)]
            for panel in find_panels(load_records(test), router.models).panels:
                name = ", ".join(panel.sources)
                if not set(panel.sources) & (AGENT_RUNS | {"ctala_es_business"}):
                    continue
                panel.table.queries = [text[:length] for text in panel.table.queries]
                single = singles(panel.table)
                for factor in (1, 3, 10, 50):
                    curve = measure(panel.table, _with_agents(router, panel.table, factor))
                    area = area_under_curve(curve, *cost_range(single)) - area_under_curve(single, *cost_range(single))
                    found[name, length, factor].append((area, float(curve.accuracy[-1])))
    print("\nWeights of agents' clusters multiplied: area above single models, and score at alpha 1\n")
    print("| source | query | 1 (as it is) | 3 | 10 | 50 |\n|---|---|---|---|---|---|")
    for name, length in dict.fromkeys(key[:2] for key in found):
        cells = [np.mean(found[name, length, factor], axis=0) for factor in (1, 3, 10, 50)]
        shown = " | ".join(f"{area:+.4f}, {score:.3f}" for area, score in cells)
        print(f"| {name} | {'whole' if length > 100 else f'{length} characters'} | {shown} |")


def _with_agents(router: Router, table: RecordTable, factor: float) -> np.ndarray:
    """Choices with the weights of agents' clusters multiplied."""
    clusters, agents = router._clusters, router.artifact.agent_runs

    def weigh(vectors: np.ndarray, top_k: int | None, beta: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        weights, nearest, outside = clusters.weigh(vectors, top_k, beta)
        weights = weights * np.where(agents, factor, 1.0)
        return weights / weights.sum(axis=1, keepdims=True), nearest, outside

    changed = Router(router.artifact, embedder=router.embedder)
    changed._clusters = SimpleNamespace(weigh=weigh)  # type: ignore[assignment]
    return router_choices(changed, table, router.embed(table.queries), np.linspace(0, 1, 101))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--parts", default="area,transfer,new,hints")
    arguments = parser.parse_args()
    records = one_effort(read_rows(arguments.data))
    parts = arguments.parts.split(",")
    if "area" in parts:
        areas(records, arguments.seeds)
    if "hints" in parts:
        hints(records, arguments.seeds)
    if {"transfer", "new"} & set(parts):
        table = encode_records(load_records(records), make_embedder())
        if "transfer" in parts:
            transfer(table)
        if "new" in parts:
            new_models(table)


if __name__ == "__main__":
    main()
