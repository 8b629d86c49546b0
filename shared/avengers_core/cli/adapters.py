"""Adapters of frameworks, found by the entry points of the group ``avengers.adapters``.

The core imports no framework, and no adapter by name: any package with an entry point in this group can be used
by the command line. The entry point names a module, or an object, that has the functions of `Adapter`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import MissingExtraError

if TYPE_CHECKING:
    from ..collecting.types import ModelUnderTest
    from ..pricing.types import Price

__all__ = ["GROUP", "Adapter", "ServingAdapter", "load_adapter"]

#: The group of entry points.
GROUP = "avengers.adapters"

_DISTRIBUTION = "avengers-router"


class Adapter(Protocol):
    """What ``avengers collect`` needs of a framework."""

    def price_id(self, spec: str) -> str:
        """The id under which genai-prices knows a model that is given as the framework's ``provider:model``."""
        ...

    def model_under_test(
        self,
        id: str,
        model: Any,
        *,
        price: Price | None = None,
        system: str = "",
        init_kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> ModelUnderTest:
        """A model to ask.

        Args:
            id: Its name in the records.
            model: The framework's model object, or ``provider:model``.
            price: A contract, instead of list prices.
            system: A system message.
            init_kwargs: Arguments for making the model.
            options: Arguments that are sent with each request, such as ``temperature``.
        """
        ...


class ServingAdapter(Adapter, Protocol):
    """What ``avengers serve`` needs of a framework."""

    def serve(
        self,
        fields: Mapping[str, Any],
        *,
        host: str,
        port: int,
        keys: Path | None,
        open_to_anyone: bool,
        **limits: Any,
    ) -> None:
        """Serve a routed chat model until interrupted.

        Args:
            fields: Fields of the chat model.
            host: Address to listen on.
            port: Port to listen on; 0 takes a free one.
            keys: File with the keys of clients.
            open_to_anyone: Listen beyond this machine without keys.
            limits: Limits of the endpoint: ``max_concurrent``, ``max_body_bytes``, ``timeout``.
        """
        ...


def load_adapter(name: str, feature: str, extra: str) -> Any:
    """The adapter of a framework.

    Args:
        name: Name of the entry point.
        feature: What the adapter is needed for, for the error message.
        extra: The extra of this package that installs what the adapter needs.

    Returns:
        What the entry point names: an `Adapter`, perhaps a `ServingAdapter`.

    Raises:
        ValueError: If no installed package has such an entry point.
        MissingExtraError: If the framework is not installed.
    """
    known = {point.name: point for point in entry_points(group=GROUP)}
    if name not in known:
        listed = ", ".join(sorted(known)) or f"none (install {_DISTRIBUTION} again)"
        raise ValueError(f"there is no adapter {name!r}; installed are: {listed}")
    point = known[name]
    try:
        return point.load()
    except ImportError as error:
        if point.dist is not None and point.dist.name != _DISTRIBUTION:
            raise  # another package's adapter: it knows what it needs
        raise MissingExtraError(feature, extra) from error
