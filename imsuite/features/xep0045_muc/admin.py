"""What moderators and admins do with people: roles, affiliations, lists (XEP-0045 §8, §9)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from twisted.words.xish.domish import Element

from imsuite.core.feature import At, answers
from imsuite.core.hooks import Passing
from imsuite.features.xep0045_muc import storage
from imsuite.features.xep0045_muc.affiliating import affiliate, set_role
from imsuite.features.xep0045_muc.facet import Facet
from imsuite.features.xep0045_muc.room import Entry, Occupant, Room
from imsuite.rules.affiliations import (
    Affiliation,
    Role,
    may_change_affiliations,
    may_change_role,
)
from imsuite.rules.room import check_nick, compared, may_retrieve
from imsuite.rules.room_items import NS_ADMIN, Change, read_changes, read_list
from imsuite.xmpp.address import JID
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza, result

MOST = 1000  # items in one request


class Administering(Facet):
    """Voice, kicks, bans, and the lists of a room."""

    @answers("get", NS_ADMIN, "query", At.ROOM)
    def lists(self, request: Passing) -> Stanza:
        """§8.5, §9.2, §9.5, §9.8, §10.5, §10.8: who has a role or an affiliation."""
        room: Room = request.room
        payload = request.stanza.payload
        assert payload is not None
        role, affiliation = _standing(room, request.sender)
        query = Element((NS_ADMIN, "query"))
        for wanted in read_list(payload):
            if isinstance(wanted, Role):
                # §8.5: moderators see who has voice; §9.8: admins see who is a moderator
                if affiliation < Affiliation.ADMIN and not wanted < role is Role.MODERATOR:
                    raise StanzaError("forbidden", text="the list is not yours to see")
                _add_roles(query, room, wanted)
            else:
                why = may_retrieve(room.config, wanted, role, affiliation)
                if why is not None:
                    raise why
                _add_affiliations(query, room, wanted, affiliation >= Affiliation.ADMIN)
        return result(request.stanza, query)

    @answers("set", NS_ADMIN, "query", At.ROOM)
    async def administer(self, request: Passing) -> Stanza | None:
        """§8.2-§8.5, §9, §10.3-§10.8: change roles and affiliations, all that are asked or none."""
        room: Room = request.room
        payload = request.stanza.payload
        assert payload is not None
        changes = read_changes(payload)
        if len(changes) > MOST:
            raise StanzaError("policy-violation", text="too many items at once")
        async with room.turn:
            if room.gone:
                raise StanzaError("item-not-found")
            roles = _roles(room, request.sender, changes)
            entries = _entries(room, request.sender, changes, self.options.longest_nick)
            total = len(room.entries.keys() | entries.keys())
            if total > max(self.options.most_affiliated, len(room.entries)):
                raise StanzaError("resource-constraint", text="too many people for one room")
            by, actor = request.sender.full, _nick(room, request)
            answer = partial(self.host.answer, request, result(request.stanza))
            if roles:
                await self._write_roles(room, roles)
            if entries:
                durable = None if roles else answer
                await affiliate(self.rooms, room, entries, by, actor, invite=True, durable=durable)
            if roles or not entries:
                answer()
            for occupant, (role, reason) in roles.items():
                if occupant.clients:  # it may have left while this was written
                    set_role(self.rooms, room, occupant, role, actor, reason, by)
        return None

    async def _write_roles(self, room: Room, roles: dict[Occupant, tuple[Role, str]]) -> None:
        """Let roles be durable before it is said that they are."""
        leave, enter = [], []
        for occupant, (role, _) in roles.items():
            for jid in occupant.clients:
                if role is Role.NONE:
                    leave.append((room.bare, jid))
                else:
                    enter.append((role.value, room.bare, jid))
        await self.host.store.settled()
        await self.host.store.transaction(_set_roles, enter, leave)


def _set_roles(
    cursor: Any, enter: Sequence[tuple[str, str, str]], leave: Sequence[tuple[str, str]]
) -> None:
    cursor.executemany("UPDATE room_occupant SET role = ? WHERE room = ? AND jid = ?", enter)
    cursor.executemany(storage.EXPEL, leave)


def _standing(room: Room, sender: JID) -> tuple[Role, Affiliation]:
    """Return the greatest role that an account has in the room, and its affiliation (§8)."""
    roles = [occupant.role for occupant in room.of_account(sender.bare)]
    return max(roles, default=Role.NONE), room.affiliation(sender.bare)


def _nick(room: Room, request: Passing) -> str:
    """Return the nickname of who asks, "" for who is not in the room."""
    if request.occupant is not None:
        return str(request.occupant.nick)
    return next((each.nick for each in room.of_account(request.sender.bare)), "")


def _add_roles(query: Element, room: Room, wanted: Role) -> None:
    """Add who has a role (§17.4: nick, role, affiliation and full JID)."""
    for occupant in room.occupants.values():
        if occupant.role is wanted:
            item = query.addElement((NS_ADMIN, "item"))
            item["affiliation"] = occupant.affiliation.value
            item["jid"] = occupant.main.jid
            item["nick"] = occupant.nick
            item["role"] = wanted.value


def _add_affiliations(query: Element, room: Room, wanted: Affiliation, reasons: bool) -> None:
    """Add who has an affiliation (§17.4: affiliation, bare JID and nick, no role)."""
    nicks = {occupant.bare: occupant.nick for occupant in room.occupants.values()}
    for jid, entry in room.affiliated(wanted):
        item = query.addElement((NS_ADMIN, "item"))
        item["affiliation"] = wanted.value
        item["jid"] = jid
        nick = entry.nick or nicks.get(jid, "")
        if nick and wanted is not Affiliation.OUTCAST:
            item["nick"] = nick
        if reasons and entry.reason:
            item.addElement((NS_ADMIN, "reason"), content=entry.reason)


def _roles(
    room: Room, sender: JID, changes: tuple[Change, ...]
) -> dict[Occupant, tuple[Role, str]]:
    """Return the new roles with their reasons. Raises StanzaError if one may not be."""
    roles: dict[Occupant, tuple[Role, str]] = {}
    actor_role, actor = _standing(room, sender)
    for change in changes:
        if change.role is None:
            continue
        found = _find(room, change)
        if not found:  # who may not ask does not learn who is in
            why = may_change_role(
                actor_role, actor, Role.NONE, Affiliation.NONE, change.role, False
            )
            raise why or StanzaError("item-not-found")
        for occupant in found:
            same = occupant.bare == sender.bare
            why = may_change_role(
                actor_role, actor, occupant.role, occupant.affiliation, change.role, same
            )
            if why is not None:
                raise why
            if occupant in roles:
                raise StanzaError("bad-request", text="somebody is named twice")
            roles[occupant] = change.role, change.reason
    return roles


def _find(room: Room, change: Change) -> list[Occupant]:
    """Return whom an item names: by nickname, by full JID, or all of an account."""
    if change.nick:
        found = room.find(change.nick)
    elif change.jid is not None and change.jid.resource:
        found = room.by_client.get(change.jid.full)
    else:
        return [] if change.jid is None else room.of_account(change.jid.bare)
    return [] if found is None else [found]


def _entries(
    room: Room, sender: JID, changes: tuple[Change, ...], longest_nick: int
) -> dict[str, Entry]:
    """Return the new affiliations by address. Raises StanzaError if one may not be."""
    entries: dict[str, Entry] = {}
    for change in changes:
        if change.affiliation is None:
            continue
        jid = _address(room, sender, change)
        if jid in entries:
            raise StanzaError("bad-request", text="somebody is named twice")
        nick = _reserved(room, jid, change, longest_nick)
        entries[jid] = Entry(change.affiliation, nick, change.reason)
    known = {jid: entry.affiliation for jid, entry in room.entries.items()}
    wanted = {jid: entry.affiliation for jid, entry in entries.items()}
    why = may_change_affiliations(sender, known, wanted) if wanted else None
    if why is not None:
        raise why
    _check_nicks(room, entries)
    return {jid: entry for jid, entry in entries.items() if _differs(room.entries.get(jid), entry)}


def _differs(known: Entry | None, entry: Entry) -> bool:
    """Tell whether an entry says anything that is not so already."""
    if known is None:
        return entry.affiliation is not Affiliation.NONE
    same = (known.affiliation, known.nick) == (entry.affiliation, entry.nick)
    return not same or entry.reason not in ("", known.reason)


def _address(room: Room, sender: JID, change: Change) -> str:
    """Return the bare JID that an item about an affiliation names (§9, §10.3)."""
    if change.jid is not None:
        return change.jid.bare
    if room.affiliation(sender.bare) < Affiliation.ADMIN:
        raise StanzaError("forbidden", text="only admins do that")
    occupant = room.find(change.nick or "")
    if occupant is None:
        raise StanzaError("item-not-found", text="nobody of that name is in the room")
    return occupant.bare


def _reserved(room: Room, jid: str, change: Change, longest: int) -> str:
    """Return the nickname that is reserved for somebody afterwards (§9.2, §9.3, §9.5)."""
    if change.affiliation is None or change.affiliation < Affiliation.MEMBER:
        return ""
    if change.jid is None or change.nick is None:
        entry = room.entries.get(jid)
        return "" if entry is None else entry.nick
    return check_nick(change.nick, longest) if change.nick else ""


def _check_nicks(room: Room, entries: dict[str, Entry]) -> None:
    """Raise StanzaError where a nickname belongs to somebody else (§7.2.8)."""
    wanted: dict[str, str] = {}
    for jid, entry in entries.items():
        known = room.entries.get(jid)
        if not entry.nick or (known is not None and known.nick == entry.nick):
            continue
        occupant = room.find(entry.nick)
        holders = {
            room.reserved_for(entry.nick),
            wanted.setdefault(compared(entry.nick), jid),
            None if occupant is None else occupant.bare,
        }
        if not holders <= {None, jid}:
            raise StanzaError("conflict", text="the nickname belongs to somebody else")
