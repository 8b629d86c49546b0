"""What kind of failure an error is: whether another model may be asked, and how long the failing one cools down."""

from __future__ import annotations

import json
import threading
import time

from ..errors import EmptyAnswerError

__all__ = ["TRANSIENT", "Cooldowns", "failure_kind", "retry_after"]

#: Kinds that another model may help with; every other error is the caller's and is raised as it is.
TRANSIENT = frozenset({"rate_limit", "timeout", "server", "connection", "invalid_response"})

_NAMES = {
    "timeout": ("Timeout", "DeadlineExceeded"),
    "rate_limit": ("RateLimit", "ResourceExhausted", "Throttling", "TooManyRequests"),
    "auth": ("AuthenticationError", "PermissionDenied", "Unauthenticated"),
    "connection": ("APIConnectionError", "ConnectError", "TransportError", "ConnectionError", "ClientOSError"),
    "server": ("InternalServerError", "ServiceUnavailable", "Overloaded", "ServerError"),
    "invalid_response": ("APIResponseValidationError",),
}


def failure_kind(error: BaseException) -> str:
    """``rate_limit``, ``timeout``, ``server``, ``connection``, ``invalid_response``, ``auth`` or ``caller``.

    It is read from the HTTP status if the error carries one, else from its type and the names of its base classes, so
    that no provider's package is imported.
    """
    status = _status(error)
    if status is not None:
        if status in (401, 403):
            return "auth"
        if status == 429:
            return "rate_limit"
        if status in (408, 504):
            return "timeout"
        return "server" if status >= 500 else "caller"
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ConnectionError):
        return "connection"
    if isinstance(error, (json.JSONDecodeError, EmptyAnswerError)):
        return "invalid_response"
    names = [base.__name__ for base in type(error).__mro__]
    for kind, marks in _NAMES.items():
        if any(mark in name for name in names for mark in marks):
            return kind
    return "caller"


def _status(error: BaseException) -> int | None:
    response = getattr(error, "response", None)
    candidates = [getattr(error, name, None) for name in ("status_code", "http_status", "code")]
    candidates.append(getattr(response, "status_code", None))
    if isinstance(response, dict):  # botocore
        candidates.append(response.get("ResponseMetadata", {}).get("HTTPStatusCode"))
    return next((value for value in candidates if isinstance(value, int) and 400 <= value < 600), None)


def retry_after(error: BaseException) -> float:
    """Seconds that the provider's ``Retry-After`` header asks for, 0 if it has none."""
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    try:
        return max(0.0, float(headers.get("retry-after", 0)))
    except (AttributeError, TypeError, ValueError):
        return 0.0


class Cooldowns:
    """Which models are not asked for a while after a failure. Threads may share it.

    Args:
        seconds: How long a model is not asked, unless its provider asks for longer (at most ten times as long).
    """

    def __init__(self, seconds: float = 30.0) -> None:
        self.seconds = seconds
        self._until: dict[str, float] = {}
        self._lock = threading.Lock()

    def fail(self, model: str, error: BaseException) -> None:
        """Start the cooldown of ``model``."""
        seconds = max(self.seconds, min(retry_after(error), 10 * self.seconds))
        with self._lock:
            self._until[model] = time.monotonic() + seconds

    def succeed(self, model: str) -> None:
        """End the cooldown of ``model``."""
        if model in self._until:
            with self._lock:
                self._until.pop(model, None)

    def cooling_down(self) -> dict[str, str]:
        """Models that are not asked now, each with the seconds left as the reason."""
        if not self._until:
            return {}
        now = time.monotonic()
        with self._lock:
            return {model: f"cooling down for {end - now:.0f} s" for model, end in self._until.items() if end > now}
