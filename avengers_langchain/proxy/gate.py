"""A gate before the application: requests that are too large or too many do not get in."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import Refusal, too_large
from .metrics import Metrics

__all__ = ["Gate"]


class Gate:
    """Turns away requests that are too large or too many.

    A request takes a place when the last byte of its body has come and holds it until the last byte of its answer is
    sent: who sends a body slowly takes no place from those who wait for an answer. The bytes of bodies that are on
    their way are bounded as well.

    Args:
        app: The application.
        max_body_bytes: Most bytes of a request's body.
        max_concurrent: Most requests that are answered at a time.
        metrics: Where refused requests are counted.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int, max_concurrent: int, metrics: Metrics) -> None:
        self.app, self.limit, self.places, self.metrics = app, max_body_bytes, max_concurrent, metrics
        self.bytes_left = max_body_bytes * max_concurrent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self.limit:
            await too_large(self.limit).response()(scope, receive, send)
            return
        visit = _Visit(self, receive)
        try:
            await self.app(scope, visit.receive, send)
        finally:
            visit.end()

    def busy(self) -> Refusal:
        """What a request is told that finds no place."""
        self.metrics.refused("busy")
        return Refusal(503, "too many requests at a time", "server_error", "overloaded", wait=1.0)


class _Visit:
    """What one request takes of a gate: bytes while its body comes, then a place."""

    def __init__(self, gate: Gate, receive: Receive) -> None:
        self._gate, self._receive = gate, receive
        self._bytes, self._places = 0, 0

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request" or self._places:
            return message
        size = len(message.get("body", b""))
        self._gate.bytes_left -= size
        self._bytes += size
        whole = not message.get("more_body", False)
        if self._gate.bytes_left < 0 or (whole and not self._gate.places):
            raise self._gate.busy()
        if whole:
            self._give_bytes_back()
            self._gate.places -= 1
            self._places = 1
        return message

    def end(self) -> None:
        """Give back what was taken."""
        self._give_bytes_back()
        self._gate.places += self._places

    def _give_bytes_back(self) -> None:
        self._gate.bytes_left += self._bytes
        self._bytes = 0
