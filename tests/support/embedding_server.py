"""A local HTTP server that speaks the OpenAI embeddings wire format, with faults on request."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from tests.support.serving import serving

DIMENSION = 32


class EmbeddingServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        #: What the next requests meet: a status, "drop", "hang", "garbage" or "short".
        self.faults: list[Any] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    @property
    def texts(self) -> list[str]:
        return [text for request in self.requests for text in request["input"]]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: EmbeddingServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.keys.append(self.headers.get("authorization", ""))
        fault = self.server.faults.pop(0) if self.server.faults else None
        if fault == "drop":
            self.close_connection = True
            self.connection.close()
            return
        if fault == "hang":
            time.sleep(1.0)
        if isinstance(fault, int):
            self.reply(fault, {"error": {"message": f"fault {fault}"}}, {"Retry-After": "0"})
            return
        if fault == "garbage":
            self.reply(200, {"data": "none"})
            return
        assert self.path == "/v1/embeddings"
        self.server.requests.append(body)
        texts = body["input"][: -1 if fault == "short" else None]
        data = [{"index": i, "object": "embedding", "embedding": vector(text)} for i, text in enumerate(texts)]
        for item in data if fault in ("base64", "zeros", "empty", "uneven") else ():
            numbers = np.array(item["embedding"], dtype="<f4")
            odd = {"base64": base64.b64encode(numbers.tobytes()).decode(), "zeros": [0.0] * DIMENSION, "empty": []}
            item["embedding"] = odd.get(fault, [1.0] * (item["index"] + 1))
        self.reply(200, {"object": "list", "data": data[::-1], "model": body["model"]})

    def reply(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(value).encode()
        try:
            self.send_response(status)
            for name, content in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, content)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except (BrokenPipeError, ConnectionResetError):
            pass


def vector(text: str) -> list[float]:
    """Words hashed into `DIMENSION` places: texts that share words are alike."""
    out = np.zeros(DIMENSION)
    for word in text.lower().split():
        out[int(hashlib.sha256(word.encode()).hexdigest(), 16) % DIMENSION] += 1
    return [float(value) for value in out]


def embedding_server() -> AbstractContextManager[EmbeddingServer]:
    return serving(EmbeddingServer())
