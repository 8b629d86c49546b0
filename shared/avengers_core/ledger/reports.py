"""Totals of a ledger's rows. This module needs SQLAlchemy, so `Ledger` imports it when it is first used."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import sqlalchemy as sa

from ..records.schema import TIMING
from .budget import dollars
from .schema import calls

__all__ = ["GROUPS", "between", "report", "timing"]

#: What rows can be grouped by.
GROUPS = ("model", "day", "tag", "session", "provider", "status")


def between(since: str | None, until: str | None) -> list[sa.ColumnElement[bool]]:
    """Conditions on the day of a row.

    Args:
        since: First day (UTC), such as ``2026-11-24``; None: no limit.
        until: Last day (UTC); None: no limit.

    Raises:
        ValueError: If one is not a day.
    """
    day = calls.c.day
    for name, value in (("since", since), ("until", until)):
        if value:
            _check_day(name, value)
    return [*([day >= since] if since else []), *([day <= until] if until else [])]


def _check_day(name: str, value: str) -> None:
    try:
        valid = date.fromisoformat(value).isoformat() == value
    except ValueError:
        valid = False
    if not valid:
        raise ValueError(f"{name}: {value!r} is not a day such as 2026-11-24")


def report(
    db: sa.Connection, by: str = "model", since: str | None = None, until: str | None = None
) -> list[dict[str, Any]]:
    """Totals of calls, see `Ledger.report`.

    Args:
        db: A connection to the ledger's database.
        by: One of `GROUPS`.
        since: First day (UTC), such as ``2026-11-24``; None: no limit.
        until: Last day (UTC); None: no limit.

    Raises:
        ValueError: If ``by`` is not one of `GROUPS`.
    """
    if by not in GROUPS:
        raise ValueError(f"by must be one of {', '.join(GROUPS)}, not {by!r}")
    query = _totals_by(calls.c.tags if by == "tag" else calls.c[by]).where(*between(since, until))
    totals: dict[str, dict[str, Any]] = {}
    for row in db.execute(query).mappings():
        values = {name: _total(row[name], name) for name in row if name != "key"}
        for key in (json.loads(row["key"]) or ["(none)"]) if by == "tag" else [row["key"]]:
            total = totals.setdefault(key, dict.fromkeys(values, 0))
            for name, value in values.items():
                total[name] += value
    for total in totals.values():
        streamed = total.pop("streamed")
        total["seconds"] = total["seconds"] / total["calls"] if total["calls"] else None
        total["first_token_seconds"] = total["first_token_seconds"] / streamed if streamed else None
    costs = {key: dollars(total.pop("picodollars")) for key, total in totals.items()}
    rows = [{by: key, **total, "cost_usd": costs[key]} for key, total in totals.items()]
    return sorted(rows, key=lambda row: (-row["cost_usd"], row[by]))


def _total(value: Any, name: str) -> int | float:
    return float(value) if name.endswith("seconds") else int(value)


def _totals_by(column: sa.ColumnElement[Any]) -> sa.Select[Any]:
    c = calls.c
    answered = sa.case((c.status == "ok", 1), else_=0)
    return sa.select(
        column.label("key"),
        sa.func.sum(answered).label("calls"),
        sa.func.sum(1 - answered).label("failed"),
        sa.func.sum(sa.func.coalesce(c.input_tokens, 0)).label("input_tokens"),
        sa.func.sum(sa.func.coalesce(c.output_tokens, 0)).label("output_tokens"),
        sa.func.sum(sa.func.coalesce(c.picodollars, 0)).label("picodollars"),
        sa.func.sum(answered * c.seconds).label("seconds"),
        sa.func.sum(answered * sa.func.coalesce(c.first_token_seconds, 0.0)).label("first_token_seconds"),
        sa.func.sum(answered * sa.case((c.first_token_seconds.is_(None), 0), else_=1)).label("streamed"),
        sa.func.sum(sa.case((c.picodollars.is_(None), 1), else_=0)).label("unknown"),
    ).group_by(column)


def timing(db: sa.Connection, since: str | None = None, until: str | None = None) -> dict[str, list[float]]:
    """Sums of durations by model, see `Ledger.timing`.

    Args:
        db: A connection to the ledger's database.
        since: First day (UTC), such as ``2026-11-24``; None: no limit.
        until: Last day (UTC); None: no limit.

    Raises:
        ValueError: If one is not a day.
    """
    c = calls.c
    output = sa.cast(c.output_tokens, sa.Float)
    streamed = sa.case((c.first_token_seconds <= c.seconds, 1), else_=0)
    first = sa.func.coalesce(c.first_token_seconds, 0.0)
    terms = {
        "n": sa.literal(1),
        "seconds": c.seconds,
        "output": output,
        "output_squares": output * output,
        "seconds_output": c.seconds * output,
        "n_first": streamed,
        "first_seconds": streamed * first,
        "later_seconds": streamed * (c.seconds - first),
        "later_output": streamed * output,
    }
    query = (
        sa.select(c.model, *(sa.func.sum(terms[name]).label(name) for name in TIMING))
        .where(c.status == "ok", c.output_tokens.is_not(None), *between(since, until))
        .group_by(c.model)
    )
    return {row.model: [float(getattr(row, name)) for name in TIMING] for row in db.execute(query)}
