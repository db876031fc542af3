"""What is said to everybody in a room (XEP-0045 §7.4, §7.2.15, §8.1; XEP-0359 §3)."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import TYPE_CHECKING

from twisted.words.xish.domish import Element

from imsuite.core.fanout import Fan
from imsuite.core.hooks import ROOM_MESSAGE, Passing
from imsuite.features.xep0045_muc import storage
from imsuite.features.xep0045_muc.room import Occupant, Room, Said
from imsuite.features.xep0045_muc.telling import NS_MUC, NS_USER
from imsuite.rules.archive import replayed
from imsuite.rules.room import may_change_subject, may_speak
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import normalised
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza

if TYPE_CHECKING:
    from imsuite.features.xep0045_muc.rooms import Rooms

NS_SID = "urn:xmpp:sid:0"
_DELAY = f"{NS.DELAY}}}delay"
_ID = f"{NS_SID}}}stanza-id"
# what only the room may say of a message (§18.2; XEP-0359 §6; XEP-0421 §4; XEP-0313 §8.4)
_OURS = frozenset(
    (
        _ID,
        f"{NS_USER}}}x",
        f"{NS_MUC}}}x",
        "urn:xmpp:occupant-id:0}occupant-id",
        "urn:xmpp:hats:0}hats",
        _DELAY,
        "http://jabber.org/protocol/address}addresses",
    )
)
_BODY, _SUBJECT, _THREAD = (f"{NS.CLIENT}}}{name}" for name in ("body", "subject", "thread"))


class Messages:
    """How occupants talk to all others."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def say(self, room: Room, passing: Passing) -> Awaitable[None] | None:
        """Take a groupchat message to the room."""
        occupant, came = passing.occupant, passing.stanza
        if occupant is None:
            raise StanzaError("not-acceptable", by=room.bare)  # §7.4
        is_subject = sets_subject(came)
        why = _refusal(occupant, is_subject)
        if why is not None:
            raise why
        passing.stanza = spoken(came, occupant)
        later = room.host.switch(ROOM_MESSAGE).run(passing)
        if later is not None:
            return self._say_later(room, passing, came, is_subject, later)
        return self._spread(room, passing, came, is_subject)

    async def _say_later(
        self,
        room: Room,
        passing: Passing,
        came: Stanza,
        is_subject: bool,
        later: Awaitable[None],
    ) -> None:
        await later
        occupant = room.by_client.get(passing.sender.full)
        if occupant is None or passing.occupant is not occupant:
            raise StanzaError("not-acceptable", by=room.bare)  # it left meanwhile
        why = _refusal(occupant, is_subject)
        if why is not None:
            raise why
        after = self._spread(room, passing, came, is_subject)
        if after is not None:
            await after

    def _spread(
        self, room: Room, passing: Passing, came: Stanza, is_subject: bool
    ) -> Awaitable[None] | None:
        """Send it to everybody, the author too, once it is durable."""
        stanza, record = passing.stanza, passing.record
        if is_subject:
            record = passing.keep()
        if record is not None:
            record.stanza = came  # what is refused if the store fails
            said = Said(record.id, stanza, passing.sender.full, record)
            record.after(partial(_durable, said))
            record.refused = partial(_unsaid, room, said, room.subject, room.subject_id)
            if is_subject:
                record.write(storage.SUBJECT, stanza.raw, record.id, room.bare)
                room.subject, room.subject_id = stanza, record.id
            elif replayed(stanza):
                room.remember(said, room.config.max_history)
        elif replayed(stanza):
            now = room.host.store.ids.next()
            room.remember(Said(now, stanza, passing.sender.full), room.config.max_history)
        lost: list[str] = []
        sending = True

        def failed(to: str, why: StanzaError) -> None:
            if sending:
                lost.append(to)
            else:
                self._rooms.leaving.undelivered(room, to)

        fan = Fan(room.host, stanza, record, failed)
        send = fan.send
        for occupant in room.occupants.values():
            for client in occupant.clients.values():
                send(client.jid, client.written)
        sending = False
        for jid in lost:
            self._rooms.leaving.undelivered(room, jid)
        return fan.finished()


def _refusal(occupant: Occupant, is_subject: bool) -> StanzaError | None:
    """Return why somebody may not say that, None who may."""
    room = occupant.room
    role = occupant.role
    why = may_change_subject(room.config, role) if is_subject else may_speak(role)
    if why is not None:
        why.by = room.bare
    return why


def spoken(stanza: Stanza, occupant: Occupant) -> Stanza:
    """Return a message as from an occupant, without what only the room may say."""
    return honest(stanza, occupant.room).amended({"from": occupant.jid, "to": None})


def honest(stanza: Stanza, room: Room) -> Stanza:
    """Return a message of an occupant without what only the room may say."""
    if _OURS.isdisjoint(stanza.children):
        return stanza
    return stanza.without([node for node in stanza.element.elements() if _is_ours(room, node)])


def _is_ours(room: Room, node: Element) -> bool:
    if f"{node.uri}}}{node.name}" != _DELAY:
        return f"{node.uri}}}{node.name}" in _OURS
    # §7.9: who brings a talk along may say when it was and by whom, but not that we say so
    by = normalised(node.getAttribute("from"))
    ours = (room.bare, room.jid.domain, room.host.domain)
    return by is None or by.partition("/")[0] in ours


def with_id(stanza: Stanza, room: Room, public: str) -> Stanza:
    """Return a message with its id in the archive of the room (XEP-0359 §3)."""
    inner = b"<stanza-id xmlns='urn:xmpp:sid:0' id='%s' by=%s/>" % (public.encode(), room.written)
    changed = stanza.plus(inner, _ID)
    changed.worth = stanza.worth
    return changed


def sets_subject(stanza: Stanza) -> bool:
    """§8.1: a message with a subject and without body and thread changes the subject."""
    children = stanza.children
    return _SUBJECT in children and _BODY not in children and _THREAD not in children


def _durable(said: Said) -> None:
    said.record = None


def _unsaid(
    room: Room, said: Said, subject: Stanza | None, subject_id: int, why: Exception
) -> None:
    """Take back what the store could not keep."""
    room.forget(said.id)
    if room.subject is said.stanza:
        room.subject, room.subject_id = subject, subject_id
