"""What a ledger holds, read for people who look at it. This module needs SQLAlchemy.

Sums are made by the database. A day that has ended is summed once: `DailySums` keeps what it has summed, by day, for as
long as the day has as many rows.
"""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ..errors import LedgerError
from .connection import as_url, connect, error_line, sqlite_file
from .entry import now
from .reports import between
from .rows import TOKEN_COLUMNS, from_row
from .schema import calls, decisions, feedback, missing, spend
from .store import default_ledger_path

__all__ = ["CallFilter", "LedgerReader"]

#: Threads that sum days, at most. Databases work while Python waits for them.
_MOST_THREADS = 4

#: Columns that calls are summed by.
_KEYS = ("day", "model", "provider", "status")


@dataclass(frozen=True)
class CallFilter:
    """Which rows are read; None and empty text: all.

    Attributes:
        since: First day (UTC), such as ``2026-11-24``.
        until: Last day (UTC).
        model: Id of the model.
        status: ``ok``, a kind of failure, ``cancelled``, or ``failed`` for all but ``ok``.
        session: The session.
        tag: A tag.
    """

    since: str | None = None
    until: str | None = None
    model: str = ""
    status: str = ""
    session: str = ""
    tag: str = ""

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """The filter in SQL.

        Raises:
            ValueError: If a day is not one.
        """
        c = calls.c
        found = between(self.since, self.until)
        found += [c[name] == value for name in ("model", "session") if (value := getattr(self, name))]
        if self.status:
            found.append(c.status != "ok" if self.status == "failed" else c.status == self.status)
        if self.tag:
            found.append(c.tags.contains(json.dumps(self.tag), autoescape=True))
        return found


class LedgerReader:
    """Reads a ledger, and changes nothing in it. Threads may share it.

    Args:
        url: An SQLAlchemy URL or the path of an SQLite file. Default: ``$AVENGERS_LEDGER``, else the user's ledger.

    Raises:
        FileNotFoundError: If the file does not exist.
        LedgerError: If the database cannot be read, or is of another version.
    """

    def __init__(self, url: str | Path | None = None) -> None:
        self.url = as_url(url or os.environ.get("AVENGERS_LEDGER") or default_ledger_path())
        file = sqlite_file(self.url)
        self.name = str(file or self.url.render_as_string(hide_password=True))
        if file is not None and not file.is_file():
            raise FileNotFoundError(f"{self.name}: no such ledger; ChatAvengers(ledger={self.name!r}) writes one")
        try:
            self._engine = connect(self.url, read_only=True)
            sa.inspect(self._engine).get_columns(calls.name)
            lacking = missing(self._engine)
        except sa.exc.NoSuchTableError:
            raise LedgerError(f"ledger {self.name}: cannot be read: it has no table of calls") from None
        except (sa.exc.SQLAlchemyError, OSError, ImportError) as error:
            raise LedgerError(f"ledger {self.name}: cannot be read: {error_line(error)}") from None
        if lacking:
            raise LedgerError(
                f"ledger {self.name}: it was written by an earlier version of avengers-router; `avengers ledger "
                f"{self.name}` brings it up to date"
            )
        self._sums = DailySums(self._all)

    def newest(self) -> int:
        """Number of the newest row, which grows with each attempt; 0 if there is none."""
        return int(self._all(sa.select(sa.func.coalesce(sa.func.max(calls.c.id), 0)))[0][0])

    def totals(self, since: str | None = None, until: str | None = None) -> list[dict[str, Any]]:
        """Sums of attempts by day, model, provider, status, whether they were fallbacks, and whether they were routed.

        Each has these keys (``known``: whether the cost is known), ``attempts``, ``picodollars`` and
        ``expected_picodollars`` (int), ``seconds``, and the tokens of all kinds.

        Args:
            since: First day (UTC), such as ``2026-11-24``; None: no limit.
            until: Last day (UTC); None: no limit.
        """
        return self._sums.read(since, until)

    def tags(self, since: str | None = None, until: str | None = None) -> list[dict[str, Any]]:
        """Attempts and cost by tag, the most expensive first. A call with several tags counts for each of them."""
        sums: dict[str, list[int]] = {}
        c = calls.c
        query: sa.Select[Any] = (
            sa.select(c.tags, sa.func.count(), sa.func.sum(sa.func.coalesce(c.picodollars, 0)))
            .where(*between(since, until))
            .group_by(c.tags)
        )
        for tags, attempts, amount in self._all(query):
            for tag in json.loads(tags) or ["(none)"]:
                total = sums.setdefault(tag, [0, 0])
                total[0] += int(attempts)
                total[1] += int(amount)
        rows = [{"tag": tag, "attempts": n, "picodollars": amount} for tag, (n, amount) in sums.items()]
        return sorted(rows, key=lambda row: (-int(row["picodollars"]), row["tag"]))

    def sessions(self, since: str | None = None, until: str | None = None, limit: int = 20) -> list[dict[str, Any]]:
        """Attempts, cost and last row of the sessions that cost most."""
        c = calls.c
        amount = sa.func.sum(sa.func.coalesce(c.picodollars, 0)).label("picodollars")
        query = (
            sa.select(c.session, sa.func.count().label("attempts"), amount, sa.func.max(c.time).label("last"))
            .where(c.session != "", *between(since, until))
            .group_by(c.session)
            .order_by(amount.desc(), c.session)
            .limit(limit)
        )
        return [dict(row._mapping) for row in self._all(query)]

    def limits(self, at: datetime | None = None) -> list[dict[str, Any]]:
        """Scopes with a limit that still counts: today's, and those of sessions of yesterday and today, fullest first.

        Args:
            at: The time (UTC). Default: the present.
        """
        at = at or now()
        today, yesterday = (f"{at - timedelta(days=days):%Y-%m-%d}" for days in (0, 1))
        active = sa.select(sa.literal("session:") + calls.c.session).where(calls.c.day >= yesterday).distinct()
        scope, limit = spend.c.scope, spend.c.limit_picodollars
        query: sa.Select[Any] = sa.select(scope, spend.c.picodollars, limit).where(
            limit.is_not(None), sa.or_(scope.in_([f"day:{today}", f"shadow:{today}"]), scope.in_(active))
        )
        rows = [
            {"scope": name, "picodollars": int(amount), "limit_picodollars": int(most)}
            for name, amount, most in self._all(query)
        ]
        return sorted(rows, key=lambda row: -row["picodollars"] / max(row["limit_picodollars"], 1))

    def cooling_down(self, at: datetime | None = None) -> list[dict[str, Any]]:
        """Models that the apps do not ask now, with the seconds left and the failure that is the reason.

        Args:
            at: The time (UTC). Default: the present.
        """
        at, c = at or now(), calls.c
        query = (
            sa.select(c.id, c.model, c.time, c.seconds, c.cooldown_seconds, c.status)
            .where(c.day >= f"{at - timedelta(days=1):%Y-%m-%d}", sa.or_(c.cooldown_seconds > 0, c.status == "ok"))
            .where(c.time >= at - timedelta(hours=2))
            .order_by(c.id)
        )
        found: dict[str, dict[str, Any]] = {}
        for row in self._all(query):
            found.pop(row.model, None)
            if row.cooldown_seconds:
                end = _utc(row.time) + timedelta(seconds=row.seconds + row.cooldown_seconds)
                found[row.model] = {"model": row.model, "status": row.status, "seconds": (end - at).total_seconds()}
        return [one for one in found.values() if one["seconds"] > 0]

    def page(self, chosen: CallFilter, before: int | None = None, limit: int = 50) -> list[dict[str, Any]]:
        """Attempts, the newest first.

        Args:
            chosen: Which ones.
            before: Number of the row that they come before. Default: from the newest one.
            limit: How many, at most.
        """
        columns = [column for column in calls.c if column.name != "prompt"]
        query = sa.select(*columns).where(*chosen.conditions()).order_by(calls.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(calls.c.id < before)
        return [from_row(row._mapping) for row in self._all(query)]

    def call(self, name: str) -> list[dict[str, Any]]:
        """The attempts of a call, or of all calls of a framework's run, oldest first; none if there is no such one.

        Args:
            name: Id of the call, or else of the run.
        """
        for column in (calls.c.call, calls.c.run):
            rows = self._all(sa.select(calls).where(column == name).order_by(calls.c.id).limit(200))
            if rows:
                return [from_row(row._mapping) for row in rows]
        return []

    def decision(self, call: str) -> dict[str, Any] | None:
        """What the router weighed for a call, as `Decision.summary` returns it; None if the ledger does not have it."""
        rows = self._all(sa.select(decisions.c.body).where(decisions.c.call == call))
        return json.loads(rows[0][0]) if rows else None

    def feedback(self, names: Iterable[str]) -> list[dict[str, Any]]:
        """Scores that were given to calls or runs, oldest first."""
        c = feedback.c
        query = sa.select(c.time, c.key, c.score).where(c.call.in_(list(names))).order_by(c.id)
        return [dict(row._mapping) for row in self._all(query)]

    def feedback_by_model(self, since: str | None = None, until: str | None = None) -> list[dict[str, Any]]:
        """Number and mean of the latest scores, by model and key; a score is the model's that answered."""
        c, given = calls.c, feedback.c
        latest = sa.select(sa.func.max(given.id)).group_by(given.call, given.key)
        answered = [c.status == "ok", *between(since, until)]
        query = (
            sa.select(c.model, given.key, sa.func.count().label("scores"), sa.func.avg(given.score).label("mean"))
            .select_from(feedback.join(calls, sa.or_(given.call == c.call, sa.and_(given.call == c.run, c.run != ""))))
            .where(given.id.in_(latest), *answered)
            .group_by(c.model, given.key)
            .order_by(c.model, given.key)
        )
        return [dict(row._mapping) for row in self._all(query)]

    def recent(self, columns: Sequence[str], limit: int) -> list[dict[str, Any]]:
        """The newest attempts, with ``cost_usd`` and ``expected_cost_usd`` if their columns are asked for.

        Args:
            columns: Columns of the table ``calls``.
            limit: How many, at most.
        """
        query = sa.select(*(calls.c[name] for name in columns)).order_by(calls.c.id.desc()).limit(limit)
        return [from_row({"tags": "[]", **row._mapping}) for row in self._all(query)]

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _all(self, query: sa.Select[Any]) -> Sequence[Any]:
        try:
            with self._engine.connect() as db:
                return db.execute(query).all()
        except sa.exc.SQLAlchemyError as error:
            raise LedgerError(f"ledger {self.name}: cannot be read: {error_line(error)}") from None


class DailySums:
    """Sums of attempts, which are kept for days that have as many rows as when they were summed.

    Args:
        read: Gives all rows of a query.
    """

    def __init__(self, read: Callable[[sa.Select[Any]], Sequence[Any]]) -> None:
        self._all = read
        self._days: dict[str, tuple[int, list[dict[str, Any]]]] = {}
        self._lock = threading.Lock()

    def read(self, since: str | None, until: str | None) -> list[dict[str, Any]]:
        """See `LedgerReader.totals`."""
        day = calls.c.day
        counted: sa.Select[Any] = sa.select(day, sa.func.count()).where(*between(since, until)).group_by(day)
        with self._lock:
            counts = {day: int(count) for day, count in self._all(counted)}
            changed = sorted(day for day, count in counts.items() if self._days.get(day, (None,))[0] != count)
            if changed:
                found: dict[str, list[dict[str, Any]]] = {name: [] for name in changed}
                part = math.ceil(len(changed) / min(os.cpu_count() or 1, _MOST_THREADS))
                parts = [changed[start : start + part] for start in range(0, len(changed), part)]
                with ThreadPoolExecutor(len(parts)) as threads:
                    for rows in threads.map(self._sum, parts):
                        for row in rows:
                            found[row["day"]].append(row)
                self._days |= {name: (counts[name], rows) for name, rows in found.items()}
            return [row for day in sorted(counts) for row in self._days[day][1]]

    def _sum(self, days: Sequence[str]) -> list[dict[str, Any]]:
        c = calls.c
        tests = {"fallback": c.attempt > 0, "routed": c.decision != "", "known": c.picodollars.is_not(None)}
        keys = [
            *(c[name] for name in _KEYS),
            *(sa.case((test, 1), else_=0).label(name) for name, test in tests.items()),
        ]
        sums = ("picodollars", "expected_picodollars", "seconds", *TOKEN_COLUMNS)
        query = sa.select(
            *keys,
            sa.func.count().label("attempts"),
            *(sa.func.coalesce(sa.func.sum(c[name]), 0).label(name) for name in sums),
        ).group_by(*keys)
        return [_numbers(row._mapping) for row in self._all(query.where(c.day.in_(days)))]


def _numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    """Sums as plain numbers; some databases return `Decimal`."""
    whole = {name for name in values if name not in (*_KEYS, "seconds")}
    return {name: int(value) if name in whole else value for name, value in values.items()} | {
        "seconds": float(values["seconds"])
    }


def _utc(time: datetime) -> datetime:
    """A time of a row; SQLite forgets the time zone."""
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)
