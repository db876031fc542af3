"""XEP-0248: nodes that contain nodes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
from twisted.words.xish.domish import Element

from imsuite.core.hooks import Passing
from imsuite.features.xep0060_pubsub import item_storage, relations
from imsuite.features.xep0060_pubsub.item_storage import Item
from imsuite.features.xep0060_pubsub.node import Node
from imsuite.features.xep0060_pubsub.nodes import Nodes
from imsuite.features.xep0060_pubsub.notifications import read_options
from imsuite.rules.node_access import May, Subscribed, may
from imsuite.rules.node_errors import refusal, unsupported
from imsuite.rules.node_graph import (
    ROOT,
    Graph,
    check_parent,
    check_room,
    check_type,
    circular,
    may_associate,
)
from imsuite.rules.node_notices import Event, Interest
from imsuite.rules.nodes import COLLECTION, NS_EVENT, NS_OWNER, NodeConfig
from imsuite.xmpp.address import JID, parse
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza, result

TABLES = relations.TABLES
_LIVING = (Subscribed.SUBSCRIBED, Subscribed.UNCONFIGURED)


@attrs.frozen
class Moves:
    """Nodes that come into collections and leave them: pairs of a node and a collection."""

    added: tuple[tuple[str, str], ...] = ()
    removed: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed)


class Collections:
    """Which nodes of the service are in which collections. Nodes of accounts are in none."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._graphs: dict[str, Graph] = {}  # by service, once it was asked for
        self._rooted: set[str] = set()  # services with a root that somebody subscribed to
        self.gone = relations.gone_to

    async def graph(self, site: Any) -> Graph:
        """Return the graph of a service."""
        found = self._graphs.get(site.jid)
        if found is None:
            edges = await self._nodes.host.store.read(relations.load_parents, site.jid)
            if await self._nodes.load(site, ROOT) is not None:
                self._rooted.add(site.jid)
            found = self._graphs.setdefault(site.jid, Graph(edges))
        return found

    async def root(self, site: Any) -> Node:
        """Return the root collection of the service, which belongs to the service (§7.1)."""
        _need_collections(site)
        await self.graph(site)
        node = await self._nodes.load(site, ROOT)
        if node is None:
            async with self._nodes.turn(site.jid, ROOT):
                node = await self._nodes.load(site, ROOT)
                if node is None:
                    config = site.defaults(ROOT, COLLECTION)
                    node = await self._nodes.create(site, ROOT, config, parse(site.jid))
                    self._rooted.add(site.jid)
        return node

    # what is shown

    async def shown(self, site: Any, node: Node) -> NodeConfig:
        """Return the configuration of a node as it stands in the graph now (§7.3)."""
        if not has_collections(site):
            return attrs.evolve(node.config, collection=(), children=())
        graph = await self.graph(site)
        return attrs.evolve(
            node.config, collection=graph.parents(node.name), children=graph.children(node.name)
        )

    async def children(self, site: Any, name: str) -> list[str]:
        """Return the nodes that are in a collection, for disco (§3.2)."""
        if not has_collections(site):
            return []
        return list((await self.graph(site)).children(name))

    async def top(self, site: Any, names: Iterable[str]) -> list[str]:
        """Return those of the nodes that are in no collection but the root (§3.2)."""
        if not has_collections(site):
            return list(names)
        graph = await self.graph(site)
        return [name for name in names if name != ROOT and graph.is_below_root(name)]

    async def leaves(self, site: Any, name: str, most: int) -> list[Node]:
        """Return the leaves below a collection, so many at most (§5.2)."""
        graph = await self.graph(site)
        found = [await self._nodes.load(site, each) for each in graph.below(name, most)]
        return [node for node in found if node is not None and node.config.is_leaf]

    async def items(self, site: Any, node: Node, most: int) -> list[tuple[Node, list[Item]]]:
        """Return the newest items of each leaf below a collection, so many in all (§5.2)."""
        found: list[tuple[Node, list[Item]]] = []
        for leaf in await self.leaves(site, node.name, most):
            if most <= 0:
                break
            since = self._nodes.since(site, leaf)
            newest = await self._nodes.host.store.read(
                item_storage.newest, leaf.service, leaf.id, most, since
            )
            most -= len(newest)
            if newest:
                found.append((leaf, newest[::-1]))
        return found

    # notifications

    async def interests(self, site: Any, node: Node) -> list[Interest]:
        """Return the subscriptions to collections around a node (§4.1)."""
        if not has_collections(site):
            return []
        found: list[Interest] = []
        for name, distance in (await self.graph(site)).above(node.name):
            if name == ROOT and (node.name == ROOT or site.jid not in self._rooted):
                continue
            around = await self._nodes.load(site, name)
            if around is not None:
                found += interests_in(around, distance)
        return found

    async def told(self, site: Any, node: Node) -> None:
        """Tell subscribers of collections that a node was made (§4.3), after the commit."""
        if not has_collections(site):
            return
        created = Element((NS_EVENT, "create"))
        created["node"] = node.name
        await self._nodes.notifier.tell(site, node, created, Event.NODES)
        added = [(node.name, parent) for parent in node.config.collection]
        added += [(child, node.name) for child in node.config.children]
        await self.announce(site, Moves(tuple(added)))

    async def announce(self, site: Any, moves: Moves) -> None:
        """Tell subscribers of collections what came into them and left (§4.4)."""
        for word, pairs in (("associate", moves.added), ("dissociate", moves.removed)):
            for child, parent in pairs:
                collection = await self._nodes.load(site, parent)
                if collection is None:
                    continue
                event = Element((NS_EVENT, "collection"))
                event["node"] = parent
                event.addElement(word)["node"] = child
                # it is about a node in the collection, which not everybody wants to hear of
                concerned = [
                    attrs.evolve(each, collection=None) for each in interests_in(collection, 1)
                ]
                outer = [
                    attrs.evolve(each, distance=each.distance + 1)
                    for each in await self.interests(site, collection)
                ]
                await self._nodes.notifier.tell(
                    site, collection, event, Event.NODES, interests=concerned + outer
                )

    # changes

    async def check_parents(self, site: Any, name: str, config: NodeConfig, by: JID) -> None:
        """Raise StanzaError if a node can not be made in those collections, with those children."""
        before = attrs.evolve(config, collection=(), children=())
        await self.check(site, name, None, before, config, by)

    def created(self, cursor: Any, service: str, name: str, config: NodeConfig) -> None:
        """Write the place of a new node, in the transaction that makes it."""
        relations.forget_gone(cursor, service, name)
        for parent in config.collection:
            _add(cursor, service, name, parent)
        for child in config.children:
            _add(cursor, service, child, name)

    def placed(self, service: str, name: str, config: NodeConfig) -> None:
        """Note the place of a new node, once it is durable. Does not wait."""
        graph = self._graphs.get(service)
        if graph is None:  # it will be read
            return
        graph.put(name, config.collection)
        for child in config.children:
            graph.put(child, (*graph.parents(child), name))

    async def check(
        self,
        site: Any,
        name: str,
        node: Node | None,
        before: NodeConfig,
        after: NodeConfig,
        by: JID,
    ) -> Moves:
        """Return what moves when a node is configured so (§6.2). Raises StanzaError.

        node: None where it is about to be made.
        """
        if after.is_leaf and not (before.collection or after.collection or after.children):
            check_type(before, after, 0)
            return Moves()
        _need_collections(site)
        graph = await self.graph(site)
        check_type(before, after, len(after.children))
        check_room(len(after.children), after, site.limits)
        trial = Graph(graph.edges())
        added: list[tuple[str, str]] = []
        for parent in after.collection:
            if parent in before.collection or parent == ROOT:
                continue
            await self._check_collection(site, trial, name, parent, by)
            trial.put(name, (*trial.parents(name), parent))
            added.append((name, parent))
        for child in after.children:
            if child in before.children:
                continue
            await self._check_own(site, child, by)
            check_parent(trial, child, name, after, site.limits)
            trial.put(child, (*trial.parents(child), name))
            added.append((child, name))
        removed = [(name, parent) for parent in before.collection if parent not in after.collection]
        removed += [(child, name) for child in before.children if child not in after.children]
        return Moves(tuple(added), tuple(removed))

    async def _check_collection(
        self, site: Any, graph: Graph, name: str, parent: str, by: JID
    ) -> None:
        """Raise StanzaError unless somebody may put a node into a collection (§6.2.3)."""
        collection = await self._nodes.find(site, parent)
        owner = may(collection.affiliation(site, by), May.CONFIGURE)
        if collection.config.is_leaf:
            check_parent(graph, name, parent, collection.config, site.limits)
        if not may_associate(collection.config, by, owner):
            raise StanzaError("forbidden")
        check_parent(graph, name, parent, collection.config, site.limits)

    async def _check_own(self, site: Any, name: str, by: JID) -> Node:
        """Return a node that somebody may show to the subscribers of a collection (§8.1)."""
        node = await self._nodes.find(site, name)
        self._nodes.need(site, node, by, May.CONFIGURE)
        return node

    def write(self, cursor: Any, service: str, moves: Moves) -> None:
        """Write what moves, in the transaction that causes it."""
        for child, parent in moves.removed:
            relations.remove_parent(cursor, service, child, parent)
        for child, parent in moves.added:
            _add(cursor, service, child, parent)

    async def moved(self, site: Any, moves: Moves) -> None:
        """Note what moved, once it is durable, and tell about it."""
        if not moves:
            return
        graph = await self.graph(site)
        for child, parent in moves.added:
            graph.put(child, (*graph.parents(child), parent))
        for child, parent in moves.removed:
            graph.put(child, (each for each in graph.parents(child) if each != parent))
        await self.announce(site, moves)

    def removed(self, cursor: Any, service: str, name: str, uri: str | None, now: int) -> None:
        """Write what a deleted node leaves behind, in the transaction that deletes it (§7.2)."""
        relations.drop_parent(cursor, service, name)
        if uri is not None:
            relations.leave_behind(cursor, service, name, uri, now)

    async def dropped(self, site: Any, name: str) -> None:
        """Note that a node is deleted: what was in it is in its other collections, or the root."""
        if has_collections(site):
            (await self.graph(site)).drop(name)

    # §6.5, §6.6

    async def answer(self, passing: Passing, site: Any, asked: Element) -> Stanza:
        """Associate or dissociate nodes by a request for that (§6.5, §6.6)."""
        _need_collections(site)
        requests = [each for each in asked.elements() if each.uri == NS_OWNER]
        if not requests or any(each.name not in ("associate", "dissociate") for each in requests):
            raise StanzaError("bad-request", text="nothing to associate or dissociate")
        parent = asked.getAttribute("node")
        if not parent:
            raise refusal("nodeid-required")
        for request in requests:
            child = request.getAttribute("node")
            if not child:
                raise refusal("nodeid-required")
            async with self._nodes.turn(site.jid, child):
                if request.name == "associate":
                    await self._associate(site, child, parent, passing.sender)
                else:
                    await self._dissociate(site, child, parent, passing.sender)
        return result(passing.stanza)

    async def _associate(self, site: Any, child: str, parent: str, by: JID) -> None:
        graph = await self.graph(site)
        node = await self._check_own(site, child, by)
        await self._check_collection(site, graph, child, parent, by)
        if parent not in graph.parents(child):
            await self._move(site, node, Moves(added=((child, parent),)))

    async def _dissociate(self, site: Any, child: str, parent: str, by: JID) -> None:
        node = await self._nodes.find(site, child)
        collection = await self._nodes.find(site, parent)
        if not any(may(each.affiliation(site, by), May.CONFIGURE) for each in (node, collection)):
            raise StanzaError("forbidden")
        if parent not in (await self.graph(site)).parents(child):
            raise StanzaError("bad-request", text="the node is not in that collection")
        await self._move(site, node, Moves(removed=((child, parent),)))

    async def _move(self, site: Any, node: Node, moves: Moves) -> None:
        await self._nodes.apply(site, node, also=lambda cursor: self.write(cursor, site.jid, moves))
        await self.moved(site, moves)


def interests_in(node: Node, distance: int) -> list[Interest]:
    """Return the subscriptions to a node that count.

    distance: levels down to the node of the event.
    """
    return [
        Interest(each.jid, each.subid, read_options(each.options), node.name, distance)
        for each in node.subscriptions.values()
        if each.state in _LIVING
    ]


def _add(cursor: Any, service: str, child: str, parent: str) -> None:
    """Put a node into a collection. Raises StanzaError.

    What was looked at before the transaction may be otherwise by now, and transactions come one
    after another.
    """
    if not relations.has_node(cursor, service, child):
        raise StanzaError("item-not-found")
    if not relations.has_node(cursor, service, parent):
        raise StanzaError("item-not-found")
    if relations.is_around(cursor, service, child, parent):
        raise circular()
    relations.add_parent(cursor, service, child, parent)


def has_collections(site: Any) -> bool:
    """Tell whether a site is the service; what stands for accounts that hide has no address."""
    return site.account is None and bool(site.jid)


def _need_collections(site: Any) -> None:
    """Raise StanzaError where there are no collections (§6.1.3.1)."""
    if not has_collections(site):
        raise unsupported("collections")
