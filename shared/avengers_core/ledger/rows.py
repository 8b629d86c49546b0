"""Entries as rows of the table ``calls``, and rows as plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..pricing.types import TokenUsage
from .budget import dollars, storable
from .entry import Entry

__all__ = ["COLUMNS", "TOKEN_COLUMNS", "from_row", "to_row"]

#: Columns of token counts, one for each kind.
TOKEN_COLUMNS = TokenUsage.__struct_fields__

#: Characters of columns that are shorter than others.
_LONGEST = {"call": 64, "decision": 64, "artifact": 12}
_SAME = (
    "time", "call", "decision", "attempt", "model", "provider", "status", "alpha", "session", "run", "error", "seconds",
    "artifact", "cluster", "similarity", "propensity", "first_token_seconds",
    "cooldown_seconds",
)  # fmt: skip
_REST = ("day", "tags", "picodollars", "expected_picodollars", "prompt")

#: Columns that a new row has.
COLUMNS = (*_SAME, *TOKEN_COLUMNS, *_REST)


def to_row(entry: Entry, *, store_prompt: bool) -> dict[str, Any]:
    """An entry by column.

    Args:
        entry: The attempt.
        store_prompt: Whether the prompt is kept.
    """
    row = {name: getattr(entry, name) for name in _SAME}
    for name, value in row.items():
        if isinstance(value, str):
            row[name] = storable(value, _LONGEST.get(name, 200))
    row |= {kind: None if entry.usage is None else getattr(entry.usage, kind) for kind in TOKEN_COLUMNS}
    return row | {
        "day": entry.time.date().isoformat(),
        "tags": json.dumps([storable(tag) for tag in entry.tags]) if entry.tags else "[]",
        "picodollars": entry.cost_pico,
        "expected_picodollars": entry.expected_cost_pico,
        "prompt": storable(entry.prompt, len(entry.prompt)) if store_prompt and entry.prompt is not None else None,
    }


def from_row(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row as plain values: ``tags`` as a list, ``cost_usd`` and ``expected_cost_usd`` as `Decimal` or None."""
    values = dict(row)
    values["tags"] = json.loads(values["tags"])
    for name, column in (("cost_usd", "picodollars"), ("expected_cost_usd", "expected_picodollars")):
        amount = values.pop(column)
        values[name] = None if amount is None else dollars(amount)
    return values
