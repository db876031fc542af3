"""The rooms of a host: who takes what is sent there, and which are loaded (XEP-0045 §16)."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from imsuite.core.feature import At
from imsuite.core.hooks import ROOM_DESTROYED, Passing, RoomChange
from imsuite.core.record import Record, public_id
from imsuite.core.router import Route
from imsuite.core.session import Session
from imsuite.features.xep0045_muc import storage
from imsuite.features.xep0045_muc.entering import Entering
from imsuite.features.xep0045_muc.leaving import SHUTDOWN, Leaving, restored
from imsuite.features.xep0045_muc.messages import Messages, with_id
from imsuite.features.xep0045_muc.private import Private
from imsuite.features.xep0045_muc.room import Entry, Occupant, Room, Said
from imsuite.features.xep0045_muc.telling import GONE, NS_MUC, tell_all
from imsuite.features.xep0045_muc.telling import gone as told_gone
from imsuite.rules.affiliations import Affiliation, Role
from imsuite.rules.room_config import Config
from imsuite.xmpp.address import JID, parse
from imsuite.xmpp.errors import Dropped, StanzaError
from imsuite.xmpp.stanza import Stanza

if TYPE_CHECKING:
    from imsuite.features.xep0045_muc import Muc

_RESTING = 256  # rooms that stay loaded with nobody in
_IDLE = 300.0  # seconds that a room with nobody in stays loaded
_SECRET = 16  # octets


class Rooms(Route):
    """The rooms of a host. entering, leaving, messages, private: what happens in them."""

    def __init__(self, muc: Muc) -> None:
        self._muc = muc
        self.host = muc.host
        self.options = muc.options
        self.entering = Entering(self)
        self.leaving = Leaving(self)
        self.messages = Messages(self)
        self.private = Private(self)
        self._rooms: dict[str, Room] = {}
        self._loading: dict[str, list[Deferred[Room | None]]] = {}
        self._resting: OrderedDict[str, float] = OrderedDict()  # since when
        self._joined: dict[str, dict[Room, None]] = {}  # by full JID
        self._known: set[str] = set()  # clients whose rooms are loaded, by full JID
        self._sweep: IDelayedCall | None = None

    @property
    def doors(self) -> list[Any]:
        """The features that make members of those who knock."""
        return self._muc.doors

    # what comes in

    def loading(self, jid: JID) -> Awaitable[object] | None:
        """Return what loads a room, None if it is loaded."""
        return None if not jid.local or jid.bare in self._rooms else self.load(jid.bare)

    def receive(self, passing: Passing) -> Awaitable[None] | None:
        """Take a stanza to the domain, a room or an occupant."""
        passing.host = self.host
        to = passing.stanza.attrs["to"]
        jid = parse(to)
        if not jid.local:
            if jid.resource and passing.stanza.kind == "iq":
                raise StanzaError("service-unavailable")
            return self.host.dispatch(passing, At.ROOMS)
        room = self._rooms.get(jid.bare)
        if room is None:
            return self._receive_later(passing, jid)
        return self._give(room, passing, jid)

    async def _receive_later(self, passing: Passing, jid: JID) -> None:
        room = await self.load(jid.bare)
        if room is None:
            room = self._made(passing, jid)
        later = self._give(room, passing, jid)
        if later is not None:
            await later

    def _give(self, room: Room, passing: Passing, jid: JID) -> Awaitable[None] | None:
        stanza = passing.stanza
        passing.room = room
        passing.occupant = room.by_client.get(passing.sender.full)
        if room.bare in self._resting:
            self._resting.move_to_end(room.bare)
            self._resting[room.bare] = self.host.clock.seconds()
        type = stanza.attrs.get("type")
        if stanza.kind == "message":
            if type == "error":
                self.leaving.bounced(room, passing)
                return None
            if jid.resource:
                return self.private.message(room, passing, jid)
            if type == "groupchat":
                return self.messages.say(room, passing)
            return self.host.dispatch(passing, At.ROOM)
        if stanza.kind == "presence":
            if type is None:
                return self._enter(room, passing, jid)
            if type == "unavailable":
                self.leaving.unavailable(room, passing)
                return None
            if type == "error":
                self.leaving.bounced(room, passing)
                return None
            raise Dropped
        if jid.resource:
            return self.private.request(room, passing, jid)
        return self.host.dispatch(passing, At.ROOM)

    def _enter(self, room: Room, passing: Passing, jid: JID) -> Awaitable[None] | None:
        try:
            return self.entering.presence(room, passing, jid)
        finally:
            if room.fresh and not room.by_client and room.bare in self._rooms:
                del self._rooms[room.bare]  # whoever wanted to make it may not enter

    # rooms

    def find(self, bare: str) -> Room | None:
        """Return a room if it is loaded."""
        return self._rooms.get(bare)

    async def load(self, bare: str) -> Room | None:
        """Return a room, loaded; None if there is none."""
        found = self._rooms.get(bare)
        if found is not None:
            return found
        waiting = self._loading.get(bare)
        if waiting is not None:
            later: Deferred[Room | None] = Deferred()
            waiting.append(later)
            return await later
        self._loading[bare] = []
        room: Room | None = None
        try:
            room = await self._load(bare)
        finally:
            # whoever waited looks again if this failed, and finds the same fault
            for later in self._loading.pop(bare):
                later.callback(room)
        return room

    async def _load(self, bare: str) -> Room | None:
        await self.host.store.settled()
        stored: storage.Stored | None = await self.host.store.read(storage.load, bare)
        if stored is None:
            return None
        config = Config.of(self._muc.settings, stored.config)
        room = Room(self.host, parse(bare), config, stored.secret, stored.made)
        room.locked = stored.locked
        room.entries, room.former = stored.entries, stored.former
        if stored.subject is not None:
            room.subject, room.subject_id = Stanza.parse(stored.subject), stored.subject_id
        archive = self._muc.archive
        if archive is not None and config.max_history:
            for id, salt, raw in await archive.recent(bare, config.max_history):
                body = with_id(Stanza.parse(bytes(raw)), room, public_id(id, salt))
                room.said.append(Said(id, body, ""))
        self._rooms[bare] = room
        self._restore(room, stored.occupants)
        self.rest(room)
        return self._rooms.get(bare)

    def _restore(self, room: Room, occupants: list[tuple[str, str, str]]) -> None:
        """Put back those whose sessions are still there, and forget the others."""
        sessions, gone = self.host.router.sessions, []
        lost: dict[str, Occupant] = {}
        for jid, nick, role in occupants:
            session = sessions.get(jid)
            if session is None and parse(jid).domain in self.host.router.hosts:
                gone.append(jid)
                lost[nick] = Occupant(room, nick, jid.partition("/")[0], Role(role))
                continue
            shown = None if session is None else session.presence
            if shown is None:
                shown = Stanza.parse(b"<presence from='%s'/>" % room.bare.encode())
            restored(room, nick, jid, Role(role), shown)
            self.entered(room, jid)
        if gone:
            record = Record(self.host, None, self.host.store.ids)
            for jid in gone:
                record.write(storage.LEAVE, room.bare, jid)
            self.host.store.append(record)
        for nick, occupant in lost.items():
            if room.find(nick) is None:  # no other client of it came back
                tell_all(occupant, told_gone(occupant), GONE)

    def _made(self, passing: Passing, jid: JID) -> Room:
        """Return a new room for who enters one that does not exist (§10.1). Raises StanzaError."""
        stanza = passing.stanza
        if stanza.kind != "presence":
            if stanza.type in ("error", "result"):
                raise Dropped
            raise StanzaError("item-not-found", by=jid.bare)
        if stanza.type is not None or not stanza.has(NS_MUC, "x"):
            if stanza.type is None and jid.resource:
                return Room(self.host, jid.to_bare(), self._usual, "", 0)
            raise Dropped
        if not jid.resource:
            raise StanzaError("jid-malformed", by=jid.bare)
        if not self.may_make(passing):
            raise StanzaError("not-allowed", by=jid.bare, text="only some may make rooms here")
        return self.new(jid.to_bare(), passing.sender)

    def may_make(self, passing: Passing) -> bool:
        """Tell whether somebody may make rooms (§10.1.1)."""
        wanted = self.options.makers
        account = passing.account
        if wanted == "everyone":
            return True
        local = account is not None and not account.temporary
        return local and wanted == "accounts"

    def new(self, jid: JID, maker: JID) -> Room:
        """Return a new room that is loaded and not stored yet; its maker owns it."""
        config = self._usual
        ids = self.host.store.ids
        room = Room(self.host, jid, config, secrets.token_hex(_SECRET), ids.next())
        room.locked = room.fresh = True
        room.entries[maker.bare] = Entry(Affiliation.OWNER, version=ids.next())
        self._rooms[room.bare] = room
        return room

    def write_new(self, room: Room, record: Record) -> None:
        """Let a room become durable."""
        record.apart = True
        record.write(storage.SAVE, *storage.values(room))
        for jid, entry in room.entries.items():
            record.write(storage.AFFILIATE, *storage.affiliate(room.bare, jid, entry))

    async def destroy(self, room: Room, by: str | None = None) -> None:
        """Remove a room for good; whoever is in has been told."""
        room.gone = True
        archive = self._muc.archive
        if archive is not None:
            await archive.abandon(room.bare)
        await self.host.store.transaction(storage.remove, room.bare)
        if self._rooms.get(room.bare) is room:
            del self._rooms[room.bare]
        self._resting.pop(room.bare, None)
        await self.host.switch(ROOM_DESTROYED).tell(RoomChange(room, by=by))

    def rest(self, room: Room) -> None:
        """Know that somebody may have been the last in a room."""
        if room.by_client or room.gone or self._rooms.get(room.bare) is not room:
            return
        if not room.config.persistent or room.locked:
            room.gone = True
            self.host.spawn(self.destroy(room))
            return
        self._resting[room.bare] = self.host.clock.seconds()
        self._resting.move_to_end(room.bare)
        while len(self._resting) > _RESTING:
            self._drop(next(iter(self._resting)))
        if self._sweep is None:
            self._sweep = self.host.clock.callLater(_IDLE, self._sweep_out)

    def _sweep_out(self) -> None:
        """Let go of the rooms that nobody has used for a while."""
        self._sweep = None
        late = self.host.clock.seconds() - _IDLE
        for bare, since in list(self._resting.items()):
            if since <= late:
                self._drop(bare)
        if self._resting:
            self._sweep = self.host.clock.callLater(_IDLE, self._sweep_out)

    def _drop(self, bare: str) -> None:
        room = self._rooms.get(bare)
        if room is not None and (room.turn.locked or any(said.record for said in room.said)):
            self._resting[bare] = self.host.clock.seconds()  # somebody holds on to this object
            self._resting.move_to_end(bare)
            return
        self._resting.pop(bare, None)
        self._rooms.pop(bare, None)

    async def start(self) -> None:
        """End the rooms that nobody is in any more and that do not last."""
        for bare in await self.host.store.read(storage.fleeting, self._muc.domain):
            await self.load(bare)

    @property
    def _usual(self) -> Config:
        """The configuration of a new room."""
        return Config.of(self._muc.settings, {})

    def stop(self) -> None:
        """Do nothing more by itself."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    def forget(self, bare: str) -> None:
        """Know that an account is no more; its rows go with it."""
        for room in self._rooms.values():
            room.entries.pop(bare, None)
            room.former.pop(bare, None)

    # who is where

    def entered(self, room: Room, jid: str) -> None:
        """Know that a client is in a room."""
        self._joined.setdefault(jid, {})[room] = None
        self._resting.pop(room.bare, None)

    def left(self, room: Room, jid: str) -> None:
        """Know that a client is in a room no more."""
        joined = self._joined.get(jid)
        if joined is not None:
            joined.pop(room, None)
            if not joined:
                del self._joined[jid]

    def of_client(self, jid: str) -> list[Room]:
        """Return the loaded rooms a client is in."""
        return list(self._joined.get(jid, ()))

    async def resumed(self, session: Session) -> None:
        """Load the rooms a client was in before a restart, and so tell it who is there no more."""
        if session.full in self._known:
            return
        self._known.add(session.full)
        for bare in await self.host.store.read(storage.of_client, session.full):
            await self.load(bare)

    def close(self) -> None:
        """Let out who will not come back: the service ends."""
        for room in list(self._rooms.values()):
            for occupant, client in list(room.clients()):
                if not client.resumable:
                    self.leaving.leave(room, occupant, client.jid, SHUTDOWN)

    def ended(self, session: Session) -> None:
        """Take a session that ended out of the rooms it did not leave."""
        self._known.discard(session.full)
        for room in self.of_client(session.full):
            occupant = room.by_client.get(session.full)
            if occupant is not None:
                self.leaving.leave(room, occupant, session.full)
