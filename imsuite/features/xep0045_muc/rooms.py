"""The rooms of a host: who takes what is sent there, and which are loaded (XEP-0045 §16)."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
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
from imsuite.features.xep0045_muc.leaving import Leaving, restored
from imsuite.features.xep0045_muc.messages import Messages, with_id
from imsuite.features.xep0045_muc.private import Private
from imsuite.features.xep0045_muc.room import Entry, Occupant, Room, Said
from imsuite.features.xep0045_muc.telling import GONE, NS_MUC, tell_all
from imsuite.features.xep0045_muc.telling import gone as told_gone
from imsuite.features.xep0045_muc.traces import Traces
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
    """The rooms of a host. entering, leaving, messages, private, traces: what happens in them."""

    def __init__(self, muc: Muc) -> None:
        self._muc = muc
        self.host = muc.host
        self.options = muc.options
        self.entering = Entering(self)
        self.leaving = Leaving(self)
        self.messages = Messages(self)
        self.private = Private(self)
        self.traces = Traces(self)
        self._rooms: dict[str, Room] = {}
        self._loading: dict[str, list[Deferred[None]]] = {}  # by address, and who waits
        self._ending: dict[str, list[Deferred[None]]] = {}
        self._resting: OrderedDict[str, float] = OrderedDict()  # since when
        self._joined: dict[str, dict[Room, None]] = {}  # by full JID
        self._known: set[str] = set()  # clients whose rooms are loaded, by full JID
        self._sweep: IDelayedCall | None = None

    @property
    def domain(self) -> str:
        """Of the rooms."""
        return self._muc.domain

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
        if room is None or room.gone:
            return self._receive_later(passing, jid)
        return self._give(room, passing, jid)

    async def _receive_later(self, passing: Passing, jid: JID) -> None:
        room = await self.load(jid.bare)
        if room is None:
            room = await self._made(passing, jid)
        later = self._give(room, passing, jid)
        if later is not None:
            await later

    def _give(self, room: Room, passing: Passing, jid: JID) -> Awaitable[None] | None:
        """Let a room take a stanza; it stays loaded, and does not end by itself, meanwhile."""
        room.holds += 1
        try:
            later = self._take(room, passing, jid)
        except BaseException:
            self._let_go(room)
            raise
        if later is not None:
            return self._give_later(room, later)
        self._let_go(room)
        return None

    async def _give_later(self, room: Room, later: Awaitable[None]) -> None:
        try:
            await later
        finally:
            self._let_go(room)

    def _let_go(self, room: Room) -> None:
        room.holds -= 1
        if not (room.holds or room.by_client):
            self.rest(room)

    def _take(self, room: Room, passing: Passing, jid: JID) -> Awaitable[None] | None:
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
            if room.locked and not (passing.occupant or self._owns(room, passing)):  # §17.2
                raise StanzaError("item-not-found", by=room.bare)
            if jid.resource:
                return self.private.message(room, passing, jid)
            if type == "groupchat":
                return self.messages.say(room, passing)
            return self.host.dispatch(passing, At.ROOM)
        if stanza.kind == "presence":
            if type is None:
                return self.entering.presence(room, passing, jid)
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

    @staticmethod
    def _owns(room: Room, passing: Passing) -> bool:
        return room.affiliation(passing.sender.bare) is Affiliation.OWNER

    # rooms

    def find(self, bare: str) -> Room | None:
        """Return a room if it is loaded."""
        return self._rooms.get(bare)

    async def load(self, bare: str) -> Room | None:
        """Return a room, loaded; None if there is none.

        One that is being loaded or destroyed is waited for. Raises what the store raises.
        """
        while True:
            room = self._rooms.get(bare)
            if room is not None and not room.gone:
                return room
            waiting = (self._ending if room is not None else self._loading).get(bare)
            if waiting is not None:  # then look again: that may have failed
                later: Deferred[None] = Deferred()
                waiting.append(later)
                await later
                continue
            waiting = self._loading[bare] = []
            try:
                await self._load(bare)
            finally:
                del self._loading[bare]
                _wake(waiting)
            if bare not in self._rooms:  # nor did any of those make it
                return None

    async def _load(self, bare: str) -> None:
        await self.host.store.settled()
        keepers = self._muc.keepers
        loaded: storage.Loaded = await self.host.store.read(storage.load_more, bare, keepers)
        stored, extra = loaded
        if stored is None:
            return
        config = Config.of(self._muc.settings, stored.config)
        room = Room(self.host, parse(bare), config, stored.secret, stored.made)
        room.locked = stored.locked
        room.fill(stored.entries, stored.former)
        room.extra.update(extra)
        if stored.subject is not None:
            room.subject, room.subject_id = Stanza.parse(stored.subject), stored.subject_id
        archive = self._muc.archive
        if archive is not None and config.max_history:
            for id, salt, raw in await archive.recent(bare, config.max_history):
                body = with_id(Stanza.parse(bytes(raw)), room, public_id(id, salt))
                room.remember(Said(id, body, ""), config.max_history)
        if bare in self._rooms:  # somebody has made it meanwhile
            return
        self._rooms[bare] = room
        self.traces.loaded(bare, stored.traces)
        self._restore(room, stored.occupants)
        self.rest(room)

    def _restore(self, room: Room, occupants: list[tuple[str, str, str]]) -> None:
        """Put back those whose sessions are still there, and forget the others."""
        sessions = self.host.router.sessions
        gone: dict[str, str] = {}
        lost: dict[str, Occupant] = {}
        for jid, nick, role in occupants:
            session = sessions.get(jid)
            if session is None and parse(jid).domain in self.host.router.hosts:
                gone[jid] = nick
                lost[nick] = Occupant(room, nick, jid.partition("/")[0], Role(role))
                continue
            # what a client tells its contacts is not for the room
            shown = Stanza.parse(b"<presence from='%s'/>" % room.bare.encode())
            restored(room, nick, jid, Role(role), shown)
            self.entered(room, jid)
        if gone:
            record = Record(self.host, None, self.host.store.ids)
            for jid, nick in gone.items():
                self.traces.left(record, room, nick, (jid,), False)
            self.host.store.append(record)
            self.traces.lost(room.bare, lost)
        for nick, occupant in lost.items():
            if room.find(nick) is None:  # no other client of it came back
                tell_all(occupant, told_gone(occupant), GONE)

    async def _made(self, passing: Passing, jid: JID) -> Room:
        """Return a new room for who enters one that does not exist (§10.1). Raises StanzaError."""
        stanza = passing.stanza
        if stanza.kind != "presence":
            if stanza.type in ("error", "result"):
                raise Dropped
            if stanza.kind == "iq" and jid.resource:
                # XEP-0410 §3.2: nobody may take that for a sign of being in
                raise StanzaError("not-acceptable", by=jid.bare)
            raise StanzaError("item-not-found", by=jid.bare)
        if stanza.type is not None or not stanza.has(NS_MUC, "x"):
            if stanza.type is None and jid.resource:
                return Room(self.host, jid.to_bare(), self._usual, "", 0)
            raise Dropped
        if not jid.resource:
            raise StanzaError("jid-malformed", by=jid.bare)
        if not self._may_make(passing):
            raise StanzaError("not-allowed", by=jid.bare, text="only some may make rooms here")
        owned = await self.host.store.read(storage.owned, passing.sender.bare)
        if owned >= self.options.most_owned:
            text = "you own as many rooms as one may"
            raise StanzaError("resource-constraint", by=jid.bare, text=text)
        return await self.load(jid.bare) or self.new(jid.to_bare(), passing.sender)

    def _may_make(self, passing: Passing) -> bool:
        """Tell whether somebody may make rooms (§10.1.1)."""
        wanted = self.options.makers
        if wanted == "everyone" or self.host.users.administers(passing.sender):
            return True
        account = passing.account
        return wanted == "accounts" and account is not None and not account.temporary

    def new(self, jid: JID, maker: JID) -> Room:
        """Return a new room that is loaded and not stored yet; its maker owns it."""
        config = self._usual
        ids = self.host.store.ids
        room = Room(self.host, jid, config, secrets.token_hex(_SECRET), ids.next())
        room.locked = room.fresh = True
        room.put(maker.bare, Entry(Affiliation.OWNER, version=ids.next()))
        self._rooms[room.bare] = room
        return room

    def write_new(self, room: Room, record: Record) -> None:
        """Let a room become durable."""
        record.apart = True
        for statement in storage.FORGET:
            record.write(statement, room.bare)
        record.write(storage.SAVE, *storage.values(room))
        for jid, entry in room.entries.items():
            record.write(storage.AFFILIATE, *storage.affiliate(room.bare, jid, entry))

    async def destroy(
        self, room: Room, by: str | None = None, durable: Callable[[], object] | None = None
    ) -> None:
        """Remove a room for good. What is sent there meanwhile waits.

        durable: called when it is, to send out who is in. Raises what the store raises; then the
        room is as it was.
        """
        room.gone = True
        waiting = self._ending[room.bare] = []
        try:
            await self._remove(room)
            if durable is not None:
                durable()
            await self.host.switch(ROOM_DESTROYED).tell(RoomChange(room, by=by))
        finally:
            del self._ending[room.bare]
            if not (room.gone or room.by_client):
                self._resting[room.bare] = self.host.clock.seconds()  # and to be tried again
            elif room.gone and self._rooms.get(room.bare) is room:
                self._forget(room.bare)
            _wake(waiting)

    async def _remove(self, room: Room) -> None:
        try:
            archive = self._muc.archive
            if archive is not None:
                await archive.abandon(room.bare)
            await self.host.store.settled()  # what is on its way would come back otherwise
            await self.host.store.transaction(storage.remove, room.bare)
        except BaseException:
            room.gone = False
            raise

    def rest(self, room: Room) -> None:
        """Know that somebody may have been the last in a room."""
        if room.by_client or room.holds or room.gone or self._rooms.get(room.bare) is not room:
            return
        if room.fresh:  # whoever wanted to make it may not enter
            self._forget(room.bare)
            return
        if not room.config.persistent or room.locked:
            self.host.spawn(self.destroy(room))
            return
        self._resting[room.bare] = self.host.clock.seconds()
        self._resting.move_to_end(room.bare)
        for bare in list(self._resting)[: max(0, len(self._resting) - _RESTING)]:
            self.unload(bare)
        if self._sweep is None:
            self._sweep = self.host.clock.callLater(_IDLE, self._sweep_out)

    def _sweep_out(self) -> None:
        """Let go of the rooms that nobody has used for a while."""
        self._sweep = None
        late = self.host.clock.seconds() - _IDLE
        for bare, since in list(self._resting.items()):
            if since <= late:
                self.unload(bare)
        if self._resting:
            self._sweep = self.host.clock.callLater(_IDLE, self._sweep_out)

    def unload(self, bare: str) -> None:
        """Let go of a room that nobody is in, unless somebody holds on to it."""
        room = self._rooms.get(bare)
        if room is None or room.by_client:
            self._resting.pop(bare, None)
            return
        busy = room.holds or room.gone or room.turn.locked
        if busy or any(said.record for said in room.said):
            self._resting[bare] = self.host.clock.seconds()  # somebody holds on to this object
            self._resting.move_to_end(bare)
            return
        self._forget(bare)

    def _forget(self, bare: str) -> None:
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

    async def stop(self) -> None:
        """Do nothing more by itself; wait until the rooms that are ending have ended."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        while self._ending:
            ended: Deferred[None] = Deferred()
            next(iter(self._ending.values())).append(ended)
            await ended

    def forget(self, bare: str) -> None:
        """Know that an account is no more; its rows go with it."""
        for room in self._rooms.values():
            room.drop(bare)
            for keeper in self._muc.keepers.values():
                keeper.forget(room, bare)

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

    def count(self, jid: str) -> int:
        """Return how many rooms a client is in."""
        return len(self._joined.get(jid, ()))

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
            self.leaving.close(room)

    def ended(self, session: Session) -> None:
        """Take a session that ended out of the rooms it did not leave."""
        self._known.discard(session.full)
        self.traces.ended(session)
        for room in self.of_client(session.full):
            occupant = room.by_client.get(session.full)
            if occupant is not None:
                self.leaving.leave(room, occupant, session.full)


def _wake(waiting: list[Deferred[None]]) -> None:
    for later in waiting:
        later.callback(None)
