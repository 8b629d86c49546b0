from __future__ import annotations

from pathlib import Path

import pytest
from avengers_core import RouterEstimator
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.query_engine import RouterQueryEngine
from llama_index.core.selectors import LLMSingleSelector
from llama_index.core.tools import QueryEngineTool, ToolMetadata

from avengers_llamaindex import AvengersLLM, AvengersSelector, as_embedder
from tests.support.llm_server import MINI, LLMServer
from tests.support.records import make_records

from .conftest import Words, openai_model

CHOICES = [
    ToolMetadata(name="cooking", description="recipes, baking bread, cooking soup and vegetables"),
    ToolMetadata(name="astronomy", description="stars, planets, telescopes and the night sky"),
    ToolMetadata(name="tax", description="income tax, invoices and accounting rules"),
]


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("Which planets can I see with a small telescope?", "astronomy"),
        ("How long does bread dough have to rest before baking?", "cooking"),
        ("Is this invoice deductible from my income tax?", "tax"),
    ],
)
async def test_descriptions_decide_where_nothing_was_trained(question: str, name: str) -> None:
    selector = AvengersSelector()
    (one,) = selector.select(CHOICES, question).selections
    assert CHOICES[one.index].name == name
    assert "similarity" in one.reason
    two = await AvengersSelector(max_selections=2).aselect(CHOICES, question)
    assert two.inds[0] == one.index
    assert len(set(two.inds)) == 2


def test_records_decide_where_engines_were_trained(tmp_path: Path) -> None:
    """A cheap and a dear query engine, each measured on past questions, as models are."""
    embedder = as_embedder(Words())
    RouterEstimator(n_clusters=3, embedder=embedder).fit(make_records()).save(tmp_path / "engines.zip")
    engines = [ToolMetadata(name="keyword", description="cheap"), ToolMetadata(name="big", description="dear")]
    selector = AvengersSelector(tmp_path / "engines.zip", alpha=0.8, models={"keyword": "small"}, embed_model=Words())
    assert engines[selector.select(engines, "add the numbers 3 and 9").ind].name == "keyword"
    chosen = selector.select(engines, "write a poem about river 5 and love")
    assert engines[chosen.ind].name == "big"
    assert "expected score" in chosen.reason
    for limits, name in (
        ({"min_quality": 0.0}, "keyword"),
        ({"max_cost": 1e-4}, "keyword"),
        ({"min_quality": 1.0}, "big"),
    ):
        limited = AvengersSelector(tmp_path / "engines.zip", models={"keyword": "small"}, embed_model=Words(), **limits)
        assert engines[limited.select(engines, "write a poem about river 5 and love").ind].name == name


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="the artifact has no 'nobody'"):
        AvengersSelector(models={"a": "nobody"})
    with pytest.raises(ValueError, match="max_selections must be at least 1"):
        AvengersSelector(max_selections=0)
    with pytest.raises(ValueError, match="min_quality must be"):
        AvengersSelector(min_quality=2)
    with pytest.raises(ValueError, match="nothing to select from"):
        AvengersSelector().select([], "hi")


async def test_llama_index_17396_a_selector_that_needs_no_valid_json(server: LLMServer) -> None:
    """An LLM's selection that is no JSON fails the query; ours generates none."""
    server.answer = "I would choose the second one, as it is about stars."
    llm = AvengersLLM(models={MINI: openai_model(server, MINI)})
    index = VectorStoreIndex.from_documents([Document(text="Mars is red.")], embed_model=Words())
    tools = [QueryEngineTool(index.as_query_engine(llm=llm), metadata=choice) for choice in CHOICES]
    question = "Which planets can I see with a small telescope?"
    with pytest.raises(ValueError, match="JSON"):
        RouterQueryEngine(LLMSingleSelector.from_defaults(llm=llm), tools, llm=llm).query(question)
    engine = RouterQueryEngine(AvengersSelector(), tools, llm=llm)
    for answer in (engine.query(question), await engine.aquery(question)):
        assert answer.metadata
        assert answer.metadata["selector_result"].ind == 1


def test_models_that_the_artifact_was_not_trained_with_decide_as_well() -> None:
    """Any spelling that the catalogue knows, as everywhere else."""
    choices = [ToolMetadata(name=name, description="answers") for name in ("gpt-5-nano", "gpt-5.1")]
    cheap, best = (AvengersSelector(alpha=alpha).select(choices, "What is 17 * 23?") for alpha in (0, 1))
    assert [choices[one.ind].name for one in (cheap, best)] == ["gpt-5-nano", "gpt-5.1"]
    assert "expected score" in best.reason
    engines = [ToolMetadata(name=name, description="answers") for name in ("fast", "good")]
    mapped = AvengersSelector(alpha=0, models={"fast": "openai:gpt-5-nano", "good": "openai/gpt-5.1"})
    assert engines[mapped.select(engines, "What is 17 * 23?").ind].name == "fast"
