"""A chain whose model is chosen for each question. Needs OPENAI_API_KEY, or any server at OPENAI_BASE_URL."""

from langchain_core.prompts import ChatPromptTemplate

from avengers_langchain import ChatAvengers, get_avengers_callback

llm = ChatAvengers(models=["gpt-5-mini", "gpt-5.1"], alpha=0.4)
chain = ChatPromptTemplate.from_messages([("system", "Answer in one sentence."), ("human", "{question}")]) | llm

with get_avengers_callback() as spending:
    for question in ("What is 17 * 23?", "Prove that there are infinitely many primes."):
        answer = chain.invoke({"question": question})
        facts = answer.response_metadata["avengers"]
        print(f"{question} -> {facts['model']} for ${facts['cost_usd']:.6f}\n  {answer.text}")
    best = chain.invoke({"question": "And twin primes?"}, {"configurable": {"alpha": 1.0}})
    print("with alpha 1:", best.response_metadata["avengers"]["model"])

print(spending)
