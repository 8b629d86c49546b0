"""What ChatAvengers and AvengersLLM add to a call, beside RunnableWithFallbacks and litellm's Router.

    python benchmarks/overhead.py [--rounds 300]

Needs: pip install -e '.[all]' --group dev litellm. All ask one local server, measured in turns within one run; look
at differences and ratios, not at the times themselves.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import numpy as np
from langchain_openai import ChatOpenAI
from paired import BIG, MINI, answering_server
from rich.console import Console
from rich.table import Table

from avengers_langchain import ChatAvengers


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
            rest = call(number)
            if number >= 10:
                times[name].append(time.perf_counter() - start)
            if isinstance(rest, Iterator):
                list(rest)
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
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it asks the network for prices
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
    with answering_server() as url:
        measure(url, rounds)


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

    results |= measure_llamaindex(url, rounds, ask)
    for what, times in results.items():
        table = Table(title=f"{what}: ms", title_justify="left")
        for column in ("", "p50", "p99", "p50 over the inner model", "ratio of p50"):
            table.add_column(column, justify="left" if not column else "right")
        base = percentiles(times["inner model"])[0]
        for name, seconds in times.items():
            p50, p99 = percentiles(seconds)
            table.add_row(name, f"{p50:.2f}", f"{p99:.2f}", f"{p50 - base:+.2f}", f"{p50 / base:.2f}")
        Console().print(table)


def measure_llamaindex(url: str, rounds: int, ask: Callable[[int], str]) -> dict[str, dict[str, list[float]]]:
    from llama_index.llms.openai import OpenAI

    from avengers_llamaindex import AvengersLLM

    def client(name: str) -> Any:
        return OpenAI(model=name, api_base=f"{url}/v1", api_key="sk-none", max_retries=0)

    def pool() -> dict[str, Any]:
        return {MINI: client(MINI), BIG: client(BIG)}

    models: dict[str, Any] = {
        "inner model": client(MINI),
        "AvengersLLM": AvengersLLM(models=pool(), alpha=0),
        "AvengersLLM, ledger": AvengersLLM(models=pool(), alpha=0, ledger=f"{tempfile.mkdtemp()}/ledger.sqlite"),
    }

    def first(model: Any) -> Callable[[int], Any]:
        def call(number: int) -> Any:
            stream = model.stream_complete(ask(number))
            next(one for one in stream if one.delta)
            return stream  # read to its end: one that is dropped may deadlock httpcore when it is collected

        return call

    def many(model: Any) -> Callable[[int], Awaitable[Any]]:
        async def call(number: int) -> None:
            await asyncio.gather(*(model.acomplete(ask(number * 100 + i)) for i in range(100)))

        return call

    complete = {name: lambda n, model=model: model.complete(ask(n)) for name, model in models.items()}
    concurrent = {name: many(model) for name, model in models.items()}
    return {
        "LlamaIndex: complete": in_turns(complete, rounds),
        "LlamaIndex: stream, first token": in_turns({name: first(model) for name, model in models.items()}, rounds),
        "LlamaIndex: 100 concurrent (async)": asyncio.run(in_turns_async(concurrent, max(10, rounds // 20))),
    }


if __name__ == "__main__":
    main()
