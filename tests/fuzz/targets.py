"""What is fuzzed: each takes bytes, and each input must be accepted or refused with an error that is named.

Both `tests/fuzz/test_fuzz.py` (hypothesis, in CI) and `scripts/fuzz.py` (atheris, as long as one likes) run these. A
target returns whether the input was accepted, and lets any other error out.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from avengers_core import AvengersError, Router, RouterEstimator, load_artifact, load_records
from avengers_core.collecting.questions import read_questions
from avengers_core.routing.artifact_checks import manifest_checksum
from avengers_core.routing.manifest import Manifest

from tests.support.llm_server import HAIKU, MINI
from tests.support.records import make_records


@contextmanager
def folder_of(data: bytes, name: str) -> Iterator[Path]:
    """A folder with one file, of which nothing but that file may be left in the end."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        yield path
        left = sorted(p.name for p in Path(folder).iterdir())
        assert left == [name], f"written: {left}"
        assert path.read_bytes() == data


def accepted(read: Callable[[Path], Any], data: bytes, name: str) -> bool:
    with folder_of(data, name) as path:
        try:
            read(path)
        except AvengersError as refusal:
            said = str(refusal)
        else:
            return True
        assert str(path) in said, f"the file is not named: {said}"
        return False


def records(data: bytes) -> bool:
    """The record reader, on JSON lines or, by the first byte, on gzip."""
    name = "r.jsonl.gz" if data[:2] == b"\x1f\x8b" else "r.jsonl"

    def read(path: Path) -> None:
        table = load_records(path)
        assert np.nanmin(table.scores) >= 0
        assert np.nanmax(table.scores) <= 1

    return accepted(read, data, name)


def questions(data: bytes) -> bool:
    """The reader of questions, on JSON lines or, by the first byte, on CSV."""
    return accepted(read_questions, data[1:], "q.csv" if data[:1] > b"\x7f" else "q.jsonl")


_base: dict[str, bytes] = {}


def base() -> dict[str, bytes]:
    """The files of a small, whole artifact."""
    if not _base:
        with tempfile.TemporaryDirectory() as folder:
            path = RouterEstimator(3).fit(make_records(60)).save(Path(folder) / "a.zip")
            with zipfile.ZipFile(path) as archive:
                _base.update({name: archive.read(name) for name in archive.namelist()})
    return dict(_base)


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


def _use(path: Path) -> None:
    """What loads must work: a route gives a model and finite figures, or says why not."""
    router = Router(load_artifact(path))
    decision = router.route("add the numbers 3 and 4", alpha=0.5)
    assert decision.model in router.models
    assert np.isfinite(decision.expected_score)
    decision.to_dict()


def artifact(data: bytes) -> bool:
    """The artifact loader, on bytes that should be a zip."""
    return accepted(_use_quietly, data, "a.zip")


def _use_quietly(path: Path) -> None:
    try:
        with np.errstate(all="ignore"):
            _use(path)
    except AvengersError as error:
        # A router without candidates, or for another embedder, is whole; it names no file.
        if str(path) not in str(error) and "manifest" not in str(error):
            return
        raise


def sealed(change: dict[str, Any], part: str = "", values: Any = None) -> bytes:
    """A zip whose manifest or one array was changed, with checksums that fit: only the later checks can see it."""
    files = base()
    if part:
        buffer = io.BytesIO()
        np.save(buffer, values, allow_pickle=False)
        files[f"{part}.npy"] = buffer.getvalue()
    raw = json.loads(files["manifest.json"])
    for path, value in change.items():
        *outer, last = path.split(".")
        place = raw
        for key in outer:
            place = place[int(key)] if isinstance(place, list) else place[key]
        place[last] = value
    for name, told in raw["parts"].items():
        if isinstance(told, dict) and f"{name}.npy" in files:
            told["sha256"] = hashlib.sha256(files[f"{name}.npy"]).hexdigest()
    with suppress(msgspec.ValidationError):
        raw["checksum"] = manifest_checksum(msgspec.convert(raw, Manifest))
    files["manifest.json"] = json.dumps(raw).encode()
    return zipped(files)


COMMANDS = ("records check", "train", "evaluate", "route", "inspect", "ledger", "update", "monitor", "collect", "sweep",
            "recommend", "compare", "records from-ledger", "records choose", "feedback", "report", "serve")  # fmt: skip


def command(data: bytes) -> bool:
    """The command line, on words; the first byte chooses the command."""
    import avengers_core.cli.app as cli

    words = data[1:].decode("utf-8", "replace").replace("\x00", "").split("\x1f")
    name = COMMANDS[data[0] % len(COMMANDS)] if data else ""
    if name == "serve" and "--help" not in words:
        words.append("--no-such-option")  # it would serve
    before = os.getcwd()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        os.chdir(folder)
        out = io.StringIO()
        import sys

        argv, sys.argv = sys.argv, ["avengers", *name.split(), *words]
        try:
            with redirect_stdout(out), redirect_stderr(out):
                cli.main()
            code: Any = 0
        except SystemExit as stop:
            code = stop.code
        finally:
            sys.argv = argv
            left = os.listdir(folder)
            os.chdir(before)
    assert code in (0, None, 1, 2, 3), f"exit code {code!r}"
    assert "Traceback" not in out.getvalue()
    assert code in (0, None) or not left, f"it failed and left {left}"
    return code in (0, None)


_client: list[Any] = []

_USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def _sse(*events: dict[str, Any]) -> bytes:
    return b"".join(f"event: {e.get('type', '')}\ndata: {json.dumps(e)}\n\n".encode() for e in events)


def _answer(request: Any) -> Any:
    """A provider's answer from memory, to OpenAI's and to Anthropic's clients."""
    import httpx

    body = json.loads(request.content)
    if request.url.path.endswith("/messages"):
        message = {"id": "m", "type": "message", "role": "assistant", "model": "h", "stop_reason": "end_turn",
                   "content": [{"type": "text", "text": "a word"}],
                   "usage": {"input_tokens": 3, "output_tokens": 2}}  # fmt: skip
        if not body.get("stream"):
            return httpx.Response(200, json=message)
        block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
        delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a word"}}
        end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}
        start = {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}}
        stop = [{"type": "content_block_stop", "index": 0}, end, {"type": "message_stop"}]
        return httpx.Response(200, content=_sse(start, block, delta, *stop), headers=_EVENTS)
    made = {"id": "c", "created": 1, "model": "m"}
    if not body.get("stream"):
        message = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "a word"}}
        return httpx.Response(200, json={**made, "object": "chat.completion", "choices": [message], "usage": _USAGE})
    delta = {"index": 0, "finish_reason": "stop", "delta": {"role": "assistant", "content": "a word"}}
    chunk = {**made, "object": "chat.completion.chunk", "choices": [delta], "usage": _USAGE}
    return httpx.Response(200, content=_sse(chunk) + b"data: [DONE]\n\n", headers=_EVENTS)


def _make_client() -> Any:
    import anthropic
    import httpx
    from langchain_anthropic import ChatAnthropic
    from langchain_openai import ChatOpenAI
    from starlette.testclient import TestClient

    from avengers_langchain import ChatAvengers
    from avengers_langchain.proxy import make_app

    memory = httpx.AsyncClient(transport=httpx.MockTransport(_answer))
    mini: Any = ChatOpenAI(model=MINI, api_key="k", http_async_client=memory, max_retries=0)  # type: ignore[arg-type]
    haiku: Any = ChatAnthropic(model=HAIKU, api_key="k", max_retries=0)  # type: ignore[call-arg, arg-type]
    vars(haiku)["_async_client"] = anthropic.AsyncAnthropic(api_key="k", http_client=memory, max_retries=0)
    llm = ChatAvengers(models={MINI: mini, HAIKU: haiku}, capabilities={MINI: _ALL, HAIKU: {"images": True}})
    return TestClient(make_app(llm, max_body_bytes=1 << 20), raise_server_exceptions=True)


def proxy(data: bytes) -> bool:
    """The proxy, on the body of a chat completion; its models are real clients whose providers answer from memory."""
    if not _client:
        _client.append(_make_client())
    answer = _client[0].post("/v1/chat/completions", content=data, headers=_JSON)
    assert answer.status_code in (200, 400, 404, 413, 429), f"{answer.status_code}: {answer.text[:300]}"
    if answer.status_code == 200:
        assert 'data: {"error"' not in answer.text, answer.text[-300:]
        return True
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str)
    assert error["type"]
    return False


_JSON = {"content-type": "application/json"}
_EVENTS = {"content-type": "text/event-stream"}
_ALL = {"tools": True, "structured_output": True, "images": True, "pdf": True, "tool_choice": True, "audio": True,
        "reasoning": True}  # fmt: skip

TARGETS: dict[str, Callable[[bytes], bool]] = {
    "records": records,
    "questions": questions,
    "artifact": artifact,
    "command": command,
    "proxy": proxy,
}
