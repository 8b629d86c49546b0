"""Ten thousand calls against a server that fails in every way; nothing is lost and nothing is charged twice."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from avengers_core.ledger import Ledger

from avengers_langchain import AvengersCallbackHandler, ChatAvengers
from tests.integration.llm_server import LLMServer

from .conftest import ALL, mixed_pool

CALLS = int(os.environ.get("AVENGERS_FAULT_CALLS", "2000"))
FAULTS: list[Any] = [429, 500, 503, "drop", "garbage", "drop_mid", "no_usage"]


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


@pytest.mark.parametrize("how", ["invoke", "stream", "ainvoke", "astream"])
async def test_none_lost_and_none_charged_twice(server: LLMServer, tmp_path: Any, how: str) -> None:
    server.random_faults(0.3, FAULTS, seed=len(how))
    ledger = Ledger(tmp_path / "l.sqlite")
    pool = mixed_pool(server, timeout=30)
    llm = ChatAvengers(models=pool, capabilities=dict.fromkeys(pool, ALL), alpha=0.3, ledger=ledger, cooldown=0)
    handler = AvengersCallbackHandler()
    calls = CALLS // 4
    outcomes = await run(llm, how, calls, handler)
    rows = list(ledger.entries())
    statuses = Counter(row["status"] for row in rows)

    assert sum(outcomes.values()) == calls
    assert len({row["call"] for row in rows}) == calls
    assert len(rows) == sum(server.asked.values()) == len(server.requests)
    assert Counter(row["model"] for row in rows) == server.asked
    # An answered call is answered once, and charged for what the server counted.
    answered = [row for row in rows if row["status"] == "ok"]
    assert len(answered) == len({row["call"] for row in answered}) == outcomes["ok"] == handler.totals.calls
    assert len(answered) == sum(server.answered.values())
    known = [row for row in answered if row["input_tokens"] is not None]
    unknown = [row for row in answered if row["input_tokens"] is None]
    assert len(unknown) == server.unmetered > 0
    assert all(row["cost"] is None for row in unknown)
    spent = sum(row["cost"] for row in known)
    assert float(spent) == pytest.approx(handler.totals.cost)
    assert handler.totals.unknown == len(unknown)
    charged = {kind: sum(v for (_, k), v in server.tokens.items() if k == kind) for kind in ("input", "output")}
    assert charged == {kind: sum(row[f"{kind}_tokens"] for row in known) for kind in ("input", "output")}
    # Every fault is in the ledger under its kind.
    refused = server.served["429"]
    assert statuses["rate_limit"] == refused
    assert statuses["server"] == server.served["500"] + server.served["503"]
    broken = sum(server.served[kind] for kind in ("drop", "drop_mid", "garbage"))
    assert statuses["connection"] + statuses["invalid_response"] + statuses["caller"] == broken
