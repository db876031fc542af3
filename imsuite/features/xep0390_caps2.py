"""XEP-0390: Entity Capabilities 2.0."""

from __future__ import annotations

import base64
from collections import OrderedDict
from functools import cached_property
from typing import Any

from twisted.words.xish.domish import Element
from zope.interface import implementer

from imsuite.core.feature import At, StreamFeature, answers, on
from imsuite.core.hooks import OUTGOING, Passing, Stage
from imsuite.core.host import Host
from imsuite.core.interfaces import ICaps, IDisco, IDiscoNodes
from imsuite.rules.caps import NS_CAPS2, hash_node, read_claim, vers2
from imsuite.rules.stream import Phase
from imsuite.streams.c2s import ClientStream
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.hashes import to_element
from imsuite.xmpp.stanza import Stanza, result, to_bytes

HASHES = ("sha-256", "sha3-256")  # of the server's own capabilities
LANG = "en"  # xml:lang of our streams, which our identities inherit (§4.1)
RECENT = 3  # §6.1: hash sets whose nodes are still answered


@implementer(IDiscoNodes)
class Caps2(StreamFeature):
    """Capabilities by hashes that leave no room for forgery."""

    spec = "XEP-0390 0.3.2"
    advertises = {At.HOST: (NS_CAPS2, f"{NS_CAPS2}:gratuitous")}
    requires = (IDisco, ICaps)
    needs = Phase.AUTHENTICATED
    rank = 91

    def __init__(self, host: Host, options: object) -> None:
        super().__init__(host, options)
        self._recent: OrderedDict[tuple[str, ...], Element] = OrderedDict()  # by their nodes
        host.add_stream_feature(self)

    @cached_property
    def _disco(self) -> Any:  # what provides IDisco
        return self.host.find_feature(IDisco)

    @cached_property
    def _caps(self) -> Any:  # what provides ICaps
        return self.host.find_feature(ICaps)

    # the server's own

    def offer(self, stream: ClientStream) -> bytes:
        """§5.2"""
        found: bytes | None = self.host.computed.get(NS_CAPS2)
        if found is None:
            c = Element((NS_CAPS2, "c"))
            for name, digest in self._own().items():
                c.addChild(to_element(name, digest))
            found = self.host.computed[NS_CAPS2] = to_bytes(c)
        return found

    def _own(self) -> dict[str, bytes]:
        """Return the hash set of the domain as it is now, and know what it stood for."""
        query = self._disco.info(At.HOST)
        found = vers2(query, HASHES, LANG)
        nodes = tuple(
            hash_node(name, base64.b64encode(digest).decode("ascii"))
            for name, digest in found.items()
        )
        self._recent[nodes] = query
        self._recent.move_to_end(nodes)
        while len(self._recent) > RECENT:
            self._recent.popitem(last=False)
        return found

    def node_info(self, passing: Passing, at: At, node: str) -> Element | None:
        """§5.5, §6.1: the latest hash sets are answered with what they stood for."""
        if at is not At.HOST or not node.startswith(f"{NS_CAPS2}#"):
            return None
        self._own()
        for nodes, query in self._recent.items():
            if node in nodes:
                return _copy(query)
        return None

    def node_items(self, passing: Passing, at: At, node: str) -> None:
        """A capability hash node has no items."""

    # what clients support

    @on(OUTGOING, Stage.RECORD, kind="presence", type=None, child=(NS_CAPS2, "c"))
    def announced(self, passing: Passing) -> None:
        """§5.4"""
        stanza, session = passing.stanza, passing.session
        if session is None or stanza.to is not None:
            return
        claim = read_claim(stanza.child(NS_CAPS2, "c"))
        if claim is not None:
            self._caps.claimed(session, claim)

    @answers("set", NS_CAPS2, "c", At.HOST)
    def announced_early(self, passing: Passing) -> Stanza:
        """§5.6: gratuitous capabilities, before initial presence and never shown to others."""
        session = passing.session
        if session is None or session.account.host is not self.host:
            raise StanzaError("not-allowed")
        claim = read_claim(passing.stanza.payload)
        if claim is not None:
            self._caps.claimed(session, claim)
        return result(passing.stanza)


def _copy(query: Element) -> Element:
    """Return a disco#info <query/> with the same children, to be given a node."""
    fresh = Element((query.uri, query.name), query.defaultUri)
    fresh.children = list(query.children)
    return fresh
