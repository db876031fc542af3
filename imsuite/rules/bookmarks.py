"""XEP-0402 and XEP-0048: bookmarks of rooms, one in an item each, and all in one element.

An element of XEP-0048 has more than rooms (§3.2: web pages), and rooms that are no addresses.
That is the `rest` of it: it is kept as it came, and has no items.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs
from twisted.words.xish.domish import Element

from imsuite.xmpp.address import InvalidAddress, parse
from imsuite.xmpp.stanza import child, text_of, to_bytes

NS_BOOKMARKS = "urn:xmpp:bookmarks:1"  # XEP-0402: a node with an item for each room
NS_STORAGE = "storage:bookmarks"  # XEP-0048: an element for the private storage, and a node
CURRENT = "current"  # id of the only item of that node

_TRUE = frozenset(("true", "1"))


def _same(elements: tuple[Element, ...]) -> tuple[bytes, ...]:
    return tuple(map(to_bytes, elements))


@attrs.frozen
class Bookmark:
    """What somebody keeps of a room, without its address (XEP-0402 §2).

    name, nick, password: None if there is none; extensions: whatever else clients keep with it.
    """

    name: str | None = None
    autojoin: bool = False
    nick: str | None = None
    password: str | None = None
    extensions: tuple[Element, ...] = attrs.field(default=(), eq=_same)


Bookmarks = Mapping[str, Bookmark]  # by the address of the room


def room_of(text: str) -> str | None:
    """Return the address of a room, prepared; None for what is no address of a room."""
    try:
        return parse(text.strip()).bare or None
    except InvalidAddress:
        return None


# one item for each room


def from_item(id: str, payload: Element | None) -> tuple[str, Bookmark] | None:
    """Return address and bookmark that an item holds; None if it holds something else."""
    room = room_of(id)
    if room is None or payload is None or _name(payload) != (NS_BOOKMARKS, "conference"):
        return None
    extensions = child(payload, NS_BOOKMARKS, "extensions")
    inside = () if extensions is None else tuple(extensions.elements())
    return room, _read(payload, NS_BOOKMARKS, inside)


def to_payload(bookmark: Bookmark) -> Element:
    """Return the payload of the item of a room (XEP-0402 §2)."""
    conference = _conference(bookmark, NS_BOOKMARKS)
    if bookmark.extensions:
        extensions = conference.addElement((NS_BOOKMARKS, "extensions"))
        extensions.children = list(bookmark.extensions)
    return conference


def from_items(items: Iterable[tuple[str, Element | None]]) -> dict[str, Bookmark]:
    """Return the bookmarks in items, of id and payload, in their order."""
    found = (from_item(id, payload) for id, payload in items)
    return dict(pair for pair in found if pair is not None)


def ids_of(items: Iterable[tuple[str, Element | None]]) -> dict[str, list[str]]:
    """Return the ids of the items of each room, which need not be in prepared form."""
    ids: dict[str, list[str]] = {}
    for id, payload in items:
        if (found := from_item(id, payload)) is not None:
            ids.setdefault(found[0], []).append(id)
    return ids


# one element for all


@attrs.frozen
class Storage:
    """An element of XEP-0048. rest: what is in it besides rooms with an address."""

    rooms: dict[str, Bookmark] = attrs.field(factory=dict)
    rest: tuple[Element, ...] = attrs.field(default=(), eq=_same)


def is_storage(payload: Element | None) -> bool:
    """Tell whether an element is one of XEP-0048."""
    return payload is not None and _name(payload) == (NS_STORAGE, "storage")


def from_storage(storage: Element | None) -> Storage:
    """Return what an element of XEP-0048 holds; of a room that is in it twice, what comes first."""
    rooms: dict[str, Bookmark] = {}
    rest = []
    for element in storage.elements() if storage is not None else ():
        room = None
        if _name(element) == (NS_STORAGE, "conference"):
            room = room_of(element.getAttribute("jid", ""))
        if room is None:
            rest.append(element)
        elif room not in rooms:
            rooms[room] = _read(element, NS_STORAGE, tuple(_others(element)))
    return Storage(rooms, tuple(rest))


def _others(conference: Element) -> Iterable[Element]:
    for node in conference.elements():
        if _name(node) == (NS_BOOKMARKS, "extensions"):  # as some servers cast an item
            yield from node.elements()
        elif node.uri != NS_STORAGE:
            yield node


def to_storage(storage: Storage) -> Element:
    """Return the element of XEP-0048; what clients keep with a room are children of that."""
    element = Element((NS_STORAGE, "storage"))
    for room, bookmark in storage.rooms.items():
        conference = _conference(bookmark, NS_STORAGE)
        conference["jid"] = room
        # one that claims to be of XEP-0048 would not come back as what it is
        conference.children += [node for node in bookmark.extensions if node.uri != NS_STORAGE]
        element.addChild(conference)
    element.children += storage.rest
    return element


# from one to the other


def collated(items: Bookmarks, before: Storage) -> Storage:
    """Return the element that has the bookmarks of the items (XEP-0402 §5.2.1).

    before: the one there was, whose order stays and whose web pages are in no item.
    """
    order = [room for room in before.rooms if room in items]
    order += [room for room in items if room not in before.rooms]
    rooms = {room: _as_stored(items[room]) for room in order}
    return Storage(rooms, before.rest)


def _as_stored(bookmark: Bookmark) -> Bookmark:
    kept = tuple(node for node in bookmark.extensions if node.uri != NS_STORAGE)
    return attrs.evolve(bookmark, extensions=kept)


@attrs.frozen
class Changes:
    """What makes items agree with a list. publish: by address; retract: addresses."""

    publish: dict[str, Bookmark]
    retract: tuple[str, ...]


def changes(items: Bookmarks, wanted: Bookmarks) -> Changes:
    """Return what a list that replaces all others changes in the items (XEP-0402 §5.2.2).

    Clients of XEP-0048 drop what they do not know, so extensions that the list does not mention
    stay. Nothing is published that is as it was.
    """
    merged = {
        room: _merged(items[room], bookmark) if room in items else bookmark
        for room, bookmark in wanted.items()
    }
    publish = {room: each for room, each in merged.items() if items.get(room) != each}
    return Changes(publish, tuple(room for room in items if room not in wanted))


def _merged(before: Bookmark, after: Bookmark) -> Bookmark:
    mentioned = {_name(node) for node in after.extensions}
    kept = tuple(node for node in before.extensions if _name(node) not in mentioned)
    extensions = kept + after.extensions
    if sorted(_same(extensions)) == sorted(_same(before.extensions)):
        extensions = before.extensions  # another order is no change
    return attrs.evolve(after, extensions=extensions)


def added(items: Bookmarks, more: Bookmarks) -> dict[str, Bookmark]:
    """Return the bookmarks that items lack; what they have of a room stays as it is."""
    return {room: bookmark for room, bookmark in more.items() if room not in items}


# elements


def _name(element: Element) -> tuple[str | None, str]:
    return element.uri, element.name


def _read(conference: Element, ns: str, extensions: tuple[Element, ...]) -> Bookmark:
    nick = child(conference, ns, "nick")
    password = child(conference, ns, "password")
    return Bookmark(
        name=conference.getAttribute("name"),
        autojoin=conference.getAttribute("autojoin", "").strip() in _TRUE,
        nick=text_of(nick) or None,
        password=None if password is None else text_of(password),
        extensions=extensions,
    )


def _conference(bookmark: Bookmark, ns: str) -> Element:
    conference = Element((ns, "conference"))
    if bookmark.name is not None:
        conference["name"] = bookmark.name
    if bookmark.autojoin:
        conference["autojoin"] = "true"
    if bookmark.nick is not None:
        conference.addElement((ns, "nick"), content=bookmark.nick)
    if bookmark.password is not None:
        conference.addElement((ns, "password"), content=bookmark.password)
    return conference
