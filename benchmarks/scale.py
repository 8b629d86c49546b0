"""Time and peak memory of training against the number of records.

python benchmarks/scale.py [--data DIR] [--sizes 10000,100000,1000000] [--memory 4GiB] [--workers 2]

The larger files repeat mmlupro.train with noise: a few words of each copy are replaced, so that no two queries are
alike. Each size is trained by `avengers train`, whose processes are limited to two threads each, and with --workers
again on a local Dask cluster of so many processes of one thread, whose artifact is compared. Memory is that of all
processes of the training together; what they share is counted once.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from avengers_core import load_artifact

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


def train(source: Path, output: Path, *options: str) -> tuple[float, float]:
    """Seconds and peak GiB of one training."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"), "2")
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "avengers_core.cli", "train", str(source), "-o", str(output), "--quiet", *options],
        env=os.environ | threads,
        stdout=subprocess.DEVNULL,
    )
    peak = 0
    while process.poll() is None:
        peak = max(peak, held(psutil.Process(process.pid)))
        time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"training failed: {process.returncode}")
    return time.perf_counter() - start, peak / 2**30


def held(first: psutil.Process) -> int:
    """Bytes that a process and its children hold (PSS)."""
    total = 0
    with contextlib.suppress(psutil.Error):
        for process in (first, *first.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += process.memory_full_info().pss
    return total


def train_on_workers(source: Path, output: Path, workers: int) -> tuple[float, list[float]]:
    """Seconds of a training on a local cluster, and peak resident GiB of the client and of each worker."""
    from distributed import Client, LocalCluster

    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"), "1"))
    options = {"threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1", "memory_limit": 0}
    with LocalCluster(n_workers=workers, **options) as cluster, Client(cluster) as client:
        seconds, memory = train(source, output, "--scheduler", cluster.scheduler_address)
        peaks = client.run(lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
        return seconds, [memory, *peaks.values()]


def largest_difference(one: Path, other: Path) -> float:
    """Of all arrays of two artifacts, relative to the larger value (1 where it is below 1)."""
    pair = [load_artifact(path) for path in (one, other)]
    arrays = [{"centers": a.centers, **vars(a.statistics), **a.arrays} for a in pair]
    return max(
        float((np.abs(first - arrays[1][name]) / np.maximum(np.abs(first), 1)).max())
        for name, first in arrays[0].items()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--memory", default="")
    parser.add_argument("--workers", type=int, default=0)
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
            seconds, memory = train(file, output, *(("--memory", arguments.memory) if arguments.memory else ()))
            print(f"| {size:,} | {seconds:.1f} | {memory:.2f} | {seconds / size * 1e3:.3f} |", flush=True)
            if arguments.workers:
                seconds, peaks = train_on_workers(file, Path(folder) / "cluster.zip", arguments.workers)
                told = " / ".join(f"{peak:.2f}" for peak in peaks)
                name = f"{size:,} on {arguments.workers} workers (client / workers)"
                print(f"| {name} | {seconds:.1f} | {told} | {seconds / size * 1e3:.3f} |", flush=True)
                difference = largest_difference(output, Path(folder) / "cluster.zip")
                print(f"\nlargest difference of the artifacts: {difference:.1e}")
            file.unlink()


if __name__ == "__main__":
    main()
