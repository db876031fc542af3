"""Leaving a room, by oneself or not (XEP-0045 §7.14, §8.2, §9.1, §10.9; XEP-0410 §3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imsuite.core.hooks import ROOM_LEFT, Passing, RoomChange
from imsuite.core.record import Record
from imsuite.features.xep0045_muc.room import Client, Occupant, Room
from imsuite.features.xep0045_muc.telling import GONE, News, cleaned, gone, shown, tell_all
from imsuite.rules.affiliations import Role
from imsuite.rules.room import compared
from imsuite.xmpp import ns as NS
from imsuite.xmpp.errors import Dropped
from imsuite.xmpp.stanza import Stanza

if TYPE_CHECKING:
    from imsuite.features.xep0045_muc.rooms import Rooms

# what says that an address can not be reached, and so is not there any more (§17.3)
_LOST = frozenset(
    (
        "gone",
        "internal-server-error",
        "item-not-found",
        "jid-malformed",
        "recipient-unavailable",
        "redirect",
        "remote-server-not-found",
        "remote-server-timeout",
        "service-unavailable",
    )
)
TECHNICAL = News(codes=(333,), role=Role.NONE)
SHUTDOWN = News(codes=(332,), role=Role.NONE)


class Leaving:
    """How somebody ceases to be an occupant."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def unavailable(self, room: Room, passing: Passing) -> None:
        """§7.14: a client leaves; its last words are told."""
        occupant = room.by_client.get(passing.sender.full)
        if occupant is None:
            raise Dropped
        self.leave(room, occupant, passing.sender.full, farewell=passing.stanza)

    def leave(
        self,
        room: Room,
        occupant: Occupant,
        jid: str,
        news: News = GONE,
        farewell: Stanza | None = None,
    ) -> None:
        """Take one client out of a room; the others hear of it if it was the only one."""
        stanza = gone(occupant) if farewell is None else cleaned(farewell, occupant.jid)
        if len(occupant.clients) > 1:
            tell_all(occupant, stanza, news, own=(jid,), others=False)
            was_main = occupant.main.jid == jid
            room.remove_client(occupant, jid)
            if was_main:
                tell_all(occupant, shown(occupant, occupant.main))
        else:
            tell_all(occupant, stanza, news)
            room.remove_client(occupant, jid)
        self._left(room, occupant, (jid,))

    def expel(
        self,
        room: Room,
        occupant: Occupant,
        news: News,
        by: str | None = None,
        own: bool = True,
    ) -> None:
        """Take an occupant out with all its clients.

        by: full JID of who did it; own: whether those clients are told.
        """
        tell_all(occupant, gone(occupant), news, own=None if own else ())
        clients = tuple(occupant.clients)
        for jid in clients:
            room.remove_client(occupant, jid)
        self._left(room, occupant, clients, by, expelled=True)

    def close(self, room: Room) -> None:
        """§15.6.2: let out who will not come back; only those who will hear of the others."""
        ending = []
        for occupant in list(room.occupants.values()):
            if not any(client.resumable for client in occupant.clients.values()):
                tell_all(occupant, gone(occupant), SHUTDOWN, others=False)
                ending.append(occupant)
        for occupant in ending:
            del room.occupants[compared(occupant.nick)]
        for occupant in ending:
            self.expel(room, occupant, SHUTDOWN, own=False)
        for occupant, client in list(room.clients()):
            if not client.resumable:
                self.leave(room, occupant, client.jid, SHUTDOWN)

    def _left(
        self,
        room: Room,
        occupant: Occupant,
        clients: tuple[str, ...],
        by: str | None = None,
        *,
        expelled: bool = False,
    ) -> None:
        host = room.host
        record = Record(host, None, host.store.ids)
        self._rooms.traces.left(record, room, occupant.nick, clients, expelled)
        for jid in clients:
            self._rooms.left(room, jid)
        host.store.append(record)
        switch = host.switch(ROOM_LEFT)
        if switch.steps and not occupant.clients:
            host.spawn(switch.tell(RoomChange(room, by=by, occupant=occupant)))
        self._rooms.rest(room)

    def bounced(self, room: Room, passing: Passing) -> None:
        """Take an error: a client that can not be reached is not there any more."""
        occupant = room.by_client.get(passing.sender.full)
        if occupant is not None and _condition(passing.stanza) in _LOST:
            self.leave(room, occupant, passing.sender.full, TECHNICAL)

    def undelivered(self, room: Room, jid: str) -> None:
        """Know that something could not be delivered: to nobody, or to who wants none of it."""
        if jid not in room.host.router.sessions:
            self.unreachable(room, jid)

    def unreachable(self, room: Room, jid: str) -> None:
        """Take out a client that is not there."""
        occupant = room.by_client.get(jid)
        if occupant is not None:
            self.leave(room, occupant, jid, TECHNICAL)


def _condition(stanza: Stanza) -> str:
    found = stanza.child(NS.CLIENT, "error")
    if found is not None:
        for node in found.elements():
            if node.uri == NS.STANZAS and node.name != "text":
                return str(node.name)
    return ""


def restored(room: Room, nick: str, jid: str, role: Role, presence: Stanza) -> Occupant:
    """Put a client back that was in the room before the server was restarted."""
    bare = jid.partition("/")[0]
    occupant = room.find(nick)
    if occupant is None or occupant.bare != bare:
        occupant = Occupant(room, nick, bare, role)
    session = room.host.router.sessions.get(jid)
    client = Client(jid, cleaned(presence, occupant.jid), session)
    room.add_client(occupant, client)
    room.add(occupant)
    return occupant
