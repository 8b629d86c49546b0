"""uvicorn's HTTP protocol, with a time limit on a request's head, which it has none for."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["HEAD_TIMEOUT", "Protocol"]

#: Seconds for the head of a request. Who sends it more slowly would hold a connection that others need.
HEAD_TIMEOUT = 15.0


class Protocol(H11Protocol):
    """A connection that is closed if the head of a request does not come within `HEAD_TIMEOUT` seconds.

    h11 bounds the size of a head, which httptools does not.
    """

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connects: its first head is waited for."""
        super().connection_made(transport)
        self._wait_for_head()

    def on_response_complete(self) -> None:
        """An answer is sent: the next head is waited for."""
        super().on_response_complete()
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """A client is gone."""
        super().connection_lost(exc)
        self._stop_waiting()

    def _wait_for_head(self) -> None:
        self._stop_waiting()
        if not self.transport.is_closing():
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT, self._close_if_idle)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _close_if_idle(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
