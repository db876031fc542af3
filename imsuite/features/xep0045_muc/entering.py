"""Entering a room, and speaking of oneself inside (XEP-0045 §7.1, §7.2, §7.6, §7.7)."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import TYPE_CHECKING

from imsuite.core.fanout import Fan
from imsuite.core.hooks import ROOM_JOINING, Passing
from imsuite.features.xep0045_muc import storage
from imsuite.features.xep0045_muc.catching_up import tell_of_others
from imsuite.features.xep0045_muc.history import greet
from imsuite.features.xep0045_muc.leaving import TECHNICAL
from imsuite.features.xep0045_muc.room import Client, Occupant, Room
from imsuite.features.xep0045_muc.telling import (
    NS_MUC,
    News,
    cleaned,
    finish,
    gone,
    shown,
    tell_all,
    with_x,
)
from imsuite.rules.affiliations import Affiliation, Role, initial_role
from imsuite.rules.room import check_nick, entering_codes, may_enter, read_history
from imsuite.xmpp.address import JID
from imsuite.xmpp.errors import Dropped, StanzaError
from imsuite.xmpp.stanza import Stanza, child, text_of

if TYPE_CHECKING:
    from imsuite.core.session import Session
    from imsuite.features.xep0045_muc.rooms import Rooms


class Entering:
    """How somebody becomes an occupant, and changes its presence or nickname."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def _session(self, jid: str) -> Session | None:
        return self._rooms.host.router.sessions.get(jid)

    # from outside

    def presence(self, room: Room, passing: Passing, jid: JID) -> Awaitable[None] | None:
        """Take available presence to a room."""
        stanza, sender = passing.stanza, passing.sender
        if not jid.resource:
            raise StanzaError("jid-malformed", by=room.bare)  # §7.2.1
        nick = check_nick(jid.resource, self._rooms.options.longest_nick)
        occupant = room.by_client.get(sender.full)
        enters = stanza.has(NS_MUC, "x")
        if occupant is not None and not enters:
            if nick == occupant.nick:
                self._update(occupant, stanza, sender.full)
                return None
            self._rename(occupant, passing, nick)
            return None
        if not enters:
            _turn_away(room, passing, jid)
            return None
        return self._enter(room, passing, nick)

    def _enter(self, room: Room, passing: Passing, nick: str) -> Awaitable[None] | None:
        """Let somebody in, or say why not, once the features at the door are content."""
        for door in self._rooms.doors:
            later = door.open(passing)
            if later is not None:
                return self._enter_through(room, passing, nick, later)
        return self._enter_now(room, passing, nick)

    async def _enter_through(
        self, room: Room, passing: Passing, nick: str, later: Awaitable[None]
    ) -> None:
        await later
        if room.gone:
            raise StanzaError("item-not-found", by=room.bare)
        after = self._enter_now(room, passing, nick)
        if after is not None:
            await after

    def _enter_now(self, room: Room, passing: Passing, nick: str) -> Awaitable[None] | None:
        """§7.2: let somebody in, or say why not."""
        sender = passing.sender
        self._check(room, passing, nick)
        nick, changed = self._own_nick(room, sender, nick)
        switch = room.host.switch(ROOM_JOINING)
        if switch.steps:
            later = switch.run(passing)
            if later is not None:
                return self._enter_later(room, passing, nick, changed, later)
        self._let_in(room, passing, nick, changed)
        return None

    async def _enter_later(
        self, room: Room, passing: Passing, nick: str, changed: bool, later: Awaitable[None]
    ) -> None:
        await later
        if room.gone:
            raise StanzaError("item-not-found", by=room.bare)
        self._check(room, passing, nick)  # the room may have changed meanwhile
        self._let_in(room, passing, nick, changed)

    def _check(self, room: Room, passing: Passing, nick: str) -> None:
        """Raise StanzaError where somebody may not enter so (§7.2.5-§7.2.10, §10.1.2)."""
        sender = passing.sender
        affiliation = room.affiliation(sender.bare)
        if room.locked and affiliation is not Affiliation.OWNER:
            raise StanzaError("item-not-found", by=room.bare)
        there = room.find(nick)
        inside = sender.full in room.by_client
        adds = there is None and not inside
        why = None
        if not inside:
            occupants = len(room.occupants) if adds else 0
            why = may_enter(room.config, affiliation, _password(passing.stanza), occupants)
        why = why or _conflict(room, sender, nick)
        if why is None and not inside and len(room.by_client) >= self._rooms.options.most:
            why = StanzaError("service-unavailable", "wait", "the room is full")
        most = self._rooms.options.most_joined
        if why is None and not inside and self._rooms.count(sender.full) >= most:
            text = "you are in as many rooms as one may be"
            why = StanzaError("resource-constraint", text=text)
        if why is not None:
            why.by = room.bare
            raise why

    def _own_nick(self, room: Room, sender: JID, nick: str) -> tuple[str, bool]:
        """Return the nickname somebody gets, and whether it is another one than was asked for.

        §7.2.3: where the room ties nicknames to members, the reserved one.
        """
        entry = room.entries.get(sender.bare)
        if entry is None or not entry.nick or not self._rooms.options.reserved_nicks_only:
            return nick, False
        return entry.nick, entry.nick != nick

    def _let_in(self, room: Room, passing: Passing, nick: str, changed: bool) -> None:
        stanza, sender = passing.stanza, passing.sender
        if passing.session is not None and passing.session is not self._session(sender.full):
            raise Dropped  # it ended while this waited
        wanted = read_history(_history(stanza))
        before = room.by_client.get(sender.full)
        if before is not None and before is not room.find(nick):
            # in under another name, and out of step: it enters anew with the new one
            self._rooms.leaving.leave(room, before, sender.full)
        occupant = room.find(nick)
        fresh = occupant is None
        if occupant is None:
            role = initial_role(room.affiliation(sender.bare), room.config.moderated)
            occupant = Occupant(room, nick, sender.bare, role)
        client = Client(sender.full, cleaned(stanza, occupant.jid), self._session(sender.full))
        again = client.jid in occupant.clients
        room.add_client(occupant, client)
        if fresh:
            room.add(occupant)
        self._rooms.entered(room, client.jid)
        record = passing.keep()  # so that it counts as handled when it is durable, and no sooner
        made, room.fresh = room.fresh, False
        if made:
            self._rooms.write_new(room, record)
        record.write(storage.ENTER, room.bare, client.jid, occupant.nick, occupant.role.value)
        record.refused = partial(self._refused, room, client.jid, made)
        tell_of_others(room, occupant, client, stanza)
        greeting = room.extra.get("entering", {}).pop(client.jid, b"")
        news = News(own=entering_codes(room.config, made, changed), own_extra=greeting)
        tell_all(
            occupant,
            shown(occupant, client),
            news,
            record=record,
            own=(client.jid,),
            others=fresh or again or len(occupant.clients) > 1,
        )
        for jid in occupant.clients:  # its other clients see that it has one more
            if jid != client.jid:
                tell_all(occupant, shown(occupant, client), own=(jid,), others=False)
        record.follow(partial(greet, room, client, wanted))

    def _refused(self, room: Room, jid: str, made: bool, why: Exception) -> None:
        """Take somebody out whom the store could not keep. made: nor the room."""
        room.fresh = room.fresh or made
        self._rooms.leaving.unreachable(room, jid)

    # from inside

    def _update(self, occupant: Occupant, stanza: Stanza, jid: str) -> None:
        """§7.7: somebody's availability changed."""
        room = occupant.room
        room.add_client(occupant, Client(jid, cleaned(stanza, occupant.jid), self._session(jid)))
        tell_all(occupant, shown(occupant, occupant.main))

    def _rename(self, occupant: Occupant, passing: Passing, nick: str) -> None:
        """§7.6: somebody wants another nickname."""
        room, stanza, sender = occupant.room, passing.stanza, passing.sender
        why = _conflict(room, sender, nick)
        if why is not None:
            raise why
        there = room.find(nick)
        if there is not None and there is not occupant:
            self._move(occupant, there, passing)
            return
        entry = room.entries.get(sender.bare)
        if self._rooms.options.reserved_nicks_only and entry is not None and entry.nick:
            raise StanzaError("not-acceptable", by=room.bare)
        tell_all(occupant, gone(occupant), News(codes=(303,), nick=nick))
        before = occupant.nick
        room.rename(occupant, nick)
        room.add_client(
            occupant, Client(sender.full, cleaned(stanza, occupant.jid), self._session(sender.full))
        )
        record = passing.keep()
        record.refused = partial(self._not_renamed, occupant)
        self._rooms.traces.renamed(record, room, before)
        for jid in occupant.clients:
            record.write(storage.ENTER, room.bare, jid, nick, occupant.role.value)
        tell_all(occupant, shown(occupant, occupant.main), record=record)

    def _not_renamed(self, occupant: Occupant, why: Exception) -> None:
        """Take somebody out whom the store knows under another name than everybody else."""
        if occupant.clients:
            self._rooms.leaving.expel(occupant.room, occupant, TECHNICAL)

    def _move(self, before: Occupant, after: Occupant, passing: Passing) -> None:
        """Let one client of an account join another of its occupants."""
        room, stanza, jid = before.room, passing.stanza, passing.sender.full
        news = News(codes=(303,), nick=after.nick)
        last = len(before.clients) == 1
        tell_all(before, gone(before), news, own=(jid,), others=last)
        room.remove_client(before, jid)
        room.add_client(after, Client(jid, cleaned(stanza, after.jid), self._session(jid)))
        record = passing.keep()
        record.refused = partial(self._refused, room, jid, False)
        self._rooms.traces.renamed(record, room, before.nick)
        record.write(storage.ENTER, room.bare, jid, after.nick, after.role.value)
        tell_all(after, shown(after, after.main), record=record)


def _turn_away(room: Room, passing: Passing, jid: JID) -> None:
    """§7.2.1: presence of a client that thinks it is in; it hears that it is not."""
    outsider = Occupant(room, jid.resource, passing.sender.bare, Role.NONE)
    stanza = with_x(
        gone(outsider),
        outsider,
        None,
        News(affiliation=Affiliation.NONE, role=Role.NONE),
        (110, 307, 333),
    )
    fan = Fan(room.host, stanza)
    fan.send(passing.sender.full)
    finish(room, fan)


def _conflict(room: Room, sender: JID, nick: str) -> StanzaError | None:
    """§7.2.8: two of different accounts never have one nickname, nor one that is reserved."""
    there, reserved = room.find(nick), room.reserved_for(nick)
    if (there is None or there.bare == sender.bare) and reserved in (None, sender.bare):
        return None
    return StanzaError("conflict", text="the nickname belongs to somebody else", by=room.bare)


def _password(stanza: Stanza) -> str:
    x = stanza.child(NS_MUC, "x")
    return "" if x is None else text_of(child(x, NS_MUC, "password"))


def _history(stanza: Stanza) -> dict[str, str]:
    """Return what says how much of the past somebody wants to hear (§7.2.14)."""
    x = stanza.child(NS_MUC, "x")
    found = None if x is None else child(x, NS_MUC, "history")
    return {} if found is None else {str(k): str(v) for k, v in found.attributes.items()}
