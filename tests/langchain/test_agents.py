from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from avengers_core import NoCandidateError
from avengers_core.ledger.store import Ledger
from langchain.agents import create_agent
from langchain.agents.middleware import (
    HumanInTheLoopMiddleware,
    ModelFallbackMiddleware,
    SummarizationMiddleware,
)
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from pydantic import BaseModel

from avengers_langchain import AvengersMiddleware, ChatAvengers
from tests.support.llm_server import LLMServer

from .conftest import ALL, BIG, HAIKU, MINI, SONNET, mixed_pool, openai_model

Make = Callable[..., ChatAvengers]


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
def lookup(word: str) -> str:
    """Look a word up."""
    return f"{word} means something"


@tool
def clock() -> str:
    """Tell the time."""
    return "noon"


TOOLS = [add, lookup, clock]


def models_of(messages: list[Any]) -> list[str]:
    return [m.response_metadata["avengers"]["model"] for m in messages if isinstance(m, AIMessage)]


@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream", "astream"])
async def test_a_loop_keeps_its_model_and_tools(make: Make, server: LLMServer, how: str, tmp_path: Any) -> None:
    server.tool_steps = 3
    ledger = Ledger(tmp_path / "l.sqlite")
    agent = create_agent(make(ledger=ledger), TOOLS, system_prompt="Be brief.")
    asked: Any = {"messages": [HumanMessage("add 2 and 3, then look up a word")]}
    if how == "invoke":
        messages = agent.invoke(asked)["messages"]
    elif how == "ainvoke":
        messages = (await agent.ainvoke(asked))["messages"]
    elif how == "stream":
        messages = list(agent.stream(asked, stream_mode="values"))[-1]["messages"]
    else:
        messages = [state async for state in agent.astream(asked, stream_mode="values")][-1]["messages"]
    used = models_of(messages)
    assert len(used) == 4
    assert len(set(used)) == 1
    assert [m.name for m in messages if isinstance(m, ToolMessage)] == ["add", "lookup", "clock"]
    assert len(list(ledger.entries())) == 4
    assert all(len(request["body"]["tools"]) == 3 for request in server.requests)


async def test_stream_of_messages_has_each_token_once(make: Make) -> None:
    agent = create_agent(make(alpha=0), [])
    parts = [part async for part in agent.astream({"messages": "tell me"}, stream_mode="messages")]
    text = "".join(str(chunk.text) for chunk, _ in parts if isinstance(chunk, AIMessage))
    final = agent.invoke({"messages": "tell me"})["messages"][-1]
    assert text == final.text


def test_checkpoints_and_interrupts(make: Make, server: LLMServer) -> None:
    agent = create_agent(
        make(),
        TOOLS,
        checkpointer=InMemorySaver(),
        middleware=[HumanInTheLoopMiddleware(interrupt_on={"add": True})],
    )
    config: Any = {"configurable": {"thread_id": "t1"}}
    paused = agent.invoke({"messages": "add 2 and 3"}, config)
    assert "__interrupt__" in paused
    done = agent.invoke(Command(resume={"decisions": [{"type": "approve"}]}), config)
    assert len(set(models_of(done["messages"]))) == 1
    again = agent.invoke({"messages": "and 4 more"}, {"configurable": {"thread_id": "t2"}})
    assert "__interrupt__" in again


def test_alpha_reaches_an_agent_by_its_config(make: Make) -> None:
    agent = create_agent(make(alpha=0), [])
    result = agent.invoke({"messages": "hi"}, {"configurable": {"alpha": 1.0}})
    assert result["messages"][-1].response_metadata["avengers"]["alpha"] == 1.0


def test_structured_answers_of_an_agent(make: Make) -> None:
    class Sum(BaseModel):
        """A sum."""

        total: int

    result = create_agent(make(), [add], response_format=Sum).invoke({"messages": "add 2 and 3"})
    assert isinstance(result["structured_response"], Sum)


def test_under_other_middleware(make: Make, server: LLMServer) -> None:
    server.faults = [400]
    agent = create_agent(make(), [add], middleware=[ModelFallbackMiddleware(openai_model(server, "spare"))])
    assert agent.invoke({"messages": "add 2 and 3"})["messages"][-1].text
    assert server.asked["spare"] == 1
    summary = SummarizationMiddleware(model=make(), trigger=("messages", 4), keep=("messages", 1))
    agent = create_agent(make(), [], middleware=[summary], checkpointer=InMemorySaver())
    for number in range(4):
        answer = agent.invoke({"messages": f"turn {number}"}, {"configurable": {"thread_id": "s"}})
    assert answer["messages"][-1].text


def test_a_failing_model_in_a_loop_is_replaced_and_then_kept(make: Make, server: LLMServer) -> None:
    llm = make(alpha=0).bind_tools(TOOLS)
    server.tool_steps = 2
    first = llm.invoke([HumanMessage("add 2 and 3")])
    history = [HumanMessage("add 2 and 3"), first, ToolMessage("5", tool_call_id=first.tool_calls[0]["id"])]
    server.faults = [503]
    second = llm.invoke(history)
    assert models_of([first])[0] == MINI
    other = models_of([second])[0]
    assert other != MINI
    history += [second, ToolMessage("x", tool_call_id=second.tool_calls[0]["id"])]
    assert models_of([llm.invoke(history)]) == [other]


def test_no_model_without_tools_in_an_agent(server: LLMServer) -> None:
    caps = {MINI: {"tools": False}, HAIKU: {"tools": False}, BIG: ALL, SONNET: {"tools": False}}
    agent = create_agent(ChatAvengers(models=mixed_pool(server), capabilities=caps, alpha=0), TOOLS)
    assert set(models_of(agent.invoke({"messages": "add 2 and 3"})["messages"])) == {BIG}


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
async def test_middleware_chooses_the_model(server: LLMServer, how: str) -> None:
    server.tool_steps = 2
    chooser = AvengersMiddleware(
        models=mixed_pool(server), capabilities=dict.fromkeys(mixed_pool(server), ALL), alpha=0
    )
    agent = create_agent(openai_model(server, "never"), TOOLS, middleware=[chooser])
    asked: Any = {"messages": "add 2 and 3"}
    messages = (agent.invoke(asked) if how == "invoke" else await agent.ainvoke(asked))["messages"]
    assert models_of(messages) == [MINI] * 3
    assert server.asked["never"] == 0
    caps = {name: {"tools": False} for name in mixed_pool(server)}
    agent = create_agent(
        openai_model(server, "never"),
        TOOLS,
        middleware=[AvengersMiddleware(models=mixed_pool(server), capabilities=caps)],
    )
    with pytest.raises(NoCandidateError, match="no tools"):
        agent.invoke(asked)
