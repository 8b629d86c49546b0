"""One call is one LLM event to every handler, whatever the models below do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import wrapt
from llama_index.core.base.llms.types import CompletionResponse, CompletionResponseGen, LLMMetadata
from llama_index.core.callbacks import CallbackManager, LlamaDebugHandler, TokenCountingHandler
from llama_index.core.callbacks.schema import CBEventType
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.span import SimpleSpan
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.core.llms import LLM, ChatMessage, CustomLLM
from llama_index.core.llms import callbacks as llm_callbacks
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.llms.openai import OpenAI
from llama_index_instrumentation import get_dispatcher

from avengers_llamaindex import AvengersCallbackHandler, AvengersEventHandler, AvengersLLM, get_avengers_callback
from tests.support.llm_server import BIG, MINI, LLMServer

from .conftest import openai_model
from .test_llms import TWINS, ask

Make = Callable[..., AvengersLLM]


class Recorder(BaseEventHandler):
    names: list[str]

    def handle(self, event: Any, **kwargs: Any) -> None:
        self.names.append(type(event).__name__)


@pytest.fixture
def events() -> Iterator[Recorder]:
    root, recorder = get_dispatcher(), Recorder(names=[])
    root.add_event_handler(recorder)
    yield recorder
    root.event_handlers.remove(recorder)


@pytest.fixture
def spans() -> Iterator[SimpleSpanHandler]:
    root, handler = get_dispatcher(), SimpleSpanHandler()
    root.add_span_handler(handler)
    yield handler
    root.span_handlers.remove(handler)


class Plain(CustomLLM):
    """A completion model, whose chat calls its own complete."""

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(context_window=1000, model_name="plain")

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text="plain answer", raw={"usage": {"prompt_tokens": 3, "completion_tokens": 2}})

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        def parts() -> CompletionResponseGen:
            yield CompletionResponse(text="plain ", delta="plain ")
            yield CompletionResponse(text="plain answer", delta="answer")

        return parts()


@pytest.mark.parametrize("inner", ["openai", "plain"])
@pytest.mark.parametrize("how", TWINS)
async def test_events_are_sent_once(
    make: Make, server: LLMServer, events: Recorder, spans: SimpleSpanHandler, how: str, inner: str
) -> None:
    counter, debug, ours = TokenCountingHandler(), LlamaDebugHandler(print_trace_on_end=False), AvengersEventHandler()
    callbacks = AvengersCallbackHandler()
    manager = CallbackManager([counter, debug, callbacks])
    model = (
        Plain(callback_manager=manager) if inner == "plain" else openai_model(server, MINI, callback_manager=manager)
    )
    root = get_dispatcher()
    root.add_event_handler(ours)
    with get_avengers_callback() as totals:
        answer = await ask(make(models={MINI: model}, callback_manager=manager), how)
    root.event_handlers.remove(ours)

    kind = "Chat" if how.endswith("chat") else "Completion"
    assert events.names.count(f"LLM{kind}StartEvent") == events.names.count(f"LLM{kind}EndEvent") == 1
    other = "Completion" if kind == "Chat" else "Chat"
    assert not [name for name in events.names if name.startswith(f"LLM{other}")]
    assert len(debug.get_event_pairs(CBEventType.LLM)) == 1
    assert len(counter.llm_token_counts) == 1
    told = answer.additional_kwargs["avengers"]
    for one in (totals, ours.totals, callbacks.totals):
        assert (one.calls, list(one.models)) == (1, [MINI])
        assert one.cost_usd == (told["cost_usd"] or 0.0)
    if inner == "openai":
        usage = totals.usage
        assert usage
        assert (usage.input_tokens, usage.output_tokens) == (
            server.tokens[MINI, "input"],
            server.tokens[MINI, "output"],
        )
        assert counter.prompt_llm_token_count == usage.input_tokens
        assert counter.completion_llm_token_count == usage.output_tokens
        assert totals.cost_usd > 0
        assert totals.best_single_cost_usd == pytest.approx(totals.cost_usd)

    by_name = {span.id_.rpartition("AvengersLLM.")[2].split("-")[0]: span for span in spans.completed_spans}
    outer = next(span for span in spans.completed_spans if span.id_.startswith(f"AvengersLLM.{how}-"))
    prefix = "Plain." if inner == "plain" else "OpenAI."
    nested = [span for span in spans.completed_spans if span.id_.startswith(prefix)]
    assert by_name
    assert nested
    ids = {outer.id_, *(span.id_ for span in nested)}
    assert all(isinstance(span, SimpleSpan) and span.parent_id in ids for span in nested)
    assert any(span.parent_id == outer.id_ for span in nested)


def test_other_llms_still_send_their_events(server: LLMServer, events: Recorder, make: Make) -> None:
    make()
    openai_model(server, MINI).complete("hi")
    assert events.names.count("LLMCompletionStartEvent") == 1


def test_streams_in_turn_do_not_silence_others(server: LLMServer, events: Recorder, make: Make) -> None:
    """Between two parts of our stream another model may be asked."""
    stream = make().stream_complete("hi")
    next(stream)
    openai_model(server, BIG).complete("hi")
    assert len(list(stream)) > 3
    assert events.names.count("LLMCompletionStartEvent") == 2
    assert events.names.count("LLMCompletionEndEvent") == 2


def test_only_an_answer_is_the_end_of_a_call(make: Make, server: LLMServer, events: Recorder) -> None:
    server.faults = [503, 503]
    with get_avengers_callback() as totals:
        make().complete("hi")
    assert events.names.count("LLMCompletionStartEvent") == 3
    assert events.names.count("LLMCompletionEndEvent") == 1
    assert events.names.count("SpanDropEvent") == 2
    assert totals.calls == 1


def test_totals_add_up_by_model_and_block(make: Make) -> None:
    llm = make()
    with get_avengers_callback() as outer:
        llm.complete("hi", model=MINI)
        with get_avengers_callback() as inner:
            llm.chat([ChatMessage("hi")], model=BIG)
    assert {name: one.calls for name, one in outer.models.items()} == {MINI: 1, BIG: 1}
    assert list(inner.models) == [BIG]
    assert outer.cost_usd == pytest.approx(sum(one.cost_usd for one in outer.models.values()))
    assert str(inner).startswith("1 calls, $0.000")


# --- how events of the chosen model are held back ---


class Like(OpenAI):
    """Calls its base class's methods, as integrations of OpenAI-compatible servers do."""

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return super().complete(f"{prompt} please", formatted, **kwargs)

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        return super().stream_complete(f"{prompt} please", formatted, **kwargs)


class Wrapping(Plain):
    """Answers with another LLM."""

    inner: LLM

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return self.inner.complete(prompt, formatted, **kwargs)


class Threaded(Plain):
    """Asks itself in a thread that does not know the context."""

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(super().complete, prompt, formatted, **kwargs).result()


@pytest.mark.parametrize("kind", ["like", "wrapping", "threaded"])
def test_models_that_ask_a_model_send_no_events(make: Make, server: LLMServer, events: Recorder, kind: str) -> None:
    fields: dict[str, Any] = {"api_base": f"{server.url}/v1", "api_key": "k", "max_retries": 0}
    model = {
        "like": lambda: Like(model=MINI, **fields),
        "wrapping": lambda: Wrapping(inner=openai_model(server, MINI)),
        "threaded": Threaded,
    }[kind]()
    answer = make(models={MINI: model}).complete("hi")
    assert answer.text == ("plain answer" if kind == "threaded" else f"This is what {MINI} says to: {answer_to(kind)}")
    assert [name for name in events.names if name.startswith("LLM")] == [
        "LLMCompletionStartEvent",
        "LLMCompletionEndEvent",
    ]
    if kind == "like":
        events.names.clear()
        parts = list(make(models={MINI: model}).stream_complete("hi"))
        assert "hi please" in "".join(part.delta or "" for part in parts)
        assert events.names.count("LLMCompletionEndEvent") == 1
        assert events.names.count("LLMCompletionInProgressEvent") == len(parts)


def answer_to(kind: str) -> str:
    return "hi please" if kind == "like" else "hi"


def test_nothing_of_llamaindex_is_changed(make: Make, server: LLMServer, events: Recorder) -> None:
    model = openai_model(server, MINI, callback_manager=CallbackManager([LlamaDebugHandler(print_trace_on_end=False)]))
    before = {name: vars(OpenAI)[name] for name in TWINS}, dict(vars(llm_callbacks)), vars(model).copy()
    llm = make(models={MINI: model})
    llm.complete("hi")
    assert before == ({name: vars(OpenAI)[name] for name in TWINS}, dict(vars(llm_callbacks)), vars(model))
    assert "event" not in vars(llm_callbacks.dispatcher)
    assert type(model) is OpenAI
    asked = llm.dispatcher.pool.get(MINI).client
    assert isinstance(asked, OpenAI)
    assert (type(asked).__name__, asked.class_name(), asked.model) == ("OpenAI", "openai_llm", MINI)
    events.names.clear()
    model.complete("hi")
    assert events.names.count("LLMCompletionEndEvent") == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_another_library_that_replaces_the_dispatchers_method(
    make: Make, monkeypatch: pytest.MonkeyPatch, events: Recorder, when: str
) -> None:
    """It sees what handlers see, and handlers see what they would see without it."""
    seen: list[str] = []
    send = llm_callbacks.dispatcher.event

    def patch() -> None:
        def event(event: Any, **kwargs: Any) -> None:
            seen.append(type(event).__name__)
            send(event, **kwargs)

        monkeypatch.setitem(vars(llm_callbacks.dispatcher), "event", event)

    if when == "before":
        patch()
    llm = make()
    if when == "after":
        patch()
    llm.complete("hi")
    list(llm.stream_complete("hi"))
    assert seen.count("LLMCompletionStartEvent") == seen.count("LLMCompletionEndEvent") == 2
    assert [name for name in events.names if name.startswith("LLM")] == seen
    monkeypatch.undo()
    llm.complete("hi")
    assert events.names.count("LLMCompletionEndEvent") == 3


@pytest.mark.parametrize("lookup", [vars, lambda cls: {"complete": cls.complete}])
def test_another_library_that_wraps_a_models_method(
    make: Make, server: LLMServer, events: Recorder, lookup: Any
) -> None:
    """Its wrapper stays around the method of the chosen model."""
    seen = []

    class Instrumented(OpenAI): ...

    def wrapper(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        seen.append(type(instance).__name__)
        return wrapped(*args, **kwargs)

    Instrumented.complete = wrapt.FunctionWrapper(lookup(OpenAI)["complete"], wrapper)  # type: ignore[method-assign]
    fields: dict[str, Any] = {"api_base": f"{server.url}/v1", "api_key": "k", "max_retries": 0}
    make(models={MINI: Instrumented(model=MINI, **fields)}).complete("hi")
    assert seen == ["Instrumented"]
    assert events.names.count("LLMCompletionStartEvent") == 1


@pytest.mark.skipif("rate_limiter" not in LLM.model_fields, reason="this llama-index-core has no rate limiter")
def test_limits_of_a_model_hold(make: Make, server: LLMServer) -> None:
    taken = []

    class Limiter:
        def acquire(self) -> None:
            taken.append("sync")

        async def async_acquire(self) -> None:
            taken.append("async")

    llm = make(models={MINI: openai_model(server, MINI, rate_limiter=Limiter())})
    llm.complete("hi")
    assert taken == ["sync"]
    make(rate_limiter=Limiter()).complete("hi")
    assert taken == ["sync", "sync"]


async def test_a_span_is_closed_if_its_task_is_cancelled_while_the_ledger_is_waited_for(
    make: Make, server: LLMServer, spans: SimpleSpanHandler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    llm = make(ledger=tmp_path / "l.sqlite")
    assert llm.spending is not None
    writing, go_on, write = threading.Event(), threading.Event(), llm.spending.writer._write
    monkeypatch.setattr(llm.spending.writer, "_write", lambda batch: (writing.set(), go_on.wait(10), write(batch)))
    task = asyncio.ensure_future(llm.acomplete("hi"))
    await asyncio.to_thread(writing.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    assert not spans.open_spans
    llm.spending.close()
    assert [row["status"] for row in llm.spending.entries()] == ["ok"]
