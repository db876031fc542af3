"""What the store asks of a database, and what can go wrong with one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol

from imsuite.xmpp.errors import ImsuiteError

Row = tuple[Any, ...]  # a column holds str, int, float, bytes or None


class StoreError(ImsuiteError):
    """The store cannot do what was asked; str() is one line for the operator.

    condition: the stanza error that answers a stanza which failed for this reason.
    """

    condition: ClassVar[str] = "internal-server-error"


class StoreUnavailable(StoreError):
    """The database is closed, damaged, unreadable, or too busy."""


class StoreUnknown(StoreUnavailable):
    """The connection was lost while a transaction was being committed; it may be durable.

    Whoever looks does it on the connection that writes: that one works again only after the lost
    commit has come to its end, one way or the other.
    """


class StoreFull(StoreError):
    """There is no room left on the disk."""

    condition = "resource-constraint"


class StoreConflict(StoreError):
    """A row breaks a constraint of its table; nothing was written."""

    condition = "conflict"


class Cursor(Protocol):
    """What a function in a transaction works with: the cursor of PEP 249, `?` for values."""

    @property
    def rowcount(self) -> int:
        """Rows changed by the last statement; -1 after a SELECT."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Cursor:
        """Run one statement; return the cursor."""

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Cursor:
        """Run one statement once for each row of values; return the cursor."""

    def fetchone(self) -> Any:
        """Return the next row, or None after the last."""

    def fetchall(self) -> list[Any]:
        """Return the remaining rows."""

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A connection of PEP 249, in autocommit mode."""

    def cursor(self) -> Cursor:
        """Return a new cursor."""

    def close(self) -> None:
        """Close it."""


class Dialect(Protocol):
    """One kind of database. All methods block; none is called by two threads at once."""

    name: str  # as it stands in messages, without passwords
    words: Mapping[str, str]  # word in braces → what this database calls it; in table steps only
    module: str  # of PEP 249, for adbapi
    shared: bool  # may other threads and processes see the same database?
    readers: int  # connections for reading; 0: one connection does everything
    near: bool  # is a row found so quickly that the reactor may wait for it?
    returns: bool  # does a database that is unavailable come back by itself?

    def open(self) -> None:
        """Take possession of the database. Raises StoreError."""

    def connect(self, writing: bool) -> Connection:
        """Return a new connection that any one thread at a time may use. Raises StoreError."""

    def begin(self, connection: Connection, writing: bool) -> None:
        """Begin a transaction, with a view of the data that stays the same until its end."""

    def end(self, connection: Connection, commit: bool) -> None:
        """Commit, or roll back if the transaction is still under way."""

    def begin_steps(self, connection: Connection) -> None:
        """Begin the transaction in which table steps run."""

    def end_steps(self, connection: Connection, commit: bool) -> None:
        """End that transaction. Raises StoreError if the steps left broken references."""

    def tables(self, cursor: Cursor) -> set[str]:
        """Return the names of the tables there are."""

    def changes(self, connection: Connection) -> int:
        """Return how many rows this connection has changed so far, or 0 if it cannot change any."""

    def put_aside(self, connection: Connection, version: str, now: float) -> str | None:
        """Copy the database before it is changed; return where to, or None if not needed.

        version: of imsuite, about to change it; now: seconds since 1970 UTC.
        """

    def holder(self, connection: Connection) -> str | None:
        """Return which process has the database, "process N" and where; None if none has."""

    def damage(self, connection: Connection) -> str | None:
        """Return what is wrong inside the database, as far as a quick look shows."""

    def finish(self, connection: Connection) -> None:
        """Do what is useful before the last connection that writes is closed."""

    def error(self, error: Exception, writing: bool) -> Exception:
        """Return the StoreError that an exception of the module means, or the exception itself."""

    def close(self) -> None:
        """Give the database back, after all connections are closed."""
