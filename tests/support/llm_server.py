"""A local HTTP server that speaks the wire formats of OpenAI chat completions and Anthropic messages.

It answers as a model would as far as clients can tell: it calls the tools it is given, fills JSON schemas, streams,
reports usage, and fails on request. It counts what it was asked and what it charged for.
"""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.serving import serving

#: Ids of the packaged artifact, cheap and expensive, of two providers.
MINI, BIG = "gpt-4o-mini-2024-07-18", "gpt-4o-2024-08-06"
HAIKU, SONNET = "claude-3-5-haiku-20241022", "claude-3-5-sonnet-20241022"

ALL = {"tools": True, "structured_output": True, "images": True, "pdf": True, "tool_choice": True}

Fault = int | str  # a status, or: timeout, drop, drop_mid, garbage, no_usage, text (in place of tool calls)


class State:
    """What one test sets and sees. A request keeps to the state it came in under, however late it ends."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.asked: Counter[str] = Counter()
        #: Answers that went out whole, and the tokens charged for them, by model.
        self.answered: Counter[str] = Counter()
        self.tokens: Counter[tuple[str, str]] = Counter()
        #: Faults that were served, by kind.
        self.served: Counter[str] = Counter()
        #: Answers that went out without usage.
        self.unmetered = 0
        #: What the next requests meet, in order; a mapping asks by model.
        self.faults: list[Fault] = []
        self.model_faults: dict[str, Fault] = {}
        #: Chooses a fault for a request, or None.
        self.chaos: Callable[[dict[str, Any]], Fault | None] | None = None
        self.tool_steps = 1
        self.usage: dict[str, Any] = {}
        self.answer: str | None = None
        self.delay = 0.0
        #: What a model says to a request: a text, calls of tools as (name, arguments), or None: as ever.
        self.says: Callable[[dict[str, Any]], str | list[tuple[str, Any]] | None] | None = None


class LLMServer(ThreadingHTTPServer):
    """The server; what is in its `State` is read and set on it directly."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.state = State()
        super().__init__(("127.0.0.1", 0), Handler)

    def __getattr__(self, name: str) -> Any:
        if name == "state":
            raise AttributeError(name)
        return getattr(self.state, name)

    def __setattr__(self, name: str, value: Any) -> None:
        known = self.__dict__.get("state")
        if known is not None and name in vars(known):
            setattr(known, name, value)
        else:
            super().__setattr__(name, value)

    def reset(self) -> None:
        self.state = State()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are no matter."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def random_faults(self, share: float, kinds: list[Fault], seed: int = 0) -> None:
        dice = random.Random(seed)

        def choose(_: dict[str, Any]) -> Fault | None:
            with self.lock:
                return dice.choice(kinds) if dice.random() < share else None

        self.chaos = choose

    def fault_for(self, state: State, body: dict[str, Any]) -> Fault | None:
        with self.lock:
            if state.faults:
                return state.faults.pop(0)
        if body["model"] in state.model_faults:
            return state.model_faults[body["model"]]
        return state.chaos(body) if state.chaos else None


def environment(server: LLMServer) -> dict[str, str]:
    """Variables with which real clients ask the server."""
    return {
        "OPENAI_API_KEY": "sk-canary",
        "OPENAI_API_BASE": f"{server.url}/v1",
        "OPENAI_BASE_URL": f"{server.url}/v1",
        "ANTHROPIC_API_KEY": "sk-ant-canary",
        "ANTHROPIC_BASE_URL": server.url,
    }


def text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return " ".join(block.get("text", "") for block in content or [] if isinstance(block, dict))


def fill(schema: dict[str, Any], text: str, root: dict[str, Any] | None = None, depth: int = 0) -> Any:
    """A value that fits a JSON schema, with the numbers of the text where it asks for numbers."""
    root = root or schema
    if depth > 20:
        return {}
    if "$ref" in schema:
        return fill(root["$defs"][schema["$ref"].rpartition("/")[2]], text, root, depth + 1)
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return fill(schema[key][0], text, root, depth + 1)
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: fill(part, text, root, depth + 1) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [fill(schema.get("items", {"type": "string"}), text, root)]
    numbers = re.findall(r"-?\d+", text)
    if kind == "integer":
        return int(numbers[0]) if numbers else 1
    if kind == "number":
        return float(numbers[0]) if numbers else 1.0
    foreign = re.findall(r"[^\x00-\x7f]+", text)
    return True if kind == "boolean" else foreign[0] if foreign else "a word"


#: Answers with status 200 that are none.
BAD_ANSWERS = (
    "error_body", "error_stream", "null_choices", "empty_choices", "no_choices", "html", "bad_utf8", "empty_body",
    "json_null", "json_list",
)  # fmt: skip


class Reply:
    """What the model says: text or tool calls, with its usage."""

    def __init__(
        self, server: LLMServer, body: dict[str, Any], tools: list[dict[str, Any]], forced: str | None
    ) -> None:
        messages = body["messages"]
        turn: list[dict[str, Any]] = []
        for message in reversed(messages):
            blocks = message["content"] if isinstance(message["content"], list) else []
            is_result = message["role"] == "tool" or any(b.get("type") == "tool_result" for b in blocks)
            if message["role"] == "user" and not is_result:
                break
            if is_result:
                turn.append(message)
        asked = next((text_of(m["content"]) for m in reversed(messages) if m["role"] == "user"), "")
        wants_tool = forced not in (None, "auto", "none") or (len(turn) < server.tool_steps and forced != "none")
        self.calls: list[tuple[str, Any]] = []
        self.text = server.answer or f"This is what {body['model']} says to: {asked[:60]}"
        self.model = body["model"]
        if tools and wants_tool:
            named = next((tool for tool in tools if tool["name"] == forced), None)
            tool = named or tools[len(turn) % len(tools)]
            self.calls = [(tool["name"], fill(tool["schema"], asked))]
            self.text = ""
        said = server.says(body) if server.says is not None else None
        if said is not None:
            self.text, self.calls = (said, []) if isinstance(said, str) else ("", said)
        prompt = sum(len(json.dumps(m)) for m in messages) // 4 + len(json.dumps(body.get("tools", []))) // 4
        self.input = max(1, prompt)
        self.output = max(1, (len(self.text) + len(json.dumps(self.calls))) // 4)
        self.pieces = re.findall(r"\S+\s*", self.text) or [""]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: LLMServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        server, state = self.server, self.server.state
        self.state = state
        with server.lock:
            state.requests.append({"path": self.path, "headers": dict(self.headers), "body": body})
            state.asked[body["model"]] += 1
        if state.delay:
            time.sleep(state.delay)
        fault = server.fault_for(state, body)
        if fault is not None:
            with server.lock:
                state.served[str(fault)] += 1
        if isinstance(fault, int):
            self.json(fault, {"type": "error", "error": {"type": "error", "message": f"fault {fault}"}})
            return
        if fault == "timeout":
            time.sleep(3.0)
        if fault in ("drop", "timeout"):
            self.drop()
            return
        if fault == "garbage":
            self.send(200, b'{"choices": [{"mess', "application/json")
            return
        if fault == "trickle":
            self.trickle()
            return
        if fault in BAD_ANSWERS:
            self.bad_answer(str(fault), body)
            return
        speak = self.openai if self.path.endswith("/chat/completions") else self.anthropic
        try:
            speak(body, fault)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def trickle(self) -> None:
        """Send a space every 50 ms, for ever: no read timeout ends that."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        try:
            for _ in range(200):
                self.wfile.write(b" ")
                time.sleep(0.05)
        except (BrokenPipeError, ConnectionResetError):
            pass
        self.close_connection = True

    def bad_answer(self, fault: str, body: dict[str, Any]) -> None:
        """Status 200 and no answer; the same bytes in a stream and without."""
        head = {"id": "x", "object": "chat.completion", "created": 1, "model": body["model"]}
        error = {"type": "error", "error": {"type": "overloaded_error", "message": "fault overloaded"}}
        values: dict[str, Any] = {
            "error_body": error,
            "error_stream": error,
            "null_choices": {**head, "choices": None, "content": None, "usage": None},
            "empty_choices": {**head, "choices": [], "content": [], "type": "message", "role": "assistant",
                              "usage": {"input_tokens": 5, "output_tokens": 0}},
            "no_choices": head,
            "json_null": None,
            "json_list": [],
        }  # fmt: skip
        raw = {
            "html": b"<html><body>Bad gateway</body></html>",
            "bad_utf8": b'{"choices": "\xff\xfe',
            "empty_body": b"",
        }
        if fault in raw:
            self.send(200, raw[fault], "text/html" if fault == "html" else "application/json")
        elif body.get("stream") and fault != "error_body":
            data = json.dumps(values[fault])
            named = "event: error\n" if fault == "error_stream" else ""
            self.send(200, f"{named}data: {data}\n\ndata: [DONE]\n\n".encode(), "text/event-stream")
        else:
            self.json(200, values[fault])

    def charge(self, reply: Reply, metered: bool = True) -> None:
        with self.server.lock:
            self.state.answered[reply.model] += 1
            if not metered:
                self.state.unmetered += 1
                return
            self.state.tokens[reply.model, "input"] += reply.input
            self.state.tokens[reply.model, "output"] += reply.output

    # --- OpenAI ---

    def openai(self, body: dict[str, Any], fault: Fault | None) -> None:
        tools = [
            {"name": t["function"]["name"], "schema": t["function"].get("parameters", {})}
            for t in body.get("tools", [])
            if t["type"] == "function"
        ]
        choice = body.get("tool_choice")
        forced = choice["function"]["name"] if isinstance(choice, dict) else choice
        reply = Reply(self.state, body, [] if fault == "text" else tools, forced)
        shape = body.get("response_format") or {}
        if not reply.calls and shape.get("type") == "json_schema":
            reply.text = json.dumps(fill(shape["json_schema"]["schema"], text_of(body["messages"][-1]["content"])))
            reply.pieces = [reply.text[:5], reply.text[5:]]
        elif not reply.calls and shape.get("type") == "json_object":
            reply.text = '{"setup": "why?", "punchline": "because"}'
            reply.pieces = [reply.text[:5], reply.text[5:]]
        calls = [
            {"id": f"call_{i}_{time.monotonic_ns()}", "type": "function", "index": i,
             "function": {"name": name, "arguments": '{"a": 1, "b"' if fault == "bad_arguments" else json.dumps(args)}}
            for i, (name, args) in enumerate(reply.calls)
        ]  # fmt: skip
        usage: dict[str, Any] | None = {
            "prompt_tokens": reply.input,
            "completion_tokens": reply.output,
            "total_tokens": reply.input + reply.output,
            **self.state.usage,
        }
        if fault == "no_usage":
            usage = None
        head = {"id": f"chatcmpl-{time.monotonic_ns()}", "created": 1, "model": body["model"]}
        finish = "tool_calls" if calls else "stop"
        if not body.get("stream"):
            message = {"role": "assistant", "content": reply.text or None, **({"tool_calls": calls} if calls else {})}
            answer = {**head, "object": "chat.completion", "choices": [
                {"index": 0, "message": message, "finish_reason": finish}], "usage": usage}  # fmt: skip
            if fault == "drop_mid":
                self.drop_body(json.dumps(answer).encode())
                return
            self.charge(reply, usage is not None)
            self.json(200, answer)
            return
        head["object"] = "chat.completion.chunk"

        def events() -> Iterator[Any]:
            yield delta({"role": "assistant", "content": ""})
            for call in calls:
                yield delta({"tool_calls": [call]})
            for piece in reply.pieces if not calls else []:
                yield delta({"content": piece})
            yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
            if usage and (body.get("stream_options") or {}).get("include_usage"):
                yield {**head, "choices": [], "usage": usage}

        def delta(value: dict[str, Any]) -> dict[str, Any]:
            return {**head, "choices": [{"index": 0, "delta": value, "finish_reason": None}]}

        lines = [f"data: {json.dumps(event)}\n\n" for event in events()] + ["data: [DONE]\n\n"]
        self.sse(lines, fault, reply, usage is not None)

    # --- Anthropic ---

    def anthropic(self, body: dict[str, Any], fault: Fault | None) -> None:
        for message in body["messages"]:
            assert message["role"] in ("user", "assistant"), message
        tools = [{"name": t["name"], "schema": t["input_schema"]} for t in body.get("tools", []) if "input_schema" in t]
        choice = body.get("tool_choice") or {}
        forced = choice.get("name") or choice.get("type")
        reply = Reply(self.state, body, [] if fault == "text" else tools, forced)
        shape = (body.get("output_config") or {}).get("format") or body.get("output_format")
        if not reply.calls and shape:
            reply.text = json.dumps(fill(shape["schema"], text_of(body["messages"][-1]["content"])))
            reply.pieces = [reply.text[:5], reply.text[5:]]
        usage: dict[str, Any] = {"input_tokens": reply.input, "output_tokens": reply.output, **self.state.usage}
        content: list[dict[str, Any]] = [
            {"type": "tool_use", "id": f"toolu_{i}_{time.monotonic_ns()}", "name": name, "input": args}
            for i, (name, args) in enumerate(reply.calls)
        ] or [{"type": "text", "text": reply.text}]
        if fault == "text_first" and reply.calls:
            content.insert(0, {"type": "text", "text": "Let me see."})
            reply.pieces = ["Let me see."]
        finish = "tool_use" if reply.calls else "end_turn"
        head = {"id": f"msg_{time.monotonic_ns()}", "type": "message", "role": "assistant", "model": body["model"]}
        if not body.get("stream"):
            answer = {**head, "content": content, "stop_reason": finish, "stop_sequence": None, "usage": usage}
            if fault == "drop_mid":
                self.drop_body(json.dumps(answer).encode())
                return
            self.charge(reply)
            self.json(200, answer)
            return

        def events() -> Iterator[dict[str, Any]]:
            start = {**head, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
            yield {"type": "message_start", "message": start}
            for index, block in enumerate(content):
                empty = {**block, "input": {}} if block["type"] == "tool_use" else {"type": "text", "text": ""}
                yield {"type": "content_block_start", "index": index, "content_block": empty}
                if block["type"] == "tool_use":
                    part = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
                    yield {"type": "content_block_delta", "index": index, "delta": part}
                else:
                    for piece in reply.pieces:
                        part = {"type": "text_delta", "text": piece}
                        yield {"type": "content_block_delta", "index": index, "delta": part}
                yield {"type": "content_block_stop", "index": index}
            ended = {"stop_reason": finish, "stop_sequence": None}
            yield {"type": "message_delta", "delta": ended, "usage": usage}
            yield {"type": "message_stop"}

        self.sse([f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events()], fault, reply)

    # --- HTTP ---

    def sse(self, lines: list[str], fault: Fault | None, reply: Reply, metered: bool = True) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for position, line in enumerate(lines):
            if fault == "drop_mid" and position == 3:
                self.drop()
                return
            if position == len(lines) - 1:
                self.charge(reply, metered)
            data = line.encode()
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def json(self, status: int, value: Any) -> None:
        self.send(status, json.dumps(value).encode(), "application/json")

    def send(self, status: int, data: bytes, kind: str) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def drop_body(self, data: bytes) -> None:
        """Promise a whole body, send half of it."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])
        self.drop()

    def drop(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.close()


def llm_server() -> AbstractContextManager[LLMServer]:
    return serving(LLMServer())


if __name__ == "__main__":
    with llm_server() as running:
        print(running.url, flush=True)
        threading.Event().wait()
