"""The frameworks' adapters, which commands load when they need them."""

from __future__ import annotations

import importlib
from typing import Any

from ..errors import MissingExtraError

__all__ = ["FRAMEWORKS", "load_adapter"]

#: Frameworks that have an adapter.
FRAMEWORKS = ("langchain", "llamaindex")


def load_adapter(framework: str, module: str = "", *, feature: str, extra: str) -> Any:
    """Import an adapter, or a module of it.

    Args:
        framework: One of `FRAMEWORKS`.
        module: Name of a module within the adapter, such as ``collecting``.
        feature: What it is needed for, for the error.
        extra: Extra that installs the framework.

    Raises:
        MissingExtraError: If the framework is not installed.
    """
    try:
        return importlib.import_module(f"avengers_{framework}.{module}".rstrip("."))
    except ImportError:
        raise MissingExtraError(feature, extra) from None
