"""The store: SQL that is waited for, on twisted.enterprise.adbapi.

A call goes to a thread and its answer comes back to the reactor. Measured on Python 3.11 with a
query by primary key, in µs of CPU: adbapi's own threads 65 when it is the only call under way and
38 when there are many; the threads below 41 and 9; no thread, as `Store.lookup` does, 6.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from queue import SimpleQueue
from typing import Any, NoReturn, TypeVar

from twisted.enterprise import adbapi
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from imsuite.core.interfaces import IStore, Table
from imsuite.core.record import Ids, Record
from imsuite.store import groups, schema
from imsuite.store.dialect import (
    Connection,
    Dialect,
    Row,
    StoreError,
    StoreUnavailable,
)
from imsuite.store.sqlite import Sqlite

MOST_WAITING = 20_000  # calls under way in one pool; more are refused

T = TypeVar("T")
Job = tuple["Deferred[Any]", Callable[..., Any], tuple[Any, ...]]


class Threads:
    """A few threads that stay and take their work, in order, from one queue.

    It stands where adbapi has a ThreadPool. Answers that are ready together come back to the
    reactor together.
    """

    def __init__(self, reactor: IReactorFromThreads, count: int, name: str) -> None:
        self._reactor = reactor
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._done: deque[tuple[Deferred[Any], Any, BaseException | None]] = deque()
        self._waking = False  # will _answer be called soon?
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True)
            for number in range(count)
        ]
        self._ended: Deferred[None] = Deferred()
        self._left = count  # threads that have not ended
        self.running = False

    @property
    def waiting(self) -> int:
        """Return how many calls no thread has taken yet."""
        return self._jobs.qsize()

    def start(self) -> None:
        """Start the threads."""
        self.running = True
        for thread in self._threads:
            thread.start()

    def finish(self) -> Deferred[None]:
        """Take no more work; fire when what was taken before is done and answered."""
        if not self.running:
            return succeed(None)
        self.running = False
        for _ in self._threads:
            self._jobs.put(None)
        return self._ended

    def stop(self) -> None:
        """Finish and wait for it, which blocks (adbapi calls this when the reactor stops)."""
        self.finish()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def run(self, function: Callable[..., T], *args: Any) -> Deferred[T]:
        """Call function(*args) in a thread; fire with what it returns."""
        if not self.running:
            return fail(StoreUnavailable("the store is closed"))
        if self._jobs.qsize() >= MOST_WAITING:
            return fail(StoreUnavailable("too many calls wait for the store"))
        answer: Deferred[T] = Deferred()
        self._jobs.put((answer, function, args))
        return answer

    def callInThreadWithCallback(
        self, on_result: Callable[[bool, Any], object], function: Callable[..., Any], *args: Any
    ) -> None:
        """Call function(*args), then on_result(success, result), both in a thread."""

        def call() -> None:
            try:
                result = function(*args)
            except Exception as error:
                on_result(False, Failure(error))
            else:
                on_result(True, result)

        self.run(call).addErrback(lambda failure: on_result(False, failure))

    def _work(self) -> None:
        take = self._jobs.get
        while (job := take()) is not None:
            answer, function, args = job
            try:
                self._give(answer, function(*args), None)
            except BaseException as error:
                self._give(answer, None, error)
            # the thread now waits, perhaps for hours, and must not keep what it worked on
            del job, answer, function, args
        self._reactor.callFromThread(self._end)

    def _give(self, answer: Deferred[Any], result: Any, error: BaseException | None) -> None:
        # the order matters: what is appended before _waking is seen set will be answered
        self._done.append((answer, result, error))
        if not self._waking:
            self._waking = True
            self._reactor.callFromThread(self._answer)

    def _answer(self) -> None:
        self._waking = False
        for _ in range(len(self._done)):
            answer, result, error = self._done.popleft()
            if error is None:
                answer.callback(result)
            else:
                answer.errback(error)

    def _end(self) -> None:
        self._left -= 1
        if not self._left:
            self._answer()
            self._ended.callback(None)


class Pool(adbapi.ConnectionPool):
    """adbapi's pool, with connections made beforehand and one of our threads for each.

    Whoever wants adbapi's own calls (`runInteraction` …) finds them working.
    """

    def __init__(
        self, reactor: Any, dialect: Dialect, connections: Iterable[Connection], name: str
    ) -> None:
        self._spare = list(connections)
        count = len(self._spare)
        self.threads = Threads(reactor, count, name)
        super().__init__(  # type: ignore[no-untyped-call]
            dialect.module, cp_reactor=reactor, cp_min=count, cp_max=count, cp_name=name
        )
        self.start()

    def start(self) -> None:
        """Start the threads; adbapi does it too as soon as the reactor runs."""
        self.threadpool: Any = self.threads  # has what adbapi needs of one
        super().start()  # type: ignore[no-untyped-call]

    def connect(self) -> Connection:
        """Return the connection of this thread."""
        me = threading.get_ident()
        connection: Connection | None = self.connections.get(me)
        if connection is None:
            connection = self.connections[me] = self._spare.pop()
        return connection

    def run(self, function: Callable[..., T], *args: Any) -> Deferred[T]:
        """Call function(connection, *args) in a thread; fire with what it returns."""
        return self.threads.run(self._call, function, args)

    def _call(self, function: Callable[..., T], args: tuple[Any, ...]) -> T:
        return function(self.connect(), *args)

    async def finish(self) -> None:
        """Do what was begun, then close the connections."""
        await self.threads.finish()
        self.close()  # type: ignore[no-untyped-call]
        for connection in self._spare:
            connection.close()


@implementer(IStore)
class Store:
    """One database.

    url: sqlite:///path, sqlite:///:memory:, or postgresql://user:password@host/database. clock:
    tells the time. reactor: where answers come back; without one, as for a database in memory,
    every call is done at once, in the caller's thread, and its Deferred has already fired.
    readers: threads for reading an SQLite file; PostgreSQL has twice as many.

    All calls fail with StoreFull, StoreUnavailable or StoreConflict when the database does.
    Two calls that are not awaited one after the other may run in any order, except that the
    writing ones keep theirs.
    """

    log = Logger()

    def __init__(
        self,
        url: str,
        clock: IReactorTime,
        reactor: IReactorFromThreads | None = None,
        readers: int = 2,
    ) -> None:
        self.dialect = dialect(url, readers)
        self.clock = clock
        self._reactor = reactor if self.dialect.shared else None
        self._writer: Pool | None = None
        self._readers: Pool | None = None
        self._here: Connection | None = None  # used in the caller's thread
        self._closing = False
        self.ids = Ids(clock)
        self._groups = groups.Groups(self)

    @property
    def name(self) -> str:
        """Return what is stored where, for messages."""
        return self.dialect.name

    @property
    def waiting(self) -> int:
        """Return how many calls no thread has taken yet."""
        pools = (self._writer, self._readers)
        return sum(pool.threads.waiting for pool in pools if pool is not None)

    def open(self, tables: Iterable[Table] = ()) -> None:
        """Open the database and bring the tables up to date; blocks for a moment.

        Not before the process has forked. Raises StoreError, one line, if it cannot be used,
        another imsuite runs on it, or it is of a newer version.
        """
        if self._here is not None:
            return
        opened: list[Connection] = []
        self.dialect.open()
        try:
            opened.append(self.dialect.connect(writing=True))
            self._migrate(opened[0], tuple(tables))
            self._groups.begin(opened[0])
            if self._reactor is not None:
                opened += [
                    self.dialect.connect(writing=False) for _ in range(self.dialect.readers + 1)
                ]
        except BaseException:
            for connection in opened:
                connection.close()
            self.dialect.close()
            raise
        self._here = opened.pop()
        if self._reactor is not None:
            self._writer = Pool(self._reactor, self.dialect, opened[:1], "store-writer")
            self._readers = Pool(self._reactor, self.dialect, opened[1:], "store-reader")

    def query(self, sql: str, *args: object) -> Deferred[list[Row]]:
        """Return the rows of a SELECT, which may be a long one."""
        return self._on(self._readers, self._query, sql, args)

    def lookup(self, sql: str, *args: object) -> Deferred[list[Row]]:
        """Return the rows of a SELECT that reads a few rows by an index.

        Where the database is near it is done without a thread: that costs a tenth of `query`,
        but the server stands still meanwhile, and the Deferred has already fired.
        """
        return self._on(None if self.dialect.near else self._readers, self._query, sql, args)

    def execute(self, sql: str, *args: object) -> Deferred[int]:
        """Run one statement that writes; return how many rows it changed, once it is durable."""
        return self._on(self._writer, self._execute, sql, args)

    def transaction(self, function: Callable[..., T], *args: object) -> Deferred[T]:
        """Run function(cursor, *args), which may block, in one transaction; return its result.

        The transaction is durable when the Deferred fires, and undone if the function raised.
        """
        return self._on(self._writer, self._transact, True, function, args)

    def read(self, function: Callable[..., T], *args: object) -> Deferred[T]:
        """Run function(cursor, *args), which may block and only reads, on one view of the data."""
        return self._on(self._readers, self._transact, False, function, args)

    def append(self, record: Record) -> None:
        """Commit what a message causes to be written, in its turn, then let it go out."""
        self._groups.append(record)

    def settled(self) -> Deferred[None]:
        """Return what fires when everything appended so far is durable or was refused."""
        return self._groups.settled()

    @property
    def horizon(self) -> int | None:
        """The least id of a message that is not durable yet: those below it are complete."""
        return self._groups.horizon

    def run(self, function: Callable[..., T], *args: Any) -> Deferred[T]:
        """Call function(connection, *args), in its turn, on the connection that writes."""
        return self._on(self._writer, function, *args)

    def soon(self, function: Callable[[], object]) -> None:
        """Call a function once this turn is over, or at once where there is no reactor."""
        if self._reactor is None:
            function()
        else:
            self.clock.callLater(0, function)

    def migrate(self, tables: Iterable[Table]) -> Deferred[None]:
        """Open the database and bring the tables up to date.

        Raises StoreError, one line, if the database is of a newer version, or cannot be used.
        """
        try:
            self.open()
        except StoreError as error:
            return fail(error)
        return self._on(self._writer, self._migrate, tuple(tables))

    async def _close(self, here: Connection) -> None:
        await self._groups.finish()
        self._here = None
        writer, readers = self._writer, self._readers
        if writer is None or readers is None:
            self.dialect.finish(here)
            here.close()
        else:
            here.close()
            await readers.finish()
            if writer.threads.running:
                await writer.run(self.dialect.finish)
            await writer.finish()
        self.dialect.close()

    def close(self) -> Deferred[None]:
        """Finish what was begun, close and unlock. May be called twice."""
        if self._here is None or self._closing:
            return succeed(None)
        self._closing = True
        return Deferred.fromCoroutine(self._close(self._here))

    def _on(self, pool: Pool | None, function: Callable[..., T], *args: Any) -> Deferred[T]:
        here = self._here
        if here is None:
            return fail(StoreUnavailable("the store is closed"))
        if pool is not None:
            return pool.run(function, *args)
        try:
            return succeed(function(here, *args))
        except Exception as error:
            return fail(error)

    def _raise(self, error: Exception, writing: bool) -> NoReturn:
        known = self.dialect.error(error, writing)
        if known is error:
            raise error
        raise known from error

    def _query(self, connection: Connection, sql: str, args: tuple[Any, ...]) -> list[Row]:
        before = self.dialect.changes(connection)
        try:
            rows = connection.cursor().execute(sql, args).fetchall()
        except Exception as error:
            self._raise(error, writing=False)
        if self.dialect.changes(connection) != before:
            raise TypeError("query() and lookup() are for reading; use execute() or transaction()")
        return rows

    def _execute(self, connection: Connection, sql: str, args: tuple[Any, ...]) -> int:
        cursor = connection.cursor()
        try:
            cursor.execute(sql, args)
            cursor.fetchall()  # a statement with RETURNING is not committed before
        except Exception as error:
            self._raise(error, writing=True)
        return cursor.rowcount

    def _transact(
        self,
        connection: Connection,
        writing: bool,
        function: Callable[..., T],
        args: tuple[Any, ...],
    ) -> T:
        before = self.dialect.changes(connection)
        try:
            self.dialect.begin(connection, writing)
            result = function(connection.cursor(), *args)
            if not writing and self.dialect.changes(connection) != before:
                raise TypeError("read() is for reading; use transaction()")
            self.dialect.end(connection, commit=True)
        except BaseException as error:
            with suppress(Exception):  # the first error is the one to tell
                self.dialect.end(connection, commit=False)
            if isinstance(error, Exception):
                self._raise(error, writing)
            raise
        return result

    def _migrate(self, connection: Connection, tables: tuple[Table, ...]) -> None:
        now = self.clock.seconds()
        try:
            count = schema.migrate(connection, self.dialect, tables, now, _version())
        except Exception as error:
            self._raise(error, writing=True)
        if count:
            self.log.info("{store}: {count} table steps were run", store=self.name, count=count)


def dialect(url: str, readers: int) -> Dialect:
    """Return the kind of database a URL names. Raises StoreError, without the URL's password."""
    scheme = url.partition(":")[0]
    if scheme in ("postgres", "postgresql"):
        try:
            from imsuite.store.postgres import Postgres
        except ImportError as why:
            raise StoreError(
                "a PostgreSQL store needs psycopg: pip install 'imsuite[postgres]'"
                f" ({str(why).splitlines()[0]})"
            ) from None
        return Postgres.from_url(url, 2 * readers)  # look-ups are theirs, too
    if scheme != "sqlite":
        raise StoreError(
            f"no store of kind {scheme[:20]!r} is known; use sqlite:///path/to/file or"
            " postgresql://user:password@host/database"
        )
    return Sqlite.from_url(url, readers)


def _version() -> str:
    try:
        return version("imsuite")
    except PackageNotFoundError:  # run from a tree that is not installed
        return "source"
