"""Sessions with a PostgreSQL server that are made anew when they break."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from time import monotonic
from typing import Any

import attrs
import psycopg
from psycopg import pq

from imsuite.store.dialect import Row, StoreError, StoreUnavailable, StoreUnknown
from imsuite.store.postgres_words import for_rows, spelled

WRITING = (b"INSERT", b"UPDATE", b"DELETE", b"MERGE")  # what the server calls what it has done
IDLE = pq.TransactionStatus.IDLE
QUICK = 1.0  # seconds; an attempt to connect that failed later is not made again at once
LONGEST_WAIT = 5.0  # seconds until then, at most
MOST_ROWS = 64  # that one INSERT takes; a power of two
# the server has ended the session; libpq notices a little later
ENDED = ("08", "57P01", "57P02", "57P03", "57P05", "25P03")


@attrs.frozen
class Session:
    """A session with the server. backend, since: which of its processes has it."""

    raw: psycopg.Connection[Row]
    backend: int
    since: str


class Connection:
    """A connection of PEP 249 that outlives its sessions.

    make: returns a new session, given the one before, which may not have ended on the server's
    side, or raises StoreError; name: of the database, for messages; writing: it may write.

    A session that breaks is replaced by the next call outside a transaction. What the broken one
    was asked for has failed: StoreUnavailable if nothing can have been written by it, and
    StoreUnknown if it may.
    """

    def __init__(self, make: Callable[[Session | None], Session], name: str, writing: bool) -> None:
        self.changes = 0  # rows changed since the beginning
        self._make = make
        self._name = name
        self._writing = writing
        self._session: Session | None = None  # the last there was
        self._raw: psycopg.Connection[Row] | None = None  # None: broken, or not begun
        self._cursor: psycopg.RawCursor[Row] | None = None
        self._news = select.poll()
        self._transaction: bool | None = None  # under way, and does it write?
        self._closed = False
        self._why = ""  # the last attempt failed
        self._not_before = 0.0  # monotonic seconds

    def cursor(self) -> Cursor:
        """Return a new cursor."""
        return Cursor(self)

    def connect(self) -> None:
        """Begin a session, if there is none that works. Raises StoreError."""
        self._working()

    def close(self) -> None:
        """End the session."""
        self._closed = True
        self._drop()

    def commit(self) -> None:
        """Commit what is under way (adbapi calls this)."""
        self.end(commit=True)

    def rollback(self) -> None:
        """Undo what is under way (adbapi calls this)."""
        self.end(commit=False)

    def begin(self, writing: bool) -> None:
        """Begin a transaction."""
        words = "BEGIN" if writing else "BEGIN READ ONLY"
        try:
            self._plain(words, False)
        except StoreUnavailable:
            # a session that broke while it was idle took nothing along
            self._plain(words, False)
        self._transaction = writing

    def end(self, commit: bool) -> None:
        """Commit or roll back, if a transaction is under way."""
        writing = self._transaction
        if writing is None:
            return
        try:
            done = self._plain("COMMIT" if commit else "ROLLBACK", commit)
        except StoreUnavailable:
            if commit and writing:
                raise
            return
        finally:
            self._transaction = None
        if commit and done != "COMMIT":  # PostgreSQL answers so, and it is no error
            raise StoreError(
                f"{self._name}: a transaction was undone, because a statement in it had failed"
            )

    def execute(self, sql: str, parameters: Sequence[Any]) -> tuple[list[Row], int]:
        """Run a statement; return its rows, and how many it changed, -1 if it only reads."""
        cursor = self._working()
        rows: list[Row] = []
        try:
            cursor.execute(spelled(sql), parameters)
            result = cursor.pgresult
            if result is not None and result.status == pq.ExecStatus.TUPLES_OK:
                rows = cursor.fetchall()
                if not (result.command_status or b"").startswith(WRITING):
                    return rows, -1
        except psycopg.Error as error:
            self._look(error, self._transaction is None)
            raise
        self.changes += max(0, cursor.rowcount)
        return rows, cursor.rowcount

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> int:
        """Run a statement for each row of values; return how many rows it changed."""
        cursor = self._working()
        try:
            if for_rows(sql, 1) is None:
                cursor.executemany(spelled(sql), parameters)
                changed = cursor.rowcount
            else:
                changed = _insert(cursor, sql, parameters)
        except psycopg.Error as error:
            self._look(error, self._transaction is None)
            raise
        self.changes += max(0, changed)
        return changed

    def _plain(self, sql: str, commits: bool) -> str | None:
        """Run a statement without values or rows; return what the server calls it."""
        cursor = self._working()
        try:
            cursor.execute(sql, prepare=False)
        except psycopg.Error as error:
            self._look(error, commits)
            raise
        return cursor.statusmessage

    def _working(self) -> psycopg.RawCursor[Row]:
        """Return the cursor of a session that works, as far as can be seen."""
        raw = self._raw
        if raw is not None:
            if self._news.poll(0) and not self._hears(raw):
                self._drop()
            elif self._transaction is None and raw.pgconn.transaction_status != IDLE:
                self._drop()  # something kept a transaction from being ended
        if self._cursor is not None:
            return self._cursor
        if self._transaction is not None:
            raise StoreUnavailable(f"{self._name}: the session broke within a transaction")
        return self._begin_session()

    def _hears(self, raw: psycopg.Connection[Row]) -> bool:
        """Take what came although nothing was asked; tell whether the session still works."""
        try:
            while self._news.poll(0):
                raw.pgconn.consume_input()
        except psycopg.Error:
            return False
        return raw.pgconn.status == pq.ConnStatus.OK

    def _begin_session(self) -> psycopg.RawCursor[Row]:
        if self._closed:
            raise StoreUnavailable(f"{self._name}: the connection is closed")
        began = monotonic()
        if began < self._not_before:
            raise StoreUnavailable(self._why)
        try:
            session = self._session = self._make(self._session)
        except StoreError as error:
            took = monotonic() - began
            if took > QUICK:  # or each call of a long queue would wait as long
                self._why = str(error)
                self._not_before = monotonic() + min(took, LONGEST_WAIT)
            raise
        raw = self._raw = session.raw
        cursor = self._cursor = psycopg.RawCursor(raw)
        cursor.format = pq.Format.BINARY
        self._news = select.poll()
        self._news.register(raw.fileno(), select.POLLIN)
        return cursor

    def _look(self, error: psycopg.Error, commits: bool) -> None:
        """Raise what an error means if it ended the session; commits: something was to last."""
        raw = self._raw
        if raw is not None and not raw.closed and not (error.sqlstate or "").startswith(ENDED):
            return
        self._drop()
        if commits and self._writing:
            raise StoreUnknown(
                f"{self._name}: the session broke during a commit, which may have been done"
            ) from error
        raise StoreUnavailable(
            f"{self._name}: the session broke ({type(error).__name__})"
        ) from error

    def _drop(self) -> None:
        raw, self._raw, self._cursor = self._raw, None, None
        if raw is not None:
            with suppress(psycopg.Error):
                raw.close()


def _insert(cursor: psycopg.RawCursor[Row], sql: str, parameters: Iterable[Sequence[Any]]) -> int:
    """Insert many rows by few statements, of few lengths, so that they stay prepared."""
    rows = iter(parameters)
    changed = 0
    while part := list(islice(rows, MOST_ROWS)):
        while part:
            count = 1 << (len(part).bit_length() - 1)
            statement = for_rows(sql, count)
            assert statement is not None
            cursor.execute(statement, [value for row in part[:count] for value in row])
            changed += cursor.rowcount
            del part[:count]
    return changed


class Cursor:
    """A cursor of PEP 249, `?` for values; it has all rows when `execute` returns."""

    __slots__ = ("_connection", "_rows", "rowcount")

    def __init__(self, connection: Connection) -> None:
        self.rowcount = -1
        self._connection = connection
        self._rows: Iterator[Row] = iter(())

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Cursor:
        """Run one statement; return the cursor."""
        rows, self.rowcount = self._connection.execute(sql, parameters)
        self._rows = iter(rows)
        return self

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Cursor:
        """Run one statement once for each row of values; return the cursor."""
        self.rowcount = self._connection.executemany(sql, parameters)
        self._rows = iter(())
        return self

    def fetchone(self) -> Any:
        """Return the next row, or None after the last."""
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        """Return the remaining rows."""
        return list(self._rows)

    def __iter__(self) -> Iterator[Any]:
        return self._rows

    def close(self) -> None:
        """Let go of the rows (adbapi calls this)."""
        self._rows = iter(())
