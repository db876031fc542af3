"""Who was in a room a while ago: after a crash nobody knows whom a client has heard of.

Presence is not kept for those who resume a session (XEP-0198 §5): of what the server had told them
when it was killed they may know all or nothing. So whoever comes back is shown the room as it is
(XEP-0045 §7.2.2). Who is in says the row of each client; who is not any more, and under which names
there were others, say traces: rows with the role `none`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from imsuite.core.fanout import Fan
from imsuite.core.record import Record
from imsuite.core.session import Session
from imsuite.features.xep0045_muc import storage
from imsuite.features.xep0045_muc.history import subject_of
from imsuite.features.xep0045_muc.room import Occupant, Room
from imsuite.features.xep0045_muc.telling import (
    GONE,
    finish,
    gone,
    is_shown,
    shown,
    tell_all,
    tell_one,
    with_x,
)
from imsuite.rules.affiliations import Role

if TYPE_CHECKING:
    from imsuite.features.xep0045_muc.rooms import Rooms

KEPT = 86_400.0  # seconds; a session that waits longer for its client may see a ghost
MOST = 10_000  # traces of all rooms; the oldest go


class Traces:
    """The traces in the rooms of a host."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._since: OrderedDict[tuple[str, str], float] = OrderedDict()  # by room and address
        self._expelled: dict[str, set[str]] = {}  # rooms by full JID
        self._told: dict[str, frozenset[str]] = {}  # nicknames by room: those in it know of them

    def left(
        self, record: Record, room: Room, nick: str, clients: Iterable[str], expelled: bool
    ) -> None:
        """Write that clients of an occupant are in no more. expelled: and did not want to go."""
        for jid in clients:
            if expelled:
                record.write(storage.EXPEL, room.bare, jid)
                self._note(room.bare, jid)
                self._expelled.setdefault(jid, set()).add(room.bare)
            else:
                record.write(storage.LEAVE, room.bare, jid)
        self.renamed(record, room, nick)

    def renamed(self, record: Record, room: Room, nick: str) -> None:
        """Write that somebody had a nickname."""
        jid = f"{room.bare}/{nick}"
        record.write(storage.ENTER, room.bare, jid, nick, Role.NONE.value)
        self._note(room.bare, jid)
        self._sweep(record)

    def loaded(self, room: str, jids: Iterable[str]) -> None:
        """Know the traces that were stored of a room."""
        for jid in jids:
            self._note(room, jid)

    def lost(self, room: str, nicks: Iterable[str]) -> None:
        """Know that all who are in a room were told of some who did not come back."""
        self._told[room] = frozenset(nicks)

    def ended(self, session: Session) -> None:
        """Know that a session will hear nothing any more."""
        rooms = self._expelled.pop(session.full, None)
        if rooms is None:
            return
        host = self._rooms.host
        record = Record(host, None, host.store.ids)
        for room in rooms:
            self._since.pop((room, session.full), None)
            record.write(storage.SWEEP, room, session.full)
        host.store.append(record)

    def _note(self, room: str, jid: str) -> None:
        self._since[room, jid] = self._rooms.host.clock.seconds()
        self._since.move_to_end((room, jid))

    def _sweep(self, record: Record) -> None:
        """Remove what is old or too much."""
        late = self._rooms.host.clock.seconds() - KEPT
        while self._since:
            (room, jid), since = next(iter(self._since.items()))
            if since > late and len(self._since) <= MOST:
                return
            del self._since[room, jid]
            self._expelled.pop(jid, None)
            record.write(storage.SWEEP, room, jid)

    # after a crash

    async def refresh(self, session: Session) -> None:
        """Tell a client that came back who is in its rooms, who is not, and what it is itself."""
        store = self._rooms.host.store
        domain = self._rooms.domain
        for bare, nick in await store.read(storage.visits, session.full, domain):
            room = await self._rooms.load(bare)
            if room is None:
                continue
            await store.settled()
            former = await store.read(storage.former, bare)
            occupant = room.by_client.get(session.full)
            if occupant is None:
                self._tell_gone(room, nick, session.full, own=True)
            else:
                self._show(room, occupant, session.full, former)

    def _show(self, room: Room, occupant: Occupant, jid: str, former: Iterable[str]) -> None:
        told = self._told.get(room.bare, frozenset())
        for nick in former:
            if room.find(nick) is None and nick not in told:
                self._tell_gone(room, nick, jid)
        client = occupant.clients[jid]
        for other in list(room.occupants.values()):
            if other is not occupant and is_shown(other):
                tell_one(other, client, occupant.knows_all)
        tell_all(occupant, shown(occupant, occupant.main), own=(jid,), others=False)
        fan = Fan(room.host, subject_of(room))  # it may have entered just before
        fan.send(jid, client.written)
        finish(room, fan)

    def _tell_gone(self, room: Room, nick: str, jid: str, *, own: bool = False) -> None:
        """Tell somebody that a nickname is nobody's; own: that it is in no more itself."""
        bare = jid.partition("/")[0] if own else room.reserved_for(nick) or ""
        absent = Occupant(room, nick, bare, Role.NONE)
        fan = Fan(room.host, with_x(gone(absent), absent, None, GONE, (110, 333) if own else ()))
        fan.send(jid)
        finish(room, fan)
