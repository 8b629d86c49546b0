"""The fields of `AvengersLLM`, and how they are dumped without secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from avengers_core.adapters import BUILD_FIELDS, RoutingFields
from avengers_core.embedders import Embedder
from llama_index.core.base.embeddings.base import BaseEmbedding
from pydantic import Field, field_serializer

from .._models import LLAMAINDEX, is_client
from ..embeddings import as_embedder

__all__ = ["LLMFields"]

_SECRET = re.compile(r"api_?key|access_key|secret|password|credential|headers|_token$|http_client", re.IGNORECASE)


class LLMFields(RoutingFields):
    """The fields that a LlamaIndex LLM has beside those of every adapter."""

    framework = LLAMAINDEX
    build_fields: ClassVar[tuple[str, ...]] = (*BUILD_FIELDS, "embed_model")

    embed_model: BaseEmbedding | None = Field(default=None, exclude=True)
    """The embeddings that the artifact was trained with. Default: made from the artifact's id."""
    route_on: Any = "question"
    """The text that is embedded: ``question`` (of the engine that makes the call, else the last user message),
    ``last_human``, ``with_system``, ``conversation``, or a function of the messages."""

    def _embedder(self, build: Mapping[str, Any]) -> Embedder | None:
        return None if build["embed_model"] is None else as_embedder(build["embed_model"])

    @field_serializer("models")
    def _dump_models(self, models: Any) -> Any:
        if not isinstance(models, Mapping):
            return None if models is None else list(models)
        return {
            name: _without_secrets(model.to_dict()) if is_client(model) else model for name, model in models.items()
        }

    @field_serializer("init_kwargs")
    def _dump_init_kwargs(self, init_kwargs: dict[str, Any]) -> dict[str, Any]:
        return _without_secrets(init_kwargs)

    @field_serializer("artifact", "route_on", "ledger")
    def _dump_plain(self, value: Any) -> Any:
        """Paths and names. A ledger with a password is read from ``$AVENGERS_LEDGER`` when loaded."""
        if isinstance(value, Path):
            return str(value)
        kept = value is None or isinstance(value, (bool, str))
        return value if kept and not (isinstance(value, str) and "://" in value and "@" in value) else None


def _without_secrets(values: Mapping[str, Any]) -> dict[str, Any]:
    """Fields that may be dumped: none that may hold a key, at any depth."""
    return {
        name: _without_secrets(value) if isinstance(value, Mapping) else value
        for name, value in values.items()
        if not _SECRET.search(name)
    }
