"""Requests that are not served, as OpenAI's clients read errors."""

from __future__ import annotations

import asyncio
import logging

from avengers_core import BudgetError, NoCandidateError
from avengers_core.dispatch.failures import failure_kind
from fastapi.responses import JSONResponse

from .chat_response import error_body
from .metrics import Metrics

__all__ = ["Refusal", "invalid", "refusal_of", "too_large"]

log = logging.getLogger("avengers.proxy")

#: HTTP status and OpenAI's type of error for what an upstream failure is.
_UPSTREAM = {
    "rate_limit": (429, "rate_limit_error"),
    "timeout": (504, "timeout"),
    "caller": (400, "invalid_request_error"),
    "refused": (400, "invalid_request_error"),
    "too_long": (400, "invalid_request_error"),
}
#: Codes that OpenAI's clients know for kinds of failures.
_CODES = {"too_long": "context_length_exceeded"}


class Refusal(Exception):
    """A request that is not served.

    Args:
        status: HTTP status.
        message: What is wrong.
        kind: OpenAI's type of error.
        code: What exactly, for programs.
        param: The field that is wrong.
        wait: Seconds after which the client may come back, 0 if waiting does not help.
    """

    def __init__(
        self,
        status: int,
        message: str,
        kind: str,
        code: str | None = None,
        param: str | None = None,
        wait: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.status, self.kind, self.code, self.param, self.wait = status, kind, code, param, wait

    def body(self) -> dict[str, object]:
        """The error as OpenAI's clients read it."""
        return error_body(str(self), self.kind, self.code, self.param)

    def response(self) -> JSONResponse:
        """The answer to the request."""
        headers = {"retry-after": str(max(1, round(self.wait)))} if self.wait else None
        return JSONResponse(self.body(), self.status, headers)


def invalid(message: str, code: str | None = None, param: str | None = None, status: int = 400) -> Refusal:
    """A request that is wrong."""
    return Refusal(status, message, "invalid_request_error", code, param)


def too_large(limit: int) -> Refusal:
    """A request whose body is larger than ``limit`` bytes."""
    return invalid(f"a request may have {limit:,} bytes", status=413)


def refusal_of(error: Exception, metrics: Metrics) -> Refusal:
    """What a client is told of an error, which is counted.

    Args:
        error: Raised by the router, by a model's client, or by the proxy itself.
        metrics: Where it is counted.
    """
    if isinstance(error, Refusal):
        return error
    if isinstance(error, BudgetError):
        metrics.refused("budget")
        return Refusal(429, str(error), "insufficient_quota", "insufficient_quota")
    if isinstance(error, NoCandidateError):
        metrics.refused("no_candidate")
        return invalid(str(error), "no_candidate")
    kind = "timeout" if isinstance(error, asyncio.TimeoutError) else failure_kind(error)
    metrics.refused(kind)
    if kind == "refused":
        log.error("no model's client could write the request", exc_info=error)
    status, openai_type = _UPSTREAM.get(kind, (502, "upstream_error"))
    # Not the provider's message: it may quote a key of ours.
    message = f"the model's provider failed: {kind} ({type(error).__name__})"
    return Refusal(status, message, openai_type, _CODES.get(kind, kind))
