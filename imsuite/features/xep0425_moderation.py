"""XEP-0425: Moderated Message Retraction."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from functools import partial
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.words.xish.domish import Element

from imsuite.core.fanout import Fan
from imsuite.core.feature import At, Feature, answers, on
from imsuite.core.hooks import ROOM_MESSAGE, Passing, Stage
from imsuite.core.interfaces import IArchive
from imsuite.core.options import ge, option
from imsuite.core.record import Record
from imsuite.rules.affiliations import Role
from imsuite.rules.archive import NS_OCCUPANT, NS_RETRACT
from imsuite.xmpp.errors import ImsuiteError, StanzaError
from imsuite.xmpp.stanza import Stanza, child, escaped, make, quoted, result, text_of

NS_MODERATE = "urn:xmpp:message-moderate:1"
_ID = 8  # octets of the id of a message that the room makes


@attrs.frozen
class Options:
    """[features.moderation]"""

    longest: int = option(1000, "Longest reason that a moderator may give, characters.", ge(0))


class Moderation(Feature):
    """Let moderators of a room take back what others said there."""

    spec = "XEP-0425 0.3.0"
    options: Options

    def describe(self, at: At) -> Iterable[str]:
        """§2: where there are archives, in which what is retracted is found."""
        if at is At.ROOM and self._archive is not None:
            yield NS_MODERATE

    @answers("set", NS_MODERATE, "moderate", At.ROOM)
    async def moderate(self, request: Passing) -> Stanza:
        """§3: everybody hears of it, and a tombstone stands in the archive (§4)."""
        room, asked = request.room, request.stanza.payload
        assert asked is not None
        id, reason = self._read(asked)
        _check(request)
        if self._archive is None:
            raise StanzaError("service-unavailable")
        async with room.turn:
            found = await self._archive.find(room.bare, id)
            _check(request)  # the world may have changed meanwhile
            if found is None:
                raise StanzaError("item-not-found", text="there is no such message")
            if not found.retracted:
                await self._retract(request, found, reason)
        return result(request.stanza)

    def _read(self, asked: Element) -> tuple[str, str]:
        """Return the id of the message and the reason. Raises StanzaError."""
        id = asked.getAttribute("id")
        if not id:
            raise StanzaError("bad-request", text="there is no id")
        if child(asked, NS_RETRACT, "retract") is None:
            raise StanzaError("feature-not-implemented", text="messages can be retracted only")
        reason = text_of(child(asked, NS_MODERATE, "reason"))
        if len(reason) > self.options.longest:
            raise StanzaError("not-acceptable", text="the reason is too long")
        return id, reason

    @property
    def _archive(self) -> Any:  # what provides IArchive, or None
        return self.host.find_feature(IArchive)

    async def _retract(self, request: Passing, found: Any, reason: str) -> None:
        """Tell everybody that a message is gone, once that is durable."""
        room, host = request.room, self.host
        if Stanza.parse(found.raw).has(NS_RETRACT, "retract"):
            raise StanzaError("not-allowed", text="what takes another message back stays")
        inner = _moderated(request.occupant) + _reason(reason)
        message = _message(room.bare, found.public, inner)
        record = Record(host, message, host.store.ids)
        stanza = self._archive.hold(room.bare, record, message, room.jid, room.config.logged)
        self._archive.bury(record, found, message.attrs["id"], inner)
        record.stanza = None  # whoever asked is told if it can not be written
        done: Deferred[None] = Deferred()
        record.after(partial(room.forget, found.id))
        record.after(partial(done.callback, None))
        record.refused = done.errback
        fan = Fan(host, stanza, record)
        for _, client in room.clients():
            fan.send(client.jid, client.written)
        if (later := fan.finished()) is not None:
            await later
        host.store.append(record)
        try:
            await done
        except ImsuiteError as why:
            raise host.condition(why) from why

    @on(ROOM_MESSAGE, Stage.GUARD, kind="message", child=(NS_RETRACT, "retract"))
    def guard(self, passing: Passing) -> None:
        """§5: only the room itself says that something was moderated."""
        retract = passing.stanza.child(NS_RETRACT, "retract")
        if retract is not None and child(retract, NS_MODERATE, "moderated") is not None:
            raise StanzaError("forbidden", text="moderation is asked for by a request to the room")


def _check(request: Passing) -> None:
    """Raise StanzaError unless who asks may moderate, now (§3.2)."""
    room = request.room
    occupant = room.by_client.get(request.sender.full)
    if room.gone:
        raise StanzaError("item-not-found")
    if occupant is None or occupant.role is not Role.MODERATOR:
        raise StanzaError(
            "forbidden", type="modify", text="only moderators take back what others said"
        )
    request.occupant = occupant


def _message(room: str, id: str, inner: bytes) -> Stanza:
    retract = b"<retract xmlns=%s id=%s>%s</retract>" % (quoted(NS_RETRACT), quoted(id), inner)
    attributes = {"type": "groupchat", "id": secrets.token_hex(_ID), "from": room}
    return make("message", attributes, retract, f"{NS_RETRACT}}}retract")


def _moderated(occupant: Any) -> bytes:
    return b"<moderated xmlns=%s by=%s><occupant-id xmlns=%s id=%s/></moderated>" % (
        quoted(NS_MODERATE),
        quoted(occupant.jid),
        quoted(NS_OCCUPANT),
        quoted(occupant.id),
    )


def _reason(text: str) -> bytes:
    return b"<reason>%s</reason>" % escaped(text) if text else b""
