"""`avengers serve`: the proxy on uvicorn."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

from .app import make_app
from .keys import Keys, read_keys


def serve(
    llm: Any,
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
        llm: a `ChatAvengers`. limits: see `make_app`.
        open_to_anyone: listen beyond this machine without keys.

    Raises:
        ValueError: the keys' file is wrong, or it would be open to anyone without being told to.
    """
    import uvicorn

    known = Keys() if keys is None else read_keys(keys)
    if not known and not open_to_anyone and not _is_loopback(host):
        raise ValueError(
            f"on {host} anyone could spend your money: give --keys, or --open-to-anyone if something else guards it"
        )
    hosts = None if known or open_to_anyone else {host, "localhost", "127.0.0.1", "::1"}
    uvicorn.run(
        make_app(llm, known, hosts=hosts, **limits), host=host, port=port, log_level=log_level, access_log=False
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
