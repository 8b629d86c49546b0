"""The examples, as a user runs them, against the local server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.llm_server import LLMServer
from tests.support.processes import run_program

ROOT = Path(__file__).resolve().parents[2]
EXPECTED = {
    "langchain_chain": ["What is 17 * 23? -> gpt-5", "with alpha 1: gpt-5.1", "3 calls"],
    "langchain_rag": ["answers: This is what gpt-5", "streamed: This is what gpt-5"],
    "langchain_agent": ["called", "answered"],
    "langchain_batch": ["answered", "gpt-5", "avengers ledger"],
    "llamaindex_query_engine": [
        "in memory: This is what gpt-5",
        "FAISS: This is what",
        "with alpha 1: gpt-5.1",
    ],
    "llamaindex_chat_engine": ["Fridays? -> This is what gpt-5", "2 calls, $0."],
    "llamaindex_agent": ["called add", "called in_stock", "answered by gpt-5", "calls, $0."],
    "zero_config": [
        "routing among: openai/gpt-",
        "What is 17 * 23? -> openai/gpt-",
        "LlamaIndex -> openai/gpt-",
        "answered by openai/gpt-",
    ],
    "llamaindex_evaluation": ["What does a ticket cost?", "gpt-5.1", "0.0000"],
}


@pytest.mark.parametrize(
    "name", sorted(path.stem for path in (ROOT / "examples").glob("*_*.py") if path.stem != "local_words")
)
def test_example(server: LLMServer, tmp_path: Path, name: str) -> None:
    server.tool_steps = 2
    env = {"OPENAI_API_KEY": "sk-none", "OPENAI_BASE_URL": f"{server.url}/v1"}
    env["OPENAI_API_BASE"] = env["OPENAI_BASE_URL"]  # LlamaIndex's name for it
    done = run_program(ROOT / "examples" / f"{name}.py", env=env, cwd=tmp_path)
    assert done.exit_code == 0, done.stderr
    for part in EXPECTED[name]:
        assert part in done.stdout
    assert sum(server.asked.values()) > 1
