"""What kind of failure an error is: whether another model may be asked, and how long the failing one rests."""

from __future__ import annotations

import json
import re
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import EmptyAnswerError

__all__ = [
    "FALLBACK",
    "MAY_BE_CHARGED",
    "OTHER_PROVIDER",
    "RESTING",
    "TRANSIENT",
    "Cooldowns",
    "failure_kind",
    "retry_after",
]

#: Failures of the model or of the way to it.
TRANSIENT = frozenset({"rate_limit", "timeout", "server", "connection", "invalid_response"})
#: After these a model is not asked for a while.
RESTING = TRANSIENT | {"auth", "not_found"}
#: After these another model is asked; only ``caller`` and ``cancelled`` are not among them.
FALLBACK = RESTING | {"too_long", "refused"}
#: After these only models of other providers are asked: the others have the same key.
OTHER_PROVIDER = frozenset({"auth"})
#: After these a provider may charge for what it did; how much is unknown. Other failures cost nothing.
MAY_BE_CHARGED = frozenset({"cancelled", "timeout", "connection", "invalid_response"})

_STATUS = {
    401: "auth", 402: "auth", 403: "auth", 404: "not_found", 408: "timeout", 409: "server", 410: "not_found",
    413: "too_long", 425: "server", 429: "rate_limit", 504: "timeout",
}  # fmt: skip

#: Parts of a provider's type or code of an error, or of a class's name, by kind; the first that matches counts.
_MARKS = {
    "too_long": r"context_?(?:length|overflow)|context_window|string_above_max_length|request_too_large",
    "rate_limit": r"rate_?limit|resource_?exhausted|throttl|too_?many_?requests|insufficient_quota|quota_exceeded",
    "timeout": r"time_?d?_?out|deadline_?exceeded",
    "not_found": r"not_?found|model_decommissioned|model_not_available",
    "auth": r"authentication|permission_?denied|permission_error|unauthenticated|unauthorized|invalid_api_key|billing",
    "connection": r"api_?connection|connect_?error|transport_?error|connection_?error|os_?error|protocol_?error",
    "server": r"internal_?(?:server_?)?error|unavailable|overloaded|server_?error|api_error|bad_?gateway",
    "invalid_response": r"api_?response_?validation",
    "caller": r"invalid_request|invalid_argument|bad_?request|content_filter|content_policy",
}
_KINDS = {kind: re.compile(marks, re.IGNORECASE) for kind, marks in _MARKS.items()}
#: What providers write if a request does not fit into the model's window; many have no code for it.
_TOO_LONG = re.compile(
    r"context[ _](?:length|window|size)|prompt is too long|too many (?:input )?tokens|input is too long"
    r"|maximum (?:number of )?(?:input )?tokens|input token count|exceeds the (?:model's )?maximum|reduce the length",
    re.IGNORECASE,
)
#: What providers write if they do not have a model (any more).
_NO_MODEL = re.compile(
    r"model:?\s+[`'\"]?[\w.:/@-]+[`'\"]?\s+(?:was |is |has been )?"
    r"(?:not found|does not exist|not exist|decommissioned|deprecated|retired|unknown|no longer)"
    r"|(?:unknown|invalid|no such|unsupported) model\b",
    re.IGNORECASE,
)
#: Functions in which clients read an answer; an error in one of them is about the answer.
_READS_ANSWER = re.compile(
    r"(?:create|format|to|into|convert)_?(?:chat_)?(?:result|output|generation)|parse|decode|__stream__|_iter_|chunk|delta"
    r"|from_\w+_(?:message|response|result)|(?:^|_)a?gen$"
)
#: What Python says if a part of an answer is missing, and what clients say.
_NO_ANSWER = re.compile(
    r"NoneType|'(?:list|str)' object|null value for|unexpected response|no generation|list index out of range",
    re.IGNORECASE,
)
_BROKEN = (json.JSONDecodeError, UnicodeDecodeError, EmptyAnswerError, IndexError)
_MISFIT = re.compile(r"unexpected keyword argument|missing \d+ required|takes \d+ positional|multiple values for")


def failure_kind(error: BaseException) -> str:
    """What kind of failure an error is.

    It is read from the HTTP status if the error carries one of 400 or more, else from the error that a provider sent
    in the body, else from the names of its classes, so that no provider's package is imported. An error without any of
    these came about in the client: over an answer that it could not read (``invalid_response``), or over a request that
    it could not write, so that nothing was sent (``refused``).

    Returns:
        ``rate_limit``, ``timeout``, ``server``, ``connection``, ``invalid_response``, ``auth``, ``not_found``,
        ``too_long``, ``refused`` or ``caller``.
    """
    status, told = _status(error), _told(error)
    if status is not None:
        kind = _STATUS.get(status, "server" if status >= 500 else "caller")
        if kind in ("caller", "too_long"):
            return _kind_of_refusal(f"{_names(error)} {told} {error}", kind)
        return kind
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ConnectionError):
        return "connection"
    if isinstance(error, _BROKEN):
        return "invalid_response"
    for text in filter(None, (told, _names(error))):
        for kind, marks in _KINDS.items():
            if marks.search(text):
                return _kind_of_refusal(f"{told} {error}", kind) if kind == "caller" else kind
    if told:
        return "server"
    return _kind_in_client(error)


def _names(error: BaseException) -> str:
    return " ".join(base.__name__ for base in type(error).__mro__)


def _kind_of_refusal(text: str, otherwise: str) -> str:
    """What a provider means by a refusal: often only its words tell."""
    if _KINDS["too_long"].search(text) or _TOO_LONG.search(text):
        return "too_long"
    return "not_found" if _NO_MODEL.search(text) else otherwise


def _kind_in_client(error: BaseException) -> str:
    text = str(error)
    if _MISFIT.search(text):
        return "refused"
    if _NO_ANSWER.search(text):
        return "invalid_response"
    frames = (frame.name for frame in traceback.extract_tb(error.__traceback__))
    return "invalid_response" if any(_READS_ANSWER.search(name) for name in frames) else "refused"


def _status(error: BaseException) -> int | None:
    """The HTTP status, if it says that something failed; also one that a provider wrote into the body."""
    response = getattr(error, "response", None)
    candidates = [getattr(error, name, None) for name in ("status_code", "http_status", "code")]
    candidates.append(getattr(response, "status_code", None))
    if isinstance(response, Mapping):  # botocore
        candidates.append(response.get("ResponseMetadata", {}).get("HTTPStatusCode"))
    for body in _bodies(error):
        candidates += [body.get("status_code"), body.get("code"), body.get("status")]
    return next((value for value in candidates if type(value) is int and 400 <= value < 600), None)


def _told(error: BaseException) -> str:
    """Types and codes of the error that a provider sent, empty if it sent none."""
    words = (body.get(name) for body in _bodies(error) for name in ("type", "code", "status"))
    return " ".join(word for word in words if isinstance(word, str) and word not in ("error", ""))


def _bodies(error: BaseException) -> Iterator[Mapping[str, Any]]:
    """The error objects in an error: its body, or what a client raised it with."""
    for given in (getattr(error, "body", None), *error.args[:1]):
        while isinstance(given, Mapping):
            yield given
            given = given.get("error")


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
        seconds: How long a model is not asked, unless its provider asks for longer (at most ten times as long). A model
            that its provider does not have is not asked for ten times as long.
    """

    def __init__(self, seconds: float = 30.0) -> None:
        self.seconds = seconds
        self._until: dict[str, float] = {}
        self._lock = threading.RLock()  # a stream that garbage collection closes may end an attempt in this very thread

    def lasting(self, seconds: float) -> Cooldowns:
        """The same cooldowns, of which new ones last otherwise.

        Args:
            seconds: How long a model is not asked.
        """
        shared = Cooldowns(seconds)
        shared._until, shared._lock = self._until, self._lock
        return shared

    def fail(self, model: str, error: BaseException, *, gone: bool = False) -> None:
        """Start the cooldown of a model.

        Args:
            model: Its id.
            error: What it failed with.
            gone: Whether its provider does not have it.
        """
        seconds = self.duration(error, gone=gone)
        with self._lock:
            self._until[model] = time.monotonic() + seconds

    def duration(self, error: BaseException, *, gone: bool = False) -> float:
        """Seconds that a cooldown lasts.

        Args:
            error: What a model failed with.
            gone: Whether its provider does not have it.
        """
        longest = 10 * self.seconds
        return longest if gone else max(self.seconds, min(retry_after(error), longest))

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
