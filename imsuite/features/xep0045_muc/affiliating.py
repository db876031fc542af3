"""What follows when an affiliation or a role changes (XEP-0045 §5, §8, §9, §10, §16.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from imsuite.core.fanout import Fan
from imsuite.core.hooks import ROOM_CHANGED, RoomChange
from imsuite.core.record import Record
from imsuite.features.xep0045_muc import storage
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
    tell_one,
)
from imsuite.rules.affiliation_versions import REMEMBERED, mav_steps
from imsuite.rules.affiliations import Affiliation, Removal, Role, removal, role_after
from imsuite.rules.room import shows_presence
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza, escaped, make, quoted

if TYPE_CHECKING:
    from imsuite.features.xep0045_muc.rooms import Rooms

_FORGET = (
    "DELETE FROM room_affiliation"
    " WHERE room = ? AND affiliation = 'none' AND nick = '' AND version < ?"
)


@attrs.frozen
class By:
    """Who changes something. jid: full JID, None for the service; nick: in the room, "" if not."""

    jid: str | None = None
    nick: str = ""


async def affiliate(
    rooms: Rooms,
    room: Room,
    wanted: Mapping[str, Entry],
    by: str | None = None,
    actor: str = "",
    invite: bool = False,
    durable: Callable[[], object] | None = None,
) -> None:
    """Give affiliations, and tell whom it concerns; the caller holds `room.turn` and may do it.

    wanted: by bare JID or domain, without version; by: full JID of who does it; actor: its
    nickname; invite: new members of a members-only room are invited (§9.5); durable: called when
    it is, before anybody hears of it. Raises StanzaError item-not-found if the room is no more.
    """
    host = room.host
    changed = versioned(room, wanted)
    await host.store.settled()  # a room that was made just now is a row then
    if not await host.store.transaction(_write, room.bare, changed):
        raise StanzaError("item-not-found")
    if durable is not None:
        durable()
    take(rooms, room, changed, By(by, actor), invite)


def versioned(room: Room, wanted: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return entries with the versions they get: new ones where the affiliation is (XEP-0463)."""
    ids, found = room.host.store.ids, {}
    for jid, entry in wanted.items():
        known = room.entries.get(jid)
        same = known is not None and known.affiliation is entry.affiliation
        found[jid] = attrs.evolve(entry, version=known.version if known and same else ids.next())
    return found


def write(cursor: Any, room: str, changed: Mapping[str, Entry]) -> None:
    """Write affiliations of a room, and forget who ceased long ago to have any."""
    rows = [storage.affiliate(room, jid, entry) for jid, entry in changed.items()]
    cursor.executemany(storage.AFFILIATE, rows)
    if changed:
        now = max(entry.version for entry in changed.values())
        cursor.execute(_FORGET, (room, now - REMEMBERED))


def _write(cursor: Any, room: str, changed: Mapping[str, Entry]) -> bool:
    """Write affiliations, unless the room was removed meanwhile."""
    cursor.execute("SELECT 1 FROM room WHERE jid = ?", (room,))
    if cursor.fetchone() is None:
        return False
    write(cursor, room, changed)
    return True


def take(
    rooms: Rooms, room: Room, changed: Mapping[str, Entry], by: By, invite: bool = False
) -> None:
    """Let affiliations that are durable count, and tell whom it concerns."""
    versions = {jid: entry.version for jid, entry in changed.items()}
    steps = mav_steps(room.secret, room.version, versions)
    inside = {occupant: occupant.affiliation for occupant in room.occupants.values()}
    before = {jid: room.affiliation(jid) for jid in changed}
    for jid, entry in changed.items():
        if entry.affiliation is Affiliation.NONE and not entry.nick:
            room.drop(jid, entry.version)
        else:
            room.put(jid, entry)
    forgotten = max((entry.version for entry in changed.values()), default=0) - REMEMBERED
    for jid in [jid for jid, version in room.former.items() if version < forgotten]:
        room.drop(jid)
    of_account: dict[str, list[Occupant]] = {}
    for occupant in inside:
        of_account.setdefault(occupant.bare, []).append(occupant)
    for jid, entry in changed.items():  # in order, as versions follow each other
        extra = steps.get(jid, b"")
        shows = any(is_shown(occupant) for occupant in of_account.get(jid, ()))
        for occupant, old in inside.items() if "@" not in jid else ():
            if occupant.bare not in changed and occupant.affiliation is not old:
                _affiliated(
                    rooms, room, occupant, old, News(actor=by.nick, reason=entry.reason), by
                )
        for occupant in of_account.get(jid, ()):
            if occupant.affiliation is not inside[occupant]:
                news = News(actor=by.nick, reason=entry.reason, extra=extra)
                _affiliated(rooms, room, occupant, inside[occupant], news, by)
        if before[jid] is entry.affiliation:
            continue
        if not shows:
            _tell_of_absent(room, jid, entry, extra)
        if jid not in of_account:
            _tell_absent(room, jid, entry, by)
            if invite and before[jid] is Affiliation.NONE and room.config.members_only:
                _invite(room, jid, entry, by)
    switch = room.host.switch(ROOM_CHANGED)
    if switch.steps:
        for jid in changed:
            room.host.spawn(switch.tell(RoomChange(room, by=by.jid, jid=jid)))


def _affiliated(
    rooms: Rooms, room: Room, occupant: Occupant, old: Affiliation, news: News, by: By
) -> None:
    """Let an occupant stay as what it is now, or leave (§9.1, §9.4)."""
    new = occupant.affiliation
    why = removal(new, room.config.members_only)
    if why is not None:
        news = attrs.evolve(news, codes=why.value, affiliation=new, role=Role.NONE)
        rooms.leaving.expel(room, occupant, news, by.jid)
        return
    role = role_after(new, old, occupant.role, room.config.moderated)
    become(room, occupant, role, attrs.evolve(news, actor=""))


def set_role(
    rooms: Rooms, room: Room, occupant: Occupant, role: Role, actor: str, reason: str, by: str
) -> None:
    """Give somebody inside a role, or kick somebody out with none (§8.2-§8.4, §9.6, §9.7).

    actor: nickname of who does it, "" for somebody outside; by: full JID.
    """
    if role is Role.NONE:
        news = News(Removal.KICKED.value, actor=actor, reason=reason, role=Role.NONE)
        rooms.leaving.expel(room, occupant, news, by)
    elif role is not occupant.role:
        become(room, occupant, role, News(reason=reason))
        switch = room.host.switch(ROOM_CHANGED)
        if switch.steps:
            room.host.spawn(switch.tell(RoomChange(room, by=by, occupant=occupant)))


def become(room: Room, occupant: Occupant, role: Role, news: News) -> None:
    """Show an occupant as what it is now, in a role."""
    if is_shown(occupant) and not shows_presence(room.config, role):
        tell_all(occupant, gone(occupant), GONE, own=())  # others do not see it any more
    before, occupant.role = occupant.role, role
    occupant.changed()
    tell_all(occupant, shown(occupant, occupant.main), news)
    if role is before:
        return
    keep_role(room, occupant)
    if role is Role.MODERATOR and room.config.semi_anonymous:
        _tell_who_is_who(room, occupant)


def keep_role(room: Room, occupant: Occupant) -> None:
    """Write the role of an occupant."""
    record = Record(room.host, None, room.host.store.ids)
    for jid in occupant.clients:
        record.write(storage.ENTER, room.bare, jid, occupant.nick, occupant.role.value)
    room.host.store.append(record)


def _tell_who_is_who(room: Room, moderator: Occupant) -> None:
    """Let a new moderator know the real JIDs of the others (§8: by presence)."""
    for other in room.occupants.values():
        if other is not moderator and is_shown(other):
            for client in moderator.clients.values():
                tell_one(other, client, True)


def say(room: Room, inner: bytes, to: Callable[[Occupant], bool], type: str | None = None) -> None:
    """Send occupants a message of the room itself that is not kept.

    inner: what stands in its <x/>; to: whether an occupant gets it.
    """
    x = b"<x xmlns='%s'>%s</x>" % (NS_USER.encode(), inner)
    fan = Fan(room.host, make("message", {"from": room.bare, "type": type}, x, X))
    for occupant, client in room.clients():
        if to(occupant):
            fan.send(client.jid, client.written)
    finish(room, fan)


def _tell_of_absent(room: Room, jid: str, entry: Entry, extra: bytes) -> None:
    """Tell those who may know of somebody whom they do not see (§10.3, §10.6, XEP-0463 §4.2.2)."""
    inner = b"<reason>%s</reason>" % escaped(entry.reason) if entry.reason else b""
    item = b"<item affiliation='%s' jid=%s role='none'>%s</item>%s"
    told = item % (entry.affiliation.value.encode(), quoted(jid), inner, extra)
    say(room, told, lambda occupant: occupant.knows_all)


def _tell_absent(room: Room, jid: str, entry: Entry, by: By) -> None:
    """Tell a user whose affiliation somebody else changed, with 101 (§16.1)."""
    if "@" not in jid or (by.jid is not None and by.jid.partition("/")[0] == jid):
        return
    inner = b"<actor nick=%s/>" % quoted(by.nick) if by.nick else b""
    if entry.reason:
        inner += b"<reason>%s</reason>" % escaped(entry.reason)
    item = b"<item affiliation='%s' role='none'>%s</item><status code='101'/>"
    room.host.send(_to_user(room, jid, item % (entry.affiliation.value.encode(), inner)))


def _invite(room: Room, jid: str, entry: Entry, by: By) -> None:
    """Invite a new member (§9.5). Who did it stays hidden where the room hides it."""
    if entry.affiliation is not Affiliation.MEMBER or "@" not in jid:
        return
    inviter = f"{room.bare}/{by.nick}" if by.nick else room.bare
    if by.jid is not None and not room.config.semi_anonymous:
        inviter = by.jid.partition("/")[0]
    reason = b"<reason>%s</reason>" % escaped(entry.reason) if entry.reason else b""
    inner = b"<invite from=%s>%s</invite>" % (quoted(inviter), reason)
    if room.config.password_protected:
        inner += b"<password>%s</password>" % escaped(room.config.secret)
    room.host.send(_to_user(room, jid, inner))


def _to_user(room: Room, jid: str, inner: bytes) -> Stanza:
    """Return a message of the room to a user's bare JID."""
    x = b"<x xmlns='%s'>%s</x>" % (NS_USER.encode(), inner)
    return make("message", {"from": room.bare, "to": jid}, x, X)
