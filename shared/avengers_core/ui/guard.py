"""Who may see the console: those who have its token, under its own name, from its own pages."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from urllib.parse import urlencode

from starlette.datastructures import URL, Headers, QueryParams
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Guard"]

#: Most bytes of a request's body.
MOST_BYTES = 20 << 20

#: What each answer says to the browser: nothing from elsewhere, nothing kept, nobody frames it.
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Guard:
    """Lets in who has the token, and turns away other hosts' names and other sites' pages.

    The token comes once in the address (``?token=``) and is a cookie from then on, or in each request as
    ``Authorization: Bearer``.

    Args:
        app: The application.
        token: What opens the console; None: anyone may see it.
        hosts: Host names under which it may be asked, so that no web page can reach it under a name of its own (DNS
            rebinding). None: any.
    """

    def __init__(self, app: ASGIApp, token: str | None, hosts: Collection[str] | None) -> None:
        self.app, self.token = app, token
        self.hosts = None if hosts is None else {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        response = self._refusal(HTTPConnection(scope))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = "max-age=3600" if scope["path"].startswith("/static/") else "no-store"
                extra = {**_HEADERS, "cache-control": kept}
                message["headers"] = [*message["headers"], *((k.encode(), v.encode()) for k, v in extra.items())]
            await send(message)

        await (response or self.app)(scope, receive, send_with_headers)

    def _refusal(self, request: HTTPConnection) -> Response | None:
        """The answer to who may not come in; None: they may."""
        headers = request.headers
        if self.hosts is not None and (request.url.hostname or "").lower() not in self.hosts:
            return _refused(403, "the console is not served under that name; --host and --allow-host give others")
        if not _is_own(headers, request.url):
            return _refused(403, "requests of other sites are refused")
        length = headers.get("content-length", "" if request.scope["method"] == "POST" else "0")
        if not length.isdigit() or int(length) > MOST_BYTES:
            return _refused(413, f"a body of a known length is needed, of {MOST_BYTES} bytes at most")
        if self.token is None:
            return None
        return self._check_token(request)

    def _check_token(self, request: HTTPConnection) -> Response | None:
        given = request.query_params.get("token")
        cookie = f"avengers-ui-{request.url.port or 80}"
        if given is not None and request.scope["method"] in ("GET", "HEAD"):
            if not self._is_right(given):
                return _refused(401, "the token is wrong: open the address that `avengers ui` prints")
            answer = RedirectResponse(_without_token(request.url.path, request.query_params), status_code=303)
            answer.set_cookie(cookie, given, httponly=True, samesite="lax", secure=request.url.scheme == "https")
            return answer
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        if self._is_right(request.cookies.get(cookie, "")) or (scheme.lower() == "bearer" and self._is_right(bearer)):
            return None
        return _refused(401, "a token is needed: open the address that `avengers ui` prints")

    def _is_right(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), (self.token or "").encode())


def _is_own(headers: Headers, url: URL) -> bool:
    """Whether a request comes from a page of the console, or from the user; browsers say where it comes from."""
    site = headers.get("sec-fetch-site", "none")
    if site not in ("same-origin", "none") and headers.get("sec-fetch-mode") != "navigate":
        return False
    origin = headers.get("origin")
    return origin is None or origin == f"{url.scheme}://{url.netloc}"


def _without_token(path: str, query: QueryParams) -> str:
    rest = [(name, value) for name, value in query.multi_items() if name != "token"]
    path = "/" + path.lstrip("/\\")  # "//host" would be another host
    return f"{path}?{urlencode(rest)}" if rest else path


def _refused(status: int, why: str) -> Response:
    return PlainTextResponse(f"{why}\n", status)
