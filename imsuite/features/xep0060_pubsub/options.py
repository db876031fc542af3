"""XEP-0060 §6.3, §6.4: what a subscriber wants of a subscription."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.words.xish.domish import Element

from imsuite.core.hooks import Passing
from imsuite.features.xep0060_pubsub.collections import has_collections
from imsuite.features.xep0060_pubsub.node import Node
from imsuite.features.xep0060_pubsub.nodes import Nodes
from imsuite.features.xep0060_pubsub.storage import Subscription
from imsuite.rules.node_access import Subscribed
from imsuite.rules.node_errors import NS_ERRORS, refusal
from imsuite.rules.node_notices import BODY_TYPES
from imsuite.rules.node_options import (
    DEFAULT,
    NS_SUBSCRIBE_OPTIONS,
    Offer,
    Terms,
    from_form,
    from_text,
    overlap,
    to_form,
    to_text,
)
from imsuite.rules.nodes import NS_PUBSUB
from imsuite.rules.presence import read
from imsuite.xmpp import forms
from imsuite.xmpp.address import JID, parse
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza, children, result

_LIVING = (Subscribed.SUBSCRIBED, Subscribed.UNCONFIGURED)


class Options:
    """The options of subscriptions, as subscribers ask for them and set them.

    lease: longest lease, µs, 0 for no limit; frequency: shortest time between digests, ms.
    """

    def __init__(self, nodes: Nodes, lease: int = 0, frequency: int = 60_000) -> None:
        self._nodes = nodes
        self.lease = lease
        self.frequency = frequency

    def presence(self, jid: str) -> frozenset[str] | None:
        """Return the shows of the available resources of a JID, None where nobody knows (§12.5).

        Only of accounts of this server it is known who is there.
        """
        address = parse(jid)
        host = self._nodes.host.router.hosts.get(address.domain)
        if host is None:
            return None
        account = host.accounts.get(address.local)
        if account is None:
            return frozenset()
        return frozenset(
            read(session.presence.element).show or "online"
            for session in account.available
            if session.presence is not None
            and (not address.resource or session.resource == address.resource)
        )

    def offer(self, node: Node | None, jid: JID) -> Offer:
        """Return which options a node has for a subscriber. node: None for any leaf."""
        config = None if node is None else node.config
        return Offer(
            collection=config is not None and not config.is_leaf,
            digest=config is None or (config.is_leaf and config.persist_items),
            body=config is not None and config.type in BODY_TYPES,
            presence=jid.domain in self._nodes.host.router.hosts,
            lease=self.lease,
            frequency=self.frequency,
        )

    def defaults(self, node: Node | None, jid: JID) -> Terms:
        """Return the options of a new subscription (§6.4). Raises StanzaError not-acceptable."""
        if node is None or not node.config.tempsub:
            return DEFAULT
        if not self.offer(node, jid).presence:  # §12.4: it would never end
            text = "subscriptions to this node end with presence, and yours is not known here"
            raise StanzaError("not-acceptable", text=text)
        return attrs.evolve(DEFAULT, temporary=True)

    # subscribe and configure (§6.3.7)

    def for_subscribe(self, site: Any, node: Node, pubsub: Element, jid: JID) -> Terms:
        """Return the options that a subscription is made with (§6.3.7).

        pubsub: of the request. Raises StanzaError.
        """
        defaults = self.defaults(node, jid)
        asked = children(pubsub, NS_PUBSUB, "options")
        if not asked:
            self._check_overlap(node, defaults, jid, None)
            return defaults
        names = [each.name for each in pubsub.elements()]
        if len(asked) > 1 or names.index("options") < names.index("subscribe"):
            raise StanzaError("bad-request", text="<options/> comes once, after <subscribe/>")
        if asked[0].hasAttribute("node") or asked[0].hasAttribute("jid"):
            raise StanzaError("bad-request", text="<subscribe/> says which node and who")
        found = self._read(node, asked[0], defaults, jid)
        self._check_overlap(node, found, jid, None)
        return found

    def result_element(self, site: Any, node: Node, subscription: Subscription) -> Element | None:
        """Return what tells a new subscriber the options it has (§6.3.7); None for the defaults."""
        if not subscription.options:
            return None
        element = Element((NS_PUBSUB, "options"))
        jid = parse(subscription.jid)
        form = to_form("result", from_text(subscription.options), self.offer(node, jid))
        element.addChild(forms.to_element(form))
        return element

    def _read(self, node: Node, asked: Element, before: Terms, jid: JID) -> Terms:
        """Return the options that were submitted. Raises StanzaError bad-request."""
        form = forms.submitted(asked, NS_SUBSCRIBE_OPTIONS)
        if form is None:
            return before
        found = from_form(form, before, self.offer(node, jid), self._nodes.now)
        if node.config.tempsub and not found.temporary:
            found = attrs.evolve(found, temporary=True, expire=None)  # §12.4: the owner's will
        return found

    def _check_overlap(self, node: Node, options: Terms, jid: JID, subid: str | None) -> None:
        """Raise StanzaError conflict for a second subscription of one kind (XEP-0248 §5.1.3)."""
        if node.config.is_leaf:
            return
        for each in node.of(jid.bare):
            if each.jid != jid.full or each.subid == subid or each.options == to_text(options):
                continue  # that one it asked for again
            if overlap(from_text(each.options), options):
                raise StanzaError("conflict")

    # requests

    async def answer(self, passing: Passing, site: Any, asked: Element) -> Stanza:
        """Answer <options/> and <default/> of a subscriber (§6.3, §6.4)."""
        if asked.name == "default":
            return await self._default(passing, site, asked)
        if passing.stanza.type == "get":
            return await self._get(passing, site, asked)
        return await self._set(passing, site, asked)

    async def _default(self, passing: Passing, site: Any, asked: Element) -> Stanza:
        if passing.stanza.type != "get":
            raise StanzaError("bad-request")
        name = asked.getAttribute("node")
        node = None
        if name:
            node = await self._nodes.find(site, name)
            refused = self._nodes.may_subscribe(site, node, passing.sender)
            if refused is not None:
                raise refused
        defaults = self.defaults(node, passing.sender)
        return _answer(
            passing,
            "default",
            {"node": name},
            to_form("result", defaults, self.offer(node, passing.sender)),
        )

    async def _get(self, passing: Passing, site: Any, asked: Element) -> Stanza:
        node = await self._node(site, asked)
        found = self._subscription(site, node, asked, passing.sender)
        jid = parse(found.jid)
        return _answer(
            passing,
            "options",
            {"node": node.name, "jid": found.jid, "subid": asked.getAttribute("subid")},
            to_form("form", from_text(found.options), self.offer(node, jid)),
        )

    async def _set(self, passing: Passing, site: Any, asked: Element) -> Stanza:
        name = (await self._node(site, asked)).name
        async with self._nodes.turn(site.jid, name):
            node = await self._node(site, asked)
            found = self._subscription(site, node, asked, passing.sender)
            jid = parse(found.jid)
            options = self._read(node, asked, from_text(found.options), jid)
            self._check_overlap(node, options, jid, found.subid)
            await self._nodes.apply(site, node, subscriptions=[with_options(found, options)])
        return result(passing.stanza)

    async def _node(self, site: Any, asked: Element) -> Node:
        """Return the node of a request, the root collection if it names none (§6.3.4.1)."""
        name = asked.getAttribute("node")
        if not name and has_collections(site):
            root: Node = await self._nodes.collections.root(site)
            return root
        return await self._nodes.find(site, name or "")

    def _subscription(self, site: Any, node: Node, asked: Element, by: JID) -> Subscription:
        """Return the subscription that a request is about (§6.3.4). Raises StanzaError."""
        if not asked.hasAttribute("jid"):
            raise refusal("jid-required")
        jid = parse(asked["jid"])
        if jid.bare != by.bare and not site.owner(by):
            raise StanzaError("forbidden")
        several = [
            each for each in node.of(jid.bare) if each.jid == jid.full and each.state in _LIVING
        ]
        if not several:
            app = (NS_ERRORS, "not-subscribed")
            raise StanzaError("unexpected-request", "modify", app=app)  # §6.3.4.2
        subid = asked.getAttribute("subid")
        if subid is None:
            if len(several) > 1:
                raise refusal("subid-required")
            return several[0]
        for each in several:
            if each.subid == subid:
                return each
        raise refusal("invalid-subid")


def with_options(subscription: Subscription, options: Terms) -> Subscription:
    """Return a subscription with other options, as it is stored."""
    return attrs.evolve(
        subscription,
        options=to_text(options),
        expire=options.expire,
        state=Subscribed.SUBSCRIBED
        if subscription.state is Subscribed.UNCONFIGURED
        else subscription.state,
    )


def _answer(passing: Passing, name: str, attributes: dict[str, str | None], form: Any) -> Stanza:
    pubsub = Element((NS_PUBSUB, "pubsub"))
    element = pubsub.addElement(name)
    for key, value in attributes.items():
        if value is not None:
            element[key] = value
    element.addChild(forms.to_element(form))
    return result(passing.stanza, pubsub)
