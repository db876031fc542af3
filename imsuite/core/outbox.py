"""What goes out to one client, in order, however long some of it must wait.

A message waits here until it is durable, and what comes after it waits behind it. While a client
is inactive (XEP-0352) what is not urgent waits too, for something that is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from imsuite.rules.traffic import Wait, classify
from imsuite.xmpp.stanza import Stanza

if TYPE_CHECKING:
    from imsuite.core.record import Body, Insert, Record
    from imsuite.core.session import Session

Row = tuple["Insert | str", tuple[Any, ...]]  # a statement and its values

_TO = b"<message to='"  # as a copy of a room's message begins
HELD = 1000  # stanzas that may wait for an inactive client; then all go
HELD_BYTES = 262_144  # bytes that may


class Place:
    """The place of one stanza in what goes out.

    record: what must be durable before it is sent, None for nothing; ready: it is; number: which
    of the counted stanzas it is, if they are counted; urgent: it does not wait for an inactive
    client; since: when it was sent, seconds.
    """

    __slots__ = (
        "_body",
        "_source",
        "number",
        "ready",
        "record",
        "session",
        "since",
        "stanza",
        "urgent",
    )

    def __init__(self, session: Session, stanza: Stanza, record: Record | None = None) -> None:
        self.session = session
        self.stanza = stanza
        self.record = record
        self.ready = record is None
        self.urgent = True
        self.number = 0
        self.since = 0.0
        self._body: Body | None = None
        self._source: Body | None = None

    @property
    def body(self) -> Body | None:
        """What the archive of the session's account has of it."""
        if self._body is None and self.record is not None:
            self._body = self.record.of(self.session.account.bare)
        return self._body

    @property
    def source(self) -> Body | None:
        """What the archive of a room has, where the stanza is a copy of that and nothing else."""
        if self._source is None and self.record is not None:
            body = self.record.shared
            if body is not None and body.tail is not None and self._is_copy(body.tail):
                self._source = body
        return self._source

    def _is_copy(self, tail: bytes) -> bool:
        raw = self.stanza.raw
        start = len(raw) - len(tail)
        # a start tag, one attribute, and the rest as it is
        return raw.startswith(_TO) and raw.endswith(tail) and raw.find(b"'", len(_TO)) == start - 1

    def restored(self, body: Body | None, source: Body | None = None) -> None:
        """Know what the archives had of it before a restart."""
        self._body, self._source = body, source


class Tracker(Protocol):
    """Counts what is sent until the client says that it has it (XEP-0198)."""

    unacked: deque[Place]  # what was sent, and the client has not said so
    leaving: int  # messages that the ended session never got, on their way elsewhere

    @property
    def durable(self) -> bool:
        """Whether what is sent outlives the server until the client has it."""

    def request(self) -> None:
        """Ask the client how much it has, unless it was asked already."""

    def number(self, queue: Iterable[Place]) -> None:
        """Give all that wait the numbers they will be sent with."""

    def wrote(self, place: Place) -> None:
        """Know that a stanza went out, or would have if there were a link."""

    def skipped(self) -> None:
        """Know that a stanza had a number and did not go out, for the session has ended."""

    def rows(self, place: Place) -> list[Row]:
        """Return what is to be written about a message to this session; it has its number."""

    def released(self, place: Place) -> list[Row]:
        """Return what is to be written because such a message has found another way."""

    def count_rows(self, taken: int) -> list[Row]:
        """Return what is to be written because so many stanzas of this session are handled."""

    def counted(self, taken: int) -> None:
        """Know that those rows are durable."""

    def changed(self, hurry: bool) -> None:
        """Know that what is kept of the session across restarts is different now."""

    def progressed(self) -> None:
        """Know that more of what came in is durable."""

    def detach(self) -> bool:
        """Know that the link is lost; return whether the session stays, to be resumed."""

    def give_up(self) -> None:
        """Know that the session will not be resumed."""

    def leftover(self) -> list[Place]:
        """Return what was sent and never acknowledged, in order; the session has ended."""


class Outbox:
    """The queue of a session.

    judge: says how long a stanza may wait, while the client is inactive; tracker: counts.
    """

    __slots__ = (
        "_bytes",
        "_closed",
        "_queue",
        "_stalled",
        "_urgent",
        "judge",
        "session",
        "tracker",
    )

    def __init__(self, session: Session) -> None:
        self.session = session
        self.judge: Callable[[Stanza], Wait] | None = None
        self.tracker: Tracker | None = None
        self._queue: deque[Place] = deque()
        self._urgent = 0  # places in the queue that do not wait for an inactive client
        self._bytes = 0
        self._stalled = False
        self._closed = False

    def __len__(self) -> int:
        return len(self._queue)

    def __iter__(self) -> Iterator[Place]:
        return iter(self._queue)

    @property
    def direct(self) -> bool:
        """What is put here is written at once, and that is all."""
        looked_at = self.judge is not None or self.tracker is not None
        return not (self._queue or looked_at or self._stalled)

    def lasts(self, stanza: Stanza) -> bool:
        """Tell whether a stanza has to outlive the server until the client has it."""
        if self.tracker is None or not self.tracker.durable or stanza.kind != "message":
            return False
        return classify(stanza).offline

    def put(self, place: Place) -> None:
        """Take a stanza: send it at once if nothing must wait, else at its turn."""
        if not self._queue and place.ready and self.judge is None and not self._stalled:
            self._write(place)
            return
        stanza = place.stanza
        if self.judge is not None:
            wait = self.judge(stanza)
            place.urgent = wait is Wait.NOW
            if not place.urgent and place.ready:
                if wait is Wait.NEVER:
                    return
                if wait is Wait.LATEST and self._replaced(place):
                    return
        self._queue.append(place)
        self._urgent += place.urgent
        self._bytes += len(stanza.raw)
        if place.ready:
            self.flush()

    def _replaced(self, place: Place) -> bool:
        """Put a presence in the place of an older one of the same sender that still waits."""
        sender = place.stanza.attrs.get("from")
        for older in self._queue:
            if older.urgent or older.stanza.kind != place.stanza.kind:
                continue
            if older.stanza.attrs.get("from") == sender:
                self._bytes += len(place.stanza.raw) - len(older.stanza.raw)
                older.stanza = place.stanza
                return True
        return False

    def flush(self) -> None:
        """Send what may go now."""
        queue = self._queue
        if self._stalled:
            if self._closed:
                self._give_up()
            return
        over = len(queue) > HELD or self._bytes > HELD_BYTES
        while queue and queue[0].ready and (self.judge is None or self._urgent or over):
            place = queue.popleft()
            self._urgent -= place.urgent
            self._bytes -= len(place.stanza.raw)
            self._write(place)

    def _write(self, place: Place) -> None:
        stream = self.session.stream
        if stream is not None:
            stream.write(place.stanza.raw)
        if self.tracker is not None:
            self.tracker.wrote(place)

    def cancel(self, place: Place) -> None:
        """Give up a place: what it waited for has failed."""
        try:
            self._queue.remove(place)
        except ValueError:
            return
        self._urgent -= place.urgent
        self._bytes -= len(place.stanza.raw)

    def number(self) -> None:
        """Give all that wait the numbers they will be sent with."""
        assert self.tracker is not None
        self.tracker.number(self._queue)

    def stall(self) -> None:
        """Send nothing until the session has ended: its link is lost."""
        self._stalled = True

    def close(self) -> None:
        """Send no more: the session has ended. What it did not get goes elsewhere."""
        self._stalled = self._closed = True
        if self.tracker is not None:
            for place in self.tracker.leftover():
                self.session.lose(place)
        self._give_up()

    def _give_up(self) -> None:
        queue = self._queue
        while queue and queue[0].ready:
            place = queue.popleft()
            self._urgent -= place.urgent
            self._bytes -= len(place.stanza.raw)
            if self.tracker is not None:
                self.tracker.skipped()  # its number is on disk, and nobody else may have it
            self.session.lose(place)
