"""XEP-0060 §5: which nodes there are, and what each of them is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import imsuite._compat  # noqa: F401  makes wokkel importable

# isort: split

from twisted.words.xish.domish import Element
from wokkel.data_form import Form
from wokkel.disco import DiscoFeature, DiscoIdentity, DiscoInfo, DiscoItem, DiscoItems

from imsuite.core.feature import At
from imsuite.core.hooks import Passing
from imsuite.core.interfaces import IDiscoNodes
from imsuite.features.xep0060_pubsub import item_storage, storage
from imsuite.features.xep0060_pubsub.node import LIVING, Node
from imsuite.features.xep0060_pubsub.nodes import Nodes
from imsuite.rules.archive import NS_MAM
from imsuite.rules.node_access import (
    AccessModel,
    Affiliation,
    PublishModel,
    Subscribed,
    barred,
)
from imsuite.rules.nodes import COLLECTION, LEAF, META_DATA, NS_PUBSUB, NodeConfig, words
from imsuite.xmpp import forms, rsm
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import JID, parse, wokkel_jid
from imsuite.xmpp.stanza import Stanza, result
from imsuite.xmpp.times import format_datetime

MOST_NODES = 10_000  # that are looked at for one answer
MOST = 1_000  # entries of one answer
_PUBLIC = frozenset((AccessModel.OPEN, AccessModel.AUTHORIZE))
_DESCRIBED = (
    ("title", "text-single"),
    ("description", "text-single"),
    ("type", "text-single"),
    ("language", "list-single"),
    ("contact", "jid-multi"),
    ("access_model", "list-single"),
)
_OF_LEAVES = (("publish_model", "list-single"), ("max_items", "text-single"))

Entry = tuple[str, str, str | None]  # jid, node, name


class Discovering:
    """What service discovery says of nodes."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes

    # the service

    async def info(self, passing: Passing, site: Any, name: str) -> Stanza:
        """Answer disco#info to the service (§5.1, §5.3, §5.4). name: that it shows."""
        wanted = _node(passing)
        if not wanted:
            made = DiscoInfo()
            made.append(DiscoIdentity("pubsub", "service", name))
            for feature in self._nodes.host.advertised(At.PUBSUB):
                made.append(DiscoFeature(feature))
            return result(passing.stanza, made.toElement())
        query = await self._others("node_info", passing, wanted)
        if query is None:
            node = await self._nodes.find(site, wanted)
            query = self._node_info(site, node, passing.sender)
        query["node"] = wanted
        return result(passing.stanza, query)

    async def items(self, passing: Passing, site: Any) -> Stanza:
        """Answer disco#items to the service (§5.2, §5.5), page by page (XEP-0059)."""
        wanted = _node(passing)
        payload = passing.stanza.payload
        assert payload is not None
        page = rsm.wanted(payload, MOST)
        entries: Sequence[Entry] | None = await self._others("node_items", passing, wanted)
        if wanted and entries is None:
            await self._nodes.find(site, wanted)  # says where it is now
            entries = await self.node_items(site, wanted, passing.sender)
        elif not wanted:
            listed = await self.listed(site, passing.sender, top=True)
            entries = [(site.jid, node, title) for node, title in listed] + list(entries or ())
        entries = entries or ()
        names = [node or name or "" for _, node, name in entries]
        part, set_ = rsm.cut(names, page or rsm.Page(MOST))
        query = _items_element(entries[part])
        if page is not None or len(entries) > MOST:
            query.addChild(set_)
        if wanted:
            query["node"] = wanted
        return result(passing.stanza, query)

    async def _others(self, question: str, passing: Passing, node: str) -> Any:
        """Return what another feature says of a node of the service, None if it is none's."""
        for feature in self._nodes.host.features.values():
            if IDiscoNodes.providedBy(feature):
                answer = getattr(feature, question)(passing, At.PUBSUB, node)
                if answer is not None and not isinstance(answer, Element | list | tuple):
                    answer = await answer
                if answer is not None:
                    return answer
        return None

    # any site

    async def listed(self, site: Any, by: JID, top: bool = False) -> list[tuple[str, str | None]]:
        """Return name and title, or None, of the nodes that somebody may read (§5.2).

        top: only those that are in no collection.
        """
        rows = await self._nodes.host.store.read(storage.node_configs, site.jid, MOST_NODES)
        if top and self._nodes.collections is not None:
            above = set(await self._nodes.collections.top(site, [name for name, _ in rows]))
            rows = [(name, config) for name, config in rows if name in above]
        found = [(name, config.title or None) for name, config in rows if name]  # "": the root
        if site.owner(by):
            return found
        if site.account is not None:
            readable = await self._readable(site, rows, by)
            return [(name, title) for name, title in found if name in readable]
        closed = [name for name, config in rows if config.access_model not in _PUBLIC]
        hidden = {name for name in closed if not await self._may_read(site, name, by)}
        return [(name, title) for name, title in found if name not in hidden]

    async def _may_read(self, site: Any, name: str, by: JID) -> bool:
        node = await self._nodes.load(site, name)
        return node is not None and self._nodes.access(site, node, by) is None

    async def _readable(
        self, site: Any, rows: Iterable[tuple[str, NodeConfig]], by: JID
    ) -> frozenset[str]:
        """Return the nodes of an account that somebody may read, by two looks at the store."""
        read = self._nodes.host.store.read
        affiliations = dict(await read(storage.affiliations_of, site.jid, by.bare))
        subscriptions = await read(storage.subscriptions_of, site.jid, by.bare)
        living = {name for name, each in subscriptions if each.state in LIVING}
        knows, groups = site.knows(by), site.groups(by)
        return frozenset(
            name
            for name, config in rows
            if barred(
                affiliations.get(name, Affiliation.NONE),
                config.access_model,
                knows,
                not groups.isdisjoint(config.roster_groups_allowed),
                name in living,
            )
            is None
        )

    async def node_info(self, site: Any, name: str, by: JID) -> Element | None:
        """Return the disco#info of a node that somebody may read, None if there is none."""
        node = await self._nodes.load(site, name)
        if node is None or self._nodes.access(site, node, by) is not None:
            return None
        return self._node_info(site, node, by)

    def _node_info(self, site: Any, node: Node, by: JID) -> Element:
        made = DiscoInfo()
        made.nodeIdentifier = node.name
        type = LEAF if node.config.is_leaf else COLLECTION
        made.append(DiscoIdentity("pubsub", type, node.config.title or None))
        for feature in (NS_PUBSUB, NS.DISCO_INFO, NS.DISCO_ITEMS):
            made.append(DiscoFeature(feature))
        if "nodearchives" in self._nodes.host.features and node.archived(site):
            made.append(DiscoFeature(NS_MAM))
        public = node.config.access_model in _PUBLIC
        if public or self._nodes.access(site, node, by) is None:
            made.append(_meta_data(site, node))
        query: Element = made.toElement()
        return query

    async def node_items(self, site: Any, name: str, by: JID) -> list[Entry] | None:
        """Return the items of a leaf, or the nodes in a collection (§5.5); None if none."""
        node = await self._nodes.load(site, name)
        if node is None or self._nodes.access(site, node, by) is not None:
            return None
        if not node.config.is_leaf:
            return await self._children(site, node)
        if not node.config.persist_items:
            return [] if node.last is None else [(site.jid, "", node.last.id)]
        since = self._nodes.since(site, node)
        ids = await self._nodes.host.store.read(
            item_storage.item_names, node.service, node.id, MOST, since
        )
        return [(site.jid, "", id) for id in ids]

    async def _children(self, site: Any, node: Node) -> list[Entry]:
        found: list[Entry] = []
        for name in await self._nodes.collections.children(site, node.name):
            child = await self._nodes.load(site, name)
            if child is not None:
                found.append((site.jid, name, child.config.title or None))
        return found

    async def concerns(self, site: Any, name: str, by: JID) -> bool:
        """Tell whether a stranger may know that a node is there, if it is."""
        node = await self._nodes.load(site, name)
        if node is None:  # one that is about to be made may be known to whom the other is
            about = (follower.about(site, name) for follower in self._nodes.followers)
            other = next(filter(None, about), None)
            return other is not None and await self.concerns(site, other, by)
        config = node.config
        if config.access_model in _PUBLIC or config.publish_model is PublishModel.OPEN:
            return True
        return by.bare in node.affiliations or bool(node.of(by.bare))


def _meta_data(site: Any, node: Node) -> Form:
    """Return the form that describes a node (§5.4, §16.4.3)."""
    described = _DESCRIBED + (_OF_LEAVES if node.config.is_leaf else ())
    fields = [
        forms.field(type, f"pubsub#{name}", value)
        for name, type in described
        if (value := words(node.config, name))
    ]
    publishers = [jid for jid, each in node.affiliations.items() if each is Affiliation.PUBLISHER]
    subscribers = {
        each.jid for each in node.subscriptions.values() if each.state is Subscribed.SUBSCRIBED
    }
    fields += [
        forms.field("jid-single", "pubsub#creator", parse(node.creator)),
        forms.field("text-single", "pubsub#creation_date", format_datetime(node.created)),
        forms.field("jid-multi", "pubsub#owner", node.owners),
        forms.field("text-single", "pubsub#num_subscribers", len(subscribers)),
    ]
    if publishers:
        fields.append(forms.field("jid-multi", "pubsub#publisher", publishers))
    return forms.make("result", META_DATA, fields)


def _node(passing: Passing) -> str:
    payload = passing.stanza.payload
    assert payload is not None
    node: str = payload.getAttribute("node", "")
    return node


def _items_element(entries: Iterable[Entry]) -> Element:
    made = DiscoItems()
    for jid, node, name in entries:
        made.append(DiscoItem(wokkel_jid(parse(jid)), node, name))
    query: Element = made.toElement()
    return query
