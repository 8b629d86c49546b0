"""The text that chooses the model is the user's question, in every kind of engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from avengers_core.ledger.store import Ledger
from avengers_core.routing.options import ROUTE_FIELDS
from llama_index.core import Document, SummaryIndex, VectorStoreIndex, get_response_synthesizer
from llama_index.core.agent.workflow import FunctionAgent, ReActAgent
from llama_index.core.base.response.schema import StreamingResponse
from llama_index.core.chat_engine import CondensePlusContextChatEngine, CondenseQuestionChatEngine, SimpleChatEngine
from llama_index.core.chat_engine.types import StreamingAgentChatResponse
from llama_index.core.indices.query.query_transform import HyDEQueryTransform
from llama_index.core.llms import ChatMessage
from llama_index.core.query_engine import (
    CitationQueryEngine,
    RetryQueryEngine,
    RouterQueryEngine,
    SubQuestionQueryEngine,
    TransformQueryEngine,
)
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.question_gen.types import SubQuestion
from llama_index.core.response_synthesizers import ResponseMode
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.core.selectors import EmbeddingSingleSelector
from llama_index.core.tools import QueryEngineTool

from avengers_llamaindex import AvengersLLM, routing
from tests.support.llm_server import BIG, MINI

from .conftest import LLMServer, Words

Make = Callable[..., AvengersLLM]

QUESTION = "How much does a family with two small children pay for the tour?"
NOTES = [
    "The observatory opens at nine and closes at five, on Fridays at eight in the evening.",
    "Tickets cost 12 euros; children under twelve and members enter free of charge.",
    "The large refractor of 1891 has a lens of 68 centimetres and is shown on guided tours.",
]
MODES = [mode for mode in ResponseMode if mode not in (ResponseMode.NO_TEXT, ResponseMode.CONTEXT_ONLY)]


@pytest.fixture
def llm(make: Make, ledger: Ledger) -> AvengersLLM:
    return make(ledger=ledger)


@pytest.fixture
def index() -> VectorStoreIndex:
    return VectorStoreIndex.from_documents([Document(text=text) for text in NOTES], embed_model=Words())


def routed(llm: AvengersLLM) -> list[str]:
    assert llm.spending
    return [row["prompt"] for row in llm.spending.entries()]


def consume(answer: Any) -> str:
    streams = isinstance(answer, (StreamingResponse, StreamingAgentChatResponse))
    return "".join(answer.response_gen) if streams else str(answer)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_query_engines(llm: AvengersLLM, index: VectorStoreIndex, mode: ResponseMode, streaming: bool) -> None:
    if streaming and mode in (ResponseMode.ACCUMULATE, ResponseMode.COMPACT_ACCUMULATE):
        pytest.skip("LlamaIndex does not stream this mode")
    engine = index.as_query_engine(llm=llm, response_mode=mode, streaming=streaming, similarity_top_k=3)
    assert consume(engine.query(QUESTION))
    assert set(routed(llm)) == {QUESTION}


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("mode", MODES)
async def test_query_engines_async(
    llm: AvengersLLM, index: VectorStoreIndex, mode: ResponseMode, streaming: bool
) -> None:
    if streaming and mode in (ResponseMode.ACCUMULATE, ResponseMode.COMPACT_ACCUMULATE):
        pytest.skip("LlamaIndex does not stream this mode")
    engine = index.as_query_engine(llm=llm, response_mode=mode, streaming=streaming, similarity_top_k=3)
    answer = await engine.aquery(QueryBundle(QUESTION))
    if hasattr(answer, "async_response_gen"):
        assert [part async for part in answer.async_response_gen()]
    assert set(routed(llm)) == {QUESTION}


@pytest.mark.parametrize("use_async", [False, True])
@pytest.mark.parametrize("mode", [ResponseMode.TREE_SUMMARIZE, ResponseMode.ACCUMULATE, ResponseMode.REFINE])
def test_synthesizers(llm: AvengersLLM, mode: ResponseMode, use_async: bool) -> None:
    synthesizer = get_response_synthesizer(llm, response_mode=mode, use_async=use_async)
    nodes = [NodeWithScore(node=TextNode(text=text * 40), score=1.0) for text in NOTES]
    assert str(synthesizer.synthesize(QUESTION, nodes))
    assert set(routed(llm)) == {QUESTION}
    assert str(synthesizer.get_response("Are there tours?", NOTES))
    assert set(routed(llm)) == {QUESTION, "Are there tours?"}


@pytest.mark.parametrize("chat_mode", ["simple", "context", "condense_plus_context", "best", "condense_question"])
@pytest.mark.parametrize("how", ["chat", "stream_chat", "achat", "astream_chat"])
async def test_chat_engines(llm: AvengersLLM, index: VectorStoreIndex, chat_mode: str, how: str) -> None:
    engine = index.as_chat_engine(chat_mode, llm=llm)
    if how.startswith("a"):
        answer = await getattr(engine, how)(QUESTION)
        if how == "astream_chat":
            assert [part async for part in answer.async_response_gen()]
    else:
        assert consume(getattr(engine, how)(QUESTION))
    assert set(routed(llm)) == {QUESTION}


@pytest.mark.parametrize("how", ["chat", "stream_chat"])
def test_later_turns_of_chat_engines(llm: AvengersLLM, index: VectorStoreIndex, how: str) -> None:
    history = [ChatMessage("Hello"), ChatMessage("Good day", role="assistant")]
    for kind in (SimpleChatEngine, CondensePlusContextChatEngine):
        given = {} if kind is SimpleChatEngine else {"retriever": index.as_retriever()}
        consume(getattr(kind.from_defaults(llm=llm, chat_history=history, **given), how)(QUESTION))
    assert set(routed(llm)) == {QUESTION}


def test_condensed_questions_choose_by_the_question_that_is_answered(
    llm: AvengersLLM, index: VectorStoreIndex, server: LLMServer
) -> None:
    server.answer = "What does the tour cost for a family of four?"
    history = [ChatMessage("Is there a tour?"), ChatMessage("Yes", role="assistant")]
    engine = CondenseQuestionChatEngine.from_defaults(
        query_engine=index.as_query_engine(llm=llm), llm=llm, chat_history=history
    )
    engine.chat("And what does it cost us?")
    assert routed(llm) == ["And what does it cost us?", server.answer]


class TwoQuestions(LLMQuestionGenerator):
    """Asks the LLM, as the real one does, and gives two fixed questions: the server cannot make any up."""

    def generate(self, tools: Any, query: QueryBundle) -> list[SubQuestion]:
        self._llm.predict(self._prompt, tools_str="", query_str=query.query_str)
        return [SubQuestion(sub_question=text, tool_name="notes") for text in SUB_QUESTIONS]

    async def agenerate(self, tools: Any, query: QueryBundle) -> list[SubQuestion]:
        return self.generate(tools, query)


SUB_QUESTIONS = ["What does a ticket cost?", "Who enters free of charge?"]


@pytest.mark.parametrize("use_async", [False, True])
def test_sub_questions(llm: AvengersLLM, index: VectorStoreIndex, use_async: bool) -> None:
    tool = QueryEngineTool.from_defaults(index.as_query_engine(llm=llm), name="notes", description="an observatory")
    engine = SubQuestionQueryEngine.from_defaults(
        [tool],
        llm=llm,
        question_gen=TwoQuestions.from_defaults(llm=llm),
        response_synthesizer=get_response_synthesizer(llm),
        use_async=use_async,
        verbose=False,
    )
    assert str(engine.query(QUESTION))
    asked = routed(llm)
    assert asked[0] == asked[-1] == QUESTION
    assert sorted(asked[1:-1]) == SUB_QUESTIONS


def test_nested_engines(llm: AvengersLLM, index: VectorStoreIndex) -> None:
    plain = index.as_query_engine(llm=llm)
    tools = [QueryEngineTool.from_defaults(plain, name=name, description=name) for name in ("a", "b")]
    engines = [
        RouterQueryEngine(EmbeddingSingleSelector(Words()), tools, llm=llm),
        CitationQueryEngine.from_args(index, llm=llm),
        TransformQueryEngine(plain, HyDEQueryTransform(llm=llm)),
        SummaryIndex.from_documents([Document(text=text) for text in NOTES]).as_query_engine(llm=llm),
    ]
    for engine in engines:
        assert str(engine.query(QUESTION))
    assert set(routed(llm)) == {QUESTION}


def test_an_engine_that_fails_leaves_no_question_behind(llm: AvengersLLM, index: VectorStoreIndex) -> None:
    class Broken:
        def evaluate_response(self, *args: Any, **kwargs: Any) -> Any:
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        RetryQueryEngine(index.as_query_engine(llm=llm), Broken()).query(QUESTION)  # type: ignore[arg-type]
    llm.complete("Something else")
    assert routed(llm)[-1] == "Something else"


def test_routing_says_it_by_hand(llm: AvengersLLM, index: VectorStoreIndex) -> None:
    with routing("the real question", alpha=1.0, session="s", tags=["audit"]):
        index.as_query_engine(llm=llm).query(QUESTION)
        with routing(alpha=0.0):
            llm.complete("stuffed")
    llm.complete("plain")
    assert llm.spending
    rows = list(llm.spending.entries())
    assert [row["prompt"] for row in rows] == ["the real question", "the real question", "plain"]
    assert [row["alpha"] for row in rows] == [1.0, 0.0, 0.4]
    assert [row["tags"] for row in rows] == [["audit"], ["audit"], []]
    with pytest.raises(TypeError, match="no option 'alfa'"), routing(alfa=1):  # type: ignore[call-arg]
        pass
    with pytest.raises(ValueError, match="alpha must be"), routing(alpha=7):
        pass
    llm.complete("plain")
    assert list(llm.spending.entries())[-1]["alpha"] == 0.4  # nothing of a wrong block is left


def test_routing_takes_every_option(llm: AvengersLLM) -> None:
    options: dict[str, Any] = {
        "alpha": 1.0,
        "scoring": "reference",
        "exchange": "fixed",
        "min_quality": None,
        "max_cost": 1.0,
        "max_seconds": None,
        "exclude_models": [MINI],
        "fallbacks": BIG,
        "exploration": 0.5,
        "route_on": "with_system",
        "sticky": False,
        "budget": {"per_day": 1.0},
    }
    assert tuple(options) == ROUTE_FIELDS
    with routing(**options):
        decision = llm.route([ChatMessage("be brief", role="system"), ChatMessage("hi")])
    assert (decision.alpha, decision.scoring) == (1.0, "reference")
    assert 0 < decision.propensity < 1  # of a choice that explores
    assert MINI not in decision.candidates
    with pytest.raises(ValueError, match="sticky must be True or False"), routing(sticky="false"):  # type: ignore[arg-type]
        pass


def test_other_ways_to_choose_the_text(make: Make, ledger: Ledger, index: VectorStoreIndex) -> None:
    messages = [ChatMessage("be brief", role="system"), ChatMessage("one"), ChatMessage("two")]
    for route_on, text in [
        ("question", "two"),
        ("last_human", "two"),
        ("with_system", "be brief\ntwo"),
        ("conversation", "be brief\none\ntwo"),
        (lambda given: given[1].content, "one"),
    ]:
        llm = make(ledger=ledger, route_on=route_on)
        llm.chat(messages)
        assert routed(llm)[-1] == text
    stuffed = make(ledger=ledger, route_on="last_human")
    index.as_query_engine(llm=stuffed).query(QUESTION)
    assert QUESTION in routed(stuffed)[-1] != QUESTION
    with pytest.raises(ValueError, match="route_on must be 'last_human'"):
        make(route_on="nonsense")


@pytest.mark.parametrize("kind", [FunctionAgent, ReActAgent])
async def test_agents(llm: AvengersLLM, server: LLMServer, index: VectorStoreIndex, kind: Any) -> None:
    """An agent's own steps choose by what the user said, its query engine's calls by what that was asked."""
    if kind is ReActAgent:
        server.answer = 'Thought: I need a tool.\nAction: notes\nAction Input: {"input": "What does it cost?"}'
    engine = index.as_query_engine(llm=llm)

    async def notes(input: str) -> str:
        """Look it up."""
        if kind is ReActAgent:
            server.answer = "Thought: I can answer without using any more tools.\nAnswer: yes"
        return str(await engine.aquery("What does it cost?"))

    await kind(tools=[notes], llm=llm).run(user_msg=QUESTION)
    assert routed(llm) == [QUESTION, "What does it cost?", QUESTION]
    llm.complete("Something else")
    assert routed(llm)[-1] == "Something else"
