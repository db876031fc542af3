"""Asking a server, over TCP, what it has of rooms and nodes."""

from __future__ import annotations

import asyncio
from collections import Counter
from xml.etree.ElementTree import Element
from xml.sax.saxutils import quoteattr

import attrs

from benchmarks.torture.archive import Entry
from benchmarks.torture.device import Reader
from benchmarks.torture.dweller import NS_MUC, SUBJECT
from benchmarks.torture.publisher import NOTES, NS_PUBSUB
from benchmarks.torture.ruler import FORM, NS_ADMIN, NS_OWNER
from benchmarks.torture.stream import Wrong, shown, tag

NS_RSM = "http://jabber.org/protocol/rsm"
ROLES = ("moderator", "participant", "visitor")
AFFILIATIONS = ("owner", "admin", "member", "outcast")


@attrs.define
class RoomFacts:
    """What the server has of a room.

    inside: by nickname: affiliation, role and full JID; affiliations: by bare JID.
    """

    archive: list[Entry] = attrs.field(factory=list)
    inside: dict[str, tuple[str, str, str]] = attrs.field(factory=dict)
    affiliations: dict[str, str] = attrs.field(factory=dict)
    name: str | None = None
    persistent: bool = False
    subject: str | None = None


@attrs.define
class NodeFacts:
    """What the server has in a node: what each item says, and how often each id came."""

    items: dict[str, str] = attrs.field(factory=dict)
    times: Counter[str] = attrs.field(factory=Counter)


class Inspector(Reader):
    """A client of an account that may know everything."""

    _subject: asyncio.Future[str | None] | None = None

    async def _iq(self, type: str, to: str, inner: str) -> Element:
        id = f"look{next(self._ids)}"
        to = f" to={quoteattr(to)}" if to else ""
        answer = await self.ask(f"<iq type='{type}' id='{id}'{to}>{inner}</iq>", id)
        if answer.get("type") != "result":
            raise Wrong(f"no answer to {inner}: {shown(answer)}")
        return answer

    # rooms

    async def room(self, room: str) -> RoomFacts:
        """Return what there is of a room. Raises Gone or Wrong."""
        facts = RoomFacts(await self.read_archive(room))
        for role in ROLES:
            for item in await self._list(room, f"role='{role}'"):
                facts.inside[item.get("nick", "")] = (
                    item.get("affiliation", ""),
                    item.get("role", ""),
                    item.get("jid", ""),
                )
        for affiliation in AFFILIATIONS:
            for item in await self._list(room, f"affiliation='{affiliation}'"):
                facts.affiliations[item.get("jid", "")] = item.get("affiliation", "")
        form = await self._iq("get", room, f"<query xmlns='{NS_OWNER}'/>")
        for field in form.iter(tag(FORM, "field")):
            value = field.findtext(tag(FORM, "value"))
            if field.get("var") == "muc#roomconfig_roomname":
                facts.name = value or None
            elif field.get("var") == "muc#roomconfig_persistentroom":
                facts.persistent = value in ("1", "true")
        return facts

    async def _list(self, room: str, what: str) -> list[Element]:
        query = f"<query xmlns='{NS_ADMIN}'><item {what}/></query>"
        return list((await self._iq("get", room, query)).iter(tag(NS_ADMIN, "item")))

    async def subject(self, room: str) -> str | None:
        """Enter, and return the subject that it is told. Raises Gone."""
        self._subject = asyncio.get_running_loop().create_future()
        self.send(
            f"<presence to='{room}/inspector'><x xmlns='{NS_MUC}'>"
            "<history maxstanzas='0'/></x></presence>"
        )
        found = await asyncio.wait_for(self._subject, 10)
        self.send(f"<presence to='{room}/inspector' type='unavailable'/>")
        return found

    def _take_message(self, message: Element) -> None:
        subject = message.find(SUBJECT)
        if subject is not None and self._subject is not None and not self._subject.done():
            self._subject.set_result(subject.text or None)
        self._pages.take(message)

    def _take_presence(self, presence: Element) -> None:
        if presence.get("type") == "error" and self._subject is not None:
            self._subject.set_exception(Wrong(f"not let in: {shown(presence)}"))

    # nodes

    async def node(self, service: str, node: str) -> NodeFacts:
        """Return all items of a node, page by page. Raises Gone or Wrong.

        A node that is not there has none: maybe nobody has published on it yet. If somebody has,
        the verdict is that these items are lost.
        """
        facts, after = NodeFacts(), ""
        while True:
            then = f"<after>{after}</after>" if after else ""
            try:
                found = await self._iq(
                    "get",
                    service,
                    f"<pubsub xmlns='{NS_PUBSUB}'><items node={quoteattr(node)}/>"
                    f"<set xmlns='{NS_RSM}'><max>50</max>{then}</set></pubsub>",
                )
            except Wrong as why:
                if "item-not-found" in str(why) and not after:
                    return facts
                raise
            items = list(found.iter(tag(NS_PUBSUB, "item")))
            for item in items:
                id = item.get("id", "")
                facts.items[id] = item.findtext(tag(NOTES, "note")) or ""
                facts.times[id] += 1
            last = found.findtext(f".//{tag(NS_RSM, 'last')}")
            if not items or not last or last == after:
                return facts
            after = last
