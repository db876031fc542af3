"""XEP-0313 §4, §5: what is asked of an archive, and the answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import imsuite._compat  # noqa: F401  makes wokkel importable

# isort: split

import attrs
from twisted.internet.task import deferLater
from twisted.words.xish.domish import Element

from imsuite.core.hooks import Passing
from imsuite.core.host import Host
from imsuite.core.record import public_id
from imsuite.core.session import Session
from imsuite.features.xep0313_archive import search as words
from imsuite.features.xep0313_archive.search import Search
from imsuite.features.xep0313_archive.storage import (
    EVERYTHING,
    Message,
    Page,
    Reading,
    emptied,
    ends,
    find,
    speakers,
)
from imsuite.rules.archive import FULLTEXT, NS_MAM, Query, bounds, parse_query
from imsuite.rules.payloads import MUC_USER
from imsuite.rules.traffic import FORWARD
from imsuite.xmpp import forms, rsm
from imsuite.xmpp import ns as NS
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza, quoted, result
from imsuite.xmpp.times import format_datetime

PATIENCE = 0.1  # seconds between two looks at a client that reads slowly
NS_VALIDATE = "http://jabber.org/protocol/xdata-validate"
_ROOT = b"<message"
_RESULT = (f"{NS_MAM}}}result",)
_HEAD = (
    b"<message from=%s to=%s><result xmlns='"
    + NS_MAM.encode()
    + b"'%s id='%s'><forwarded xmlns='"
    + FORWARD.encode()
    + b"'><delay xmlns='"
    + NS.DELAY.encode()
    + b"' stamp='%s'/>"
    b"<message xmlns='" + NS.CLIENT.encode() + b"'"
)
_TAIL = b"</forwarded></result></message>"
_SPEAKER = b"<x xmlns='" + MUC_USER.encode() + b"'><item jid=%s/></x>"
_END = b"</message>"


@attrs.frozen
class Queries:
    """Reads the archives of a host. most, most_bytes: of messages in one page of results."""

    host: Host
    search: Search
    most: int
    most_bytes: int

    async def answer(self, request: Passing) -> tuple[Stanza, tuple[int, int] | None]:
        """Send what a query asks for; return the answer that comes last (§4.2), and the least and
        greatest id between which the client has every message now. Raises StanzaError.
        """
        session = request.session
        if session is None:
            raise StanzaError("forbidden")
        query, wanted = self._asked(request)
        await self._room(session)
        owner = request.account.bare
        page, stable = await self._page(owner, query, wanted)
        for message in self._results(page, query, owner, session.full):
            session.send(message)
        return result(request.stanza, _fin(page, stable)), page.span if query.everything else None

    async def answer_of(self, request: Passing, owner: str, sees: bool) -> Stanza:
        """Send what a query asks of the archive of a room; return the answer that comes last.

        sees: the asker may know who its occupants are (§6.1.2). Raises StanzaError.
        """
        query, wanted = self._asked(request)
        query = query.of_room(owner, request.sender, sees)
        session = request.session
        if session is not None:
            await self._room(session)
        page, stable = await self._page(owner, query, wanted, sees)
        send = self.host.send if session is None else session.send
        for message in self._results(page, query, owner, request.sender.full):
            send(message)
        return result(request.stanza, _fin(page, stable))

    def _asked(self, request: Passing) -> tuple[Query, rsm.Page]:
        """Return what a query asks for, and which page of it. Raises StanzaError."""
        element = request.stanza.payload
        assert element is not None
        query = parse_query(element, self.search.index is not None)
        wanted = rsm.wanted(element, self.most) or rsm.Page(self.most)
        if wanted.index:
            # XEP-0059 §2.6: where no page says how many there are, none is found by number
            raise StanzaError("feature-not-implemented", text="pages have no numbers here")
        if query.ids is not None and len(query.ids) > self.most:
            raise StanzaError("policy-violation", text=f"ask for {self.most} messages at most")
        return query, wanted

    async def _page(
        self, owner: str, query: Query, wanted: rsm.Page, names: bool = False
    ) -> tuple[Page, bool]:
        """Return a page of results, and whether it stays as it is. names: as of `_read`."""
        store = self.host.store
        await store.settled()
        stable = await self.search.catch_up() if query.words else True
        # nothing may come later between what the client is given now
        horizon = () if store.horizon is None else (store.horizon,)
        page: Page = await store.read(self._read, owner, query, wanted, horizon, names)
        return page, stable

    async def _room(self, session: Session) -> None:
        """Wait until a client has read what it asked for before."""
        while session.stream is not None and session.stream.congested:
            await deferLater(self.host.clock, PATIENCE, lambda: None)

    def _read(
        self,
        cursor: Any,
        owner: str,
        query: Query,
        wanted: rsm.Page,
        horizon: tuple[int, ...],
        names: bool,
    ) -> Page:
        """Return one page of what is below the horizon; runs in a thread of the store.

        names: with who really spoke.
        """

        def known(*uids: str | None) -> list[int]:
            return [find(cursor, owner, uid) for uid in uids if uid is not None]

        after, before = known(query.after), [*known(query.before), *horizon]
        if last := emptied(cursor, owner):
            after.append(last)
        source, values = EVERYTHING, ()
        if query.words is not None:
            if not query.words:
                return Page(first=True, count=0)
            assert self.search.index is not None
            source, values = words.wanted(self.search.index, owner, query.words)
        everything = Reading(owner, query, *bounds(query, after, before), source, values)
        after += known(wanted.after)
        before += known(wanted.before)
        least, greatest = bounds(query, after, before)
        reading = attrs.evolve(everything, least=least, greatest=greatest)
        if query.ids is not None:
            ids = sorted(known(*query.ids))
            page = reading.named(cursor, ids, wanted.max, self.most_bytes, wanted.backwards)
        else:
            page = reading.page(cursor, wanted.max, self.most_bytes, wanted.backwards)
        first = page.complete if wanted.backwards else wanted.after is None
        count = None
        if first and page.complete:
            count = len(page.messages)
        elif wanted.max == 0 and query.ids is None:
            count = everything.count(cursor)
        span = None
        if page.messages:
            begin, end = page.messages[0][0], page.messages[-1][0]
            # behind what the client has already there is nothing that it has not got
            span = (begin, greatest) if wanted.before else (min(begin, least), end)
            if wanted.backwards and not page.complete:
                span = begin, span[1]
        if names:
            peers = speakers(cursor, owner, [id for id, _, _ in page.messages])
            named = zip(page.messages, peers, strict=True)
            page = attrs.evolve(page, messages=[_named(*pair, owner) for pair in named])
        return attrs.evolve(page, first=first, count=count, span=span)

    def _results(self, page: Page, query: Query, owner: str, asker: str) -> Iterator[Stanza]:
        """Yield the results in the order in which they are sent (§4.2, §4.3.4)."""
        sender, to = quoted(owner), quoted(asker)
        id = b"" if query.id is None else b" queryid=" + quoted(query.id)
        attributes = {"from": owner, "to": asker}
        messages = reversed(page.messages) if query.flipped else iter(page.messages)
        for message in messages:
            raw = _wrapped(message, sender, to, id)
            yield Stanza("message", NS.CLIENT, attributes, _RESULT, raw)

    async def metadata(self, request: Passing, owner: str) -> Stanza:
        """Answer with the first and the last message of an archive (§5)."""
        await self.host.store.settled()
        found = await self.host.store.read(ends, owner)
        element = Element((NS_MAM, "metadata"))
        for name, (id, salt, _) in zip(("start", "end"), found, strict=False):
            end = element.addElement(name)
            end["id"] = public_id(id, salt)
            end["timestamp"] = format_datetime(id)
        return result(request.stanza, element)

    def form(self, request: Passing) -> Stanza:
        """Answer with the fields that a query may have (§4.1.5)."""
        fields = [
            forms.field("jid-single", "with"),
            *(forms.field("text-single", name) for name in ("start", "end")),
            *(forms.field("text-single", name) for name in ("before-id", "after-id")),
            forms.field("list-multi", "ids"),
            forms.field("boolean", "include-groupchat"),
        ]
        if self.search.index is not None:
            fields.append(forms.field("text-single", FULLTEXT))
        form = forms.to_element(forms.make("form", NS_MAM, fields))
        for element in form.elements():
            if element.getAttribute("var") == "ids":  # any id will do
                validate = element.addElement((NS_VALIDATE, "validate"))
                validate["datatype"] = "xs:string"
                validate.addElement("open")
        query = Element((NS_MAM, "query"))
        query.addChild(form)
        return result(request.stanza, query)


def _named(message: Message, peer: str, owner: str) -> Message:
    """Return a message of a room with the address of who spoke (§6.1.2); not of the room itself."""
    id, salt, raw = message
    if not peer or peer == owner:
        return message
    return id, salt, raw[: raw.rindex(b"</")] + _SPEAKER % quoted(peer) + _END


def _wrapped(message: Message, sender: bytes, to: bytes, query: bytes) -> bytes:
    """Return a result message; the arguments but the first are attributes as they are written."""
    id, salt, raw = message
    uid, stamp = public_id(id, salt).encode(), format_datetime(id).encode()
    assert raw.startswith(_ROOT)
    return _HEAD % (sender, to, query, uid, stamp) + raw[len(_ROOT) :] + _TAIL


def _fin(page: Page, stable: bool) -> Element:
    """Return what says which page it was (§4.3.1, §4.3.2)."""
    fin = Element((NS_MAM, "fin"))
    if page.complete:
        fin["complete"] = "true"
    if not stable:
        fin["stable"] = "false"
    index = 0 if page.first and page.messages else None
    fin.addChild(rsm.answer(page.uid(0), page.uid(-1), index, page.count))
    return fin
