"""Canaries: keys, a database's password and prompts are planted wherever users put them, and every output is searched.

Keys must show nowhere. Prompts must show only where they are asked for (a ledger told to store them, a journal).
"""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
import traceback
from pathlib import Path
from typing import Any

import pytest
from avengers_core import AvengersError, Router
from avengers_core.ledger.store import Ledger
from langchain_anthropic import ChatAnthropic
from langchain_core.load import dumps
from langchain_core.tracers.base import BaseTracer
from langchain_openai import ChatOpenAI
from llama_index.llms.openai import OpenAI
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from avengers_langchain import ChatAvengers, get_avengers_callback
from avengers_llamaindex import AvengersLLM
from tests.support.commands import run_command
from tests.support.llm_server import HAIKU, MINI, LLMServer

KEY, PROMPT = "sk-canary-7f3a9c", "canary-prompt-5d21 what is the capital"


class Everything(BaseTracer):
    """All that a tracer is told, as text."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def _persist_run(self, run: Any) -> None:
        self.text += run.model_dump_json() if hasattr(run, "model_dump_json") else repr(vars(run))


def chat_models(server: LLMServer) -> dict[str, Any]:
    return {
        MINI: ChatOpenAI(model=MINI, base_url=f"{server.url}/v1", api_key=KEY, max_retries=0),  # type: ignore[arg-type]
        HAIKU: ChatAnthropic(model_name=HAIKU, base_url=server.url, api_key=KEY, max_retries=0),  # type: ignore[call-arg, arg-type]
    }


def ask_all_ways(llm: ChatAvengers, tracer: Everything) -> str:
    """Answers and errors of calls, good and bad, as text."""
    said = []
    config: Any = {"callbacks": [tracer], "tags": ["t"], "configurable": {"session_id": "s"}}
    said.append(repr(llm.invoke(PROMPT, config).response_metadata))
    said.append(repr([chunk.response_metadata for chunk in llm.stream(PROMPT, config)]))
    said.append(repr(asyncio.run(llm.ainvoke(PROMPT, config)).response_metadata))
    return "".join(said)


def test_chat_avengers_keeps_keys_and_prompts_to_itself(
    server: LLMServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, spans: InMemorySpanExporter
) -> None:
    caplog.set_level(logging.DEBUG, "avengers")
    ledger = tmp_path / "ledger.sqlite"
    llm = ChatAvengers(models=chat_models(server), ledger=ledger, api_key=KEY, budget={"per_day": 1.0})  # type: ignore[arg-type]
    tracer = Everything()
    outputs = {"metadata": ask_all_ways(llm, tracer)}
    with get_avengers_callback() as spending:
        llm.invoke(PROMPT)
    outputs["callback"] = repr(spending) + str(spending)
    for fault in (401, 403, 429, 500, "garbage", "drop", "drop_mid", 400):
        server.model_faults = dict.fromkeys((MINI, HAIKU), fault)
        try:
            llm.invoke(PROMPT)
        except Exception as error:
            outputs[f"error {fault}"] = "".join(traceback.format_exception_only(error))
    server.model_faults = {}
    for number, wrong in enumerate(({"models": ["none"]}, {"alpha": 3}, {"budget": {"x": 1}}, {"artifact": "none"})):
        try:
            ChatAvengers(**{"api_key": KEY, **wrong})  # type: ignore[arg-type]
        except (ValueError, AvengersError) as error:
            outputs[f"wrong field {number}"] = str(error)
    assert sum(name.startswith("wrong") for name in outputs) == 4
    outputs |= {
        "repr": repr(llm) + str(llm) + repr(llm.dispatcher) + repr(llm.router) + repr(llm.spending),
        "dumps": dumps(llm),
        "identifying": json.dumps(llm._identifying_params) + repr(llm._get_ls_params()),
        "schema": json.dumps(llm.get_config_jsonschema(), default=str),
        "log": caplog.text,
        "spans": repr([(s.name, dict(s.attributes or {}), s.events) for s in spans.get_finished_spans()]),
        "ledger": "".join(p.read_bytes().decode("latin-1") for p in tmp_path.iterdir()),
        "entries": repr(list(Ledger(ledger).entries())) + repr(Ledger(ledger).report()),
    }
    for name, text in outputs.items():
        assert text, f"{name} is empty"
        assert KEY not in text, name
        if not name.startswith("error"):
            assert "canary-prompt" not in text, name
    # A tracer is told the prompt, as of any chat model; the key it is not.
    assert "canary-prompt" in tracer.text
    assert KEY not in tracer.text


def test_avengers_llm_keeps_keys_and_prompts_to_itself(
    server: LLMServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, spans: InMemorySpanExporter
) -> None:
    caplog.set_level(logging.DEBUG, "avengers")
    ledger = tmp_path / "ledger.sqlite"
    inner = OpenAI(model=MINI, api_base=f"{server.url}/v1", api_key=KEY, max_retries=0, reuse_client=False)
    llm = AvengersLLM(models={MINI: inner}, ledger=ledger)
    outputs = {"metadata": repr(llm.complete(PROMPT).additional_kwargs)}
    for fault in (401, 500, "drop_mid"):
        server.model_faults = {MINI: fault}
        try:
            llm.complete(PROMPT)
        except Exception as error:
            outputs[f"error {fault}"] = str(error)
    outputs |= {
        "repr": repr(llm) + str(llm),
        "class": llm.class_name(),
        "json": llm.to_json(),
        "dict": repr(llm.to_dict()),
        "log": caplog.text or "none",
        "spans": repr([(s.name, dict(s.attributes or {})) for s in spans.get_finished_spans()]),
        "ledger": "".join(p.read_bytes().decode("latin-1") for p in tmp_path.iterdir()),
    }
    for name, text in outputs.items():
        assert text, f"{name} is empty"
        assert KEY not in text, name
        assert "canary-prompt" not in text or name.startswith("error"), name


def test_a_stored_prompt_is_only_where_it_was_asked_for(server: LLMServer, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "with.sqlite", store_prompts=True)
    ChatAvengers(models=chat_models(server), ledger=ledger).invoke(PROMPT)
    assert [row["prompt"] for row in ledger.entries()] == [PROMPT]
    assert "canary-prompt" not in repr(ledger.report())


def test_a_ledgers_password_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("psycopg")
    url = f"postgresql+psycopg://user:{KEY}@127.0.0.1:9/none"
    with pytest.raises(AvengersError) as caught:
        Ledger(url)
    text = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert KEY not in text
    with pytest.raises(AvengersError, match="cannot be opened") as wrong:
        ChatAvengers(models=["gpt-4o-mini-2024-07-18"], ledger=url)
    assert KEY not in str(wrong.value)


@pytest.mark.slow
def test_no_output_of_a_command_shows_a_key(
    server: LLMServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Collect, with refused keys and with good ones, and the embedder's key while training."""
    caplog.set_level(logging.DEBUG, "avengers")
    env = {
        "OPENAI_API_KEY": KEY, "OPENAI_API_BASE": f"{server.url}/v1", "OPENAI_BASE_URL": f"{server.url}/v1",
        "EMBEDDING_API_KEY": KEY, "EMBEDDING_BASE_URL": f"{server.url}/v1",
    }  # fmt: skip
    (tmp_path / "q.jsonl").write_text(json.dumps({"query": PROMPT, "answer": "says"}) + "\n")
    said = ""
    for fault in (401, 500, None):
        server.model_faults = {} if fault is None else {MINI: fault}
        for words in (
            ("collect", "q.jsonl", "-m", f"openai:{MINI}", "--grader", "regex", "-o", "r.jsonl", "--retries", "0"),
            ("train", "r.jsonl", "--embedder", "openai:none", "-o", "a.zip"),
            ("route", "x", "-a", "none.zip"),
        ):
            said += run_command(*words, cwd=tmp_path, env=env, exit_code=None).output
    assert said
    assert KEY not in said + caplog.text
    for path in tmp_path.iterdir():
        content = path.read_bytes()
        assert KEY.encode() not in content, path.name
        if path.name in ("r.jsonl", "r.jsonl.journal", "r.jsonl.journal-wal", "q.jsonl"):
            continue  # a record is its query, and the journal its answers
        assert b"canary-prompt" not in content, path.name


def test_a_pickled_model_has_its_users_key_and_no_more() -> None:
    """Pickle is how processes hand a model on; it is no log. The router itself holds nothing secret."""
    llm = ChatAvengers(models=["gpt-4o-mini-2024-07-18"], api_key=KEY)  # type: ignore[arg-type]
    assert pickle.loads(pickle.dumps(llm)).api_key.get_secret_value() == KEY
    assert KEY not in repr(Router.load().artifact.manifest)
