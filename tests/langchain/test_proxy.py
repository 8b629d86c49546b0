"""`avengers serve`, asked by the real `openai` client; the models behind it are a local server."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from avengers_core.ledger.store import Ledger
from httpx_aiohttp import HttpxAiohttpClient
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from pydantic import BaseModel

from avengers_langchain import ChatAvengers
from avengers_langchain.proxy.chat_response import ResponseWriter, event, usage_of
from avengers_langchain.proxy.transport import use_aiohttp
from tests.support.commands import run_command
from tests.support.llm_server import BIG, HAIKU, MINI, LLMServer, environment
from tests.support.processes import start_program

from .conftest import anthropic_model, openai_model, openai_pool

TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "add",
            "description": "Add two numbers.",
            "parameters": {
                "type": "object",
                "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
                "required": ["a", "b"],
            },
        },
    }
]


def address_in(log: Path, running: Callable[[], bool]) -> str:
    """The URL that a proxy writes when it listens."""
    deadline = time.monotonic() + 60
    while not (log.exists() and (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text()))):
        assert running(), log.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found.group()


@contextmanager
def proxy(server: LLMServer, folder: Path, *options: str) -> Iterator[str]:
    """The URL of a proxy that lives as long as the block."""
    log = folder / "proxy.log"
    words = ("avengers", "serve", "--port", "0", *options)
    process = start_program(*words, env=environment(server), cwd=folder, stdout=log, stderr=log)
    try:
        yield address_in(log, process.is_alive)
    finally:
        process.terminate()
        process.join(20)
        assert process.exitcode in (0, 128 + signal.SIGTERM)
        assert "canary" not in log.read_text()


@pytest.fixture(scope="module")
def shared_proxy(shared_server: LLMServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("proxy")
    keys = [
        {"key": "k-web", "name": "web"},
        {"key": "k-slow", "name": "slow", "requests_per_minute": 2},
        {"key": "k-poor", "name": "poor", "per_day": 0.00002},
    ]
    (folder / "keys.json").write_text(json.dumps(keys))
    models = [part for name in (MINI, BIG, HAIKU) for part in ("-m", name)]
    ledger = folder / "ledger.sqlite"
    options = ("--keys", str(folder / "keys.json"), "--ledger", str(ledger), "--alpha", "0.3")
    with proxy(shared_server, folder, *models, *options) as url:
        yield url, ledger


@pytest.fixture
def url(shared_proxy: tuple[str, Path], server: LLMServer) -> str:
    return shared_proxy[0]


def client(url: str, key: str = "k-web", **options: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, **options)


def say(text: str) -> list[Any]:
    return [{"role": "system", "content": "Be short."}, {"role": "user", "content": text}]


def test_a_completion_tells_the_model_its_tokens_and_its_cost(
    url: str, server: LLMServer, shared_proxy: tuple[str, Path]
) -> None:
    answer = client(url).chat.completions.create(model="avengers", messages=say("What is 2 + 2?"), seed=1, user="u")
    assert answer.choices[0].message.content == f"This is what {answer.model} says to: What is 2 + 2?"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    told: dict[str, Any] = answer.avengers  # type: ignore[attr-defined]
    assert told["model"] == answer.model
    assert told["alpha"] == 0.3
    rows = list(Ledger(shared_proxy[1]).entries())
    assert float(rows[-1]["cost_usd"]) == told["cost_usd"]
    assert rows[-1]["tags"] == ["key:web"]


def test_alpha_and_models_by_name(url: str, server: LLMServer) -> None:
    api = client(url)
    question = say("Prove that there are infinitely many primes.")
    cheap = api.chat.completions.create(model="avengers:0", messages=question)
    dear = api.chat.completions.create(model="avengers:1.0", messages=question)
    assert (cheap.avengers["alpha"], dear.avengers["alpha"]) == (0, 1)  # type: ignore[attr-defined]
    assert cheap.model != dear.model
    enough = api.chat.completions.create(model="avengers:q0", messages=question)
    best = api.chat.completions.create(model="avengers:q1", messages=question)
    assert (enough.model, best.model) == (cheap.model, dear.model)
    limit = (cheap.avengers["expected_cost_usd"] + dear.avengers["expected_cost_usd"]) / 2  # type: ignore[attr-defined]
    within = api.chat.completions.create(model=f"avengers:q1,max_cost={limit}", messages=question)
    assert within.avengers["expected_cost_usd"] <= limit  # type: ignore[attr-defined]
    assert within.model != dear.model
    with pytest.raises(openai.BadRequestError, match="its speed is unknown"):
        api.chat.completions.create(model="avengers:0.5,max_seconds=9", messages=question)
    assert api.chat.completions.create(model=HAIKU, messages=question).model == HAIKU
    assert [one.id for one in api.models.list()] == ["avengers", MINI, BIG, HAIKU]
    refused = openai.BadRequestError
    nonsense = [(f"avengers:{aim}", refused) for aim in ("", "0.4,", "max_cost=-1", "max_cost=nan", "speed=1", "q")]
    for wrong, kind in (("gpt-9", openai.NotFoundError), ("avengers:2", refused), ("avengers:q2", refused), *nonsense):
        with pytest.raises(kind):
            api.chat.completions.create(model=wrong, messages=question)


def test_a_stream_has_its_text_its_reason_and_its_tokens(url: str, server: LLMServer) -> None:
    stream = client(url).chat.completions.create(
        model="avengers", messages=say("Count to three."), stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text.endswith("says to: Count to three.")
    assert len([c for c in chunks if c.choices and c.choices[0].delta.content]) > 3, "it comes in parts"
    reasons = [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason]
    assert reasons == ["stop"]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0
    assert len({c.id for c in chunks}) == 1


async def test_async_streams_side_by_side(url: str, server: LLMServer) -> None:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k-web") as api:

        async def ask(number: int) -> str:
            stream = await api.chat.completions.create(model="avengers", messages=say(f"Say {number}."), stream=True)
            return "".join([c.choices[0].delta.content or "" async for c in stream])

        said = await asyncio.gather(*(ask(n) for n in range(24)))
    assert all(text.endswith(f"Say {n}.") for n, text in enumerate(said))


@pytest.mark.parametrize("model", ["avengers", HAIKU])
def test_tool_calls_and_their_loop(url: str, server: LLMServer, model: str) -> None:
    api, messages = client(url), say("Add 17 and 25.")
    answer = api.chat.completions.create(model=model, messages=messages, tools=TOOLS)
    assert answer.choices[0].finish_reason == "tool_calls"
    message = answer.choices[0].message
    (call,) = message.tool_calls or ()
    assert call.type == "function"
    assert (call.function.name, set(json.loads(call.function.arguments))) == ("add", {"a", "b"})
    messages += [message.model_dump(exclude_none=True), {"role": "tool", "tool_call_id": call.id, "content": "42"}]
    final = api.chat.completions.create(model=model, messages=messages, tools=TOOLS)
    assert final.choices[0].message.content
    assert final.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("model", [MINI, HAIKU])
def test_streamed_tool_calls(url: str, server: LLMServer, model: str) -> None:
    with client(url).chat.completions.stream(model=model, messages=say("Add 17 and 25."), tools=TOOLS) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    (call,) = final.choices[0].message.tool_calls or ()
    assert call.id
    assert set(json.loads(call.function.arguments)) == {"a", "b"}
    assert final.choices[0].finish_reason == "tool_calls"
    chosen = client(url).chat.completions.create(
        model=model, messages=say("Hi"), tools=TOOLS, tool_choice={"type": "function", "function": {"name": "add"}}
    )
    assert chosen.choices[0].message.tool_calls


class City(BaseModel):
    name: str
    people: int


def test_structured_output_and_json_mode(url: str, server: LLMServer) -> None:
    parsed = client(url).chat.completions.parse(model="avengers", messages=say("Rome, 3"), response_format=City)
    assert isinstance(parsed.choices[0].message.parsed, City)
    assert not parsed.choices[0].message.tool_calls
    with client(url).chat.completions.stream(model=HAIKU, messages=say("Rome, 3"), response_format=City) as stream:
        final = stream.get_final_completion()
    assert isinstance(final.choices[0].message.parsed, City)


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_of_ones_own_beside_a_schema_is_called(url: str, server: LLMServer, stream: bool) -> None:
    """The model here always calls the first tool that it is given."""
    asked: Any = {"model": MINI, "messages": say("Add 17 and 25."), "tools": TOOLS}
    schema = {"name": "City", "schema": City.model_json_schema()}
    asked["response_format"] = {"type": "json_schema", "json_schema": schema}
    if stream:
        chunks = list(client(url).chat.completions.create(**asked, stream=True))
        calls = [call for c in chunks if c.choices for call in c.choices[0].delta.tool_calls or ()]
        reason = chunks[-1].choices[0].finish_reason
    else:
        choice = client(url).chat.completions.create(**asked).choices[0]
        calls, reason = list(choice.message.tool_calls or ()), choice.finish_reason
    assert [call.function.name for call in calls if call.function] == ["add"]
    assert reason == "tool_calls"


def test_nulls_are_as_good_as_nothing(url: str, server: LLMServer) -> None:
    nulls = {"stream": None, "top_logprobs": None, "logprobs": None, "stop": None, "functions": None}
    body = {"model": "avengers", "messages": say("hi"), **nulls}
    answer = httpx.post(f"{url}/v1/chat/completions", json=body, headers={"authorization": "Bearer k-web"})
    assert answer.status_code == 200


def test_without_keys_it_answers_under_its_own_names_only(server: LLMServer, tmp_path: Path) -> None:
    with proxy(server, tmp_path, "-m", MINI) as address:
        body = {"model": MINI, "messages": say("hi")}
        assert httpx.post(f"{address}/v1/chat/completions", json=body).status_code == 200
        rebound = httpx.post(f"{address}/v1/chat/completions", json=body, headers={"host": "evil.example"})
        assert rebound.status_code == 403
    assert len(server.requests) == 1


def test_a_stream_that_stalls_ends_in_time(server: LLMServer, tmp_path: Path) -> None:
    with proxy(server, tmp_path, "-m", MINI, "--timeout", "1") as address:
        server.delay = 3.0
        with pytest.raises(openai.InternalServerError, match="timeout"):
            list(client(address).chat.completions.create(model=MINI, messages=say("hi"), stream=True))


def test_pictures_go_to_a_model_that_sees(url: str, server: LLMServer) -> None:
    picture = {"url": f"data:image/png;base64,{base64.b64encode(b'pixels').decode()}"}
    content = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": picture}]
    answer = client(url).chat.completions.create(model="avengers", messages=[{"role": "user", "content": content}])
    assert answer.choices[0].message.content


def test_keys_limits_and_budgets(url: str, server: LLMServer) -> None:
    with pytest.raises(openai.AuthenticationError):
        client(url, "k-wrong").chat.completions.create(model="avengers", messages=say("hi"))
    assert not server.requests
    slow = client(url, "k-slow")
    for _ in range(2):
        slow.chat.completions.create(model="avengers", messages=say("hi"))
    with pytest.raises(openai.RateLimitError) as caught:
        slow.chat.completions.create(model="avengers", messages=say("hi"))
    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 60
    poor = client(url, "k-poor")

    def spend() -> None:
        for _ in range(50):
            poor.chat.completions.create(model="avengers", messages=say("hi"))

    with pytest.raises(openai.RateLimitError) as spent:
        spend()
    assert spent.value.code == "insufficient_quota"


def test_what_is_wrong_is_said(url: str, server: LLMServer) -> None:
    api = client(url)
    for fields, message in (
        ({"n": 2}, "'n' is not supported"),
        ({"messages": []}, "messages"),
        ({"temperature": 9}, "temperature"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "role"),
        ({"extra_body": {"grammar": "x"}}, "'grammar' is not supported"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages"),
    ):
        with pytest.raises(openai.BadRequestError, match=message):
            api.chat.completions.create(**{"model": "avengers", "messages": say("hi"), **fields})  # type: ignore[call-overload]
    headers = {"authorization": "Bearer k-web", "content-type": "application/json"}
    for body in (b"", b"{", b"[]", b"\xff\xfe", b'{"model": 3}', b"[" * 100_000):
        assert httpx.post(f"{url}/v1/chat/completions", content=body, headers=headers).status_code == 400
    assert httpx.post(f"{url}/v1/chat/completions", content=b"x" * (21 << 20), headers=headers).status_code == 413
    assert httpx.get(f"{url}/v2/nothing").status_code == 404
    assert "error" in httpx.get(f"{url}/v1/chat/completions").json()
    plain = {**headers, "content-type": "text/plain"}
    assert httpx.post(f"{url}/v1/chat/completions", content=b"{}", headers=plain).status_code == 415
    for fields in (
        {"tool_choice": {"function": "x"}, "tools": TOOLS},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": None}}},
    ):
        body = {"model": "avengers", "messages": say("hi"), **fields}
        assert httpx.post(f"{url}/v1/chat/completions", json=body, headers=headers).status_code == 400
    assert not server.requests


def part(**fields: Any) -> list[Any]:
    return [{"role": "user", "content": [fields]}]


def called(arguments: Any) -> list[Any]:
    call = {"id": "c", "type": "function", "function": {"name": "add", "arguments": arguments}}
    return [{"role": "assistant", "content": None, "tool_calls": [call]}]


def schema(**fields: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": fields}}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [{"role": "assistant", "": "", "tool_calls": "0"}]}, "messages.0.tool_calls"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, "messages.0.tool_calls.0."),
        (
            {"messages": [{"role": "assistant", "content": "", "function_call": {"name": "f"}}]},
            "messages.0.function_call",
        ),
        ({"messages": [{"role": "function", "name": "f", "content": "1"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({"messages": part(type="text")}, "messages.0.content"),
        ({"messages": part(type="document", source="x")}, "messages.0.content"),
        ({"messages": part(type="image_url", image_url="http://x")}, "messages.0.content"),
        ({"messages": part(type="image_url", image_url={"url": "x"})}, "messages.0.content"),
        ({"messages": part(type="file", file={})}, "messages.0.content"),
        ({"tools": [{}]}, "tools.0.type"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": 5}}]}, "tools.0.function.parameters"),
        ({"tools": TOOLS, "tool_choice": {"function": {"name": "other"}}}, None),
        ({"tools": TOOLS, "tool_choice": 5}, "tool_choice"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"response_format": schema(type="web_search")}, "response_format.json_schema.schema"),
        ({"response_format": schema(properties=5)}, "response_format.json_schema.schema"),
        ({"response_format": schema(name="x", input_schema=5)}, "response_format.json_schema.schema"),
    ],
)
def test_a_body_that_cannot_be_converted_is_a_bad_request(
    url: str, server: LLMServer, fields: dict[str, Any], param: str | None
) -> None:
    body = json.dumps({"model": MINI, "messages": say("hi"), **fields})
    headers = {"authorization": "Bearer k-web", "content-type": "application/json"}
    answer = httpx.post(f"{url}/v1/chat/completions", content=body, headers=headers)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert (error["param"] or "").startswith(param or "")
    assert error["message"].startswith(param or "body")
    assert not server.requests


@pytest.mark.parametrize("model", [MINI, HAIKU])
def test_what_openai_lets_out_may_be_missing(url: str, server: LLMServer, model: str) -> None:
    """Parameters of a tool, the type and properties of a schema, arguments of a call, fields that it does not know."""
    tools: list[Any] = [{"type": "function", "function": {"name": "now"}}]
    history = [*say("What time is it?"), {**called("")[0], "annotations": [], "response_metadata": {"avengers": 5}}]
    history.append({"role": "tool", "tool_call_id": "c", "content": "noon"})
    answer = client(url).chat.completions.create(model=model, messages=history, tools=tools)
    assert answer.choices[0].message.content
    empty: Any = {"type": "json_schema", "json_schema": {"name": "anything", "schema": {}}}
    answer = client(url).chat.completions.create(model=model, messages=say("Hi"), response_format=empty)
    assert answer.choices[0].message.content


@pytest.mark.slow
def test_huge_headers_are_refused_and_leave_it_well(url: str, server: LLMServer) -> None:
    for headers in ({"x-large": "a" * (1 << 20)}, {f"x-{n}": "b" * 200 for n in range(5000)}):
        try:
            status = httpx.get(f"{url}/v1/models", headers={"authorization": "Bearer k-web", **headers}).status_code
        except httpx.TransportError:
            continue  # it hung up while we were sending
        assert 400 <= status < 500
    assert httpx.get(f"{url}/health").json()["status"] == "ok"
    assert client(url).chat.completions.create(model=MINI, messages=say("hi")).choices


def test_a_failing_model_is_followed_by_another_and_all_failing_is_an_upstream_error(
    url: str, server: LLMServer
) -> None:
    server.faults = [500]
    server.chaos = None
    answer = client(url).chat.completions.create(model="avengers:0.5", messages=say("What is 3 + 3?"))
    attempts = answer.avengers["attempts"]  # type: ignore[attr-defined]
    assert len(server.requests) > 1
    assert attempts[-1]["error"] is None
    server.model_faults = dict.fromkeys((MINI, BIG, HAIKU), 400)
    with pytest.raises(openai.BadRequestError, match="provider failed"):
        client(url).chat.completions.create(model=MINI, messages=say("hi"))
    server.model_faults = {MINI: "drop_mid"}
    with pytest.raises(openai.APIError):
        list(client(url).chat.completions.create(model=MINI, messages=say("hi"), stream=True))


def test_a_client_that_goes_away_ends_the_call(url: str, server: LLMServer, shared_proxy: tuple[str, Path]) -> None:
    before = len(list(Ledger(shared_proxy[1]).entries()))
    stream = client(url).chat.completions.create(model=MINI, messages=say("Count."), stream=True)
    next(iter(stream))
    stream.close()
    deadline = time.monotonic() + 10
    while len(rows := list(Ledger(shared_proxy[1]).entries())) == before:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert rows[-1]["status"] in ("cancelled", "ok")


def test_clients_that_go_away_leave_nothing_at_work(
    url: str, server: LLMServer, shared_proxy: tuple[str, Path]
) -> None:
    for _ in range(20):
        stream = client(url).chat.completions.create(model=MINI, messages=say("Count."), stream=True)
        next(iter(stream))
        stream.close()
    deadline, page = time.monotonic() + 10, ""
    while "avengers_in_flight 0.0" not in page:
        assert time.monotonic() < deadline, page
        page = httpx.get(f"{url}/metrics", headers={"authorization": "Bearer k-web"}).text
    assert "Traceback" not in (shared_proxy[1].parent / "proxy.log").read_text()


def test_health_and_metrics(url: str, server: LLMServer) -> None:
    client(url).chat.completions.create(model=MINI, messages=say("hi"))
    assert httpx.get(f"{url}/health").json() == {"status": "ok", "models": 3}
    assert httpx.get(f"{url}/metrics").status_code == 401
    deadline = time.monotonic() + 10  # a request counts as in flight until its last byte has gone
    page = ""
    while "avengers_in_flight 0.0" not in page and time.monotonic() < deadline:
        page = httpx.get(f"{url}/metrics", headers={"authorization": "Bearer k-web"}).text
    assert re.search(rf'avengers_requests_total{{model="{MINI}"}} [1-9]', page)
    assert re.search(rf'avengers_cost_dollars_total{{model="{MINI}"}} \d', page)
    assert "avengers_in_flight 0.0" in page
    assert 'avengers_tokens_total{kind="output"' in page


def test_beyond_this_machine_it_wants_keys(tmp_path: Path) -> None:
    words = ("serve", "--host", "0.0.0.0", "-m", MINI)
    assert "anyone could spend your money" in run_command(*words, env={"OPENAI_API_KEY": "k"}, exit_code=1).stderr
    keys = tmp_path / "keys.json"
    keys.write_text('[{"key": "a", "name": "x"}, {"key": "a", "name": "y"}]')
    done = run_command(*words, "--keys", keys, env={"OPENAI_API_KEY": "k"}, exit_code=1)
    assert "needs a key of its own" in done.stderr


def test_the_installed_command_serves_and_ends_when_it_is_terminated(server: LLMServer, tmp_path: Path) -> None:
    """All other proxies here are forked; this one is started as a user starts it."""
    log = tmp_path / "proxy.log"
    command = [sys.executable, "-m", "avengers_core.cli", "serve", "--port", "0", "-m", MINI]
    with log.open("w") as file:
        process = subprocess.Popen(command, env={**os.environ, **environment(server)}, stdout=file, stderr=file)
    try:
        address = address_in(log, lambda: process.poll() is None)
        assert client(address).chat.completions.create(model="avengers", messages=say("hi")).choices
    finally:
        process.terminate()
        assert process.wait(timeout=20) in (0, 128 + signal.SIGTERM)
    assert "Traceback" not in log.read_text()
    assert "canary" not in log.read_text()


@pytest.mark.slow
def test_places_come_back(server: LLMServer, tmp_path: Path) -> None:
    server.delay = 1.0
    with proxy(server, tmp_path, "-m", MINI, "--max-concurrent", "2") as url:
        api = client(url, "any")
        codes: list[int] = []

        def ask() -> None:
            try:
                api.chat.completions.create(model=MINI, messages=say("hi"))
                codes.append(200)
            except openai.APIStatusError as error:
                codes.append(error.status_code)

        for wanted in (sorted([200, 200, 503, 503]), [200, 200]):
            codes.clear()
            threads = [threading.Thread(target=ask) for _ in wanted]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sorted(codes) == wanted


@pytest.mark.slow
def test_slow_posters_take_no_places(server: LLMServer, tmp_path: Path) -> None:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    with proxy(server, tmp_path, "-m", MINI, "--max-concurrent", "4") as url, ExitStack() as stack:
        address = url.removeprefix("http://").split(":")
        slow = [stack.enter_context(socket.create_connection((address[0], int(address[1])))) for _ in range(300)]
        for number, connection in enumerate(slow):
            connection.settimeout(20)
            connection.sendall(head + b"content-length: 1000\r\n\r\n{" if number % 2 else head)
        for _ in range(20):
            assert client(url, "any").chat.completions.create(model=MINI, messages=say("hi")).choices
        ended = [connection.recv(100) for connection in slow]
        assert {answer[:12] for answer in ended[1::2]} == {b"HTTP/1.1 408"}, "who began a body is told"
        assert set(ended[::2]) == {b""}, "who never ended the head is hung up on"
        assert client(url, "any").chat.completions.create(model=MINI, messages=say("hi")).choices


def test_unknown_fields_in_any_letters_are_named(url: str) -> None:
    body = {"model": "avengers", "messages": say("hi"), "store": True, "Ā": 1, "\n": 2}
    answer = httpx.post(f"{url}/v1/chat/completions", json=body, headers={"authorization": "Bearer k-web"})
    assert answer.status_code in (200, 400), answer.text
    body = {"model": "avengers", "messages": say("hi"), "store": True}
    answer = httpx.post(f"{url}/v1/chat/completions", json=body, headers={"authorization": "Bearer k-web"})
    assert answer.headers["x-avengers-ignored"] == "store"


# --- what clients of other makers rely on ---


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_with_malformed_arguments_is_passed_on(url: str, server: LLMServer, stream: bool) -> None:
    """The client tells the model what is wrong; an answer without text and without calls would end its run."""
    server.faults = ["bad_arguments"]
    api = client(url)
    asked: dict[str, Any] = {
        "model": MINI,
        "messages": say("What is 1 + 2?"),
        "tools": TOOLS,
        "tool_choice": "required",
    }
    if stream:
        parts = [part.choices[0] for part in api.chat.completions.create(stream=True, **asked) if part.choices]
        calls = [call for part in parts for call in part.delta.tool_calls or ()]
        text, reason = "".join(call.function.arguments or "" for call in calls), parts[-1].finish_reason
    else:
        choice = api.chat.completions.create(**asked).choices[0]
        (call,) = choice.message.tool_calls
        text, reason = call.function.arguments, choice.finish_reason
    assert (text, reason) == ('{"a": 1, "b"', "tool_calls")


@pytest.mark.parametrize("model", [MINI, HAIKU])
@pytest.mark.parametrize("arguments", ['{"a": 1, "b"', "[1]", "", '{"a": "\\ud800"}', "[" * 100_000])
def test_a_history_with_malformed_arguments_is_served(url: str, server: LLMServer, model: str, arguments: str) -> None:
    messages = [*called(arguments), {"role": "tool", "tool_call_id": "c", "content": "that was no JSON"}]
    answer = client(url).chat.completions.create(model=model, messages=messages, tools=TOOLS)
    assert answer.choices[0].message.content
    sent = json.dumps(server.requests[-1]["body"])
    assert "that was no JSON" in sent


def test_streamed_calls_are_counted_from_zero(url: str, server: LLMServer) -> None:
    server.faults = ["text_first"]
    stream = client(url).chat.completions.create(
        model=HAIKU, messages=say("What is 1 + 2?"), tools=TOOLS, tool_choice="required", stream=True
    )
    parts = [part.choices[0].delta for part in stream if part.choices]
    assert "".join(part.content or "" for part in parts) == "Let me see."
    assert {call.index for part in parts for call in part.tool_calls or ()} == {0}


@pytest.mark.parametrize("model", [MINI, HAIKU])
def test_no_tool_is_a_choice(url: str, server: LLMServer, model: str) -> None:
    answer = client(url).chat.completions.create(model=model, messages=say("hi"), tools=TOOLS, tool_choice="none")
    assert answer.choices[0].message.content
    assert not answer.choices[0].message.tool_calls
    choice = server.requests[-1]["body"].get("tool_choice")
    assert choice == ("none" if model == MINI else {"type": "none"})


@pytest.mark.parametrize("model", [MINI, HAIKU])
@pytest.mark.parametrize("choice", ["auto", "none"])
def test_a_schema_beside_tools_is_kept_to(url: str, server: LLMServer, model: str, choice: str) -> None:
    schema = {"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]}
    form = {"type": "json_schema", "json_schema": {"name": "sum", "schema": schema, "strict": True}}
    given: Any = {"tools": TOOLS, "tool_choice": choice, "response_format": form}
    message = client(url).chat.completions.create(model=model, messages=say("1 and 2"), **given).choices[0].message
    assert message.tool_calls or set(json.loads(message.content or "")) == {"total"}
    if choice == "none":
        assert not message.tool_calls


def test_what_openai_knows_reaches_it(url: str, server: LLMServer) -> None:
    api = client(url)
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    form: Any = {"type": "json_schema", "json_schema": {"name": "count", "schema": schema, "strict": True}}
    api.chat.completions.create(model=MINI, messages=say("3"), response_format=form)
    assert server.requests[-1]["body"]["response_format"]["json_schema"]["strict"] is True
    for model in (MINI, HAIKU):
        api.chat.completions.create(model=model, messages=say("3"), tools=TOOLS, parallel_tool_calls=False)
        body = server.requests[-1]["body"]
        told = body.get("parallel_tool_calls"), (body.get("tool_choice") or {}).get("disable_parallel_tool_use")
        assert told in ((False, None), (None, True))


def test_json_mode_goes_to_a_model_that_has_it(url: str, server: LLMServer) -> None:
    api, form = client(url), {"type": "json_object"}
    answer = api.chat.completions.create(model="avengers", messages=say("JSON, please"), response_format=form)  # type: ignore[call-overload]
    assert json.loads(answer.choices[0].message.content)
    with pytest.raises(openai.BadRequestError):
        api.chat.completions.create(model=HAIKU, messages=say("JSON, please"), response_format=form)  # type: ignore[call-overload]


def test_one_model_can_be_looked_at(url: str, server: LLMServer) -> None:
    assert client(url).models.retrieve("avengers").owned_by == "avengers"
    assert client(url).models.retrieve(MINI).id == MINI
    with pytest.raises(openai.NotFoundError):
        client(url).models.retrieve("gpt-9")
    headers = {"authorization": "bearer k-web", "content-type": "Application/JSON"}
    body = {"model": MINI, "messages": say("hi")}
    assert httpx.post(f"{url}/v1/chat/completions", content=json.dumps(body), headers=headers).status_code == 200


def test_odd_tools_and_schemas_are_no_server_errors(url: str, server: LLMServer) -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}
    recursive = {**node, "$defs": {"node": node}}
    bare = {"type": "function", "function": {"name": "now"}}
    for fields in (
        {"tools": [{"type": "custom", "custom": {"name": "x"}}]},
        {"tools": [bare], "tool_choice": "required"},
        {"tools": [{"type": "function", "function": {"name": "walk", "parameters": recursive}}]},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "tree", "schema": recursive}}},
    ):
        for model in (MINI, HAIKU):
            body = {"model": model, "messages": say("hi"), **fields}
            headers = {"authorization": "Bearer k-web"}
            answer = httpx.post(f"{url}/v1/chat/completions", json=body, headers=headers, timeout=30)
            assert answer.status_code in (200, 400), (fields, model, answer.text)


async def test_models_can_ask_by_aiohttp(server: LLMServer) -> None:
    pool = {**openai_pool(server), HAIKU: anthropic_model(server, HAIKU)}
    llm = ChatAvengers(models=pool)
    before = llm.invoke("hi", model=MINI).text, llm.invoke("hi", model=HAIKU).text
    use_aiohttp(pool.values())
    answers = [(await llm.ainvoke("hi", model=model)).text for model in (MINI, HAIKU)]
    assert tuple(answers) == before
    parts = [part.text async for part in llm.astream("hi", model=MINI)]
    assert "".join(parts) == before[0]
    assert isinstance(pool[MINI].root_async_client._client, HttpxAiohttpClient)
    assert isinstance(pool[HAIKU]._async_client._client, HttpxAiohttpClient)
    own = openai_model(server, MINI, http_async_client=httpx.AsyncClient())
    use_aiohttp([own, FakeListChatModel(responses=["x"])])
    assert not isinstance(own.root_async_client._client, HttpxAiohttpClient)
    for client in (pool[MINI].root_async_client, pool[BIG].root_async_client, pool[HAIKU]._async_client):
        await client.close()


async def test_all_models_are_made_when_a_server_starts(server: LLMServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
    llm = ChatAvengers(models=[MINI, BIG])
    await llm.awarm()
    assert all(map(llm.dispatcher.pool.is_made, llm.dispatcher.pool.ids))
    assert not llm.dispatcher.may_block(100, llm.route_options())
    assert not server.requests


def test_whole_calls_of_a_stream_are_calls_of_their_own() -> None:
    """Some integrations send whole calls, of which LangChain tells no index."""
    writer = ResponseWriter("m")
    calls = [{"id": f"c{n}", "name": "add", "args": {"a": n}} for n in range(2)]
    first, second = (AIMessageChunk("", tool_calls=[call]) for call in calls)  # type: ignore[list-item]
    parts = [part for chunk in (first, second) for one in writer.chunks(chunk) for part in tool_calls(one)]
    assert [(part["index"], part["id"]) for part in parts] == [(0, "c0"), (1, "c1")]


def test_a_call_that_was_cut_off_says_so() -> None:
    answer = AIMessage("", invalid_tool_calls=[{"id": "c", "name": "add", "args": '{"a', "error": None}])
    answer.response_metadata = {"finish_reason": "length"}
    (last,) = ResponseWriter("m").end(answer, include_usage=False)
    assert last["choices"][0]["finish_reason"] == "length"


def test_usage_without_tokens_is_none() -> None:
    assert usage_of({"total_cost": 0}) is None  # type: ignore[typeddict-item,typeddict-unknown-key]


def test_half_of_a_pair_of_surrogates_is_no_server_error() -> None:
    assert json.loads(event({"text": "\ud83d"}).removeprefix("data: ")) == {"text": "\ud83d"}
    event({"text": "\ud83d"}).encode()


def tool_calls(chunk: dict[str, Any]) -> list[Any]:
    return list(chunk["choices"][0]["delta"]["tool_calls"])
