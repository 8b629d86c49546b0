from __future__ import annotations

import copy
import json
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from avengers_core import ArtifactError, BudgetError, NoCandidateError
from avengers_core.ledger.store import Ledger
from llama_index.core import PromptTemplate, Settings
from llama_index.core.base.llms.types import (
    AudioBlock,
    CacheControl,
    CachePoint,
    CitableBlock,
    CitationBlock,
    ImageBlock,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.llms import ChatMessage
from llama_index.core.program.function_program import get_function_tool
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from avengers_llamaindex import AvengersLLM, as_embedder, routing
from avengers_llamaindex._messages import as_prompt, portable
from tests.support.llm_server import BAD_ANSWERS, BIG, HAIKU, MINI, SONNET, LLMServer

from .conftest import TURBO, Words, anthropic_model, mixed_pool, openai_model

Make = Callable[..., AvengersLLM]
TWINS = [kind + how for kind in ("", "stream_") for how in ("chat", "complete")]
TWINS += [f"a{name}" for name in TWINS]


async def ask(llm: AvengersLLM, how: str, text: str = "What is 17 * 23?", **kwargs: Any) -> Any:
    """The last part of an answer, by any of the eight ways."""
    given: Any = [ChatMessage(text)] if how.endswith("chat") else text
    answer = getattr(llm, how)(given, **kwargs)
    if how.startswith("a"):
        answer = await answer
    if not how.endswith(("stream_chat", "stream_complete")):
        return answer
    parts = [part async for part in answer] if how.startswith("a") else list(answer)
    assert "".join(part.delta or "" for part in parts) == str(parts[-1]).removeprefix("assistant: ")
    return parts[-1]


@pytest.mark.parametrize("model", [MINI, HAIKU])
@pytest.mark.parametrize("how", TWINS)
async def test_every_way_of_asking(make: Make, server: LLMServer, ledger: Ledger, how: str, model: str) -> None:
    llm = make(ledger=ledger)
    answer = await ask(llm, how, model=model)
    told = answer.additional_kwargs["avengers"]
    assert told["model"] == model
    assert f"This is what {model} says to: What is 17 * 23?" in str(answer)
    (row,) = ledger.entries()
    assert (row["status"], row["model"], row["prompt"]) == ("ok", model, "What is 17 * 23?")
    assert (row["input_tokens"], row["output_tokens"]) == (
        server.tokens[model, "input"],
        server.tokens[model, "output"],
    )
    assert float(row["cost_usd"]) == pytest.approx(told["cost_usd"])
    assert told["cost_usd"] > 0


@pytest.mark.parametrize("how", TWINS)
async def test_the_nearest_setting_wins(make: Make, how: str) -> None:
    llm = make(alpha=0.0)
    cheap = (await ask(llm, how)).additional_kwargs["avengers"]
    dear = (await ask(llm, how, alpha=1.0)).additional_kwargs["avengers"]
    assert (cheap["alpha"], dear["alpha"]) == (0.0, 1.0)
    assert dear["expected_score"] > cheap["expected_score"]
    assert (await ask(llm, how, exclude_models=[cheap["model"]])).additional_kwargs["avengers"]["model"] != cheap[
        "model"
    ]


def test_wrong_fields_are_errors_at_once(make: Make, server: LLMServer) -> None:
    for fields, message in [
        ({"alpha": 2}, "alpha must be a number from 0"),
        ({"scoring": "magic"}, "scoring must be one of utility"),
        ({"budget": {"per_week": 1}}, "budget has no 'per_week'"),
        ({"prices": {MINI: {"input": "x", "output": 1}}}, "prices: "),
        ({"alfa": 0.4}, "alfa"),
        ({"models": ["nobody"]}, "model 'nobody' is unknown"),
        ({"models": {MINI: 7}}, "must be an LLM or 'provider:model', not int"),
        ({"models": {MINI: {"class_name": "odd"}}}, "Invalid LLM name: odd"),
    ]:
        with pytest.raises(ValueError, match=message):
            make(**fields)
    with pytest.raises(ArtifactError, match="no such artifact"):
        make(artifact="missing.zip")
    llm = make()
    with pytest.raises(ValueError, match="none of the candidates"):
        llm.complete("hi", model="nobody")
    with pytest.raises(NoCandidateError, match="has no model 'nobody'"):
        llm.complete("hi", exclude_models=["nobody"])


def test_options_are_checked_alike_in_fields_and_calls(make: Make, server: LLMServer) -> None:
    cheapest = make(alpha=0).route("hi").model
    for llm, given in ((make(alpha=0, fallbacks=BIG), {}), (make(alpha=0), {"fallbacks": BIG})):
        server.model_faults = {cheapest: 500}
        assert llm.complete("hi", **given).additional_kwargs["avengers"]["model"] == BIG
    reasons = dict.fromkeys((MINI, BIG, TURBO, HAIKU), "too old")
    with pytest.raises(NoCandidateError, match=f"{MINI}: too old"):
        make(exclude_models=reasons).complete("hi")
    with pytest.raises(ValueError, match="sticky must be True or False"):
        make(sticky="false")
    with pytest.raises(ValueError, match="sticky must be True or False"):
        make().complete("hi", sticky="false")


def test_metadata_is_that_of_the_candidates(make: Make, server: LLMServer) -> None:
    llm = make()
    # The largest, less what that model keeps for its answer: a long request goes to that model.
    assert llm.metadata.context_window == 200_000 - anthropic_model(server, HAIKU).metadata.num_output
    assert llm.metadata.num_output == 512
    assert make(exclude_models=[HAIKU]).metadata.context_window == 128_000
    assert llm.metadata.is_function_calling_model
    assert not make(
        capabilities={name: {"tools": False} for name in (MINI, BIG, TURBO, HAIKU)}
    ).metadata.is_function_calling_model
    assert make(max_tokens=77).metadata.num_output == 77
    assert llm.class_name() == "AvengersLLM"


def test_settings_llm(make: Make) -> None:
    before = Settings._llm
    try:
        Settings.llm = make()
        assert "says to: hello" in str(Settings.llm.complete("hello"))
    finally:
        Settings._llm = before


def test_dumping_loses_no_field_and_shows_no_key(make: Make, server: LLMServer, tmp_path: Path) -> None:
    llm = make(
        models={MINI: openai_model(server, MINI, additional_kwargs={"extra_headers": {"Authorization": "canary-1"}})},
        init_kwargs={"api_key": "canary-2", "timeout": 5},
        budget={"per_day": 5},
        ledger=str(tmp_path / "l.sqlite"),
        alpha=0.7,
    )
    text = llm.to_json()
    assert "canary" not in text
    assert "canary" not in repr(llm) + str(getattr(llm, "to_payload", dict)())  # newer cores only
    again = AvengersLLM.from_json(text)
    assert (again.alpha, again.budget, again.init_kwargs) == (0.7, {"per_day": 5}, {"timeout": 5})
    assert again.ledger == str(tmp_path / "l.sqlite")
    assert json.loads(again.to_json()) == json.loads(text)
    assert AvengersLLM(models=[MINI], route_on=len).to_dict()["route_on"] is None


def test_a_loaded_one_answers(make: Make, server: LLMServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
    llm = make(models={MINI: openai_model(server, MINI)})
    for again in (
        AvengersLLM.from_json(llm.to_json()),
        pickle.loads(pickle.dumps(llm)),
        copy.deepcopy(llm),
        copy.copy(llm),
    ):
        assert "says to: hi" in str(again.complete("hi"))
        assert again.alpha == 0.4


def test_ids_are_made_by_integrations(server: LLMServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.warns(UserWarning, match="OPENAI_API_KEY is not set") as seen, pytest.raises(NoCandidateError):
        AvengersLLM(models=[MINI, HAIKU, "grok-4"]).complete("hi")
    assert "ANTHROPIC_API_KEY is not set" in str(seen[0].message)
    assert "no LlamaIndex integration is known for x-ai" in str(seen[0].message)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
    made = {"api_base": f"{server.url}/v1", "max_retries": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        llm = AvengersLLM(models={MINI: MINI, BIG: "openai:gpt-4o"}, init_kwargs=made)
        assert "says to: hi" in str(llm.complete("hi", model=MINI))
        assert "what gpt-4o says" in str(llm.complete("hi", model=BIG))


def test_own_embeddings(server: LLMServer, tmp_path: Path) -> None:
    from avengers_core import RouterEstimator

    from tests.support.records import make_records

    names = {"small": MINI, "big": BIG}
    records = [
        msgspec.structs.replace(
            record,
            records={new: record.records[old] for old, new in names.items()},
            usages={new: record.usages[old] for old, new in names.items()},
        )
        for record in make_records()
    ]
    RouterEstimator(n_clusters=3, embedder=as_embedder(Words())).fit(records).save(tmp_path / "own.zip")
    models = {name: openai_model(server, name) for name in (MINI, BIG)}
    llm = AvengersLLM(artifact=tmp_path / "own.zip", embed_model=Words(), models=models)
    assert llm.route("write a poem about the moon and love", alpha=1.0).model == BIG
    assert llm.route("add the numbers 3 and 4", alpha=0.1).model == MINI
    with pytest.raises(ArtifactError, match="embedder"):
        AvengersLLM(artifact=tmp_path / "own.zip", embed_model=Words(model_name="other"), models=models)


# --- content ---


def test_pictures_need_a_model_that_sees(make: Make, server: LLMServer) -> None:
    picture = ImageBlock(image=b"\x89PNG\r\n\x1a\n" + b"0" * 40, image_mimetype="image/png")
    message = ChatMessage(blocks=[TextBlock(text="What is this?"), picture])
    told = make(alpha=0.0).chat([message]).additional_kwargs["avengers"]
    assert told["model"] in (MINI, BIG)  # gpt-3.5-turbo is cheaper, haiku reads text only
    sent = server.requests[-1]["body"]["messages"][0]["content"]
    assert [part["type"] for part in sent] == ["text", "image_url"]
    sound = ChatMessage(blocks=[AudioBlock(audio=b"0", format="wav")])
    with pytest.raises(NoCandidateError, match="audio unknown"):
        make().chat([sound])


def test_histories_fit_every_provider() -> None:
    long_id = "x" * 60
    mark = {"model": HAIKU, "provider": "anthropic", "tokens": 5}
    history = [
        ChatMessage("hello"),
        ChatMessage(
            role="assistant",
            blocks=[
                ThinkingBlock(content="hm", additional_information={"signature": "s"}),
                TextBlock(text="Let me see"),
                ToolCallBlock(tool_call_id=long_id, tool_name="look", tool_kwargs={"a": 1}),
            ],
            additional_kwargs={"avengers": mark, "stop_reason": "tool_use"},
        ),
        ChatMessage("12", role="tool", additional_kwargs={"tool_call_id": long_id}),
    ]
    same, foreign = portable(history, "anthropic"), portable(history, "openai")
    assert [type(block) for block in same[1].blocks] == [ThinkingBlock, TextBlock, ToolCallBlock]
    assert same[1].additional_kwargs == {"stop_reason": "tool_use"}
    assert [type(block) for block in foreign[1].blocks] == [TextBlock, ToolCallBlock]
    assert foreign[1].additional_kwargs == {}
    for sent in (same, foreign):
        call = sent[1].blocks[-1]
        assert isinstance(call, ToolCallBlock)
        assert call.tool_call_id == sent[2].additional_kwargs["tool_call_id"]
        assert (call.tool_call_id == long_id) == (sent is same), "its author knows its own ids"
    assert history[1].additional_kwargs["avengers"] == mark  # the caller's own messages stay


# --- tools and structured output ---


def in_stock(item: str) -> str:
    """How many of an item are in stock."""
    return f"{item}: 1200"


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


TOOLS = [FunctionTool.from_defaults(in_stock), FunctionTool.from_defaults(add)]


@pytest.mark.parametrize("model", [MINI, HAIKU])
@pytest.mark.parametrize("how", ["", "a", "stream_", "astream_"])
async def test_chat_with_tools(make: Make, server: LLMServer, how: str, model: str) -> None:
    llm = make()
    answer = getattr(llm, f"{how}chat_with_tools")(TOOLS, user_msg="How many bolts?", model=model)
    if how.startswith("a"):
        answer = await answer
    if "stream" in how:
        answer = [part async for part in answer][-1] if how.startswith("a") else list(answer)[-1]
    (call,) = llm.get_tool_calls_from_response(answer)
    assert (call.tool_name, call.tool_kwargs) == ("in_stock", {"item": "a word"})
    assert call.tool_id
    assert answer.additional_kwargs["avengers"]["model"] == model
    tools = server.requests[-1]["body"]["tools"]
    assert len(tools) == 2
    assert ("function" in tools[0]) == (model == MINI)


def test_models_without_tools_are_never_chosen_for_tools(make: Make) -> None:
    cheapest = make(alpha=0.0).complete("How many bolts?").additional_kwargs["avengers"]["model"]
    llm = make(alpha=0.0, capabilities={cheapest: {"tools": False}})
    assert llm.complete("How many bolts?").additional_kwargs["avengers"]["model"] == cheapest
    told = llm.chat_with_tools(TOOLS, user_msg="How many bolts?").additional_kwargs["avengers"]
    assert told["model"] != cheapest
    assert llm.chat_with_tools([], user_msg="How many bolts?").additional_kwargs["avengers"]["model"] == cheapest


async def test_predict_and_call(make: Make, server: LLMServer) -> None:
    llm = make()
    assert llm.predict_and_call(TOOLS, user_msg="How many bolts?").response == "a word: 1200"
    answer = await llm.apredict_and_call(TOOLS[1:], user_msg="What is 3 + 3?")
    assert answer.response == "6"
    server.tool_steps = 0
    with pytest.raises(ValueError, match="tool call"):
        llm.get_tool_calls_from_response(llm.chat_with_tools(TOOLS, user_msg="hello"))


class Invoice(BaseModel):
    """An invoice."""

    customer: str
    total: int


async def test_a_models_own_mode_for_json_is_used(make: Make, server: LLMServer) -> None:
    inner = openai_model(server, MINI)
    llm = make(models={MINI: inner})
    prompt = PromptTemplate("The invoice over {total} dollars")
    expected = Invoice(customer="a word", total=42)
    for ours, own in (
        (llm.structured_predict(Invoice, prompt, total=42), inner.structured_predict(Invoice, prompt, total=42)),
        (
            await llm.astructured_predict(Invoice, prompt, total=42),
            await inner.astructured_predict(Invoice, prompt, total=42),
        ),
    ):
        assert ours == own == expected
        ours_sent, own_sent = (request["body"] for request in server.requests[-2:])
        assert ours_sent["response_format"] == own_sent["response_format"]
        assert "tools" not in ours_sent
        assert ours_sent["messages"] == own_sent["messages"]
    llm.structured_predict(Invoice, prompt, llm_kwargs={"temperature": 0.3}, total=42)
    assert server.requests[-1]["body"]["temperature"] == 0.3
    by_call = make(models={MINI: openai_model(server, MINI, pydantic_program_mode="function")})
    assert by_call.structured_predict(Invoice, prompt, total=42) == expected
    assert server.requests[-1]["body"]["tools"], "unless the model is set to answer by a call"
    server.answer = "I would rather not."
    server.faults = ["text"]
    with pytest.raises(ValueError, match="tool call"):
        by_call.structured_predict(Invoice, prompt, total=42)
    tool = get_function_tool(Invoice)
    server.answer = None
    llm.chat_with_tools([tool], user_msg="hi", tool_required=True)
    assert server.requests[-1]["body"]["tools"], "a tool that happens to be a schema is a tool"


@pytest.mark.parametrize("model", [MINI, HAIKU])
async def test_structured_output(make: Make, model: str) -> None:
    llm = make(exclude_models=[name for name in (MINI, BIG, TURBO, HAIKU) if name != model])
    prompt = PromptTemplate("The invoice over {total} dollars")
    expected = Invoice(customer="a word", total=42)
    assert llm.structured_predict(Invoice, prompt, total=42) == expected
    assert await llm.astructured_predict(Invoice, prompt, total=42) == expected
    if model == MINI:  # LlamaIndex says that it does not stream Anthropic's structured output
        assert list(llm.stream_structured_predict(Invoice, prompt, total=42))[-1] == expected
        parts = [part async for part in await llm.astream_structured_predict(Invoice, prompt, total=42)]
        assert parts[-1] == expected
    structured = llm.as_structured_llm(Invoice)
    assert structured.complete("The invoice over 42 dollars").raw == expected
    assert (await structured.achat([ChatMessage("The invoice over 42 dollars")])).raw == expected


@pytest.mark.parametrize(("answer", "fits"), [('It is {"customer": "Ann", "total": 3}.', True), ("No idea", False)])
async def test_a_structured_stream_in_text_is_read_or_refused(
    make: Make, server: LLMServer, answer: str, fits: bool
) -> None:
    llm = make(exclude_models=[BIG, TURBO, HAIKU])
    prompt = PromptTemplate("The invoice over {total} dollars")
    server.answer, server.model_faults = answer, {MINI: "text"}

    async def read() -> list[Any]:
        return [part async for part in await llm.astream_structured_predict(Invoice, prompt, total=3)]

    if fits:
        assert list(llm.stream_structured_predict(Invoice, prompt, total=3)) == [Invoice(customer="Ann", total=3)]
        assert await read() == [Invoice(customer="Ann", total=3)]
    else:
        with pytest.raises(ValueError, match="the model answered in text in place of Invoice: 'No idea'"):
            list(llm.stream_structured_predict(Invoice, prompt, total=3))
        with pytest.raises(ValueError, match="in place of Invoice"):
            await read()
    assert all(one["body"]["tool_choice"] == "required" for one in server.requests)


@pytest.mark.parametrize("model", [MINI, HAIKU])
def test_blocks_that_only_some_providers_take(make: Make, server: LLMServer, model: str) -> None:
    llm = make(exclude_models=[name for name in (MINI, BIG, TURBO, HAIKU) if name != model])
    cited = CitationBlock(cited_content="Tea is hot.", source="tea.md", title="Tea", additional_location_info={})
    messages = [
        ChatMessage(role="user", blocks=[
            CitableBlock(title="Tea", source="tea.md", content="Tea is hot."),
            TextBlock(text="Is tea hot?"),
            CachePoint(cache_control=CacheControl(type="ephemeral")),
        ]),
        ChatMessage(role="assistant", blocks=[TextBlock(text="Yes."), cited]),
        ChatMessage(role="user", content="Always?"),
    ]  # fmt: skip
    assert llm.chat(messages).message.content
    sent = json.dumps(server.requests[-1]["body"]["messages"])
    assert "Tea is hot." in sent
    assert "Is tea hot?" in sent
    assert ("cache_control" in sent) == ("search_result" in sent) == (model == HAIKU)
    assert ("Tea (tea.md):" in sent) == (model == MINI)


def test_a_picture_in_a_citable_block_is_needed() -> None:
    picture = ImageBlock(url="http://127.0.0.1/cat.png")
    message = ChatMessage(role="user", blocks=[CitableBlock(title="Cat", source="cat.png", content=[picture])])
    assert as_prompt([message], "a cat", {}).needs == {"images": True}


def test_metadata_in_a_routing_block(make: Make) -> None:
    llm = make(capabilities={name: {"max_input_tokens": size} for name, size in ((MINI, 9000), (HAIKU, 90_000))})
    with routing(exclude_models=[BIG, TURBO]):
        assert llm.metadata.context_window == 90_000
        with routing(exclude_models=[BIG, TURBO, HAIKU]):
            assert llm.metadata.context_window == 9000


def test_a_prompt_that_is_not_used_is_told(server: LLMServer) -> None:
    with pytest.warns(UserWarning, match=f"the system_prompt of {MINI} is not used.*give it to AvengersLLM"):
        AvengersLLM(models={MINI: openai_model(server, MINI, system_prompt="Be brief.")})
    assert AvengersLLM(models={MINI: openai_model(server, MINI)}, system_prompt="Be brief.").system_prompt


# --- failures and money ---


@pytest.mark.parametrize("how", TWINS)
async def test_another_model_helps_out(make: Make, server: LLMServer, ledger: Ledger, how: str) -> None:
    llm = make(ledger=ledger, alpha=0.0)
    first = llm.route("What is 17 * 23?").model
    server.faults = [503]
    told = (await ask(llm, how)).additional_kwargs["avengers"]
    assert told["model"] != first
    assert [one["model"] for one in told["attempts"]] == [first, told["model"]]
    rows = list(ledger.entries())
    assert [row["status"] for row in rows] == ["server", "ok"]
    assert (await ask(llm, how)).additional_kwargs["avengers"]["model"] != first  # it rests


@pytest.mark.parametrize("cheapest", [MINI, HAIKU])
@pytest.mark.parametrize("fault", [*BAD_ANSWERS, "trickle"])
@pytest.mark.parametrize(
    "how", [how if how.endswith("chat") else pytest.param(how, marks=pytest.mark.slow) for how in TWINS]
)
async def test_no_answer_with_status_200_is_the_models_fault(
    make: Make, server: LLMServer, ledger: Ledger, cheapest: str, fault: str, how: str
) -> None:
    pool = mixed_pool(server, timeout=0.3 if fault == "trickle" else 3)
    llm = make(ledger=ledger, alpha=0.0, models={name: pool[name] for name in (cheapest, BIG)})
    server.model_faults = {cheapest: fault}
    told = (await ask(llm, how)).additional_kwargs["avengers"]
    assert told["model"] == BIG
    failed, ok = ledger.entries()
    kinds = {"error_body": ("server", "invalid_response"), "error_stream": ("server", "invalid_response")}
    assert failed["status"] in kinds.get(fault, ("timeout",) if fault == "trickle" else ("invalid_response",))
    assert (failed["cost_usd"] == 0) == (failed["status"] == "server"), "who may have charged is charged as expected"
    assert ok["status"] == "ok"


@pytest.mark.parametrize("how", [name for name in TWINS if "stream" in name])
async def test_a_stream_that_breaks_is_not_begun_again(make: Make, server: LLMServer, ledger: Ledger, how: str) -> None:
    server.faults = ["drop_mid"]
    with pytest.raises(Exception, match=r"(?i)closed|incomplete|peer|connection"):
        await ask(make(ledger=ledger), how)
    assert [row["status"] for row in ledger.entries()] == ["connection"]


def test_a_callers_error_is_raised_as_it_is(make: Make, server: LLMServer) -> None:
    server.faults = [400]
    with pytest.raises(Exception, match="fault 400"):
        make().complete("hi")
    assert len(server.requests) == 1
    server.faults = [503, 503]
    with pytest.raises(Exception, match="fault 503"):
        make(fallbacks=1).complete("hi")


def test_a_closed_stream_is_recorded(make: Make, ledger: Ledger) -> None:
    stream = make(ledger=ledger).stream_complete("hi")
    next(stream)
    stream.close()
    (row,) = ledger.entries()
    assert (row["status"], row["cost_usd"]) == ("cancelled", None)


def test_a_missing_usage_is_unknown_not_free(make: Make, server: LLMServer, ledger: Ledger) -> None:
    server.faults = ["no_usage", "no_usage"]
    llm = make(ledger=ledger, models={MINI: openai_model(server, MINI)})
    assert llm.complete("hi").additional_kwargs["avengers"]["cost_usd"] is None
    assert list(llm.stream_complete("hi"))[-1].additional_kwargs["avengers"]["cost_usd"] is None
    whole, streamed = ledger.entries()
    assert (whole["cost_usd"], streamed["cost_usd"]) == (None, None)
    assert whole["first_token_seconds"] is None
    assert 0 < streamed["first_token_seconds"] <= streamed["seconds"]


def test_cached_tokens_are_priced_as_the_provider_does(make: Make, server: LLMServer, ledger: Ledger) -> None:
    llm = make(ledger=ledger)
    server.usage = {"prompt_tokens": 1000, "prompt_tokens_details": {"cached_tokens": 800}}
    for answer in (llm.complete("hi", model=MINI), list(llm.stream_complete("hi", model=MINI))[-1]):
        output = server.tokens[MINI, "output"] / server.answered[MINI]
        expected = (200 * 0.15 + 800 * 0.075 + output * 0.6) / 1e6
        assert answer.additional_kwargs["avengers"]["cost_usd"] == pytest.approx(expected)
    server.usage = {"input_tokens": 500, "cache_read_input_tokens": 1500, "cache_creation_input_tokens": 0}
    for answer in (llm.complete("hi", model=HAIKU), list(llm.stream_complete("hi", model=HAIKU))[-1]):
        output = server.tokens[HAIKU, "output"] / server.answered[HAIKU]
        expected = (500 * 0.8 + 1500 * 0.08 + output * 4) / 1e6
        assert answer.additional_kwargs["avengers"]["cost_usd"] == pytest.approx(expected)


def test_a_budget_holds(make: Make, ledger: Ledger) -> None:
    llm = make(ledger=ledger, alpha=1.0, budget={"per_session": 0.002})

    def spend() -> None:
        for _ in range(1000):
            llm.complete("Prove it.")

    with pytest.raises(BudgetError, match="per_session"):
        spend()
    assert 0 < sum(row["cost_usd"] for row in ledger.entries()) <= 0.002
    assert make(ledger=ledger).complete("hi")  # another session


def test_more_of_the_same_provider(server: LLMServer) -> None:
    llm = AvengersLLM(models={SONNET: anthropic_model(server, HAIKU)})
    assert HAIKU in str(llm.complete("hi"))
    assert mixed_pool(server).keys() >= {MINI, HAIKU}
