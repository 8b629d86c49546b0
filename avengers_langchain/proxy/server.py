"""`avengers serve`: the proxy on uvicorn."""

from __future__ import annotations

import gc
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from .._models import unwrap
from ..chat_models import ChatAvengers
from .app import make_app
from .keys import Keys, read_keys
from .protocol import Protocol
from .transport import use_aiohttp

__all__ = ["serve"]


def serve(
    llm: ChatAvengers,
    *,
    host: str,
    port: int,
    keys: Path | None,
    open_to_anyone: bool,
    log_level: str = "info",
    **limits: Any,
) -> None:
    """Serve until interrupted.

    Args:
        llm: A `ChatAvengers`.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        keys: File of the keys that are accepted, see `read_keys`; None: there are none.
        open_to_anyone: Whether to listen beyond this machine without keys.
        log_level: Of uvicorn.
        limits: ``max_body_bytes``, ``max_concurrent`` and ``timeout``, see `make_app`.

    Raises:
        ValueError: If the file of keys is wrong, or anyone could use the proxy and ``open_to_anyone`` is not set.
    """
    import uvicorn

    known = Keys() if keys is None else read_keys(keys)
    if not known and not open_to_anyone and not _is_loopback(host):
        raise ValueError(
            f"on {host} anyone could spend your money: give --keys, or --open-to-anyone if something else guards it"
        )
    hosts = None if known or open_to_anyone else {host, "localhost", "127.0.0.1", "::1"}
    app = make_app(llm, known, hosts=hosts, lifespan=lambda app: _ready(llm), **limits)
    uvicorn.run(app, host=host, port=port, log_level=log_level, access_log=False, http=Protocol)


@asynccontextmanager
async def _ready(llm: ChatAvengers) -> AsyncIterator[None]:
    """Make all that requests would otherwise wait for."""
    await llm.awarm()
    pool = llm.dispatcher.pool
    use_aiohttp(unwrap(pool.get(name).client)[0] for name in pool.ids if name not in pool.unavailable)
    # What was loaded so far stays: to look through it for garbage takes a tenth of a second each time.
    gc.collect()
    gc.freeze()
    yield


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
