"""A FunctionAgent with tools: the model may change from question to question, never within a tool loop."""

import asyncio

from llama_index.core.agent.workflow import AgentStream, FunctionAgent, ToolCallResult
from llama_index.core.workflow import Context

from avengers_llamaindex import AvengersLLM, get_avengers_callback


def add(a: float, b: float) -> float:
    """Add two numbers."""
    return a + b


def in_stock(item: str) -> int:
    """How many of an item are in stock."""
    return {"bolts": 1200, "nuts": 900}.get(item, 0)


async def main() -> None:
    llm = AvengersLLM(models=["gpt-5-mini", "gpt-5.1"], alpha=0.4)
    agent = FunctionAgent(tools=[add, in_stock], llm=llm, system_prompt="You run a hardware shop.")
    context = Context(agent)
    with get_avengers_callback() as spending:
        for question in ("How many bolts and nuts together do we have?", "Write a short poem about bolts."):
            print(question)
            handler = agent.run(user_msg=question, ctx=context)
            async for event in handler.stream_events():
                if isinstance(event, ToolCallResult):
                    print(f"  called {event.tool_name}: {event.tool_output}")
                elif isinstance(event, AgentStream):
                    print(event.delta, end="", flush=True)
            answer = await handler
            print("\n  answered by", answer.response.additional_kwargs["avengers"]["model"])
    print(spending)


asyncio.run(main())
