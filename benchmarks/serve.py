"""Requests a second through `avengers serve`, beside LiteLLM's proxy, over an upstream that answers in 20 ms.

    python benchmarks/serve.py [--seconds 15] [--clients 20 200] [--litellm PATH] [--postgres URL]

Needs: pip install -e '.[all]' --group dev, and wrk in the path. ``--litellm`` is the command of LiteLLM's proxy, in an
environment of its own (pip install 'litellm[proxy]'). All run one after the other in one run, each as one process;
look at ratios, not at the rates themselves.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

MODELS = ("gpt-4o-mini-2024-07-18", "gpt-4o-2024-08-06")
#: Seconds that the upstream takes for an answer.
LATENCY = 0.02
UPSTREAM, OURS, LITELLM = 7801, 7802, 7803


class Upstream(asyncio.Protocol):
    """Answers every request of a connection with the same completion."""

    _answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._buffer = transport, b""
        self._loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            found = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
            length = int(found[1]) if found else 0
            if not end or len(rest) < length:
                return
            self._buffer = rest[length:]
            self._loop.call_later(LATENCY, self._transport.write, self._answer)  # type: ignore[attr-defined]


async def serve_upstream() -> None:
    message = {"role": "assistant", "content": "It is 391."}
    body = json.dumps({
        "id": "c", "object": "chat.completion", "created": 1, "model": MODELS[0],
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 6, "total_tokens": 26},
    }).encode()  # fmt: skip
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    Upstream._answer = head.encode() + body
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", UPSTREAM, backlog=2048)
    await server.serve_forever()


@contextlib.contextmanager
def running(words: list[str], health: str, log: Path, **environment: str) -> Iterator[None]:
    """A server that lives as long as the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(words, stdout=output, stderr=output, env={**os.environ, **environment})
    try:
        for _ in range(600):
            with contextlib.suppress(OSError, urllib.error.URLError):
                urllib.request.urlopen(health, timeout=5).read()
                break
            if process.poll() is not None:
                raise SystemExit(f"{words[0]} did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(30)


def measure(port: int, model: str, clients: int, seconds: int, folder: Path) -> tuple[float, float, str]:
    """Requests a second, the 99th percentile of their milliseconds, and what went wrong."""
    script = folder / "post.lua"
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "What is 17 * 23?"}]})
    script.write_text(
        'wrk.method = "POST"\n'
        'wrk.headers["Content-Type"] = "application/json"\n'
        'wrk.headers["Authorization"] = "Bearer sk-none"\n'
        f"wrk.body = [[{body}]]\n"
    )
    url = f"http://127.0.0.1:{port}/v1/chat/completions"

    def once(duration: int) -> str:
        words = ["wrk", "-t1", f"-c{clients}", f"-d{duration}", "--latency", "--timeout", "30", "-s", str(script), url]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout

    once(5)  # connections are open then
    said = once(seconds)
    rate, slowest = re.search(r"Requests/sec: *([\d.]+)", said), re.search(r"99% *([\d.]+)(us|ms|s|m)\b", said)
    assert rate
    assert slowest
    scale = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}[slowest[2]]
    wrong = " ".join(re.findall(r"(?:Non-2xx|Socket errors).*", said))
    return float(rate[1]), float(slowest[1]) * scale, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--clients", type=int, nargs="+", default=[20, 200])
    parser.add_argument("--litellm", help="the command of LiteLLM's proxy")
    parser.add_argument("--postgres", help="SQLAlchemy URL of an empty PostgreSQL database")
    parser.add_argument("--upstream", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.upstream:
        asyncio.run(serve_upstream())
        return
    table = Table("proxy", "clients", "requests/s", "p99 ms", "times LiteLLM", "errors")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = f"http://127.0.0.1:{UPSTREAM}/v1"
        keys = {"OPENAI_API_KEY": "sk-none", "OPENAI_BASE_URL": base, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        contenders: dict[str, tuple[list[str], int, str, str]] = {}
        if options.litellm:
            config = folder / "litellm.yaml"
            entry = {"model": f"openai/{MODELS[0]}", "api_base": base, "api_key": "sk-none"}
            settings = {"master_key": "sk-none", "dangerously_permit_weak_or_unset_master_key": True}
            models = [{"model_name": "main", "litellm_params": entry}]
            config.write_text(json.dumps({"model_list": models, "general_settings": settings}))
            words = [options.litellm, "--config", str(config), "--port", str(LITELLM), "--telemetry", "False"]
            contenders["LiteLLM"] = words, LITELLM, "main", "health/liveliness"
        ours = [str(Path(sys.executable).with_name("avengers")), "serve", "--port", str(OURS)]
        ours += ["--artifact", "models-2024", *(word for model in MODELS for word in ("-m", model))]
        ledgers = {"": [], ", SQLite ledger": ["--ledger", str(folder / "ledger.sqlite")]}
        if options.postgres:
            ledgers[", PostgreSQL ledger"] = ["--ledger", options.postgres]
        for what, words in ledgers.items():
            contenders[f"avengers serve{what}"] = [*ours, *words], OURS, "avengers", "health"
        rates: dict[tuple[str, int], float] = {}
        upstream = [sys.executable, __file__, "--upstream"]
        with subprocess.Popen(upstream) as process:
            try:
                for contender, (words, port, model, health) in contenders.items():
                    with running(words, f"http://127.0.0.1:{port}/{health}", folder / "log", **keys):
                        for clients in options.clients:
                            rate, slowest, wrong = measure(port, model, clients, options.seconds, folder)
                            rates[contender, clients] = rate
                            beside = rates.get(("LiteLLM", clients))
                            ratio = f"{rate / beside:.1f}" if beside else ""
                            table.add_row(contender, str(clients), f"{rate:.0f}", f"{slowest:.0f}", ratio, wrong)
            finally:
                process.terminate()
    Console().print(table)


if __name__ == "__main__":
    main()
