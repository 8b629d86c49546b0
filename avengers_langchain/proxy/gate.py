"""A gate before the application: requests that are too large or too many do not get in."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from .errors import Refusal, too_large
from .metrics import Metrics

__all__ = ["Gate"]


class Gate:
    """Turns away requests that are too large or too many; a request holds its place until its last byte is sent.

    Args:
        app: The application.
        max_body_bytes: Most bytes of a request's body.
        max_concurrent: Most requests at a time.
        metrics: Where refused requests are counted.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int, max_concurrent: int, metrics: Metrics) -> None:
        self.app, self.limit, self.places, self.metrics = app, max_body_bytes, max_concurrent, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self.limit:
            await too_large(self.limit).response()(scope, receive, send)
        elif not self.places:
            self.metrics.refused("busy")
            busy = Refusal(503, "too many requests at a time", "server_error", "overloaded", wait=1.0)
            await busy.response()(scope, receive, send)
        else:
            self.places -= 1
            try:
                await self.app(scope, receive, send)
            finally:
                self.places += 1
