from __future__ import annotations

import asyncio
import contextlib
import copy
import operator
import pickle
import unittest.mock
import warnings
from collections.abc import Callable
from functools import reduce
from typing import Annotated, Any

import pytest
from avengers_core import BudgetError, NoCandidateError, Router
from avengers_core.ledger.budget import budget_scopes, picodollars
from avengers_core.ledger.store import Ledger
from langchain.agents.middleware import SummarizationMiddleware
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import (
    AsyncCallbackHandler,
    BaseCallbackHandler,
    UsageMetadataCallbackHandler,
    get_usage_metadata_callback,
)
from langchain_core.exceptions import OutputParserException
from langchain_core.language_models import BaseChatModel
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import ConfigurableField, RunnableConfig
from langchain_core.tools import tool
from langchain_core.tracers import BaseTracer, LangChainTracer
from langchain_core.tracers.context import tracing_v2_callback_var
from langchain_core.tracers.schemas import Run
from pydantic import BaseModel, ValidationError

from avengers_langchain import (
    AvengersCallbackHandler,
    AvengersRouter,
    ChatAvengers,
    get_avengers_callback,
)
from avengers_langchain._messages import count_tokens, portable
from tests.support.llm_server import BAD_ANSWERS, LLMServer

from .conftest import ALL, BIG, HAIKU, MINI, SONNET, anthropic_model, mixed_pool, openai_model, openai_pool

Make = Callable[..., ChatAvengers]


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
def lookup(word: str) -> str:
    """Look a word up."""
    return f"{word} means something"


class Answer(BaseModel):
    """An answer."""

    value: int
    reason: str


def told(message: Any) -> dict[str, Any]:
    return dict(message.response_metadata["avengers"])


# --- the choice and its knobs ---


def test_alpha_chooses(make: Make, server: LLMServer) -> None:
    llm = make()
    cheap, best = llm.invoke("hello", alpha=0), llm.invoke("hello", alpha=1)
    assert told(cheap)["expected_cost_usd"] < told(best)["expected_cost_usd"]
    assert told(cheap)["model"] == MINI
    assert set(server.asked) == {told(cheap)["model"], told(best)["model"]}


def test_quality_and_cost_in_place_of_alpha(make: Make, server: LLMServer) -> None:
    llm = make(alpha=0.5)
    cheap, best = llm.invoke("hello", alpha=0), llm.invoke("hello", alpha=1)
    assert told(llm.invoke("hello", min_quality=0))["model"] == told(cheap)["model"]
    assert told(make(min_quality=1.0).invoke("hello"))["model"] == told(best)["model"]
    assert told(make(min_quality=1.0).invoke("hello", alpha=0))["model"] == told(cheap)["model"]
    config: Any = {"configurable": {"min_quality": 1.0}}
    assert told(llm.invoke("hello", config))["model"] == told(best)["model"]
    assert told(llm.invoke("hello", config, alpha=0))["model"] == told(cheap)["model"]
    limit = told(best)["expected_cost_usd"] * 0.99
    assert told(llm.invoke("hello", alpha=1, max_cost=limit))["expected_cost_usd"] <= limit
    with pytest.raises(NoCandidateError, match="more than max_cost"):
        llm.invoke("hello", max_cost=1e-12)
    raised: Any = {"configurable": {"max_cost": 1.0}}
    with pytest.raises(NoCandidateError):  # an end user's config lifts no limit
        make(max_cost=1e-12).invoke("hello", raised)


def test_precedence_argument_then_config_then_field(make: Make) -> None:
    llm = make(alpha=0.1)
    config: Any = {"configurable": {"alpha": 0.5}}
    assert told(llm.invoke("hi"))["alpha"] == 0.1
    assert told(llm.invoke("hi", config))["alpha"] == 0.5
    assert told(llm.with_config(config).invoke("hi"))["alpha"] == 0.5
    assert told(llm.invoke("hi", config, alpha=0.9))["alpha"] == 0.9
    assert told(llm.bind(alpha=0.9).invoke("hi", config))["alpha"] == 0.9
    chain = ChatPromptTemplate.from_template("{x}") | llm
    assert told(chain.invoke({"x": "hi"}, config))["alpha"] == 0.5
    assert llm.alpha == 0.1


def test_a_prefix_keeps_two_routers_apart(make: Make) -> None:
    config: Any = {"configurable": {"draft_alpha": 0.9, "alpha": 0.2}}
    assert told(make(config_prefix="draft_").invoke("hi", config))["alpha"] == 0.9


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("models", [SONNET], SONNET),
        ("exclude_models", [MINI, HAIKU, SONNET], BIG),
        ("artifact", "zeroeval", MINI),
        ("scoring", "reference", MINI),
        ("route_on", "conversation", MINI),
        ("sticky", False, MINI),
        ("fallbacks", False, MINI),
        ("budget", {"per_call": 1.0}, MINI),
    ],
)
def test_every_field_is_configurable_per_call(make: Make, name: str, value: Any, expected: str) -> None:
    llm = make(alpha=0.0, configurable=[name])
    assert told(llm.invoke("hi", {"configurable": {name: value}}))["model"] == expected
    assert told(llm.invoke("hi", **{name: value}))["model"] == expected
    assert name in {spec.id for spec in llm.config_specs}


def test_a_ledger_and_models_for_one_call(make: Make, server: LLMServer, tmp_path: Any) -> None:
    llm = make(alpha=0.0)
    path = tmp_path / "one.sqlite"
    llm.invoke("hi", ledger=str(path))
    llm.invoke("hi")
    assert len(list(Ledger(path).entries())) == 1
    other = {BIG: openai_model(server, "gpt-4o")}
    assert told(llm.invoke("hi", models=other))["model"] == BIG
    assert server.asked["gpt-4o"] == 1


def test_models_of_one_call_have_their_own_cached_answers(make: Make, server: LLMServer) -> None:
    llm = make(alpha=0.0, cache=InMemoryCache())
    other = {BIG: openai_model(server, "gpt-4o")}
    for _ in range(2):
        assert told(llm.invoke("hi"))["model"] == MINI
        assert told(llm.invoke("hi", models=other))["model"] == BIG
    assert sum(server.asked.values()) == 2
    assert "canary" not in str(llm.cache.__dict__)


def test_calls_with_an_equal_ledger_share_their_budget(make: Make, tmp_path: Any) -> None:
    """A path is the same path each time, whatever text object it is."""
    llm = make(alpha=0.0)
    dispatchers = {id(llm.plan("hi", ledger=f"{tmp_path}/one.sqlite").context) for _ in range(3)}
    assert len(dispatchers) == 1


def test_options_are_checked_alike_in_fields_and_calls(make: Make, server: LLMServer) -> None:
    server.model_faults = {MINI: 500}
    assert told(make(alpha=0, fallbacks=BIG).invoke("hi"))["model"] == BIG
    assert told(make(alpha=0).invoke("hi", fallbacks=BIG, sticky=True))["model"] == BIG
    assert told(make(alpha=0, route_on="question").invoke("hi"))["model"] != MINI
    reasons = {MINI: "too old", HAIKU: "too old"}
    assert told(make(alpha=0, exclude_models=reasons).invoke("hi"))["model"] not in reasons
    with pytest.raises(NoCandidateError, match=f"{MINI}: too old"):
        make(exclude_models=dict.fromkeys((MINI, BIG, HAIKU, SONNET), "too old")).invoke("hi")
    with pytest.raises(ValidationError, match="sticky must be True or False"):
        make(sticky="false")
    with pytest.raises(ValueError, match="sticky must be True or False"):
        make().invoke("hi", sticky="false")


def test_wrong_fields_say_so(make: Make) -> None:
    with pytest.raises(ValidationError, match="alpha must be"):
        make(alpha=2)
    with pytest.raises(ValueError, match="alpha must be"):
        make().invoke("hi", alpha=2)
    with pytest.raises(ValidationError, match="scoring must be one of"):
        make(scoring="best")
    with pytest.raises(ValidationError, match="route_on must be"):
        make(route_on="first")
    with pytest.raises(ValidationError, match="budget has no 'per_hour'"):
        make(budget={"per_hour": 1})
    with pytest.raises(ValidationError, match="per_day must be a positive"):
        make(budget={"per_day": -1})
    with pytest.raises(ValidationError, match="Extra inputs"):
        make(aplha=0.3)
    with pytest.raises(ValidationError, match="model 'gpt-9' is unknown; did you mean"):
        ChatAvengers(models={"gpt-9": "openai:gpt-9"})
    with pytest.raises(ValidationError, match="must be a chat model"):
        ChatAvengers(models={MINI: object()})
    with pytest.raises(ValidationError, match="no such artifact"):
        make(artifact="nowhere.zip")
    with pytest.raises(ValueError, match="model 'gpt-9' is unknown"):
        make().invoke("hi", model="gpt-9")
    for field in ("exclude_models", "fallbacks"):
        with pytest.raises(NoCandidateError, match="has no model 'gpt-9'"):
            make(**{field: ["gpt-9"]}).invoke("hi")


def test_what_is_embedded() -> None:
    from avengers_langchain._messages import routing_text

    messages = [SystemMessage("be brief"), HumanMessage("one"), AIMessage("ok"), HumanMessage("two")]
    assert routing_text(messages, "last_human") == "two"
    assert routing_text(messages, "with_system") == "be brief\ntwo"
    assert routing_text(messages, "conversation") == "be brief\none\nok\ntwo"
    assert routing_text(messages, lambda m: str(len(m))) == "4"
    assert routing_text([SystemMessage("only")], "last_human") == "only"
    assert routing_text([*messages, AIMessage("", tool_calls=[])], "last_human") == "two"


# --- making models ---


def test_ids_are_made_when_first_chosen(server: LLMServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
    made = []
    import langchain.chat_models

    real = langchain.chat_models.init_chat_model

    def make(name: str, **fields: Any) -> Any:
        made.append(name)
        return real(name, **fields)

    monkeypatch.setattr(langchain.chat_models, "init_chat_model", make)
    llm = ChatAvengers(models=[MINI, BIG], alpha=0)
    assert made == []
    assert told(llm.invoke("hi"))["model"] == MINI
    assert made == [MINI]
    llm.invoke("hi again")
    assert made == [MINI]


def test_models_that_cannot_be_made_are_left_out_with_one_warning(
    server: LLMServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("MISTRAL_API_KEY", raising=False)
    pool = {MINI: f"openai:{MINI}", "mistral-large-2407": "mistralai:x", BIG: openai_model(server, BIG)}
    llm = ChatAvengers(models=pool, alpha=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert told(llm.invoke("hi"))["model"] == BIG
        llm.invoke("hi again")
    ours = [str(w.message) for w in caught if "leaves out" in str(w.message)]
    assert len(ours) == 1
    assert MINI in ours[0]
    assert "mistral-large-2407" in ours[0]


def test_no_model_left_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.warns(UserWarning, match="leaves out"), pytest.raises(NoCandidateError, match=MINI):
        ChatAvengers(models={MINI: f"openai:{MINI}"}).invoke("hi")


# --- the surface ---


def test_stream_is_invoke(make: Make) -> None:
    llm = make(alpha=0)
    chunks = list(llm.stream("tell me"))
    assert len([c for c in chunks if c.text]) > 3
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert isinstance(whole, AIMessageChunk)
    assert whole.text == llm.invoke("tell me").text
    assert told(whole)["model"] == MINI
    assert whole.usage_metadata is not None
    assert told(whole)["cost_usd"] == pytest.approx(told(llm.invoke("tell me"))["cost_usd"], rel=0.05)


async def test_async_is_sync(make: Make) -> None:
    for model in (MINI, HAIKU):
        llm = make(exclude_models=[m for m in (MINI, BIG, HAIKU, SONNET) if m != model])
        assert (await llm.ainvoke("tell me")).text == llm.invoke("tell me").text
        text = "".join([str(chunk.text) async for chunk in llm.astream("tell me")])
        assert text == llm.invoke("tell me").text


async def test_batch_embeds_together(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    llm = make(alpha=0)
    sizes = []
    embedder = llm.router.embedder
    real = embedder.embed
    monkeypatch.setattr(embedder, "embed", lambda texts: (sizes.append(len(texts)), real(texts))[1])
    answers = llm.batch([f"question {n}" for n in range(20)])
    assert [told(a)["model"] for a in answers] == [MINI] * 20
    assert sizes == [20]
    await llm.abatch([f"other {n}" for n in range(300)], {"max_concurrency": 20})
    assert sizes == [20, 300]


async def test_events_show_each_token_once(make: Make) -> None:
    llm = make(alpha=0)
    chain = ChatPromptTemplate.from_template("{x}") | llm | StrOutputParser()
    kinds: dict[str, int] = {}
    text = ""
    async for event in chain.astream_events({"x": "tell me"}, version="v2"):
        kinds[event["event"]] = kinds.get(event["event"], 0) + 1
        if event["event"] == "on_chat_model_stream":
            text += str(event["data"]["chunk"].text)
    assert kinds["on_chat_model_start"] == kinds["on_chat_model_end"] == 1
    assert text == llm.invoke("tell me").text


def test_bind_tools_reaches_the_chosen_model(make: Make, server: LLMServer) -> None:
    for name in (MINI, HAIKU):
        answer = make().bind_tools([add]).invoke("add 2 and 3", model=name)
        assert [call["name"] for call in answer.tool_calls] == ["add"]
    sent = [request["body"]["tools"][0] for request in server.requests]
    assert sent[0]["function"]["name"] == sent[1]["name"] == "add"


def test_tool_choice_and_strict(make: Make, server: LLMServer) -> None:
    llm = make()
    answer = llm.bind_tools([add, lookup], tool_choice="lookup", strict=True).invoke("hm", model=MINI)
    assert answer.tool_calls[0]["name"] == "lookup"
    assert server.requests[-1]["body"]["tools"][0]["function"]["strict"] is True
    answer = llm.bind_tools([add, lookup], tool_choice="lookup").invoke("hm", model=HAIKU)
    assert server.requests[-1]["body"]["tool_choice"] == {"type": "tool", "name": "lookup"}


@pytest.mark.parametrize("model", [MINI, HAIKU])
@pytest.mark.parametrize("method", [None, "json_schema", "function_calling", "json_mode"])
@pytest.mark.parametrize("include_raw", [False, True])
def test_structured_output(make: Make, server: LLMServer, model: str, method: str | None, include_raw: bool) -> None:
    if method == "json_mode":
        if model == HAIKU:
            pytest.skip("ChatAnthropic has no JSON mode")
        server.answer = '{"value": 7, "reason": "because"}'
    kwargs = {} if method is None else {"method": method}
    chain = make(models={model: mixed_pool(server)[model]}).with_structured_output(
        Answer, include_raw=include_raw, **kwargs
    )
    if method == "json_mode":
        with pytest.raises(Exception, match="fit") if not include_raw else contextlib.nullcontext():
            out = chain.invoke("as JSON: what is 7?")
            assert out["parsed"] is None
            assert out["parsing_error"] is not None
        return
    out = chain.invoke("what is 7?")
    if include_raw:
        assert isinstance(out["raw"], AIMessage)
        assert told(out["raw"])["model"] == model
        out = out["parsed"]
    assert isinstance(out, Answer)
    assert out.value == 7


def test_stop_and_arguments_go_through(make: Make, server: LLMServer) -> None:
    make(temperature=0.2).invoke("hi", model=MINI, stop=["x"], max_tokens=9)
    body = server.requests[-1]["body"]
    assert (body["temperature"], body["stop"]) == (0.2, ["x"])
    assert body.get("max_completion_tokens", body.get("max_tokens")) == 9


def test_cache(make: Make, server: LLMServer) -> None:
    llm = make(cache=InMemoryCache())
    handler = AvengersCallbackHandler()
    first = llm.invoke("hi", {"callbacks": [handler]})
    assert llm.invoke("hi", {"callbacks": [handler]}).text == first.text
    assert sum(server.asked.values()) == 1
    assert (handler.totals.calls, handler.totals.cached) == (1, 1)
    llm.invoke("hi", alpha=1.0)
    llm.bind_tools([add]).invoke("hi")
    llm.bind_tools([add]).invoke("hi")
    assert sum(server.asked.values()) == 3


def test_rate_limiter(make: Make) -> None:
    limiter = InMemoryRateLimiter(requests_per_second=50, check_every_n_seconds=0.001, max_bucket_size=1)
    taken = []
    real = limiter.acquire
    limiter.acquire = lambda **k: (taken.append(1), real(**k))[1]  # type: ignore[method-assign]
    llm = make(rate_limiter=limiter)
    llm.invoke("hi")
    list(llm.stream("hi"))
    assert len(taken) == 2


def test_copies(make: Make, server: LLMServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
    llm = ChatAvengers(models=[MINI, BIG], alpha=0, budget={"per_day": 1.0})
    llm.invoke("hi")
    for twin in (copy.copy(llm), copy.deepcopy(llm), llm.model_copy(), pickle.loads(pickle.dumps(llm))):
        assert told(twin.invoke("hi"))["model"] == MINI
        assert twin.budget == {"per_day": 1.0}
    changed = llm.model_copy(update={"models": [BIG]})
    assert told(changed.invoke("hi"))["model"] == BIG
    assert told(llm.invoke("hi"))["model"] == MINI


def test_profile_is_what_the_pool_can_do(make: Make, server: LLMServer) -> None:
    profile = make().profile
    assert profile is not None
    assert profile["tool_calling"] is True
    assert profile["max_input_tokens"] == 200_000  # the largest window: a long request goes to that model
    some = ChatAvengers(models=openai_pool(server), capabilities={MINI: {"tools": False}}).profile
    assert some is not None
    assert some["tool_calling"] is True
    none = {name: {"tools": False} for name in openai_pool(server)}
    without = ChatAvengers(models=openai_pool(server), capabilities=none).profile
    assert without is not None
    assert without["tool_calling"] is False


def test_tokens_are_counted_offline(make: Make) -> None:
    assert make().get_num_tokens("hello world, how are you?") in range(5, 9)
    assert make().get_num_tokens_from_messages([HumanMessage("hello")]) > 1


def test_with_retry_and_with_fallbacks(make: Make, server: LLMServer) -> None:
    server.faults = [400]
    llm = make(fallbacks=False)
    assert llm.with_fallbacks([openai_model(server, "spare")]).invoke("hi").text.startswith("This is what spare")
    server.faults = [500, 500]
    assert llm.with_retry(stop_after_attempt=3, wait_exponential_jitter=False).invoke("hi").text


# --- capabilities ---


def test_no_incapable_model_is_called(make: Make, server: LLMServer) -> None:
    pool = mixed_pool(server)
    caps = {MINI: {"tools": False, "images": False}, HAIKU: {"tools": True, "images": False}, BIG: ALL, SONNET: ALL}
    llm = ChatAvengers(models=pool, capabilities=caps, alpha=0)
    assert told(llm.invoke("hi"))["model"] == MINI
    assert told(llm.bind_tools([add]).invoke("hi"))["model"] == HAIKU
    picture = [
        {"type": "text", "text": "what?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    assert told(llm.invoke([HumanMessage(picture)]))["model"] in (BIG, SONNET)
    with pytest.raises(NoCandidateError, match=f"{MINI}: no tools") as caught:
        llm.bind_tools([add]).invoke("hi", models=[MINI])
    assert caught.value.reasons[BIG] == "excluded by the caller"


@pytest.mark.parametrize(
    ("block", "need"),
    [
        ({"type": "image", "base64": "AAAA", "mime_type": "image/png"}, "images"),
        ({"type": "audio", "base64": "AAAA", "mime_type": "audio/wav"}, "audio"),
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}, "audio"),
        ({"type": "file", "base64": "AAAA", "mime_type": "application/pdf"}, "pdf"),
        ({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "A"}}, "pdf"),
        ({"type": "video", "base64": "AAAA", "mime_type": "video/mp4"}, "video"),
    ],
)
def test_media_need_models_that_take_them(server: LLMServer, block: dict[str, Any], need: str) -> None:
    llm = ChatAvengers(models=openai_pool(server), capabilities={MINI: {need: False}, BIG: {need: False}})
    with pytest.raises(NoCandidateError, match=f"no {need}"):
        llm.invoke([HumanMessage([{"type": "text", "text": "look"}, block])])
    assert not server.asked


def test_the_context_window_is_counted(server: LLMServer) -> None:
    caps = {MINI: {"max_input_tokens": 1000}, BIG: {"max_input_tokens": 20_000}}
    llm = ChatAvengers(models=openai_pool(server), capabilities=caps, alpha=0)
    assert told(llm.invoke("word " * 500))["model"] == MINI
    assert told(llm.invoke("word " * 1500))["model"] == BIG
    with pytest.raises(NoCandidateError, match="max_input_tokens 20000 below"):
        llm.invoke("word " * 30_000)


def test_a_model_without_bind_tools_has_no_tools(server: LLMServer) -> None:
    from langchain_core.language_models import FakeListChatModel

    llm = ChatAvengers(models={MINI: FakeListChatModel(responses=["a"]), BIG: openai_model(server, BIG)}, alpha=0)
    assert told(llm.invoke("hi"))["model"] == MINI
    assert told(llm.bind_tools([add]).invoke("hi"))["model"] == BIG


# --- conversations ---


def test_a_tool_loop_keeps_its_model(make: Make, server: LLMServer) -> None:
    llm = make(alpha=0).bind_tools([add])
    first = llm.invoke("add 2 and 3", models=[SONNET])
    history = [HumanMessage("add 2 and 3"), first, ToolMessage("5", tool_call_id=first.tool_calls[0]["id"])]
    assert told(llm.invoke(history))["model"] == SONNET
    assert told(llm.invoke(history, sticky=False))["model"] != SONNET
    assert told(llm.invoke([*history, AIMessage("5"), HumanMessage("thanks")]))["model"] != SONNET


def test_between_turns_a_change_must_beat_the_prompt_cache(make: Make) -> None:
    asked = "What is the capital of France?"
    alpha = 0.55

    def history(model: str, tokens: int) -> list[Any]:
        usage: Any = {"input_tokens": tokens, "output_tokens": 10, "total_tokens": tokens + 10}
        met = {"avengers": {"model": model}}
        answer = AIMessage("ok", response_metadata=met, usage_metadata=usage)
        return [HumanMessage("word " * tokens), answer, HumanMessage(asked)]

    llm = make(alpha=alpha, models=None)
    free, kept = (llm.route(history(BIG, 5000), sticky=sticky) for sticky in (False, True))
    saved = dict(zip(free.candidates, free.costs - kept.costs, strict=True))
    assert saved.pop(BIG) == pytest.approx(5010 * (2.5 - 1.25) / 1e6)
    assert list(saved.values()) == pytest.approx([0] * 3)
    assert list(llm.route(history(BIG, 500)).costs) == list(llm.route(history(BIG, 500), sticky=False).costs)
    # Somewhere along alpha the cache decides: the model stays where a fresh conversation would change it.
    stays = [
        alpha
        for alpha in [n / 50 for n in range(51)]
        if told(llm.invoke(history(BIG, 20_000), alpha=alpha))["model"] == BIG
        and told(llm.invoke(history(BIG, 20_000), alpha=alpha, sticky=False))["model"] != BIG
    ]
    assert stays


def test_a_ledger_that_fails_does_not_lose_the_answer(make: Make, tmp_path: Any, caplog: Any) -> None:
    llm = make(ledger=tmp_path / "l.sqlite")
    assert llm.spending is not None
    with llm.spending._engine.begin() as db:
        db.exec_driver_sql("DROP TABLE calls")
    assert llm.invoke("hi").text
    assert "could not be recorded" in caplog.text


def test_histories_of_one_provider_are_taken_by_another(make: Make, server: LLMServer) -> None:
    thought = AIMessage(
        [
            {"type": "thinking", "thinking": "hm", "signature": "abc"},
            {"type": "text", "text": "let me add"},
            {"type": "tool_use", "id": "toolu:1.x", "name": "add", "input": {"a": 1, "b": 2}},
        ],
        tool_calls=[{"name": "add", "args": {"a": 1, "b": 2}, "id": "toolu:1.x"}],
        response_metadata={"model_provider": "anthropic"},
    )
    history = [HumanMessage("add"), thought, ToolMessage("3", tool_call_id="toolu:1.x"), HumanMessage("and?")]
    make().bind_tools([add]).invoke(history, model=MINI)
    sent = server.requests[-1]["body"]["messages"]
    assert sent[1]["content"] == "let me add"
    assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"]
    assert ":" not in sent[2]["tool_call_id"]
    responses = AIMessage(
        [{"type": "reasoning", "id": "rs_1", "summary": []}, {"type": "text", "text": "let me add", "id": "msg_1"}],
        tool_calls=[{"name": "add", "args": {"a": 1, "b": 2}, "id": "call_1"}],
        additional_kwargs={"__openai_function_call_ids__": {}},
        response_metadata={"model_provider": "openai"},
    )
    history = [HumanMessage("add"), responses, ToolMessage("3", tool_call_id="call_1"), HumanMessage("and?")]
    make().bind_tools([add]).invoke(history, model=HAIKU)
    sent = server.requests[-1]["body"]["messages"]
    kinds = [block["type"] for block in sent[1]["content"]]
    assert kinds == ["text", "tool_use"]
    assert sent[2]["content"][0]["tool_use_id"] == "call_1"


# --- fallback ---


@pytest.mark.parametrize("fault", [429, 500, 503, 529, 408, "drop", "timeout", "garbage", "drop_mid"])
@pytest.mark.parametrize("how", ["invoke", "stream", "ainvoke", "astream"])
async def test_another_model_helps_out(make: Make, server: LLMServer, fault: Any, how: str, tmp_path: Any) -> None:
    if how.endswith("stream") and fault in ("garbage", "drop_mid"):
        pytest.skip("a stream that has begun is not begun again")
    llm = make(alpha=0, ledger=tmp_path / "l.sqlite", models=mixed_pool(server, timeout=0.3))
    server.model_faults = {MINI: fault}
    answer = await _ask(llm, how)
    assert told(answer)["model"] != MINI
    assert told(answer)["attempts"][0]["model"] == MINI
    assert told(answer)["attempts"][0]["error"]
    rows = list(Ledger(tmp_path / "l.sqlite").entries())
    assert [row["attempt"] for row in rows] == [0, 1]
    assert rows[0]["status"] in ("rate_limit", "server", "timeout", "connection", "invalid_response")
    assert rows[1]["status"] == "ok"
    assert rows[0]["call"] == rows[1]["call"]


async def _ask(llm: Any, how: str, text: str = "hi") -> Any:
    if how == "invoke":
        return llm.invoke(text)
    if how == "ainvoke":
        return await llm.ainvoke(text)
    chunks = list(llm.stream(text)) if how == "stream" else [chunk async for chunk in llm.astream(text)]
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    return whole


@pytest.mark.parametrize("status", [400, 422])
async def test_a_callers_error_is_raised(make: Make, server: LLMServer, status: int) -> None:
    llm = make(alpha=0)
    server.model_faults = {MINI: status}
    for how in ("invoke", "stream", "ainvoke", "astream"):
        with pytest.raises(Exception, match=f"fault {status}"):
            await _ask(llm, how)
    assert sum(server.asked.values()) == server.asked[MINI] == 4


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("how", ["invoke", "stream", "ainvoke", "astream"])
async def test_a_refused_key_leaves_the_other_provider(
    make: Make, server: LLMServer, status: int, how: str, caplog: Any
) -> None:
    server.model_faults = {MINI: status, BIG: status}
    answer = await _ask(make(alpha=0), how)
    assert told(answer)["model"] in (HAIKU, SONNET)
    assert "refused its key" in caplog.text
    assert server.asked[BIG] == 0, "it has the same key"
    only = make(alpha=0, models={name: model for name, model in mixed_pool(server).items() if name in (MINI, BIG)})
    with pytest.raises(Exception, match=f"fault {status}"):
        await _ask(only, how)


@pytest.mark.parametrize("how", ["invoke", "stream", "ainvoke", "astream"])
async def test_a_model_that_is_gone_is_followed(make: Make, server: LLMServer, how: str, caplog: Any) -> None:
    server.model_faults = {MINI: 404}
    llm = make(alpha=0)
    assert told(await _ask(llm, how))["model"] != MINI
    assert "may have retired it" in caplog.text
    await _ask(llm, how)
    assert server.asked[MINI] == 1


@pytest.mark.parametrize("cheapest", [MINI, HAIKU])
@pytest.mark.parametrize("fault", [*BAD_ANSWERS, "trickle"])
@pytest.mark.parametrize("how", ["invoke", "stream", "ainvoke", "astream"])
async def test_no_answer_with_status_200_is_the_models_fault(
    make: Make, server: LLMServer, cheapest: str, fault: str, how: str, tmp_path: Any
) -> None:
    pool = mixed_pool(server, timeout=0.3 if fault == "trickle" else 3)
    other = BIG if cheapest == HAIKU else SONNET
    llm = make(alpha=0, ledger=tmp_path / "l.sqlite", models={name: pool[name] for name in (cheapest, other)})
    server.model_faults = {cheapest: fault}
    answer = await _ask(llm, how)
    assert answer.text
    assert told(answer)["model"] == other
    failed, ok = Ledger(tmp_path / "l.sqlite").entries()
    kinds = {"error_body": ("server", "invalid_response"), "error_stream": ("server", "invalid_response")}
    assert failed["status"] in kinds.get(fault, ("timeout",) if fault == "trickle" else ("invalid_response",))
    assert (failed["cost_usd"] == 0) == (failed["status"] == "server"), "who may have charged is charged as expected"
    assert ok["status"] == "ok"


def test_an_attempt_has_an_end_of_its_own(make: Make, server: LLMServer) -> None:
    server.model_faults = {MINI: "trickle"}
    pool = {name: openai_model(server, name, timeout=None) for name in (MINI, BIG)}
    assert told(make(alpha=0, models=pool, attempt_timeout=0.4).invoke("hi"))["model"] == BIG


def test_a_model_that_refuses_an_argument_is_passed_over(make: Make, server: LLMServer) -> None:
    server.model_faults = {MINI: 500}
    pool = mixed_pool(server)
    llm = make(alpha=0, models={name: pool[name] for name in (MINI, HAIKU, BIG)})
    answer = llm.invoke("hi", seed=1)
    assert told(answer)["model"] == BIG
    assert [one["error"] for one in told(answer)["attempts"]][1:] == ["TypeError", None]
    server.model_faults = {MINI: 500, BIG: 503}
    with pytest.raises(Exception, match="fault 500"):
        make(alpha=0, models=pool, exclude_models=[SONNET]).invoke("hi", seed=1)


def test_a_stream_that_has_begun_is_not_begun_again(make: Make, server: LLMServer, tmp_path: Any) -> None:
    llm = make(alpha=0, ledger=tmp_path / "l.sqlite")
    server.model_faults = {MINI: "drop_mid"}
    got: list[str] = []
    with pytest.raises(Exception, match=r"(?i)connection|incomplete|peer"):
        got.extend(str(chunk.text) for chunk in llm.stream("tell me all"))
    assert "".join(got)
    assert sum(server.asked.values()) == 1
    (row,) = Ledger(tmp_path / "l.sqlite").entries()
    assert (row["status"], row["cost_usd"]) == ("connection", None)


def test_a_failing_model_rests(make: Make, server: LLMServer) -> None:
    llm = make(alpha=0)
    server.model_faults = {MINI: 500}
    for _ in range(3):
        llm.invoke("hi")
    assert server.asked[MINI] == 1
    quick = make(alpha=0, cooldown=0)
    for _ in range(3):
        quick.invoke("hi")
    assert server.asked[MINI] == 4


def test_models_that_all_rest_are_asked_anyway(make: Make, server: LLMServer) -> None:
    llm = make(alpha=0)
    server.faults = [500] * 4
    with pytest.raises(Exception, match="fault 500"):
        llm.invoke("hi")
    assert told(llm.invoke("hi"))["model"] == MINI


def test_fallbacks_can_be_limited(make: Make, server: LLMServer) -> None:
    server.chaos = lambda _: 500
    for allowed, asked in ((False, 1), (True, 4), (1, 2), (2, 3), ([SONNET], 2)):
        server.asked.clear()
        with pytest.raises(Exception, match="fault 500"):
            make(alpha=0, fallbacks=allowed).invoke("hi")
        assert sum(server.asked.values()) == asked
    assert server.asked[SONNET] == 1


async def test_the_time_to_the_first_token_is_recorded(make: Make, server: LLMServer, tmp_path: Any) -> None:
    server.delay = 0.2
    llm = make(alpha=0, ledger=tmp_path / "l.sqlite")
    list(llm.stream("tell me"))
    [part async for part in llm.astream("tell me")]
    whole = llm.invoke("tell me")
    *streamed, other = Ledger(tmp_path / "l.sqlite").entries()
    for row in streamed:
        assert 0.2 <= row["first_token_seconds"] <= row["seconds"]
    assert other["first_token_seconds"] is None
    assert other["seconds"] >= 0.2
    assert told(whole)["expected_seconds"] is None  # the packaged artifact knows no speeds


def test_an_abandoned_stream_is_recorded(make: Make, tmp_path: Any) -> None:
    llm = make(alpha=0, ledger=tmp_path / "l.sqlite")
    stream = llm.stream("tell me")
    next(stream)
    stream.close()
    (row,) = Ledger(tmp_path / "l.sqlite").entries()
    assert (row["status"], row["cost_usd"]) == ("cancelled", None)


# --- callbacks and usage ---


class Recorder(BaseCallbackHandler):
    def __init__(self) -> None:
        self.starts: list[dict[str, Any]] = []
        self.ends = 0

    def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
        self.starts.append(kwargs)

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        self.ends += 1


class Tree(BaseTracer):
    def __init__(self) -> None:
        super().__init__()
        self.roots: list[Run] = []

    def _persist_run(self, run: Run) -> None:
        self.roots.append(run)


@pytest.mark.parametrize("how", ["invoke", "stream", "ainvoke", "astream"])
async def test_usage_counts_once(make: Make, server: LLMServer, how: str) -> None:
    llm = make(alpha=0)
    usage, recorder, ours = UsageMetadataCallbackHandler(), Recorder(), AvengersCallbackHandler()
    with get_usage_metadata_callback() as everywhere, get_avengers_callback() as mine:
        answer = await _ask(llm.with_config(callbacks=[usage, recorder, ours]), how)
    charged = server.tokens[MINI, "input"], server.tokens[MINI, "output"]
    for counted in (usage.usage_metadata, everywhere.usage_metadata):
        (one,) = counted.values()
        assert (one["input_tokens"], one["output_tokens"]) == charged
    assert (len(recorder.starts), recorder.ends) == (1, 1)
    for totals in (ours.totals, mine):
        assert totals.calls == 1
        assert totals.cost_usd == pytest.approx(told(answer)["cost_usd"])
        assert list(totals.models) == [MINI]
        assert totals.saved_usd > 0
    assert recorder.starts[0]["metadata"]["ls_model_name"] == MINI
    assert recorder.starts[0]["metadata"]["ls_provider"] == "openai"


@pytest.mark.parametrize("how", ["invoke", "stream", "ainvoke", "astream"])
async def test_totals_add_up_by_model_and_block(make: Make, how: str) -> None:
    llm = make()
    with get_avengers_callback() as outer:
        await _ask(llm.bind(model=MINI), how)
        with get_avengers_callback() as inner:
            await _ask(llm.bind(model=BIG), how)
    await _ask(llm, how)
    assert {name: one.calls for name, one in outer.models.items()} == {MINI: 1, BIG: 1}
    assert list(inner.models) == [BIG]
    assert outer.cost_usd == pytest.approx(sum(one.cost_usd for one in outer.models.values()))
    assert str(inner).startswith("1 calls, $0.000")


@pytest.mark.parametrize("how", ["invoke", "stream", "ainvoke", "astream"])
async def test_inner_runs_nest(make: Make, server: LLMServer, how: str) -> None:
    tree = Tree()
    server.model_faults = {MINI: 500}
    await _ask(make(alpha=0).with_config(callbacks=[tree], tags=["t"]), how)
    (root,) = tree.roots
    assert [run.name for run in root.child_runs] == ["ChatOpenAI", "ChatAnthropic"] or len(root.child_runs) == 2
    failed, worked = root.child_runs
    assert failed.error is not None
    assert worked.error is None
    assert failed.parent_run_id == worked.parent_run_id == root.id
    assert (worked.extra or {})["metadata"]["ls_model_name"] != MINI
    message = (worked.outputs or {})["generations"][0][0]["message"]["kwargs"]
    assert not message.get("usage_metadata")
    assert (root.outputs or {})["generations"][0][0]["message"]["kwargs"]["usage_metadata"]


async def test_async_handlers_and_own_callbacks(make: Make, server: LLMServer) -> None:
    seen = []

    class Async(AsyncCallbackHandler):
        async def on_llm_end(self, response: Any, **kwargs: Any) -> None:
            seen.append("async")

    await make().ainvoke("hi", {"callbacks": [Async()]})
    make(callbacks=[Recorder()]).invoke("hi")
    assert seen == ["async"]


@pytest.mark.parametrize("direct", ["generate", "agenerate"])
async def test_generate_is_planned_too(make: Make, direct: str) -> None:
    tree = Tree()
    asked: list[list[Any]] = [[HumanMessage("one")], [HumanMessage("two")]]
    llm = make()
    if direct == "generate":
        result = llm.generate(asked, callbacks=[tree], alpha=0.2)
    else:
        result = await llm.agenerate(asked, callbacks=[tree], alpha=0.2)
    assert [told(one[0].message)["alpha"] for one in result.generations] == [0.2, 0.2]  # type: ignore[union-attr]
    assert [len(root.child_runs) for root in tree.roots] == [1, 1]


async def test_a_cancelled_call_gives_its_money_back(make: Make, server: LLMServer, tmp_path: Any) -> None:
    server.delay = 0.5
    llm = make(ledger=tmp_path / "l.sqlite", budget={"per_day": 1.0})
    for call in (llm.ainvoke("hi"), anext(llm.astream("hi"))):
        task = asyncio.ensure_future(call)
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    while len(rows := list(Ledger(tmp_path / "l.sqlite").entries())) < 2:
        await asyncio.sleep(0.01)
    assert [row["status"] for row in rows] == ["cancelled"] * 2
    day = budget_scopes("")["day"]
    assert llm.dispatcher.context.budget_store.spent([day]) == {
        day: sum(picodollars(row["expected_cost_usd"]) for row in rows)
    }


def test_no_secret_is_shown(make: Make, server: LLMServer, caplog: Any) -> None:
    llm = make()
    server.chaos = lambda _: 401
    with pytest.raises(Exception, match="fault 401") as caught:
        llm.invoke("hi")
    shown = [repr(llm), str(llm), dumps(llm), repr(llm.bind_tools([add])), str(llm.asdict()), str(caught.value)]
    assert not [text for text in [*shown, caplog.text] if "canary" in text]


def test_metadata_tells_the_decision(make: Make) -> None:
    answer = make().invoke("hi", {"tags": ["x"]})
    facts = told(answer)
    assert set(facts) >= {"model", "provider", "alpha", "expected_cost_usd", "cost_usd", "decision_id", "best_single"}
    assert facts["provider"] in ("openai", "anthropic")
    assert answer.response_metadata["model_name"]


async def test_the_model_of_a_stream_is_named_once(make: Make, server: LLMServer) -> None:
    llm = make(alpha=0)
    name = llm.invoke("hi").response_metadata["model_name"]
    whole: Any = None
    for part in llm.stream("hi"):
        whole = part if whole is None else whole + part
    assert whole.response_metadata["model_name"] == name
    whole = None
    async for part in llm.astream("hi"):
        whole = part if whole is None else whole + part
    assert whole.response_metadata["model_name"] == name


def test_opentelemetry_spans(make: Make, server: LLMServer, spans: Any) -> None:
    server.model_faults = {MINI: 429}
    answer = make(alpha=0).invoke("a secret prompt")
    failed, worked = (span for span in spans.get_finished_spans() if span.name.startswith("chat "))
    assert failed.attributes is not None
    assert worked.attributes is not None
    assert failed.attributes["error.type"]
    assert worked.attributes["gen_ai.request.model"] == told(answer)["model"]
    assert worked.attributes["gen_ai.usage.input_tokens"] == answer.usage_metadata["input_tokens"]  # type: ignore[index]
    assert "secret prompt" not in failed.to_json() + worked.to_json()


def test_a_tracing_tool_whose_insides_have_changed_costs_no_answer(make: Make, caplog: Any) -> None:
    changed = type("Changed", (BaseCallbackHandler,), {"__module__": "langfuse.changed"})
    assert make(alpha=0).invoke("hi", {"callbacks": [changed()]}).text
    assert "a trace could not be told which model answered (AttributeError" in caplog.text


# --- ledger and budget ---


def test_the_ledger_has_each_call(make: Make, server: LLMServer, tmp_path: Any) -> None:
    path = tmp_path / "l.sqlite"
    llm = make(alpha=0, ledger=path)
    config: Any = {"tags": ["shop"], "configurable": {"session_id": "s1"}}
    answer = llm.invoke("my secret question", config)
    list(llm.stream("another", config))
    rows = list(Ledger(path).entries())
    assert [row["status"] for row in rows] == ["ok", "ok"]
    assert rows[0]["tags"] == ["shop"]
    assert rows[0]["session"] == "s1"
    assert rows[0]["run"]
    assert float(rows[0]["cost_usd"]) == pytest.approx(told(answer)["cost_usd"])
    assert sum(row["input_tokens"] for row in rows) == server.tokens[MINI, "input"]
    assert sum(row["output_tokens"] for row in rows) == server.tokens[MINI, "output"]
    assert b"secret question" not in path.read_bytes()
    assert rows[0]["prompt"] is None
    make(alpha=0, ledger=Ledger(path, store_prompts=True)).invoke("keep this")
    assert list(Ledger(path).entries())[-1]["prompt"] == "keep this"
    report = Ledger(path).report("tag")
    assert {row["tag"]: row["calls"] for row in report} == {"shop": 2, "(none)": 1}


def test_a_missing_usage_is_unknown_not_free(make: Make, server: LLMServer, tmp_path: Any) -> None:
    server.faults = ["no_usage"]
    answer = make(alpha=0, ledger=tmp_path / "l.sqlite").invoke("hi")
    assert told(answer)["cost_usd"] is None
    (row,) = Ledger(tmp_path / "l.sqlite").entries()
    assert row["cost_usd"] is None
    assert Ledger(tmp_path / "l.sqlite").report()[0]["unknown"] == 1


def test_a_budget_drops_dear_models_then_stops(make: Make, server: LLMServer, tmp_path: Any) -> None:
    server.answer = "word " * 400
    free = make(alpha=1.0, ledger=tmp_path / "a.sqlite")
    best = told(free.invoke("Prove it."))
    limit = best["expected_cost_usd"] * 6
    llm = make(alpha=1.0, ledger=tmp_path / "b.sqlite", budget={"per_session": limit})
    config: Any = {"configurable": {"session_id": "one"}}
    models: list[str] = []
    with pytest.raises(BudgetError, match="per_session"):
        models.extend(told(llm.invoke("Prove it.", config))["model"] for _ in range(5000))
    assert models[0] == best["model"]
    assert models[-1] != best["model"]
    assert told(llm.invoke("Prove it.", {"configurable": {"session_id": "two"}}))["model"] == best["model"]


def test_a_budget_per_call(make: Make) -> None:
    best = told(make(alpha=1.0).invoke("Prove it."))
    llm = make(alpha=1.0, budget={"per_call": best["expected_cost_usd"] / 2})
    assert told(llm.invoke("Prove it."))["model"] != best["model"]
    with pytest.raises(BudgetError, match="per_call"):
        make(budget={"per_call": 1e-9}).invoke("Prove it.")


async def test_concurrent_calls_overspend_by_no_more_than_those_in_flight(
    make: Make, server: LLMServer, tmp_path: Any
) -> None:
    server.delay = 0.02
    cost = told(make(alpha=0).invoke("hi"))
    limit = cost["expected_cost_usd"] * 25
    llm = make(
        alpha=0,
        models={MINI: mixed_pool(server, timeout=20)[MINI]},
        ledger=tmp_path / "l.sqlite",
        budget={"per_day": limit},
    )
    got = await llm.abatch(["hi"] * 100, return_exceptions=True)
    assert not [one for one in got if not isinstance(one, (AIMessage, BudgetError))]
    spent = sum(told(one)["cost_usd"] for one in got if isinstance(one, AIMessage))
    reserved = sum(told(one)["expected_cost_usd"] for one in got if isinstance(one, AIMessage))
    assert any(isinstance(one, BudgetError) for one in got)
    assert reserved <= limit * 1.0001 or spent <= limit
    assert llm.spending is not None
    assert float(sum(r["cost_usd"] for r in llm.spending.report())) == pytest.approx(spent)


# --- the router alone ---


def test_router_runnable(make: Make, server: LLMServer) -> None:
    router = AvengersRouter(models=mixed_pool(server), alpha=0)
    decision = router.invoke("hello")
    assert decision.model == MINI
    assert router.invoke([HumanMessage("hello")]).model == MINI
    assert router.invoke("hello", {"configurable": {"alpha": 1.0}}).alpha == 1.0
    assert [d.model for d in router.batch(["a", "b"])] == [MINI, MINI]
    assert (ChatPromptTemplate.from_template("{x}") | router).invoke({"x": "hi"}).model == MINI
    assert not server.asked


def test_a_router_object_is_taken(make: Make) -> None:
    assert told(make(artifact=Router.load("zeroeval")).invoke("hi"))["model"]


def test_own_embeddings(tmp_path: Any, server: LLMServer, records: Any) -> None:
    from avengers_core import RouterEstimator, load_records
    from langchain_core.embeddings import DeterministicFakeEmbedding

    from avengers_langchain import as_embedder

    embeddings = DeterministicFakeEmbedding(size=16)
    path = tmp_path / "own.zip"
    RouterEstimator(n_clusters=3, embedder=as_embedder(embeddings)).fit(load_records(records)).save(path)
    pool = {"small": openai_model(server, "small"), "big": openai_model(server, "big")}
    llm = ChatAvengers(artifact=path, embeddings=embeddings, models=pool, alpha=1)
    assert told(llm.invoke("hi"))["model"] in pool
    with pytest.raises(Exception, match="trained with embedder"):
        ChatAvengers(artifact=path, embeddings=DeterministicFakeEmbedding(size=8), models=pool).invoke("hi")


def test_it_is_a_chat_model() -> None:
    assert issubclass(ChatAvengers, BaseChatModel)
    assert Annotated


def test_configurable_fields_keep_the_model(make: Make) -> None:
    named = make(alpha=0.1).configurable_fields(alpha=ConfigurableField(id="knob"))
    assert isinstance(named, ChatAvengers)
    assert told(named.bind_tools([add]).invoke("hi", {"configurable": {"knob": 0.7}}))["alpha"] == 0.7


def test_bound_clients_keep_what_they_bind(server: LLMServer) -> None:
    llm = ChatAvengers(models={HAIKU: anthropic_model(server, HAIKU).bind(temperature=0.3)})
    llm.invoke("hi")
    assert server.requests[-1]["body"]["temperature"] == 0.3


def test_a_tool_loop_and_a_fallback_have_no_propensity(make: Make, server: LLMServer, tmp_path: Any) -> None:
    llm = make(ledger=tmp_path / "l.sqlite", exploration=0.2)
    first = llm.bind_tools([add]).invoke("What is 1 + 2?")
    history = [HumanMessage("What is 1 + 2?"), first, ToolMessage("3", tool_call_id=first.tool_calls[0]["id"])]
    llm.bind_tools([add]).invoke(history)
    server.faults = [500]
    llm.invoke("Something else entirely?")
    rows = [(row["attempt"], row["propensity"]) for row in Ledger(tmp_path / "l.sqlite").entries()]
    assert [attempt for attempt, _ in rows] == [0, 0, 0, 1]
    assert [propensity is None for _, propensity in rows] == [False, True, False, True]


# --- what an end user's config may do ---


def test_a_config_cannot_lift_a_limit(make: Make, server: LLMServer, tmp_path: Any, caplog: Any) -> None:
    llm = make(alpha=0.0, budget={"per_call": 1e-12}, ledger=tmp_path / "l.sqlite")
    lifted: Any = {"configurable": {"budget": {"per_call": 100.0}, "ledger": str(tmp_path / "x.sqlite"), "alpha": 0.1}}
    with pytest.raises(BudgetError):
        llm.invoke("hi", lifted)
    assert "budget, ledger in a config is ignored" in caplog.text
    assert not (tmp_path / "x.sqlite").exists()
    trusted = make(alpha=0.0, budget={"per_call": 1e-12}, configurable=["budget"])
    assert told(trusted.invoke("hi", {"configurable": {"budget": {"per_call": 100.0}}}))["model"] == MINI
    with pytest.raises(ValueError, match="models in a config may only be some of"):
        make().invoke("hi", {"configurable": {"models": {MINI: openai_model(server, MINI)}}})
    with pytest.raises(ValidationError, match="cannot change 'colour'"):
        make(configurable=["colour"])


def test_another_cooldown_for_a_call_is_no_new_purse(make: Make, server: LLMServer) -> None:
    llm = make(alpha=0.0, budget={"per_day": 0.002}, configurable=["cooldown", "capabilities"])
    with pytest.raises(BudgetError):  # noqa: PT012
        for number in range(2000):
            fresh = {"tools": True, "images": True}
            llm.invoke("hi " * 50, {"configurable": {"cooldown": 10.0 + number, "capabilities": {MINI: fresh}}})
    server.model_faults = {MINI: 500}
    rests = make(alpha=0.0, configurable=["cooldown"])
    before = server.asked[MINI]
    rests.invoke("hi")
    rests.invoke("hi", {"configurable": {"cooldown": 77.0}})
    assert server.asked[MINI] == before + 1, "it rests in both"


def test_bound_tools_can_be_read_as_of_any_chat_model(make: Make, server: LLMServer) -> None:
    from langgraph.prebuilt import create_react_agent

    bound = make().bind_tools([add])
    (given,) = bound.kwargs["tools"]
    assert given.get("type") == "function"
    assert given["function"]["name"] == "add"
    server.tool_steps = 1
    agent = create_react_agent(bound, [add])
    messages = agent.invoke({"messages": "What is 2 + 3?"})["messages"]
    assert [type(one).__name__ for one in messages] == ["HumanMessage", "AIMessage", "ToolMessage", "AIMessage"]


def test_a_cached_answer_is_that_of_the_same_clients(server: LLMServer) -> None:
    from langchain_core.language_models import FakeListChatModel

    llm = ChatAvengers(models={MINI: FakeListChatModel(responses=["mine"])}, artifact="default", cache=InMemoryCache())
    other = FakeListChatModel(responses=["of another"])
    assert llm.invoke("hi").text == "mine"
    assert llm.invoke("hi", models={MINI: other}).text == "of another"
    assert llm.invoke("hi").text == "mine"


def test_one_bad_input_does_not_end_a_batch(make: Make) -> None:
    good, bad, last = make().batch(["hi", object(), "ho"], return_exceptions=True)  # type: ignore[list-item]
    assert good.text
    assert last.text
    assert isinstance(bad, Exception)


# --- histories and media ---


def test_media_are_not_counted_as_text(make: Make) -> None:
    pdf = {"type": "file", "mime_type": "application/pdf", "source_type": "base64", "data": "A" * 2_000_000}
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 500_000}}
    few = count_tokens([HumanMessage([{"type": "text", "text": "What is it?"}, picture])])
    assert few < 200
    assert 1_000 < count_tokens([HumanMessage([{"type": "text", "text": "Sum it up."}, pdf])]) < 30_000
    assert make().route([HumanMessage([{"type": "text", "text": "Sum it up."}, pdf])]).model


def test_ids_stay_if_the_author_is_asked_again_and_change_everywhere_if_not() -> None:
    call = {"name": "add", "args": {"a": 1}, "id": "functions.add:0"}
    block = {"type": "tool_use", "id": "functions.add:0", "name": "add", "input": {"a": 1}}
    asked = AIMessage([block], tool_calls=[call], response_metadata={"model_provider": "anthropic"})
    history: list[Any] = [HumanMessage("hi"), asked, ToolMessage("3", tool_call_id="functions.add:0")]
    assert portable(history, "anthropic") is history
    _, other, result = portable(history, "openai")
    assert other.tool_calls[0]["id"] == result.tool_call_id != "functions.add:0"
    unknown = asked.model_copy(update={"response_metadata": {}})
    _, same, result = portable([history[0], unknown, history[2]], "anthropic")
    assert same.content[0]["id"] == same.tool_calls[0]["id"] == result.tool_call_id != "functions.add:0"


def test_reasoning_stays_whatever_its_author_is_called() -> None:
    thought = {"type": "reasoning_content", "reasoning_content": {"text": "hm", "signature": "s"}}
    told = {"model_provider": "bedrock_converse", "avengers": {"provider": "amazon_bedrock"}}
    history: list[Any] = [
        HumanMessage("hi"),
        AIMessage([thought, {"type": "text", "text": "3"}], response_metadata=told),
    ]
    assert portable(history, "amazon_bedrock") is history
    assert portable(history, "openai")[1].content == "3"


def test_what_the_model_says_beside_its_message_is_kept(make: Make) -> None:
    result = make().generate([[HumanMessage("hi")]])
    assert result.llm_output
    assert result.llm_output["token_usage"]["total_tokens"] > 0
    assert (result.generations[0][0].generation_info or {}).get("finish_reason") == "stop"
    both = make().generate([[HumanMessage("hi")], [HumanMessage("hi")]])
    assert (both.llm_output or {})["token_usage"]["total_tokens"] == 2 * result.llm_output["token_usage"][
        "total_tokens"
    ]


# --- streams keep what the model's own stream has ---


@pytest.mark.parametrize("output_version", [None, "v1"])
async def test_content_of_a_stream_has_the_models_own_form(server: LLMServer, output_version: str | None) -> None:
    alone = openai_model(server, MINI, output_version=output_version)
    ours = ChatAvengers(models={MINI: alone})
    expected = reduce(operator.add, list(alone.stream("hi")))
    for whole in (
        reduce(operator.add, list(ours.stream("hi"))),
        reduce(operator.add, [part async for part in ours.astream("hi")]),
    ):
        assert whole.content == expected.content
        assert whole.response_metadata.get("output_version") == output_version


class Whole(BaseChatModel):
    """A model that does not stream, and calls one tool well and one badly."""

    @property
    def _llm_type(self) -> str:
        return "whole"

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        bad = {"name": "f", "args": "no JSON", "id": "1", "error": None, "type": "invalid_tool_call"}
        good = {"name": "g", "args": {"a": 1}, "id": "2", "type": "tool_call"}
        message = AIMessage(content="x", tool_calls=[good], invalid_tool_calls=[bad])
        return ChatResult(generations=[ChatGeneration(message=message)])


def test_bad_tool_calls_of_a_model_that_does_not_stream_are_kept() -> None:
    whole = reduce(operator.add, list(ChatAvengers(models={MINI: Whole()}).stream("hi")))
    assert [(call["name"], call["args"]) for call in whole.tool_calls] == [("g", {"a": 1})]
    assert [(call["name"], call["args"], call["id"]) for call in whole.invalid_tool_calls] == [("f", "no JSON", "1")]


async def test_structured_output_comes_part_by_part(server: LLMServer) -> None:
    schema = {"title": "person", "type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    alone = openai_model(server, MINI)
    ours = ChatAvengers(models={MINI: alone}).with_structured_output(schema, method="json_schema")
    expected = list(alone.with_structured_output(schema, method="json_schema").stream("a person"))
    assert len(expected) > 1
    assert list(ours.stream("a person")) == expected
    assert [part async for part in ours.astream("a person")] == expected
    server.model_faults = {MINI: "text"}
    refused = ChatAvengers(models={MINI: alone}).with_structured_output(schema, method="function_calling")
    with pytest.raises(OutputParserException, match="does not fit the schema"):
        list(refused.stream("a person"))


def test_the_provider_is_told_before_a_plan(server: LLMServer) -> None:
    one = ChatAvengers(models={name: openai_model(server, name) for name in (MINI, BIG)})
    assert one._get_ls_params()["ls_provider"] == "openai"
    mixed = ChatAvengers(models=mixed_pool(server))
    assert mixed._get_ls_params()["ls_provider"] == "avengers"
    for model, provider in ((HAIKU, "anthropic"), (MINI, "openai")):
        mixed.invoke("hi", model=model)
        assert mixed._get_ls_params()["ls_provider"] == provider


def test_summarization_by_reported_tokens(server: LLMServer) -> None:
    """LangChain's middleware believes a message's tokens only if the model has the message's provider."""
    llm = ChatAvengers(models=mixed_pool(server))
    server.usage = {"prompt_tokens": 5000, "total_tokens": 5010}
    answer = llm.invoke("hi", model=MINI)
    middleware = SummarizationMiddleware(model=llm, trigger=("tokens", 4000), token_counter=lambda messages: 0)
    messages = [HumanMessage("hi", id="1"), answer]
    assert middleware._should_summarize(messages, 0)


@pytest.mark.parametrize("given", ["config", "context"])
async def test_a_tracer_sees_each_model_under_its_own_name(make: Make, server: LLMServer, given: str) -> None:
    runs: list[Run] = []

    class Tracer(LangChainTracer):
        """Keeps the runs of models, as LangSmith gets them."""

        def _persist_run_single(self, run: Run) -> None:
            super()._persist_run_single(run)
            runs.append(run)

    tracer = Tracer(client=unittest.mock.MagicMock())
    llm = make(models=openai_pool(server), alpha=0, cooldown=0.0)
    server.model_faults = {MINI: 500}
    config: RunnableConfig = {"callbacks": [tracer]} if given == "config" else {}
    token = tracing_v2_callback_var.set(tracer if given == "context" else None)
    try:
        llm.invoke("hi", config)
        await llm.ainvoke("hi", config)
        list(llm.stream("hi", config))
    finally:
        tracing_v2_callback_var.reset(token)
    inner = [run.extra["metadata"] for run in runs if run.parent_run_id is not None]
    assert len(inner) == 6
    assert {MINI, BIG} == {metadata["ls_model_name"] for metadata in inner}
    assert not [metadata for metadata in inner if "alpha" in metadata]
