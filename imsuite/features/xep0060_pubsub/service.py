"""The publish-subscribe service of a domain: an address that has nodes, and what comes to it."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING

import attrs

from imsuite.core.feature import At
from imsuite.core.hooks import Passing
from imsuite.core.options import ge, le, matches, nonempty, one_of, option
from imsuite.rules.node_access import AccessModel
from imsuite.rules.nodes import COLLECTION, LEAF, Limits, NodeConfig
from imsuite.xmpp.address import JID, parse
from imsuite.xmpp.errors import StanzaError

if TYPE_CHECKING:
    from imsuite.features.xep0060_pubsub import PubSub


@attrs.frozen
class Options:
    """[features.pubsub]"""

    subdomain: str = option(
        "pubsub",
        "The service is at this name below the domain.",
        matches(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", "a label of a domain, in lower case"),
    )
    name: str = option("Publish-Subscribe", "Name that the service shows.", nonempty, live=True)
    creators: str = option(
        "local",
        "Who may make nodes at the service: those with an account on this server, administrators "
        "of the domain only, or anyone.",
        one_of("local", "admins", "anyone"),
        live=True,
    )
    auto_create: bool = option(
        False,
        "Whether what is published to a node of the service that is not there makes it.",
        live=True,
    )
    nodes: int = option(100, "Most nodes that somebody may make at the service.", ge(1), live=True)
    items: int = option(1_000, "Most items that a node may keep.", ge(1), live=True)
    item_size: int = option(
        65_536, "Most bytes of what is published as one item.", ge(1024), live=True
    )
    item_days: int = option(
        0, "Items of the service are kept for so many days at most. 0: for ever.", ge(0), live=True
    )
    subscriptions: int = option(
        10, "Most subscriptions of one account to one node.", ge(1), live=True
    )
    children: int = option(1_000, "Most nodes in one collection.", ge(1), live=True)
    page: int = option(
        100, "Most items in one answer; a client asks for the others.", ge(1), le(10_000), live=True
    )
    loaded: int = option(5_000, "Nodes that stay in memory when nobody uses them.", ge(10))
    lease: int = option(0, "Longest subscription that ends by itself, days. 0: no limit.", ge(0))
    digest: int = option(60, "Shortest time between two digests, seconds.", ge(1))


class Service:
    """The ISite of a domain, and the Route to it."""

    account = None
    models = tuple(AccessModel)

    def __init__(self, feature: PubSub, domain: str) -> None:
        self._feature = feature
        self.jid = domain
        self._address = parse(domain)

    @property
    def options(self) -> Options:
        """As they are now."""
        return self._feature.options

    # what comes in

    def receive(self, passing: Passing) -> Awaitable[None] | None:
        """Take a stanza to the domain; there is nobody else there."""
        host = passing.host = self._feature.host
        jid = parse(passing.stanza.attrs["to"])
        if jid.local or (jid.resource and passing.stanza.kind == "iq"):
            raise StanzaError("service-unavailable")
        return host.dispatch(passing, At.PUBSUB)

    def loading(self, jid: JID) -> Awaitable[object] | None:
        """Nothing must be loaded before."""
        return None

    # what it is to nodes

    @property
    def auto_create(self) -> bool:
        """Whether publishing makes a node."""
        return self.options.auto_create

    @property
    def limits(self) -> Limits:
        """What a node may have at most."""
        given = self.options
        return Limits(
            given.nodes,
            given.items,
            given.item_size,
            given.item_days * 86_400 or None,
            given.subscriptions,
            given.children,
        )

    def defaults(self, node: str, type: str = LEAF) -> NodeConfig:
        """Return what a new node is like."""
        if type == COLLECTION:
            return NodeConfig(node_type=COLLECTION, send_last_published_item="never")
        return NodeConfig(max_items=min(NodeConfig().max_items or 0, self.options.items))

    def may_create(self, jid: JID) -> bool:
        """Tell whether somebody may make nodes."""
        match self.options.creators:
            case "anyone":
                return True
            case "local":
                return jid.domain in self._feature.host.router.hosts or self.owner(jid)
        return self.owner(jid)

    def owner(self, jid: JID) -> bool:
        """Tell whether somebody owns all nodes: an administrator, or the service itself."""
        return self._feature.host.users.administers(jid) or jid == self._address

    def knows(self, jid: JID) -> bool:
        """Nobody sees the presence of a service; the owners of a node are asked instead."""
        return False

    def groups(self, jid: JID) -> frozenset[str]:
        """Return nothing: a service has no roster."""
        return frozenset()

    def all_groups(self) -> Iterable[str]:
        """Return nothing: a service has no roster."""
        return ()

    def interested(self, node: str) -> Iterable[str]:
        """Return nothing: who wants to hear from a service subscribes."""
        return ()
