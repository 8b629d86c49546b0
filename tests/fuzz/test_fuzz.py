"""Hypothesis on what comes from outside; `AVENGERS_FUZZ_EXAMPLES` (150) is how many inputs each test tries."""

from __future__ import annotations

import copy
import gzip
import json
import os
import resource
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from avengers_core import ArtifactError, RecordError, load_artifact, load_records
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.fuzz import targets
from tests.support.records import make_records, plain

EXAMPLES = int(os.environ.get("AVENGERS_FUZZ_EXAMPLES", "150"))
fuzz = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

_numbers = st.one_of(st.floats(), st.integers(), st.just(float("nan")), st.just(10**400))
_json = st.recursive(
    st.one_of(st.none(), st.booleans(), _numbers, st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)),
    max_leaves=12,
)
_whole = [plain(record) for record in make_records(12)]


@st.composite
def changed_records(draw: st.DrawFn) -> bytes:
    """Whole records of which a field, or a byte, is another."""
    rows = [dict(row) for row in _whole]
    for _ in range(draw(st.integers(0, 3))):
        row = draw(st.sampled_from(rows))
        row[draw(st.sampled_from(["index", "dataset", "query", "records", "usages", "weights"]))] = draw(_json)
    data = "\n".join(json.dumps(row) for row in rows).encode("utf-8", "surrogatepass")
    return _damaged(draw, data)


def _damaged(draw: st.DrawFn, data: bytes) -> bytes:
    for _ in range(draw(st.integers(0, 3))):
        at, length = draw(st.integers(0, len(data))), draw(st.integers(0, 5))
        data = data[:at] + draw(st.binary(max_size=5)) + data[at + length :]
    return data


@fuzz
@given(st.one_of(st.binary(), changed_records(), changed_records().map(gzip.compress)))
def test_the_record_reader(data: bytes) -> None:
    targets.records(data)


@fuzz
@given(st.one_of(st.binary(), changed_records(), st.text().map(lambda text: b"\xff" + text.encode("utf-8", "replace"))))
def test_the_question_reader(data: bytes) -> None:
    targets.questions(data)


@st.composite
def changed_artifacts(draw: st.DrawFn) -> bytes:
    """A whole artifact of which a value, an array, a file or a byte is another."""
    kind = draw(st.sampled_from(["manifest", "array", "file", "byte"]))
    if kind == "manifest":
        raw = json.loads(targets.base()["manifest.json"])
        paths = [name for name in raw if name not in ("checksum", "parts")]
        paths += [f"settings.{name}" for name in raw["settings"]] + [f"embedder.{name}" for name in raw["embedder"]]
        paths += [f"models.0.{name}" for name in raw["models"][0]] + [f"parts.centers.{n}" for n in ("shape", "dtype")]
        value = draw(st.one_of(_json, st.sampled_from([-1, 0, 1, 2**70, "", "../x", -0.0, 1e308])))
        return targets.sealed({draw(st.sampled_from(paths)): value})
    if kind == "array":
        name = draw(st.sampled_from(["centers", "n", "score_sum", "dataset_n", "length_weights", "length_range"]))
        shape = draw(st.sampled_from([(3, 256), (3, 4), (3, 3), (1, 1), (0, 4), (269, 4), (2, 4)]))
        fill = draw(st.sampled_from([0.0, -1.0, 1e30, float("nan"), float("inf")]))
        with np.errstate(invalid="ignore"):  # NaN as a whole number
            values = np.full(shape, fill, dtype=draw(st.sampled_from(["<f4", "<f8", ">f8", "<i8"])))
        return targets.sealed({}, name, values)
    if kind == "file":
        files = targets.base()
        name = draw(st.sampled_from([*files, "../evil.npy", "/etc/x.npy", "a/b.npy", "x.pkl", "\x00.npy", "e.npy"]))
        files[name] = draw(st.binary(max_size=200))
        return targets.zipped(files)
    return _damaged(draw, targets.zipped(targets.base()))


@fuzz
@given(st.one_of(st.binary(), changed_artifacts()))
def test_the_artifact_loader(data: bytes) -> None:
    targets.artifact(data)


_words = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["--json", "--alpha", "nan", "2", "-1", "0.5", "-a", "none.zip", "zeroeval", "--help", "-o", "x.zip",
         "/dev/null", "--since", "2026-13-40", "--require", "tools,=3", "--model", "a=b:c", "--dry-run",
         "--train-ratio", "--seed"]
    ),
)  # fmt: skip


@settings(fuzz, max_examples=EXAMPLES // 2)
@given(st.integers(0, 255), st.lists(_words, max_size=5))
def test_the_command_line(number: int, words: list[str]) -> None:
    targets.command(bytes([number]) + "\x1f".join(words).encode("utf-8", "replace"))


_schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
_tool = {"type": "function", "function": {"name": "add", "description": "Add.", "parameters": _schema, "strict": True}}
_call = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
_whole_bodies: list[dict[str, Any]] = [
    {
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "be brief"}]},
            {"role": "user", "content": "add", "name": "me"},
            {"role": "assistant", "content": None, "tool_calls": [_call], "refusal": None},
            {"role": "tool", "content": "1", "tool_call_id": "call_1"},
        ],
        "tools": [_tool],
        "tool_choice": {"type": "function", "function": {"name": "add"}},
        "stop": ["x"],
        "max_tokens": 5,
    },
    {
        "messages": [
            {"role": "developer", "content": "be brief"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "what is it?", "cache_control": {"type": "ephemeral"}},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
                ],
            },
            {"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "no"}]},
            {"role": "user", "content": "and now?"},
        ],
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": _schema, "strict": True}},
        "stream_options": {"include_usage": True},
    },
    {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                    {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "x.pdf"}},
                ],
            },
            {"role": "assistant", "content": "a", "audio": {"id": "x"}, "annotations": []},
            {"role": "user", "content": "and now?"},
        ],
        "response_format": {"type": "json_object"},
        "reasoning_effort": "low",
        "temperature": 0.5,
    },
]

_values = st.one_of(
    _json,
    st.sampled_from(
        ["", "0", "none", "required", "text", "user", "assistant", "tool", "function", "developer", "object", "array",
         "json_schema", "{", "[1]", '{"a": 1e999}', '{"a": "\\ud800"}', "data:,", "http://x", "#/x", [], {}, [[]], [{}],
         {"type": "text"}, {"type": "image", "source": 5}, {"type": "document", "source": "x"}, {"$ref": "#/nope"},
         {"type": "image_url", "image_url": "http://x"}, {"type": "tool_use", "id": 1}, {"type": "object"}, 1e999, -1]
    ),
)  # fmt: skip
_keys = st.one_of(
    st.text(max_size=5),
    st.sampled_from(
        ["role", "content", "type", "name", "id", "lc", "kwargs", "tool_calls", "function", "arguments", "title",
         "text", "description", "parameters", "input_schema", "toolSpec", "json_schema", "schema", "properties", "$ref",
         "response_metadata", "additional_kwargs", "usage_metadata", "example", "artifact", "status", "cache_control",
         "function_call", "refusal", "audio", "strict"]
    ),
)  # fmt: skip


def _places(value: Any) -> list[Any]:
    """Every object and list within a value."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    here = [value] if isinstance(value, (dict, list)) else []
    return here + [place for one in inner for place in _places(one)]


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Chat completions of which some values are missing, others or more than there should be."""
    body: dict[str, Any] = copy.deepcopy(draw(st.sampled_from(_whole_bodies)))
    body |= {"model": draw(st.sampled_from(["avengers", targets.MINI, targets.HAIKU])), "stream": draw(st.booleans())}
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.sampled_from(_places(body)))
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        kind = draw(st.sampled_from(["change", "remove", "add"]))
        if kind == "add" or not keys:
            if isinstance(place, dict):
                place[draw(_keys)] = copy.deepcopy(draw(_values))
            else:
                place.insert(draw(st.integers(0, len(place))), copy.deepcopy(draw(_values)))
        elif kind == "remove":
            del place[draw(st.sampled_from(keys))]
        else:
            place[draw(st.sampled_from(keys))] = copy.deepcopy(draw(_values))
    return json.dumps(body).encode("utf-8", "surrogatepass")


@fuzz
@given(st.one_of(st.binary(), bodies(), bodies().flatmap(lambda data: st.composite(_damaged)(data))))
@example(b'{"model":"avengers","messages":[{"role":"assistant","":"","tool_calls":"0"}]}')
def test_the_proxy(data: bytes) -> None:
    targets.proxy(data)


@pytest.mark.parametrize("model", [targets.MINI, targets.HAIKU])
@pytest.mark.parametrize("stream", [False, True])
def test_whole_bodies_are_answered(model: str, stream: bool) -> None:
    for body in _whole_bodies[:2]:
        assert targets.proxy(json.dumps({**body, "model": model, "stream": stream}).encode())


@pytest.mark.parametrize("data", [b'\x00{"quer\xd6": "r"}\n', b"\xffquery\n\xd6\n"])
def test_names_that_are_no_utf8_are_refused(data: bytes) -> None:
    assert not targets.questions(data)
    assert not targets.records(data[1:])


def test_an_archive_with_a_name_that_is_no_utf8_is_refused() -> None:
    whole = bytearray(targets.zipped({**targets.base(), "x\u00fa.npy": b""}))
    while (at := whole.find("\u00fa".encode())) >= 0:
        whole[at : at + 2] = b"\xfa\xfa"
    assert not targets.artifact(bytes(whole))


# --- large and hostile files ---


def peak_mebibytes(run: Any) -> float:
    tracemalloc.start()
    try:
        run()
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak / 2**20


def refused(path: Path, error: type[Exception], message: str, read: Any) -> Any:
    def run() -> None:
        with pytest.raises(error, match=message):
            read(path)

    return run


def test_a_line_of_100_megabytes_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    plain_file, packed = tmp_path / "r.jsonl", tmp_path / "r.jsonl.gz"
    with plain_file.open("wb") as file:
        file.write(b'{"index": 1, "dataset": "d", "query": "' + b"x" * (100 << 20) + b'", "records": {"m": 1}}\n')
    with gzip.open(packed, "wb", compresslevel=1) as zipped:
        for _ in range(400):  # 400 MiB of one line, in a file of two
            zipped.write(b"x" * (1 << 20))
    for path in (plain_file, packed):
        peak = peak_mebibytes(refused(path, RecordError, "longer than 64 MiB", load_records))
        assert peak < 4 * 64 + 20, f"{path.name}: {peak:.0f} MiB"


def test_a_long_line_that_is_allowed_is_read(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps({"index": 1, "dataset": "d", "query": "x " * (8 << 20), "records": {"m": 1}}) + "\n")
    assert len(load_records(path)) == 1


@pytest.mark.slow
def test_zip_bombs_are_refused_in_bounded_memory(tmp_path: Path) -> None:
    files = targets.base()
    for name in ("centers.npy", "manifest.json"):
        path = tmp_path / f"{name}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for other, data in files.items():
                if other != name:
                    archive.writestr(other, data)
            with archive.open(name, "w", force_zip64=True) as member:
                for _ in range(512):
                    member.write(b" " * (1 << 20))
        assert path.stat().st_size < 2 << 20
        peak = peak_mebibytes(refused(path, ArtifactError, "larger than the manifest says", load_artifact))
        assert peak < 40, f"{name}: {peak:.0f} MiB"
    huge = targets.sealed(
        {"sources": [], "cluster_sources": [], "settings.n_clusters": 2**22, "parts.centers.shape": [2**22, 256]}
    )
    (tmp_path / "h.zip").write_bytes(huge)
    assert peak_mebibytes(refused(tmp_path / "h.zip", ArtifactError, "more than this library", load_artifact)) < 40
    many = {**files, **{f"x{n}.npy": b"" for n in range(5000)}}
    (tmp_path / "m.zip").write_bytes(targets.zipped(many))
    refused(tmp_path / "m.zip", ArtifactError, "do not belong", load_artifact)()


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text('{"index": 1, "dataset": "d", "query": "q", "records": ' + "[" * 200_000 + "\n")
    refused(path, RecordError, r"r.jsonl:1: ", load_records)()
    targets.proxy(b"[" * 200_000)
    targets.proxy(b'{"messages": ' + b'{"a":' * 50_000)


def test_memory_stays(tmp_path: Path) -> None:
    """Thousands of refusals leave nothing behind."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(2000):
        targets.records(b'{"index": 1, "dataset": %d' % number)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 << 10
