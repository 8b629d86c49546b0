"""How long the event loop is held: by a first call, by long texts, by a ledger, by many calls at once.

    python benchmarks/loop.py

A probe sleeps for a millisecond again and again, and tells by how much it came too late, at most. Models answer by
themselves, after 20 ms. Each case is a process of its own, so that its first call is a first one.
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from typing import Any

#: Cases: whether the model is warmed up, the requests' length in characters, how many are asked at once, a ledger.
CASES: dict[str, dict[str, Any]] = {
    "a first call, without awarm()": {"warm": False},
    "a first call, after awarm()": {},
    "a text of 1 MB": {"characters": 1_000_000},
    "ten texts of 1 MB at once": {"characters": 1_000_000, "at_once": 10},
    "a ledger (SQLite)": {"ledger": True},
    "100 calls at once": {"at_once": 100},
    "100 calls at once, a ledger": {"at_once": 100, "ledger": True},
}
MODELS = ("gpt-5-mini", "gpt-5.1")
LARGE = {name: {"max_input_tokens": 1_000_000} for name in MODELS}


async def longest_hold(work: Callable[[], Awaitable[Any]]) -> float:
    """Milliseconds by which a task that sleeps for one came too late, at most."""
    worst, done = 0.0, False

    async def probe() -> None:
        nonlocal worst
        while not done:
            start = time.perf_counter()
            await asyncio.sleep(0.001)
            worst = max(worst, (time.perf_counter() - start) * 1e3 - 1)

    task = asyncio.create_task(probe())
    await asyncio.sleep(0.05)
    worst = 0.0
    await work()
    done = True
    await task
    return worst


def langchain_model(ledger: str | None) -> Any:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration, ChatResult

    from avengers_langchain import ChatAvengers

    class Slow(BaseChatModel):
        """Answers after 20 ms."""

        @property
        def _llm_type(self) -> str:
            return "slow"

        def _generate(self, *_: Any, **__: Any) -> ChatResult:
            raise NotImplementedError

        async def _agenerate(self, *_: Any, **__: Any) -> ChatResult:
            await asyncio.sleep(0.02)
            return ChatResult(generations=[ChatGeneration(message=AIMessage("Hello"))])

    return ChatAvengers(models={name: Slow() for name in MODELS}, alpha=0.5, ledger=ledger or False, capabilities=LARGE)


def llamaindex_model(ledger: str | None) -> Any:
    from llama_index.core.llms import CompletionResponse
    from llama_index.core.llms.mock import MockLLM

    from avengers_llamaindex import AvengersLLM

    class Slow(MockLLM):
        """Answers after 20 ms."""

        async def acomplete(self, *_: Any, **__: Any) -> CompletionResponse:
            await asyncio.sleep(0.02)
            return CompletionResponse(text="Hello")

    return AvengersLLM(models={name: Slow() for name in MODELS}, alpha=0.5, ledger=ledger or False, capabilities=LARGE)


async def run_case(framework: str, case: dict[str, Any]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        ledger = f"{folder}/ledger.sqlite" if case.get("ledger") else None
        llm = (langchain_model if framework == "langchain" else llamaindex_model)(ledger)
        ask = llm.ainvoke if framework == "langchain" else llm.acomplete
        if case.get("warm", True):
            await llm.awarm()
            await ask("Hello")
            gc.collect()
            gc.freeze()  # as docs/performance.md advises for servers
        text = "What is this about? " * (case.get("characters", 100) // 20)
        count = case.get("at_once", 1)
        return await longest_hold(lambda: asyncio.gather(*(ask(f"{number} {text}") for number in range(count))))


def main() -> None:
    if len(sys.argv) > 2:
        print(asyncio.run(run_case(sys.argv[1], json.loads(sys.argv[2]))))
        return
    print(f"{'event loop held for at most, ms':<36}{'LangChain':>12}{'LlamaIndex':>12}")
    for name, case in CASES.items():
        worst = []
        for framework in ("langchain", "llamaindex"):
            command = [sys.executable, __file__, framework, json.dumps(case)]
            runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(3)]
            worst.append(max(float(one.stdout.split()[-1]) for one in runs))
        print(f"{name:<36}" + "".join(f"{value:>12.1f}" for value in worst))


if __name__ == "__main__":
    main()
