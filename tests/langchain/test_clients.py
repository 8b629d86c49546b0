"""Clients as their users make them: whatever they take alone, they take behind the router."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from langchain.agents import create_agent
from langchain_core.caches import InMemoryCache
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from avengers_langchain import AvengersMiddleware, ChatAvengers, get_avengers_callback
from tests.support.llm_server import ALL, HAIKU, MINI, LLMServer

from .conftest import anthropic_model, openai_model

Make = Callable[..., ChatAvengers]


class Answer(BaseModel):
    """An answer."""

    value: int


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def over(client: Any, name: str = MINI, **fields: Any) -> ChatAvengers:
    return ChatAvengers(models={name: client}, capabilities={name: ALL}, **fields)


def responses_api(request: httpx.Request) -> httpx.Response:
    """OpenAI's Responses API, which streams one word."""
    asked = json.loads(request.content)
    assert request.url.path == "/v1/responses"
    assert "stream_usage" not in asked
    assert "stream_options" not in asked
    message = {"id": "m", "type": "message", "role": "assistant", "status": "completed"}
    text = {"type": "output_text", "text": "Hello", "annotations": []}
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    base = {"id": "r", "object": "response", "created_at": 1, "model": MINI, "tools": [], "tool_choice": "auto"}
    whole = {**base, "status": "completed", "output": [{**message, "content": [text]}], "usage": {**usage, **details}}
    place = {"item_id": "m", "output_index": 0, "content_index": 0}
    events = [
        {"type": "response.created", "response": {**base, "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**message, "content": []}},
        {"type": "response.output_text.delta", **place, "delta": "Hello", "logprobs": []},
        {"type": "response.completed", "response": {**whole, "parallel_tool_calls": True}},
    ]
    lines = [
        f"event: {one['type']}\ndata: {json.dumps({**one, 'sequence_number': number})}\n\n"
        for number, one in enumerate(events)
    ]
    return httpx.Response(200, text="".join(lines), headers={"content-type": "text/event-stream"})


@pytest.mark.parametrize("fields", [{"use_responses_api": True}, {"reasoning": {"effort": "low"}}, {}])
def test_a_stream_of_the_responses_api(fields: dict[str, Any]) -> None:
    client = ChatOpenAI(
        model=MINI, api_key="x", http_client=httpx.Client(transport=httpx.MockTransport(responses_api)), **fields
    )  # type: ignore[call-arg]
    llm: Any = over(client, alpha=0.5)
    if not fields:
        llm = llm.bind_tools([{"type": "web_search"}])
    chunks = list(llm.stream("Say hello."))
    assert "".join(chunk.text for chunk in chunks) == "Hello"
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert whole.usage_metadata["total_tokens"] == 15
    assert whole.response_metadata["avengers"]["model"] == MINI


def test_an_agent_with_a_response_format_over_anthropics_models(server: LLMServer) -> None:
    llm = over(anthropic_model(server, HAIKU), HAIKU)
    llm.invoke(
        "hi", response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    )
    assert "json_schema" in json.dumps(server.requests[-1]["body"])
    with pytest.raises(NotImplementedError, match="does not take this response_format"):
        llm.invoke("hi", response_format={"type": "json_object"})


def test_structured_output_of_a_model_that_thinks(server: LLMServer) -> None:
    client = anthropic_model(server, HAIKU, thinking={"type": "enabled", "budget_tokens": 1024}, max_tokens=2000)
    with pytest.warns(UserWarning, match="structured output"):
        assert over(client, HAIKU).with_structured_output(Answer).invoke("7") == Answer(value=7)


def test_stop_words_that_a_client_has_bound(server: LLMServer) -> None:
    llm = over(openai_model(server, MINI).bind(stop=["END"]))
    llm.invoke("hi")
    list(llm.stream("hi"))
    llm.invoke("hi", stop=["NOW"])
    assert [request["body"]["stop"] for request in server.requests] == [["END"], ["END"], ["NOW"]]


def test_a_config_that_would_not_be_followed_is_refused(server: LLMServer) -> None:
    with pytest.raises(ValueError, match="give the model itself, and with_config"):
        over(openai_model(server, MINI).with_config(tags=["x"]))


class NoUsage(BaseChatModel):
    """Reports no tokens, as many local servers do."""

    @property
    def _llm_type(self) -> str:
        return "no usage"

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("Hello"))])


def test_a_cached_answer_without_tokens_may_be_in_the_history() -> None:
    for llm in (over(NoUsage(), cache=InMemoryCache()), over(NoUsage(cache=InMemoryCache()))):
        for _ in range(2):
            with get_avengers_callback() as spending:
                answer = llm.invoke("hi")
        assert spending.cost_usd == 0
        assert llm.invoke([HumanMessage("hi"), answer, HumanMessage("and now?")]).text == "Hello"


def test_nested_blocks_count_a_call_once(server: LLMServer) -> None:
    llm = over(openai_model(server, MINI))

    def step(text: str) -> str:
        with get_avengers_callback() as inner:
            answer = llm.invoke(text)
        assert inner.calls == 1
        return str(answer.text)

    with get_avengers_callback() as outer:
        RunnableLambda(step).invoke("hi")
        llm.invoke("hi again")
    assert outer.calls == 2
    assert outer.usage is not None
    assert outer.cost_usd > 0


def test_the_middleware_keeps_what_a_client_has_bound(server: LLMServer) -> None:
    client = openai_model(server, MINI).bind(service_tier="flex")
    middleware = AvengersMiddleware(models={MINI: client}, capabilities={MINI: ALL})
    agent = create_agent(openai_model(server, MINI), [add], middleware=[middleware])
    agent.invoke({"messages": "hi"})
    body = server.requests[0]["body"]
    assert body["service_tier"] == "flex"
    assert body["tools"]


def test_structured_output_without_a_schema_is_json(server: LLMServer) -> None:
    llm = over(openai_model(server, MINI))
    assert isinstance(llm.with_structured_output(None, method="json_mode").invoke("7 as JSON"), dict)


def test_a_tool_choice_in_the_words_of_the_responses_api(server: LLMServer) -> None:
    llm = over(anthropic_model(server, HAIKU), HAIKU)
    llm.bind_tools([add]).invoke("add 1 and 2", tool_choice={"type": "function", "name": "add"})
    assert server.requests[-1]["body"]["tool_choice"] == {"type": "tool", "name": "add"}
