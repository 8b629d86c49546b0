"""The fields of `ChatAvengers`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from avengers_core.adapters import RoutingFields
from avengers_core.adapters.fields import BUILD_FIELDS as SHARED_BUILD_FIELDS
from avengers_core.embedders import Embedder
from avengers_core.routing.options import ROUTE_FIELDS
from langchain_core.embeddings import Embeddings
from pydantic import Field, SecretStr, field_validator

from .._models import LANGCHAIN
from ..embeddings import as_embedder

__all__ = ["BUILD_FIELDS", "CONFIGURABLE_FIELDS", "STEERING_FIELDS", "ChatFields"]

#: Fields that a dispatcher is built from and that a single call may change.
BUILD_FIELDS = (*SHARED_BUILD_FIELDS, "embeddings")

#: Fields that a single call may change.
CONFIGURABLE_FIELDS = (*ROUTE_FIELDS, *BUILD_FIELDS)

#: Fields that ``configurable`` in a config may change unless others are named. On a server it comes from end users, so
#: these steer the choice among the given models, and lift no limit.
STEERING_FIELDS = (*(name for name in ROUTE_FIELDS if name not in ("budget", "max_cost", "max_seconds")), "models")


class ChatFields(RoutingFields):
    """The fields that a LangChain chat model has beside those of every adapter."""

    framework = LANGCHAIN
    build_fields: ClassVar[tuple[str, ...]] = (*BUILD_FIELDS, "timeout", "max_retries", "api_key")

    embeddings: Embeddings | None = Field(default=None, exclude=True)
    """The embeddings that the artifact was trained with. Default: made from the artifact's id."""
    configurable: tuple[str, ...] = STEERING_FIELDS
    """Fields that ``configurable`` in a config may change, such as ``("alpha", "budget")``. By default those that steer
    the choice; ``models`` may only name some of this model's own then. On a server, a config comes from end users."""
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

    @field_validator("configurable", mode="before")
    @classmethod
    def _check_configurable(cls, value: Any) -> tuple[str, ...]:
        names = (value,) if isinstance(value, str) else tuple(value or ())
        if unknown := [name for name in names if name not in CONFIGURABLE_FIELDS]:
            raise ValueError(
                f"configurable: a call cannot change {unknown[0]!r}, only {', '.join(CONFIGURABLE_FIELDS)}"
            )
        return names

    def _embedder(self, build: Mapping[str, Any]) -> Embedder | None:
        return None if build["embeddings"] is None else as_embedder(build["embeddings"])

    def _init_arguments(self, build: Mapping[str, Any]) -> dict[str, Any]:
        names = ("timeout", "max_retries", "api_key")
        return {**{name: build[name] for name in names if build[name] is not None}, **build["init_kwargs"]}
