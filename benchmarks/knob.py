"""How even alpha is, on queries that were kept out of training, with the even and with the fixed exchange.

python benchmarks/knob.py [--data DIR] [--seeds 10] [--parts line,area]

line   Both pools of 2024, whole and as all pairs and triples of models, and the seven pools of `modern.py`; those for
       which the choices at alpha 1 cost more than 1.5 times as much as at alpha 0. Distance: the largest one, over 101
       alphas, between the log of the choices' mean expected cost and the straight line from alpha 0 to 1, as a share
       of the line's rise. Jump: by how many times that cost grows per .05 of alpha, at most. Costs of modern pools are
       relative to what is typical of a query's source, as they are for the router.
area   Share of the way from the single models to the oracle, in area under the curve of accuracy over cost, with 21
       alphas: even less fixed, by seed (200 and on). As in `quality.py`.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np
from avengers_core import Router, RouterEstimator, load_records
from avengers_core.evaluation import area_under_curve, measure, oracle_choices, router_choices, singles
from avengers_core.routing.exchange import EXCHANGES
from modern import BETA, POOLS
from modern_records import AGENT_RUNS, in_test, one_effort, read_rows
from quality import DATA

ALPHAS = np.linspace(0, 1, 101)
#: Times that the choices at alpha 1 cost those at alpha 0, at least.
LEAST_SPAN = 1.5
FIRST_SEED = 200


def relative_costs(router: Router, queries: list[str], vectors: np.ndarray) -> np.ndarray:
    """(n, m) expected costs over what is typical of the query's source, which the worth of a point is relative to."""
    worth = np.array([decision.exchange_rate for decision in router.route_vectors(vectors, queries, alpha=0.5)])
    return router.expect_costs(vectors, queries) / (worth / worth.mean())[:, None]


def way(
    router: Router, queries: list[str], vectors: np.ndarray, costs: np.ndarray, models: list[str], exchange: str
) -> np.ndarray:
    """(101,) log of the mean expected cost of the choices at each alpha."""
    choices, names = router.choose(vectors, queries, alphas=ALPHAS, models=models, exchange=exchange)
    columns = [router.models.index(name) for name in names]
    return np.log(costs[:, columns][np.arange(len(queries)), choices].mean(axis=1))


def unevenness(log_costs: np.ndarray) -> tuple[float, float]:
    """The largest distance from the straight line as a share of its rise, and the largest jump per .05 of alpha."""
    rise = log_costs[-1] - log_costs[0]
    distance = np.abs((log_costs - log_costs[0]) / rise - ALPHAS).max()
    return float(distance), float(np.exp((log_costs[5:] - log_costs[:-5]).max()))


def combinations(router: Router, size: int) -> list[list[str]]:
    """All sets of a router's models of a size."""
    return [[*models] for models in itertools.combinations(router.models, size)]


def line(data: Path) -> None:
    print("| pools | how many | distance, even: median (worst) | fixed: median (worst) | jump, even | jump, fixed |")
    print("|---|---|---|---|---|---|")
    for pool in ("zeroeval", "mmlupro"):
        train, test = load_records(data / f"{pool}.train.jsonl.gz").split(0.7, 0)
        router = RouterEstimator(random_state=0).fit(train).router_
        vectors = router.embed(test.queries)
        costs = relative_costs(router, test.queries, vectors)
        report(f"{pool}, whole", router, test.queries, vectors, costs, [router.models])
        for size in (2, 3):
            report(f"{pool}, {size} models", router, test.queries, vectors, costs, combinations(router, size))
    records = one_effort(read_rows(data / "modern"))
    train = [record for record in records if not in_test(record.query, 0)]
    queries = sorted(
        {record.query for record in records if in_test(record.query, 0) and str(record.source) not in AGENT_RUNS}
    )
    router = RouterEstimator(beta=BETA, min_records=10, random_state=0).fit(train).router_
    vectors = router.embed(queries)
    costs = relative_costs(router, queries, vectors)
    for name, models in POOLS.items():
        report(f"modern, {name}", router, queries, vectors, costs, [models])


def report(
    name: str, router: Router, queries: list[str], vectors: np.ndarray, costs: np.ndarray, pools: list[list[str]]
) -> None:
    ways = [{e: way(router, queries, vectors, costs, models, e) for e in EXCHANGES} for models in pools]
    ways = [one for one in ways if np.ptp(one["even"]) > np.log(LEAST_SPAN)]
    if not ways:
        print(f"| {name} | 0 | | | | |")
        return
    found = {exchange: np.array([unevenness(one[exchange]) for one in ways]) for exchange in EXCHANGES}
    cells = [f"{np.median(d):.2f} ({d.max():.2f})" for d in (found[exchange][:, 0] for exchange in EXCHANGES)]
    cells += [f"{found[exchange][:, 1].max():.1f}" for exchange in EXCHANGES]
    print(f"| {name} | {len(ways)} | {' | '.join(cells)} |", flush=True)


def area(data: Path, seeds: int) -> None:
    alphas = np.linspace(0, 1, 21)
    for pool in ("zeroeval", "mmlupro"):
        gains = []
        for seed in range(FIRST_SEED, FIRST_SEED + seeds):
            train, test = load_records(data / f"{pool}.train.jsonl.gz").split(0.7, seed)
            router = RouterEstimator(random_state=seed).fit(train).router_
            vectors = router.embed(test.queries)
            single = singles(test)
            low, high = float(single.cost_usd.min()), float(single.cost_usd.max())
            scale = router.artifact.manifest.typical_cost
            start = area_under_curve(single, low, high)
            end = area_under_curve(measure(test, oracle_choices(test, scale, ALPHAS), []), low, high)
            shares = {}
            for exchange in EXCHANGES:
                chosen = router_choices(router, test, vectors, alphas, exchange=exchange)
                shares[exchange] = (area_under_curve(measure(test, chosen, []), low, high) - start) / (end - start)
            gains.append((shares["even"] - shares["fixed"], shares["even"]))
        by_seed = ", ".join(f"{gain:+.4f}" for gain, _ in gains)
        mean, share = np.mean(gains, axis=0)
        print(f"{pool}: share of the way to the oracle {share:.4f} with even, {mean:+.4f} above fixed; {by_seed}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--parts", default="line,area")
    arguments = parser.parse_args()
    parts = arguments.parts.split(",")
    if "line" in parts:
        line(arguments.data)
    if "area" in parts:
        area(arguments.data, arguments.seeds)


if __name__ == "__main__":
    main()
