"""XEP-0313 §6.1.2: archives of those who are no accounts, which other features keep here: rooms.

The rows are as those of accounts: owner is the bare JID of the room, peer the bare JID of who
spoke, resource the nickname. Who may see them is for the room to say.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import attrs

from imsuite.core.hooks import Passing
from imsuite.core.host import Host
from imsuite.core.record import Record, parse_id, public_id
from imsuite.features.xep0313_archive.queries import Queries
from imsuite.features.xep0313_archive.retraction import REPLACE
from imsuite.features.xep0313_archive.search import Search
from imsuite.features.xep0313_archive.storage import (
    CHUNK,
    PASSING,
    ROW,
    Message,
    bodies,
    emptied,
)
from imsuite.rules.archive import NS_MAM, NS_RETRACT, Flag, replayed, tombstone
from imsuite.rules.payloads import MUC_USER
from imsuite.rules.traffic import classify
from imsuite.xmpp.address import JID, parse
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza, children, quoted

NS_SID = "urn:xmpp:sid:0"
_STANZA_ID = f"{NS_SID}}}stanza-id"
_STANZA_ID_IS = f"<stanza-id xmlns='{NS_SID}' id='%s' by=%s/>".encode()
_START = b"<message"
_GROUPCHAT = Flag.GROUPCHAT.value

PAST = (
    "SELECT id FROM archive WHERE owner = ? AND id > ? AND id >= ? AND flags = ?"
    " ORDER BY id DESC LIMIT ?"
)
ONE = "SELECT peer, resource, flags FROM archive WHERE owner = ? AND id = ?"
BURIED = "UPDATE archive SET flags = ? WHERE owner = ? AND id = ?"


@attrs.frozen
class Archived:
    """A message in the archive of a room.

    id: when it came, µs since 1970 UTC; peer: bare JID of who spoke; nick: "" where the room did;
    raw: as it is kept, without the id that the room gave it.
    """

    owner: str
    id: int
    salt: int
    peer: str
    nick: str
    flags: Flag
    raw: bytes

    @property
    def public(self) -> str:
        """How others call it (XEP-0359)."""
        return public_id(self.id, self.salt)

    @property
    def retracted(self) -> bool:
        """A tombstone stands in its place."""
        return Flag.RETRACTED in self.flags


@attrs.frozen
class Services:
    """The archives of a host's rooms."""

    host: Host
    search: Search
    queries: Queries

    def hold(self, owner: str, record: Record, stanza: Stanza, peer: JID, lasting: bool) -> Stanza:
        """Write a message down; return it as it is sent, with its id (XEP-0359 §3).

        record: that it goes with; stanza: with `from` and without `to`; peer: who really spoke;
        lasting: otherwise it stays only for sessions that may be resumed (XEP-0198), and no query
        finds it.
        """
        if peer.bare != owner and f"{MUC_USER}}}x" in stanza.children:
            # §8.4: what it says of occupants is forged
            stanza = stanza.without(children(stanza.element, MUC_USER, "x"))
        row_owner = owner if lasting else owner + PASSING
        body = record.hold(row_owner, stanza)
        record.has(owner, body)
        record.shared = body
        flags = _GROUPCHAT if replayed(stanza) else _GROUPCHAT | Flag.QUIET.value
        nick = parse(stanza.attrs["from"]).resource
        record.write(ROW, row_owner, body.id, peer.bare, nick, flags)
        traffic = classify(stanza)
        if lasting:
            record.note(traffic.rules.room_archive, owner)
            self.search.stir()
        changed = stanza.plus(_STANZA_ID_IS % (body.public.encode(), quoted(owner)), _STANZA_ID)
        changed.worth = traffic  # an id of ours makes it neither more nor less
        body.tail = changed.raw[len(_START) :]
        return changed

    async def answer(self, request: Passing, owner: str, sees: bool) -> Stanza:
        """Answer a query, or a question for its form or for metadata (§4, §5)."""
        stanza = request.stanza
        name = stanza.children[0] if stanza.children else ""
        if name == f"{NS_MAM}}}query":
            if stanza.type == "get":
                return self.queries.form(request)
            return await self.queries.answer_of(request, owner, sees)
        if name == f"{NS_MAM}}}metadata" and stanza.type == "get":
            return await self.queries.metadata(request, owner)
        raise StanzaError("service-unavailable")

    async def recent(self, owner: str, most: int, since: int = 0) -> list[Message]:
        """Return the latest messages that are told to who enters a room, the oldest first.

        since: µs since 1970 UTC.
        """
        if most <= 0:
            return []
        await self.host.store.settled()
        found: list[Message] = await self.host.store.read(_recent, owner, most, since)
        return found

    async def find(self, owner: str, uid: str) -> Archived | None:
        """Return the message that has this id in an archive, None if there is none."""
        parsed = parse_id(uid)
        if parsed is None:
            return None
        await self.host.store.settled()
        found: Archived | None = await self.host.store.read(_find, owner, *parsed)
        return found

    async def retract(self, passing: Passing) -> None:
        """Let an occupant of a room take back what it said (XEP-0424 §5).

        Raises StanzaError forbidden if another said it.
        """
        stanza, room, occupant = passing.stanza, passing.room, passing.occupant
        retract = stanza.child(NS_RETRACT, "retract")
        id = None if retract is None else retract.getAttribute("id")
        if occupant is None or not id or not stanza.id:
            return  # §4: the tombstone names the retraction by its id, so there must be one
        found = await self.find(room.bare, id)
        if found is None or found.retracted:
            return  # nobody is misled: who has it knows whose it is
        if found.peer != occupant.bare:
            raise StanzaError("forbidden", text="only who said it takes it back")
        self.bury(passing.keep(), found, stanza.id)
        passing.after(partial(room.forget, found.id))

    def bury(self, record: Record, found: Archived, by: str, inner: bytes = b"") -> None:
        """Put a tombstone in the place of a message (XEP-0424 §4), with what retracts it.

        record: of that; by: id attribute of that; inner: as of rules.archive.tombstone.
        """
        record.write(REPLACE, tombstone(found.raw, by, record.id, inner), found.id)
        flags = found.flags | Flag.RETRACTED
        record.write(BURIED, flags.value, found.owner, found.id)
        if self.search.exists:
            record.write(self.search.kind.drop, found.id)
        record.note("XEP-0424 §4: a tombstone takes the place of what it retracts", found.owner)


def _recent(cursor: Any, owner: str, most: int, since: int) -> list[Message]:
    cursor.execute(PAST, (owner, emptied(cursor, owner), since, _GROUPCHAT, most))
    ids = [id for (id,) in reversed(cursor.fetchall())]
    found: list[Message] = []
    for start in range(0, len(ids), CHUNK):
        found += bodies(cursor, ids[start : start + CHUNK])
    return found


def _find(cursor: Any, owner: str, id: int, salt: int) -> Archived | None:
    for each in (owner, owner + PASSING):
        cursor.execute(ONE, (each, id))
        row = cursor.fetchone()
        if row is not None and id > emptied(cursor, owner):
            break
    else:
        return None
    messages = bodies(cursor, [id])
    if not messages or messages[0][1] != salt:
        return None
    peer, nick, flags = row
    return Archived(each, id, salt, peer, nick, Flag(flags), messages[0][2])
