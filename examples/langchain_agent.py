"""An agent with tools and a memory: the model may change from question to question, never within a tool loop."""

from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

from avengers_langchain import ChatAvengers


@tool
def add(a: float, b: float) -> float:
    """Add two numbers."""
    return a + b


@tool
def in_stock(item: str) -> int:
    """How many of an item are in stock."""
    return {"bolts": 1200, "nuts": 900}.get(item, 0)


llm = ChatAvengers(models=["gpt-5-mini", "gpt-5.1"], alpha=0.4)
agent = create_agent(llm, [add, in_stock], system_prompt="You run a hardware shop.", checkpointer=InMemorySaver())
thread: Any = {"configurable": {"thread_id": "shop"}}

for question in ("How many bolts and nuts together do we have?", "Write a short poem about bolts."):
    messages = agent.invoke({"messages": question}, thread)["messages"]
    print(f"{question} -> {messages[-1].text}")

for message in messages:
    if isinstance(message, AIMessage):
        facts = message.response_metadata["avengers"]
        print(facts["model"], "called" if message.tool_calls else "answered", facts["cost_usd"])
