"""How many answers of a new model bring 90% of what all of its records bring: adaptive, stratified and random ones.

python benchmarks/calibrate.py [--data DIR] [--seeds 10,11] [--pools mmlupro,zeroeval] [--counts 10,20,35,50,100,200]

Each model is hidden in turn; the questions are the recorded ones, and the answers too. AUC0: the router without it;
AUC1: with all its training records; AUC(n): the first, updated with n of them. Adaptive: in the cluster where answers
are worth most to the router's choices at alpha .3, .5, .7 and .9 (`avengers_core.calibrating`), six at a time.
Stratified: clusters in proportion to their size. Published: its mean in each dataset, off by a standard deviation of
.03, is known before. Recovered: the sum of AUC(n) - AUC0 over the sum of AUC1 - AUC0, over the models that gain.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
from avengers_core import Router, RouterEstimator, load_records
from avengers_core.calibrating.beliefs import Beliefs, Targets
from avengers_core.calibrating.choosing import choose_cells
from avengers_core.calibrating.router_beliefs import beliefs_of_clusters
from avengers_core.embedders.base import embed_all
from avengers_core.embedders.factory import make_embedder
from avengers_core.evaluation import area_under_curve, measure, router_choices, singles
from avengers_core.records.table import RecordTable
from avengers_core.routing.extending import with_models
from avengers_core.routing.manifest import Artifact
from avengers_core.training.encoding import encode_records
from avengers_core.training.updating import update_artifact
from new_model import DATA, LEAST_GAIN, with_published_means

ALPHAS = (0.3, 0.5, 0.7, 0.9)
STRATEGIES = ("adaptive", "stratified", "random")


def beliefs_at_all_alphas(router: Router, model: str, models: list[str]) -> Beliefs:
    each = [beliefs_of_clusters(router, model, models, alpha) for alpha in ALPHAS]
    targets = Targets(
        np.concatenate([one.targets.design for one in each]),
        np.concatenate([one.targets.offset for one in each]),
        np.concatenate([one.targets.weight for one in each]) / len(each),
    )
    return replace(each[0], targets=targets)


def order_of_questions(
    strategy: str, artifact: Artifact, model: str, table: RecordTable, scores: np.ndarray, count: int, seed: int
) -> list[int]:
    """Rows of the table, in the order in which the model is asked."""
    rng = np.random.default_rng(seed)
    if strategy == "random":
        return rng.permutation(len(table))[:count].tolist()
    router = Router(artifact)
    assert table.encoded is not None
    vectors = table.encoded[:, : router.embedder.dimension]
    labels = (vectors @ artifact.centers.T - 0.5 * (artifact.centers**2).sum(axis=1)).argmax(axis=1)
    waiting = {cell: rng.permutation(np.flatnonzero(labels == cell)).tolist() for cell in range(len(artifact.centers))}
    order: list[int] = []
    if strategy == "stratified":
        place = {row: (rank + rng.random()) / len(rows) for rows in waiting.values() for rank, row in enumerate(rows)}
        return sorted(place, key=lambda row: place[row])[:count]
    beliefs, tried = beliefs_at_all_alphas(router, model, artifact.models), np.zeros((1, len(waiting)))
    sizes = np.maximum(np.bincount(labels, minlength=len(waiting)) / len(labels) * len(waiting), 0.1)
    while len(order) < count:
        left = np.array([[len(waiting[cell]) for cell in range(len(artifact.centers))]])
        chosen = choose_cells(beliefs, left, 6, tried) or [(0, int(np.where(left > 0, tried, np.inf).argmin()))]
        for _, cell in chosen:
            row = waiting[cell].pop()
            order.append(row)
            tried[0, cell] += 1 / sizes[cell]
            beliefs = beliefs.observe(0, cell, float(scores[row]))
    return order[:count]


def measure_pool(path: Path, seeds: list[int], counts: list[int]) -> dict[tuple[str, bool], dict[int, float]]:
    """Share of the gain that is recovered, by strategy, whether published scores are known, and number of answers."""
    table = encode_records(load_records(path), make_embedder())
    alphas = np.linspace(0, 1, 101)
    gained: dict[tuple[str, bool], dict[int, float]] = defaultdict(lambda: defaultdict(float))
    total = 0.0
    for seed in seeds:
        train, test = table.split(0.7, seed)
        full = RouterEstimator(random_state=seed).fit(train)
        vectors = embed_all(full.router_.embedder, test.queries)
        single = singles(test)
        low, high = float(single.cost_usd.min()), float(single.cost_usd.max())

        def area(router: Router, test=test, vectors=vectors, low=low, high=high) -> float:
            return area_under_curve(
                measure(test, router_choices(router, test, vectors, alphas, "utility"), []), low, high
            )

        catalog = with_published_means(train, seed)
        whole = area(full.router_)
        for column, model in enumerate(train.models):
            hidden = train.without([model])
            before = area(RouterEstimator(random_state=seed).fit(hidden).router_)
            gain = whole - before
            if gain <= LEAST_GAIN:
                continue
            total += gain
            asked = np.flatnonzero(np.isfinite(train.scores[:, column]))
            own = train.rows(asked).without([name for name in train.models if name != model])
            for known in (False, True):
                base = RouterEstimator(random_state=seed, catalog=catalog if known else None).fit(hidden).artifact_
                artifact = with_models(base, [model], catalog if known else None, strict=False)
                for strategy in STRATEGIES:
                    order = order_of_questions(
                        strategy, artifact, model, own, own.scores[:, 0], max(counts), 100 * seed + column
                    )
                    for count in counts:
                        rows = own.rows(np.array(order[:count]))
                        updated = update_artifact(base, rows, catalog=catalog if known else None)
                        gained[strategy, known][count] += area(Router(updated)) - before
            print(".", end="", flush=True)
    print()
    return {key: {count: value / total for count, value in by.items()} for key, by in gained.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--seeds", default="10,11")
    parser.add_argument("--pools", default="mmlupro,zeroeval")
    parser.add_argument("--counts", default="10,20,35,50,100,200")
    arguments = parser.parse_args()
    seeds = [int(one) for one in arguments.seeds.split(",")]
    counts = [int(one) for one in arguments.counts.split(",")]
    for pool in arguments.pools.split(","):
        shares = measure_pool(arguments.data / f"{pool}.train.jsonl.gz", seeds, counts)
        print(f"\n{pool}, seeds {arguments.seeds}: share of the gain of all records that n answers recover\n")
        print(f"| questions | published scores | {' | '.join(map(str, counts))} |\n|---|---|{'---|' * len(counts)}")
        for (strategy, known), by in shares.items():
            cells = " | ".join(f"{by[count]:.0%}" for count in counts)
            print(f"| {strategy} | {'known' if known else 'not known'} | {cells} |")


if __name__ == "__main__":
    main()
