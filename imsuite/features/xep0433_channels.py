"""XEP-0433: Extended Channel Search."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
from twisted.words.xish.domish import Element

from imsuite.core.feature import At, Feature, answers
from imsuite.core.hooks import Passing
from imsuite.core.host import Host
from imsuite.core.options import ge, le, option
from imsuite.core.service_interfaces import IRooms
from imsuite.rules.archive import parse_search, searchable
from imsuite.xmpp import forms, rsm
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import parse
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza, child, result

NS_BASE = "urn:xmpp:channel-search:0"
NS_SEARCH = f"{NS_BASE}:search"
NS_PARAMS = f"{NS_BASE}:search-params"
NS_ERROR = f"{NS_BASE}:error"
BY_USERS, BY_ADDRESS = f"{{{NS_BASE}:order}}nusers", f"{{{NS_BASE}:order}}address"
NOBODY_HIDES = f"{{{NS_BASE}:anonymity}}none"
HERE = "xep-0045"  # the one type of service there is

_VAR = "muc#roomconfig_{}".format


@attrs.frozen
class Options:
    """[features.channels]"""

    page: int = option(100, "Most rooms in one page of results.", ge(1), le(1000), live=True)
    everything: bool = option(
        True, "Whether anybody may get the list of all public rooms by a search.", live=True
    )
    seconds: int = option(
        60, "For how long what rooms say of themselves is remembered, seconds.", ge(0), live=True
    )


@attrs.frozen
class Found:
    """A room that can be found. texts: name, description and address, as they are compared."""

    address: str
    name: str
    description: str
    language: str
    is_open: bool
    hides: bool  # who the occupants are
    texts: tuple[str, str, str]

    @classmethod
    def of(cls, address: str, settings: dict[str, Any]) -> Found:
        """Return a room by those of its settings that are not the usual ones."""
        name = settings.get(_VAR("roomname")) or parse(address).local
        description = settings.get(_VAR("roomdesc"), "")
        closed = (_VAR("membersonly"), _VAR("passwordprotectedroom"))
        return cls(
            address,
            name,
            description,
            settings.get(_VAR("lang"), ""),
            not any(settings.get(var) for var in closed),
            settings.get(_VAR("whois"), "moderators") == "moderators",
            (searchable(name), searchable(description), searchable(address)),
        )

    def element(self, users: int) -> Element:
        """Return it as an <item/> (§5.2)."""
        item = Element((NS_SEARCH, "item"))
        item["address"] = self.address
        anonymity = "muc_semianonymous" if self.hides else NOBODY_HIDES
        for name, text in (
            ("name", self.name),
            ("description", self.description),
            ("language", self.language),
            ("nusers", str(users)),
            ("service-type", HERE),
            ("is-open", "true" if self.is_open else "false"),
            ("anonymity-mode", anonymity),
        ):
            if text:
                item.addElement(name, content=text)
        return item


@attrs.frozen
class Search:
    """What is searched for.

    words: all of them must be there, None: whatever is there; places: which of the texts they may
    be in; users: at least so many; here: rooms of this kind of service are wanted.
    """

    words: tuple[str, ...] | None = None
    places: tuple[int, ...] = (0, 1, 2)
    users: int = 0
    key: str = BY_USERS
    here: bool = True

    def finds(self, room: Found) -> bool:
        """Tell whether a room has all the words."""
        texts = [room.texts[place] for place in self.places]
        return all(any(word in text for text in texts) for word in self.words or ())


class Channels(Feature):
    """Let people find public rooms by what these say of themselves."""

    spec = "XEP-0433 0.1.0"
    advertises = {At.ROOMS: (NS_SEARCH,)}
    requires = (IRooms,)
    options: Options

    def __init__(self, host: Host, options: Options) -> None:
        super().__init__(host, options)
        self._known: tuple[Found, ...] = ()
        self._until = 0.0  # seconds of the clock: for so long that is good enough

    @answers("get", NS_SEARCH, "search", At.ROOMS)
    async def search(self, request: Passing) -> Stanza:
        """§4.2: without a form, the form to fill in."""
        asked = request.stanza.payload
        assert asked is not None
        if child(asked, NS.DATA, "x") is None:
            if next(asked.elements(), None) is not None:
                raise _conditions()
            return result(request.stanza, _form())
        wanted = self._read(asked)
        page = rsm.wanted(asked, self.options.page) or rsm.Page(self.options.page)
        return result(request.stanza, await self._answer(wanted, page))

    def _read(self, asked: Element) -> Search:
        """Return what a form asks for (§4.2.2). Raises StanzaError."""
        form = forms.submitted(asked, NS_PARAMS)
        if form is None:
            raise StanzaError("bad-request", text="the form is cancelled")
        text, everything = forms.text(form, "q"), forms.boolean(form, "all", False)
        if everything and text:
            raise _error("bad-request", "conflicting-fields", "modify", "either q or all")
        if everything and not self.options.everything:
            raise _error("not-allowed", "full-set-retrieval-rejected", "cancel")
        if not everything and text is None:
            raise _conditions()
        key = forms.text(form, "key", BY_USERS)
        if key not in (BY_USERS, BY_ADDRESS):
            raise _error("feature-not-implemented", "invalid-sort-key", "modify")
        types = forms.texts(form, "types")
        return Search(
            words=None if everything else _words(text or ""),
            places=_places(form),
            users=forms.number(form, "min_users", 0, least=0) or 0,
            key=key,
            here=types is None or not types or HERE in types,
        )

    async def _answer(self, wanted: Search, page: rsm.Page) -> Element:
        """Return a page of what is found; nothing is no error (§5)."""
        rooms = self.host.find_feature(IRooms)
        found = []
        for room in await self._rooms() if wanted.here else ():
            loaded = rooms.find(room.address)
            users = 0 if loaded is None else len(loaded.occupants)
            if users >= wanted.users and wanted.finds(room):
                found.append((room, users))
        if wanted.key == BY_USERS:
            found.sort(key=lambda pair: -pair[1])
        element = Element((NS_SEARCH, "result"))
        part, end = rsm.cut([room.address for room, _ in found], page)
        for room, users in found[part]:
            element.addChild(room.element(users))
        element.addChild(end)
        return element

    async def _rooms(self) -> tuple[Found, ...]:
        """Return the public rooms, by their addresses, as they were some time ago."""
        now = self.host.clock.seconds()
        if now >= self._until:
            self._known = await self.host.store.read(self._load)
            self._until = now + self.options.seconds
        return self._known

    def _load(self, cursor: Any) -> tuple[Found, ...]:
        rooms = self.host.find_feature(IRooms)
        return tuple(Found.of(address, config) for address, config in rooms.public(cursor))


def _words(text: str) -> tuple[str, ...]:
    """Return the words of a search (§4.2.2.3). Raises StanzaError if there is none."""
    try:
        words = parse_search(text)
    except StanzaError as why:
        raise _error("bad-request", "invalid-search-terms", "modify", why.text) from None
    if not words:
        text = "search for words of letters or digits"
        raise _error("bad-request", "invalid-search-terms", "modify", text)
    return words


def _places(form: Any) -> tuple[int, ...]:
    """Return which texts are searched.

    UNCLEAR(XEP-0433 §4.2.1): the field for addresses is sinaddr in the example, sinaddress in §5.1.
    """
    names = (("sinname",), ("sindescription",), ("sinaddr", "sinaddress"))
    return tuple(
        place
        for place, vars in enumerate(names)
        if all(forms.boolean(form, var, True) for var in vars)
    )


def _error(condition: str, app: str, type: str, text: str | None = None) -> StanzaError:
    return StanzaError(condition, type, text, app=(NS_ERROR, app))


def _conditions() -> StanzaError:
    text = "say what to search for, or ask for all"
    return _error("bad-request", "no-search-conditions", "cancel", text)


def _form() -> Element:
    """Return the form, with what holds where nothing is said (§4.2.1)."""
    orders = {BY_USERS: "Number of online users", BY_ADDRESS: "Address"}
    fields: Iterable[Any] = (
        forms.field("text-single", "q", None, "Search for"),
        forms.field("boolean", "all", False, "Return all entries (ignore search terms)"),
        forms.field("boolean", "sinname", True, "Search in name"),
        forms.field("boolean", "sindescription", True, "Search in description"),
        forms.field("boolean", "sinaddr", True, "Search in address"),
        forms.field("text-single", "min_users", 0, "Minimum number of users"),
        forms.field("list-multi", "types", [HERE], "Service types", {HERE: "Multi-User Chat"}),
        forms.field("list-single", "key", BY_USERS, "Sort results by", orders),
    )
    element = Element((NS_SEARCH, "search"))
    element.addChild(forms.to_element(forms.make("form", NS_PARAMS, fields)))
    return element
