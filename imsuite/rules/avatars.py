"""XEP-0084, XEP-0153, XEP-0398: one picture, as items of two nodes and as the photo of a card.

What comes in is not trusted: what is no picture, or another than it says, is no picture here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from functools import cached_property

import attrs
from twisted.words.xish.domish import Element

from imsuite.xmpp.stanza import Stanza, child, children, text_of

NS_DATA = "urn:xmpp:avatar:data"
NS_METADATA = "urn:xmpp:avatar:metadata"
NS_VCARD = "vcard-temp"
NS_UPDATE = "vcard-temp:x:update"

_SPACE = {ord(character): None for character in " \t\r\n"}
_is_type = re.compile(r"(?:image|video)/[\w.+-]{1,100}", re.ASCII).fullmatch  # XEP-0084 §4.2.1
_is_hash = re.compile(r"[0-9a-fA-F]{40}").fullmatch
# a JPEG's start of frame, of whatever coding; C4, C8 and CC are something else
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@attrs.frozen(slots=False)
class Image:
    """A picture. data: its bytes; type: content type, None if neither it nor its owner says."""

    data: bytes = attrs.field(repr=False)
    type: str | None = None

    @cached_property
    def id(self) -> str:
        """SHA-1 of the data in lower case hexadecimal, which identifies it (XEP-0084 §3.1)."""
        return hashlib.sha1(self.data, usedforsecurity=False).hexdigest()


@attrs.frozen
class Info:
    """What metadata say of one form of an avatar (XEP-0084 §4.2.1).

    id: SHA-1 in lower case; item: as it was written, which is the id of an item.
    """

    id: str
    type: str | None
    url: str | None
    item: str


def decode(text: str) -> bytes | None:
    """Return what Base64 with white space spells; None if it is something else or nothing."""
    try:
        data = base64.b64decode(text.translate(_SPACE).encode("ascii"), validate=True)
    except (binascii.Error, UnicodeError):
        return None
    return data or None


def real_type(data: bytes) -> str | None:
    """Return the content type that the data themselves have, of those that clients know."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return None


def size(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a PNG, GIF or JPEG in pixels, None where they are not found."""
    match real_type(data):
        case "image/png" if data[12:16] == b"IHDR" and len(data) >= 24:
            found = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
        case "image/gif" if len(data) >= 10:
            found = int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
        case "image/jpeg":
            found = _jpeg_size(data)
        case _:
            return None
    # XEP-0084 §9.2: unsigned shorts
    return found if all(0 < length < 65536 for length in found) else None


def _jpeg_size(data: bytes) -> tuple[int, int]:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAMES:
            return int.from_bytes(data[at + 7 : at + 9]), int.from_bytes(data[at + 5 : at + 7])
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 1 if marker == 0xFF else 2
            continue
        at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4]))
    return 0, 0


# the card


def photo_of(vcard: Element) -> Image | None:
    """Return the photo in a card; None if there is none that is its own data (XEP-0153 §4.4)."""
    for photo in children(vcard, NS_VCARD, "PHOTO"):
        data = decode(text_of(child(photo, NS_VCARD, "BINVAL")))
        if data is not None:
            said = text_of(child(photo, NS_VCARD, "TYPE")).strip().lower()
            # XEP-0153 §5: the data decide
            return Image(data, real_type(data) or (said if _is_type(said) else None))
    return None


def with_photo(vcard: Element | None, image: Image | None) -> Element | None:
    """Return a card with that photo and no other, or without one; None if nothing is left of it.

    vcard: it is not changed; None for a new one.
    """
    fresh = Element((NS_VCARD, "vCard"))
    if vcard is not None:
        fresh.attributes = dict(vcard.attributes)
        photos = {id(node) for node in children(vcard, NS_VCARD, "PHOTO")}
        fresh.children = [node for node in vcard.children if id(node) not in photos]
    if image is not None:
        photo = fresh.addElement((NS_VCARD, "PHOTO"))
        if image.type is not None:
            photo.addElement((NS_VCARD, "TYPE"), content=image.type)
        photo.addElement((NS_VCARD, "BINVAL"), content=_encoded(image))
    return fresh if next(fresh.elements(), None) is not None else None


# the nodes


def data_of(image: Image) -> Element:
    """Return the payload of the data node (XEP-0084 §4.1)."""
    element = Element((NS_DATA, "data"))
    element.addContent(_encoded(image))
    return element


def metadata_of(image: Image | None) -> Element:
    """Return the payload of the metadata node (XEP-0084 §4.2); None: there is no avatar."""
    element = Element((NS_METADATA, "metadata"))
    if image is not None:
        info = element.addElement((NS_METADATA, "info"))
        info["bytes"] = str(len(image.data))
        info["id"] = image.id
        info["type"] = image.type or "image/png"
        if (pixels := size(image.data)) is not None:
            info["width"], info["height"] = map(str, pixels)
    return element


def is_disabled(metadata: Element) -> bool:
    """Tell whether metadata say that there is no avatar (XEP-0084 §3.5, and as it used to be)."""
    inside = list(metadata.elements())
    return not inside or (len(inside) == 1 and inside[0].name == "stop")


def chosen(item: str, metadata: Element) -> Info | None:
    """Return the form of an avatar that is in the data node (XEP-0398 §3.1), None for none.

    item: id of the item that has the metadata, which several forms without URL are told apart by.
    """
    found = [info for info in _infos(metadata) if info.url is None]
    return next((info for info in found if info.id == item.lower()), found[0] if found else None)


def _infos(metadata: Element) -> Iterable[Info]:
    for info in children(metadata, NS_METADATA, "info"):
        id = info.getAttribute("id", "")
        if _is_hash(id):
            type = info.getAttribute("type", "").strip().lower()
            url = info.getAttribute("url")
            yield Info(id.lower(), type if _is_type(type) else None, url, id)


def image_of(info: Info, data: Element) -> Image | None:
    """Return the picture that is an item of the data node; None if it is not what info says."""
    if (data.uri, data.name) != (NS_DATA, "data"):
        return None
    found = decode(text_of(data))
    if found is None:
        return None
    image = Image(found, real_type(found) or info.type)
    return image if image.id == info.id else None


def _encoded(image: Image) -> str:
    return base64.b64encode(image.data).decode("ascii")


# presence


def keeps_silent(presence: Stanza) -> bool:
    """Tell whether a client says that it has no avatar to show, whatever we know (XEP-0398 §4)."""
    return any(not _text(photo) for photo in _announced(presence))


def announcing(presence: Stanza, hash: str | None) -> Stanza | None:
    """Return an available presence with the hash of the avatar, None if it may go as it is.

    hash: SHA-1 in hexadecimal; "" if there is no avatar any more; None if there never was one.
    XEP-0398 §4: what says that there is none is left alone, what says nothing is overwritten.
    """
    if not presence.has(NS_UPDATE, "x"):
        return None if hash is None else _plus(presence, hash)
    said = [_text(photo) for photo in _announced(presence)]
    if "" in said:
        return None
    if said and (not hash or all(each.lower() == hash for each in said)):
        return None
    return _plus(silenced(presence), hash or "")


def silenced(presence: Stanza) -> Stanza:
    """Return a presence that says nothing about an avatar."""
    if not presence.has(NS_UPDATE, "x"):
        return presence
    return presence.without(children(presence.element, NS_UPDATE, "x"))


def _announced(presence: Stanza) -> list[Element]:
    if not presence.has(NS_UPDATE, "x"):
        return []
    return [
        photo
        for x in children(presence.element, NS_UPDATE, "x")
        for photo in children(x, NS_UPDATE, "photo")
    ]


def _text(element: Element) -> str:
    return text_of(element).strip()


def _plus(presence: Stanza, hash: str) -> Stanza:
    photo = b"<photo>%s</photo>" % hash.encode() if hash else b"<photo/>"
    return presence.plus(b"<x xmlns='%s'>%s</x>" % (NS_UPDATE.encode(), photo), f"{NS_UPDATE}}}x")
