"""A chat over documents that streams; each turn goes to the model that its question needs. Needs OPENAI_API_KEY."""

from llama_index.core import Document, Settings, VectorStoreIndex
from local_words import NOTES, LocalWords

from avengers_llamaindex import AvengersLLM, get_avengers_callback

Settings.llm = AvengersLLM(models=["gpt-5-mini", "gpt-5.1"], alpha=0.4)
Settings.embed_model = LocalWords()
engine = VectorStoreIndex.from_documents([Document(text=text) for text in NOTES]).as_chat_engine("context")

with get_avengers_callback() as spending:
    for question in ("When does it close on Fridays?", "And how wide is the lens of the refractor?"):
        print(question, "->", end=" ")
        for part in engine.stream_chat(question).response_gen:
            print(part, end="", flush=True)
        print()
print(spending)
