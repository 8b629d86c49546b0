"""Ten thousand calls against a server that fails in every way; nothing is lost and nothing is charged twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from avengers_core.ledger.store import Ledger

from avengers_langchain import AvengersCallbackHandler, ChatAvengers
from tests.support.faults import CALLS, FAULTS, check
from tests.support.llm_server import LLMServer

from .conftest import ALL, mixed_pool


async def run(llm: ChatAvengers, how: str, calls: int, handler: AvengersCallbackHandler) -> Counter[str]:
    config: Any = {"callbacks": [handler]}

    def once(number: int) -> str:
        try:
            if how == "stream":
                return "ok" if list(llm.stream(f"question {number}", config)) else "empty"
            return "ok" if llm.invoke(f"question {number}", config).text else "empty"
        except Exception as error:
            return type(error).__name__

    async def once_async(number: int, gate: asyncio.Semaphore) -> str:
        async with gate:
            try:
                if how == "astream":
                    chunks = [c async for c in llm.astream(f"question {number}", config)]
                    return "ok" if chunks else "empty"
                return "ok" if (await llm.ainvoke(f"question {number}", config)).text else "empty"
            except Exception as error:
                return type(error).__name__

    if how.startswith("a"):
        gate = asyncio.Semaphore(20)
        return Counter(await asyncio.gather(*(once_async(n, gate) for n in range(calls))))
    with ThreadPoolExecutor(20) as pool:
        return Counter(await asyncio.to_thread(lambda: list(pool.map(once, range(calls)))))


@pytest.mark.parametrize(
    "how", ["invoke", *(pytest.param(how, marks=pytest.mark.slow) for how in ("ainvoke", "stream", "astream"))]
)
async def test_none_lost_and_none_charged_twice(server: LLMServer, tmp_path: Any, how: str) -> None:
    server.random_faults(0.3, FAULTS, seed=len(how))
    ledger = Ledger(tmp_path / "l.sqlite")
    pool = mixed_pool(server, timeout=30)
    llm = ChatAvengers(models=pool, capabilities=dict.fromkeys(pool, ALL), alpha=0.3, ledger=ledger, cooldown=0)
    handler = AvengersCallbackHandler()
    calls = CALLS // 4
    outcomes = await run(llm, how, calls, handler)
    check(server, ledger, handler.totals, outcomes, calls)
