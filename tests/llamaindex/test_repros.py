"""Reports from LlamaIndex's tracker, each run against real clients. 17396 is in `test_selectors.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.callbacks.schema import CBEventType
from llama_index.core.llms import ChatMessage

from avengers_llamaindex import AvengersLLM
from tests.support.llm_server import HAIKU, MINI, LLMServer

from .conftest import Words

Make = Callable[..., AvengersLLM]


def never(_: str) -> list[int]:
    raise AssertionError("tokens that the provider reports are not counted again")


@pytest.mark.parametrize("how", ["query", "chat", "achat"])
async def test_llama_index_19740_tokens_after_streaming(
    make: Make, server: LLMServer, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = TokenCountingHandler(tokenizer=never)
    counter.event_ends_to_ignore = (CBEventType.EMBEDDING,)  # those it counts itself
    manager = CallbackManager([counter])
    monkeypatch.setattr(Settings, "_callback_manager", manager)  # engines give their LLM the settings' manager
    llm = make(exclude_models=[HAIKU])
    index = VectorStoreIndex.from_documents([Document(text="Mars is red.")], embed_model=Words())
    if how == "query":
        answer: Any = index.as_query_engine(llm=llm, streaming=True).query("Which planet is red?")
        assert "".join(answer.response_gen)
    else:
        engine = index.as_chat_engine(chat_mode="simple", llm=llm)
        if how == "chat":
            assert "".join(engine.stream_chat("Which planet is red?").response_gen)
        else:
            streaming = await engine.astream_chat("Which planet is red?")
            assert [part async for part in streaming.async_response_gen()]
    assert counter.prompt_llm_token_count == sum(n for (_, kind), n in server.tokens.items() if kind == "input") > 0
    assert (
        counter.completion_llm_token_count == sum(n for (_, kind), n in server.tokens.items() if kind == "output") > 0
    )


@pytest.mark.parametrize("model", [MINI, HAIKU])
@pytest.mark.parametrize("stream", [False, True])
def test_llama_index_17673_streams_count_what_the_provider_reports(
    make: Make, server: LLMServer, stream: bool, model: str
) -> None:
    """The handler's own tokenizer, not callable in that report, is not needed."""
    counter = TokenCountingHandler(tokenizer=never)
    llm = make(callback_manager=CallbackManager([counter]))
    if stream:
        list(llm.stream_chat([ChatMessage("hi")], model=model))
    else:
        llm.chat([ChatMessage("hi")], model=model)
    assert counter.prompt_llm_token_count == server.tokens[model, "input"] > 0
    assert counter.completion_llm_token_count == server.tokens[model, "output"] > 0
