"""XEP-0060 §12.4, §12.18, §16.4.2: subscriptions that end by themselves, and digests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import attrs
from twisted.internet.interfaces import IDelayedCall

from imsuite.core.service_interfaces import INodes
from imsuite.core.session import Session
from imsuite.features.xep0060_pubsub import item_storage, relations
from imsuite.features.xep0060_pubsub.node import Node
from imsuite.features.xep0060_pubsub.nodes import Nodes
from imsuite.features.xep0060_pubsub.notifications import item_bytes, items_event
from imsuite.features.xep0060_pubsub.people import People, state_event
from imsuite.features.xep0060_pubsub.relations import NEVER, Due, DueRow
from imsuite.features.xep0060_pubsub.storage import Subscription
from imsuite.rules.node_access import Subscribed
from imsuite.rules.node_notices import Interest
from imsuite.rules.node_options import Terms, from_text, is_over
from imsuite.xmpp.address import parse
from imsuite.xmpp.times import DAY, SECOND, format_datetime

EVERY = 60.0  # seconds between two looks at what is due
WARNING = DAY  # µs before the end of a lease at which its holder is told
LONGEST = 100  # items in a digest; the next one has the others
_MILLISECOND = 1_000  # µs


class Timing:
    """Ends subscriptions when their time is over, and sends digests.

    site_of: returns the ISite of an address, None if it has none.
    """

    def __init__(
        self, nodes: Nodes, people: People, site_of: Callable[[str], Awaitable[Any]]
    ) -> None:
        self._nodes = nodes
        self._people = people
        self._site_of = site_of
        self._call: IDelayedCall | None = None
        self._looked = False  # for those who did not come back after a restart

    def start(self) -> None:
        """Look now and then at what is due."""
        self._call = self._nodes.host.clock.callLater(EVERY, self._begin)

    def stop(self) -> None:
        """Look no more."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _begin(self) -> None:
        self._call = self._nodes.host.clock.callLater(EVERY, self._begin)
        self._nodes.host.spawn(self.look())

    async def look(self) -> None:
        """Do what is due by now."""
        store, now = self._nodes.host.store, self._nodes.now
        lease: relations.Lease | None = None
        while leases := await store.read(relations.leases_over, now, lease):
            for lease in leases:
                await self.end(lease.service, lease.name, lease.subid)
        if not self._looked:
            self._looked = True
            await self._end_temporary()
        row: DueRow | None = None
        while rows := await store.read(relations.find_due, now, row):
            for row in rows:
                if self.is_ours(row.service):
                    await self._do(row)

    async def _end_temporary(self) -> None:
        """End the temporary subscriptions of those who are not there."""
        last: relations.Temporary | None = None
        while rows := await self._nodes.host.store.read(relations.temporary, last):
            for service, name, subid, jid in rows:
                if not self._nodes.options.presence(jid):
                    await self.end(service, name, subid)
            last = rows[-1]

    def is_ours(self, service: str) -> bool:
        """Tell whether an address is one of this host, and not of another in the same store."""
        feature = self._nodes.host.find_feature(INodes)
        ours = (self._nodes.host.domain, feature.service.jid)
        return parse(service).domain in ours

    # what is written with a subscription

    def changed(self, cursor: Any, service: str, name: str, subscription: Subscription) -> None:
        """Write what falls due for a subscription, in the transaction that writes it."""
        subid = subscription.subid
        relations.drop_due(cursor, service, name, subid, Due.WARN, Due.PRESENCE)
        options = from_text(subscription.options)
        if subscription.state is Subscribed.NONE or not options.digest:
            relations.drop_due(cursor, service, name, subid, Due.DIGEST)
        if subscription.state is Subscribed.NONE:
            return
        now = self._nodes.now
        if options.expire is not None and options.expire - WARNING > now:
            at = options.expire - WARNING
            relations.put_due(cursor, DueRow(service, name, subid, Due.WARN, at))
        if options.temporary:
            relations.put_due(cursor, DueRow(service, name, subid, Due.PRESENCE, NEVER))
        if options.digest:
            at = now + options.digest_frequency * _MILLISECOND
            before = relations.due_of(cursor, service, name, subid, Due.DIGEST)
            since = self._nodes.host.store.ids.last if before is None else before.since
            if before is None or at < before.at:
                relations.put_due(cursor, DueRow(service, name, subid, Due.DIGEST, at, since))

    def removed(self, cursor: Any, service: str, name: str) -> None:
        """Forget what falls due for the subscriptions of a node, which is deleted."""
        relations.drop_all_due(cursor, service, name)

    # ends

    async def offline(self, session: Session) -> None:
        """End what was to last as long as the presence of a subscriber (§12.4)."""
        held = self._nodes.held(session.account.bare)
        if held is not None and not held.follows:
            return
        rows = await self._nodes.host.store.read(relations.temporary_of, session.account.bare)
        for service, name, subid, jid in rows:
            if self._nodes.options.presence(jid):
                continue
            for timing in self._all():
                if timing.is_ours(service):
                    await timing.end(service, name, subid)

    def _all(self) -> Iterator[Timing]:
        """Yield those of all hosts, as people of one subscribe to nodes of another."""
        for host in self._nodes.host.router.hosts.values():
            feature = host.find_feature(INodes)
            if feature is not None:
                yield feature.nodes.timing

    async def end(self, service: str, name: str, subid: str) -> None:
        """End a subscription whose time is over, unless that changed meanwhile."""
        site = await self._site_of(service)
        if site is None:
            return
        async with self._nodes.turn(service, name):
            node = await self._nodes.load(site, name)
            found = None if node is None else node.subscriptions.get(subid)
            if node is None or found is None:
                return
            options = from_text(found.options)
            gone = options.temporary and not self._nodes.options.presence(found.jid)
            if not (gone or is_over(options, self._nodes.now)):
                return
            ended = attrs.evolve(found, state=Subscribed.NONE)
            await self._nodes.apply(site, node, subscriptions=[ended])
            await self._people.tell_changed(site, node, [ended])

    # warnings and digests

    async def _do(self, row: DueRow) -> None:
        site = await self._site_of(row.service)
        if site is None:
            await self._forget(row)
            return
        async with self._nodes.turn(row.service, row.name):
            node = await self._nodes.load(site, row.name)
            found = None if node is None else node.subscriptions.get(row.subid)
            if node is None or found is None:  # somebody removed his account
                await self._forget(row)
                return
            options = from_text(found.options)
            if row.what is Due.WARN:
                await self._warn(site, node, found, options)
            elif row.what is Due.DIGEST:
                await self._digest(site, node, found, options, row)

    async def _forget(self, row: DueRow) -> None:
        await self._nodes.host.store.transaction(
            relations.drop_due, row.service, row.name, row.subid, row.what
        )

    async def _warn(
        self, site: Any, node: Node, subscription: Subscription, options: Terms
    ) -> None:
        """§12.18: the lease is almost over."""
        await self._nodes.apply(
            site,
            node,
            also=lambda cursor: relations.drop_due(
                cursor, node.service, node.name, subscription.subid, Due.WARN
            ),
        )
        if options.expire is None or subscription.state is not Subscribed.SUBSCRIBED:
            return
        event = state_event(node, subscription)
        event["expiry"] = format_datetime(options.expire)
        await self._nodes.notifier.send(site, node, subscription.jid, event)

    async def _digest(
        self,
        site: Any,
        node: Node,
        subscription: Subscription,
        options: Terms,
        row: DueRow,
    ) -> None:
        """§16.4.2: what was published since the last digest, in one message.

        Whose presence is not what it wants to be told in waits until it is.
        """
        nodes = self._nodes
        shows = nodes.options.presence(subscription.jid) if options.shows else None
        if shows is not None and options.shows.isdisjoint(shows):
            return
        living = subscription.state is Subscribed.SUBSCRIBED and options.deliver
        allowed = nodes.access(site, node, parse(subscription.jid)) is None
        since = max(row.since, nodes.since(site, node))
        items = await nodes.host.store.read(
            item_storage.item_page, node.service, node.id, LONGEST, since
        )
        last = items[-1].stamp if items else row.since
        later = nodes.now + options.digest_frequency * _MILLISECOND
        if len(items) == LONGEST:
            later = nodes.now + int(EVERY * SECOND)
        after = attrs.evolve(row, at=later, since=last)
        await nodes.apply(site, node, also=lambda cursor: relations.put_due(cursor, after))
        if items and living and allowed:
            payloads = node.config.deliver_payloads
            inner = b"".join(item_bytes(node, each, payloads) for each in items)
            only = [Interest(subscription.jid, subscription.subid)]
            await nodes.notifier.tell(site, node, items_event(node, inner), interests=only)
