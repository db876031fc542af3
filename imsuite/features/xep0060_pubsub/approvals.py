"""XEP-0060 §8.6, §8.7: subscriptions that wait until an owner approves them."""

from __future__ import annotations

import secrets
from typing import Any

import attrs

from imsuite.core.hooks import Passing
from imsuite.features.xep0060_pubsub import relations
from imsuite.features.xep0060_pubsub.node import Node
from imsuite.features.xep0060_pubsub.nodes import Nodes
from imsuite.features.xep0060_pubsub.people import People
from imsuite.features.xep0060_pubsub.storage import Subscription
from imsuite.rules.adhoc import AdHoc, Done, Page
from imsuite.rules.node_access import May, Subscribed
from imsuite.rules.node_approval import (
    GET_PENDING,
    from_answer,
    from_choice,
    in_words,
    to_choice,
    to_request,
)
from imsuite.xmpp import ns as NS
from imsuite.xmpp.stanza import Stanza, escaped, make, to_bytes

MOST = 500  # nodes in one form
_NAMES = (f"{NS.CLIENT}}}body", f"{NS.DATA}}}x")


class Approvals:
    """Asks owners, and does what they decide; the first of several owners decides (§12.13)."""

    def __init__(self, nodes: Nodes, people: People) -> None:
        self._nodes = nodes
        self._people = people
        self._store = nodes.host.store

    async def ask(self, site: Any, node: Node, subscription: Subscription) -> None:
        """Ask all owners to approve a subscription (§8.6), after it was written."""
        owners = dict.fromkeys(node.owners)
        if site.account is not None:
            owners[site.jid] = None
        for owner in owners:
            self._nodes.host.send(_request(node, subscription, owner))

    def ask_again(self, node: Node, to: str) -> None:
        """Send somebody all requests that are pending on a node (§8.7.4)."""
        for each in node.subscriptions.values():
            if each.state is Subscribed.PENDING:
                self._nodes.host.send(_request(node, each, to))

    async def authorize(self, passing: Passing, site: Any) -> None:
        """Take the answer of an owner (§8.6). Raises StanzaError.

        An answer that comes when the request is settled changes nothing.
        """
        approval = from_answer(passing.stanza.element)
        if approval is None:
            return
        async with self._nodes.turn(site.jid, approval.node):
            node = await self._nodes.find(site, approval.node)
            self._nodes.need(site, node, passing.sender, May.CONFIGURE)
            wanted = Subscribed.SUBSCRIBED if approval.allow else Subscribed.NONE
            changed = [
                attrs.evolve(each, state=wanted)
                for each in node.subscriptions.values()
                if each.state is Subscribed.PENDING
                and each.jid == approval.jid
                and approval.subid in (None, each.subid)
            ]
            if changed:
                await self._nodes.apply(site, node, subscriptions=changed)
                await self._people.tell_changed(site, node, changed)

    # §8.7

    def command(self, site: Any) -> AdHoc:
        """Return the command that shows an owner what is pending at a site."""

        async def may(passing: Passing) -> bool:
            by = passing.sender
            return bool(site.owner(by)) or await self._store.read(relations.owns, site.jid, by.bare)

        async def begin(passing: Passing) -> Page | Done:
            by = passing.sender
            whose = None if site.owner(by) else by.bare
            names = await self._store.read(relations.pending_nodes, site.jid, whose, MOST)
            if not names:
                return Done((("info", "No subscription request is pending."),))
            return Page(chosen, to_choice(names))

        async def chosen(passing: Passing, form: Any) -> Page | Done:
            node = await self._nodes.find(site, from_choice(form))
            self._nodes.need(site, node, passing.sender, May.CONFIGURE)
            passing.after(lambda: self.ask_again(node, passing.sender.full))  # after the answer
            return Done()

        return AdHoc(GET_PENDING, "Pending subscription requests", begin, may=may)


def _request(node: Node, subscription: Subscription, to: str) -> Stanza:
    form = to_request(node.name, subscription.jid, subscription.subid)
    words = escaped(in_words(node.name, subscription.jid))
    attributes = {"from": node.service, "to": to, "id": secrets.token_hex(8)}
    return make("message", attributes, b"<body>%s</body>%s" % (words, to_bytes(form)), *_NAMES)
