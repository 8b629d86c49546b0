"""The ledger: one row for each attempt at a call, in SQLite or any database that SQLAlchemy speaks to."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from ..errors import LedgerError, MissingExtraError
from .budget import PICO
from .entry import TOKEN_COLUMNS, Entry, feedback_score, now, spent_amount


def default_ledger_path() -> Path:
    """``~/.local/share/avengers/ledger.sqlite`` (XDG_DATA_HOME is honoured)."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "avengers" / "ledger.sqlite"


class Ledger:
    """Writes and reads entries; threads and processes may share one database.

    Args:
        url: an SQLAlchemy URL (``postgresql+psycopg://...``) or the path of an SQLite file; default:
            ``$AVENGERS_LEDGER``, else `default_ledger_path`.
        store_prompts: keep the text that was routed. It is not kept unless asked.

    Raises:
        MissingExtraError: SQLAlchemy is not installed.
        LedgerError: the database cannot be opened.
    """

    def __init__(self, url: str | Path | None = None, *, store_prompts: bool = False) -> None:
        try:
            import sqlalchemy as sa
        except ImportError:
            raise MissingExtraError("the ledger", "ledger") from None
        self._sa = sa
        self.url = _as_url(url)
        self.store_prompts = store_prompts
        self._scopes_known: set[str] = set()
        metadata = sa.MetaData()
        text, whole = sa.String, sa.BigInteger
        self._calls = sa.Table(
            "calls",
            metadata,
            sa.Column("id", whole().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
            sa.Column("time", sa.DateTime(timezone=True), nullable=False),
            sa.Column("day", text(10), nullable=False),
            *(sa.Column(name, text(64), nullable=False) for name in ("call", "decision")),
            sa.Column("attempt", sa.Integer, nullable=False),
            *(sa.Column(name, text(255), nullable=False) for name in ("model", "provider", "status", "session", "run")),
            sa.Column("tags", sa.Text, nullable=False),
            sa.Column("error", text(255), nullable=False),
            sa.Column("alpha", sa.Float, nullable=False),
            *(sa.Column(kind, whole) for kind in TOKEN_COLUMNS),
            sa.Column("picodollars", whole),
            sa.Column("expected_picodollars", whole),
            sa.Column("seconds", sa.Float, nullable=False),
            sa.Column("prompt", sa.Text),
            # Later columns may be NULL: they are added to ledgers that older versions made.
            sa.Column("artifact", text(12)),
            sa.Column("cluster", sa.Integer),
            sa.Column("similarity", sa.Float),
            sa.Column("propensity", sa.Float),
            sa.Index("calls_by_day", "day", "model"),
            sa.Index("calls_by_call", "call"),
        )
        self._feedback = sa.Table(
            "feedback",
            metadata,
            sa.Column("id", whole().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
            sa.Column("time", sa.DateTime(timezone=True), nullable=False),
            sa.Column("call", text(64), nullable=False),
            sa.Column("key", text(255), nullable=False),
            sa.Column("score", sa.Float, nullable=False),
            sa.Index("feedback_by_call", "call"),
        )
        self._spend = sa.Table(
            "spend",
            metadata,
            sa.Column("scope", text(255), primary_key=True),
            sa.Column("picodollars", whole, nullable=False),
        )
        try:
            if self.url.drivername.startswith("sqlite") and self.url.database not in (None, "", ":memory:"):
                Path(self.url.database).expanduser().parent.mkdir(parents=True, exist_ok=True)
            self._engine = sa.create_engine(self.url, **_pool(self.url, sa))
            if self._engine.dialect.name == "sqlite":
                sa.event.listen(self._engine, "connect", _tune_sqlite)
                sa.event.listen(self._engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
            self._create(metadata)
        except (sa.exc.SQLAlchemyError, OSError, ImportError) as error:
            raise LedgerError(f"ledger {self.safe_url}: cannot be opened: {_short(error)}") from None
        self._insert = self._calls.insert()
        spend, amount = self._spend.c, sa.bindparam("amount", type_=whole)
        add = self._spend.update().where(spend.scope == sa.bindparam("key"))
        self._add = add.values(picodollars=spend.picodollars + amount)
        self._take = self._add.where(spend.picodollars + amount <= sa.bindparam("limit", type_=whole))

    def _create(self, metadata: Any) -> None:
        """Make what is missing; workers that start together may be in each other's way."""
        sa, table = self._sa, self._calls
        for attempt in range(5):
            try:
                metadata.create_all(self._engine)
                break
            except sa.exc.DBAPIError:
                if attempt == 4:
                    raise
                time.sleep(0.05 * 2**attempt)
        missing = {c.name for c in table.columns} - {c["name"] for c in sa.inspect(self._engine).get_columns("calls")}
        for name in sorted(missing):
            kind = table.c[name].type.compile(self._engine.dialect)
            # Another worker may be first.
            with contextlib.suppress(sa.exc.OperationalError, sa.exc.ProgrammingError), self._engine.begin() as db:
                db.execute(sa.DDL(f"ALTER TABLE calls ADD COLUMN {name} {kind}"))

    @property
    def safe_url(self) -> str:
        """The database's URL without its password."""
        return str(self.url.render_as_string(hide_password=True))

    def __repr__(self) -> str:
        return f"Ledger({self.safe_url!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.url.render_as_string(hide_password=False), self.store_prompts)

    def record(self, entry: Entry, scopes: Iterable[str] = (), reserved: Mapping[str, int] = {}) -> None:
        """Write one entry and add its cost to scopes, in one transaction.

        An unknown cost is added as the expected one, so that a budget holds where a provider reports no usage.

        Args:
            reserved: picodollars that `reserve` has set aside for it, by scope; they are given back.

        Raises:
            LedgerError: the database refused.
        """
        usage = entry.usage
        row: dict[str, Any] = {
            name: getattr(entry, name)
            for name in (
                "time",
                "call",
                "decision",
                "attempt",
                "model",
                "provider",
                "status",
                "session",
                "run",
                "error",
                "artifact",
                "cluster",
                "similarity",
                "propensity",
            )
        }
        row |= {kind: None if usage is None else getattr(usage, kind) for kind in TOKEN_COLUMNS}
        row |= {
            "day": entry.time.strftime("%Y-%m-%d"),
            "tags": json.dumps(entry.tags),
            "alpha": entry.alpha,
            "picodollars": entry.cost_pico,
            "expected_picodollars": entry.expected_cost_pico,
            "seconds": entry.seconds,
            "prompt": entry.prompt if self.store_prompts else None,
        }
        amount = spent_amount(entry)
        wanted = sorted({*scopes, *reserved})
        try:
            with self._engine.begin() as db:
                db.execute(self._insert, row)
                fresh = self._open_scopes(db, wanted)
                if wanted:
                    db.execute(self._add, [{"key": s, "amount": amount - reserved.get(s, 0)} for s in wanted])
        except self._sa.exc.SQLAlchemyError as error:
            raise LedgerError(f"ledger {self.safe_url}: a call could not be recorded: {_short(error)}") from error
        self._scopes_known.update(fresh)

    def reserve(self, amount: int, limits: Mapping[str, int]) -> bool:
        """Set picodollars aside for a call that is about to start; False, and nothing is, where a limit is passed.

        Workers on one database hold its limits together. What a worker that died had set aside stays spent: its
        provider may have been paid.

        Args:
            limits: picodollars that may be spent or set aside, by scope.

        Raises:
            LedgerError: the database refused.
        """
        if not limits:
            return True
        wanted = sorted(limits)  # always in one order, so that two workers cannot wait for each other
        try:
            with self._engine.begin() as db:
                fresh = self._open_scopes(db, wanted)
                for scope in wanted:
                    values = {"key": scope, "amount": amount, "limit": limits[scope]}
                    if not db.execute(self._take, values).rowcount:
                        db.rollback()
                        return False
        except self._sa.exc.SQLAlchemyError as error:
            raise LedgerError(f"ledger {self.safe_url}: no money could be set aside: {_short(error)}") from error
        self._scopes_known.update(fresh)
        return True

    def _open_scopes(self, db: Any, scopes: list[str]) -> list[str]:
        """Make rows of scopes that this process has not seen; returns those."""
        table, sa = self._spend, self._sa
        if len(self._scopes_known) > 10_000:
            self._scopes_known.clear()
        fresh = [scope for scope in scopes if scope not in self._scopes_known]
        for scope in fresh:
            if db.execute(sa.select(table.c.scope).where(table.c.scope == scope)).first() is None:
                # Another worker may be first; its row is as good.
                with contextlib.suppress(sa.exc.IntegrityError), db.begin_nested():
                    db.execute(table.insert(), {"scope": scope, "picodollars": 0})
        return fresh

    def add_feedback(self, call: str, score: float | bool | str, key: str = "user") -> None:
        """Say how good an answer was; a later score under the same key replaces an earlier one.

        Args:
            call: the call's id (``response_metadata["avengers"]["call_id"]``), or the framework's id of the run.
            score: from 0 to 1, True or False, ``"up"`` or ``"down"``.
            key: what was judged, such as ``user`` or ``correctness``.

        Raises:
            ValueError: the score is none. LedgerError: the database refused.
        """
        row = {"time": now(), "call": str(call), "key": key, "score": feedback_score(score)}
        try:
            with self._engine.begin() as db:
                db.execute(self._feedback.insert(), row)
        except self._sa.exc.SQLAlchemyError as error:
            raise LedgerError(f"ledger {self.safe_url}: feedback could not be recorded: {_short(error)}") from error

    def feedback(self) -> dict[str, dict[str, float]]:
        """The latest scores, by call or run and then by key."""
        c = self._feedback.c
        found: dict[str, dict[str, float]] = {}
        with self._engine.connect() as db:
            for call, key, score in db.execute(self._sa.select(c.call, c.key, c.score).order_by(c.id)):
                found.setdefault(call, {})[key] = score
        return found

    def spent(self, scopes: Iterable[str]) -> dict[str, int]:
        """Picodollars spent or set aside so far, by scope."""
        table = self._spend
        query = self._sa.select(table.c.scope, table.c.picodollars).where(table.c.scope.in_(list(scopes)))
        with self._engine.connect() as db:
            return {scope: int(amount) for scope, amount in db.execute(query)}

    def entries(self, since: str | None = None, until: str | None = None) -> Iterator[dict[str, Any]]:
        """Rows as plain values, oldest first, ``cost_usd`` as `Decimal` or None.

        Args:
            since, until: first and last day, ``2026-11-24``.
        """
        query = self._sa.select(self._calls).where(*self._between(since, until)).order_by(self._calls.c.id)
        with self._engine.connect() as db:
            for row in db.execution_options(stream_results=True).execute(query).mappings():
                values = dict(row)
                values["tags"] = json.loads(values["tags"])
                for name, column in (("cost_usd", "picodollars"), ("expected_cost_usd", "expected_picodollars")):
                    amount = values.pop(column)
                    values[name] = None if amount is None else Decimal(int(amount)) / PICO
                yield values

    def report(self, by: str = "model", since: str | None = None, until: str | None = None) -> list[dict[str, Any]]:
        """Totals by ``model``, ``day``, ``tag``, ``session``, ``provider`` or ``status``, dearest first.

        Each row has ``calls`` (that were answered), ``failed`` (attempts), tokens, ``cost_usd`` and
        ``unknown`` (answered calls without a known cost).

        Raises:
            ValueError: ``by`` is none of these.
        """
        known = ("model", "day", "tag", "session", "provider", "status")
        if by not in known:
            raise ValueError(f"by must be one of {', '.join(known)}, not {by!r}")
        sa, c = self._sa, self._calls.c
        column = c.tags if by == "tag" else c[by]
        answered = sa.case((c.status == "ok", 1), else_=0)
        query = (
            sa.select(
                column.label("key"),
                sa.func.sum(answered).label("calls"),
                sa.func.sum(1 - answered).label("failed"),
                sa.func.sum(sa.func.coalesce(c.input_tokens, 0)).label("input_tokens"),
                sa.func.sum(sa.func.coalesce(c.output_tokens, 0)).label("output_tokens"),
                sa.func.sum(sa.func.coalesce(c.picodollars, 0)).label("picodollars"),
                sa.func.sum(sa.case((c.picodollars.is_(None) & (c.status == "ok"), 1), else_=0)).label("unknown"),
            )
            .where(*self._between(since, until))
            .group_by(column)
        )
        totals: dict[str, dict[str, Any]] = {}
        with self._engine.connect() as db:
            for row in db.execute(query).mappings():
                values = {name: int(row[name]) for name in row if name != "key"}
                for key in (json.loads(row["key"]) or ["(none)"]) if by == "tag" else [row["key"]]:
                    total = totals.setdefault(key, dict.fromkeys(values, 0))
                    for name, value in values.items():
                        total[name] += value
        rows = [
            {by: key, **total, "cost_usd": Decimal(total.pop("picodollars")) / PICO} for key, total in totals.items()
        ]
        return sorted(rows, key=lambda row: (-row["cost_usd"], row[by]))

    def _between(self, since: str | None, until: str | None) -> list[Any]:
        day = self._calls.c.day
        return [*([day >= since] if since else []), *([day <= until] if until else [])]

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


def _reopen(url: str, store_prompts: bool) -> Ledger:
    return Ledger(url, store_prompts=store_prompts)


def _as_url(value: str | Path | None) -> Any:
    from sqlalchemy import URL, make_url
    from sqlalchemy.exc import ArgumentError

    given = value or os.environ.get("AVENGERS_LEDGER") or default_ledger_path()
    if isinstance(given, str) and "://" in given:
        try:
            return make_url(given)
        except ArgumentError:
            raise LedgerError("ledger: not an SQLAlchemy URL (dialect+driver://user:password@host/database)") from None
    return URL.create("sqlite", database=str(Path(given).expanduser()))


def _pool(url: Any, sa: Any) -> dict[str, Any]:
    if not url.drivername.startswith("sqlite"):
        return {"pool_pre_ping": True, "max_overflow": 50}
    if url.database in (None, "", ":memory:"):
        return {"poolclass": sa.pool.StaticPool, "connect_args": {"check_same_thread": False}}
    return {"max_overflow": -1, "connect_args": {"timeout": 60, "check_same_thread": False}}


def _tune_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's "begin" event says BEGIN IMMEDIATE
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _short(error: BaseException) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0][:300]
