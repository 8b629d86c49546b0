from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from avengers_core import WordLlamaEmbedder
from avengers_core.ledger.store import Ledger
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.openai import OpenAI

from avengers_llamaindex import AvengersLLM
from tests.support.llm_server import BIG, HAIKU, MINI, LLMServer

TURBO = "gpt-3.5-turbo-0125"

_WORDS = WordLlamaEmbedder()


class Words(BaseEmbedding):
    """The router's own embedder as a LlamaIndex one."""

    model_name: str = "wordllama"

    def _get_text_embedding(self, text: str) -> list[float]:
        return _WORDS.embed([text])[0].tolist()

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


def openai_model(server: LLMServer, name: str, **fields: Any) -> OpenAI:
    defaults: dict[str, Any] = {"max_retries": 0, "timeout": 2, "api_key": "sk-canary-openai"}
    return OpenAI(model=name, api_base=f"{server.url}/v1", **{**defaults, **fields})


def anthropic_model(server: LLMServer, name: str, **fields: Any) -> Anthropic:
    defaults: dict[str, Any] = {"max_retries": 0, "timeout": 2, "api_key": "sk-canary-anthropic"}
    return Anthropic(model=name, base_url=server.url, **{**defaults, **fields})


def mixed_pool(server: LLMServer, **fields: Any) -> dict[str, Any]:
    return {
        **{name: openai_model(server, name, **fields) for name in (MINI, BIG, TURBO)},
        HAIKU: anthropic_model(server, HAIKU, **fields),
    }


@pytest.fixture
def make(server: LLMServer) -> Callable[..., AvengersLLM]:
    """An `AvengersLLM` over four models of two providers."""

    def build(**fields: Any) -> AvengersLLM:
        pool = fields.pop("models", None) or mixed_pool(server)
        return AvengersLLM(models=pool, **{"alpha": 0.4, **fields})

    return build


@pytest.fixture
def ledger(tmp_path: Any) -> Ledger:
    """A ledger that keeps the texts that were routed."""
    return Ledger(tmp_path / "ledger.sqlite", store_prompts=True)
