"""RFC 6121 §2, §3: the roster, and presence subscriptions (Appendix A)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import attrs
from twisted.words.xish.domish import Element
from zope.interface import implementer

from imsuite.core.account import Account, Kept
from imsuite.core.feature import At, StreamFeature, answers, on, takes
from imsuite.core.hooks import (
    ACCOUNT_DELETED,
    AVAILABLE,
    OUTGOING,
    ROSTER_CHANGED,
    SUBSCRIPTION_CHANGED,
    Passing,
    RosterChange,
    Stage,
)
from imsuite.core.host import Host
from imsuite.core.interfaces import IBlocking, ILoaded, IPresence, IRoster
from imsuite.core.options import ge, option
from imsuite.core.session import Session
from imsuite.features.rfc6121_roster.storage import TABLES, Roster, load, write
from imsuite.rules import roster as rules
from imsuite.rules import subscription
from imsuite.rules.roster import Fetch, RosterItem
from imsuite.rules.stream import Phase
from imsuite.rules.subscription import KINDS, Outcome, Request, State
from imsuite.streams.c2s import ClientStream
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import JID, parse
from imsuite.xmpp.errors import Dropped, StanzaError
from imsuite.xmpp.stanza import Stanza, iq_set, make, result

MOST_PUSHES = 500  # with which one roster is brought up to date; for more it is sent whole
LARGEST_REQUEST = 16_384  # bytes of a subscription request that is kept whole
OFFER = b"<ver xmlns='urn:xmpp:features:rosterver'/><sub xmlns='urn:xmpp:features:pre-approval'/>"


@attrs.frozen
class Options:
    """[features.roster]"""

    items: int = option(2000, "Most contacts in one roster.", ge(1))
    requests: int = option(500, "Most subscription requests that may wait for one account.", ge(1))
    name: int = option(1023, "Longest name of a contact or group, characters.", ge(1))
    groups: int = option(64, "Most groups one contact may be in.", ge(1))


@implementer(IRoster, ILoaded)
class RosterFeature(StreamFeature):
    """Keep each account's contacts, and who may see whose presence."""

    spec = "RFC 6121"
    requires = (IPresence,)
    options: Options
    needs = Phase.AUTHENTICATED
    forbids = Phase.BOUND
    rank = 40
    tables = TABLES

    def __init__(self, host: Host, options: Options) -> None:
        super().__init__(host, options)
        self._kept: Kept[Roster] = host.keep(self)
        self._limits = rules.Limits(options.name, options.name, options.groups)
        host.add_stream_feature(self)

    def offer(self, stream: ClientStream) -> bytes:
        """§2.6.1, §3.4.1"""
        return OFFER

    @cached_property
    def _presence(self) -> Any:  # what provides IPresence
        return self.host.find_feature(IPresence)

    @cached_property
    def _blocking(self) -> Any:  # what provides IBlocking, or None
        return self.host.find_feature(IBlocking)

    def _blocks(self, account: Account, contact: str) -> bool:
        """Tell whether nothing goes to or comes from a contact (XEP-0191 §3.3)."""
        return self._blocking is not None and self._blocking.blocks(account, parse(contact))

    def load(self, cursor: Any, account: str) -> Roster:
        """Return the roster of an account."""
        return load(cursor, account)

    # for other features

    def item(self, account: Account, contact: str) -> RosterItem | None:
        """Return the item of a bare JID, or None."""
        return self._kept.of(account).items.get(contact)

    def items(self, account: Account) -> Iterable[RosterItem]:
        """Return all items."""
        return self._kept.of(account).items.values()

    def state(self, account: Account, contact: str) -> State:
        """Return the state of the subscription to and from a bare JID."""
        return self._kept.of(account).state(contact)

    def subscribers(self, account: Account) -> tuple[str, ...]:
        """Return who receives the account's presence."""
        items = self._kept.of(account).items
        return tuple(contact for contact, item in items.items() if item.state.from_)

    def subscriptions(self, account: Account) -> tuple[str, ...]:
        """Return whose presence the account receives."""
        items = self._kept.of(account).items
        return tuple(contact for contact, item in items.items() if item.state.to)

    # the roster

    @answers("get", NS.ROSTER, "query", At.SELF)
    async def get(self, request: Passing) -> Stanza | None:
        """§2.2, §2.6.3"""
        account, session = request.account, request.session
        roster = self._kept.of(account)
        query = request.stanza.payload
        assert query is not None
        if session is not None:
            session.interested = True
            session.changed()
        kind, since = rules.fetch(query.getAttribute("ver"), roster.version, roster.oldest)
        if kind is Fetch.CHANGES and session is not None:
            changed = await self._changes(account, since)
            if len(changed) <= MOST_PUSHES:
                session.send(result(request.stanza))
                for element, version in changed:
                    self._push_to(session, element, version)
                return None
            kind = Fetch.WHOLE
        if kind is Fetch.CURRENT:
            return result(request.stanza)
        whole = None if kind is Fetch.PLAIN else roster.version
        elements = tuple(map(rules.to_element, roster.items.values()))
        return result(request.stanza, rules.query_element(elements, whole))

    async def _changes(self, account: Account, since: int) -> list[tuple[Element, int]]:
        rows = await self.host.store.query(
            "SELECT contact, version FROM roster WHERE account = ? AND version > ?"
            " ORDER BY version LIMIT ?",
            account.bare,
            since,
            MOST_PUSHES + 1,
        )
        items = self._kept.of(account).items
        return [
            (
                # as it is now: another session may have changed it meanwhile
                rules.to_element(items[contact])
                if contact in items
                else rules.removed_element(parse(contact)),
                version,
            )
            for contact, version in rows
        ]

    @answers("set", NS.ROSTER, "query", At.SELF)
    async def set(self, request: Passing) -> Stanza | None:
        """§2.3, §2.4, §2.5"""
        account, query = request.account, request.stanza.payload
        assert query is not None
        wanted = rules.parse_set(query, self._limits, account.jid)
        contact = wanted.jid.bare
        async with account.turn:
            roster = self._kept.of(account)
            old = roster.items.get(contact)
            if wanted.remove:
                item = rules.check_removal(old)
                await self._save(account, item, removed=True)
            else:
                if old is None and len(roster.items) >= self.options.items:
                    raise StanzaError("resource-constraint", text="the roster is full")
                item = rules.apply(old, wanted)
                if old is None:
                    item = attrs.evolve(item, state=roster.state(contact))
                await self._save(account, item)
            # still in turn, so that pushes come in the order of the changes (§2.6.3)
            self.host.answer(request, result(request.stanza))
            self._push(account, item, wanted.remove)
        # what fails from here on is no longer the client's to know: it has its answer
        if wanted.remove:
            await self._cancel(account, item)
        change = RosterChange(account, item, wanted.remove)
        await self.host.spawn(self.host.switch(ROSTER_CHANGED).tell(change))
        return None

    @answers("get", NS.ROSTER, "query", At.ACCOUNT | At.NOBODY)
    def get_of_other(self, request: Passing) -> Stanza:
        """§2.1.3: nobody reads another's roster."""
        raise StanzaError("forbidden")

    @answers("set", NS.ROSTER, "query", At.ACCOUNT | At.NOBODY)
    def set_of_other(self, request: Passing) -> Stanza:
        """§2.3.3: nobody writes another's roster."""
        raise StanzaError("forbidden")

    async def _cancel(self, account: Account, item: RosterItem) -> None:
        """§2.5.2: removing a contact ends the subscriptions."""
        contact = item.jid.bare
        for kind in subscription.removal(item.state):
            if kind == "unsubscribed" and item.state.from_:
                self._presence.hide(account, contact)
            await self._route_quietly(account, make("presence", {"type": kind, "to": contact}))

    # subscriptions

    @on(OUTGOING, Stage.AMEND, kind="presence", type=KINDS)
    async def outbound(self, passing: Passing) -> None:
        """§3.1.2, §3.2.2, §3.3.2, A.2: a client asks, answers or takes back."""
        account, stanza = passing.account, passing.stanza
        if stanza.to is None:
            raise StanzaError("bad-request", text="there is no to")
        to = parse(stanza.to).to_bare()
        kind = str(stanza.type)
        if to.bare == account.bare:
            raise Dropped
        async with account.turn:
            outcome = await self._decide(account, to, kind, subscription.outbound, None)
        if outcome.unavailable:
            self._presence.hide(account, to.bare)
        try:
            if outcome.route:
                await self._route(account, stanza.amended({"to": to.bare}))
        finally:
            await self._after(account, to, outcome)
        raise Dropped  # it has gone its way already, between the other effects

    @takes("presence", *KINDS, at=At.ACCOUNT)
    async def inbound(self, passing: Passing) -> None:
        """§3.1.3, §3.1.6, §3.2.3, §3.3.3, A.3: a contact asks, answers or takes back."""
        account, stanza = passing.account, passing.stanza
        contact, kind = passing.sender.to_bare(), str(stanza.type)
        addressed = stanza.amended({"from": contact.bare, "to": account.bare})
        async with account.turn:
            outcome = await self._decide(account, contact, kind, subscription.inbound, addressed)
        if outcome.deliver:
            wanted = account.available if kind == "subscribe" else account.sessions.values()
            for session in list(wanted):
                if kind == "subscribe" or session.interested:
                    session.send(addressed)
        if outcome.answer is not None:
            answer = make("presence", {"type": outcome.answer, "to": contact.bare})
            await self._route_quietly(account, answer)
        await self._after(account, contact, outcome)

    async def _decide(
        self, account: Account, contact: JID, kind: str, table: Any, request: Stanza | None
    ) -> Outcome:
        """Ask the table, and write down what follows. The caller holds the account's turn."""
        if self.host.accounts.get(account.jid.local) is not account:
            raise Dropped  # it was removed while this waited
        roster = self._kept.of(account)
        item = roster.items.get(contact.bare)
        state = roster.state(contact.bare)
        outcome: Outcome = table(kind, state, item is not None and item.approved)
        pending: Stanza | None = None
        if outcome.request is Request.STORE:
            if len(roster.requests) >= self.options.requests:
                raise Dropped
            assert request is not None
            pending = request if len(request.raw) <= LARGEST_REQUEST else _emptied(request)
        new = item
        if item is not None or outcome.push:
            if item is None and len(roster.items) >= self.options.items:
                raise StanzaError("resource-constraint", text="the roster is full")
            new = attrs.evolve(
                item or RosterItem(contact), state=outcome.state, approved=outcome.approved
            )
        await self._save(
            account, new if new != item else None, contact.bare, pending, outcome.request
        )
        return outcome

    async def _after(self, account: Account, contact: JID, outcome: Outcome) -> None:
        """Do what comes last in an outcome."""
        item = self.item(account, contact.bare)
        if outcome.push and item is not None:
            self._push(account, item)
            await self.host.switch(SUBSCRIPTION_CHANGED).tell(RosterChange(account, item))
        # as it is now: something else may have changed it meanwhile
        item = self.item(account, contact.bare)
        subscribed = item is not None and item.state.from_
        if outcome.available and subscribed:
            self._presence.show(account, contact.bare)
        if outcome.gone and not subscribed:
            self._presence.hide(account, contact.bare)

    async def _route(self, account: Account, stanza: Stanza) -> None:
        """Send a subscription stanza in the name of the account (§3.1.2: from its bare JID)."""
        stamped = stanza.amended({"from": account.bare})
        if self._blocks(account, stanza.to or ""):
            return
        passing = Passing(stamped, account, account.jid)
        try:
            later = self.host.router.route(passing)
            if later is not None:
                await later
            passing.complete()
        except Dropped:
            pass

    async def _route_quietly(self, account: Account, stanza: Stanza) -> None:
        """Send a subscription stanza of which nobody waits to hear."""
        try:
            await self._route(account, stanza)
        except StanzaError:
            pass  # the contact's server is not there: the roster says what is so all the same

    @on(AVAILABLE)
    def show_requests(self, session: Session) -> None:
        """§3.1.3: what waits for an answer is shown until it has one."""
        account = session.account
        for contact, raw in self._kept.of(account).requests.items():
            if not self._blocks(account, contact):
                session.send(Stanza.parse(raw))

    @on(ACCOUNT_DELETED)
    async def account_deleted(self, account: Account) -> None:
        """XEP-0077 §3.2: contacts learn that the account is gone."""
        roster = self._kept.of(account)
        async with account.turn:
            waiting = [c for c in roster.requests if c not in roster.items]
            for item in list(roster.items.values()):
                await self._cancel(account, item)
            for contact in waiting:
                item = RosterItem(parse(contact), state=State.NONE_PENDING_IN)
                await self._cancel(account, item)
            roster.items.clear()
            roster.requests.clear()

    # storage and pushes

    async def _save(
        self,
        account: Account,
        item: RosterItem | None,
        contact: str = "",
        pending: Stanza | None = None,
        request: Request = Request.KEEP,
        *,
        removed: bool = False,
    ) -> None:
        """Write an item and what becomes of a request, then change what is in memory."""
        roster = self._kept.of(account)
        if item is None and request is Request.KEEP:
            return
        if removed:
            assert item is not None
            contact, request = item.jid.bare, Request.FORGET
        now = int(self.host.clock.seconds() * 1_000_000)
        version = max(roster.version + 1, now) if item is not None else roster.version
        oldest = roster.oldest if roster.oldest > 1 else version - 1
        if account.temporary:
            oldest = version  # nothing is written down from which to tell what changed
        if not account.temporary:
            raw = None if pending is None else pending.raw
            oldest = await self.host.store.transaction(
                write, account.bare, item, removed, version, oldest, contact, request, raw
            )
        if item is not None:
            if removed:
                roster.items.pop(item.jid.bare, None)
            else:
                roster.items[item.jid.bare] = item
            roster.version, roster.oldest = version, oldest
        if request is Request.STORE and pending is not None:
            roster.requests[contact] = pending.raw
        elif request is Request.FORGET:
            roster.requests.pop(contact, None)

    def _push(self, account: Account, item: RosterItem, removed: bool = False) -> None:
        """§2.1.6: to the resources that asked for the roster."""
        element = rules.removed_element(item.jid) if removed else rules.to_element(item)
        version = self._kept.of(account).version
        for session in list(account.sessions.values()):
            if session.interested:
                self._push_to(session, element, version)

    def _push_to(self, session: Session, element: Element, version: int) -> None:
        query = rules.query_element((element,), version)
        session.send(iq_set(None, session.full, secrets.token_hex(6), query))


def _emptied(request: Stanza) -> Stanza:
    """Return a request without what is in it: strangers may ask, and not fill the store."""
    kept = {name: request.attrs.get(name) for name in ("type", "from", "to")}
    return make("presence", kept)
