"""XEP-0442: the items of a node as an archive of its notifications."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from imsuite.features.xep0060_pubsub import item_storage
from imsuite.features.xep0060_pubsub.item_storage import Item
from imsuite.features.xep0060_pubsub.node import Node
from imsuite.features.xep0060_pubsub.nodes import Nodes
from imsuite.features.xep0060_pubsub.notifications import item_bytes, items_event
from imsuite.rules.node_archive import Past, Wanted
from imsuite.rules.node_errors import unsupported
from imsuite.rules.nodes import NS_EVENT
from imsuite.xmpp.address import JID
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import make

LARGEST = 524_288  # bytes of payloads in one page; one item is always given
_STEP = 32  # items that are read at a time


class Archiving:
    """Reads what was published to nodes, in that order, for who has access."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes

    async def past(self, site: Any, name: str, by: JID, wanted: Wanted) -> Past:
        """Return a page of the archive of a node. Raises StanzaError."""
        node = await self._find(site, name, by)
        past: Past = await self._nodes.host.store.read(self._read, site, node, wanted)
        return past

    async def ends(self, site: Any, name: str, by: JID) -> tuple[int, ...]:
        """Return when the oldest and the newest item of a node were published, nothing if none is.

        µs since 1970 UTC. Raises StanzaError.
        """
        node = await self._find(site, name, by)
        found: tuple[int, ...] = await self._nodes.host.store.read(self._ends, site, node)
        return found

    async def _find(self, site: Any, name: str, by: JID) -> Node:
        """Return a node that somebody may read. Raises StanzaError as XEP-0060 §6.5.9 says."""
        node = await self._nodes.find(site, name)
        refused = self._nodes.access(site, node, by)
        if refused is not None:
            raise refused
        if not node.config.is_leaf:
            raise unsupported("retrieve-items")
        if not node.archived(site):
            raise unsupported("persistent-items")
        return node

    def _ends(self, cursor: Any, site: Any, node: Node) -> tuple[int, ...]:
        since = self._nodes.since(site, node)
        key = node.service, node.id
        first = item_storage.item_page(cursor, *key, 1, since)
        last = item_storage.newest(cursor, *key, 1, since)
        return tuple(item.stamp for item in (*first, *last))

    def _read(self, cursor: Any, site: Any, node: Node, wanted: Wanted) -> Past:
        service, id, since = node.service, node.id, self._nodes.since(site, node)
        ids = wanted.ids or ()
        for stamp in (*wanted.named, *ids):
            if stamp <= since or item_storage.item_at(cursor, service, id, stamp) is None:
                raise StanzaError("item-not-found", text="there is no such result")
        low, high = wanted.bounds()
        low = max(low, since)
        if ids:
            return self._named(cursor, node, wanted, [s for s in sorted(ids) if low < s < high])
        items, complete = self._page(cursor, node, wanted, low, high)
        count = item_storage.count_items(cursor, service, id, low, high)
        index = None
        if items:
            index = item_storage.count_items(cursor, service, id, low, items[0].stamp)
        return Past(_results(node, items), complete, index, count)

    def _named(self, cursor: Any, node: Node, wanted: Wanted, stamps: list[int]) -> Past:
        """Return those of some items that are on the page."""
        page = wanted.page
        after, before = wanted.page_after, wanted.page_before
        begin = sum(stamp <= after for stamp in stamps) if after is not None else page.index or 0
        end = len(stamps)
        if before is not None:
            end = sum(stamp < before for stamp in stamps)
        chosen = stamps[begin:end]
        some = chosen[-page.max :] if page.backwards and page.max else chosen[: page.max]
        found = []
        for stamp in reversed(some) if page.backwards else some:
            item = item_storage.item_at(cursor, node.service, node.id, stamp)
            if item is not None:
                found.append(item)
            if sum(len(each.payload) for each in found) > LARGEST:
                break
        items = found[::-1] if page.backwards else found
        index = stamps.index(items[0].stamp) if items else None
        return Past(_results(node, items), len(items) == len(chosen), index, len(stamps))

    def _page(
        self, cursor: Any, node: Node, wanted: Wanted, low: int, high: int
    ) -> tuple[list[Item], bool]:
        """Return the items of a page, the oldest first, and whether there are no more of them."""
        page, size = wanted.page, 0
        after = low if wanted.page_after is None else max(low, wanted.page_after)
        before = high if wanted.page_before is None else min(high, wanted.page_before)
        found: list[Item] = []
        index = page.index or 0
        while True:
            most = min(page.max + 1 - len(found), _STEP)
            some = item_storage.item_page(
                cursor, node.service, node.id, most, low, after, before, index, page.backwards
            )
            index = 0
            for item in reversed(some) if page.backwards else some:
                size += len(item.payload)
                if len(found) == page.max or (found and size > LARGEST):
                    return found[::-1] if page.backwards else found, False
                found.append(item)
                if page.backwards:
                    before = item.stamp
                else:
                    after = item.stamp
            if len(some) < most:
                return found[::-1] if page.backwards else found, True


def _results(node: Node, items: Iterable[Item]) -> tuple[tuple[int, bytes], ...]:
    """Return the notifications of items, one each, as subscribers got them (§3)."""
    type = node.config.notification_type
    attributes = {"from": node.service, "type": None if type == "normal" else type}
    found = []
    for item in items:
        inner = items_event(node, item_bytes(node, item, node.config.deliver_payloads))
        event = b"<event xmlns='%s'>%s</event>" % (NS_EVENT.encode(), inner)
        found.append((item.stamp, make("message", attributes, event).raw))
    return tuple(found)
