"""Questions over documents, in memory and in a FAISS index: the question chooses the model, not the stuffed prompt.

Needs OPENAI_API_KEY (or any server at OPENAI_API_BASE) and: pip install llama-index-llms-openai
llama-index-vector-stores-faiss faiss-cpu
"""

import faiss
from avengers_core import WordLlamaEmbedder
from llama_index.core import Document, Settings, StorageContext, VectorStoreIndex
from llama_index.vector_stores.faiss import FaissVectorStore
from local_words import NOTES, LocalWords

from avengers_llamaindex import AvengersLLM, get_avengers_callback, routing

Settings.llm = AvengersLLM(models=["gpt-5-mini", "gpt-5.1"], alpha=0.4)
Settings.embed_model = LocalWords()

documents = [Document(text=text) for text in NOTES]
store = FaissVectorStore(faiss_index=faiss.IndexFlatIP(WordLlamaEmbedder().dimension))
indexes = {
    "in memory": VectorStoreIndex.from_documents(documents),
    "FAISS": VectorStoreIndex.from_documents(
        documents, storage_context=StorageContext.from_defaults(vector_store=store)
    ),
}
question = "How much does a family with two small children pay?"
for name, index in indexes.items():
    with get_avengers_callback() as spending:
        answer = index.as_query_engine(similarity_top_k=2).query(question)
    print(f"{name}: {answer} ({', '.join(spending.models)}, ${spending.cost_usd:.6f})")

with routing(alpha=1.0, tags=["careful"]), get_avengers_callback() as spending:
    indexes["FAISS"].as_query_engine().query("Prove from the notes that members never pay.")
print("with alpha 1:", *spending.models)
