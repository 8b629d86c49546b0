"""A local server that takes what tracing tools export: OpenTelemetry's spans and metrics, and LangSmith's runs."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.serving import serving


class TraceServer(ThreadingHTTPServer):
    """The server, with what it was sent.

    Attributes:
        spans: OpenTelemetry's spans, each with its ``name``, ``kind``, ``id``, ``parent``, ``scope``, ``error`` and
            ``attributes``.
        metrics: Data points of OpenTelemetry's metrics, by name.
        runs: LangSmith's runs by id: what was posted, and then patched.
        paths: The paths that were asked.
    """

    daemon_threads = True

    def __init__(self) -> None:
        self.spans: list[dict[str, Any]] = []
        self.metrics: dict[str, list[dict[str, Any]]] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.paths: list[str] = []
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def wait_for(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, (self.paths, [span["name"] for span in self.spans], list(self.runs.values()))
            time.sleep(0.02)


@contextmanager
def trace_server() -> Iterator[TraceServer]:
    with serving(TraceServer()) as server:
        yield server


class _Handler(BaseHTTPRequestHandler):
    server: TraceServer

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, body: bytes = b"{}", kind: str = "application/json") -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
        coding = self.headers.get("content-encoding")
        if coding == "zstd":
            import zstandard

            return zstandard.ZstdDecompressor().decompressobj().decompress(body)
        return gzip.decompress(body) if coding == "gzip" else body

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.paths.append(self.path)
        threads = {"scale_up_nthreads_limit": 1, "scale_up_qsize_trigger": 1000, "scale_down_nempty_trigger": 4}
        limits = {"size_limit": 100, "size_limit_bytes": 20 << 20, "use_multipart_endpoint": True, **threads}
        info = {"version": "0", "batch_ingest_config": limits}
        self._answer(json.dumps(info).encode())

    def do_POST(self) -> None:
        body = self._body()
        with self.server.lock:
            self.server.paths.append(self.path)
            if self.path.endswith("/v1/traces"):
                self._take_spans(body)
            elif self.path.endswith("/v1/metrics"):
                self._take_metrics(body)
            elif self.path.endswith("/runs/multipart"):
                self._take_runs(body)
        self._answer()

    do_PATCH = do_POST

    def _take_spans(self, body: bytes) -> None:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                self.server.spans += [
                    {
                        "name": span.name,
                        "id": span.span_id.hex(),
                        "parent": span.parent_span_id.hex(),
                        "trace": span.trace_id.hex(),
                        "scope": scope.scope.name,
                        "error": span.status.code == 2,
                        "attributes": {one.key: _value(one.value) for one in span.attributes},
                    }
                    for span in scope.spans
                ]

    def _take_metrics(self, body: bytes) -> None:
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    points = metric.histogram.data_points or metric.sum.data_points
                    self.server.metrics[metric.name] = [
                        {
                            "unit": metric.unit,
                            "count": getattr(point, "count", None),
                            "sum": point.sum if hasattr(point, "sum") else point.as_double or point.as_int,
                            "attributes": {one.key: _value(one.value) for one in point.attributes},
                        }
                        for point in points
                    ]

    def _take_runs(self, body: bytes) -> None:
        head = f"content-type: {self.headers['content-type']}\r\n\r\n".encode()
        for part in BytesParser().parsebytes(head + body).get_payload():
            name = part.get_param("name", header="content-disposition")
            event, run, *field = str(name).split(".")
            content = json.loads(part.get_payload(decode=True))
            found = self.server.runs.setdefault(run, {"id": run, "events": []})
            if field:
                found[field[0]] = content
            else:
                found["events"].append(event)
                found.update({key: value for key, value in content.items() if value is not None})


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    if kind == "kvlist_value":
        return {one.key: _value(one.value) for one in value.kvlist_value.values}
    return getattr(value, kind) if kind else None
