"""What happens to nodes by itself: people come and go, items expire, notifications come back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, ClassVar

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from imsuite.core.hooks import Passing
from imsuite.core.session import Session
from imsuite.features.xep0060_pubsub import item_storage, storage
from imsuite.features.xep0060_pubsub.node import Key
from imsuite.features.xep0060_pubsub.nodes import Nodes
from imsuite.features.xep0060_pubsub.publishing import Publisher
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import JID, parse
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.times import SECOND

EVERY = 3600.0  # seconds between two looks for items that are too old
CHUNK = 100  # nodes looked at with one statement
MOST_PURGED = 1000  # items that go with their publisher at a time
# §12.4 names "cancel"; these are of that type too, and say only that somebody is away
_PASSING = frozenset(("service-unavailable", "remote-server-not-found", "internal-server-error"))


class Upkeep:
    """Keeps nodes in order. site_of: returns the ISite of an address, None if it has none."""

    log: ClassVar[Logger] = Logger()

    def __init__(
        self, nodes: Nodes, publisher: Publisher, site_of: Callable[[str], Awaitable[Any]]
    ) -> None:
        self._nodes = nodes
        self._publisher = publisher
        self._site_of = site_of
        self._call: IDelayedCall | None = None

    def start(self) -> None:
        """Look now and then for items that are too old."""
        self._call = self._nodes.host.clock.callLater(EVERY, self._begin)

    def stop(self) -> None:
        """Look no more."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _begin(self) -> None:
        self._call = self._nodes.host.clock.callLater(EVERY, self._begin)
        self._nodes.host.spawn(self.expire())

    async def expire(self) -> None:
        """Take away the items whose time is over (item_expire); nobody is told."""
        nodes, after = self._nodes, 0
        while True:
            rows = await nodes.host.store.read(storage.expiring, after, CHUNK)
            for id, service, name, seconds in rows:
                after = id
                until = nodes.now - seconds * SECOND
                async with nodes.turn(service, name):
                    count = await nodes.host.store.transaction(
                        item_storage.delete_until, service, id, until
                    )
                    if count:
                        nodes.reduced((service, name), count, until)
            if len(rows) < CHUNK:
                return

    # who comes and goes

    async def came(self, session: Session, follows: Iterable[tuple[str, str]]) -> None:
        """Send a client that came online the last items of what it subscribes to (§12.2)."""
        jid = parse(session.full)
        for service, name in sorted(await self._sending(follows)):
            if session.presence is None:
                return
            site = await self._site_of(service)
            if site is None:
                continue
            async with self._nodes.turn(service, name):
                node = await self._nodes.load(site, name)
                if node is None or node.config.send_last_published_item != "on_sub_and_presence":
                    continue
                if self._nodes.access(site, node, jid) is not None:
                    continue
                for to in set(self._nodes.notifier.wants_last(node, jid)):
                    await self._nodes.notifier.send_last(site, node, to)

    async def _sending(self, keys: Iterable[Key]) -> list[Key]:
        """Return those nodes that have an item for who comes online, by one look at the store."""
        nodes, wanted = self._nodes, set(keys)
        known = {key for key in wanted if nodes.cached(key) is not None}
        rest = wanted - known
        if not rest:
            return list(known)
        services, names = {service for service, _ in rest}, {name for _, name in rest}
        found = await nodes.host.store.read(storage.waiting_nodes, list(services), list(names))
        return [*known, *rest.intersection(found)]

    async def left(self, jid: JID) -> None:
        """Take away what somebody published to nodes that want that (purge_offline)."""
        if not self._nodes.purging:
            return
        more = True
        while more:
            rows = await self._nodes.host.store.read(storage.purging, jid.bare, MOST_PURGED)
            items: dict[Key, list[str]] = {}
            for service, name, item in rows:
                items.setdefault((service, name), []).append(item)
            done = [await self._purge(*key, ids, jid) for key, ids in items.items()]
            more = len(rows) == MOST_PURGED and any(done)

    async def _purge(self, service: str, name: str, ids: list[str], jid: JID) -> bool:
        """Take items of a publisher away, as far as they are still there; tell if that was done."""
        site = await self._site_of(service)
        if site is None:
            return False
        try:
            await self._publisher.retract(site, name, ids, jid, notify=False, lenient=True)
        except StanzaError as why:
            self.log.debug("{node} keeps its items: {why}", node=name, why=why.condition)
            return False
        return True

    # notifications that come back (§12.4)

    async def bounced(self, passing: Passing, site: Any) -> None:
        """End the subscription of somebody who is not there any more."""
        stanza = passing.stanza
        key = self._nodes.notifier.about(stanza.id)
        if key is None or key[0] != site.jid or not _is_gone(passing):
            return
        jid = passing.sender
        async with self._nodes.turn(*key):
            node = await self._nodes.load(site, key[1])
            if node is None:
                return
            gone = [each for each in node.of(jid.bare) if each.jid == jid.full]
            if gone:
                await self._nodes.end(site, node, gone)


def _is_gone(passing: Passing) -> bool:
    """Tell whether an error says that an address is gone for good."""
    error = passing.stanza.child(NS.CLIENT, "error")
    if error is None:
        return False
    conditions = {each.name for each in error.elements() if each.uri == NS.STANZAS}
    if "gone" in conditions:
        return True
    return error.getAttribute("type") == "cancel" and not conditions & _PASSING
