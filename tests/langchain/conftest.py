from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI

from avengers_langchain import ChatAvengers
from tests.support.llm_server import ALL, BIG, HAIKU, MINI, SONNET, LLMServer


def openai_model(server: LLMServer, name: str, **fields: Any) -> ChatOpenAI:
    defaults: dict[str, Any] = {"max_retries": 0, "timeout": 2, "api_key": "sk-canary-openai"}
    return ChatOpenAI(model=name, base_url=f"{server.url}/v1", **{**defaults, **fields})


def anthropic_model(server: LLMServer, name: str, **fields: Any) -> ChatAnthropic:
    defaults: dict[str, Any] = {"max_retries": 0, "timeout": 2, "api_key": "sk-canary-anthropic", "max_tokens": 100}
    return ChatAnthropic(model=name, base_url=server.url, **{**defaults, **fields})


def openai_pool(server: LLMServer, **fields: Any) -> dict[str, Any]:
    return {name: openai_model(server, name, **fields) for name in (MINI, BIG)}


def mixed_pool(server: LLMServer, **fields: Any) -> dict[str, Any]:
    return {
        MINI: openai_model(server, MINI, **fields),
        BIG: openai_model(server, BIG, **fields),
        HAIKU: anthropic_model(server, HAIKU, **fields),
        SONNET: anthropic_model(server, SONNET, **fields),
    }


@pytest.fixture
def make(server: LLMServer) -> Callable[..., ChatAvengers]:
    """A `ChatAvengers` over four models of two providers."""

    def build(**fields: Any) -> ChatAvengers:
        pool = fields.pop("models", None) or mixed_pool(server)
        given = {"capabilities": dict.fromkeys(pool, ALL), "alpha": 0.4, **fields}
        return ChatAvengers(models=pool, **given)

    return build
