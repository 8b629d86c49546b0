"""The same fault injection as ChatAvengers': nothing is lost and nothing is charged twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest
from avengers_core.ledger.store import Ledger

from avengers_llamaindex import AvengersLLM, get_avengers_callback
from tests.support.faults import CALLS, FAULTS, check
from tests.support.llm_server import LLMServer

from .conftest import mixed_pool


async def run(llm: AvengersLLM, how: str, calls: int) -> Counter[str]:
    def once(number: int) -> str:
        try:
            answer = getattr(llm, how)(f"question {number}")
            return "ok" if (list(answer) if "stream" in how else answer.text) else "empty"
        except Exception as error:
            return type(error).__name__

    async def once_async(number: int, gate: asyncio.Semaphore) -> str:
        async with gate:
            try:
                answer = await getattr(llm, how)(f"question {number}")
                return "ok" if ([p async for p in answer] if "stream" in how else answer.text) else "empty"
            except Exception as error:
                return type(error).__name__

    if how.startswith("a"):
        gate = asyncio.Semaphore(20)
        return Counter(await asyncio.gather(*(once_async(n, gate) for n in range(calls))))
    with ThreadPoolExecutor(20) as pool:
        contexts = [copy_context() for _ in range(calls)]
        tasks = [pool.submit(context.run, once, n) for n, context in enumerate(contexts)]
        return Counter(await asyncio.to_thread(lambda: [task.result() for task in tasks]))


@pytest.mark.parametrize(
    "how",
    ["complete", *(pytest.param(f"{how}complete", marks=pytest.mark.slow) for how in ("stream_", "a", "astream_"))],
)
async def test_none_lost_and_none_charged_twice(server: LLMServer, ledger: Ledger, how: str) -> None:
    server.random_faults(0.3, FAULTS, seed=len(how))
    llm = AvengersLLM(models=mixed_pool(server, timeout=30.0), alpha=0.3, ledger=ledger, cooldown=0)
    calls = CALLS // 4
    with get_avengers_callback() as totals:
        outcomes = await run(llm, how, calls)
    check(server, ledger, totals, outcomes, calls)
