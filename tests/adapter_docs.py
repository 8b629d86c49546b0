"""The tables of fields in docs/, read for the tests of both adapters."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def table_of_fields(page: str) -> dict[str, dict[str, str]]:
    """Rows by field: the cells of a row by the heads of its columns."""
    lines = (ROOT / "docs" / page).read_text().splitlines()
    head = next(line for line in lines if re.match(r"\| *parameter *\|", line))
    columns = [cell.strip() for cell in head.strip("|").split("|")]
    rows = {}
    for line in lines[lines.index(head) + 2 :]:
        if not line.startswith("|"):
            break
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        for name in re.findall(r"`(\w+)`", cells[0]):
            rows[name] = dict(zip(columns, cells, strict=True))
    return rows


def documented_default(row: dict[str, str]) -> str | None:
    """The default as it is written in Python, None if the table describes it in words."""
    found = re.fullmatch(r"`([^`]*)`", row["default"])
    return found.group(1) if found else None
