"""No models named: ChatAvengers and AvengersLLM route among today's models of the providers whose keys are set.

export OPENAI_API_KEY=...
python examples/zero_config.py
"""

from __future__ import annotations

from langchain.agents import create_agent
from langchain_core.tools import tool

from avengers_langchain import ChatAvengers
from avengers_llamaindex import AvengersLLM

llm = ChatAvengers(alpha=0.4)
print("routing among:", ", ".join(llm.dispatcher.pool.ids))
for question in ("What is 17 * 23?", "Write a query that ranks customers by revenue with a window function."):
    answer = llm.invoke(question)
    print(f"{question} -> {answer.response_metadata['avengers']['model']}")

answer = AvengersLLM(alpha=0.4).complete("Write a haiku about the first snow.")
print(f"LlamaIndex -> {answer.additional_kwargs['avengers']['model']}")


@tool
def in_stock(product: str) -> int:
    """How many pieces of a product are in stock."""
    return len(product)


agent = create_agent(llm, [in_stock])
messages = agent.invoke({"messages": [("user", "How many lamps are in stock?")]})["messages"]
print(f"agent: {len(messages)} messages, answered by {messages[-1].response_metadata['avengers']['model']}")
