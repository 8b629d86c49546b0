"""How a ledger reaches its database. This module needs SQLAlchemy, so `Ledger` imports it when one is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from .._utils.files import user_path
from .._utils.sqlite import write_ahead
from ..errors import LedgerError

__all__ = ["as_url", "connect", "error_line", "reading", "sqlite_file"]

#: Seconds that a database may take to connect, for a lock and for a statement. A call waits that long at most.
WAIT = 10


def as_url(value: str | Path) -> sa.URL:
    """A database URL from a URL or from the path of an SQLite file.

    Raises:
        LedgerError: If it looks like a URL and is not one.
    """
    if isinstance(value, str) and "://" in value:
        try:
            return sa.make_url(value)
        except sa.exc.ArgumentError:
            raise LedgerError("ledger: not an SQLAlchemy URL (dialect+driver://user:password@host/database)") from None
    return sa.URL.create("sqlite", database=str(user_path(value)))


def connect(url: sa.URL, *, read_only: bool = False) -> sa.Engine:
    """An engine for a database; folders of an SQLite file are made.

    Args:
        url: The database.
        read_only: Whether the database is to refuse to be changed (SQLite and PostgreSQL can). Nothing is made then.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: If the URL is of an unknown kind.
        OSError: If the folder of the file cannot be made.
        ImportError: If the database's driver is not installed.
    """
    options = _pool_options(url)
    if read_only:
        return sa.create_engine(_read_only(url, options), **options)
    if _is_sqlite_file(url):
        user_path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, **options)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _tune_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def reading(engine: sa.Engine) -> sa.Engine:
    """The same engine for transactions that only read, so that they keep nobody from writing."""
    return engine.execution_options(avengers_only_reads=True)


def error_line(error: BaseException) -> str:
    """First line of what a database says of an error: no statement, no parameters."""
    return str(getattr(error, "orig", None) or error).splitlines()[0][:300]


def sqlite_file(url: sa.URL) -> Path | None:
    """The file of an SQLite ledger, None for any other."""
    return user_path(url.database or "") if _is_sqlite_file(url) else None


def _is_sqlite_file(url: sa.URL) -> bool:
    return url.drivername.startswith("sqlite") and url.database not in (None, "", ":memory:")


def _pool_options(url: sa.URL) -> dict[str, Any]:
    if not url.drivername.startswith("sqlite"):
        limits = {name: value for name, value in _time_limits(url).items() if name not in url.query}
        return {"pool_pre_ping": True, "max_overflow": 50, "pool_timeout": WAIT, "connect_args": limits}
    if not _is_sqlite_file(url):
        return {"poolclass": sa.pool.StaticPool, "connect_args": {"check_same_thread": False}}
    return {"max_overflow": -1, "connect_args": {"timeout": WAIT, "check_same_thread": False}}


def _read_only(url: sa.URL, options: dict[str, Any]) -> sa.URL:
    """The URL of a database that refuses changes; for PostgreSQL, ``options`` say so."""
    if _is_sqlite_file(url):
        path = user_path(url.database or "").resolve()
        return sa.URL.create("sqlite", database=path.as_uri(), query={"mode": "ro", "uri": "true"})
    if url.get_backend_name() == "postgresql":
        given = options["connect_args"]
        given["options"] = f"{given.get('options', '')} -c default_transaction_read_only=on".strip()
    return url


def _time_limits(url: sa.URL) -> dict[str, Any]:
    """Arguments of a driver that bound connecting, waiting for a lock and a statement; none for other drivers."""
    milliseconds = WAIT * 1000
    if url.drivername in ("postgresql", "postgresql+psycopg", "postgresql+psycopg2"):
        options = f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds}"
        return {
            "connect_timeout": WAIT,
            "options": options,
            "tcp_user_timeout": 2 * milliseconds,
            "keepalives_idle": WAIT,
        }
    if url.get_backend_name() in ("mysql", "mariadb"):
        return {"connect_timeout": WAIT, "read_timeout": WAIT, "write_timeout": WAIT}
    return {}


def _begin_sqlite(connection: sa.Connection) -> None:
    reads = connection.get_execution_options().get("avengers_only_reads")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _tune_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's "begin" event says BEGIN IMMEDIATE
    write_ahead(connection, WAIT)
    connection.execute("PRAGMA synchronous=NORMAL")
