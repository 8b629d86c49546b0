"""Area under the accuracy-cost curve over 5 splits of the training files, both pools.

python benchmarks/quality.py [--data DIR] [--seeds 5] [--alphas 101]

Each training file is split 70/30 by dataset; every router chooses among the models whose answer is recorded, along the
same alphas, and is judged at the recorded dollars. AUC: see `avengers_core.evaluation.area_under_curve`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from avengers_core import RouterEstimator, load_records
from avengers_core.embedders.base import embed_all
from avengers_core.embedders.factory import make_embedder
from avengers_core.evaluation import (
    area_under_curve,
    knn_choices,
    measure,
    oracle_choices,
    router_choices,
    singles,
)

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
AVERAGES = ("datasets", "queries")


def areas(path: Path, seed: int, alphas: np.ndarray) -> dict[str, list[float]]:
    """AUC by router, over datasets and over queries."""
    train, test = load_records(path).split(0.7, seed)
    embedder = make_embedder()
    vectors, train_vectors = embed_all(embedder, test.queries), embed_all(embedder, train.queries)
    utility = RouterEstimator(random_state=seed).fit(train).router_
    reference = RouterEstimator(25, random_state=seed, scoring="reference").fit(train).router_
    scale = utility.artifact.manifest.typical_cost
    single = singles(test)
    curves = {
        "single models": single,
        "reference, k 25": measure(test, router_choices(reference, test, vectors, alphas, "reference"), []),
        "kNN 100": measure(test, knn_choices(train, train_vectors, test, vectors, scale, alphas), []),
        "utility": measure(test, router_choices(utility, test, vectors, alphas, "utility"), []),
        "oracle": measure(test, oracle_choices(test, scale, alphas), []),
    }
    low, high = float(single.cost_usd.min()), float(single.cost_usd.max())
    return {name: [area_under_curve(c, low, high, over=over) for over in AVERAGES] for name, c in curves.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--alphas", type=int, default=101)
    arguments = parser.parse_args()
    alphas = np.linspace(0, 1, arguments.alphas)
    for pool in ("zeroeval", "mmlupro"):
        runs = [areas(arguments.data / f"{pool}.train.jsonl.gz", seed, alphas) for seed in range(arguments.seeds)]
        table = {name: np.array([run[name] for run in runs]) for name in runs[0]}
        start, end = table["single models"].mean(axis=0), table["oracle"].mean(axis=0)
        print(f"\n{pool}, {arguments.seeds} seeds, {arguments.alphas} alphas\n")
        print("| router | AUC over datasets (sd) | gap closed | AUC over queries (sd) | gap closed |")
        print("|---|---|---|---|---|")
        for name, values in table.items():
            mean, sd = values.mean(axis=0), values.std(axis=0)
            closed = (mean - start) / (end - start)
            cells = (f"{mean[i]:.4f} ({sd[i]:.4f}) | {closed[i]:.1%}" for i in range(2))
            print(f"| {name} | {' | '.join(cells)} |")
        for name in ("reference, k 25", "kNN 100"):
            gains = (table["utility"] - table[name])[:, 0]
            by_seed = ", ".join(f"{gain:+.4f}" for gain in gains)
            print(f"\nutility above {name}: mean {gains.mean():+.4f}, by seed {by_seed}")


if __name__ == "__main__":
    main()
