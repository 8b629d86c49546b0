"""Statements that are compiled once. SQLAlchemy alone takes several times as long for a row as SQLite takes for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

__all__ = ["Statement"]


class Statement:
    """An insert or an update with bound parameters, for one kind of database.

    Args:
        statement: The statement.
        dialect: The kind of database.
        names: Columns that an insert sets. Default: what the statement says itself.
    """

    def __init__(self, statement: sa.Insert | sa.Update, dialect: sa.Dialect, names: Sequence[str] = ()) -> None:
        if isinstance(statement, sa.Insert):
            statement = statement.inline()  # the new row's id is not asked for
        compiled = statement.compile(dialect=dialect, column_keys=list(names) or None)
        self._statement, self._sql = statement, str(compiled)
        self._order: Sequence[str] | None = compiled.positiontup
        self._converters: dict[str, Callable[[Any], Any]] = {}
        for name, parameter in compiled.binds.items():
            converter = parameter.type.dialect_impl(dialect).bind_processor(dialect)
            if converter is not None:
                self._converters[name] = converter
        # Other drivers send many rows one by one; SQLAlchemy sends them together.
        self._by_driver = dialect.name == "sqlite" or isinstance(statement, sa.Update)

    def execute(self, db: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> sa.CursorResult[Any]:
        """Execute it for each row.

        Args:
            db: A connection to a database of that kind.
            rows: Values by parameter, one row at least.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: If the database refuses.
        """
        if len(rows) == 1:
            return db.exec_driver_sql(self._sql, self._values(rows[0]))
        if self._by_driver:
            return db.exec_driver_sql(self._sql, [self._values(row) for row in rows])
        return db.execute(self._statement, rows)

    def _values(self, row: Mapping[str, Any]) -> Any:
        """A row as the driver takes it."""
        if self._converters:
            row = {**row, **{name: convert(row[name]) for name, convert in self._converters.items()}}
        return row if self._order is None else tuple(map(row.__getitem__, self._order))
