"""Many calls at a time for a long time, sync and async, over models that fail: what is lost, what is left, what grows.

python scripts/soak.py [--seconds 300] [--concurrency 200] [--json]

Half of the calls at a time are made by threads (`invoke`, `stream`), half by tasks of one event loop (`ainvoke`, `astream`).
The models are a local server in a process of its own; a fifth of its answers are faults: 429, 500, closed connections, broken
JSON, streams that break off, late answers. Ends with 1 where a ledger row is lost, a thread or a connection is left, or
memory grows by more than 10% and 16 MiB between the second fifth of the time and the last.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from avengers_core.dispatch.call import Attempt
from langchain_openai import ChatOpenAI
from llama_index.llms.openai import OpenAI

from avengers_langchain import ChatAvengers
from avengers_llamaindex import AvengersLLM
from tests.support.llm_server import BAD_ANSWERS, BIG, MINI, llm_server

FAULTS = [429, 500, "drop", "garbage", "drop_mid", "timeout", "trickle", *BAD_ANSWERS]


def serve(pipe: Any) -> None:
    """The server: its address first, then, when asked, how many requests it saw."""
    with llm_server() as server:
        server.random_faults(0.2, FAULTS)  # type: ignore[arg-type]
        pipe.send(server.url)
        pipe.recv()
        pipe.send(sum(server.asked.values()))
        pipe.recv()


def resident() -> float:
    """Resident MiB of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def sockets() -> int:
    """Open sockets of this process."""
    return sum("socket:" in _link(fd) for fd in Path("/proc/self/fd").iterdir())


def _link(fd: Path) -> str:
    try:
        return os.readlink(fd)
    except OSError:
        return ""


class Load:
    """Callers that ask until the time is over."""

    def __init__(self, llm: ChatAvengers, other: AvengersLLM, end: float) -> None:
        self.llm, self.other, self.end = llm, other, end
        self.done: Counter[str] = Counter()
        self._lock = threading.Lock()

    def _count(self, name: str) -> None:
        with self._lock:
            self.done[name] += 1

    def sync_caller(self, number: int) -> None:
        ways = (
            lambda text: self.llm.invoke(text),
            lambda text: list(self.llm.stream(text)),
            lambda text: self.other.complete(text),
        )
        turn = 0
        while time.monotonic() < self.end:
            turn += 1
            try:
                ways[(number + turn) % len(ways)](f"What is {number} + {turn % 97}?")
                self._count("answered")
            except Exception as error:
                self._count(type(error).__name__)

    async def async_caller(self, number: int) -> None:
        async def stream(text: str) -> None:
            async for _ in self.llm.astream(text):
                pass

        ways: Any = (self.llm.ainvoke, stream, self.other.acomplete)
        turn = 0
        while time.monotonic() < self.end:
            turn += 1
            try:
                await ways[(number + turn) % len(ways)](f"What is {number} + {turn % 97}?")
                self._count("answered")
            except Exception as error:
                self._count(type(error).__name__)


def count_attempts() -> list[int]:
    """A count of the attempts that begin from now on, whatever the ledger says of them."""
    count, lock, enter = [0], threading.Lock(), Attempt.__enter__

    def counted(self: Attempt[Any]) -> Attempt[Any]:
        with lock:
            count[0] += 1
        return enter(self)

    Attempt.__enter__ = counted  # type: ignore[method-assign]
    return count


def clients(url: str) -> tuple[dict[str, ChatOpenAI], dict[str, OpenAI]]:
    chat = {
        name: ChatOpenAI(model=name, base_url=f"{url}/v1", api_key="k", max_retries=0, timeout=2.0)  # type: ignore[arg-type]
        for name in (MINI, BIG)
    }
    plain = {
        name: OpenAI(model=name, api_base=f"{url}/v1", api_key="k", max_retries=0, timeout=2.0) for name in (MINI, BIG)
    }
    return chat, plain


def soak(seconds: float, concurrency: int, folder: Path) -> dict[str, Any]:
    """Figures of one soak."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    chat, plain = clients(ours.recv())
    ledger = folder / "ledger.sqlite"
    llm = ChatAvengers(models=chat, ledger=ledger, cooldown=0.01, alpha=0.5)
    other = AvengersLLM(models=plain, ledger=ledger, cooldown=0.01, alpha=0.5)
    llm.route("warm up")
    # Clients keep idle connections for the next call: they are closed in the end, to see what else is left.
    quiet: list[Any] = [other.dispatcher.pool.get(name).client for name in plain]
    gc.collect()
    before = {"threads": threading.active_count(), "sockets": sockets()}
    attempts = count_attempts()
    load = Load(llm, other, time.monotonic() + seconds)
    memory: list[tuple[float, float]] = []
    start = time.monotonic()

    def watch() -> None:
        while time.monotonic() < load.end:
            memory.append((time.monotonic() - start, resident()))
            time.sleep(min(1.0, seconds / 60))

    callers = [threading.Thread(target=load.sync_caller, args=(n,)) for n in range(concurrency // 2)]
    callers.append(threading.Thread(target=watch))
    for thread in callers:
        thread.start()

    async def run() -> None:
        await asyncio.gather(*(load.async_caller(n) for n in range(concurrency - concurrency // 2)))
        for model in chat.values():
            await model.root_async_client.close()
        for one in quiet:
            await one._get_aclient().close()

    asyncio.run(run())
    for thread in callers:
        thread.join()
    for model in chat.values():
        model.root_client.close()
    for one in quiet:
        one._get_client().close()
    ours.send("how many?")
    asked = ours.recv()
    store = llm.spending
    assert store is not None
    rows = sum(1 for _ in store.entries())
    store.close()
    if other.spending is not None:
        other.spending.close()
    ours.send("bye")
    server.join(10)
    ours.close()
    theirs.close()
    gc.collect()
    deadline = time.monotonic() + 10
    while (left := threading.active_count() - before["threads"]) > 0 and time.monotonic() < deadline:
        time.sleep(0.1)
    times, sizes = np.array(memory).T
    fifths = [float(np.median(sizes[(times >= seconds * f / 5) & (times < seconds * (f + 1) / 5)])) for f in (1, 4)]
    return {
        "seconds": seconds,
        "concurrency": concurrency,
        "calls": sum(load.done.values()),
        "outcomes": dict(load.done),
        "requests": asked,
        "ledger_rows": rows,
        "attempts": attempts[0],
        "lost_rows": attempts[0] - rows,
        "threads_left": max(0, left),
        "sockets_left": max(0, sockets() - before["sockets"]),
        "memory_mib": {"second_fifth": fifths[0], "last_fifth": fifths[1], "peak": float(sizes.max())},
        "flat": fifths[1] - fifths[0] < max(16.0, 0.1 * fifths[0]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--concurrency", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        told = soak(arguments.seconds, arguments.concurrency, Path(folder))
    print(json.dumps(told, indent=1))
    fine = not (told["lost_rows"] or told["threads_left"] or told["sockets_left"]) and told["flat"]
    sys.stdout.flush()
    raise SystemExit(0 if fine else 1)


if __name__ == "__main__":
    main()
