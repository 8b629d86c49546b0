"""The fields of `ChatAvengers`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from avengers_core.adapters import RoutingFields
from avengers_core.adapters.fields import BUILD_FIELDS as SHARED_BUILD_FIELDS
from avengers_core.embedders import Embedder
from avengers_core.routing.options import ROUTE_FIELDS
from langchain_core.embeddings import Embeddings
from pydantic import Field, SecretStr

from .._models import LANGCHAIN
from ..embeddings import as_embedder

__all__ = ["BUILD_FIELDS", "CONFIGURABLE_FIELDS", "ChatFields"]

#: Fields that a dispatcher is built from and that a single call may change.
BUILD_FIELDS = (*SHARED_BUILD_FIELDS, "embeddings")

#: Fields that a single call may change.
CONFIGURABLE_FIELDS = (*ROUTE_FIELDS, *BUILD_FIELDS)


class ChatFields(RoutingFields):
    """The fields that a LangChain chat model has beside those of every adapter."""

    framework = LANGCHAIN
    build_fields: ClassVar[tuple[str, ...]] = (*BUILD_FIELDS, "timeout", "max_retries", "api_key")

    embeddings: Embeddings | None = Field(default=None, exclude=True)
    """The embeddings that the artifact was trained with. Default: made from the artifact's id."""
    config_prefix: str = ""
    """Prefix of the names in ``configurable``, for two routers that share a config."""
    stop: list[str] | None = None
    """Stop words that are sent with each call if they are set."""
    streaming: bool = False
    """Stream inside ``invoke``, too."""
    timeout: float | None = None
    """Seconds that a request may take, for models that are made from text."""
    max_retries: int | None = None
    """Retries of a request, for models that are made from text."""
    api_key: SecretStr | None = None
    """Key for models that are made from text."""

    def _embedder(self, build: Mapping[str, Any]) -> Embedder | None:
        return None if build["embeddings"] is None else as_embedder(build["embeddings"])

    def _init_arguments(self, build: Mapping[str, Any]) -> dict[str, Any]:
        names = ("timeout", "max_retries", "api_key")
        return {**{name: build[name] for name in names if build[name] is not None}, **build["init_kwargs"]}
