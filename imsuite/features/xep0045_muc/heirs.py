"""What becomes of a room when the account of its only owner is removed.

The specification leaves that to the server (XEP-0045 §5.2: a room should have an owner). Here the
one who has been an admin for the longest time becomes the owner, else the one who has been a member
for the longest time; of accounts of this server only those that can log in. Where there is nobody,
the room does not last any more: it ends at once if nobody is in, else when the last one leaves.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from imsuite.core.hooks import ROOM_CHANGED, RoomChange
from imsuite.features.xep0045_muc import storage
from imsuite.features.xep0045_muc.affiliating import affiliate, say
from imsuite.features.xep0045_muc.room import Entry, Room
from imsuite.rules.affiliations import Affiliation
from imsuite.xmpp.address import parse

if TYPE_CHECKING:
    from imsuite.features.xep0045_muc.rooms import Rooms

_REASON = "the account of the owner was removed"
_LASTING = "muc#roomconfig_persistentroom"
_CHANGED = b"<status code='104'/>"
_PAGE = 100  # rooms


async def bereave(rooms: Rooms, bare: str) -> None:
    """Give the rooms that only an account owns to others; it is about to be removed.

    Raises what the store raises.
    """
    store, last = rooms.host.store, ""
    await store.settled()  # a room that was made just now is a row then
    while True:
        owned: list[str] = await store.read(storage.owned_alone, bare, last, _PAGE)
        for jid in owned:
            if parse(jid).domain == rooms.domain:
                room = await rooms.load(jid)
                if room is not None:
                    await _inherit(rooms, room, bare)
        if len(owned) < _PAGE:
            return
        last = owned[-1]


async def _inherit(rooms: Rooms, room: Room, bare: str) -> None:
    async with room.turn:
        owners = [jid for jid, _ in room.affiliated(Affiliation.OWNER)]
        if room.gone or owners != [bare]:
            return  # that changed meanwhile
        heir = await _heir(room)
        if heir is not None:
            entry = Entry(Affiliation.OWNER, room.entries[heir].nick, _REASON)
            await affiliate(rooms, room, {heir: entry})
        elif not room.by_client:
            await rooms.destroy(room)
        elif room.config.persistent:
            await _end_with_last(room)


async def _heir(room: Room) -> str | None:
    """Return the address of who owns a room next, None if nobody does."""
    for affiliation in (Affiliation.ADMIN, Affiliation.MEMBER):
        found = sorted(room.affiliated(affiliation), key=lambda each: each[1].version)
        for jid, _ in found:
            if "@" in jid and await _can_own(room, jid):
                return jid
    return None


async def _can_own(room: Room, bare: str) -> bool:
    """Tell whether somebody can do what owners do, as far as this server knows."""
    jid = parse(bare)
    host = room.host.router.hosts.get(jid.domain)
    if host is None:
        return True
    if jid.local in host.removing or not await host.users.exists(jid.local):
        return False
    return not (await host.users.find(jid.local)).disabled


async def _end_with_last(room: Room) -> None:
    """Let a room end when the last one leaves it."""
    host, config = room.host, room.config.changed({_LASTING: False})
    stored = json.dumps(config.stored(), separators=(",", ":"))
    await host.store.execute(
        "UPDATE room SET lasting = 0, config = ? WHERE jid = ?", stored, room.bare
    )
    room.config = config
    say(room, _CHANGED, lambda _: True, "groupchat")
    switch = host.switch(ROOM_CHANGED)
    if switch.steps:
        host.spawn(switch.tell(RoomChange(room, fields=frozenset((_LASTING,)))))
