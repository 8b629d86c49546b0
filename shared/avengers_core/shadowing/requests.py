"""Users' requests, from a ledger that kept prompts, or from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from ..collecting.questions import SUFFIXES
from ..errors import QuestionError
from ..ledger.factory import open_existing
from ..records.io import read_lines
from .types import ShadowRequest

__all__ = ["read_requests"]


def read_requests(source: str, since: str | None = None, until: str | None = None) -> list[ShadowRequest]:
    """The requests of a ledger or of a file.

    A ledger keeps prompts only if it was made with ``store_prompts=True``, and never answers. A file has JSON lines
    with ``query`` (what the router saw), and perhaps ``prompt`` (what was sent), ``answer``, ``model`` and ``index``.

    Args:
        source: Path or URL of a ledger, or a file that ends in .jsonl, .ndjson, or one of these with .gz.
        since: First day (UTC) of a ledger, such as ``2026-11-24``.
        until: Last day (UTC) of a ledger.

    Raises:
        QuestionError: If a line is not valid (the message names the file, the line and the field), or there is no
            request.
        LedgerError: If the ledger cannot be read.
    """
    if source.endswith(tuple(suffix for suffix in SUFFIXES if "sv" not in suffix)):
        requests = _from_file(Path(source))
    else:
        requests = _from_ledger(source, since, until)
    if not requests:
        raise QuestionError(f"{source}: no request with its text; a ledger keeps prompts if it has store_prompts=True")
    return requests


def _from_file(path: Path) -> list[ShadowRequest]:
    if not path.is_file():
        raise QuestionError(f"{path}: no such file")
    requests: list[ShadowRequest] = []
    for number, line in read_lines(path):
        try:
            row = msgspec.json.decode(line, type=dict[str, Any])
            fields = {"index": str(number), **{name: value for name, value in row.items() if value is not None}}
            fields["index"] = str(fields["index"])
            request = msgspec.convert(fields, ShadowRequest)
        except msgspec.ValidationError as error:
            reason, _, field = str(error).partition(" - at ")
            name = field.strip("`").removeprefix("$.") or "query"
            raise QuestionError(f"{path}:{number}: field '{name}': {reason}") from None
        except msgspec.DecodeError as error:
            raise QuestionError(f"{path}:{number}: not a JSON object: {error}") from None
        if not request.query.strip():
            raise QuestionError(f"{path}:{number}: field 'query': empty")
        requests.append(request)
    return requests


def _from_ledger(url: str, since: str | None, until: str | None) -> list[ShadowRequest]:
    return [
        ShadowRequest(row["prompt"], model=row["model"], index=f"{row['call']}/{row['attempt']}")
        for row in open_existing(url).entries(since, until)
        if row["status"] == "ok" and row["prompt"] and row["prompt"].strip()
    ]
