"""Time of a route on top of its embedding, on real queries, with the packaged artifact.

python benchmarks/speed.py [--data DIR]

Ratios compare two things timed alternately in one process; absolute times are this machine's.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from avengers_core import Router, load_records
from avengers_core.embedders.base import embed_all

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def alternately(first: Callable[[], object], second: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Medians of both, timed in turn."""
    times = [(seconds(first), seconds(second)) for _ in range(repeats)]
    one, two = np.median(times, axis=0)
    return float(one), float(two)


def fresh(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    queries = load_records(parser.parse_args().data / "mmlupro.train.jsonl.gz").queries
    router = Router.load()

    turn = itertools.cycle(queries)
    current = [next(turn)]

    def embed() -> None:
        current[0] = next(turn)
        embed_all(router.embedder, current)

    for text in queries[:200]:
        router.route(text)
    one, whole = alternately(embed, lambda: router.route(current[0], alpha=0.4), 3000)
    print(f"route, p50: {whole * 1e6:.0f} us; its embedding {one * 1e6:.0f} us; ratio {whole / one:.2f}")

    many = list(itertools.islice(turn, 10_000))
    one, whole = alternately(lambda: embed_all(router.embedder, many), lambda: router.route_many(many, alpha=0.4), 5)
    print(f"route_many, 10,000 queries: {whole:.2f} s; their embedding {one:.2f} s; ratio {whole / one:.2f}")

    timed = "import time; t = time.perf_counter(); "
    loads = [
        float(fresh(f"from avengers_core import Router; {timed}Router.load(); print(time.perf_counter() - t)"))
        for _ in range(7)
    ]
    print(f"Router.load(), with its embedder, fresh process: median {np.median(loads):.3f} s, worst {max(loads):.3f} s")
    imports = [float(fresh(f"{timed}import avengers_core; print(time.perf_counter() - t)")) for _ in range(7)]
    print(f"import avengers_core: median {np.median(imports) * 1e3:.1f} ms")
    heavy = "[m for m in ('sklearn', 'scipy', 'tiktoken', 'genai_prices', 'httpx') if m in sys.modules]"
    code = f"import sys; from avengers_core import Router; Router.load().route('hi'); print({heavy})"
    print(f"heavy modules after a route: {fresh(code)}")


if __name__ == "__main__":
    main()
