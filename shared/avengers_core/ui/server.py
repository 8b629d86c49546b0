"""`avengers ui`: the console on uvicorn."""

from __future__ import annotations

import ipaddress
import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable, Collection

from ..errors import MissingExtraError
from .console import Console

__all__ = ["run"]


def run(
    console: Console,
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    token: str | None = None,
    open_to_anyone: bool = False,
    allow_hosts: Collection[str] = (),
    browse: bool = True,
    tell: Callable[[str], None] = print,
) -> None:
    """Serve the console until interrupted.

    Args:
        console: What is shown.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        token: What opens the console. Default: a new random one.
        open_to_anyone: Whether it opens without a token.
        allow_hosts: Further host names under which it may be asked.
        browse: Whether the browser is opened.
        tell: Is given the address.

    Raises:
        MissingExtraError: If the extra ``ui`` is not installed.
        OSError: If the port is taken.
    """
    try:
        import uvicorn

        from .app import make_app
    except ImportError as error:
        raise MissingExtraError("the console", "ui") from error
    secret = None if open_to_anyone else token or secrets.token_urlsafe(24)
    hosts = {host, "localhost", "127.0.0.1", "::1", *allow_hosts}
    app = make_app(console, secret, None if "*" in allow_hosts else hosts)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
            listening.listen()  # who comes before the server runs has to wait, and is not refused
        except OSError as error:
            raise OSError(f"cannot listen on {host}:{port}: {error.strerror}; --port 0 takes a free port") from None
        address = f"http://{_name(host)}:{listening.getsockname()[1]}/"
        opened = address if secret is None else f"{address}?token={secret}"
        tell(f"the console is at {opened}")
        if browse:
            threading.Timer(0.5, webbrowser.open, [opened]).start()
        config = uvicorn.Config(app, log_level="warning", access_log=False)
        uvicorn.Server(config).run(sockets=[listening])


def _name(host: str) -> str:
    """How an address is written in a URL; a wildcard is this machine."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "localhost"
    return f"[{host}]" if address.version == 6 else host
