"""The ledger's tables. This module needs SQLAlchemy, so `Ledger` imports it when one is opened.

`SCHEMA_VERSION` is written into each ledger. It is raised for changes that an older version of this library cannot live
with. New columns that may be NULL are not such a change: they are added to older ledgers when those are opened.
"""

from __future__ import annotations

import contextlib
import time

import sqlalchemy as sa

from ..errors import LedgerError
from .rows import TOKEN_COLUMNS

__all__ = [
    "SCHEMA_VERSION",
    "calls",
    "decisions",
    "feedback",
    "missing",
    "prepare",
    "read_version",
    "schema_version",
    "spend",
]

#: Version of the tables below. Ledgers of before it was written down have the same tables.
SCHEMA_VERSION = 1

_metadata = sa.MetaData()


def _row_id() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True)


#: One row for each attempt, see `avengers_core.ledger.entry.Entry`.
calls = sa.Table(
    "calls",
    _metadata,
    _row_id(),
    sa.Column("time", sa.DateTime(timezone=True), nullable=False),
    sa.Column("day", sa.String(10), nullable=False),
    *(sa.Column(name, sa.String(64), nullable=False) for name in ("call", "decision")),
    sa.Column("attempt", sa.Integer, nullable=False),
    *(sa.Column(name, sa.String(255), nullable=False) for name in ("model", "provider", "status", "session", "run")),
    sa.Column("tags", sa.Text, nullable=False),
    sa.Column("error", sa.String(255), nullable=False),
    sa.Column("alpha", sa.Float, nullable=False),
    *(sa.Column(kind, sa.BigInteger) for kind in TOKEN_COLUMNS),
    sa.Column("picodollars", sa.BigInteger),
    sa.Column("expected_picodollars", sa.BigInteger),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("prompt", sa.Text),
    # Columns that the first ledgers did not have.
    sa.Column("artifact", sa.String(12)),
    sa.Column("cluster", sa.Integer),
    sa.Column("similarity", sa.Float),
    sa.Column("propensity", sa.Float),
    sa.Column("first_token_seconds", sa.Float),
    sa.Column("cooldown_seconds", sa.Float),
    sa.Index("calls_by_day", "day", "model"),
    sa.Index("calls_by_call", "call"),
)

#: Scores of answers; the last one of a call and key counts.
feedback = sa.Table(
    "feedback",
    _metadata,
    _row_id(),
    sa.Column("time", sa.DateTime(timezone=True), nullable=False),
    sa.Column("call", sa.String(64), nullable=False),
    sa.Column("key", sa.String(255), nullable=False),
    sa.Column("score", sa.Float, nullable=False),
    sa.Index("feedback_by_call", "call"),
)

#: What the router weighed for a call, as JSON, see `Decision.summary`.
decisions = sa.Table(
    "decisions",
    _metadata,
    sa.Column("call", sa.String(64), primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
)

#: Picodollars spent or set aside, by scope, and the limit that calls last had for it.
spend = sa.Table(
    "spend",
    _metadata,
    sa.Column("scope", sa.String(255), primary_key=True),
    sa.Column("picodollars", sa.BigInteger, nullable=False),
    sa.Column("limit_picodollars", sa.BigInteger),
)

#: One row: the version of the tables.
schema_version = sa.Table(
    "schema_version",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("version", sa.Integer, nullable=False),
)


def prepare(engine: sa.Engine) -> None:
    """Create what a ledger lacks: tables, columns, its version.

    Raises:
        LedgerError: If the ledger is of a later version than this library knows.
        sqlalchemy.exc.SQLAlchemyError: If the database refuses.
    """
    version = read_version(engine) if sa.inspect(engine).has_table(schema_version.name) else None
    if version is not None and version > SCHEMA_VERSION:
        raise LedgerError(
            f"it was written by a later version of avengers-router (its schema is {version}, this version knows "
            f"{SCHEMA_VERSION}); upgrade avengers-router"
        )
    _create_tables(engine)
    _add_columns(engine)
    if version is None:
        # Another worker may be first.
        with contextlib.suppress(sa.exc.IntegrityError), engine.begin() as db:
            db.execute(schema_version.insert(), {"id": 1, "version": SCHEMA_VERSION})


def read_version(engine: sa.Engine) -> int | None:
    """The version that a ledger's tables have, or None if it is not written down."""
    with engine.connect() as db:
        version = db.execute(sa.select(schema_version.c.version).where(schema_version.c.id == 1)).scalar()
    return None if version is None else int(version)


def _create_tables(engine: sa.Engine, attempts: int = 5) -> None:
    """Create missing tables. Workers that start together may be in each other's way, so it is tried a few times."""
    for attempt in range(attempts):
        try:
            _metadata.create_all(engine)
        except sa.exc.DBAPIError:
            if attempt == attempts - 1:
                raise
            time.sleep(0.05 * 2**attempt)
        else:
            return


def _add_columns(engine: sa.Engine) -> None:
    for table, name in missing(engine):
        kind = _metadata.tables[table].c[name].type.compile(engine.dialect)
        # Another worker may be first.
        with contextlib.suppress(sa.exc.OperationalError, sa.exc.ProgrammingError), engine.begin() as db:
            db.execute(sa.text(f"ALTER TABLE {table} ADD COLUMN {name} {kind}"))


def missing(engine: sa.Engine) -> list[tuple[str, str]]:
    """Columns that a ledger of an earlier version lacks, each with its table."""
    there = sa.inspect(engine).get_multi_columns(filter_names=list(_metadata.tables))
    known = {(table, column["name"]) for (_, table), columns in there.items() for column in columns}
    wanted = [(table.name, column.name) for table in _metadata.sorted_tables for column in table.columns]
    return [one for one in wanted if one not in known]
