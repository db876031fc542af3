"""XEP-0060 §6.1, §6.2, §5.6, §5.7: entities subscribe, and see what they are to which nodes."""

from __future__ import annotations

from inspect import isawaitable
from typing import Any

import attrs
from twisted.words.xish.domish import Element

from imsuite.core.hooks import Passing
from imsuite.features.xep0060_pubsub import storage
from imsuite.features.xep0060_pubsub.node import Node
from imsuite.features.xep0060_pubsub.nodes import MOST_PEOPLE, Nodes
from imsuite.features.xep0060_pubsub.notifications import read_options, subscription_bytes
from imsuite.features.xep0060_pubsub.storage import Subscription
from imsuite.rules.node_access import Affiliation, Subscribed, first_state
from imsuite.rules.node_errors import refusal, unsupported
from imsuite.rules.node_options import Terms, is_over, to_text
from imsuite.rules.nodes import NS_PUBSUB
from imsuite.xmpp.address import JID, InvalidAddress, parse
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza, make, quoted, to_bytes

_PUBSUB = f"{NS_PUBSUB}}}pubsub"


def reply(passing: Passing, inner: bytes) -> Stanza:
    """Return the result of a request: a <pubsub/> with what inherits its namespace."""
    given = passing.stanza.attrs
    swapped = {
        "type": "result",
        "id": given.get("id"),
        "from": given.get("to"),
        "to": given.get("from"),
    }
    body = b"<pubsub xmlns='%s'>%s</pubsub>" % (NS_PUBSUB.encode(), inner)
    return make("iq", swapped, body, _PUBSUB)


def is_anonymous(passing: Passing) -> bool:
    """Tell whether nobody knows who asks, and whether it will be the same next time (XEP-0175)."""
    return passing.session is not None and passing.session.account.temporary


class Subscribing:
    """What a subscriber does with nodes."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes

    async def _name(self, site: Any, asked: Element) -> str:
        """Return the name of the node, of the root collection where none is given (0248 §7.1)."""
        name: str = asked.getAttribute("node", "")
        if not name and site.account is None and self._nodes.collections is not None:
            root: Node = await self._nodes.collections.root(site)
            return root.name
        if not name:
            raise refusal("nodeid-required")
        return name

    async def _node(self, site: Any, name: str) -> Node:
        """Return a node, also the root, whose name is empty."""
        node = await self._nodes.load(site, name)
        return await self._nodes.find(site, name) if node is None else node

    # §6.1

    async def subscribe(self, passing: Passing, site: Any, pubsub: Element) -> None:
        """Subscribe somebody; the answer goes out before the last item does."""
        asked = next(pubsub.elements())
        by = passing.sender
        jid = _jid(asked)
        if jid.bare != by.bare:
            raise refusal("invalid-jid")
        name = await self._name(site, asked)
        async with self._nodes.turn(site.jid, name):
            node = await self._node(site, name)
            if is_anonymous(passing):
                raise StanzaError("forbidden", "cancel")  # §6.1.3.6
            if not node.config.subscribe:
                raise unsupported("subscribe")
            made, old = await self._subscribe(site, node, pubsub, jid)
            self._answer(passing, site, node, made)
            if old:
                return
            try:
                await self._tell(site, node, made)
            except Exception as why:  # it is subscribed, and was told so
                self._nodes.host.condition(why)

    async def _tell(self, site: Any, node: Node, made: Subscription) -> None:
        """Tell the owners of a new subscription, and its holder the last item (§6.1.7)."""
        if made.state is Subscribed.PENDING:
            await self._nodes.owner.ask(site, node, made)
            return
        await self._nodes.notifier.owners(site, node, made)
        if node.config.send_last_published_item != "never" and node.config.is_leaf:
            await self._nodes.notifier.send_last(site, node, made.jid)

    async def _subscribe(
        self, site: Any, node: Node, pubsub: Element, jid: JID
    ) -> tuple[Subscription, bool]:
        """Return the subscription, and whether it was there. Raises StanzaError as §6.1.3 says."""
        refused = self._nodes.may_subscribe(site, node, jid)
        if refused is not None:
            raise refused
        options = self._nodes.options.for_subscribe(site, node, pubsub, jid)
        if isawaitable(options):
            options = await options
        wanted: Terms = options
        mine = node.of(jid.bare)
        for each in mine:
            if each.jid != jid.full or is_over(read_options(each.options), self._nodes.now):
                continue
            if each.state is Subscribed.PENDING:
                raise refusal("pending-subscription")
            if each.options == to_text(wanted):
                return each, True
        many = len(node.subscriptions) >= MOST_PEOPLE
        if many or len(mine) >= site.limits.subscriptions:
            raise refusal("too-many-subscriptions")
        made = Subscription(
            jid.full,
            jid.bare,
            f"{self._nodes.host.store.ids.next():x}",
            first_state(node.affiliation(site, jid), node.config.access_model),
            to_text(wanted),
            self._nodes.now,
            wanted.expire,
        )
        await self._nodes.apply(site, node, subscriptions=[made])
        return made, False

    def _answer(self, passing: Passing, site: Any, node: Node, made: Subscription) -> None:
        inner = subscription_bytes(node, made, b"<subscribe-options/>")
        options = self._nodes.options.result_element(site, node, made)
        if options is not None:
            inner += to_bytes(options)
        self._nodes.host.answer(passing, reply(passing, inner))

    # §6.2

    async def unsubscribe(self, passing: Passing, site: Any, asked: Element) -> Stanza:
        """End a subscription."""
        jid = _jid(asked)
        name = await self._name(site, asked)
        async with self._nodes.turn(site.jid, name):
            node = await self._node(site, name)
            if jid.bare != passing.sender.bare and not site.owner(passing.sender):
                raise StanzaError("forbidden")
            found = _chosen(node, jid, asked.getAttribute("subid"))
            gone = attrs.evolve(found, state=Subscribed.NONE)
            await self._nodes.apply(site, node, subscriptions=[gone])
            await self._nodes.notifier.owners(site, node, gone)
        return reply(passing, subscription_bytes(node, gone))

    # §5.6, §5.7

    async def subscriptions(self, passing: Passing, site: Any, asked: Element) -> Stanza:
        """Tell somebody its subscriptions, at one node or at all (§5.6)."""
        bare = passing.sender.bare
        name = asked.getAttribute("node")
        if name:
            node = await self._nodes.find(site, name)
            rows = [(name, each) for each in node.of(bare)]
        else:
            rows = await self._nodes.host.store.read(storage.subscriptions_of, site.jid, bare)
        now = self._nodes.now
        inner = b"".join(
            _subscription(name, each)
            for name, each in rows
            if not is_over(read_options(each.options), now)
        )
        return reply(passing, _wrapped("subscriptions", name, inner))

    async def affiliations(self, passing: Passing, site: Any, asked: Element) -> Stanza:
        """Tell somebody its affiliations, with one node or with all (§5.7)."""
        name = asked.getAttribute("node")
        if name:
            node = await self._nodes.find(site, name)
            mine = node.affiliation(site, passing.sender)
            rows = [] if mine is Affiliation.NONE else [(name, mine)]
        else:
            bare = passing.sender.bare
            rows = await self._nodes.host.store.read(storage.affiliations_of, site.jid, bare)
        inner = b"".join(
            b"<affiliation node=%s affiliation=%s/>" % (quoted(name), quoted(each.value))
            for name, each in rows
            if name
        )
        return reply(passing, _wrapped("affiliations", name, inner))


def _jid(asked: Element) -> JID:
    """Return the address that is subscribed. Raises StanzaError."""
    given = asked.getAttribute("jid")
    if given is None:
        raise refusal("jid-required")
    try:
        return parse(given)
    except InvalidAddress:
        raise refusal("invalid-jid") from None


def _chosen(node: Node, jid: JID, subid: str | None) -> Subscription:
    """Return the subscription of that address that a request means (§6.2.3)."""
    several = [each for each in node.of(jid.bare) if each.jid == jid.full]
    if not several:
        raise refusal("not-subscribed")
    if subid is None:
        if len(several) > 1:
            raise refusal("subid-required")
        return several[0]
    for each in several:
        if each.subid == subid:
            return each
    raise refusal("invalid-subid")


def _subscription(name: str, one: Subscription) -> bytes:
    return b"<subscription node=%s jid=%s subscription=%s subid=%s/>" % (
        quoted(name),
        quoted(one.jid),
        quoted(one.state.value),
        quoted(one.subid),
    )


def _wrapped(word: str, node: str | None, inner: bytes) -> bytes:
    about = b" node=" + quoted(node) if node else b""
    tag = word.encode()
    return b"<%s%s>%s</%s>" % (tag, about, inner, tag)
