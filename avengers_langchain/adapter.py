"""What the command line uses of this package: the entry point ``langchain`` of the group ``avengers.adapters``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from avengers_core import MissingExtraError

from .chat_models import ChatAvengers
from .collecting import model_under_test, price_id

__all__ = ["model_under_test", "price_id", "serve"]


def serve(fields: Mapping[str, Any], **options: Any) -> None:
    """Serve a `ChatAvengers` until interrupted.

    Args:
        fields: Its fields.
        options: See `avengers_langchain.proxy.server.serve`.

    Raises:
        MissingExtraError: If the extra ``serve`` is not installed.
    """
    try:
        from .proxy import server
    except ImportError as error:
        raise MissingExtraError("serving", "serve") from error
    server.serve(ChatAvengers(**fields), **options)
