"""`Shadow` behind both adapters: requests are asked again in the background, within the day's money."""

from __future__ import annotations

import asyncio
import copy
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from avengers_core.ledger.store import Ledger
from avengers_core.records.io import read_records
from avengers_core.shadowing import Shadow
from langchain_core.messages import HumanMessage, SystemMessage
from llama_index.core.llms import ChatMessage

from avengers_langchain import ChatAvengers
from avengers_llamaindex import AvengersLLM
from tests.langchain.conftest import openai_model as langchain_model
from tests.llamaindex.conftest import openai_model as llamaindex_model
from tests.support.llm_server import BIG, HAIKU, MINI, LLMServer, environment, text_of

JUDGE = f"openai:{BIG}"


def says(body: dict[str, Any]) -> str:
    text = text_of(body["messages"][-1]["content"])
    if "Two assistants" not in text:
        return {MINI: "quality 3", HAIKU: "quality 7", BIG: "quality 9"}[body["model"]]
    first, second = map(int, re.findall(r"quality (\d+)", text)[:2])
    return json.dumps({"better": 1 if first > second else 2})


@pytest.fixture
def server(server: LLMServer, monkeypatch: pytest.MonkeyPatch) -> LLMServer:
    server.says = says
    for name, value in environment(server).items():
        monkeypatch.setenv(name, value)
    return server


def made(folder: Path, **options: Any) -> Shadow:
    options = {"share": 1.0, "max_cost_per_day": 1.0, **options}
    return Shadow([f"anthropic:{HAIKU}"], JUDGE, output=folder / "shadow.jsonl", **options)


def chat(server: LLMServer, shadow: Shadow, **fields: Any) -> ChatAvengers:
    return ChatAvengers(models={MINI: langchain_model(server, MINI)}, shadow=shadow, **fields)


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
async def test_langchain(server: LLMServer, tmp_path: Path, way: str) -> None:
    shadow = made(tmp_path)
    ledger = Ledger(tmp_path / "l.sqlite")
    llm = chat(server, shadow, ledger=ledger)
    messages = [SystemMessage("Be brief."), HumanMessage("What is a lake?")]
    if way == "invoke":
        await asyncio.to_thread(llm.invoke, messages)
    elif way == "ainvoke":
        await llm.ainvoke(messages)
    elif way == "stream":
        await asyncio.to_thread(lambda: list(llm.stream(messages)))
    else:
        [part async for part in llm.astream(messages)]
    assert await asyncio.to_thread(shadow.wait)
    assert shadow.counts == {"seen": 1, "sampled": 1, "written": 1}
    (record,) = read_records(tmp_path / "shadow.jsonl")
    assert record.query == "What is a lake?"
    assert record.records == {MINI: 0.0, HAIKU: 1.0}
    assert record.source == f"judged by {JUDGE}"
    usage = record.usages[HAIKU]
    assert usage is not None
    assert usage.cost_usd
    assert usage.seconds
    others = [one["body"] for one in server.requests if one["body"]["model"] == HAIKU]
    assert others[0]["system"], "the whole conversation is asked"
    rows = list(ledger.entries())
    assert [row["tags"] for row in rows] == [[], ["shadow"], ["shadow"], ["shadow"]]
    assert all(row["cost_usd"] for row in rows)
    assert shadow.bias().verdicts == 2


@pytest.mark.parametrize("way", ["chat", "acomplete", "stream_chat", "astream_complete"])
async def test_llamaindex(server: LLMServer, tmp_path: Path, way: str) -> None:
    shadow = Shadow({"other": llamaindex_model(server, BIG)}, JUDGE, share=1.0, output=tmp_path / "shadow.jsonl")
    llm = AvengersLLM(models={MINI: llamaindex_model(server, MINI)}, shadow=shadow)
    assert copy.deepcopy(llm).shadow is shadow
    if way == "chat":
        await asyncio.to_thread(llm.chat, [ChatMessage("What is a lake?")])
    elif way == "acomplete":
        await llm.acomplete("What is a lake?")
    elif way == "stream_chat":
        await asyncio.to_thread(lambda: list(llm.stream_chat([ChatMessage("What is a lake?")])))
    else:
        [part async for part in await llm.astream_complete("What is a lake?")]
    assert await asyncio.to_thread(shadow.wait)
    (record,) = read_records(tmp_path / "shadow.jsonl")
    assert record.records == {MINI: 0.0, "other": 1.0}
    assert server.asked == {MINI: 1, BIG: 3}


def test_the_days_money_is_shared_by_all_who_share_a_ledger(server: LLMServer, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.sqlite")
    for _ in range(2):  # two processes, as it were
        shadow = made(tmp_path, max_cost_per_day=0.0035)
        llm = chat(server, shadow, ledger=ledger)
        for number in range(3):
            llm.invoke(f"What is {number}?")
            assert shadow.wait()
    spent = sum(row["cost_usd"] for row in ledger.entries() if row["tags"] == ["shadow"])
    assert 0 < spent <= 0.0035
    assert shadow.counts["unaffordable"] == 3, "the first one has spent it"


def test_an_app_is_not_held_up_and_never_fails(server: LLMServer, tmp_path: Path) -> None:
    server.model_faults = {HAIKU: 500}
    shadow = made(tmp_path)
    llm = chat(server, shadow)
    assert llm.invoke("hi").text == "quality 3"
    assert shadow.wait()
    assert shadow.counts["failed"] == 1
    assert not (tmp_path / "shadow.jsonl").exists()
    server.model_faults, server.delay = {}, 0.5
    started = time.monotonic()
    llm.invoke("hi")
    took = time.monotonic() - started
    assert shadow.wait()
    assert took < time.monotonic() - started - 1.0, "three more requests of half a second came after the answer"


def test_what_fails_in_the_shadow_is_not_seen_in_the_light(
    server: LLMServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shadow = made(tmp_path)
    llm = chat(server, shadow)

    def broken(*_: Any) -> str:
        raise RuntimeError("no text")

    with monkeypatch.context() as patched:
        patched.setattr("avengers_langchain.chat_models.base.get_buffer_string", broken)
        for _ in range(70):
            assert llm.invoke("What is a lake?").text
    assert shadow.counts["failed"] == 70
    assert shadow.wait(5), "nothing waits"
    llm.invoke("What is a lake?")
    assert shadow.wait(10)
    assert shadow.counts["written"] == 1


def test_a_refused_request_costs_the_shadow_nothing(server: LLMServer, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.sqlite")
    shadow = made(tmp_path)
    llm = chat(server, shadow, ledger=ledger)
    server.model_faults = {HAIKU: 401}
    llm.invoke("What is a lake?")
    assert shadow.wait(10)
    assert shadow.counts["failed"] == 1
    assert [row["cost_usd"] for row in ledger.entries() if row["tags"] == ["shadow"]] == [0]


def test_tools_are_left_alone_and_a_share_is_a_share(server: LLMServer, tmp_path: Path) -> None:
    shadow = made(tmp_path, share=0.0)
    llm = chat(server, shadow)
    llm.invoke("hi")
    assert shadow.counts == {"seen": 1}
    tool = {"name": "add", "description": "Add.", "parameters": {"type": "object", "properties": {}}}
    llm.bind_tools([tool]).invoke("hi")
    assert shadow.counts == {"seen": 1}
    assert server.asked == {MINI: 2}
    assert "share=0" in repr(shadow)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"models": []}, "models must be a list"),
        ({"models": "openai:x"}, "models must be a list"),
        ({"share": 2}, "share must be a number from 0 to 1"),
        ({"max_cost_per_day": 0}, "max_cost_per_day must be"),
    ],
)
def test_wrong_values(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Shadow(**{"models": ["openai:x"], "judge": "openai:y", **arguments})


def test_a_shadow_is_a_shadow(server: LLMServer) -> None:
    with pytest.raises(ValueError, match="shadow must be a Shadow"):
        chat(server, "openai:x")  # type: ignore[arg-type]
