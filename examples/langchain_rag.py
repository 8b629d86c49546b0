"""Questions over documents: the question chooses the model, not the text that is stuffed around it.

The documents go into the system message, so that the last human message, which is what is routed, is the question.
"""

from avengers_core import WordLlamaEmbedder
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore

from avengers_langchain import ChatAvengers


class LocalEmbeddings(Embeddings):
    """The router's own embedder for the documents: offline, no key."""

    def __init__(self) -> None:
        self.embedder = WordLlamaEmbedder()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.embedder.embed(texts).tolist()

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


NOTES = [
    "The observatory opens at nine and closes at five, on Fridays at eight in the evening.",
    "Tickets cost 12 euros; children under twelve and members enter free of charge.",
    "The large refractor of 1891 has a lens of 68 centimetres and is shown on guided tours.",
]
store = InMemoryVectorStore.from_documents([Document(text) for text in NOTES], LocalEmbeddings())
retriever = store.as_retriever(search_kwargs={"k": 2})

prompt = ChatPromptTemplate.from_messages(
    [("system", "Answer from these notes only:\n{context}"), ("human", "{question}")]
)
llm = ChatAvengers(models=["gpt-5-mini", "gpt-5.1"], alpha=0.4)
chain = {"context": retriever, "question": RunnablePassthrough()} | prompt | llm

question = "How much does a family with two small children pay?"
answer = chain.invoke(question)
print(answer.response_metadata["avengers"]["model"], "answers:", answer.text)
print("streamed:", end=" ")
for part in (chain | StrOutputParser()).stream("When does it close on Fridays?"):
    print(part, end="")
print()
