"""The proxy's application: routes, keys, limits, errors, metrics."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from typing import Any

from avengers_core import BudgetError, NoCandidateError
from avengers_core.dispatch.failures import failure_kind
from avengers_core.routing.scoring import check_alpha
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from langchain_core.messages import AIMessage, AIMessageChunk
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from ..chat_models import ChatAvengers
from .keys import Key, Keys
from .metrics import Metrics
from .wire import ChatRequest, Writer, error_body, event

log = logging.getLogger("avengers.proxy")

#: HTTP status and OpenAI's name for what an upstream failure is.
_UPSTREAM = {
    "rate_limit": (429, "rate_limit_error"),
    "timeout": (504, "timeout"),
    "caller": (400, "invalid_request_error"),
}


class _Refused(Exception):
    """A request that is not served."""

    def __init__(self, status: int, message: str, kind: str, code: str | None = None, wait: float = 0.0) -> None:
        super().__init__(message)
        self.status, self.kind, self.code, self.wait = status, kind, code, wait

    def response(self) -> JSONResponse:
        headers = {"retry-after": str(max(1, round(self.wait)))} if self.wait else None
        return JSONResponse(error_body(str(self), self.kind, self.code), self.status, headers)


def make_app(
    llm: ChatAvengers,
    keys: Keys | None = None,
    *,
    hosts: Collection[str] | None = None,
    max_body_bytes: int = 20 << 20,
    max_concurrent: int = 256,
    timeout: float = 600.0,
) -> FastAPI:
    """The application.

    Args:
        llm: what answers. A request's ``model`` is ``avengers`` (its own alpha), ``avengers:0.4`` (another), or one of
            its models' ids.
        keys: who is let in; None: anyone.
        hosts: names under which it may be asked; None: any. Without keys it should be told, so that no web page can
            reach it under a name of its own (DNS rebinding).
        max_body_bytes: of a request. max_concurrent: requests at a time; more are told to come back.
        timeout: seconds for a whole answer.
    """
    app = FastAPI(title="Avengers", docs_url=None, redoc_url=None, openapi_url=None)
    keys = keys or Keys()
    metrics = Metrics()
    ids = llm.dispatcher.pool.ids
    app.add_middleware(_Gate, max_body_bytes=max_body_bytes, max_concurrent=max_concurrent, metrics=metrics)

    @app.exception_handler(_Refused)
    async def refused(_: Request, error: _Refused) -> JSONResponse:
        return error.response()

    @app.exception_handler(404)
    async def not_found(request: Request, _: Exception) -> JSONResponse:
        return JSONResponse(error_body(f"no such path: {request.url.path}", "invalid_request_error"), 404)

    @app.exception_handler(405)
    async def not_allowed(request: Request, _: Exception) -> JSONResponse:
        return JSONResponse(error_body(f"{request.method} is not served here", "invalid_request_error"), 405)

    def allowed(request: Request) -> Key:
        if hosts is not None and (request.url.hostname or "") not in hosts:
            raise _Refused(403, "this proxy is not served under that name", "invalid_request_error")
        header = request.headers.get("authorization", "")
        key = keys.find(header.removeprefix("Bearer ").strip())
        if key is None:
            raise _Refused(401, "this key is not known here", "authentication_error", "invalid_api_key")
        return key

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {"status": "ok", "models": len(ids) - len(llm.dispatcher.pool.unavailable)}

    @app.get("/metrics")
    async def metrics_page(request: Request) -> Response:
        allowed(request)
        return Response(metrics.page(), media_type=metrics.content_type)

    @app.get("/v1/models")
    async def models(request: Request) -> dict[str, Any]:
        allowed(request)
        made = {"object": "model", "created": 0, "owned_by": "avengers"}
        return {"object": "list", "data": [{"id": name, **made} for name in ("avengers", *ids)]}

    @app.post("/v1/chat/completions")
    async def complete(request: Request) -> Response:
        key = allowed(request)
        started = time.monotonic()
        if wait := await keys.wait(key):
            metrics.refused("rate_limit")
            raise _Refused(429, "too many requests for this key", "rate_limit_error", "rate_limit_exceeded", wait)
        if not request.headers.get("content-type", "").startswith("application/json"):
            # A browser sends other types across sites without asking first.
            raise _Refused(415, "content-type must be application/json", "invalid_request_error")
        asked = await _read(request, max_body_bytes)
        steering = _steering(asked.model, ids)
        if field := asked.unsupported():
            raise _Refused(400, f"field {field!r} is not supported", "invalid_request_error", "unsupported_parameter")
        headers = {"x-avengers-ignored": ",".join(asked.ignored)} if asked.ignored else {}
        budget = dict(llm.budget or {})
        if key.per_day is not None:
            budget["per_session"] = min(key.per_day, budget.get("per_session", key.per_day))
        config: Any = {"configurable": {"session_id": key.session}, "tags": [f"key:{key.name}"]}
        steering |= {"budget": budget} if budget else {}
        answer = _Answer(llm, asked, steering, config, metrics, started)
        if not asked.stream:
            try:
                body = await asyncio.wait_for(answer.whole(), timeout)
            except Exception as error:  # whatever a client raises
                raise _as_refusal(error, metrics) from None
            return JSONResponse(body, headers=headers)
        events = answer.events()
        try:  # what fails before the first word is an error with a status of its own
            first = await asyncio.wait_for(anext(events), timeout)
        except Exception as error:
            raise _as_refusal(error, metrics) from None

        async def stream() -> AsyncIterator[str]:
            try:
                yield first
                while True:
                    left = started + timeout - time.monotonic()
                    try:
                        yield await asyncio.wait_for(anext(events), left)
                    except StopAsyncIteration:
                        return
            except Exception as error:  # the status line is gone: the error is an event
                refusal = _as_refusal(error, metrics)
                yield event(error_body(str(refusal), refusal.kind, refusal.code))
            finally:
                await events.aclose()

        return StreamingResponse(
            stream(), media_type="text/event-stream", headers={"cache-control": "no-cache", **headers}
        )

    return app


class _Gate:
    """Turns away requests that are too large or too many; a request holds its place until its last byte is sent."""

    def __init__(self, app: ASGIApp, max_body_bytes: int, max_concurrent: int, metrics: Metrics) -> None:
        self.app, self.limit, self.places, self.metrics = app, max_body_bytes, max_concurrent, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self.limit:
            await _too_large(self.limit).response()(scope, receive, send)
        elif not self.places:
            self.metrics.refused("busy")
            busy = _Refused(503, "too many requests at a time", "server_error", "overloaded", 1.0)
            await busy.response()(scope, receive, send)
        else:
            self.places -= 1
            try:
                await self.app(scope, receive, send)
            finally:
                self.places += 1


class _Answer:
    """One request's answer, whole or as events."""

    def __init__(
        self,
        llm: ChatAvengers,
        asked: ChatRequest,
        steering: dict[str, Any],
        config: Any,
        metrics: Metrics,
        started: float,
    ) -> None:
        self.asked, self.config, self.metrics, self.started = asked, config, metrics, started
        try:
            self.messages = asked.langchain_messages()
        except (ValueError, TypeError, KeyError, NotImplementedError) as error:
            raise _Refused(400, f"messages: {error}"[:500], "invalid_request_error") from None
        self.writer = Writer(asked.model)
        try:
            self.arguments = {**asked.arguments(), **steering}
            self.schema = asked.schema_wanted
        except (AttributeError, TypeError) as error:
            raise _Refused(400, f"tool_choice or response_format: {error}"[:500], "invalid_request_error") from None
        self.llm = llm

    async def whole(self) -> dict[str, Any]:
        """The body of an answer."""
        with self.metrics.in_flight.track_inprogress():
            message, content = await self._ask()
        self._count(message)
        return self.writer.whole(message, content)

    async def events(self) -> AsyncGenerator[str, None]:
        """The events of a streamed answer."""
        with self.metrics.in_flight.track_inprogress():
            heard: AIMessageChunk | None = None
            if self.schema is not None:
                message, content = await self._ask()
                yield event(self.writer.start())
                for made in self.writer.parts(message, content):
                    yield event(made)
                if content is not None:  # the schema's own call is the answer, and not shown
                    message = message.model_copy(update={"tool_calls": []})
            else:
                async for chunk in self.llm.astream(self.messages, self.config, **self.arguments):
                    if heard is None:
                        yield event(self.writer.start())
                    heard = chunk if heard is None else heard + chunk
                    for made in self.writer.chunks(chunk):
                        yield event(made)
                message = heard or AIMessageChunk(content="")
            self._count(message)
            options = self.asked.stream_options
            for made in self.writer.end(message, options is not None and bool(options.include_usage)):
                yield event(made)
            yield event("[DONE]")

    async def _ask(self) -> tuple[AIMessage, str | None]:
        schema = self.schema
        if schema is None:
            return await self.llm.ainvoke(self.messages, self.config, **self.arguments), None
        # Beside tools, the schema is a tool, too: the model calls one of theirs or answers by it.
        method = {"method": "function_calling"} if self.arguments.get("tools") else {}
        structured = self.llm.bind(**self.arguments).with_structured_output(schema, include_raw=True, **method)
        found = await structured.ainvoke(self.messages, self.config)
        raw: AIMessage = found["raw"]
        if found["parsed"] is not None:
            return raw, json.dumps(found["parsed"], ensure_ascii=False)
        # It called a tool of the client's, or answered with what does not fit.
        return raw, None if raw.tool_calls else str(raw.text)

    def _count(self, message: AIMessage) -> None:
        self.metrics.answered(message, time.monotonic() - self.started)


async def _read(request: Request, limit: int) -> ChatRequest:
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > limit:
                raise _too_large(limit)
    except ClientDisconnect:
        raise _Refused(400, "the request broke off", "invalid_request_error") from None
    try:
        return ChatRequest.model_validate_json(bytes(body))
    except ValueError as error:  # pydantic's errors are ValueErrors
        found = error.errors(include_input=False, include_url=False) if hasattr(error, "errors") else []
        where = ".".join(map(str, found[0]["loc"])) if found else ""
        reason = found[0]["msg"] if found else "not valid"
        raise _Refused(400, f"{where or 'body'}: {reason}", "invalid_request_error") from None
    except RecursionError:
        raise _Refused(400, "body: nested too deeply", "invalid_request_error") from None


def _steering(model: str, ids: list[str]) -> dict[str, Any]:
    """What a request's model name says: the router at its own alpha or at another, or one model."""
    if model == "avengers":
        return {}
    if model in ids:
        return {"models": [model]}
    name, _, alpha = model.partition(":")
    if name == "avengers":
        try:
            return {"alpha": check_alpha(float(alpha))}
        except ValueError:
            raise _Refused(
                400, f"model {model[:60]!r}: avengers:<alpha> takes a number from 0 to 1", "invalid_request_error"
            ) from None
    raise _Refused(
        404,
        f"no model {model[:60]!r} here: avengers, avengers:<alpha>, {', '.join(ids)}",
        "invalid_request_error",
        "model_not_found",
    )


def _as_refusal(error: Exception, metrics: Metrics) -> _Refused:
    if isinstance(error, _Refused):
        return error
    if isinstance(error, BudgetError):
        metrics.refused("budget")
        return _Refused(429, str(error), "insufficient_quota", "insufficient_quota")
    if isinstance(error, NoCandidateError):
        metrics.refused("no_candidate")
        return _Refused(400, str(error), "invalid_request_error", "no_candidate")
    kind = "timeout" if isinstance(error, asyncio.TimeoutError) else failure_kind(error)
    metrics.refused(kind)
    status, name = _UPSTREAM.get(kind, (502, "upstream_error"))
    if kind == "caller" and not hasattr(error, "status_code"):
        log.exception("a request failed")
        return _Refused(500, f"the proxy failed ({type(error).__name__})", "server_error")
    # Not the provider's message: it may quote a key of ours.
    return _Refused(status, f"the model's provider failed: {kind} ({type(error).__name__})", name, kind)


def _too_large(limit: int) -> _Refused:
    return _Refused(413, f"a request may have {limit:,} bytes", "invalid_request_error")
