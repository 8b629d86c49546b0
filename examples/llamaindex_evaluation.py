"""What each question costs, and what it is worth, at three settings of the knob. Needs OPENAI_API_KEY."""

from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.evaluation import SemanticSimilarityEvaluator
from local_words import NOTES, LocalWords
from rich.console import Console
from rich.table import Table

from avengers_llamaindex import AvengersLLM, get_avengers_callback, routing

Settings.llm = AvengersLLM(models=["gpt-5-mini", "gpt-5.1"])
Settings.embed_model = LocalWords()
engine = VectorStoreIndex.from_documents([Document(text=text) for text in NOTES]).as_query_engine(similarity_top_k=2)
evaluator = SemanticSimilarityEvaluator()
QUESTIONS = {
    "When does the observatory close on Fridays?": "At eight in the evening.",
    "What does a ticket cost?": "12 euros, nothing for members and children under twelve.",
    "How wide is the lens of the refractor?": "68 centimetres.",
}

table = Table("alpha", "question", "model", "US dollars", "similarity")
for alpha in (0.0, 0.4, 1.0):
    for question, reference in QUESTIONS.items():
        with routing(alpha=alpha), get_avengers_callback() as spending:
            answer = engine.query(question)
        worth = evaluator.evaluate(response=str(answer), reference=reference).score
        table.add_row(f"{alpha:g}", question, ", ".join(spending.models), f"{spending.cost_usd:.6f}", f"{worth:.2f}")
Console(width=140).print(table)
