"""XEP-0060 §7: items come to nodes and are taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import isawaitable
from typing import Any

import imsuite._compat  # noqa: F401  makes wokkel importable

# isort: split

from twisted.words.xish.domish import Element
from wokkel.data_form import Form

from imsuite.features.xep0060_pubsub import item_storage, storage
from imsuite.features.xep0060_pubsub.item_storage import Item
from imsuite.features.xep0060_pubsub.node import Node
from imsuite.features.xep0060_pubsub.nodes import LONGEST_NAME, Nodes
from imsuite.features.xep0060_pubsub.notifications import (
    Notifier,
    from_payload,
    item_bytes,
    items_event,
    to_payload,
)
from imsuite.rules.node_access import May, may, may_publish
from imsuite.rules.node_errors import refusal, unsupported
from imsuite.rules.nodes import (
    LEAF,
    PUBLISH_OPTIONS,
    NodeConfig,
    check_preconditions,
    from_preconditions,
    read,
)
from imsuite.xmpp import forms
from imsuite.xmpp.address import JID
from imsuite.xmpp.errors import StanzaError

Given = Sequence[tuple[str | None, Element | None]]  # ids and payloads as they came


class Publisher:
    """Publishes to the nodes of a host, retracts from them, and makes them."""

    def __init__(self, nodes: Nodes, notifier: Notifier) -> None:
        self.nodes = nodes
        self.notifier = notifier

    # making nodes (§8.1, §7.1.4)

    async def defaults(self, site: Any, name: str, type: str = LEAF) -> NodeConfig:
        """Return the configuration of a node that is made without a wish."""
        config: NodeConfig = site.defaults(name, type)
        for rule in self.nodes.rules(site, name):
            wishes = rule.defaults(site, name)
            if isawaitable(wishes):
                wishes = await wishes
            if wishes:
                config = read(options_form(wishes), config, site.limits, site.models)
        return config

    async def check_config(self, site: Any, name: str, config: NodeConfig) -> None:
        """Raise StanzaError if a feature says that the node may not be configured so."""
        for rule in self.nodes.rules(site, name):
            answer = rule.check_config(site, name, config)
            if isawaitable(answer):
                await answer

    async def create(self, site: Any, name: str, config: NodeConfig, by: JID) -> Node:
        """Make a node because somebody asked for it (§8.1); in the turn. Raises StanzaError."""
        for rule in self.nodes.rules(site, name):
            answer = rule.check_create(site, name, by)
            if isawaitable(answer):
                await answer
        await self._may_be_made(site, name, config, by)
        return await self.nodes.create(site, name, config, by)

    async def _may_be_made(self, site: Any, name: str, config: NodeConfig, by: JID) -> None:
        await self.check_config(site, name, config)
        if self.nodes.collections is not None:
            await self.nodes.collections.check_parents(site, name, config, by)

    # publishing (§7.1)

    async def publish(
        self, site: Any, name: str, given: Given, by: JID, options: Form | None = None
    ) -> list[str]:
        """Publish items and return their ids, once they are durable. Raises StanzaError.

        options: a form of preconditions (§7.1.5). A node that is not there is made, if the site
        does that.
        """
        if not name:
            raise refusal("nodeid-required")
        # what another feature of ours publishes for an account is not for features to judge
        ours = site.account is not None and by.full == site.jid
        for follower in () if ours else self.nodes.followers:
            await follower.before_publish(site, name, by)
        async with self.nodes.turn(site.jid, name):
            node = await self.nodes.load(site, name)
            config = await self._config(site, name, node, by, options)
            items = self._items(site, config, given, by)
            for rule in () if ours else self.nodes.rules(site, name):
                answer = rule.check_publish(site, name, given, by)
                if isawaitable(answer):
                    await answer
            if node is None:
                node, gone = await self._publish_first(site, name, config, items, by), []
                if self.nodes.collections is not None:
                    await self.nodes.collections.told(site, node)
            else:
                gone = await self._publish(site, node, items)
            await self._tell_published(site, node, items, given, gone)
        told = [(item.id, payload) for item, (_, payload) in zip(items, given, strict=True)]
        if told:
            await self.nodes.published(site, node, told, by)
        if gone and _retracts(node, site):
            await self.nodes.retracted(site, node, [(id, None) for id in gone], by)
        return [item.id for item in items]

    async def _config(
        self, site: Any, name: str, node: Node | None, by: JID, options: Form | None
    ) -> NodeConfig:
        """Return the configuration that holds. Raises StanzaError for who may not publish."""
        if node is None:
            if not site.auto_create:
                await self.nodes.find(site, name)  # §7.1.3.3: says why
            if not site.may_create(by):
                raise StanzaError("forbidden")
            config = await self.defaults(site, name)
            if options is not None:
                config = from_preconditions(options, config, site.limits, site.models)
            if not config.is_leaf:
                raise unsupported("publish")
            await self._may_be_made(site, name, config, by)
            return config
        affiliation = node.affiliation(site, by)
        subscribed = self.nodes.is_subscribed(node, by)
        if not may_publish(affiliation, node.config.publish_model, subscribed):
            raise StanzaError("forbidden")
        if not node.config.is_leaf:
            raise unsupported("publish")
        if options is not None:
            check_preconditions(options, node.config, site.limits)
        return node.config

    def _items(self, site: Any, config: NodeConfig, given: Given, by: JID) -> list[Item]:
        """Return the items of a request. Raises StanzaError as §7.1.3.4 to §7.1.3.6 say."""
        if not given and config.persist_items:
            raise refusal("item-required")
        if not given and config.deliver_payloads:
            raise refusal("payload-required")
        if given and not config.wants_item:
            raise refusal("item-forbidden")
        if config.persist_items and len(given) > max(config.most_items(site.limits), 1):
            raise refusal("max-items-exceeded")
        return [self._item(site, config, id, payload, by) for id, payload in given]

    def _item(
        self, site: Any, config: NodeConfig, id: str | None, payload: Element | None, by: JID
    ) -> Item:
        if id and len(id.encode()) > LONGEST_NAME:
            raise StanzaError("not-acceptable", text="the id of the item is too long")
        stamp = self.nodes.host.store.ids.next()
        written = b""
        if payload is not None:
            # UNCLEAR(XEP-0060 §7.1.3.5): pubsub#type is no namespace any more, and XEP-0472 has
            # payloads of another one; so nothing says which namespace a payload must have
            written = to_payload(payload)
            if len(written) > config.longest_payload(site.limits):
                raise refusal("payload-too-big")
        elif config.deliver_payloads:
            raise refusal("payload-required")
        return Item(id or f"{stamp:x}", stamp, by.full, written)

    async def _publish_first(
        self, site: Any, name: str, config: NodeConfig, items: list[Item], by: JID
    ) -> Node:
        """Make a node with its first items, all in one transaction."""
        kept = self._kept(site, config, items)

        def write(cursor: Any, id: int) -> None:
            for item in kept:
                item_storage.put_item(cursor, site.jid, id, item)

        node = await self.nodes.create(site, name, config, by, write)
        node.count = len({item.id for item in kept})
        node.last = items[-1] if items else None
        self.nodes.passed(node, bool(kept))
        return node

    async def _publish(self, site: Any, node: Node, items: list[Item]) -> list[str]:
        """Write items; return the ids of those that had to go (§7.1.2.5)."""
        kept = self._kept(site, node.config, items)
        most = node.config.most_items(site.limits)
        since = self.nodes.since(site, node)

        def write(cursor: Any) -> tuple[int, list[str]]:
            if not storage.node_exists(cursor, node.service, node.id):
                raise StanzaError("item-not-found")
            count = node.count
            if since:
                count -= item_storage.delete_until(cursor, node.service, node.id, since)
            for item in kept:
                count += item_storage.put_item(cursor, node.service, node.id, item)
            surplus = count - most
            if surplus <= 0 or not kept:
                return count, []
            if node.config.publish_node_full == "reject":
                raise refusal("node-full")
            oldest = item_storage.delete_oldest(cursor, node.service, node.id, surplus)
            return count - len(oldest), oldest

        gone: list[str] = []
        if kept:
            count, gone = await self.nodes.host.store.transaction(write)
            self.nodes.changed(node)
            node.count = count
        if items:
            node.last = items[-1]
            self.nodes.passed(node, bool(kept))
        return gone

    def _kept(self, site: Any, config: NodeConfig, items: list[Item]) -> list[Item]:
        """Return what is stored of items."""
        return items if config.persist_items and config.most_items(site.limits) else []

    async def _tell_published(
        self, site: Any, node: Node, items: list[Item], given: Given, gone: list[str]
    ) -> None:
        if gone and _retracts(node, site):
            await self.notifier.tell_retracted(site, node, gone)
        payloads = node.config.deliver_payloads
        inner = b"".join(item_bytes(node, item, payloads) for item in items)
        payload = given[0][1] if given and payloads else None
        event, kept = items_event(node, inner), node.config.persist_items
        await self.notifier.tell(site, node, event, payload=payload, kept=kept)

    # taking back (§7.2)

    async def retract(
        self,
        site: Any,
        name: str,
        ids: Sequence[str],
        by: JID,
        notify: bool,
        lenient: bool = False,
    ) -> None:
        """Take items back, once that is durable. Raises StanzaError.

        lenient: those that are not there are left out.
        """
        if not name:
            raise refusal("nodeid-required")
        ours = site.account is not None and by.full == site.jid
        async with self.nodes.turn(site.jid, name):
            node = await self.nodes.find(site, name)
            if not node.config.is_leaf or not node.config.persist_items:
                raise unsupported("persistent-items")
            if not ids:
                raise refusal("item-required")
            gone = await self._retract(site, node, ids, by, lenient or ours)
            if gone and (notify or node.config.notify_retract):
                await self.notifier.tell_retracted(site, node, [item.id for item in gone])
        if gone:
            told = [(item.id, from_payload(item.payload)) for item in gone]
            await self.nodes.retracted(site, node, told, by)

    async def _retract(
        self, site: Any, node: Node, ids: Sequence[str], by: JID, lenient: bool
    ) -> list[Item]:
        """Remove items and return them; none is removed if one may not be (§12.10).

        lenient: those that are not there are left out.
        """
        affiliation = node.affiliation(site, by)
        if not may(affiliation, May.DELETE_OWN):
            raise StanzaError("forbidden")
        any_item = may(affiliation, May.DELETE_ITEM)
        since = self.nodes.since(site, node)

        def write(cursor: Any) -> tuple[list[Item], Item | None]:
            found = item_storage.items_by_id(cursor, node.service, node.id, ids, since)
            if len(found) < len(set(ids)) and not lenient:
                raise StanzaError("item-not-found")
            if not any_item and any(_bare(item.publisher) != by.bare for item in found):
                raise StanzaError("forbidden")
            names = [item.id for item in found]
            item_storage.delete_items(cursor, node.service, node.id, names)
            left = item_storage.newest(cursor, node.service, node.id, 1)
            return found, next(iter(left), None)

        found, last = await self.nodes.host.store.transaction(write)
        self.nodes.changed(node)
        node.count -= len(found)
        node.last = last
        gone: list[Item] = found
        return gone


def _bare(full: str) -> str:
    return full.partition("/")[0]


def _retracts(node: Node, site: Any) -> bool:
    """Tell whether what had to make room is retracted, so that others hear of it (§7.1.2.5).

    Where there is one item at most the new one says enough.
    """
    config = node.config
    return (
        config.publish_node_full == "retract-oldest"
        and config.notify_retract
        and config.most_items(site.limits) > 1
    )


def options_form(options: Mapping[str, str | Sequence[str]]) -> Form:
    """Return publish-options as a form. options: names of fields to texts or lists of texts."""
    fields = [
        forms.field(None, var, [value] if isinstance(value, str) else list(value))
        for var, value in options.items()
    ]
    return forms.make("submit", PUBLISH_OPTIONS, fields)
