"""How much of a new model's gain `update_artifact` recovers from 50 of its records, and how random rows do.

python benchmarks/new_model.py [--data DIR] [--seeds 10,11,12,13,14] [--rows 50] [--draws 3] [--pools mmlupro,zeroeval]

Each model is hidden in turn. AUC0: the router without it; AUC1: with all its training records; AUC50: the first,
updated with 50 of its records, chosen by `choose_questions` (it sees the other models' scores only) or at random; or
with chosen ones beside published scores, its mean in each dataset, off by a standard deviation of .03.
Recovered: the sum of AUC50 - AUC0 over the sum of AUC1 - AUC0.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from avengers_core import Router, RouterEstimator, load_records
from avengers_core.catalog import Catalog, default_catalog
from avengers_core.collecting.selection import choose_questions
from avengers_core.embedders.base import embed_all
from avengers_core.embedders.factory import make_embedder
from avengers_core.evaluation import area_under_curve, measure, router_choices, singles
from avengers_core.records.table import RecordTable
from avengers_core.training.encoding import encode_records
from avengers_core.training.updating import update_artifact

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
#: Models that gain less say nothing of how much is recovered.
LEAST_GAIN = 0.002
#: Standard deviation of a published mean about the model's mean in the records.
PUBLISHED_ERROR = 0.03


def measure_pool(path: Path, seeds: list[int], count: int, draws: int) -> dict[str, dict[str, list[float]]]:
    """AUC gains by model: with all records, with chosen and with random ones."""
    table = encode_records(load_records(path), make_embedder())
    alphas = np.linspace(0, 1, 101)
    gains: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for seed in seeds:
        train, test = table.split(0.7, seed)
        full = RouterEstimator(random_state=seed).fit(train)
        vectors = embed_all(full.router_.embedder, test.queries)
        single = singles(test)
        low, high = float(single.cost_usd.min()), float(single.cost_usd.max())

        def area(
            router: Router,
            test=test,
            vectors=vectors,
            low=low,
            high=high,
        ) -> float:
            choices = router_choices(router, test, vectors, alphas, "utility")
            return area_under_curve(measure(test, choices, []), low, high)

        catalog = with_published_means(train, seed)
        whole = area(full.router_)
        assert train.encoded is not None
        for column, model in enumerate(train.models):
            base = RouterEstimator(random_state=seed).fit(train.without([model]))
            before = area(base.router_)
            gains[model]["all"].append(whole - before)
            asked = np.flatnonzero(np.isfinite(train.scores[:, column]))
            known = np.delete(train.scores[asked], column, axis=1)
            places = train.encoded[asked, : base.router_.embedder.dimension]
            linked = RouterEstimator(random_state=seed, catalog=catalog).fit(train.without([model])).artifact_
            for kind in ("chosen", "random", "published"):
                found = []
                for draw in range(draws):
                    rng = np.random.default_rng(100 * seed + draw)
                    rows = (
                        choose_questions(known, places, count, 100 * seed + draw)
                        if kind != "random"
                        else rng.choice(len(asked), count, replace=False)
                    )
                    new = train.rows(asked[rows]).without([name for name in train.models if name != model])
                    artifact = linked if kind == "published" else base.artifact_
                    updated = update_artifact(artifact, new, catalog=catalog if kind == "published" else None)
                    found.append(area(Router(updated)) - before)
                gains[model][kind].append(float(np.mean(found)))
    return gains


def with_published_means(table: RecordTable, seed: int) -> Catalog:
    """A catalogue in which each model has a published score in each dataset: its mean there, somewhat off."""
    rng = np.random.default_rng(seed)
    scores = []
    for code, dataset in enumerate(table.datasets):
        means = np.nanmean(table.scores[table.dataset == code], axis=0)
        for model, mean in zip(table.models, means, strict=True):
            if np.isfinite(mean):
                score = float(np.clip(mean + rng.normal(0, PUBLISHED_ERROR), 0, 1))
                scores.append({"model": model, "benchmark": f"{dataset} as published", "score": score})
    return default_catalog().with_overrides(published=scores)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--seeds", default="10,11,12,13,14")
    parser.add_argument("--rows", type=int, default=50)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--pools", default="mmlupro,zeroeval")
    arguments = parser.parse_args()
    seeds = [int(one) for one in arguments.seeds.split(",")]
    for pool in arguments.pools.split(","):
        gains = measure_pool(arguments.data / f"{pool}.train.jsonl.gz", seeds, arguments.rows, arguments.draws)
        mean = {m: {kind: float(np.mean(v)) for kind, v in by.items()} for m, by in gains.items()}
        print(f"\n{pool}, {arguments.rows} rows, seeds {arguments.seeds}, {arguments.draws} draws\n")
        print("| model | gain of all records | chosen rows | random rows | chosen, published |\n|---|---|---|---|---|")
        for model, one in sorted(mean.items(), key=lambda item: -item[1]["all"]):
            kinds = ("all", "chosen", "random", "published")
            print(f"| {model} | {' | '.join(f'{one[kind]:+.4f}' for kind in kinds)} |")
        for name, wanted in (("models that gain", LEAST_GAIN), ("all models", -1.0)):
            some = [one for one in mean.values() if one["all"] > wanted]
            total = sum(one["all"] for one in some)
            shares = {kind: sum(one[kind] for one in some) / total for kind in kinds[1:]}
            print(f"\nrecovered, {name}: {', '.join(f'{kind} {share:.1%}' for kind, share in shares.items())}")


if __name__ == "__main__":
    main()
