"""XEP-0060: Publish-Subscribe, with the collections of XEP-0248.

The nodes of the domain's service, and the engine that accounts have their nodes of (XEP-0163).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import imsuite._compat  # noqa: F401  makes wokkel importable

# isort: split

from twisted.logger import Logger
from twisted.words.xish.domish import Element
from wokkel.data_form import Form
from zope.interface import implementer

from imsuite.core.account import Account, Kept
from imsuite.core.feature import At, Feature, answers, on, takes
from imsuite.core.hooks import (
    ACCOUNT_CREATED,
    ACCOUNT_DELETED,
    AVAILABLE,
    STARTED,
    STOPPING,
    UNAVAILABLE,
    Passing,
)
from imsuite.core.host import Host
from imsuite.core.interfaces import ICommands, ILoaded
from imsuite.core.router import Route
from imsuite.core.service_interfaces import INodes, IPep
from imsuite.core.session import Session
from imsuite.features.xep0060_pubsub import collections, storage
from imsuite.features.xep0060_pubsub.archiving import Archiving
from imsuite.features.xep0060_pubsub.collections import Collections
from imsuite.features.xep0060_pubsub.discovering import Discovering
from imsuite.features.xep0060_pubsub.node import Held
from imsuite.features.xep0060_pubsub.nodes import Nodes
from imsuite.features.xep0060_pubsub.notifications import Notifier, from_payload
from imsuite.features.xep0060_pubsub.options import Options as SubscriptionOptions
from imsuite.features.xep0060_pubsub.owner import Owner
from imsuite.features.xep0060_pubsub.publishing import Publisher, options_form
from imsuite.features.xep0060_pubsub.requesting import Requesting
from imsuite.features.xep0060_pubsub.retrieving import Retrieving
from imsuite.features.xep0060_pubsub.service import Options, Service
from imsuite.features.xep0060_pubsub.subscribing import Subscribing
from imsuite.features.xep0060_pubsub.timing import Timing
from imsuite.features.xep0060_pubsub.upkeep import Upkeep
from imsuite.rules.adhoc import AdHoc
from imsuite.rules.node_archive import Past, Wanted
from imsuite.rules.node_features import FEATURES
from imsuite.rules.nodes import NS_OWNER, NS_PUBSUB, NodeConfig
from imsuite.xmpp import ns as NS
from imsuite.xmpp import rsm
from imsuite.xmpp.address import JID, parse
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza
from imsuite.xmpp.times import DAY

MOST_FOLLOWED = 1000  # nodes that are remembered of one account
_OF_SERVICE = tuple(
    f"{NS_PUBSUB}#{name}"
    for name in ("access-open", "collections", "last-published", "multi-collections")
)


@implementer(ICommands, INodes, ILoaded)
class PubSub(Feature):
    """Let people and programs publish to nodes and be told of what is published."""

    spec = "XEP-0060 1.30.0"
    advertises = {
        At.PUBSUB: (
            NS.DISCO_INFO,
            NS.DISCO_ITEMS,
            rsm.RSM,
            NS_PUBSUB,
            *FEATURES,
            *_OF_SERVICE,
        )
    }
    options: Options
    log: ClassVar[Logger] = Logger()
    tables = (*storage.TABLES, *collections.TABLES)

    def __init__(self, host: Host, options: Options) -> None:
        super().__init__(host, options)
        self._kept: Kept[Held] = host.keep(self)
        self.service = Service(self, f"{options.subdomain}.{host.domain}")
        self.nodes = nodes = Nodes(host, options.loaded, self.held)
        nodes.notifier = Notifier(nodes)
        nodes.collections = Collections(nodes)
        nodes.options = SubscriptionOptions(nodes, options.lease * DAY, options.digest * 1000)
        nodes.owner = Owner(nodes)
        nodes.timing = Timing(nodes, nodes.owner.people, self.site_of)
        self.publisher = Publisher(nodes, nodes.notifier)
        self.retrieving = Retrieving(nodes, lambda: self.options.page)
        self.archiving = Archiving(nodes)
        self.discovering = Discovering(nodes)
        self.requesting = Requesting(nodes, self.publisher, Subscribing(nodes), self.retrieving)
        self.upkeep = Upkeep(nodes, self.publisher, self.site_of)

    def serves(self) -> Iterable[tuple[str, Route]]:
        """Return the domain of the service."""
        yield self.service.jid, self.service

    def describe(self, at: At) -> Iterable[str]:
        """Return the features; §7.1.4 is an option."""
        yield from super().describe(at)
        if at is At.PUBSUB and self.options.auto_create:
            yield f"{NS_PUBSUB}#auto-create"
        if at is At.PUBSUB and "commands" in self.host.features:
            yield f"{NS_PUBSUB}#get-pending"

    # accounts

    def load(self, cursor: Any, account: str) -> Held:
        """Return which nodes an account has, and which it subscribes to."""
        if cursor is None:
            return Held()
        names = set(storage.node_names(cursor, account))
        return Held(names, set(storage.subscribed_nodes(cursor, account, MOST_FOLLOWED)))

    def held(self, bare: str) -> Held | None:
        """Return the same for a bare JID whose account is loaded, None for others."""
        local, _, domain = bare.rpartition("@")
        if domain == self.host.domain:
            account = self.host.accounts.get(local)
            return None if account is None else self._kept.of(account)
        other = self.host.router.hosts.get(domain)  # whose people subscribe to nodes of ours
        feature = None if other is None else other.find_feature(INodes)
        return feature.held(bare) if isinstance(feature, PubSub) else None

    async def site_of(self, service: str) -> Any:
        """Return the ISite of an address of this host, None if it has none."""
        if service == self.service.jid:
            return self.service
        jid = parse(service)
        pep = self.host.find_feature(IPep)
        if pep is None or jid.domain != self.host.domain or not jid.local:
            return None
        account = await self.host.account(jid.local)
        return None if account is None else pep.site(account)

    # the service

    @answers("get", NS_PUBSUB, "pubsub", At.PUBSUB)
    @answers("set", NS_PUBSUB, "pubsub", At.PUBSUB)
    @answers("get", NS_OWNER, "pubsub", At.PUBSUB)
    @answers("set", NS_OWNER, "pubsub", At.PUBSUB)
    async def asked(self, passing: Passing) -> Stanza | None:
        """§5 to §8"""
        return await self.requesting.answer(passing, self.service)

    @answers("get", NS.DISCO_INFO, "query", At.PUBSUB)
    async def service_info(self, passing: Passing) -> Stanza:
        """§5.1, §5.3, §5.4"""
        return await self.discovering.info(passing, self.service, self.options.name)

    @answers("get", NS.DISCO_ITEMS, "query", At.PUBSUB)
    async def service_items(self, passing: Passing) -> Stanza:
        """§5.2, §5.5"""
        return await self.discovering.items(passing, self.service)

    @takes("message", None, "normal", "chat", "headline", "groupchat", at=At.PUBSUB)
    async def told(self, passing: Passing) -> None:
        """§8.6: an owner approves a subscription, or does not."""
        if not passing.stanza.has(NS.DATA, "x"):
            raise StanzaError("service-unavailable")
        await self.nodes.owner.authorize(passing, self.service)

    def commands(self, passing: Passing, at: At) -> Iterable[AdHoc]:
        """Return the command of §8.7."""
        if at is At.PUBSUB:
            yield self.nodes.owner.approvals.command(self.service)

    @takes("message", "error", at=At.PUBSUB)
    async def bounced(self, passing: Passing) -> None:
        """§12.4"""
        await self.upkeep.bounced(passing, self.service)

    # who comes and goes

    @on(AVAILABLE)
    def came(self, session: Session) -> None:
        """§12.2: the last items of what somebody subscribes to."""
        follows = self._kept.of(session.account).follows
        for feature in self._all() if follows else ():
            ours = [key for key in follows if feature.nodes.timing.is_ours(key[0])]
            if ours:
                self.host.spawn(feature.upkeep.came(session, ours))

    @on(UNAVAILABLE)
    async def left(self, session: Session) -> None:
        """§12.4: temporary subscriptions end; items may go with their publisher."""
        await self.nodes.timing.offline(session)
        if not any(each is not session for each in session.account.available):
            await self.upkeep.left(session.account.jid)

    @on(ACCOUNT_DELETED)
    async def removed(self, account: Account) -> None:
        """Nobody who takes the name later inherits what this one was to any node.

        The nodes of the service that nobody else owns go too.
        """
        features = list(self._all())
        for each in features:
            await each.let_go(account.bare)
        for each in features:
            services = each.service.jid, account.bare
            keys = await self.host.store.transaction(storage.forget_person, *services)
            for other in features:
                other.nodes.forget(keys)
        self.nodes.forget_service(account.bare)
        self._kept.put(account, Held())

    async def let_go(self, bare: str) -> None:
        """Delete the nodes of the service that a bare JID owns and nobody else does."""
        service = self.service
        for name in await self.host.store.read(storage.owned_alone, service.jid, bare):
            try:
                await self.nodes.owner.delete(service, name, parse(service.jid))
            except StanzaError as why:  # somebody else did, while this waited
                self.log.debug("{node} was not deleted: {why}", node=name, why=why.condition)

    def _all(self) -> Iterator[PubSub]:
        """Yield those of all hosts of this server, whose people use each other's nodes."""
        for host in self.host.router.hosts.values():
            feature = host.find_feature(INodes)
            if isinstance(feature, PubSub):
                yield feature

    @on(ACCOUNT_CREATED)
    def created(self, bare: str) -> None:
        """Know nothing of who had the name before."""
        self.nodes.forget_service(bare)

    @on(STARTED)
    async def start(self, host: Host) -> None:
        """Begin to keep things in order."""
        if await host.store.read(storage.purges):
            self.nodes.purging = True
        self.nodes.timing.start()
        self.upkeep.start()

    @on(STOPPING)
    def stop(self, host: Host) -> None:
        """Do nothing more by itself."""
        self.nodes.timing.stop()
        self.upkeep.stop()

    # INodes

    async def answer(self, passing: Passing, site: Any) -> Stanza | None:
        """Return the answer to an IQ with a <pubsub/>, None if it is on its way."""
        return await self.requesting.answer(passing, site)

    async def publish(
        self,
        site: Any,
        node: str,
        items: Sequence[tuple[str | None, Element | None]],
        by: JID,
        options: Mapping[str, str | Sequence[str]] | Form | None = None,
    ) -> list[str]:
        """Publish and return the ids of the items, once they are durable."""
        form = options_form(options) if isinstance(options, Mapping) else options
        return await self.publisher.publish(site, node, items, by, form)

    async def items(
        self, site: Any, node: str, ids: Iterable[str] | None = None, most: int | None = None
    ) -> list[tuple[str, Element | None, str, int]]:
        """Return (id, Element or None, publisher, µs since 1970 UTC) of items, newest last."""
        wanted = None if ids is None else list(ids)
        found = await self.retrieving.items(site, node, wanted, most)
        return [(each.id, from_payload(each.payload), each.publisher, each.stamp) for each in found]

    async def retract(
        self, site: Any, node: str, ids: Iterable[str], by: JID, notify: bool = True
    ) -> None:
        """Take items back, once that is durable."""
        await self.publisher.retract(site, node, list(ids), by, notify)

    async def delete(self, site: Any, node: str) -> None:
        """Delete a node and tell subscribers, if it is there."""
        if await self.nodes.load(site, node) is not None:
            await self.nodes.owner.delete(site, node, parse(site.jid))

    async def past(self, site: Any, node: str, by: JID, wanted: Wanted) -> Past:
        """Return a page of what was published to a node that a JID may read (XEP-0442)."""
        return await self.archiving.past(site, node, by, wanted)

    async def ends(self, site: Any, node: str, by: JID) -> tuple[int, ...]:
        """Return when the oldest and the newest item of a node that a JID may read were made."""
        return await self.archiving.ends(site, node, by)

    async def config(self, site: Any, node: str) -> NodeConfig | None:
        """Return how a node is configured, None if there is none."""
        found = await self.nodes.load(site, node)
        return None if found is None else found.config

    async def send_last(self, site: Any, to: JID, nodes: Iterable[str] | None = None) -> None:
        """Send the last items of nodes, of all by default, to a full JID that has access."""
        if nodes is None:
            nodes = await self.host.store.read(storage.node_names, site.jid)
        for name in nodes:
            async with self.nodes.turn(site.jid, name):
                node = await self.nodes.load(site, name)
                if node is None or node.config.send_last_published_item == "never":
                    continue
                if self.nodes.access(site, node, to) is None:
                    await self.nodes.notifier.send_last(site, node, to.full)

    async def authorize(self, passing: Passing, site: Any) -> None:
        """Take an owner's answer to a request for approval (§8.6)."""
        await self.nodes.owner.authorize(passing, site)

    async def waiting(self, services: Iterable[str], names: Iterable[str]) -> list[tuple[str, str]]:
        """Return (service, node) of those nodes that have an item for who comes online."""
        asked, wanted = list(services), list(names)
        found: list[tuple[str, str]] = await self.host.store.read(
            storage.waiting_nodes, asked, wanted
        )
        return found + self.nodes.waiting(set(asked), set(wanted), found)

    async def recheck(self, site: Any, jid: JID) -> None:
        """End the subscriptions of a JID that the access models do not allow any more."""
        held = None if site.account is None else self.held(site.jid)
        if held is None or held.names:
            await self.nodes.owner.recheck(site, jid)

    async def concerns(self, site: Any, node: str, by: JID) -> bool:
        """Tell whether a stranger may know that a node is there, if it is."""
        return await self.discovering.concerns(site, node, by)

    async def listed(self, site: Any, by: JID) -> list[tuple[str, str | None]]:
        """Return name and title, or None, of the nodes that a JID may read (§5.2)."""
        held = None if site.account is None else self.held(site.jid)
        if held is not None and not held.names:
            return []
        return await self.discovering.listed(site, by)

    async def disco_info(self, site: Any, node: str, by: JID) -> Element | None:
        """Return the disco#info <query/> of a node that a JID may read, None if none (§5.3)."""
        return await self.discovering.node_info(site, node, by)

    async def disco_items(
        self, site: Any, node: str, by: JID
    ) -> list[tuple[str, str, str | None]] | None:
        """Return (jid, node, name) of what a node that a JID may read has, None if none (§5.5)."""
        return await self.discovering.node_items(site, node, by)
