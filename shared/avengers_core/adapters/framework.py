"""What a framework's adapter knows about the framework's model objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal

from ..dispatch.pool import ClientProfile, M

__all__ = ["Framework"]


def _unchanged(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Framework(Generic[M]):
    """How an adapter makes and reads a framework's model objects.

    Attributes:
        name: Its name in the catalogue.
        kind: What a model object is called in error messages, such as ``an LLM``.
        make_model: Makes a model object from a model's name, the artifact's price id (or an empty string) and keyword
            arguments. Raises `UnavailableError` if it cannot.
        is_client: Whether a value is a model object.
        describe: Reads provider, name, capabilities and price ids from a model object.
        price_id: genai-prices' id of a model that is given as the framework's ``provider:model``.
        prepare: Changes a value that a user gives for a model before it goes into the pool.
    """

    name: Literal["langchain", "llamaindex"]
    kind: str
    make_model: Callable[[str, str, Mapping[str, Any]], M]
    is_client: Callable[[Any], bool]
    describe: Callable[[M], ClientProfile]
    price_id: Callable[[str], str] = _unchanged
    prepare: Callable[[Any], Any] = _unchanged
