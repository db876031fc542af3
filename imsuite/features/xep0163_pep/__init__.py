"""XEP-0163: Personal Eventing Protocol; with it XEP-0222 and XEP-0223."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Iterator
from functools import cached_property, partial
from typing import Any

import attrs
from twisted.words.xish.domish import Element
from zope.interface import implementer

from imsuite.core.account import Account, Kept
from imsuite.core.feature import At, Feature, answers, on
from imsuite.core.hooks import (
    AVAILABLE,
    CAPS_CHANGED,
    INCOMING,
    OUTGOING,
    RESUMED,
    ROSTER_CHANGED,
    STOPPING,
    SUBSCRIPTION_CHANGED,
    UNAVAILABLE,
    UNBOUND,
    Passing,
    RosterChange,
    Stage,
)
from imsuite.core.host import Host
from imsuite.core.interfaces import IDiscoExtension, IDiscoNodes, ILoaded, IRoster, ISessionState
from imsuite.core.options import ge, option
from imsuite.core.service_interfaces import INodes, IPep
from imsuite.core.session import Session
from imsuite.features.xep0163_pep.hiding import named, refused
from imsuite.features.xep0163_pep.interest import Interests
from imsuite.features.xep0163_pep.last import LastItems
from imsuite.features.xep0163_pep.site import AccountSite, HiddenSite
from imsuite.rules.node_approval import is_approval
from imsuite.rules.node_features import FEATURES as NODE_FEATURES
from imsuite.rules.nodes import NS_EVENT, NS_OWNER, NS_PUBSUB, Limits
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import JID, parse
from imsuite.xmpp.errors import Dropped, StanzaError
from imsuite.xmpp.stanza import Stanza

MOST_NEWCOMERS = 100  # whom an account is about to let see it; who is forgotten gets no last items
MOST_SHARERS = 1000  # sessions of others that sent an account their presence
# what accounts have besides what all nodes have (XEP-0060 §10)
FEATURES = tuple(
    f"{NS_PUBSUB}#{name}"
    for name in (
        "access-authorize",
        "access-open",
        "access-presence",
        "access-roster",
        "access-whitelist",
        "auto-create",
        "auto-subscribe",
        "filtered-notifications",
        "last-published",
        "presence-subscribe",
    )
)


@attrs.frozen
class Options:
    """[features.pep]"""

    nodes: int = option(1000, "Most nodes of one account.", ge(1), live=True)
    items: int = option(10_000, "Most items of one node.", ge(1), live=True)
    longest: int = option(262_144, "Largest payload of an item, bytes.", ge(1024), live=True)


@attrs.define
class Circle:
    """What is kept of a loaded account.

    newcomers: bare JIDs that do not see its presence yet, and are about to; sharers: sessions of
    others that sent it their presence.
    """

    site: AccountSite | None = None
    newcomers: set[str] = attrs.field(factory=set)
    sharers: dict[Session, None] = attrs.field(factory=dict)


@implementer(IPep, IDiscoExtension, IDiscoNodes, ILoaded, ISessionState)
class Pep(Feature):
    """Give every account nodes of its own, of which its contacts hear."""

    spec = "XEP-0163 1.2.2"
    requires = (INodes, IRoster)
    options: Options

    def __init__(self, host: Host, options: Options) -> None:
        super().__init__(host, options)
        self._kept: Kept[Circle] = host.keep(self)
        self._hidden = HiddenSite(self)
        self._interests = Interests(host)
        self._last = LastItems(self, self._interests)
        self._shows: dict[Session, set[str]] = {}  # bare JIDs that have it among their sharers

    @cached_property
    def _nodes(self) -> Any:  # what provides INodes
        return self.host.find_feature(INodes)

    @cached_property
    def _roster(self) -> Any:  # what provides IRoster
        return self.host.find_feature(IRoster)

    def load(self, cursor: Any, account: str) -> Circle:
        """Return what is kept of an account."""
        return Circle()

    # for the engine and for other features

    @property
    def limits(self) -> Limits:
        """What a node of an account may have at most."""
        own = self.options
        return Limits(nodes=own.nodes, items=own.items, payload=own.longest)

    def site(self, account: Account) -> AccountSite:
        """Return the nodes of an account."""
        circle = self._kept.of(account)
        if circle.site is None:
            circle.site = AccountSite(self, account)
        return circle.site

    def interested(self, account: Account, node: str) -> Iterator[str]:
        """Yield the full JIDs that want to hear of a node, whether or not they may."""
        for session in self._interests.of_own(account, node):
            yield session.full
        for session in self._interests.of_contacts(account, node):
            yield session.full
        for session in self._sharers(account):
            if node in self._interests.of(session):
                yield session.full

    # requests

    @answers("get", NS_PUBSUB, "pubsub", At.SELF)
    @answers("set", NS_PUBSUB, "pubsub", At.SELF)
    @answers("get", NS_OWNER, "pubsub", At.SELF)
    @answers("set", NS_OWNER, "pubsub", At.SELF)
    async def own(self, passing: Passing) -> Stanza | None:
        """§3, §5: the account itself."""
        if not passing.account.temporary:
            return await self._answer(passing, self.site(passing.account))
        if passing.stanza.type == "set":
            raise StanzaError("not-allowed", text="nothing is kept of an account without a name")
        return await self._answer(passing, self._hidden)

    @answers("get", NS_PUBSUB, "pubsub", At.ACCOUNT)
    @answers("set", NS_PUBSUB, "pubsub", At.ACCOUNT)
    @answers("get", NS_OWNER, "pubsub", At.ACCOUNT)
    @answers("set", NS_OWNER, "pubsub", At.ACCOUNT)
    async def others(self, passing: Passing) -> Stanza | None:
        """§4.1, §6.2: contacts; and strangers, as far as a node is for them."""
        account, sender = passing.account, passing.sender
        site = self.site(account)
        if self.host.trusts(account, sender) or await self._concerned(passing, site):
            return await self._answer(passing, site)
        return await self.nobody(passing)

    @answers("get", NS_PUBSUB, "pubsub", At.NOBODY)
    @answers("set", NS_PUBSUB, "pubsub", At.NOBODY)
    @answers("get", NS_OWNER, "pubsub", At.NOBODY)
    @answers("set", NS_OWNER, "pubsub", At.NOBODY)
    async def nobody(self, passing: Passing) -> Stanza | None:
        """RFC 6121 §8.5.1: as an account that hides, whether or not there is one."""
        try:
            return await self._answer(passing, self._hidden)
        except StanzaError as why:
            raise refused(_payload(passing), why) from None

    @on(INCOMING, Stage.GUARD, kind="message", type=(None, "normal"), child=(NS.DATA, "x"))
    def approval(self, passing: Passing) -> Awaitable[None] | None:
        """XEP-0060 §8.6: the account says whether somebody may subscribe to a node of its own."""
        session = passing.session
        if session is None or session.account is not passing.account or passing.target is not None:
            return None
        return self._approve(passing) if is_approval(passing.stanza.element) else None

    async def _approve(self, passing: Passing) -> None:
        await self._nodes.authorize(passing, self.site(passing.account))
        raise Dropped  # it is for nobody else

    async def _answer(self, passing: Passing, site: AccountSite | HiddenSite) -> Stanza | None:
        answer: Stanza | None = await self._nodes.answer(passing, site)
        return answer

    async def _concerned(self, passing: Passing, site: AccountSite) -> bool:
        """Tell whether a stranger asks only about nodes that are for strangers, or for him."""
        nodes = named(_payload(passing))
        for node in nodes:
            if not await self._nodes.concerns(site, node, passing.sender):
                return False
        return bool(nodes) or _asks_for_own(passing)

    @on(INCOMING, Stage.GUARD, kind="message", child=(NS_EVENT, "event"))
    def guard_events(self, passing: Passing) -> None:
        """§4.3.3: whom an account blocks hears nothing of it, though he subscribed to a node."""
        sender, account = passing.sender, passing.account
        host = self.host.router.hosts.get(sender.domain)
        owner = None if sender.resource or host is None else host.accounts.get(sender.local)
        if owner is None or owner is account:
            return
        to = account.jid if passing.target is None else passing.target.jid
        if self._interests.blocks(owner, to):
            raise Dropped

    # discovery

    def identities(self, at: At) -> Iterable[tuple[str, str, str | None]]:
        """§6.1; XEP-0222 §5 and XEP-0223 §5 have it at the domain as well."""
        return () if at not in At.ANY else (("pubsub", "pep", None),)

    def forms(self, at: At) -> Iterable[Any]:
        """Nothing is said by forms."""
        return ()

    def describe(self, at: At) -> Iterable[str]:
        """§6.1"""
        if at is At.HOST:
            yield f"{NS_PUBSUB}#publish-options"
        elif at in At.ADDRESS:
            yield from NODE_FEATURES
            yield from FEATURES

    async def node_info(self, passing: Passing, at: At, node: str) -> Element | None:
        """XEP-0060 §5.3"""
        if at not in At.ADDRESS or passing.account.temporary:
            return None
        site = self.site(passing.account)
        query: Element | None = await self._nodes.disco_info(site, node, passing.sender)
        return query

    async def node_items(self, passing: Passing, at: At, node: str) -> Any:
        """§6.2, XEP-0060 §5.2, §5.5: what whoever asks may read."""
        if at not in At.ADDRESS or passing.account.temporary:
            return None
        site = self.site(passing.account)
        if node:
            return await self._nodes.disco_items(site, node, passing.sender)
        listed = await self._nodes.listed(site, passing.sender)
        return [(site.jid, name, title) for name, title in listed]

    # last items

    @on(AVAILABLE)
    @on(CAPS_CHANGED)
    @on(RESUMED)
    def greet(self, session: Session) -> None:
        """§4.3.3: the first time that a session is available and its capabilities are known."""
        self._last.greet(session)

    @on(UNAVAILABLE)
    @on(UNBOUND)
    def went(self, session: Session) -> None:
        """§4.3.3: whoever comes back is new."""
        self._last.forget(session)

    @on(UNBOUND)
    def gone(self, session: Session) -> None:
        """Let nobody hold a session that ended."""
        self._last.end(session)
        for bare in self._shows.pop(session, ()):
            jid = parse(bare)
            host = self.host.router.hosts.get(jid.domain)
            account = None if host is None else host.accounts.get(jid.local)
            pep = None if host is None else host.find_feature(IPep)
            if account is not None and pep is not None:
                pep.unshared(account, session)

    @on(STOPPING)
    def stop(self, host: Host) -> None:
        """Do nothing more by itself."""
        self._last.stop()

    def freeze(self, session: Session) -> bool | None:
        """Return whether a session has got the last items."""
        return self._last.greeted(session) or None

    def thaw(self, session: Session, value: bool) -> None:
        """Send a restored session no last items that it has."""
        self._last.mark(session)

    # subscriptions to presence

    @on(OUTGOING, Stage.GUARD, kind="presence", type="subscribed")
    def approves(self, passing: Passing) -> None:
        """§4.3.4: somebody who is let see the account for the first time is a new subscriber."""
        to = passing.stanza.to
        if to is not None:
            self._note(passing.account, parse(to).bare)

    @on(INCOMING, Stage.GUARD, kind="presence", type="subscribe")
    def approved(self, passing: Passing) -> None:
        """RFC 6121 §3.4.3: somebody who was approved before is let see the account now."""
        item = self._roster.item(passing.account, passing.sender.bare)
        if item is not None and item.approved:
            self._note(passing.account, passing.sender.bare)

    def _note(self, account: Account, contact: str) -> None:
        newcomers = self._kept.of(account).newcomers
        if not self._roster.state(account, contact).from_:
            if len(newcomers) >= MOST_NEWCOMERS:
                newcomers.clear()
            newcomers.add(contact)

    @on(SUBSCRIPTION_CHANGED)
    async def subscription_changed(self, change: RosterChange) -> None:
        """§4.3.4, §7.1: a new subscriber gets last items; one no more loses what he has."""
        account, contact = change.account, change.item.jid
        if not change.item.state.from_:
            await self._recheck(account, contact)
            return
        newcomers = self._kept.of(account).newcomers
        if contact.bare in newcomers:
            newcomers.discard(contact.bare)
            host = self.host.router.hosts.get(contact.domain)
            other = None if host is None else host.accounts.get(contact.local)
            if other is not None:
                self._last.introduce(account, other.available)

    @on(ROSTER_CHANGED)
    async def roster_changed(self, change: RosterChange) -> None:
        """§7.1: groups decide about access, too."""
        await self._recheck(change.account, change.item.jid)

    async def _recheck(self, account: Account, contact: JID) -> None:
        if not account.temporary:
            await self._nodes.recheck(self.site(account), contact)

    # presence without a subscription (XEP-0060 §9.1.3)

    @on(OUTGOING, Stage.RECORD, kind="presence", type=None)
    def shares(self, passing: Passing) -> None:
        """XEP-0060 §9.1.3: who sends presence to an account hears of its open nodes."""
        session, to = passing.session, passing.stanza.to
        if session is None or to is None:
            return
        jid = parse(to)
        host = self.host.router.hosts.get(jid.domain)
        account = None if host is None else host.accounts.get(jid.local)
        if account is None or account is session.account or host is None:
            return
        pep = host.find_feature(IPep)
        if pep is not None:
            passing.after(partial(self._share, pep, account, session))

    def _share(self, pep: Any, account: Account, session: Session) -> None:
        if self.host.router.sessions.get(session.full) is session:
            self._shows.setdefault(session, set()).add(account.bare)
            pep.shared(account, session)

    def shared(self, account: Account, session: Session) -> None:
        """Know that a session, maybe of another host, has sent an account its presence."""
        sharers = self._kept.of(account).sharers
        if session in self._sharers(account):
            return
        if len(sharers) >= MOST_SHARERS:
            sharers.clear()
        sharers[session] = None
        # who sees the account, too, gets last items for having come online
        greeted = session.presence is not None and self.host.trusts(account, session.jid)
        if not greeted and session in self._sharers(account):
            self._last.introduce(account, (session,))

    def unshared(self, account: Account, session: Session) -> None:
        """Know that such a session has ended."""
        self._kept.of(account).sharers.pop(session, None)

    def _sharers(self, account: Account) -> list[Session]:
        """Return who sent an account presence that it has not taken back."""
        sharers = self._kept.of(account).sharers
        if not sharers:
            return []
        for session in [each for each in sharers if not each.directed]:
            del sharers[session]
        return [
            session
            for session in sharers
            if account.bare in (session.directed or ())
            and not self._interests.parted(account, session)
        ]


def _payload(passing: Passing) -> Element:
    payload = passing.stanza.payload
    assert payload is not None
    return payload


def _asks_for_own(passing: Passing) -> bool:
    """Tell whether somebody asks for his own subscriptions and affiliations (§5.6, §5.7)."""
    pubsub = _payload(passing)
    names = {each.name for each in pubsub.elements()}
    return pubsub.uri == NS_PUBSUB and bool(names) and names <= {"subscriptions", "affiliations"}
