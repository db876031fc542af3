"""What owners do with a room: configure it and destroy it (XEP-0045 §10.1, §10.2, §10.9)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from twisted.words.xish.domish import Element

from imsuite.core.fanout import Fan
from imsuite.core.feature import At, answers
from imsuite.core.hooks import ROOM_CHANGED, Passing, RoomChange
from imsuite.features.xep0045_muc.affiliating import (
    By,
    become,
    say,
    take,
    versioned,
    write,
)
from imsuite.features.xep0045_muc.facet import Facet
from imsuite.features.xep0045_muc.room import Entry, Occupant, Room
from imsuite.features.xep0045_muc.telling import (
    GONE,
    NS_USER,
    News,
    X,
    finish,
    gone,
    is_shown,
    shown,
    tell_all,
)
from imsuite.rules.affiliations import (
    Affiliation,
    Lists,
    Role,
    changes_by_lists,
    may_change_affiliations,
    removal_by_configuration,
    role_after_moderation,
)
from imsuite.rules.room import config_codes, shows_presence
from imsuite.rules.room_config import Config, Submitted, form, read
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import parse
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza, child, escaped, quoted, result, text_of

NS_OWNER = "http://jabber.org/protocol/muc#owner"

_CONFIGURE = (
    "UPDATE room SET name = ?, listed = ?, lasting = ?, locked = 0, config = ? WHERE jid = ?"
)


class Owning(Facet):
    """The configuration of a room, and its end."""

    @answers("get", NS_OWNER, "query", At.ROOM)
    def configuration(self, request: Passing) -> Stanza:
        """§10.1.3, §10.2: the form with the present values."""
        room: Room = request.room
        _check_owner(room, request)
        lists = Lists(
            tuple(jid for jid, _ in room.affiliated(Affiliation.OWNER)),
            tuple(jid for jid, _ in room.affiliated(Affiliation.ADMIN)),
        )
        query = Element((NS_OWNER, "query"))
        query.addChild(form(room.config, lists, f"Configuration of {room.bare}"))
        return result(request.stanza, query)

    @answers("set", NS_OWNER, "query", At.ROOM)
    async def own(self, request: Passing) -> Stanza | None:
        """§10.1.2, §10.1.3, §10.2, §10.9: a filled in form, or the wish to destroy the room."""
        room: Room = request.room
        query = request.stanza.payload
        assert query is not None
        async with room.turn:
            _check_owner(room, request)
            wish = child(query, NS_OWNER, "destroy")
            if wish is not None:
                if child(query, NS.DATA, "x") is not None:
                    raise StanzaError("bad-request", text="either configure it or destroy it")
                await self._destroy(room, request, _farewell(wish))
                return result(request.stanza)
            asked = read(room.config, query)
            if asked is not None:
                await self._configure(room, request, asked)
                return None
            if room.locked:  # §10.1.3: who does not want to configure it does not want it
                await self._destroy(room, request, b"<destroy/>")
            return result(request.stanza)

    # §10.2

    async def _configure(self, room: Room, request: Passing, asked: Submitted) -> None:
        """Take a configuration, answer, and tell whom it concerns."""
        known = {jid: entry.affiliation for jid, entry in room.entries.items()}
        changes = changes_by_lists(known, asked.lists)
        why = may_change_affiliations(request.sender, known, changes) if changes else None
        if why is not None:
            raise why
        changed = versioned(room, _entries(room, changes))
        await self.host.store.settled()  # a room that was made just now is a row then
        config = asked.config
        if not await self.host.store.transaction(_write, room.bare, config, changed):
            raise StanzaError("item-not-found")
        self.host.answer(request, result(request.stanza))
        by = By(request.sender.full, "" if request.occupant is None else request.occupant.nick)
        before = room.config
        _hide(room, config)
        hidden = [occupant for occupant in room.occupants.values() if not is_shown(occupant)]
        was_locked = room.locked
        room.config, room.locked = config, False
        room.trim(config.max_history)
        take(self.rooms, room, changed, by)
        self._settle(room, before, hidden, by)
        for code in config_codes(before, config):
            say(room, b"<status code='%d'/>" % code, lambda _: True, "groupchat")
        self.rooms.rest(room)
        switch = self.host.switch(ROOM_CHANGED)
        if switch.steps and (asked.changed or was_locked):
            self.host.spawn(switch.tell(RoomChange(room, by=by.jid, fields=asked.changed)))

    def _settle(self, room: Room, before: Config, hidden: list[Occupant], by: By) -> None:
        """Let occupants be what they are under the new configuration, or leave (§10.2)."""
        config = room.config
        for occupant in list(room.occupants.values()):
            why = removal_by_configuration(
                occupant.affiliation, before.members_only, config.members_only
            )
            if why is not None:
                news = News(why.value, actor=by.nick, role=Role.NONE)
                self.rooms.leaving.expel(room, occupant, news, by.jid)
                continue
            role = occupant.role
            if before.moderated != config.moderated:
                role = role_after_moderation(role, config.moderated)
            if role is not occupant.role:
                become(room, occupant, role, News())
            elif occupant in hidden and is_shown(occupant):
                tell_all(occupant, shown(occupant, occupant.main), own=())

    # §10.9

    async def _destroy(self, room: Room, request: Passing, farewell: bytes) -> None:
        """Remove the room for good, and send everybody out."""

        def durable() -> None:
            self._send_out(room, farewell)

        await self.rooms.destroy(room, request.sender.full, durable)

    def _send_out(self, room: Room, farewell: bytes) -> None:
        x = b"<x xmlns='%s'><item affiliation='none' role='none'/>%s<status code='110'/></x>"
        for occupant in list(room.occupants.values()):
            fan = Fan(self.host, gone(occupant).plus(x % (NS_USER.encode(), farewell), X))
            for jid in list(occupant.clients):
                fan.send(jid)
                self.rooms.left(room, jid)
                room.remove_client(occupant, jid)
            finish(room, fan)


def _check_owner(room: Room, request: Passing) -> None:
    """Raise StanzaError where somebody does not own the room, or nobody does any more (§10.2)."""
    if room.gone:
        raise StanzaError("item-not-found")
    if room.affiliation(request.sender.bare) is not Affiliation.OWNER:
        raise StanzaError("forbidden", text="only owners do that")


def _entries(room: Room, changes: Mapping[str, Affiliation]) -> dict[str, Entry]:
    """Return new entries; reserved nicknames stay with those who have them."""
    entries = {}
    for jid, affiliation in changes.items():
        known = room.entries.get(jid)
        entries[jid] = Entry(affiliation, "" if known is None else known.nick)
    return entries


def _write(cursor: Any, room: str, config: Config, changed: Mapping[str, Entry]) -> bool:
    """Write a configuration and affiliations, unless the room was removed meanwhile."""
    cursor.execute("SELECT 1 FROM room WHERE jid = ?", (room,))
    if cursor.fetchone() is None:
        return False
    stored = json.dumps(config.stored(), separators=(",", ":"))
    shown = int(config.public), int(config.persistent)
    cursor.execute(_CONFIGURE, (config.name, *shown, stored, room))
    write(cursor, room, changed)
    return True


def _hide(room: Room, config: Config) -> None:
    """Take those out of sight whose presence is not broadcast any more (§5.1.1)."""
    for occupant in room.occupants.values():
        if is_shown(occupant) and not shows_presence(config, occupant.role):
            tell_all(occupant, gone(occupant), GONE, own=())


def _farewell(wish: Element) -> bytes:
    """Return what those who are sent out hear of the reason and of another room (§10.9)."""
    venue = wish.getAttribute("jid")
    jid = b" jid=" + quoted(parse(venue).full) if venue else b""
    inner = b""
    for name in ("password", "reason"):
        text = text_of(child(wish, NS_OWNER, name))
        if text:
            inner += b"<%s>%s</%s>" % (name.encode(), escaped(text), name.encode())
    return b"<destroy%s>%s</destroy>" % (jid, inner) if inner else b"<destroy%s/>" % jid
