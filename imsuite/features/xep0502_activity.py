"""XEP-0502: MUC Activity Indicator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from zope.interface import implementer

from imsuite.core.feature import Feature, on
from imsuite.core.hooks import (
    ROOM_DESTROYED,
    ROOM_MESSAGE,
    STARTED,
    STOPPING,
    Passing,
    RoomChange,
    Stage,
)
from imsuite.core.host import Host
from imsuite.core.interfaces import Table
from imsuite.core.service_interfaces import IRoomInfo, IRooms
from imsuite.xmpp import forms
from imsuite.xmpp import ns as NS

FIELD = "{urn:xmpp:muc-activity}message-activity"
HOUR = 3600  # seconds
HOURS = 24  # over which it is measured
_CORRECTION = "urn:xmpp:message-correct:0}replace"


@implementer(IRoomInfo)
class Activity(Feature):
    """Tell how many messages an hour are said in a public room."""

    spec = "XEP-0502 0.1.0"
    requires = (IRooms,)
    tables = (
        Table(
            "room_activity",
            (
                """CREATE TABLE room_activity (
        room TEXT NOT NULL,
        hour INTEGER NOT NULL,   -- since 1970 UTC
        count INTEGER NOT NULL,  -- messages
        PRIMARY KEY (room, hour)) {clustered}""",
                "CREATE INDEX room_activity_hour ON room_activity (hour)",
            ),
            owner=None,
        ),
    )

    def __init__(self, host: Host, options: object) -> None:
        super().__init__(host, options)
        self._past: dict[int, Counter[str]] = {}  # hours that are over
        self._now: Counter[str] = Counter()
        self._begun = 0  # the first hour that is known from its beginning
        self._next: IDelayedCall | None = None

    @property
    def _hour(self) -> int:
        return int(self.host.clock.seconds()) // HOUR

    @on(STARTED)
    async def start(self, host: Host) -> None:
        """Take back what was counted before."""
        hour = self._begun = self._hour
        self._schedule()
        domain = host.find_feature(IRooms).domain
        rows = await host.store.query(
            "SELECT room, hour, count FROM room_activity WHERE hour >= ?", hour - HOURS
        )
        for room, then, count in rows:
            if not room.endswith(f"@{domain}"):
                continue
            self._begun = min(self._begun, then)
            if then == hour:
                self._now[room] += count
            else:
                self._past.setdefault(then, Counter())[room] += count

    def _schedule(self) -> None:
        seconds = (self._hour + 1) * HOUR - self.host.clock.seconds()
        self._next = self.host.clock.callLater(max(seconds, 1.0), self._over)

    def _over(self) -> None:
        """§5: an hour is over."""
        hour = self._hour - 1
        self._past[hour], self._now = self._now, Counter()
        for old in [then for then in self._past if then < hour + 1 - HOURS]:
            del self._past[old]
        self._begun = max(self._begun, hour + 1 - HOURS)
        self.host.spawn(self._write(hour, self._past[hour]))
        self._schedule()

    async def _write(self, hour: int, counts: Counter[str]) -> None:
        await self.host.store.transaction(_save, hour, dict(counts), hour - HOURS)

    @on(STOPPING)
    async def stop(self, host: Host) -> None:
        """Write down what was counted in this hour."""
        if self._next is not None and self._next.active():
            self._next.cancel()
        await self._write(self._hour, self._now)

    @on(ROOM_MESSAGE, Stage.RECORD, kind="message", child=(NS.CLIENT, "body"))
    def count(self, passing: Passing) -> None:
        """§4: what is read as a message of its own counts, which a correction is not."""
        if _CORRECTION not in passing.stanza.children:
            self._now[passing.room.bare] += 1

    @on(ROOM_DESTROYED)
    def forget(self, change: RoomChange) -> None:
        """A new room of the same name begins with nothing."""
        for counts in (self._now, *self._past.values()):
            counts.pop(change.room.bare, None)

    def room_features(self, room: Any) -> Iterable[str]:
        """Nothing is advertised (§3)."""
        return ()

    def room_fields(self, room: Any) -> Iterable[Any]:
        """§3.1, §9: only of rooms that everybody may find and enter."""
        config = room.config
        closed = config.members_only or config.password_protected
        known = min(self._hour - self._begun, HOURS)
        if config.persistent and config.public and not closed and known > 0:
            said = sum(counts[room.bare] for counts in self._past.values())
            yield forms.field("text-single", FIELD, f"{said / known:.2f}", "Messages per hour")


def _save(cursor: Any, hour: int, counts: dict[str, int], oldest: int) -> None:
    cursor.executemany(
        "INSERT INTO room_activity (room, hour, count) VALUES (?, ?, ?)"
        " ON CONFLICT (room, hour) DO UPDATE SET count = excluded.count",
        [(room, hour, count) for room, count in counts.items()],
    )
    cursor.execute("DELETE FROM room_activity WHERE hour < ?", (oldest,))
