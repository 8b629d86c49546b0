from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from avengers_core.ledger.store import Ledger
from llama_index.core.agent.workflow import AgentStream, AgentWorkflow, FunctionAgent, ToolCallResult
from llama_index.core.llms import ChatMessage
from llama_index.core.workflow import Context

from avengers_llamaindex import AvengersLLM, routing
from tests.support.llm_server import BIG, HAIKU, MINI, LLMServer

from .conftest import TURBO

Make = Callable[..., AvengersLLM]


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def in_stock(item: str) -> str:
    """How many of an item are in stock."""
    return f"1200 {item}"


async def deliver(item: str, day: int) -> str:
    """Deliver an item on a day."""
    return f"{item} comes on day {day}"


QUESTIONS = [
    "How many bolts and nuts do we have?",
    "Write a short poem about the sea.",
    "Prove that there are infinitely many primes.",
    "Sum 12 and 30, then deliver the bolts on day 3.",
    "Translate 'good morning' into French.",
]


@pytest.mark.parametrize("streaming", [False, True])
async def test_twenty_turns_keep_their_model_within_each_loop(
    make: Make, server: LLMServer, ledger: Ledger, streaming: bool
) -> None:
    """Each turn is a loop of three tools; the model may change from turn to turn only, and never lacks tools."""
    server.tool_steps = 3
    llm = make(ledger=ledger, capabilities={TURBO: {"tools": False}}, alpha=0.5)
    agent = FunctionAgent(tools=[add, in_stock, deliver], llm=llm, streaming=streaming)
    context = Context(agent)
    for turn in range(20):
        with routing(alpha=(turn % 5) / 4, session="shop", tags=[str(turn)]):
            await agent.run(user_msg=f"{QUESTIONS[turn % 5]} ({turn})", ctx=context)
    chosen = defaultdict(list)
    for row in ledger.entries():
        chosen[row["tags"][0]].append(row["model"])
    assert [len(models) for models in chosen.values()] == [4] * 20
    assert all(len(set(models)) == 1 for models in chosen.values())
    assert len({models[0] for models in chosen.values()}) > 1
    assert all(TURBO not in models for models in chosen.values())


async def test_within_a_loop_the_model_stays_when_the_choice_would_be_another(make: Make, server: LLMServer) -> None:
    llm = make(alpha=0.0)
    first = await llm.achat_with_tools([*_tools()], user_msg="How many bolts?")
    (call,) = llm.get_tool_calls_from_response(first)
    history = [
        ChatMessage("How many bolts?"),
        first.message,
        ChatMessage("1200", role="tool", additional_kwargs={"tool_call_id": call.tool_id}),
    ]
    before = first.additional_kwargs["avengers"]["model"]
    again = await llm.achat_with_tools([*_tools()], chat_history=history, alpha=1.0)
    assert again.additional_kwargs["avengers"]["model"] == before
    free = await llm.achat_with_tools([*_tools()], chat_history=history, alpha=1.0, sticky=False)
    assert free.additional_kwargs["avengers"]["model"] != before


def _tools() -> list[Any]:
    from llama_index.core.tools import FunctionTool

    return [FunctionTool.from_defaults(in_stock)]


async def test_a_loop_goes_on_from_stored_messages(make: Make, server: LLMServer) -> None:
    """What a message says of its model survives its being stored as JSON."""
    llm = make(alpha=0.0)
    first = await llm.achat_with_tools([*_tools()], user_msg="How many bolts?")
    (call,) = llm.get_tool_calls_from_response(first)
    result = ChatMessage("1200", role="tool", additional_kwargs={"tool_call_id": call.tool_id})
    stored = [one.model_dump_json() for one in (ChatMessage("How many bolts?"), first.message, result)]
    history = [ChatMessage.model_validate_json(one) for one in stored]
    again = await make(alpha=1.0).achat_with_tools([*_tools()], chat_history=history)
    assert again.additional_kwargs["avengers"]["model"] == first.additional_kwargs["avengers"]["model"]


async def test_a_streaming_agent(make: Make, server: LLMServer) -> None:
    server.tool_steps = 2
    agent = FunctionAgent(tools=[add, in_stock], llm=make())
    handler = agent.run(user_msg="How many are 3 bolts?")
    results, text = [], ""
    async for event in handler.stream_events():
        if isinstance(event, ToolCallResult):
            results.append(event.tool_name)
        if isinstance(event, AgentStream):
            text += event.delta
    answer = await handler
    assert results == ["add", "in_stock"]
    assert text == answer.response.content
    assert answer.response.additional_kwargs["avengers"]["model"]
    assert answer.raw


async def test_agents_hand_over(make: Make, server: LLMServer) -> None:
    server.tool_steps = 1
    llm = make()
    one = FunctionAgent(name="one", description="asks", tools=[add], llm=llm)
    two = FunctionAgent(name="two", description="answers", tools=[in_stock], llm=llm)
    answer = await AgentWorkflow([one, two], root_agent="one").run(user_msg="What is 3 plus 3?")
    assert answer.response.content


async def test_turns_move_between_providers(make: Make, server: LLMServer) -> None:
    """The same conversation is understood by each provider in turn."""
    server.tool_steps = 1
    llm = make()
    agent = FunctionAgent(tools=[in_stock], llm=llm)
    context = Context(agent)
    for model in (MINI, HAIKU, BIG, HAIKU, MINI):
        others = [name for name in (MINI, BIG, HAIKU, TURBO) if name != model]
        with routing(exclude_models=others):
            await agent.run(user_msg="How many bolts?", ctx=context)
    assert [request["body"]["model"] for request in server.requests] == [
        model for model in (MINI, HAIKU, BIG, HAIKU, MINI) for _ in range(2)
    ]
    assert "avengers" not in str([request["body"] for request in server.requests])
