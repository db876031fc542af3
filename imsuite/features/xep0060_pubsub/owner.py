"""XEP-0060 §8.2 to §8.5: what owners do with their nodes."""

from __future__ import annotations

from inspect import isawaitable
from typing import Any

import attrs
from twisted.words.xish.domish import Element

from imsuite.core.hooks import Passing
from imsuite.features.xep0060_pubsub import item_storage
from imsuite.features.xep0060_pubsub.approvals import Approvals
from imsuite.features.xep0060_pubsub.collections import has_collections
from imsuite.features.xep0060_pubsub.node import Node
from imsuite.features.xep0060_pubsub.nodes import Nodes
from imsuite.features.xep0060_pubsub.people import People
from imsuite.features.xep0060_pubsub.storage import Subscription
from imsuite.rules.node_access import May, Subscribed
from imsuite.rules.node_errors import refusal, unsupported
from imsuite.rules.node_notices import Event
from imsuite.rules.node_options import from_text
from imsuite.rules.nodes import (
    COLLECTION,
    LEAF,
    NODE_CONFIG,
    NS_EVENT,
    NS_OWNER,
    NodeConfig,
    read,
    write,
)
from imsuite.xmpp import forms
from imsuite.xmpp.address import JID
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza, child, result

LONGEST_URI = 3071  # characters of a redirect, as many as an address may have
_COUNTING = ("access_model", "roster_groups_allowed", "tempsub")  # for subscriptions that exist


class Owner:
    """Answers requests of owners.

    people: affiliations and subscriptions; approvals: subscriptions that wait for an owner.
    """

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self.people = People(nodes)
        self.approvals = Approvals(nodes, self.people)
        self.ask = self.approvals.ask
        self.authorize = self.approvals.authorize
        self.recheck = self.people.recheck

    async def answer(self, passing: Passing, site: Any) -> Stanza:
        """Return the answer to an IQ with {pubsub#owner}pubsub. Raises StanzaError."""
        payload = passing.stanza.payload
        assert payload is not None
        asked = next(payload.elements(), None)
        if asked is None or asked.uri != NS_OWNER:
            raise StanzaError("bad-request", text="nothing is asked for")
        match passing.stanza.type, asked.name:
            case "get", "configure":
                return await self._show(passing, site, asked)
            case "set", "configure":
                return await self._configure(passing, site, asked)
            case "get", "default":
                return self._default(passing, site, asked)
            case "set", "delete":
                return await self._delete(passing, site, asked)
            case "set", "purge":
                return await self._purge(passing, site, asked)
            case "get", "subscriptions":
                return await self.people.subscriptions(passing, site, asked)
            case "set", "subscriptions":
                return await self.people.set_subscriptions(passing, site, asked)
            case "get", "affiliations":
                return await self.people.affiliations(passing, site, asked)
            case "set", "affiliations":
                return await self.people.set_affiliations(passing, site, asked)
            case "set", "collection":
                answer: Stanza = await self._nodes.collections.answer(passing, site, asked)
                return answer
        raise StanzaError("bad-request", text=f"an owner has no <{asked.name}/> for that")

    async def _own(self, site: Any, asked: Element, by: JID, what: May) -> Node:
        """Return the node of a request that somebody may do something with. Raises StanzaError."""
        name = asked.getAttribute("node")
        if not name:  # the root belongs to the service (XEP-0248 §7.1)
            raise refusal("nodeid-required")
        node = await self._nodes.find(site, name)
        self._nodes.need(site, node, by, what)
        return node

    # configuration (§8.2, §8.3)

    async def _show(self, passing: Passing, site: Any, asked: Element) -> Stanza:
        node = await self._own(site, asked, passing.sender, May.CONFIGURE)
        config = await self._nodes.collections.shown(site, node)
        return _answer(passing, "configure", node.name, _form(site, config))

    def _default(self, passing: Passing, site: Any, asked: Element) -> Stanza:
        type = asked.getAttribute("type") or LEAF
        if type not in (LEAF, COLLECTION):
            raise StanzaError("bad-request", text="there is no such type of node")
        if type == COLLECTION and not has_collections(site):
            raise unsupported("collections")
        return _answer(passing, "default", None, _form(site, site.defaults("", type)))

    async def _configure(self, passing: Passing, site: Any, asked: Element) -> Stanza:
        by = passing.sender
        name = (await self._own(site, asked, by, May.CONFIGURE)).name
        form = forms.submitted(asked, NODE_CONFIG)
        if form is None:  # §8.2.4: what holds goes on to hold
            return result(passing.stanza)
        async with self._nodes.turn(site.jid, name):
            node = await self._own(site, asked, by, May.CONFIGURE)
            before = await self._nodes.collections.shown(site, node)
            after = read(form, before, site.limits, site.models)
            lost = await self._change(site, node, before, after, by)
        for follower in self._nodes.followers:
            await follower.configured(site, name, node.config)
        if lost:
            await self._nodes.retracted(site, node, [(id, None) for id in lost], by)
        return result(passing.stanza)

    async def _change(
        self, site: Any, node: Node, before: NodeConfig, after: NodeConfig, by: JID
    ) -> list[str]:
        """Configure a node and tell about it; in the turn. Return ids of items that it loses."""
        collections = self._nodes.collections
        await self._check_rules(site, node.name, after)
        moves = await collections.check(site, node.name, node, before, after, by)
        changed = []
        if any(getattr(before, name) != getattr(after, name) for name in _COUNTING):
            changed = self.people.after(site, node, config=after)
        lost: list[str] = []

        def also(cursor: Any) -> None:
            collections.write(cursor, site.jid, moves)
            surplus = node.count - _most_items(site, after)
            if surplus > 0:
                lost.extend(item_storage.delete_oldest(cursor, node.service, node.id, surplus))

        stored = attrs.evolve(after, collection=(), children=())
        await self._nodes.apply(site, node, stored, subscriptions=changed, also=also)
        if lost:
            node.count -= len(lost)
            if not node.count:
                node.last = None
        await collections.moved(site, moves)
        if lost and before.notify_retract:  # they are removed as much as by anybody (§7.2.2)
            await self._nodes.notifier.tell_retracted(site, node, lost)
        await self._tell_config(site, node, before, after)
        await self.people.tell_changed(site, node, changed)
        return lost

    async def _check_rules(self, site: Any, name: str, config: NodeConfig) -> None:
        """Raise StanzaError if another feature does not want the node to be configured so."""
        for rule in self._nodes.rules(site, name):
            answer = rule.check_config(site, name, config)
            if isawaitable(answer):
                await answer

    async def _tell_config(
        self, site: Any, node: Node, before: NodeConfig, after: NodeConfig
    ) -> None:
        """§8.2.5.3: subscribers are told, if the node tells them such things."""
        if before == after or not after.notify_config:
            return
        event = Element((NS_EVENT, "configuration"))
        event["node"] = node.name
        if after.deliver_payloads:
            event.addChild(forms.to_element(write(after, "result", site.models)))
        await self._nodes.notifier.tell(site, node, event, Event.NODES)

    # deletion (§8.4)

    async def _delete(self, passing: Passing, site: Any, asked: Element) -> Stanza:
        by = passing.sender
        if not asked.getAttribute("node") and has_collections(site):
            raise StanzaError("not-allowed")  # XEP-0248 §6.4.3.1: the root
        node = await self._own(site, asked, by, May.DELETE_NODE)
        redirect = child(asked, NS_OWNER, "redirect")
        uri = None if redirect is None else redirect.getAttribute("uri", "")
        if uri is not None and not 0 < len(uri) <= LONGEST_URI:
            raise StanzaError("bad-request", text="there is no URI to redirect to")
        await self.delete(site, node.name, by, uri)
        return result(passing.stanza)

    async def delete(self, site: Any, name: str, by: JID, uri: str | None = None) -> None:
        """Delete a node and tell subscribers. uri: where to go instead.

        Raises StanzaError item-not-found, and forbidden unless somebody may do that.
        """
        collections = self._nodes.collections
        async with self._nodes.turn(site.jid, name):
            node = await self._nodes.find(site, name)
            # it may be another one of that name by now
            self._nodes.need(site, node, by, May.DELETE_NODE)
            ids = await self._item_ids(site, node)
            subscriptions = list(node.subscriptions.values())
            await self._nodes.remove(
                site,
                node,
                lambda cursor: collections.removed(cursor, site.jid, name, uri, self._nodes.now),
            )
            event = Element((NS_EVENT, "delete"))
            event["node"] = name
            if uri is not None:
                event.addElement("redirect")["uri"] = uri
            await self._tell_deleted(site, node, subscriptions, event)
            await collections.dropped(site, name)
        await self._nodes.retracted(site, node, ids, by)

    async def _tell_deleted(
        self, site: Any, node: Node, subscriptions: list[Subscription], event: Element
    ) -> None:
        """§8.4.2: all subscribers are told, those who wait for approval too."""
        if not node.config.notify_delete:
            return
        await self._nodes.notifier.tell(site, node, event, Event.NODES)
        for each in subscriptions:
            if each.state is not Subscribed.SUBSCRIBED and from_text(each.options).deliver:
                await self._nodes.notifier.send(site, node, each.jid, event)

    async def _item_ids(self, site: Any, node: Node) -> list[tuple[str, None]]:
        """Return the ids of all items, as hooks want them."""
        if not node.count:
            return []
        names = await self._nodes.host.store.read(
            item_storage.item_names, node.service, node.id, node.count
        )
        return [(name, None) for name in names]

    # purge (§8.5)

    async def _purge(self, passing: Passing, site: Any, asked: Element) -> Stanza:
        by = passing.sender
        name = (await self._own(site, asked, by, May.PURGE)).name
        async with self._nodes.turn(site.jid, name):
            node = await self._own(site, asked, by, May.PURGE)
            if not (node.config.is_leaf and node.config.persist_items):
                raise unsupported("persistent-items")
            ids = await self._item_ids(site, node)
            await self._nodes.purge(site, node)
            if node.config.notify_retract:
                event = Element((NS_EVENT, "purge"))
                event["node"] = name
                await self._nodes.notifier.tell(site, node, event, Event.ITEMS)
        await self._nodes.retracted(site, node, ids, by)
        return result(passing.stanza)


def _most_items(site: Any, config: NodeConfig) -> int:
    """Return how many items stay when a node is configured so (XEP-0248 §6.2.4)."""
    if not (config.is_leaf and config.persist_items):
        return 0
    return config.most_items(site.limits)


def _form(site: Any, config: NodeConfig) -> Element:
    """Return the form to be filled in; a node of no collection is in the root (XEP-0248 §7.1)."""
    form = write(config, "form", site.models, site.all_groups())
    field = form.fields["pubsub#collection"]
    if not has_collections(site):
        form.removeField(field)
    elif not field.values:
        field.values = [""]
    return forms.to_element(form)


def _answer(passing: Passing, name: str, node: str | None, form: Element) -> Stanza:
    pubsub = Element((NS_OWNER, "pubsub"))
    element = pubsub.addElement(name)
    if node is not None:
        element["node"] = node
    element.addChild(form)
    return result(passing.stanza, pubsub)
