"""Between two occupants: private messages and requests (XEP-0045 §7.5, §17.4; XEP-0410)."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from imsuite.core.fanout import Fan
from imsuite.core.hooks import ROOM_PRIVATE, Passing
from imsuite.features.xep0045_muc.messages import honest
from imsuite.features.xep0045_muc.room import Occupant, Room
from imsuite.features.xep0045_muc.telling import NS_USER, X
from imsuite.rules.room import may_send_privately
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import JID
from imsuite.xmpp.errors import Dropped, StanzaError
from imsuite.xmpp.stanza import Stanza, result

if TYPE_CHECKING:
    from imsuite.features.xep0045_muc.rooms import Rooms

_PING = "urn:xmpp:ping}ping"
_MOST = 100  # requests of one client to others that may be open at once
# §17.4: what is asked of the account and not of a client of it
_OF_ACCOUNT = frozenset(("vcard-temp}vCard", "http://jabber.org/protocol/pubsub}pubsub"))
_DISCO = frozenset((f"{NS.DISCO_INFO}}}query", f"{NS.DISCO_ITEMS}}}query"))
_IS_PRIVATE = f"<x xmlns='{NS_USER}'/>".encode()


class Private:
    """What one occupant sends to another."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._open: dict[str, int] = {}  # requests under way, by the full JID of who asks

    def message(self, room: Room, passing: Passing, jid: JID) -> Awaitable[None] | None:
        """§7.5: a message to one occupant."""
        stanza, sender = passing.stanza, passing.occupant
        if stanza.type == "groupchat":
            raise StanzaError("bad-request", by=room.bare)
        if sender is None:
            raise StanzaError("not-acceptable", by=room.bare)
        there = room.find(jid.resource)
        if there is None:
            raise StanzaError("item-not-found", by=room.bare)
        why = may_send_privately(room.config, sender.role, there.role)
        if why is not None:
            why.by = room.bare
            raise why
        stanza = honest(stanza, room).amended({"from": sender.jid, "to": None}).plus(_IS_PRIVATE, X)
        came, passing.stanza = passing.stanza, stanza
        later = room.host.switch(ROOM_PRIVATE).run(passing)
        if later is not None:
            return self._send_later(room, passing, there, came, later)
        return self._send(room, passing, there, came)

    async def _send_later(
        self,
        room: Room,
        passing: Passing,
        there: Occupant,
        came: Stanza,
        later: Awaitable[None],
    ) -> None:
        await later
        after = self._send(room, passing, there, came)
        if after is not None:
            await after

    def _send(
        self, room: Room, passing: Passing, there: Occupant, came: Stanza
    ) -> Awaitable[None] | None:
        """§7.5: to all clients of an occupant. Raises StanzaError where none of them takes it."""
        clients = list(there.clients.values())
        lost: list[str] = []
        sending = True

        def failed(to: str, why: StanzaError) -> None:
            if sending:
                lost.append(to)
                return
            self._rooms.leaving.undelivered(room, to)
            if len(clients) == 1:
                room.host.refuse(came, StanzaError(why.condition, by=room.bare))

        fan = Fan(room.host, passing.stanza, passing.record, failed)
        for client in clients:
            fan.send(client.jid, client.written)
        sending = False
        later = fan.finished()
        for jid in lost:
            self._rooms.leaving.undelivered(room, jid)
        if later is not None:
            return later
        if len(lost) == len(clients):
            raise StanzaError("recipient-unavailable", by=room.bare)
        return None

    def request(self, room: Room, passing: Passing, jid: JID) -> Awaitable[None] | None:
        """§17.4: a request to one occupant, or an answer to a request of one."""
        stanza, sender = passing.stanza, passing.occupant
        if stanza.type in ("result", "error"):
            room.host.requests.settle(stanza, passing.sender)
            return None
        if sender is None:
            if stanza.children[:1] and stanza.children[0] in _DISCO:
                raise StanzaError("bad-request", by=room.bare)  # §6.6
            raise StanzaError("not-acceptable", by=room.bare)
        there = room.find(jid.resource)
        if there is None:
            raise StanzaError("item-not-found", by=room.bare)
        if there is sender and stanza.children == (_PING,):
            room.host.answer(passing, result(stanza))  # XEP-0410 §3.3: for the client
            return None
        if len(stanza.children) != 1:
            raise StanzaError("bad-request", by=room.bare)
        asker = passing.sender.full
        if self._open.get(asker, 0) >= _MOST:
            raise StanzaError("resource-constraint", text="wait for answers", by=room.bare)
        self._open[asker] = self._open.get(asker, 0) + 1
        room.host.spawn(self._relay(passing, sender, there))
        return None

    async def _relay(self, passing: Passing, sender: Occupant, there: Occupant) -> None:
        try:
            await self._ask(passing, sender, there)
        finally:
            asker = passing.sender.full
            self._open[asker] -= 1
            if not self._open[asker]:
                del self._open[asker]

    async def _ask(self, passing: Passing, sender: Occupant, there: Occupant) -> None:
        """Ask in the name of the room's occupant, and let the answer come from one."""
        stanza, host = passing.stanza, self._rooms.host
        main = there.main.jid
        to = there.bare if stanza.children[0] in _OF_ACCOUNT else main
        try:
            request = stanza.amended({"from": sender.jid, "to": to})
            answer = await host.requests.ask(request)
        except Dropped:
            return
        except StanzaError as why:  # without what else it says, which may be who it is
            host.refuse(stanza, StanzaError(why.condition, by=there.room.bare))
            return
        except Exception as why:
            host.refuse(stanza, host.condition(why))
            return
        back = {"from": stanza.to, "to": stanza.sender, "id": stanza.id}
        host.answer(passing, answer.amended(back))
