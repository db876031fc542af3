"""XEP-0060 §6.5: items are read, whole, by id, the newest, or page by page (XEP-0059)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import attrs
from twisted.words.xish.domish import Element

from imsuite.core.hooks import Passing
from imsuite.features.xep0060_pubsub import item_storage
from imsuite.features.xep0060_pubsub.item_storage import Item
from imsuite.features.xep0060_pubsub.node import Node
from imsuite.features.xep0060_pubsub.nodes import Nodes
from imsuite.features.xep0060_pubsub.notifications import item_bytes, items_event
from imsuite.features.xep0060_pubsub.subscribing import reply
from imsuite.rules.node_access import Subscribed
from imsuite.rules.node_errors import refusal, unsupported
from imsuite.xmpp import rsm
from imsuite.xmpp.address import JID
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.rsm import Page
from imsuite.xmpp.stanza import Stanza, children, to_bytes

LARGEST = 1_048_576  # bytes of payloads in one answer; one item is always given
_STEP = 32  # items that are read at a time
_LIVING = (Subscribed.SUBSCRIBED, Subscribed.UNCONFIGURED)

Read = Callable[[int, int | None, int | None, int], list[Item]]  # most, after, before, index


@attrs.frozen
class Found:
    """What was found. count: of all items, None where it does not matter; index: of the first."""

    items: list[Item]
    count: int | None = None
    index: int | None = None


class Retrieving:
    """Gives the items of nodes to who has access.

    most: items in one answer; returns it now, as the option may change.
    """

    def __init__(self, nodes: Nodes, most: Callable[[], int]) -> None:
        self._nodes = nodes
        self._most = most

    async def retrieve(
        self, passing: Passing, site: Any, pubsub: Element, asked: Element
    ) -> Stanza:
        """Answer a request for items. Raises StanzaError as §6.5.9 says."""
        node = await self._nodes.find(site, asked.getAttribute("node", ""))
        refused = self._nodes.access(site, node, passing.sender)
        if refused is not None:
            raise refused
        if not node.config.is_leaf:
            return await self._retrieve_below(passing, site, node, asked)
        _check_subid(node, passing.sender, asked.getAttribute("subid"))
        wanted = [_id(each) for each in children(asked, asked.uri or "", "item")]
        newest = _max_items(asked.getAttribute("max_items"))
        page = rsm.wanted(pubsub, self._most())
        if not node.config.persist_items or not node.config.most_items(site.limits):
            if node.last is None:
                raise unsupported("persistent-items")  # §6.5.9.4
            last = [node.last] if not wanted or node.last.id in wanted else []
            return reply(passing, _items(node, last))
        if len(wanted) > self._most():
            raise StanzaError("policy-violation", text="so many items are not given at once")
        found: Found = await self._nodes.host.store.read(
            self._find, site, node, wanted, newest, page
        )
        inner = _items(node, found.items)
        if found.count is not None and (page is not None or len(found.items) < found.count):
            inner += to_bytes(_set(found))
        return reply(passing, inner)

    async def _retrieve_below(
        self, passing: Passing, site: Any, node: Node, asked: Element
    ) -> Stanza:
        """XEP-0248 §5.2: the items of all leaves in a collection, an <items/> for each."""
        if children(asked, asked.uri or "", "item"):
            raise unsupported("retrieve-items")  # an id names an item of one node
        newest = _max_items(asked.getAttribute("max_items"))
        most = self._most() if newest is None else min(newest, self._most())
        found = await self._nodes.collections.items(site, node, most)
        return reply(passing, b"".join(_items(leaf, items) for leaf, items in found))

    def _find(
        self,
        cursor: Any,
        site: Any,
        node: Node,
        wanted: list[str],
        newest: int | None,
        page: Page | None,
    ) -> Found:
        service, id, since = node.service, node.id, self._nodes.since(site, node)
        if wanted:
            return Found(item_storage.items_by_id(cursor, service, id, wanted, since))
        if page is None:
            most = self._most() if newest is None else min(newest, self._most())
            page = Page(most, last=True)
            items = self._page(cursor, node, since, page)
            if newest is not None and len(items) == newest:
                return Found(items)
        else:
            items = self._page(cursor, node, since, page)
        count = item_storage.count_items(cursor, service, id, since)
        if newest is not None and len(items) == count:
            return Found(items)
        index = None
        if items:
            index = item_storage.count_items(cursor, service, id, since, items[0].stamp)
        return Found(items, count, index)

    def _page(self, cursor: Any, node: Node, since: int, page: Page) -> list[Item]:
        """Return the items of a page, oldest first, as many as fit into an answer."""
        service, id = node.service, node.id
        after, before = (self._stamp(cursor, node, since, uid) for uid in (page.after, page.before))
        found: list[Item] = []
        size, index = 0, page.index or 0
        while len(found) < page.max:
            some = item_storage.item_page(
                cursor,
                service,
                id,
                min(page.max - len(found), _STEP),
                since,
                after,
                before,
                index,
                page.backwards,
            )
            if not some:
                break
            for item in reversed(some) if page.backwards else some:
                size += len(item.payload)
                if found and size > LARGEST:
                    return found[::-1] if page.backwards else found
                found.append(item)
            index = 0
            if page.backwards:
                before = found[-1].stamp
            else:
                after = found[-1].stamp
        return found[::-1] if page.backwards else found

    def _stamp(self, cursor: Any, node: Node, since: int, uid: str | None) -> int | None:
        """Return the place of an item in the order. Raises StanzaError if it is not there."""
        if uid is None:
            return None
        stamp = item_storage.stamp_of(cursor, node.service, node.id, uid, since)
        if stamp is None:
            raise StanzaError("item-not-found", text="there is no such item")
        return stamp

    async def items(
        self, site: Any, name: str, ids: Iterable[str] | None = None, most: int | None = None
    ) -> list[Item]:
        """Return items of a node, the newest last, to another feature."""
        node = await self._nodes.load(site, name)
        if node is None:
            return []
        if not node.config.persist_items or not node.config.most_items(site.limits):
            last = node.last
            return [] if last is None or (ids is not None and last.id not in ids) else [last]
        since, key = self._nodes.since(site, node), (node.service, node.id)
        found: list[Item]
        if ids is not None:
            found = await self._nodes.host.store.read(item_storage.items_by_id, *key, ids, since)
            found.sort(key=lambda item: item.stamp)
            return found if most is None else found[len(found) - min(most, len(found)) :]
        limit = node.config.most_items(site.limits) if most is None else most
        found = await self._nodes.host.store.read(item_storage.newest, *key, limit, since)
        return found[::-1]


def _items(node: Node, items: Iterable[Item]) -> bytes:
    return items_event(node, b"".join(item_bytes(node, item) for item in items))


def _set(found: Found) -> Element:
    ends = [item.id for item in found.items]
    first, last = (ends[0], ends[-1]) if ends else (None, None)
    return rsm.answer(first, last, found.index, found.count)


def _id(item: Element) -> str:
    id: str | None = item.getAttribute("id")
    if not id:
        raise StanzaError("bad-request", text="an item without an id")
    return id


def _max_items(text: str | None) -> int | None:
    """Return how many of the newest items are wanted (§6.5.7). Raises StanzaError."""
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:
        raise StanzaError("bad-request", text="max_items is no number")
    return int(text)


def _check_subid(node: Node, by: JID, subid: str | None) -> None:
    """Raise StanzaError for a missing or wrong subid (§6.5.9.1, §6.5.9.2)."""
    mine = [
        each.subid
        for each in node.of(by.bare)
        if each.jid in (by.bare, by.full) and each.state in _LIVING
    ]
    if subid is None and len(mine) > 1:
        raise refusal("subid-required")
    if subid is not None and mine and subid not in mine:
        raise refusal("invalid-subid")
