"""RFC 6121 §5, §8: messages that are not for one session alone."""

from __future__ import annotations

from collections.abc import Awaitable

from imsuite.core.account import Account
from imsuite.core.feature import At, Feature, takes
from imsuite.core.hooks import UNDELIVERED, Passing
from imsuite.core.session import Session
from imsuite.rules.delivery import Action, Address, verdict
from imsuite.xmpp.errors import Dropped, StanzaError

TYPES = (None, "normal", "chat", "groupchat", "headline", "error")


class Messages(Feature):
    """Deliver messages to accounts, by the rules of §8."""

    spec = "RFC 6121"

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
            chosen = [session for session in account.available if session.priority >= 0]
            return self._deliver_to(passing, chosen)
        if decided.action is Action.STORE:
            return self._store(passing)
        if decided.action is Action.SILENCE:
            raise Dropped
        raise StanzaError(decided.condition or "service-unavailable")

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
