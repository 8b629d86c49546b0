"""Async calls do not hold up the event loop: blockbuster raises at every call that would."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from avengers_core import Router, RouterEstimator
from avengers_core.embedders.callable import CallableEmbedder
from avengers_core.embedders.wordllama import WordLlamaEmbedder
from blockbuster import blockbuster_ctx
from langchain_openai import ChatOpenAI
from llama_index.llms.openai import OpenAI

from avengers_langchain import ChatAvengers
from avengers_llamaindex import AvengersLLM, routing
from tests.support.llm_server import BIG, MINI, LLMServer
from tests.support.records import make_records

LONG = "Sum up this report, please. " * 2_000


def fields(folder: Path) -> dict[str, Any]:
    return {"ledger": folder / "l.sqlite", "budget": {"per_day": 5.0}, "alpha": 0.0}


async def test_chat_avengers(server: LLMServer, tmp_path: Path) -> None:
    url = f"{server.url}/v1"
    pool = {name: ChatOpenAI(model=name, base_url=url, api_key="x", max_retries=0) for name in (MINI, BIG)}  # type: ignore[arg-type]
    llm = ChatAvengers(models=pool, **fields(tmp_path))
    server.model_faults = {MINI: 500}
    with blockbuster_ctx():
        for text in ("hi", LONG):
            assert (await llm.ainvoke(text)).text
            assert [chunk async for chunk in llm.astream(text)]
            assert len(await llm.abatch([text, text])) == 2
    assert llm.spending is not None
    assert len(list(llm.spending.entries())) == 9


async def test_avengers_llm(server: LLMServer, tmp_path: Path) -> None:
    pool = {name: OpenAI(model=name, api_base=f"{server.url}/v1", api_key="x") for name in (MINI, BIG)}
    llm = AvengersLLM(models=pool, **fields(tmp_path))
    with blockbuster_ctx():
        for text in ("hi", LONG):
            assert (await llm.acomplete(text)).text
            assert [part async for part in await llm.astream_complete(text)]


@pytest.fixture(scope="module")
def slow_router() -> Router:
    """A router whose embedder blocks, as one that asks a server does."""
    quick = WordLlamaEmbedder()

    def embed(texts: list[str]) -> Any:
        time.sleep(0.001)
        return quick.embed(texts)

    slow = CallableEmbedder(embed, id="slow", dimension=quick.dimension)
    return RouterEstimator(3, embedder=slow).fit(make_records(60)).router_


async def test_queries_are_embedded_off_the_loop(server: LLMServer, slow_router: Router) -> None:
    names = {"small": MINI, "big": BIG}
    url = f"{server.url}/v1"
    chat = ChatAvengers(
        models={name: ChatOpenAI(model=model, base_url=url, api_key="x") for name, model in names.items()},  # type: ignore[arg-type]
        artifact=slow_router,
    )
    llm = AvengersLLM(
        models={name: OpenAI(model=model, api_base=url, api_key="x") for name, model in names.items()},
        artifact=slow_router,
    )
    for number in range(2):  # the first call of a model is always planned in a thread
        with blockbuster_ctx():
            assert (await chat.ainvoke(f"add {number} and 1")).text
            assert [chunk async for chunk in chat.astream(f"add {number} and 2")]
            assert await chat.astream_events(f"add {number} and 3", version="v3")
            assert (await llm.acomplete(f"add {number} and 4")).text
            assert [part async for part in await llm.astream_complete(f"add {number} and 5")]


async def test_what_one_call_gives_is_followed_off_the_loop(server: LLMServer, tmp_path: Path) -> None:
    url, budget = f"{server.url}/v1", {"per_day": 5.0}
    chat = ChatAvengers(
        models={name: ChatOpenAI(model=name, base_url=url, api_key="x") for name in (MINI, BIG)},  # type: ignore[arg-type]
        ledger=tmp_path / "chat.sqlite",
        configurable=["budget", "models"],
    )
    llm = AvengersLLM(
        models={name: OpenAI(model=name, api_base=url, api_key="x") for name in (MINI, BIG)},
        ledger=tmp_path / "llm.sqlite",
    )
    await chat.ainvoke("hi")
    await llm.acomplete("hi")
    other = ChatOpenAI(model=MINI, base_url=url, api_key="x")  # type: ignore[arg-type]
    with blockbuster_ctx():
        assert (await chat.ainvoke("hi", budget=budget)).text
        assert (await chat.ainvoke("hi", {"configurable": {"budget": budget}})).text
        assert (await chat.ainvoke("hi", models={MINI: other}, ledger=tmp_path / "other.sqlite")).text
        assert (await llm.acomplete("hi", budget=budget)).text
        with routing(budget=budget):
            assert (await llm.acomplete("hi")).text
