"""A call leaves nothing behind that only the garbage collector finds: it would hold up a busy server."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from avengers_core.dispatch.call import Attempt, Call
from avengers_core.routing.decision import Decision

from avengers_langchain import ChatAvengers
from avengers_llamaindex import AvengersLLM
from tests.langchain import conftest as langchain_models
from tests.llamaindex import conftest as llamaindex_models
from tests.support.llm_server import BIG, MINI, LLMServer

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture
def run() -> Iterator[Run]:
    """Runs a coroutine. The clients keep connections of one event loop."""
    loop = asyncio.new_event_loop()
    yield loop.run_until_complete
    loop.close()


def langchain(server: LLMServer, ledger: Path, run: Run) -> dict[str, Callable[[], Any]]:
    llm = ChatAvengers(
        models={name: langchain_models.openai_model(server, name) for name in (MINI, BIG)}, ledger=str(ledger)
    )

    async def astream() -> None:
        async for _ in llm.astream("Hi"):
            pass

    return {
        "invoke": lambda: llm.invoke("Hi"),
        "ainvoke": lambda: run(llm.ainvoke("Hi")),
        "stream": lambda: list(llm.stream("Hi")),
        "astream": lambda: run(astream()),
    }


def llamaindex(server: LLMServer, ledger: Path, run: Run) -> dict[str, Callable[[], Any]]:
    models = {name: llamaindex_models.openai_model(server, name) for name in (MINI, BIG)}
    llm = AvengersLLM(models=models, ledger=str(ledger))
    return {
        "complete": lambda: llm.complete("Hi"),
        "acomplete": lambda: run(llm.acomplete("Hi")),
        "stream_complete": lambda: list(llm.stream_complete("Hi")),
    }


@pytest.mark.parametrize("framework", [langchain, llamaindex])
def test_a_call_leaves_no_cycles(framework: Callable[..., Any], server: LLMServer, run: Run, tmp_path: Path) -> None:
    left = {}
    for way, call in framework(server, tmp_path / "ledger.sqlite", run).items():
        call()
        gc.collect()
        gc.disable()
        try:
            call()
            left[way] = [type(one).__name__ for one in gc.get_objects() if type(one) in (Call, Attempt, Decision)]
        finally:
            gc.enable()
    assert not [way for way, objects in left.items() if objects]
