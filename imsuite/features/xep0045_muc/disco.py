"""What rooms say of themselves (XEP-0045 §6, §7.12)."""

from __future__ import annotations

from collections.abc import Iterable
from inspect import isawaitable
from typing import Any

import imsuite._compat  # noqa: F401  makes wokkel importable

# isort: split

from twisted.words.xish.domish import Element
from wokkel.disco import DiscoFeature, DiscoIdentity, DiscoInfo, DiscoItem, DiscoItems

from imsuite.core.feature import At, answers
from imsuite.core.hooks import Passing
from imsuite.core.interfaces import IDiscoNodes
from imsuite.core.service_interfaces import IRoomInfo
from imsuite.features.xep0045_muc import storage
from imsuite.features.xep0045_muc.facet import Facet
from imsuite.features.xep0045_muc.registering import registers
from imsuite.features.xep0045_muc.room import Room
from imsuite.rules.affiliations import Affiliation
from imsuite.rules.room_config import disco_features, roominfo
from imsuite.xmpp import ns as NS
from imsuite.xmpp import rsm
from imsuite.xmpp.address import parse, wokkel_jid
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza, child, result, text_of

NICKNAME_NODE = "x-roomuser-item"
TRAFFIC_NODE = "http://jabber.org/protocol/muc#traffic"
_MOST = 1000  # rooms in one answer


class Discovering(Facet):
    """disco#info and disco#items of the service and of rooms."""

    @answers("get", NS.DISCO_INFO, "query", At.ROOMS)
    def service_info(self, request: Passing) -> Stanza:
        """§6.2"""
        if _node(request):
            raise StanzaError("item-not-found")
        made = DiscoInfo()
        made.append(DiscoIdentity("conference", "text", self.options.name))
        return _info(request, made, self.host.advertised(At.ROOMS))

    @answers("get", NS.DISCO_ITEMS, "query", At.ROOMS)
    async def service_items(self, request: Passing) -> Stanza:
        """§6.3: the public rooms, page by page (XEP-0059)."""
        if _node(request):
            raise StanzaError("item-not-found")
        payload = request.stanza.payload
        assert payload is not None
        asked = rsm.wanted(payload, _MOST)
        if asked is not None and asked.index is not None:
            raise StanzaError("feature-not-implemented")
        page = rsm.Page(_MOST) if asked is None else asked
        listing: storage.Listing = await self.host.store.read(storage.listed, self.domain, page)
        made = DiscoItems()
        for jid, name in listing.rooms:
            made.append(DiscoItem(wokkel_jid(parse(jid)), name=name or parse(jid).local))
        query = made.toElement()
        if asked is not None or listing.count > len(listing.rooms):
            ends = [jid for jid, _ in listing.rooms]
            first, last = (ends[0], ends[-1]) if ends else (None, None)
            query.addChild(rsm.answer(first, last, listing.before, listing.count))
        return result(request.stanza, query)

    @answers("get", NS.DISCO_INFO, "query", At.ROOM)
    async def room_info(self, request: Passing) -> Stanza:
        """§6.4, §7.12"""
        room: Room = request.room
        node = _node(request)
        made = DiscoInfo()
        if node == NICKNAME_NODE:
            made.nodeIdentifier = node
            entry = room.entries.get(request.sender.bare)
            if entry is not None and entry.nick:
                made.append(DiscoIdentity("conference", "text", entry.nick))
            return result(request.stanza, made.toElement())
        if node == TRAFFIC_NODE:  # §18.1.1: nothing is held back
            raise StanzaError("service-unavailable")
        if node:
            query = await self._others("node_info", request, node)
            query["node"] = node
            return result(request.stanza, query)
        name = room.config.name or room.jid.local
        made.append(DiscoIdentity("conference", "text", name))
        features = [*self.host.advertised(At.ROOM), *disco_features(room.config)]
        if self.archive is not None and room.config.logged:
            features += self.archive.features()
        if registers(room):
            features.append("jabber:iq:register")
        others = [f for f in self.host.features.values() if IRoomInfo.providedBy(f)]
        for feature in others:
            features += feature.room_features(room)
        subject = "" if room.subject is None else _subject(room)
        form = roominfo(
            room.config,
            len(room.occupants),
            subject,
            contacts=[
                jid
                for jid, _ in room.affiliated(Affiliation.OWNER)
                if not room.config.semi_anonymous
            ],
            others=[field for feature in others for field in feature.room_fields(room)],
        )
        return _info(request, made, sorted(set(features)), form)

    @answers("get", NS.DISCO_ITEMS, "query", At.ROOM)
    async def room_items(self, request: Passing) -> Stanza:
        """§6.5: who is in, for those who may come in and see for themselves."""
        made, node = DiscoItems(), _node(request)
        if node:
            for jid, name, title in await self._others("node_items", request, node):
                made.append(DiscoItem(wokkel_jid(parse(jid)), name, title))
            made.nodeIdentifier = node
            return result(request.stanza, made.toElement())
        room: Room = request.room
        config = room.config
        open_to_all = config.public and not config.members_only and not config.password_protected
        if request.occupant is not None or (open_to_all and not self._banned(request)):
            for occupant in room.occupants.values():
                made.append(DiscoItem(wokkel_jid(parse(occupant.jid)), name=occupant.nick))
        return result(request.stanza, made.toElement())

    async def _others(self, question: str, request: Passing, node: str) -> Any:
        """Return what another feature says of a node of a room. Raises StanzaError."""
        for feature in self.host.features.values():
            if IDiscoNodes.providedBy(feature):
                answer = getattr(feature, question)(request, At.ROOM, node)
                if isawaitable(answer):
                    answer = await answer
                if answer is not None:
                    return answer
        raise StanzaError("item-not-found")

    @staticmethod
    def _banned(request: Passing) -> bool:
        return bool(request.room.affiliation(request.sender.bare) is Affiliation.OUTCAST)


def _node(request: Passing) -> str:
    payload = request.stanza.payload
    assert payload is not None
    node: str = payload.getAttribute("node", "")
    return node


def _info(
    request: Passing, made: DiscoInfo, features: Iterable[str], form: Element | None = None
) -> Stanza:
    for name in features:
        made.append(DiscoFeature(name))
    query = made.toElement()
    if form is not None:
        query.addChild(form)
    return result(request.stanza, query)


def _subject(room: Room) -> str:
    assert room.subject is not None
    return text_of(child(room.subject.element, NS.CLIENT, "subject"))
