"""XEP-0486: MUC Avatars."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
from twisted.words.xish.domish import Element
from zope.interface import implementer

from imsuite.core.fanout import Fan
from imsuite.core.feature import At, Feature, answers, on
from imsuite.core.hooks import ROOM_DESTROYED, STARTED, Passing, RoomChange
from imsuite.core.host import Host
from imsuite.core.interfaces import Table
from imsuite.core.options import ge, option
from imsuite.core.service_interfaces import IRoomInfo
from imsuite.rules.affiliations import Affiliation
from imsuite.rules.avatars import NS_VCARD, Image, decode
from imsuite.rules.payloads import MUC_USER
from imsuite.xmpp import forms
from imsuite.xmpp.address import parse
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza, child, children, make, result, text_of, to_bytes

FIELD = "muc#roominfo_avatarhash"
# COMPAT(Gajim 1.7): what it looks for, empty where there is no picture; from before the XEP
OLD_FIELD = "{http://modules.prosody.im/mod_vcard_muc}avatar#sha1"
_CHANGED = f"<x xmlns='{MUC_USER}'><status code='104'/></x>".encode()


@attrs.frozen
class Options:
    """[features.pictures]"""

    largest: int = option(131_072, "Largest vCard of a room, with its pictures, bytes.", ge(1024))


@implementer(IRoomInfo)
class Pictures(Feature):
    """Let owners give their rooms a picture, which everybody finds who finds the room.

    The hashes of all pictures are in memory: a list of rooms asks for each of them.
    """

    spec = "XEP-0486 0.1.0"
    advertises = {At.ROOMS | At.ROOM: (NS_VCARD,)}
    options: Options
    tables = (
        Table(
            "room_vcard",
            (
                """CREATE TABLE room_vcard (
                    room TEXT PRIMARY KEY,   -- bare JID
                    made BIGINT NOT NULL,    -- which of the rooms of that name, one after another
                    vcard {blob} NOT NULL,   -- the whole element
                    hashes TEXT NOT NULL)    -- SHA-1 of each picture, a space between them""",
            ),
            owner=None,
        ),
    )

    def __init__(self, host: Host, options: Options) -> None:
        super().__init__(host, options)
        self._hashes: dict[str, tuple[int, tuple[str, ...]]] = {}  # by room: made, SHA-1s

    @on(STARTED)
    async def start(self, host: Host) -> None:
        """Learn the hashes."""
        domains = {domain for feature in host.features.values() for domain, _ in feature.serves()}
        for room, made, hashes in await host.store.query(
            "SELECT room, made, hashes FROM room_vcard"
        ):
            if parse(room).domain in domains:
                self._hashes[room] = made, tuple(hashes.split())

    # what a room shows

    @answers("get", NS_VCARD, "vCard", At.ROOM)
    async def get(self, request: Passing) -> Stanza:
        """§3.4: also for who is not in the room."""
        room = request.room
        if room.affiliation(request.sender.bare) is Affiliation.OUTCAST:
            raise StanzaError("forbidden")
        rows = await self.host.store.query(
            "SELECT vcard FROM room_vcard WHERE room = ? AND made = ?", room.bare, room.made
        )
        if not rows:
            raise StanzaError("item-not-found", text="this room has no picture")
        return result(request.stanza).plus(bytes(rows[0][0]), f"{NS_VCARD}}}vCard")

    def room_features(self, room: Any) -> Iterable[str]:
        """All rooms may have one."""
        return ()

    def room_fields(self, room: Any) -> Iterable[Any]:
        """§3.3, §5.1: the hashes of all forms of the picture; nothing where there is none."""
        made, hashes = self._hashes.get(room.bare, (0, ()))
        if made != room.made:
            hashes = ()
        if hashes:
            yield forms.field("text-multi", FIELD, hashes, "Avatar hash")
        yield forms.field("text-single", OLD_FIELD, hashes[0] if hashes else "")

    # what owners do

    @answers("set", NS_VCARD, "vCard", At.ROOM)
    async def set(self, request: Passing) -> Stanza:
        """§3.2: everybody inside hears that something changed; an empty card takes it away."""
        room, vcard = request.room, request.stanza.payload
        assert vcard is not None
        async with room.turn:
            _check_owner(request)
            raw = b"" if next(vcard.elements(), None) is None else to_bytes(vcard)
            if len(raw) > self.options.largest:
                text = f"the vCard is larger than {self.options.largest} bytes"
                raise StanzaError("policy-violation", text=text)
            hashes = _hashes(vcard)
            await self.host.store.transaction(_write, room.bare, room.made, raw, hashes)
            if room.gone:  # its row went before this one was there
                await self._remove(room)
                raise StanzaError("item-not-found")
            if raw:
                self._hashes[room.bare] = room.made, hashes
            else:
                self._hashes.pop(room.bare, None)
            self._tell(room)
        return result(request.stanza)

    def _tell(self, room: Any) -> None:
        attributes = {"type": "groupchat", "from": room.bare}
        fan = Fan(self.host, make("message", attributes, _CHANGED, f"{MUC_USER}}}x"))
        for _, client in room.clients():
            fan.send(client.jid, client.written)
        if (later := fan.finished()) is not None:
            self.host.spawn(_wait(later))

    @on(ROOM_DESTROYED)
    async def forget(self, change: RoomChange) -> None:
        """The picture goes with the room."""
        await self._remove(change.room)

    async def _remove(self, room: Any) -> None:
        if self._hashes.get(room.bare, (0, ()))[0] == room.made:
            del self._hashes[room.bare]
        await self.host.store.execute(
            "DELETE FROM room_vcard WHERE room = ? AND made = ?", room.bare, room.made
        )


def _check_owner(request: Passing) -> None:
    """Raise StanzaError unless who asks owns the room (§6)."""
    if request.room.gone:
        raise StanzaError("item-not-found")
    if request.room.affiliation(request.sender.bare) is not Affiliation.OWNER:
        raise StanzaError("forbidden", text="only owners give a room its picture")


def _hashes(vcard: Element) -> tuple[str, ...]:
    """Return the SHA-1 of each picture in a card (§5.1)."""
    photos = children(vcard, NS_VCARD, "PHOTO")
    found = (decode(text_of(child(photo, NS_VCARD, "BINVAL"))) for photo in photos)
    return tuple(dict.fromkeys(Image(data).id for data in found if data is not None))


def _write(cursor: Any, room: str, made: int, raw: bytes, hashes: Iterable[str]) -> None:
    cursor.execute("DELETE FROM room_vcard WHERE room = ?", (room,))
    if raw:
        cursor.execute(
            "INSERT INTO room_vcard (room, made, vcard, hashes) VALUES (?, ?, ?, ?)",
            (room, made, raw, " ".join(hashes)),
        )


async def _wait(later: Any) -> None:
    await later
