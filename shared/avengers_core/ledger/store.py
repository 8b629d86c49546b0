"""The ledger: one row for each attempt at a call, in SQLite or any database that SQLAlchemy speaks to."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from .._utils.workers import run_within
from ..errors import LedgerError, MissingExtraError
from .entry import Entry, feedback_score, now, spent_amount
from .rows import COLUMNS, from_row, to_row
from .writer import PATIENCE, PendingRow, RowWriter, wait

__all__ = ["Ledger", "default_ledger_path"]

_log = logging.getLogger("avengers")

T = TypeVar("T")

#: Scopes that a ledger remembers to have rows; beyond that it starts anew.
_REMEMBERED_SCOPES = 10_000


def default_ledger_path() -> Path:
    """``~/.local/share/avengers/ledger.sqlite`` (XDG_DATA_HOME is honoured)."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "avengers" / "ledger.sqlite"


class Ledger:
    """Writes and reads entries. Threads and processes may share one database.

    Args:
        url: An SQLAlchemy URL (``postgresql+psycopg://...``) or the path of an SQLite file. Default:
            ``$AVENGERS_LEDGER``, else `default_ledger_path`.
        store_prompts: Whether the text that was routed is kept.
        store_decisions: Whether what the router weighed is kept: the best candidates with their expected scores, costs
            and seconds, and why others were left out.

    Attributes:
        writer: Writes the rows; its length is how many are not written yet.

    Raises:
        MissingExtraError: If SQLAlchemy is not installed.
        LedgerError: If the database cannot be opened, or was written by a later version of this library.
    """

    blocks = True
    keeps_entries = True

    def __init__(
        self, url: str | Path | None = None, *, store_prompts: bool = False, store_decisions: bool = True
    ) -> None:
        try:
            import sqlalchemy as sa
        except ImportError:
            raise MissingExtraError("the ledger", "ledger") from None
        from . import connection, schema
        from .statements import Statement

        self._sa, self._schema = sa, schema
        self.url = connection.as_url(url or os.environ.get("AVENGERS_LEDGER") or default_ledger_path())
        self.store_prompts, self.store_decisions = store_prompts, store_decisions
        self._scopes_known: set[str] = set()
        self._passing = (sa.exc.OperationalError, sa.exc.TimeoutError, sa.exc.InterfaceError, OSError)
        self._reopening = threading.Lock()
        self._file: Path | None = None
        self._opened: tuple[int, int] | None = None
        self.writer = RowWriter(
            self._write, lambda error: isinstance(error.__cause__, self._passing), bounded=self._bounded
        )
        try:
            self._engine = connection.connect(self.url)
            schema.prepare(self._engine)
            self._reader = connection.reading(self._engine)
            self._file = connection.sqlite_file(self.url)
            self._opened = self._file_id()
        except (sa.exc.SQLAlchemyError, OSError, ImportError, LedgerError) as error:
            reason = connection.error_line(error)
            raise LedgerError(f"ledger {self.safe_url}: cannot be opened: {reason}") from None
        spend, amount = schema.spend.c, sa.bindparam("amount", type_=sa.BigInteger)
        add = schema.spend.update().where(spend.scope == sa.bindparam("key"))
        limit = sa.bindparam("limit", type_=sa.BigInteger)
        take = add.values(picodollars=spend.picodollars + amount, limit_picodollars=limit)
        dialect = self._engine.dialect
        self._insert = Statement(schema.calls.insert(), dialect, COLUMNS)
        self._insert_decision = Statement(schema.decisions.insert(), dialect, ("call", "body"))
        self._add = Statement(add.values(picodollars=spend.picodollars + amount), dialect)
        self._take = Statement(take.where(spend.picodollars + amount <= limit), dialect)
        _open_ledgers.add(self)

    @property
    def safe_url(self) -> str:
        """The database's URL without its password."""
        return str(self.url.render_as_string(hide_password=True))

    def __repr__(self) -> str:
        return f"Ledger({self.safe_url!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.url.render_as_string(hide_password=False), self.store_prompts, self.store_decisions)

    def record(self, entry: Entry, scopes: Iterable[str] = (), reserved: Mapping[str, int] = {}) -> None:
        """Write one entry and add its cost to scopes, in one transaction.

        Entries of several threads and tasks are written together. If the database does not answer in time, or cannot be
        reached, the row is written later.

        An unknown cost is added as the expected one, so that a budget holds if a provider reports no usage.

        Args:
            entry: The attempt.
            scopes: Scopes to add its cost to, see `avengers_core.ledger.budget.budget_scopes`.
            reserved: Picodollars that `reserve` has set aside for it, by scope. They are given back, and its cost is
                added to these scopes as well.

        Raises:
            LedgerError: If the database refuses the row.
        """
        wait(self.begin_record(entry, scopes, reserved, waits=True))

    def begin_record(
        self, entry: Entry, scopes: Iterable[str] = (), reserved: Mapping[str, int] = {}, *, waits: bool = False
    ) -> Future[None]:
        """`record`, which does not wait.

        Args:
            entry: As for `record`.
            scopes: As for `record`.
            reserved: As for `record`.
            waits: Whether the caller waits for it anyway, so that it may be done in the caller's thread.

        Returns:
            What is done when the row is written, or kept for later as the database takes none now. It fails with
            `LedgerError` if the database refuses the row.
        """
        row = to_row(entry, store_prompt=self.store_prompts)
        amount = spent_amount(entry)
        amounts = {scope: amount - reserved.get(scope, 0) for scope in sorted({*scopes, *reserved})}
        return self.writer.add(row, amounts, self._described(entry), waits=waits)

    def _described(self, entry: Entry) -> str | None:
        """What the router weighed; once for each call."""
        if not self.store_decisions or entry.attempt or entry.describe_decision is None:
            return None
        try:
            return entry.describe_decision()
        except ValueError as error:  # an id that is no text; the row matters more
            _log.warning("the decision on call %s cannot be kept: %s", entry.call, error)
            return None

    def _write(self, batch: Sequence[PendingRow]) -> None:
        """Write rows in one transaction."""
        with self._transaction("a call could not be recorded") as db:
            new = [pending for pending in batch if not (pending.tried and self._is_there(db, pending.row))]
            if not new:
                return
            amounts: Counter[str] = Counter()
            for pending in new:
                amounts.update(pending.amounts)
            self._insert.execute(db, [pending.row for pending in new])
            weighed = [{"call": one.row["call"], "body": one.decision} for one in new if one.decision is not None]
            if weighed:
                self._insert_decision.execute(db, weighed)
            scopes = sorted(amounts)  # always in one order, so that two workers cannot wait for each other
            opened = self._open_scopes(db, scopes)
            if scopes:
                self._add.execute(db, [{"key": scope, "amount": amounts[scope]} for scope in scopes])
        self._scopes_known.update(opened)

    def _is_there(self, db: Any, row: Mapping[str, Any]) -> bool:
        """Whether a row was written: a write may have come through although its answer was lost."""
        c = self._schema.calls.c
        query = self._sa.select(c.id).where(c.call == row["call"], c.attempt == row["attempt"])
        return db.execute(query).first() is not None

    def reserve(self, amount: int, limits: Mapping[str, int]) -> bool:
        """Set money aside for an attempt that is about to start.

        Workers on one database hold its limits together. What a worker that died had set aside stays spent: its
        provider may have been paid.

        Args:
            amount: Picodollars that it is expected to cost.
            limits: Picodollars that may be spent or set aside, by scope.

        Returns:
            False if it would exceed a limit; then nothing is set aside.

        Raises:
            LedgerError: If the database refuses.
        """
        if limits and not self._in_time(lambda: self._reserve(amount, limits)):
            return False
        self.writer.expect()
        return True

    def release(self, amount: int, scopes: Iterable[str]) -> None:
        """Give back what `reserve` has set aside for an attempt that was not started.

        Args:
            amount: Picodollars that were set aside.
            scopes: Scopes that they were set aside in.

        Raises:
            LedgerError: If the database refuses.
        """
        if values := [{"key": scope, "amount": -amount} for scope in sorted(scopes)]:
            self._in_time(lambda: self._release(values))

    def _release(self, values: Sequence[Mapping[str, Any]]) -> None:
        with self._transaction("no money could be given back") as db:
            self._add.execute(db, values)

    def _reserve(self, amount: int, limits: Mapping[str, int]) -> bool:
        scopes = sorted(limits)  # always in one order, so that two workers cannot wait for each other
        with self._transaction("no money could be set aside") as db:
            opened = self._open_scopes(db, scopes)
            for scope in scopes:
                values = {"key": scope, "amount": amount, "limit": limits[scope]}
                if not self._take.execute(db, [values]).rowcount:
                    db.rollback()
                    return False
        self._scopes_known.update(opened)
        return True

    def spent(self, scopes: Iterable[str]) -> dict[str, int]:
        """Picodollars spent or set aside so far, by scope.

        Raises:
            LedgerError: If the database does not answer.
        """
        return self._in_time(lambda: self._spent(scopes))

    def _spent(self, scopes: Iterable[str]) -> dict[str, int]:
        spend, sa = self._schema.spend, self._sa
        query = sa.select(spend.c.scope, spend.c.picodollars).where(spend.c.scope.in_(list(scopes)))
        with self._reading() as db:
            return {scope: int(amount) for scope, amount in db.execute(query)}

    def add_feedback(self, call: str, score: float | bool | str, key: str = "user") -> None:
        """Say how good an answer was; a later score under the same key replaces an earlier one.

        Args:
            call: The call's id (``response_metadata["avengers"]["call_id"]``), or the framework's id of the run.
            score: A number from 0 to 1, True or False, ``"up"`` or ``"down"``.
            key: What was judged, such as ``user`` or ``correctness``.

        Raises:
            ValueError: If the score is not a number in [0, 1], a bool, ``"up"`` or ``"down"``.
            LedgerError: If the row cannot be written.
        """
        row = {"time": now(), "call": str(call), "key": key, "score": feedback_score(score)}
        with self._transaction("feedback could not be recorded") as db:
            db.execute(self._schema.feedback.insert(), row)

    def feedback(self) -> dict[str, dict[str, float]]:
        """The latest scores, by call or run and then by key.

        Raises:
            LedgerError: If the database does not answer.
        """
        c = self._schema.feedback.c
        scores: dict[str, dict[str, float]] = {}
        query = self._sa.select(c.call, c.key, c.score).order_by(c.id)
        with self._reading() as db:
            for call, key, score in db.execute(query):
                scores.setdefault(call, {})[key] = score
        return scores

    def entries(self, since: str | None = None, until: str | None = None) -> Iterator[dict[str, Any]]:
        """Rows as plain values, oldest first, with ``cost_usd`` and ``expected_cost_usd`` as `Decimal` or None.

        Args:
            since: First day (UTC), such as ``2026-11-24``; None: no limit.
            until: Last day (UTC); None: no limit.

        Raises:
            LedgerError: If the database does not answer.
            ValueError: If one is not a day.
        """
        from .reports import between

        calls = self._schema.calls
        query = self._sa.select(calls).where(*between(since, until)).order_by(calls.c.id)
        with self._reading() as db:
            for row in db.execution_options(stream_results=True).execute(query).mappings():
                yield from_row(row)

    def report(self, by: str = "model", since: str | None = None, until: str | None = None) -> list[dict[str, Any]]:
        """Totals of calls, the most expensive first.

        Each row has ``calls`` (that were answered), ``failed`` (attempts), tokens, the cost as ``cost_usd`` (a
        `Decimal`), ``unknown`` (attempts without a known cost), and the answers' mean ``seconds`` and
        ``first_token_seconds`` (of streams), None if there are none. A call with several tags counts under each.

        Args:
            by: ``model``, ``day``, ``tag``, ``session``, ``provider`` or ``status``.
            since: First day (UTC), such as ``2026-11-24``; None: no limit.
            until: Last day (UTC); None: no limit.

        Raises:
            LedgerError: If the database does not answer.
            ValueError: If ``by`` is something else.
        """
        from .reports import report

        with self._reading() as db:
            return report(db, by, since, until)

    def timing(self, since: str | None = None, until: str | None = None) -> dict[str, list[float]]:
        """Durations of the answered calls whose output tokens are known, for `update_artifact`.

        Args:
            since: First day (UTC), such as ``2026-11-24``; None: no limit.
            until: Last day (UTC); None: no limit.

        Returns:
            For each model, sums by `avengers_core.records.schema.TIMING`.

        Raises:
            LedgerError: If the database does not answer.
            ValueError: If one is not a day.
        """
        from .reports import timing

        with self._reading() as db:
            return timing(db, since, until)

    @property
    def schema_version(self) -> int:
        """Version of the database's tables."""
        return int(self._schema.read_version(self._engine) or self._schema.SCHEMA_VERSION)

    def close(self) -> None:
        """Write what waits, and close the connections."""
        if len(self.writer):
            self.writer.close()
        self._engine.dispose()

    def _in_time(self, function: Callable[[], T]) -> T:
        """What a function returns that asks the database. A server that hangs without a word is not waited for.

        Raises:
            LedgerError: If it takes too long.
        """
        if self._bounded:
            return function()
        failure = f"ledger {self.safe_url}: the database does not answer"
        try:
            return run_within(PATIENCE + 2, function, failure)  # the server's own limits come first
        except TimeoutError:
            raise LedgerError(failure) from None

    @property
    def _bounded(self) -> bool:
        """Whether the database's own time limits always hold: no network is in between."""
        return bool(self.url.drivername.startswith("sqlite"))

    @contextlib.contextmanager
    def _transaction(self, failure: str) -> Iterator[Any]:
        """A transaction.

        Raises:
            LedgerError: If the database refuses; ``failure`` says what has not happened then.
        """
        try:
            self._reopen_if_replaced()
            with self._engine.begin() as db:
                yield db
        except (self._sa.exc.SQLAlchemyError, OSError) as error:
            raise self._refused(failure, error) from error

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Any]:
        """A connection to read with, which holds up nobody who writes.

        Raises:
            LedgerError: If the database does not answer.
        """
        try:
            self._reopen_if_replaced()
            with self._reader.connect() as db:
                yield db
        except (self._sa.exc.SQLAlchemyError, OSError) as error:
            raise self._refused("it could not be read", error) from error

    def _refused(self, failure: str, error: Exception) -> LedgerError:
        from .connection import error_line

        return LedgerError(f"ledger {self.safe_url}: {failure}: {error_line(error)}")

    def _file_id(self) -> tuple[int, int] | None:
        """What tells an SQLite ledger's file from another one under the same name; None if there is none."""
        try:
            found = None if self._file is None else os.stat(self._file)
        except FileNotFoundError:
            return None
        return None if found is None else (found.st_dev, found.st_ino)

    def _reopen_if_replaced(self) -> None:
        """Open the file of an SQLite ledger again if it was removed: open connections would write into nothing.

        Another process may have begun a new one already.
        """
        if self._file is None or self._file_id() == self._opened:
            return
        with self._reopening:
            if self._file_id() == self._opened:
                return
            _log.error("ledger %s: the file was removed while in use; a new one is begun", self.safe_url)
            self._engine.dispose()
            self._scopes_known.clear()
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._schema.prepare(self._engine)
            self._opened = self._file_id()

    def _forget_connections(self) -> None:
        """In a forked child: connections are the parent's."""
        self._engine.dispose(close=False)

    def _open_scopes(self, db: Any, scopes: list[str]) -> list[str]:
        """Make rows of scopes that this process has not seen; returns those."""
        spend, sa = self._schema.spend, self._sa
        if len(self._scopes_known) > _REMEMBERED_SCOPES:
            self._scopes_known.clear()
        unseen = [scope for scope in scopes if scope not in self._scopes_known]
        for scope in unseen:
            if db.execute(sa.select(spend.c.scope).where(spend.c.scope == scope)).first() is None:
                # Another worker may be first; its row is as good.
                with contextlib.suppress(sa.exc.IntegrityError), db.begin_nested():
                    db.execute(spend.insert(), {"scope": scope, "picodollars": 0})
        return unseen


_open_ledgers: weakref.WeakSet[Ledger] = weakref.WeakSet()


def _after_fork() -> None:
    for ledger in list(_open_ledgers):
        ledger._forget_connections()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _reopen(url: str, store_prompts: bool, store_decisions: bool) -> Ledger:
    return Ledger(url, store_prompts=store_prompts, store_decisions=store_decisions)
