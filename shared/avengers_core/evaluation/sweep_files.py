"""The files of a sweep: its log, from which a stopped sweep continues, and tables for other programs."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from .._utils.files import replacing
from ..errors import MissingExtraError
from .sweep_rows import SweepRow, SweepSetting

__all__ = ["LOG", "append_run", "load_rows", "read_finished", "write_csv", "write_parquet"]

#: Name of the log in a sweep's folder.
LOG = "runs.jsonl"


class _Run(msgspec.Struct):
    """A line of the log: one finished unit of work.

    Attributes:
        identity: Of the records, alphas and split that the rows are made from.
        key: Of the unit.
        rows: The unit's rows.
    """

    identity: str
    key: str
    rows: list[SweepRow]


def load_rows(folder: str | Path) -> list[SweepRow]:
    """Load the rows of a finished or stopped sweep.

    Args:
        folder: Folder that the sweep was written to.

    Raises:
        ValueError: If there is no sweep in the folder, or a line of its log cannot be read.
    """
    path = Path(folder) / LOG
    if not path.is_file():
        raise ValueError(f"{folder}: no sweep is in this folder ({LOG} is missing); make one with avengers sweep")
    return [row for run in _read(path) for row in run.rows]


def read_finished(path: Path, identity: str) -> dict[str, list[SweepRow]]:
    """Read the finished units of a log, and remove a last line that was cut off.

    Args:
        path: The log. It need not exist.
        identity: What the sweep is made from.

    Returns:
        Rows by the key of their unit.

    Raises:
        ValueError: If the log has another identity, or a line of it cannot be read.
    """
    if not path.is_file():
        return {}
    finished = {}
    for run in _read(path):
        if run.identity != identity:
            raise ValueError(f"{path}: made from other records, alphas or train_ratio; give another folder")
        finished[run.key] = run.rows
    with replacing(path) as temporary:
        temporary.write_bytes(b"".join(_line(identity, key, rows) for key, rows in finished.items()))
    return finished


def append_run(path: Path, identity: str, key: str, rows: Sequence[SweepRow]) -> None:
    """Append a finished unit to a log.

    Args:
        path: The log.
        identity: What the sweep is made from.
        key: Key of the unit.
        rows: Its rows.
    """
    with path.open("ab") as log:
        log.write(_line(identity, key, rows))


def _line(identity: str, key: str, rows: Sequence[SweepRow]) -> bytes:
    return msgspec.json.encode(_Run(identity, key, list(rows))) + b"\n"


def _read(path: Path) -> Iterator[_Run]:
    """Lines of the log, except a last one that was cut off."""
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            yield msgspec.json.decode(line, type=_Run)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if number == len(lines) and not isinstance(error, msgspec.ValidationError):
                return
            raise ValueError(
                f"{path}: line {number} is not a finished run ({error}); remove it, and its unit is run again"
            ) from None


def write_csv(path: Path, rows: Iterable[SweepSetting]) -> None:
    """Write rows, without their shares of models, as CSV.

    Args:
        path: File to write.
        rows: Rows or summaries.
    """
    plain = _plain(rows)
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(plain[0]) if plain else [])
        writer.writeheader()
        writer.writerows(plain)


def write_parquet(path: Path, rows: Iterable[SweepSetting]) -> None:
    """Write rows, without their shares of models, as Parquet.

    Args:
        path: File to write.
        rows: Rows or summaries.

    Raises:
        MissingExtraError: If pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError("Parquet", "report") from None
    with replacing(path) as temporary:
        parquet.write_table(pyarrow.Table.from_pylist(_plain(rows)), temporary)


def _plain(rows: Iterable[SweepSetting]) -> list[Mapping[str, Any]]:
    return [{k: v for k, v in row.to_dict().items() if not isinstance(v, dict)} for row in rows]
