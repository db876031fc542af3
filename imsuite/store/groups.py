"""Group commit: what messages cause to be written becomes durable in groups.

While one transaction is being committed the next one gathers, so that a lone message pays for a
commit of its own and a flood shares one among hundreds; there is no timer. The order of commits is
the order in which records came.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import cache
from operator import itemgetter
from typing import Any, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from imsuite.core.interfaces import Table
from imsuite.core.outbox import Outbox, Tracker
from imsuite.core.record import Ids, Insert, Record
from imsuite.store.dialect import (
    Connection,
    Cursor,
    Dialect,
    StoreError,
    StoreFull,
    StoreUnavailable,
    StoreUnknown,
)

MOST = 512  # records in one transaction
CHUNKS = (
    128,
    32,
    4,
)  # rows in one statement; a thread that runs few of them seldom waits for the GIL
FIRST_PAUSE = 0.1  # seconds before a lost database is tried again; doubled up to the longest
LONGEST_PAUSE = 5.0

MESSAGE = Insert("message", ("id", "salt", "refs", "raw"))
TABLES = (
    Table(
        "message",
        (
            """CREATE TABLE message (
        id {key},               -- µs since 1970 UTC, when it came
        salt BIGINT NOT NULL,   -- what makes its public id unguessable
        refs INTEGER NOT NULL,  -- how many rows point to it
        raw {blob} NOT NULL)    -- the stanza""",
        ),
        owner=None,
    ),
    Table(
        "last_group",
        (
            """CREATE TABLE last_group (
        one INTEGER PRIMARY KEY,
        number BIGINT NOT NULL)  -- of the last group that was committed""",
            "INSERT INTO last_group VALUES (1, 0)",
        ),
        owner=None,
    ),
)

_PLACE = itemgetter(0, 1)  # the first columns, in the order of which rows lie in their table

Rows = list[tuple[Any, ...]]
Plan = list[tuple["Insert | str", Rows]]


class Runner(Protocol):
    """What the groups need of the store."""

    dialect: Dialect
    clock: IReactorTime
    ids: Ids

    def run(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Call function(connection, *args) on the connection that writes."""

    def soon(self, function: Callable[[], object]) -> None:
        """Call a function at the end of this turn, or at once where there is no reactor."""


class Groups:
    """The records on their way into the database."""

    log = Logger()

    def __init__(self, store: Runner) -> None:
        self._store = store
        self._gathered: deque[Record] = deque()
        self._writing: list[Record] | None = None
        self._soon = False
        self._alone = 0  # so many records are written one by one, because one of them is bad
        self._appended = 0
        self._done = 0
        self._waiting: deque[tuple[int, Deferred[None]]] = deque()
        self._pause = FIRST_PAUSE
        self._number = 0
        self._counted: dict[Tracker, Record] = {}  # the last record of each in this group
        self._closing = False
        self._unknown = False  # was the group committed? nobody has said so yet

    def begin(self, connection: Connection) -> None:
        """Learn what was written before the server started."""
        cursor = connection.cursor()
        if "message" in self._store.dialect.tables(cursor):
            self._store.ids.skip(newest(cursor))
            self._number = last_group(connection)

    def finish(self) -> Deferred[None]:
        """Wait no longer for a lost database; fire when all records are durable or refused."""
        self._closing = True
        return self.settled()

    def append(self, record: Record) -> None:
        """Take a record; its stanzas get their places in what goes out now."""
        for place in record.places:
            place.session.make_outbox().put(place)
        record.gathered = True
        self._gathered.append(record)
        self._appended += 1
        for function in record.followers:
            function()
        self._go_on()

    @property
    def horizon(self) -> int | None:
        """The least id of a message that is not durable yet, None where there is none.

        Messages below it are complete: none of them can come later.
        """
        open_ids = [record.id for record in (*(self._writing or ()), *self._gathered) if record.id]
        open_ids += self._store.ids.waiting
        return min(open_ids, default=None)

    def settled(self) -> Deferred[None]:
        """Return what fires when all records so far are durable or were refused."""
        if self._done == self._appended:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._waiting.append((self._appended, waiting))
        return waiting

    def _go_on(self) -> None:
        if self._writing is None and not self._soon and self._gathered:
            self._soon = True
            self._store.soon(self._write)

    def _write(self) -> None:
        """Write the next group."""
        self._soon = False
        most = 1 if self._alone else MOST
        gathered = self._gathered
        group = [gathered.popleft() for _ in range(min(most, len(gathered)))]
        self._writing = group
        try:
            plan = self._plan(group)
        except Exception as why:
            self.log.failure("{count} messages can not be written", count=len(group))
            self._writing = None
            self._refuse(group, why)
            return
        if not plan:
            self._committed(None)
            return
        self._number += 1
        if self._store.dialect.returns:
            mark = "UPDATE last_group SET number = ? WHERE one = 1"
            plan.append((mark, [(self._number,)]))
        self._try(plan)

    def _try(self, plan: Plan) -> None:
        done = self._store.run(commit, self._store.dialect, plan)
        done.addCallbacks(self._committed, self._failed, errbackArgs=(plan,))
        done.addErrback(self._broken)

    def _plan(self, group: list[Record]) -> Plan:
        """Return the rows of a group, by statement."""
        messages: Rows = []
        whole: Plan = [(MESSAGE, messages)]  # a message is there before what points to it
        plan: dict[Insert | str, Rows] = {}
        counting = {place.session for record in group for place in record.places}
        for session in counting:
            if session.tracker is not None:
                session.make_outbox().number()
        self._counted = counted = {}
        for record in group:
            if record.apart:
                whole += plan.items()
                plan = {}
            messages += [(body.id, body.salt, body.refs, body.raw) for body in record.bodies]
            for statement, row in record.rows:
                plan.setdefault(statement, []).append(row)
            for place in record.places:
                tracker = place.session.tracker
                if tracker is not None:
                    for statement, row in tracker.rows(place):
                        plan.setdefault(statement, []).append(row)
            if record.origin is not None and record.origin.tracker is not None:
                counted[record.origin.tracker] = record
            if record.apart:
                whole += plan.items()
                plan = {}
        for tracker, record in counted.items():
            for statement, row in tracker.count_rows(record.number):
                plan.setdefault(statement, []).append(row)
        whole += plan.items()
        return [(statement, rows) for statement, rows in whole if rows]

    def _committed(self, _: object) -> None:
        """Let go out what has become durable, and tell who waited for it."""
        group, self._writing = self._writing or [], None
        self._pause = FIRST_PAUSE
        counted, self._counted = self._counted, {}
        for tracker, last in counted.items():
            tracker.counted(last.number)
        outboxes: dict[Outbox, None] = {}
        for record in group:
            for place in record.places:
                place.ready = True
                outboxes[place.session.make_outbox()] = None
        for outbox in outboxes:
            try:
                outbox.flush()
            except Exception:
                self.log.failure("a session could not be sent what waited for it")
        for record in group:
            try:
                for function in record.afterwards:
                    function()
            except Exception:
                self.log.failure("what follows a message failed")
            if record.origin is not None:
                record.origin.kept()
            record.done()
        self._finished(len(group))

    def _finished(self, count: int) -> None:
        self._done += count
        self._alone = max(0, self._alone - count)
        while self._waiting and self._waiting[0][0] <= self._done:
            self._waiting.popleft()[1].callback(None)
        self._go_on()

    def _failed(self, failure: Failure, plan: Plan) -> None:
        """Try again where that may help, else refuse what can not be written."""
        why = failure.value
        dialect = self._store.dialect
        if isinstance(why, StoreUnavailable) and dialect.returns and not self._closing:
            if self._pause == FIRST_PAUSE:
                self.log.error("messages wait for the database: {why}", why=str(why))
            self._unknown = self._unknown or isinstance(why, StoreUnknown)
            again = self._look if self._unknown else self._try
            self._store.clock.callLater(self._pause, again, plan)
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            return
        group, self._writing = self._writing or [], None
        self._counted = {}
        assert isinstance(why, Exception)
        if (len(group) > 1 and not isinstance(why, StoreError)) or _is_conflict(why, group):
            self._gathered.extendleft(reversed(group))
            self._alone += len(group)
            self._go_on()
            return
        if not isinstance(why, StoreError):
            self.log.failure("a message could not be written", failure)
        else:
            if isinstance(why, StoreFull):  # nor is there room for what came after it
                group += self._gathered
                self._gathered.clear()
            self.log.error("{count} messages are refused: {why}", count=len(group), why=str(why))
        self._refuse(group, why)

    def _refuse(self, group: list[Record], why: Exception) -> None:
        outboxes: dict[Outbox, None] = {}
        for record in group:
            for place in record.places:
                outbox = place.session.make_outbox()
                outbox.cancel(place)
                outboxes[outbox] = None
        for outbox in outboxes:
            outbox.flush()
        for record in group:
            try:
                record.refuse(why)
            except Exception:
                self.log.failure("a sender could not be told of a message that is lost")
            if record.origin is not None:
                record.origin.kept()
        self._finished(len(group))

    def _look(self, plan: Plan) -> None:
        """Find out whether a group was committed whose commit was never answered."""
        done = self._store.run(last_group)
        done.addCallbacks(self._looked, self._failed, callbackArgs=(plan,), errbackArgs=(plan,))
        done.addErrback(self._broken)

    def _looked(self, number: int, plan: Plan) -> None:
        self._unknown = False
        if number == self._number:
            self._committed(None)
        else:
            self._try(plan)

    def _broken(self, failure: Failure) -> None:
        self.log.failure("the group writer failed", failure)
        group, self._writing = self._writing or [], None
        self._finished(len(group))


def _is_conflict(why: Exception, group: list[Record]) -> bool:
    """Tell whether one row of several is to blame."""
    return len(group) > 1 and getattr(why, "condition", None) == "conflict"


def commit(connection: Connection, dialect: Dialect, plan: Plan) -> None:
    """Write the rows of a group in one transaction. Blocks. Raises StoreError."""
    try:
        dialect.begin(connection, True)
        cursor = connection.cursor()
        for statement, rows in plan:
            if isinstance(statement, str):
                cursor.executemany(statement, rows)
            else:
                insert(cursor, statement, rows)
        dialect.end(connection, commit=True)
    except Exception as error:
        try:
            dialect.end(connection, commit=False)
        except Exception as second:  # the first error is the one to tell
            Groups.log.debug("rolling back failed too: {why}", why=str(second))
        known = dialect.error(error, True)
        if known is error:
            raise
        raise known from error


def insert(cursor: Cursor, statement: Insert, rows: Rows) -> None:
    """Add many rows with few statements."""
    if len(rows) > 1 and len(statement.columns) > 1:
        rows = sorted(rows, key=_PLACE)  # what lies together is written together
    place = 0
    for chunk in CHUNKS:
        while len(rows) - place >= chunk:
            values = [value for row in rows[place : place + chunk] for value in row]
            cursor.execute(_spelled(statement, chunk), values)
            place += chunk
    if place < len(rows):
        cursor.executemany(_spelled(statement, 1), rows[place:])


@cache
def _spelled(statement: Insert, count: int) -> str:
    """Return the statement that adds so many rows."""
    columns = ", ".join(statement.columns)
    one = f"({', '.join('?' * len(statement.columns))})"
    many = ", ".join([one] * count)
    return f"INSERT INTO {statement.table} ({columns}) VALUES {many}"  # noqa: S608 # both are ours


def last_group(connection: Connection) -> int:
    """Return the number of the group that was committed last."""
    row = connection.cursor().execute("SELECT number FROM last_group WHERE one = 1").fetchone()
    number: int = row[0]
    return number


def newest(cursor: Cursor) -> int:
    """Return the greatest id of a message, 0 if there is none."""
    row = cursor.execute("SELECT max(id) FROM message").fetchone()
    return row[0] or 0
