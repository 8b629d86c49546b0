"""The proxy's application: what is served, to whom, and within which limits."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import quote

from avengers_core._utils.timeouts import timeout
from avengers_core.dispatch.pool import ModelPool
from avengers_core.routing.options import RouteOptions
from avengers_core.routing.scoring import check_alpha, check_max_cost, check_max_seconds, check_min_quality
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from ..chat_models import ChatAvengers
from .chat_request import ChatRequest
from .chat_response import event
from .completion import Completion
from .errors import Refusal, invalid, refusal_of, too_large
from .gate import Gate
from .keys import Key, Keys
from .metrics import Metrics

__all__ = ["make_app"]

#: Seconds for the body of a request. Who sends it more slowly would hold a place that others need.
BODY_TIMEOUT = 15.0


def make_app(
    llm: ChatAvengers,
    keys: Keys | None = None,
    *,
    hosts: Collection[str] | None = None,
    max_body_bytes: int = 20 << 20,
    max_concurrent: int = 256,
    timeout: float = 600.0,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None,
) -> FastAPI:
    """The application.

    Args:
        llm: Answers. A request's ``model`` is ``avengers`` (its own alpha), ``avengers:0.4`` (another),
            ``avengers:q0.95,max_cost=0.002`` (see the docs), or one of its models' ids.
        keys: Keys of the clients; None: every client is served.
        hosts: Host names under which it may be asked; None: any. Set them if there are no keys, so that no web page can
            reach it under a name of its own (DNS rebinding).
        max_body_bytes: Most bytes of a request's body.
        max_concurrent: Most requests at a time; further ones are refused with 503 and may come back.
        timeout: Seconds for a whole answer.
        lifespan: What happens before the first request and after the last one.
    """
    app = FastAPI(title="Avengers", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    endpoints = _Endpoints(llm, keys or Keys(), hosts, max_body_bytes, timeout)
    app.add_middleware(Gate, max_body_bytes=max_body_bytes, max_concurrent=max_concurrent, metrics=endpoints.metrics)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(404, _not_found)
    app.add_exception_handler(405, _not_allowed)
    app.get("/health")(endpoints.health)
    app.get("/metrics")(endpoints.metrics_page)
    app.get("/v1/models")(endpoints.list_models)
    app.get("/v1/models/{name:path}")(endpoints.show_model)
    app.post("/v1/chat/completions")(endpoints.complete)
    return app


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return error.response()


async def _not_found(request: Request, _: Exception) -> Response:
    return invalid(f"no such path: {request.url.path}", status=404).response()


async def _not_allowed(request: Request, _: Exception) -> Response:
    return invalid(f"{request.method} is not served here", status=405).response()


class _Endpoints:
    """What is served.

    Args:
        llm: Answers.
        keys: Keys of the clients.
        hosts: Host names under which it may be asked; None: any.
        max_body_bytes: Most bytes of a request's body.
        timeout: Seconds for a whole answer.
    """

    def __init__(
        self, llm: ChatAvengers, keys: Keys, hosts: Collection[str] | None, max_body_bytes: int, timeout: float
    ) -> None:
        self.metrics = Metrics()
        self._llm, self._keys, self._hosts = llm, keys, hosts
        self._max_body_bytes, self._timeout = max_body_bytes, timeout
        self._ids, self._options = self._pool.ids, llm.route_options()

    @property
    def _pool(self) -> ModelPool[Any]:
        return self._llm.dispatcher.pool

    async def health(self) -> dict[str, Any]:
        """``GET /health``."""
        return {"status": "ok", "models": len(self._ids) - len(self._pool.unavailable)}

    async def metrics_page(self, request: Request) -> Response:
        """``GET /metrics``."""
        self._authorize(request)
        return Response(self.metrics.page(), media_type=self.metrics.content_type)

    async def list_models(self, request: Request) -> dict[str, Any]:
        """``GET /v1/models``."""
        self._authorize(request)
        return {"object": "list", "data": [_model(name) for name in ("avengers", *self._ids)]}

    async def show_model(self, request: Request, name: str) -> dict[str, Any]:
        """``GET /v1/models/{name}``."""
        self._authorize(request)
        _model_overrides(name, self._ids, self._options)
        return _model(name)

    async def complete(self, request: Request) -> Response:
        """``POST /v1/chat/completions``."""
        key = self._authorize(request)
        started = time.monotonic()
        await self._admit(request, key)
        body = await _read(request, self._max_body_bytes)
        overrides = _model_overrides(body.model, self._ids, self._options)
        if field := body.unsupported():
            raise invalid(f"field {field!r} is not supported", "unsupported_parameter", field)
        budget = self._budget(key)
        if budget:
            overrides["budget"] = budget
        config = {"configurable": {"session_id": key.session}, "tags": [f"key:{key.name}"]}
        completion = Completion(self._llm, body, overrides, config, self.metrics, started)
        ignored = ",".join(quote(name, errors="replace") for name in body.ignored)  # headers take plain letters only
        headers = {"x-avengers-ignored": ignored} if ignored else {}
        if body.stream:
            return await self._stream(completion, headers, started + self._timeout)
        try:
            async with timeout(self._timeout):
                answer = await completion.whole()
            return Response(json.dumps(answer), headers=headers, media_type="application/json")
        except Exception as error:  # whatever a client raises
            raise refusal_of(error, self.metrics) from None

    def _authorize(self, request: Request) -> Key:
        if self._hosts is not None and (request.url.hostname or "") not in self._hosts:
            raise invalid("this proxy is not served under that name", status=403)
        header = request.headers.get("authorization", "")
        scheme, _, token = header.strip().partition(" ")
        key = self._keys.find(token.strip() if scheme.lower() == "bearer" else header.strip())
        if key is None:
            raise Refusal(401, "this key is not known here", "authentication_error", "invalid_api_key")
        return key

    async def _admit(self, request: Request, key: Key) -> None:
        if wait := await self._keys.wait(key):
            self.metrics.refused("rate_limit")
            raise Refusal(429, "too many requests for this key", "rate_limit_error", "rate_limit_exceeded", wait=wait)
        if not request.headers.get("content-type", "").lower().startswith("application/json"):
            # A browser sends other types across sites without asking first.
            raise invalid("content-type must be application/json", status=415)

    def _budget(self, key: Key) -> dict[str, float]:
        """The model's limits, with the key's own as that of its session, which is a day's."""
        budget = dict(self._llm.budget or {})
        if key.per_day is not None:
            budget["per_session"] = min(key.per_day, budget.get("per_session", key.per_day))
        return budget

    async def _stream(self, completion: Completion, headers: dict[str, str], deadline: float) -> Response:
        events = completion.events()
        try:  # what fails before the first word is an error with a status of its own
            async with timeout(self._timeout):
                first = await anext(events)
        except Exception as error:
            raise refusal_of(error, self.metrics) from None
        return StreamingResponse(
            self._rest(first, events, deadline),
            media_type="text/event-stream",
            headers={"cache-control": "no-cache", **headers},
        )

    async def _rest(self, first: str, events: AsyncGenerator[str, None], deadline: float) -> AsyncIterator[str]:
        """Events until the end or the deadline. The status line is gone: an error is an event, too."""
        try:
            yield first
            while True:
                try:
                    async with timeout(deadline - time.monotonic()):
                        part = await anext(events)
                except StopAsyncIteration:
                    return
                yield part
        except Exception as error:
            yield event(refusal_of(error, self.metrics).body())
        finally:
            await events.aclose()


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "avengers"}


async def _receive(request: Request, limit: int) -> bytearray:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limit:
            raise too_large(limit)
    return body


async def _read(request: Request, limit: int) -> ChatRequest:
    try:
        async with timeout(BODY_TIMEOUT):
            body = await _receive(request, limit)
    except asyncio.TimeoutError:
        raise invalid(f"the body did not come within {BODY_TIMEOUT:g} seconds", status=408) from None
    except ClientDisconnect:
        raise invalid("the request broke off") from None
    try:
        return ChatRequest.model_validate_json(bytes(body))
    except ValidationError as error:
        # Of the errors of alternatives, the one that got furthest says most.
        worst = max(error.errors(include_input=False, include_url=False), key=lambda found: len(found["loc"]))
        field = ".".join(map(str, worst["loc"]))
        raise invalid(f"{field or 'body'}: {worst['msg']}"[:500], param=field[:200] or None) from None
    except (ValueError, RecursionError):
        raise invalid("body: not valid, or nested too deeply") from None


#: Limits that a model name may give, and their checks.
_LIMITS = {"max_cost": check_max_cost, "max_seconds": check_max_seconds}


def _model_overrides(model: str, ids: list[str], own: RouteOptions) -> dict[str, Any]:
    """What a request's model name says: the router at its own alpha or at another, within limits, or one model.

    Args:
        model: Such as ``avengers``, ``avengers:0.4``, ``avengers:q0.95,max_cost=0.002`` or a model's id.
        ids: Ids of the models.
        own: The options of the proxy. A name lifts none of its limits.
    """
    if model == "avengers":
        return {}
    if model in ids:
        return {"models": [model]}
    name, _, aims = model.partition(":")
    if name != "avengers":
        listed = f"avengers, avengers:<alpha>, avengers:q<min_quality>, {', '.join(ids)}"
        raise invalid(f"no model {model[:60]!r} here: {listed}", "model_not_found", "model", status=404)
    overrides: dict[str, Any] = {}
    try:
        for aim in aims.split(","):
            limit, _, value = aim.partition("=")
            if limit in _LIMITS:
                given, least = _LIMITS[limit](float(value)), getattr(own, limit)
                overrides[limit] = given if least is None else min(given, least)
            elif aim.startswith("q"):
                overrides["min_quality"] = check_min_quality(float(aim[1:]))
            else:
                overrides["alpha"] = check_alpha(float(aim))
    except ValueError:
        message = (
            f"model {model[:60]!r}: avengers:<alpha> and avengers:q<min_quality> take a number from 0 to 1, and after "
            "commas max_cost=<US dollars> and max_seconds=<seconds>"
        )
        raise invalid(message, param="model") from None
    return overrides
