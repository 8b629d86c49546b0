"""Requests that not every provider takes: translated where that is exact, or sent to a model that takes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from avengers_core import NoCandidateError
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import BaseModel

from avengers_langchain import ChatAvengers
from tests.support.llm_server import BIG, HAIKU, MINI, SONNET, LLMServer

from .conftest import openai_pool

Make = Callable[..., ChatAvengers]


@pytest.mark.parametrize(
    ("tool", "models"),
    [
        ({"type": "web_search_20250305", "name": "web_search", "max_uses": 3}, {HAIKU, SONNET}),
        ({"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"}, {HAIKU, SONNET}),
        ({"type": "web_search_preview"}, {MINI, BIG}),
        ({"type": "code_interpreter", "container": {"type": "auto"}}, {MINI, BIG}),
        ({"name": "add", "description": "Adds.", "input_schema": {"type": "object"}}, {MINI, BIG, HAIKU, SONNET}),
        ({"type": "function", "function": {"name": "add", "parameters": {}}}, {MINI, BIG, HAIKU, SONNET}),
    ],
)
def test_tools_of_a_provider_go_to_its_models(make: Make, tool: dict[str, Any], models: set[str]) -> None:
    decision = make().route("hi", tools=[tool])
    assert set(decision.candidates) == models


def test_no_model_has_the_tools_of_a_provider(make: Make) -> None:
    with pytest.raises(NoCandidateError, match="no google_tools"):
        make().invoke("hi", tools=[{"google_search": {}}])
    told = make(capabilities={MINI: {"google_tools": True, "tools": True}}).route("hi", tools=[{"google_search": {}}])
    assert told.candidates == [MINI]


@pytest.mark.parametrize("how", ["field", "call"])
def test_no_temperature_for_models_that_take_none(make: Make, server: LLMServer, how: str) -> None:
    pool = openai_pool(server)
    given = {"temperature": 0.3}
    llm = make(
        models=pool,
        capabilities={MINI: {"temperature": False}, BIG: {"temperature": True}},
        **(given if how == "field" else {}),
    )
    for model in (MINI, BIG):
        llm.invoke("hi", model=model, **(given if how == "call" else {}))
    sent = {request["body"]["model"]: request["body"].get("temperature") for request in server.requests}
    assert sent == {MINI: None, BIG: 0.3}


def test_late_instructions_come_first_where_they_must(make: Make, server: LLMServer) -> None:
    talk: list[BaseMessage] = [
        SystemMessage("Be kind."),
        HumanMessage("hi"),
        AIMessage("hello"),
        SystemMessage([{"type": "text", "text": "Be short."}]),
        HumanMessage("how are you?"),
    ]
    make().invoke(talk, model=HAIKU)
    body = server.requests[-1]["body"]
    assert [part["text"] for part in body["system"]] == ["Be kind.", "Be short."]
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    make().invoke(talk, model=MINI)
    roles = [message["role"] for message in server.requests[-1]["body"]["messages"]]
    assert roles == ["system", "user", "assistant", "system", "user"]
    assert len(talk) == 5


def test_marks_of_a_cache_and_of_citations_go_where_they_are_taken(make: Make, server: LLMServer) -> None:
    block = {"type": "text", "text": "A long text.", "cache_control": {"type": "ephemeral"}}
    talk = [SystemMessage([block]), HumanMessage([block, {"cachePoint": {"type": "default"}}])]
    make().invoke(talk, model=MINI)
    assert server.requests[-1]["body"]["messages"][1]["content"] == [{"type": "text", "text": "A long text."}]
    make().invoke([*talk[:1], HumanMessage([block])], model=HAIKU)
    assert server.requests[-1]["body"]["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral"}
    assert block["cache_control"], "what the caller gave is not changed"


class Whole(BaseChatModel):
    """A model that does not stream."""

    @property
    def _llm_type(self) -> str:
        return "whole"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("all at once"))])


async def test_a_model_that_cannot_stream_is_not_streamed() -> None:
    llm = ChatAvengers(models={MINI: Whole()})
    assert [part.text for part in llm.stream("hi")] == ["all at once"]
    assert [part.text async for part in llm.astream("hi")] == ["all at once"]

    async def tokens(model: BaseChatModel) -> int:
        events = [event async for event in model.astream_events("hi", version="v2")]
        return sum(event["event"] == "on_chat_model_stream" for event in events)

    assert await tokens(llm) == await tokens(Whole())


class Person(BaseModel):
    name: str


@pytest.mark.parametrize("method", ["json_schema", "json_mode", "function_calling", None])
def test_structured_output_of_models_that_were_not_made_yet(
    server: LLMServer, monkeypatch: pytest.MonkeyPatch, method: str | None
) -> None:
    """The ids of the docs: the first call decides as any later one does."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
    llm = ChatAvengers(models=["gpt-4o-mini-2024-07-18", "gpt-4o-2024-08-06"])
    chosen = []
    for _ in range(2):
        chain: Any = llm.with_structured_output(Person, include_raw=True, **({"method": method} if method else {}))
        chosen.append(chain.invoke("Who? Answer in JSON.")["raw"].response_metadata["avengers"]["model"])
    assert chosen[0] == chosen[1]
