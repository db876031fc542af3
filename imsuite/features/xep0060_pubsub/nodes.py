"""The nodes of a host: those in use are in memory, each is changed in its turn."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

import attrs

from imsuite.core.hooks import PUBLISHED, RETRACTED, Hook, Published
from imsuite.core.host import Host
from imsuite.core.interfaces import IRoster
from imsuite.core.service_interfaces import INodeFollower, INodeRules, INodes
from imsuite.features.xep0060_pubsub import item_storage, storage
from imsuite.features.xep0060_pubsub.node import LIVING, Held, Key, Node, Turn
from imsuite.features.xep0060_pubsub.storage import Subscription
from imsuite.rules.node_access import (
    AccessModel,
    Affiliation,
    May,
    Subscribed,
    barred,
    may,
    unsubscribable,
)
from imsuite.rules.node_errors import refusal
from imsuite.rules.nodes import NodeConfig
from imsuite.xmpp.address import JID, parse
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.times import SECOND

LONGEST_NAME = 1023  # bytes, as a resourcepart may have (XEP-0060 §4.6.2)
MOST_PEOPLE = 100_000  # subscriptions, or affiliations, of one node
_RELATED = (AccessModel.PRESENCE, AccessModel.ROSTER)

Also = Callable[[Any], object]  # takes the cursor of the transaction


@attrs.define(eq=False)
class _Reading:
    """A node that is being read. stale: it was changed meanwhile."""

    key: Key
    stale: bool = False


class Nodes:
    """The nodes of the service and of the accounts of a host.

    most: nodes that stay in memory; held: returns the Held of a loaded account by its bare JID.
    """

    def __init__(self, host: Host, most: int, held: Callable[[str], Held | None]) -> None:
        self.host = host
        self.held = held
        self.most = most
        self.notifier: Any = None  # notifications.Notifier
        self.collections: Any = None  # collections.Collections
        self.options: Any = None  # options.Options
        self.owner: Any = None  # owner.Owner
        self.timing: Any = None  # timing.Timing
        self.purging = False  # whether some node loses items when their publisher goes offline
        self._loaded: OrderedDict[Key, Node] = OrderedDict()
        self._turns: dict[Key, list[Any]] = {}
        self._readings: set[_Reading] = set()
        self._passing: set[Key] = set()  # nodes whose last item is in memory only

    @cached_property
    def _rules(self) -> list[Any]:  # what provides INodeRules
        return [f for f in self.host.features.values() if INodeRules.providedBy(f)]

    @cached_property
    def followers(self) -> list[Any]:
        """The features that provide INodeFollower."""
        return [f for f in self.host.features.values() if INodeFollower.providedBy(f)]

    def rules(self, site: Any, name: str) -> list[Any]:
        """Return the features that have a say about a node."""
        return [rule for rule in self._rules if rule.governs(site, name)]

    @property
    def now(self) -> int:
        """µs since 1970 UTC."""
        return int(self.host.clock.seconds() * SECOND)

    # finding

    def turn(self, service: str, name: str) -> Turn:
        """Return the lock of a node, which need not exist."""
        return Turn(self._turns, (service, name))

    async def find(self, site: Any, name: str) -> Node:
        """Return a node. Raises StanzaError: nodeid-required, item-not-found, gone."""
        if not name:
            raise refusal("nodeid-required")
        node = await self.load(site, name)
        if node is None:
            raise await self._missing(site, name)
        return node

    async def _missing(self, site: Any, name: str) -> StanzaError:
        """Return the error for a node that is not there, or elsewhere now (§6.1.3.11, §8.4)."""
        uri = None
        if self.collections is not None and len(name.encode()) <= LONGEST_NAME:
            uri = await self.host.store.read(self.collections.gone, site.jid, name)
        return StanzaError("item-not-found") if uri is None else StanzaError("gone", uri=uri)

    async def load(self, site: Any, name: str) -> Node | None:
        """Return a node, None if there is none."""
        key = (site.jid, name)
        node = self._loaded.get(key)
        if node is None:
            held = None if site.account is None else self.held(site.jid)
            if held is not None and name not in held.names:
                return None
            if len(name.encode()) > LONGEST_NAME:
                return None
            node = await self._read(key)
        if node is None:
            return None
        if key in self._loaded:
            self._loaded.move_to_end(key)
        if site.account is None and node.config.access_model in _RELATED:
            for owner in map(parse, node.owners):  # whose rosters are asked
                if owner.domain == self.host.domain:
                    await self.host.account(owner.local)
        return node

    async def _read(self, key: Key) -> Node | None:
        while True:
            reading = _Reading(key)
            self._readings.add(reading)
            try:
                row = await self.host.store.read(storage.find_node, *key)
            finally:
                self._readings.discard(reading)
            if key in self._loaded:
                return self._loaded[key]
            if not reading.stale:
                break
        if row is None:
            return None
        node = Node(
            key[0],
            row.name,
            row.id,
            row.config,
            row.creator,
            row.created,
            row.affiliations,
            row.subscriptions,
            row.count,
            row.last,
        )
        self._keep(node)
        return node

    def _keep(self, node: Node) -> None:
        """Keep a node in memory; the one that was not used for longest makes room."""
        self._loaded[node.key] = node
        if len(self._loaded) > self.most:
            for key in self._loaded:
                if key not in self._turns and key != node.key:
                    del self._loaded[key]
                    break

    def changed(self, node: Node) -> None:
        """Know that what the store has of a node is different now.

        Where the node was forgotten meanwhile, what somebody else read since is out of date.
        """
        if self._loaded.get(node.key, node) is not node:
            del self._loaded[node.key]
        self._changed(node.key)

    def _changed(self, key: Key) -> None:
        for reading in self._readings:
            if reading.key == key:
                reading.stale = True

    def cached(self, key: Key) -> Node | None:
        """Return a node if it is in memory."""
        return self._loaded.get(key)

    def waiting(self, services: set[str], names: set[str], found: Iterable[Key]) -> list[Key]:
        """Return those nodes whose items are in memory only and that have one for who comes."""
        known = set(found)
        return [
            key
            for key in self._passing
            if key[0] in services
            and key[1] in names
            and key not in known
            and (node := self._loaded.get(key)) is not None
            and node.last is not None
            and node.config.send_last_published_item == "on_sub_and_presence"
        ]

    def passed(self, node: Node, stored: bool) -> None:
        """Know whether the newest item of a node is in the store, or in memory only."""
        if stored:
            self._passing.discard(node.key)
        else:
            self._passing.add(node.key)
            if len(self._passing) > self.most:
                self._passing.intersection_update(self._loaded)

    def forget(self, keys: Iterable[Key]) -> None:
        """Drop nodes from memory that were changed or removed in the store by others."""
        for key in keys:
            node = self._loaded.pop(key, None)
            if node is not None:
                node.gone = True
            self._changed(key)

    def forget_service(self, service: str) -> None:
        """Drop all nodes of an account that is gone, those too that are being read."""
        for reading in self._readings:
            reading.stale = reading.stale or reading.key[0] == service
        self.forget([key for key in self._loaded if key[0] == service])

    # who may

    def access(self, site: Any, node: Node, jid: JID) -> StanzaError | None:
        """Return why somebody may not have the items of a node, None if it may (§6.5.2)."""
        affiliation = node.affiliation(site, jid)
        model = node.config.access_model
        subscribed = model is AccessModel.AUTHORIZE and self.is_subscribed(node, jid)
        return barred(affiliation, model, *self._related(site, node, jid), subscribed)

    def may_subscribe(self, site: Any, node: Node, jid: JID) -> StanzaError | None:
        """Return why somebody may not subscribe to a node, None if it may (§6.1.3)."""
        affiliation = node.affiliation(site, jid)
        model = node.config.access_model
        return unsubscribable(affiliation, model, *self._related(site, node, jid))

    def is_subscribed(self, node: Node, jid: JID) -> bool:
        """Tell whether somebody has a subscription that counts."""
        return any(each.state in LIVING for each in node.of(jid.bare))

    def _related(self, site: Any, node: Node, jid: JID) -> tuple[bool, bool]:
        """Tell whether a JID may see the owner's presence, and is in an allowed roster group."""
        config = node.config
        if config.access_model not in _RELATED:
            return False, False
        if site.account is not None:
            knows, groups = site.knows(jid), site.groups(jid)
        else:
            knows, groups = self._known_to_owners(node, jid)
        return knows, not groups.isdisjoint(config.roster_groups_allowed)

    def _known_to_owners(self, node: Node, jid: JID) -> tuple[bool, frozenset[str]]:
        """Return the same for a node of the service, whose owners may have accounts here."""
        roster = self.host.find_feature(IRoster)
        knows, groups = False, frozenset[str]()
        for owner in map(parse, node.owners):
            account = self.host.accounts.get(owner.local)
            if owner.domain != self.host.domain or account is None or roster is None:
                continue
            item = roster.item(account, jid.bare)
            if item is not None:
                groups |= frozenset(item.groups)
            knows = knows or self.host.trusts(account, jid)
        return knows, groups

    def need(self, site: Any, node: Node, by: JID, what: May) -> None:
        """Raise StanzaError forbidden unless the affiliation of somebody lets do that (§4.1)."""
        if not may(node.affiliation(site, by), what):
            raise StanzaError("forbidden")

    # changing, in the turn of the node

    async def apply(
        self,
        site: Any,
        node: Node,
        config: NodeConfig | None = None,
        affiliations: Mapping[str, Affiliation] | None = None,
        subscriptions: Iterable[Subscription] = (),
        also: Also | None = None,
    ) -> None:
        """Write changes in one transaction, and make them in memory once they are durable.

        affiliations: by bare JID; subscriptions: new, changed, or to remove with state none;
        also: writes what belongs to it. Raises StanzaError if the node is not there any more.
        """
        people, subscribers = dict(affiliations or {}), list(subscriptions)

        def write(cursor: Any) -> None:
            if not storage.node_exists(cursor, node.service, node.id):
                raise StanzaError("item-not-found")
            if config is not None:
                storage.save_config(cursor, node.service, node.id, config)
            for jid, affiliation in people.items():
                storage.set_affiliation(cursor, node.service, node.id, jid, affiliation)
            for each in subscribers:
                storage.save_subscription(cursor, node.service, node.id, each)
                if self.timing is not None:
                    self.timing.changed(cursor, node.service, node.name, each)
            if also is not None:
                also(cursor)

        await self.host.store.transaction(write)
        self.changed(node)
        if config is not None:
            node.config = config
            self._note_purging(config)
        for jid, affiliation in people.items():
            if affiliation is Affiliation.NONE:
                node.affiliations.pop(jid, None)
            else:
                node.affiliations[jid] = affiliation
        node.changed_people()
        for each in subscribers:
            held = self.held(each.bare)
            if each.state is not Subscribed.NONE:
                node.subscriptions[each.subid] = each
                if held is not None:
                    held.follows.add(node.key)
                continue
            node.subscriptions.pop(each.subid, None)
            if held is not None and not node.of(each.bare):
                held.follows.discard(node.key)

    async def create(
        self,
        site: Any,
        name: str,
        config: NodeConfig,
        by: JID,
        also: Callable[[Any, int], object] | None = None,
    ) -> Node:
        """Make a node that its creator owns.

        also: takes the cursor and the id of the node. Raises StanzaError: conflict,
        max-nodes-exceeded, and what the rules of other features say.
        """
        if len(name.encode()) > LONGEST_NAME:
            raise StanzaError("not-acceptable", text="the name of the node is too long")
        if site.account is not None and site.account.temporary:
            raise StanzaError("not-allowed")
        id = self.host.store.ids.next()

        def write(cursor: Any) -> None:
            whose = by.bare if site.account is None else None
            if whose is None and not self.host.users.exists_in(cursor, site.account.jid.local):
                raise StanzaError("service-unavailable")  # it was removed meanwhile
            if storage.count_nodes(cursor, site.jid, whose) >= site.limits.nodes:
                raise refusal("max-nodes-exceeded")
            if not storage.insert_node(cursor, site.jid, name, id, config, by.bare, id):
                raise StanzaError("conflict")
            storage.set_affiliation(cursor, site.jid, id, by.bare, Affiliation.OWNER)
            if self.collections is not None:
                self.collections.created(cursor, site.jid, name, config)
            if also is not None:
                also(cursor, id)

        await self.host.store.transaction(write)
        self._note_purging(config)
        if self.collections is not None:
            self.collections.placed(site.jid, name, config)
        people = {by.bare: Affiliation.OWNER}
        node = Node(site.jid, name, id, config, by.bare, id, people)
        self._changed(node.key)
        self._keep(node)
        if site.account is not None:
            # it may be loading just now, from what the store had before; or have made room
            await self.host.account(site.account.jid.local)
            held = self.held(site.jid)
            if held is not None:
                held.names.add(name)
        return node

    def _note_purging(self, config: NodeConfig) -> None:
        """Let all hosts know, as people of one publish to nodes of another."""
        if config.purge_offline:
            for host in self.host.router.hosts.values():
                feature: Any = host.find_feature(INodes)
                if feature is not None:
                    feature.nodes.purging = True

    async def remove(self, site: Any, node: Node, also: Also | None = None) -> None:
        """Delete a node and all that belongs to it; tells nobody."""

        def write(cursor: Any) -> None:
            storage.delete_node(cursor, node.service, node.id)
            if self.timing is not None:
                self.timing.removed(cursor, node.service, node.name)
            if also is not None:
                also(cursor)

        await self.host.store.transaction(write)
        self.forget((node.key,))
        node.gone = True
        held = None if site.account is None else self.held(site.jid)
        if held is not None:
            held.names.discard(node.name)

    async def purge(self, site: Any, node: Node) -> None:
        """Take all items away; tells nobody."""
        await self.host.store.transaction(
            item_storage.delete_until, node.service, node.id, self.host.store.ids.next()
        )
        self.changed(node)
        node.count, node.last = 0, None

    async def end(self, site: Any, node: Node, gone: Iterable[Subscription]) -> None:
        """Remove subscriptions; tells nobody."""
        none = [attrs.evolve(each, state=Subscribed.NONE) for each in gone]
        await self.apply(site, node, subscriptions=none)

    def reduced(self, key: Key, count: int, until: int) -> None:
        """Know that the store has so many items less, those until a moment, of a node."""
        node = self._loaded.get(key)
        if node is not None:
            node.count -= count
            if node.last is not None and node.last.stamp <= until:
                node.last = None
        self._changed(key)

    # what others hear of it, after the turn

    async def published(self, site: Any, node: Node, items: Any, by: JID) -> None:
        """Tell the features of this host. items: pairs of id and Element or None."""
        await self._tell(PUBLISHED, site, node.name, items, by)

    async def retracted(self, site: Any, node: Node, items: Any, by: JID) -> None:
        """Tell the features of this host; what they do wrong is no fault of who retracts."""
        await self._tell(RETRACTED, site, node.name, items, by)

    async def _tell(self, hook: Hook, site: Any, name: str, items: Any, by: JID) -> None:
        switch = self.host.switch(hook)
        if not switch.steps:
            return
        event = Published(self.host, site.jid, name, tuple(items), by.full)
        try:
            await switch.tell(event)
        except Exception as why:
            self.host.condition(why)  # logs it

    def since(self, site: Any, node: Node) -> int:
        """Return the moment until which items are too old to be there (item_expire)."""
        seconds = node.config.expiry(site.limits)
        return 0 if seconds is None else self.now - seconds * SECOND
