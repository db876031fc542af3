"""XEP-0191: Blocking Command."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable
from functools import cached_property
from typing import Any

import attrs
from twisted.words.xish.domish import Element
from zope.interface import implementer

from imsuite.core.account import Account, Kept
from imsuite.core.feature import At, Feature, answers, on
from imsuite.core.hooks import INCOMING, OUTGOING, UNBOUND, Passing, Stage
from imsuite.core.host import Host
from imsuite.core.interfaces import IBlocking, ILoaded, IPresence, IRoster, ISessionState, Table
from imsuite.core.options import ge, option
from imsuite.core.session import Session
from imsuite.xmpp.address import JID, parse
from imsuite.xmpp.errors import Dropped, StanzaError
from imsuite.xmpp.stanza import Stanza, iq_set, make, result
from imsuite.xmpp.stanza import children as children_of

NS_BLOCKING = "urn:xmpp:blocking"
NS_ERRORS = "urn:xmpp:blocking:errors"
_ANSWERS = frozenset(("error", "result"))


@attrs.frozen
class Options:
    """[features.blocking]"""

    longest: int = option(1000, "Most addresses in one block list.", ge(1))


@attrs.define
class BlockList:
    """What is kept of a loaded account.

    jids: what it blocks, prepared; fetched_by: the sessions that asked for the list, and so
    receive pushes.
    """

    jids: frozenset[str] = frozenset()
    fetched_by: set[Session] = attrs.field(factory=set)


@implementer(IBlocking, ILoaded, ISessionState)
class Blocking(Feature):
    """Let an account refuse traffic from and to some addresses."""

    spec = "XEP-0191 1.3"
    advertises = {At.HOST: (NS_BLOCKING,)}
    requires = (IRoster, IPresence)
    options: Options
    tables = (
        Table(
            "block",
            (
                """CREATE TABLE block (
                    account TEXT NOT NULL,  -- bare JID
                    jid TEXT NOT NULL,      -- what it blocks
                    PRIMARY KEY (account, jid))""",
            ),
        ),
    )

    def __init__(self, host: Host, options: Options) -> None:
        super().__init__(host, options)
        self._kept: Kept[BlockList] = host.keep(self)

    @cached_property
    def _roster(self) -> Any:  # what provides IRoster
        return self.host.find_feature(IRoster)

    @cached_property
    def _presence(self) -> Any:  # what provides IPresence
        return self.host.find_feature(IPresence)

    def load(self, cursor: Any, account: str) -> BlockList:
        """Return the block list of an account."""
        if cursor is None:
            return BlockList()
        cursor.execute("SELECT jid FROM block WHERE account = ?", (account,))
        return BlockList(frozenset(jid for (jid,) in cursor.fetchall()))

    def blocks(self, account: Account, jid: JID) -> bool:
        """Tell whether the account blocks that address."""
        blocked = self._kept.of(account).jids
        # §5: from one resource to another nothing is ever blocked
        return bool(blocked) and matches(blocked, jid) and jid.bare != account.bare

    # what is blocked

    @on(INCOMING, Stage.GUARD)
    def guard_incoming(self, passing: Passing) -> None:
        """§3.3: nothing from a blocked address reaches the account, which seems to be offline."""
        if not passing.account.kept[self._kept.place].jids:  # for every stanza: no call
            return
        if not self.blocks(passing.account, passing.sender):
            return
        stanza = passing.stanza
        if stanza.kind == "presence" or stanza.type in _ANSWERS:
            raise Dropped
        raise StanzaError("service-unavailable")

    @on(OUTGOING, Stage.GUARD)
    def guard_outgoing(self, passing: Passing) -> None:
        """§3.3: nothing goes from the account to a blocked address."""
        if not passing.account.kept[self._kept.place].jids:  # for every stanza: no call
            return
        to = passing.stanza.to
        if to is not None and self.blocks(passing.account, parse(to)):
            raise StanzaError("not-acceptable", type="cancel", app=(NS_ERRORS, "blocked"))

    # the list

    @answers("get", NS_BLOCKING, "blocklist", At.SELF)
    def get(self, request: Passing) -> Stanza:
        """§3.2: who asks is told of changes from now on."""
        kept = self._kept.of(request.account)
        if request.session is not None:
            kept.fetched_by.add(request.session)
            request.session.changed()
        return result(request.stanza, _element("blocklist", sorted(kept.jids)))

    def freeze(self, session: Session) -> bool | None:
        """Return whether the session receives pushes."""
        return session in self._kept.of(session.account).fetched_by or None

    def thaw(self, session: Session, value: bool) -> None:
        """Send pushes to a session that was restored."""
        self._kept.of(session.account).fetched_by.add(session)

    @on(UNBOUND)
    def forget_session(self, session: Session) -> None:
        """Send no more pushes to a session that ended."""
        self._kept.of(session.account).fetched_by.discard(session)

    @answers("set", NS_BLOCKING, "block", At.SELF)
    async def block(self, request: Passing) -> None:
        """§3.3"""
        wanted = _items(request.stanza)
        if not wanted:
            raise StanzaError("bad-request", text="there is nothing to block")
        account = request.account
        async with account.turn:
            before = self._kept.of(account).jids
            after = before.union(wanted)
            if len(after) > max(len(before), self.options.longest):
                raise StanzaError("resource-constraint", text="the block list is full")
            await self._save(account, added=after - before)
            self._hide(account, before, after)
            self._kept.of(account).jids = after
        self.host.answer(request, result(request.stanza))
        self._push(account, "block", wanted)
        self._take_from_view(account, before, after)

    @answers("set", NS_BLOCKING, "unblock", At.SELF)
    async def unblock(self, request: Passing) -> None:
        """§3.4; without items everything is unblocked (§3.5)."""
        wanted = _items(request.stanza)
        account = request.account
        async with account.turn:
            before = self._kept.of(account).jids
            after = before.difference(wanted) if wanted else frozenset()
            await self._save(account, removed=before - after)
            self._kept.of(account).jids = after
        self.host.answer(request, result(request.stanza))
        self._push(account, "unblock", wanted)
        self._show(account, before, after)

    async def _save(
        self,
        account: Account,
        added: Collection[str] = (),
        removed: Collection[str] = (),
    ) -> None:
        if account.temporary or not (added or removed):
            return
        await self.host.store.transaction(_write, account.bare, added, removed)

    def _push(self, account: Account, name: str, jids: Iterable[str]) -> None:
        """§3.3, §3.4: to the resources that asked for the list."""
        for session in list(self._kept.of(account).fetched_by):
            id = secrets.token_hex(6)
            session.send(iq_set(None, session.full, id, _element(name, jids)))

    # presence

    def _hide(self, account: Account, before: Collection[str], after: Collection[str]) -> None:
        """§3.3: who is about to be blocked sees the user go offline."""
        for to in self._changed(account, after, before):
            self._presence.hide(account, to)
        for session in account.sessions.values():
            others = [to for to in session.directed or () if parse(to).bare != account.bare]
            for to in _matching(others, after, before):
                session.directed.discard(to)  # type: ignore[union-attr]  # it had it
                attributes = {"type": "unavailable", "from": session.full, "to": to}
                self.host.send(make("presence", attributes))

    def _take_from_view(
        self, account: Account, before: Collection[str], after: Collection[str]
    ) -> None:
        """XEP-0016 §2.10, which applies to what §5 leaves open: the user sees them go, too."""
        for contact in _matching(self._roster.subscriptions(account), after, before):
            for session in account.available:
                attributes = {"type": "unavailable", "from": contact, "to": session.full}
                session.send(make("presence", attributes))

    def _show(self, account: Account, before: Collection[str], after: Collection[str]) -> None:
        """§3.4: who was blocked sees the user's presence; the user asks for theirs."""
        for to in self._changed(account, before, after):
            self._presence.show(account, to)
        if any(account.available):
            for contact in _matching(self._roster.subscriptions(account), before, after):
                attributes = {"type": "probe", "from": account.bare, "to": contact}
                self.host.send(make("presence", attributes))

    def _changed(
        self, account: Account, blocked: Collection[str], allowed: Collection[str]
    ) -> list[str]:
        """Return who receives the account's presence, and is in one list and not the other."""
        contacts = self._roster.subscribers(account)
        resources = [jid for jid in blocked if "/" in jid and parse(jid).bare in contacts]
        return _matching((*contacts, *resources), blocked, allowed)


def matches(blocked: Collection[str], jid: JID) -> bool:
    """Tell whether a list holds an address, its bare JID, or its domain (§6).

    An item "domain/resource" is the address of that resource of the domain itself.
    """
    return jid.full in blocked or jid.bare in blocked or jid.domain in blocked


def _matching(jids: Iterable[str], blocked: Collection[str], allowed: Collection[str]) -> list[str]:
    """Return the addresses that match the first list and not the second."""
    return [
        jid for jid in jids if matches(blocked, parse(jid)) and not matches(allowed, parse(jid))
    ]


def _items(request: Stanza) -> tuple[str, ...]:
    """Return the addresses in a request, each once. Raises StanzaError."""
    payload = request.payload
    assert payload is not None
    found: dict[str, None] = {}
    for item in children_of(payload, NS_BLOCKING, "item"):
        jid = item.getAttribute("jid")
        if jid is None:
            raise StanzaError("bad-request", text="an item has no jid")
        found[parse(jid).full] = None
    return tuple(found)


def _element(name: str, jids: Iterable[str]) -> Element:
    element = Element((NS_BLOCKING, name))
    for jid in jids:
        element.addElement((NS_BLOCKING, "item"))["jid"] = jid
    return element


def _write(cursor: Any, account: str, added: Iterable[str], removed: Iterable[str]) -> None:
    cursor.executemany(
        "DELETE FROM block WHERE account = ? AND jid = ?", [(account, jid) for jid in removed]
    )
    cursor.executemany(
        "INSERT INTO block (account, jid) VALUES (?, ?)", [(account, jid) for jid in added]
    )
