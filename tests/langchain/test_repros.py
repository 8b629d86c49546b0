"""What users of other routers and fallbacks ran into; one test for each report."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from avengers_core.pricing.tariff import PriceSchedule
from avengers_core.pricing.types import Price, TokenUsage
from langchain.agents import create_agent
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel

from avengers_langchain import ChatAvengers
from tests.support.llm_server import LLMServer

from .conftest import ALL, BIG, HAIKU, MINI, anthropic_model, mixed_pool, openai_model

Make = Callable[..., ChatAvengers]


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


class Answer(BaseModel):
    """An answer."""

    value: int


def test_langchain_22134_and_35170_tools_survive_fallbacks(make: Make, server: LLMServer) -> None:
    server.faults = [500]
    answer = make(alpha=0).bind_tools([add]).invoke("add 1 and 2")
    assert answer.tool_calls[0]["name"] == "add"
    assert len(server.requests) == 2
    assert all(request["body"]["tools"] for request in server.requests)
    server.faults = [500]
    assert make(alpha=0).with_structured_output(Answer).invoke("7") == Answer(value=7)


def test_langchain_33129_create_agent_takes_it_with_its_fallbacks(make: Make, server: LLMServer) -> None:
    server.faults = [500]
    result = create_agent(make(alpha=0), [add]).invoke({"messages": "add 1 and 2"})
    assert [type(m) for m in result["messages"]] == [HumanMessage, AIMessage, ToolMessage, AIMessage]


def test_langchain_24341_fields_stay_configurable_after_bind_tools(make: Make) -> None:
    bound = make(alpha=0).bind_tools([add])
    assert "alpha" in {spec.id for spec in bound.config_specs}
    for answer in (
        bound.invoke("hi", {"configurable": {"alpha": 0.8}}),
        bound.with_config(configurable={"alpha": 0.8}).invoke("hi"),
        make(alpha=0).with_config(configurable={"alpha": 0.8}).bind_tools([add]).invoke("hi"),
    ):
        assert answer.response_metadata["avengers"]["alpha"] == 0.8
        assert answer.tool_calls


@pytest.mark.parametrize("model", [MINI, HAIKU])
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_langchain_35320_structured_output_keeps_bound_tools(
    make: Make, server: LLMServer, model: str, method: str
) -> None:
    llm = make(models={model: mixed_pool(server)[model]})
    chain = llm.bind_tools([add]).with_structured_output(Answer, method=method, include_raw=True)
    out = chain.invoke("add 1 and 2")
    names = {t.get("name") or t["function"]["name"] for t in server.requests[-1]["body"]["tools"]}
    assert names >= {"add"}
    assert out["raw"].tool_calls[0]["name"] == "add"
    assert out["parsing_error"] is not None
    history = [HumanMessage("7"), out["raw"], ToolMessage("3", tool_call_id=out["raw"].tool_calls[0]["id"])]
    server.tool_steps = 0
    after = chain.invoke(history)
    if method == "json_schema":
        assert isinstance(after["parsed"], Answer)


def test_langchain_37641_models_are_not_built_before_they_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    import langchain.chat_models

    monkeypatch.setattr(langchain.chat_models, "init_chat_model", lambda *_, **__: pytest.fail("built"))
    llm = ChatAvengers(alpha=0.4)
    assert llm.profile is not None
    assert llm.bind_tools([add])


@pytest.mark.parametrize("stream", [False, True])
def test_langchain_32818_cached_tokens_are_in_the_usage(make: Make, server: LLMServer, stream: bool) -> None:
    server.usage = {"prompt_tokens": 1000, "prompt_tokens_details": {"cached_tokens": 800}}
    llm = make(models={MINI: openai_model(server, "gpt-4o-mini")})
    counted = UsageMetadataCallbackHandler()
    config: Any = {"callbacks": [counted]}
    answer: Any = None
    for chunk in llm.stream("hi", config) if stream else [llm.invoke("hi", config)]:
        answer = chunk if answer is None else answer + chunk
    assert answer.usage_metadata["input_token_details"]["cache_read"] == 800
    (usage,) = counted.usage_metadata.values()
    assert usage["input_token_details"]["cache_read"] == 800
    output = answer.usage_metadata["output_tokens"]
    expected = (200 * 0.15 + 800 * 0.075 + output * 0.60) / 1e6
    assert answer.response_metadata["avengers"]["cost_usd"] == pytest.approx(expected)


def test_litellm_14633_routes_a_history_with_tool_calls(make: Make) -> None:
    call = {"name": "add", "args": {"a": 1, "b": 2}, "id": "call_1"}
    history = [HumanMessage("add"), AIMessage("", tool_calls=[call]), ToolMessage("3", tool_call_id="call_1")]
    for model in (MINI, HAIKU):
        assert make().bind_tools([add]).invoke(history, model=model).text
    raw = [
        {"role": "user", "content": "add"},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": "{}"}}]},
        {"role": "tool", "content": "3", "tool_call_id": "call_1"},
    ]  # fmt: skip
    assert make().bind_tools([add]).invoke(raw).text


def test_litellm_39032_no_image_goes_to_a_text_model(server: LLMServer) -> None:
    caps = {MINI: {"images": False}, BIG: ALL}
    llm = ChatAvengers(
        models={MINI: openai_model(server, MINI), BIG: openai_model(server, BIG)}, capabilities=caps, alpha=0
    )
    picture = HumanMessage([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}])
    assert llm.invoke([picture]).response_metadata["avengers"]["model"] == BIG
    assert (
        llm.invoke([picture, AIMessage("a cat"), HumanMessage("sure?")]).response_metadata["avengers"]["model"] == BIG
    )
    assert server.asked[MINI] == 0


def test_litellm_6215_11364_cached_tokens_have_their_own_price(make: Make, server: LLMServer) -> None:
    usage = TokenUsage(input_tokens=10_000, output_tokens=100, cache_read_tokens=8_000)
    assert PriceSchedule("openai:gpt-4o").cost(usage) == (2000 * Decimal("2.5") + 8000 * Decimal("1.25") + 1000) / 10**6
    written = TokenUsage(input_tokens=10_000, output_tokens=100, cache_write_tokens=8_000)
    assert (
        PriceSchedule("anthropic:claude-3-5-sonnet").cost(written)
        == (2000 * Decimal(3) + 8000 * Decimal("3.75") + 100 * Decimal(15)) / 10**6
    )
    server.usage = {"input_tokens": 500, "cache_read_input_tokens": 1500, "cache_creation_input_tokens": 0}
    answer = make(models={HAIKU: anthropic_model(server, HAIKU)}).invoke("hi")
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["input_tokens"] == 2000
    output = answer.usage_metadata["output_tokens"]
    expected = (500 * 0.80 + 1500 * 0.08 + output * 4.0) / 1e6
    assert answer.response_metadata["avengers"]["cost_usd"] == pytest.approx(expected)


def test_litellm_18599_reasoning_tokens_are_billed_once(make: Make, server: LLMServer) -> None:
    plain = TokenUsage(input_tokens=100, output_tokens=1000)
    thought = TokenUsage(input_tokens=100, output_tokens=1000, reasoning_tokens=900)
    for price_id in ("openai:gpt-5", "google:gemini-2.5-flash", "openai:o3"):
        assert PriceSchedule(price_id).cost(plain) == PriceSchedule(price_id).cost(thought)
    server.usage = {"completion_tokens": 1000, "completion_tokens_details": {"reasoning_tokens": 900}}
    answer = make(models={MINI: openai_model(server, "gpt-4o-mini")}).invoke("hi")
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["output_token_details"]["reasoning"] == 900
    expected = (answer.usage_metadata["input_tokens"] * 0.15 + 1000 * 0.6) / 1e6
    assert answer.response_metadata["avengers"]["cost_usd"] == pytest.approx(expected)


def test_an_unknown_kind_of_token_makes_the_cost_unknown() -> None:
    contract = PriceSchedule(price=Price(1.0, 2.0))
    assert contract.cost(TokenUsage(input_tokens=10, output_tokens=10)) == Decimal("0.00003")
    assert contract.cost(TokenUsage(input_tokens=10, output_tokens=10, cache_read_tokens=5)) is None
    full = PriceSchedule(price=Price(1.0, 2.0, cache_read=0.1))
    assert full.cost(TokenUsage(input_tokens=10, output_tokens=10, cache_read_tokens=5)) == Decimal("0.0000255")
    assert PriceSchedule("openai:nonsense").cost(TokenUsage(input_tokens=1)) is None
    assert PriceSchedule().cost(TokenUsage(input_tokens=1)) is None


@pytest.mark.parametrize("stream", ["sync", "async"])
async def test_langchain_litellm_16_and_20_streams_have_usage(make: Make, server: LLMServer, stream: str) -> None:
    for model in (MINI, HAIKU):
        llm = make(models={model: mixed_pool(server)[model]})
        chunks = list(llm.stream("hi")) if stream == "sync" else [c async for c in llm.astream("hi")]
        tokens = sum(c.usage_metadata["input_tokens"] for c in chunks if c.usage_metadata)
        assert tokens == server.tokens[model, "input"]
        assert (
            sum(c.usage_metadata["output_tokens"] for c in chunks if c.usage_metadata) == server.tokens[model, "output"]
        )
        assert chunks[-1].response_metadata["avengers"]["cost_usd"] > 0


def test_openwiki_85_fallbacks_obey_alpha_and_budget(make: Make, server: LLMServer) -> None:
    server.model_faults = {MINI: 500}
    llm = make(alpha=0)
    order = llm.route("hi").ranking
    costs = dict(zip(llm.route("hi").candidates, llm.route("hi").costs, strict=True))
    assert [costs[name] for name in order] == sorted(costs.values())
    assert llm.invoke("hi").response_metadata["avengers"]["model"] == order[1]
    limit = (costs[order[1]] + costs[order[0]]) / 2
    with pytest.raises(Exception, match="fault 500"):
        make(alpha=0, budget={"per_call": limit}).invoke("hi")
    assert set(server.asked) == {MINI, order[1]}
