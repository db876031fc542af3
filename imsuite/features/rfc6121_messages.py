"""RFC 6121 §5, §8: messages that are not for one session alone."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import cached_property
from typing import Any

from imsuite.core.account import Account
from imsuite.core.feature import At, Feature, on, takes
from imsuite.core.hooks import UNACKED, UNDELIVERED, Passing, Stage
from imsuite.core.interfaces import ICarbons, IOffline
from imsuite.core.session import Session
from imsuite.rules.delivery import Action, Address, verdict
from imsuite.xmpp.address import parse
from imsuite.xmpp.errors import Dropped, StanzaError
from imsuite.xmpp.stanza import delayed

TYPES = (None, "normal", "chat", "groupchat", "headline", "error")


class Messages(Feature):
    """Deliver messages to accounts, by the rules of §8."""

    spec = "RFC 6121"

    @cached_property
    def _offline(self) -> Any:  # what provides IOffline, or None
        return self.host.find_feature(IOffline)

    @cached_property
    def _carbons(self) -> Any:  # what provides ICarbons, or None
        return self.host.find_feature(ICarbons)

    @takes("message", *TYPES, at=At.ADDRESS | At.ABSENT)
    def deliver(self, passing: Passing) -> Awaitable[None] | None:
        """§8.5.2, §8.5.3.2"""
        account, type = passing.account, passing.stanza.type
        bare = _bare_address(account)
        to_absent = "/" in (passing.stanza.to or "")
        decided = verdict(Address.FULL_NOBODY if to_absent else bare, "message", type)
        if decided.action is Action.AS_BARE:
            decided = verdict(bare, "message", type)
        if decided.action is Action.NON_NEGATIVE:
            if self._offline is not None and self._offline.is_behind(passing):
                return self._store(passing)
            chosen = [session for session in account.available if session.priority >= 0]
            return self._deliver_to(passing, chosen)
        if decided.action is Action.STORE:
            return self._store(passing)
        if decided.action is Action.SILENCE:
            raise Dropped
        raise StanzaError(decided.condition or "service-unavailable")

    @on(UNACKED, Stage.AMEND, kind="message")
    def lost(self, passing: Passing) -> None:
        """§8.5.3.2.1, XEP-0198 §5: as if the resource that never got it had not been there.

        Who came later, and nobody else, gets it with the time it was sent.
        """
        stanza, account = passing.stanza, passing.account
        if stanza.type in ("error", "headline"):
            raise Dropped
        if stanza.type == "groupchat":
            raise StanzaError("recipient-unavailable")  # the room takes the ghost away
        others = [
            session
            for session in account.available
            if session.priority >= 0 and session.full != stanza.sender  # who has it anyway
        ]
        if not others:
            return
        came = passing.came or int(self.host.clock.seconds() * 1_000_000)
        for session in others:
            came_later = bool(passing.came) and session.born >= passing.came
            if came_later or not self._copied(passing, session):
                session.send(delayed(stanza, self.host.domain, came), passing.keep())
        raise Dropped

    def _copied(self, passing: Passing, session: Session) -> bool:
        """Tell whether a session got a message when another one was sent it."""
        to, lost = passing.stanza.to or "", passing.target
        if "/" not in to or lost is None or parse(to) != lost.jid:
            return True  # who was addressed was not there, so all got it (§8.5.3.2.1)
        return self._carbons is not None and bool(self._carbons.enabled(session))

    def _deliver_to(self, passing: Passing, sessions: list[Session]) -> Awaitable[None] | None:
        later = []
        for session in sessions:
            try:
                outcome = session.deliver(passing)
            except Dropped:
                continue  # this session does not get it
            if outcome is not None:
                later.append(outcome)
        return _all(later) if later else None

    def _store(self, passing: Passing) -> Awaitable[None] | None:
        """§8.5.2.2.1: keep it for later, or say that nobody can."""
        undelivered = self.host.switch(UNDELIVERED)
        if not undelivered.handlers(passing.stanza):
            raise StanzaError("service-unavailable")
        return undelivered.run(passing)


def _bare_address(account: Account) -> Address:
    found = Address.BARE_NOBODY
    for session in account.available:
        if session.priority >= 0:
            return Address.BARE
        found = Address.BARE_NEGATIVE
    return found


async def _all(later: list[Awaitable[None]]) -> None:
    """Wait for each, also when one before it fails; then raise the last failure."""
    failed: Exception | None = None
    for outcome in later:
        try:
            await outcome
        except Dropped:
            pass
        except Exception as why:
            failed = why
    if failed is not None:
        raise failed
