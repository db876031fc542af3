"""RFC 6121 §4: presence."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import cached_property
from typing import Any

import attrs
from zope.interface import implementer

from imsuite.core.account import Account
from imsuite.core.feature import At, Feature, on, takes
from imsuite.core.hooks import (
    AVAILABLE,
    INCOMING,
    OUTGOING,
    REACHABLE,
    UNAVAILABLE,
    UNBOUND,
    Passing,
    Stage,
)
from imsuite.core.interfaces import IBlocking, IPresence, IRoster
from imsuite.core.options import ge, option
from imsuite.core.session import Session
from imsuite.rules import presence as rules
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import JID, parse
from imsuite.xmpp.errors import Dropped, StanzaError
from imsuite.xmpp.stanza import Stanza, delayed, make, quoted

Step = Callable[[Passing], Awaitable[None] | None]  # takes a stanza on

_NAME = len("<presence")
_OPENED = frozenset((f"{NS.CLIENT}}}priority", f"{NS.CLIENT}}}show"))


@attrs.frozen
class Options:
    """[features.presence]"""

    directed: int = option(
        1000, "Most addresses a session may send directed presence to at once.", ge(10)
    )


@implementer(IPresence)
class Presence(Feature):
    """Tell contacts who is online."""

    spec = "RFC 6121"
    requires = (IRoster,)
    options: Options

    @cached_property
    def _roster(self) -> Any:  # what provides IRoster
        return self.host.find_feature(IRoster)

    @cached_property
    def _blocking(self) -> Any:  # what provides IBlocking, or None
        return self.host.find_feature(IBlocking)

    # what clients send

    @takes("presence", None, "unavailable", at=At.SELF)
    def broadcast(self, passing: Passing) -> Awaitable[None] | None:
        """§4.2, §4.4, §4.5: presence without "to"; with one's own bare JID it is directed."""
        session, stanza = passing.session, passing.stanza
        if stanza.to is not None or session is None:
            return self.arrived(passing)
        if stanza.type == "unavailable":
            return self._leave(session, stanza)
        return self._appear(session, stanza)

    async def _appear(self, session: Session, stanza: Stanza) -> None:
        """§4.2.2, §4.4.2"""
        priority = 0
        if not _OPENED.isdisjoint(stanza.children):
            priority = rules.read(stanza.element).priority
        before = None if session.presence is None else session.priority
        follows = rules.available(before, priority)
        session.presence, session.priority = stanza, priority
        session.presence_since = self.host.clock.seconds()
        session.changed(hurry=before != priority)
        await self._tell(session, stanza, self._roster.subscribers(session.account))
        self._tell_own(session.account, stanza)
        if follows.others:
            for other in list(session.account.available):
                if other is not session:
                    session.send(_addressed(_delayed(other), session.account.bare))
        if follows.probe:
            for contact in self._roster.subscriptions(session.account):
                await self._ask(session, contact)
        if follows.requests:
            await self.host.switch(AVAILABLE).tell(session)
        if follows.offline:
            await self.host.switch(REACHABLE).tell(session)

    @on(UNBOUND)
    async def gone(self, session: Session) -> None:
        """§4.5.2: the server speaks for a client that just vanishes."""
        await self._leave(session, make("presence", {"type": "unavailable", "from": session.full}))

    async def _leave(self, session: Session, stanza: Stanza) -> None:
        """§4.5.2, §4.6.3"""
        account = session.account
        follows = rules.unavailable(None if session.presence is None else session.priority)
        directed, session.directed = session.directed, None
        session.presence = None
        session.changed()
        reached: tuple[str, ...] = ()
        if follows.subscribers:
            reached = self._roster.subscribers(account)
            await self._tell(session, stanza, reached)
        if follows.own:
            reached += (account.bare,)
            self._tell_own(account, stanza)
            if session.stream is not None:
                session.send(_addressed(stanza, account.bare))
        if directed:
            await self._tell(session, stanza, rules.farewell(directed, reached))
        if follows.own:
            await self.host.switch(UNAVAILABLE).tell(session)

    @on(OUTGOING, Stage.RECORD, kind="presence", type=(None, "unavailable"))
    def note(self, passing: Passing) -> None:
        """§4.6.3: keep in mind who was sent directed presence."""
        session, to = passing.session, passing.stanza.to
        if to is None or session is None:
            return
        jid = parse(to)
        if jid == session.jid:
            return
        if session.directed is None:
            session.directed = set()
        rules.note_directed(session.directed, jid, passing.stanza.type, self.options.directed)
        session.changed(hurry=False)

    # what comes in

    @takes("presence", None, "unavailable", "error", at=At.ACCOUNT)
    def arrived(self, passing: Passing) -> Awaitable[None] | None:
        """§8.5.2.1.2: to every available resource."""
        later = []
        for session in list(passing.account.available):
            if (outcome := self._quietly(session.deliver, passing)) is not None:
                later.append(outcome)
        return _all(later) if later else None

    @on(INCOMING, Stage.GUARD, kind="iq", type=("get", "set"))
    def guard_requests(self, passing: Passing) -> None:
        """§8.5.3.1: an IQ reaches a resource only if its user shares presence with the sender."""
        target, sender = passing.target, passing.sender
        if target is None or sender.bare == target.account.bare:
            return
        state = self._roster.state(target.account, sender.bare)
        if not rules.shares_presence(target.account.jid, sender, state, target.directed or ()):
            raise StanzaError("service-unavailable")

    # probes

    @takes("presence", "probe", at=At.ADDRESS)
    async def probed(self, passing: Passing) -> None:
        """§4.3.2"""
        account, prober = passing.account, passing.sender
        to = parse(passing.stanza.to or account.bare)
        sessions = {session.resource: session for session in account.available}
        answer = rules.answer_probe(
            self._roster.state(account, prober.bare),
            to.resource,
            sessions,
            own=prober.bare == account.bare,
            directed=any(_directed_to(session, prober) for session in sessions.values()),
        )
        for resource in answer.resources:
            await self._send(sessions[resource], _delayed(sessions[resource]), prober.full)
        if answer.unavailable or answer.refuse:
            type = "unavailable" if answer.unavailable else "unsubscribed"
            sender = to.full if answer.unavailable else account.bare
            self.host.send(make("presence", {"type": type, "from": sender, "to": prober.full}))

    @takes("presence", "probe", at=At.NOBODY)
    def probed_nobody(self, passing: Passing) -> None:
        """§8.5.1: as an account answers somebody whom it does not know."""
        sender = parse(passing.stanza.to or self.host.domain).bare
        to = passing.sender.full
        self.host.send(make("presence", {"type": "unsubscribed", "from": sender, "to": to}))

    async def _ask(self, session: Session, contact: str) -> None:
        """§4.3.1: find out whether a contact is online; ours need no probe."""
        account, jid = session.account, parse(contact)
        host = self.host.router.hosts.get(jid.domain)
        if host is None:
            probe = make("presence", {"type": "probe", "from": account.bare, "to": contact})
            self.host.send(probe)
            return
        other = host.accounts.get(jid.local)
        if other is None or not other.sessions:
            return
        roster = host.find_feature(IRoster)
        item = None if roster is None else roster.item(other, account.bare)
        if item is None or not item.state.from_:
            return
        blocking = host.find_feature(IBlocking)
        if blocking is not None and blocking.blocks(other, account.jid):
            return
        for theirs in list(other.available):
            stanza = _addressed(_delayed(theirs), account.bare)
            await self._reach(self.host.arrive, Passing(stanza, account, theirs.jid, None, session))

    # for other features

    def show(self, account: Account, contact: str) -> None:
        """Send the presence of every available session of the account to a bare JID."""
        for session in list(account.available):
            self.host.spawn(self._send(session, _delayed(session), contact))

    async def refresh(self, session: Session) -> None:
        """Tell a session who is there and who is not, as after a time without a server."""
        account = session.account
        for contact in self._roster.subscriptions(account):
            jid = parse(contact)
            host = self.host.router.hosts.get(jid.domain)
            other = None if host is None else host.accounts.get(jid.local)
            if host is not None and (other is None or not any(other.available)):
                session.send(
                    make("presence", {"type": "unavailable", "from": contact, "to": session.full})
                )
            else:
                await self._ask(session, contact)

    def hide(self, account: Account, contact: str) -> None:
        """Send unavailable presence of every available session to a bare JID."""
        for session in list(account.available):
            stanza = make("presence", {"type": "unavailable", "from": session.full})
            self.host.spawn(self._send(session, stanza, contact))

    # inside

    async def _tell(self, session: Session, stanza: Stanza, contacts: Iterable[str]) -> None:
        """Send a presence to each address, unless the account blocks it."""
        blocking, account = self._blocking, session.account
        router, sender = self.host.router, session.jid
        hosts = router.hosts
        raw, attributes, children = stanza.raw, stanza.attrs, stanza.children
        head, tail = raw[:_NAME], raw[_NAME:]
        waited = False
        for contact in contacts:
            if waited and stanza.type is None and not self._receives(account, contact):
                continue  # it was told that there is no presence any more
            jid = parse(contact)
            if blocking is not None and blocking.blocks(account, jid):
                continue
            step, to = router.route, account
            if jid.domain in hosts and jid.local and not jid.resource:
                found = hosts[jid.domain].accounts.get(jid.local)
                if found is None or not found.sessions:
                    continue  # nobody there is online
                step, to = self._spread, found
            one = Stanza(
                "presence",
                NS.CLIENT,
                {**attributes, "to": contact},
                children,
                b"%s to=%s%s" % (head, quoted(contact), tail),
            )
            later = self._quietly(step, Passing(one, to, sender))
            if later is not None:
                await later
                waited = True

    def _spread(self, passing: Passing) -> Awaitable[None] | None:
        """Take a presence to a local account: what the router does, in one step for each copy."""
        later = passing.account.host.incoming.run(passing)
        return self.arrived(passing) if later is None else self._spread_later(passing, later)

    async def _spread_later(self, passing: Passing, later: Awaitable[None]) -> None:
        await later
        after = self.arrived(passing)
        if after is not None:
            await after

    def _receives(self, account: Account, contact: str) -> bool:
        """Tell whether a contact is a subscriber of the account."""
        item = self._roster.item(account, contact)
        return item is not None and bool(item.state.from_)

    async def _send(self, session: Session, stanza: Stanza, to: str) -> None:
        """Send a presence of a session to one address."""
        if self._blocking is None or not self._blocking.blocks(session.account, parse(to)):
            passing = Passing(_addressed(stanza, to), session.account, session.jid)
            await self._reach(self.host.router.route, passing)

    async def _reach(self, step: Step, passing: Passing) -> None:
        later = self._quietly(step, passing)
        if later is not None:
            await later

    def _quietly(self, step: Step, passing: Passing) -> Awaitable[None] | None:
        """Let a presence go its way; nobody waits for an error, and others come after it."""
        try:
            later = step(passing)
        except Exception as why:
            self._failed(why)
            return None
        return None if later is None else self._wait_quietly(later)

    async def _wait_quietly(self, later: Awaitable[None]) -> None:
        try:
            await later
        except Exception as why:
            self._failed(why)

    def _failed(self, why: Exception) -> None:
        if not isinstance(why, StanzaError | Dropped):
            self.host.condition(why)  # logs what nobody foresaw

    def _tell_own(self, account: Account, stanza: Stanza) -> None:
        """Send a presence to the account's own available sessions."""
        addressed = _addressed(stanza, account.bare)
        for own in list(account.available):
            own.send(addressed)


def _addressed(stanza: Stanza, to: str) -> Stanza:
    return stanza.amended({"to": to})


def _delayed(session: Session) -> Stanza:
    """Return the last presence of a session, with the time it came (XEP-0203)."""
    assert session.presence is not None
    return delayed(session.presence, session.full, int(session.presence_since * 1_000_000))


def _directed_to(session: Session, jid: JID) -> bool:
    directed = session.directed
    return directed is not None and (jid.full in directed or jid.bare in directed)


async def _all(later: list[Awaitable[None]]) -> None:
    for outcome in later:
        await outcome
