"""Async calls do not hold up the event loop: blockbuster raises at every call that would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from blockbuster import blockbuster_ctx
from langchain_openai import ChatOpenAI
from llama_index.llms.openai import OpenAI

from avengers_langchain import ChatAvengers
from avengers_llamaindex import AvengersLLM
from tests.support.llm_server import BIG, MINI, LLMServer

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
