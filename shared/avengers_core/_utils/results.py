"""Results: frozen dataclasses that become plain values, JSON and tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

__all__ = ["Result", "Table", "to_json"]


class Result:
    """Base of the dataclasses that functions return for people and programs to read."""

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values: dicts, lists, strings and numbers. A float may be NaN."""
        plain: dict[str, Any] = msgspec.to_builtins(self, enc_hook=_plain)
        return plain


class Table(NamedTuple):
    """A table of text.

    Attributes:
        title: What it shows.
        columns: Heads of the columns.
        rows: Cells, as many in each row as there are columns.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def to_json(value: Any) -> str:
    """Indented JSON of a result or of plain values, with NaN and infinities, which JSON does not have, as null."""
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=_plain), indent=2).decode()


def _plain(value: Any) -> Any:
    """Numbers and lists of NumPy as those of Python."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"cannot be written as JSON: {type(value).__name__}")
