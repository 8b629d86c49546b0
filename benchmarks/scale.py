"""Time and peak memory of training against the number of records.

python benchmarks/scale.py [--data DIR] [--sizes 10000,100000,1000000]

The larger files repeat mmlupro.train with noise: each copy's words are shuffled and a few replaced, so that no two
queries are alike. Each size is trained by `avengers train` in a process of its own, limited to two threads.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def write_noisy(source: Path, target: Path, size: int) -> None:
    rng = random.Random(0)
    with gzip.open(source, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    words = [word for row in rows[:200] for word in row["query"].split()]
    with open(target, "w") as file:
        for number in range(size):
            row = rows[number % len(rows)]
            text = row["query"].split(" ")
            if number >= len(rows):
                for _ in range(1 + len(text) // 10):
                    text[rng.randrange(len(text))] = rng.choice(words)
            file.write(json.dumps(row | {"index": str(number), "query": " ".join(text)}) + "\n")


def train(source: Path, output: Path) -> tuple[float, float]:
    """Seconds and peak resident GiB of one training."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"), "2")
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "avengers_core.cli", "train", str(source), "-o", str(output), "--quiet"],
        env=os.environ | threads,
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"training failed: {status}")
    return time.perf_counter() - start, usage.ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--sizes", default="10000,100000,1000000")
    arguments = parser.parse_args()
    source = arguments.data / "mmlupro.train.jsonl.gz"
    print("| records | seconds | peak GiB | ms a record |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "router.zip"
        seconds, memory = train(source, output)
        print(f"| mmlupro.train.jsonl.gz | {seconds:.1f} | {memory:.2f} | |", flush=True)
        for size in map(int, arguments.sizes.split(",")):
            file = Path(folder) / f"{size}.jsonl"
            write_noisy(source, file, size)
            seconds, memory = train(file, output)
            print(f"| {size:,} | {seconds:.1f} | {memory:.2f} | {seconds / size * 1e3:.3f} |", flush=True)
            file.unlink()


if __name__ == "__main__":
    main()
