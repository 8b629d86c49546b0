"""What ChatAvengers adds to a call, beside RunnableWithFallbacks and litellm's Router, against one local server.

    python benchmarks/overhead.py [--rounds 300]

Needs: pip install -e '.[all]' --group dev litellm. All are measured in turns within one run; look at differences and
ratios, not at the times themselves.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
from langchain_openai import ChatOpenAI
from rich.console import Console
from rich.table import Table

from avengers_langchain import ChatAvengers

ROOT = Path(__file__).resolve().parents[1]
MINI, BIG = "gpt-4o-mini-2024-07-18", "gpt-4o-2024-08-06"


def percentiles(seconds: list[float]) -> tuple[float, float]:
    return float(np.percentile(seconds, 50) * 1e3), float(np.percentile(seconds, 99) * 1e3)


def shuffled(contenders: dict[str, Any]) -> list[tuple[str, Any]]:
    """A new order each round: who comes after whom matters by a fifth of a millisecond."""
    return random.sample(list(contenders.items()), len(contenders))


def in_turns(contenders: dict[str, Callable[[int], Any]], rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 10):
        for name, call in shuffled(contenders):
            start = time.perf_counter()
            call(number)
            if number >= 10:
                times[name].append(time.perf_counter() - start)
    return times


async def in_turns_async(contenders: dict[str, Callable[[int], Awaitable[Any]]], rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 2):
        for name, call in shuffled(contenders):
            start = time.perf_counter()
            await call(number)
            if number >= 2:
                times[name].append(time.perf_counter() - start)
    return times


def litellm_router(url: str) -> Any:
    import litellm

    litellm.suppress_debug_info = True
    deployment = {"model": f"openai/{MINI}", "api_base": f"{url}/v1", "api_key": "sk-none"}
    spare = {**deployment, "model": f"openai/{BIG}"}
    return litellm.Router(
        model_list=[
            {"model_name": "main", "litellm_params": deployment},
            {"model_name": "spare", "litellm_params": spare},
        ],
        fallbacks=[{"main": ["spare"]}],
        num_retries=0,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=300)
    rounds = parser.parse_args().rounds
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.llm_server"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout
    url = server.stdout.readline().strip()
    try:
        measure(url, rounds)
    finally:
        server.kill()


def measure(url: str, rounds: int) -> None:
    def client(name: str) -> ChatOpenAI:
        return ChatOpenAI(model=name, base_url=f"{url}/v1", api_key="sk-none", max_retries=0, stream_usage=True)

    inner = client(MINI)
    folder = tempfile.mkdtemp()
    models: dict[str, Any] = {
        "inner model": inner,
        "RunnableWithFallbacks": inner.with_fallbacks([client(BIG)]),
        "ChatAvengers": ChatAvengers(models={MINI: client(MINI), BIG: client(BIG)}, alpha=0),
        "ChatAvengers, ledger": ChatAvengers(
            models={MINI: client(MINI), BIG: client(BIG)}, alpha=0, ledger=f"{folder}/ledger.sqlite"
        ),
    }
    router = litellm_router(url)

    def ask(number: int) -> str:
        return f"What is {number} plus {number}? Think about it."

    def said(number: int) -> list[dict[str, str]]:
        return [{"role": "user", "content": ask(number)}]

    def first(model: Any) -> Callable[[int], Any]:
        def call(number: int) -> Any:
            stream = model.stream(ask(number))
            chunk = next(c for c in stream if c.text)
            stream.close()
            return chunk

        return call

    def litellm_first(number: int) -> Any:
        stream = router.completion("main", said(number), stream=True)
        return next(c for c in stream if c.choices and c.choices[0].delta.content)

    async def litellm_many(n: int, number: int) -> None:
        await asyncio.gather(*(router.acompletion("main", said(number * n + i)) for i in range(n)))

    def many(model: Any, n: int) -> Callable[[int], Awaitable[Any]]:
        async def call(number: int) -> None:
            await asyncio.gather(*(model.ainvoke(ask(number * n + i)) for i in range(n)))

        return call

    results: dict[str, dict[str, list[float]]] = {}
    invoke: dict[str, Callable[[int], Any]] = {
        name: lambda n, model=model: model.invoke(ask(n)) for name, model in models.items()
    }
    invoke["litellm.Router"] = lambda n: router.completion("main", said(n))
    results["invoke"] = in_turns(invoke, rounds)
    firsts = {name: first(model) for name, model in models.items()}
    results["stream, first token"] = in_turns({**firsts, "litellm.Router": litellm_first}, rounds)
    batches: dict[str, Callable[[int], Any]] = {
        name: lambda n, model=model: model.batch([ask(n * 100 + i) for i in range(100)])
        for name, model in models.items()
    }
    results["batch of 100"] = in_turns(batches, max(10, rounds // 20))
    concurrent = {name: many(model, 100) for name, model in models.items()}
    concurrent["litellm.Router"] = lambda n: litellm_many(100, n)
    results["100 concurrent (async)"] = asyncio.run(in_turns_async(concurrent, max(10, rounds // 20)))

    for what, times in results.items():
        table = Table(title=f"{what}: ms", title_justify="left")
        for column in ("", "p50", "p99", "p50 over the inner model", "ratio of p50"):
            table.add_column(column, justify="left" if not column else "right")
        base = percentiles(times["inner model"])[0]
        for name, seconds in times.items():
            p50, p99 = percentiles(seconds)
            table.add_row(name, f"{p50:.2f}", f"{p99:.2f}", f"{p50 - base:+.2f}", f"{p50 / base:.2f}")
        Console().print(table)


if __name__ == "__main__":
    main()
