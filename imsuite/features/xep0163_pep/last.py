"""XEP-0163 §4.3.4: who is new gets the last items."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall

from imsuite.core.account import Account
from imsuite.core.host import Host
from imsuite.core.interfaces import IRoster
from imsuite.core.service_interfaces import INodes, IPep
from imsuite.core.session import Session
from imsuite.features.xep0163_pep.interest import Interests
from imsuite.xmpp.address import parse

MINUTE = 60.0  # seconds
MOST_GREETINGS = 6  # in a minute: each is a look at the store

if TYPE_CHECKING:
    from imsuite.features.xep0163_pep import Pep


class LastItems:
    """Sends last items to clients that came online, once it is known what they want."""

    def __init__(self, pep: Pep, interests: Interests) -> None:
        self._host = pep.host
        self._interests = interests
        self._greeted: set[Session] = set()
        self._began: dict[Session, tuple[float, int]] = {}  # when a minute began, greetings in it
        self._calls: dict[Session, IDelayedCall] = {}  # who has to wait

    def greeted(self, session: Session) -> bool:
        """Tell whether a session got what it gets for having come online."""
        return session in self._greeted

    def mark(self, session: Session) -> None:
        """Know that a session got that."""
        self._greeted.add(session)

    def forget(self, session: Session) -> None:
        """Let a session get it again when it comes online the next time."""
        if session in self._greeted:
            self._greeted.discard(session)
            session.changed(hurry=False)

    def greet(self, session: Session) -> None:
        """Send a session the last items if it is online, its wishes are known, and it has none.

        What it wants is mostly known some time after its first presence. Whatever changes later
        does not bring more (§4.3.3). Who has no link just now is looked at when it has.
        """
        if session.presence is None or session.stream is None or session in self._greeted:
            return
        if not self._interests.known(session) or not self._may_come(session):
            return
        self._greeted.add(session)
        session.changed(hurry=False)
        if self._interests.of(session):
            self._host.spawn(self._send_all(session))

    def _may_come(self, session: Session) -> bool:
        """Tell whether to greet a session now; who comes and goes all the time is, later."""
        if session in self._calls:
            return False
        now: float = self._host.clock.seconds()
        began, count = self._began.get(session, (now, 0))
        if now >= began + MINUTE:
            began, count = now, 0
        if count >= MOST_GREETINGS:
            wait = began + MINUTE - now
            self._calls[session] = self._host.clock.callLater(wait, self._greet_late, session)
            return False
        self._began[session] = began, count + 1
        return True

    def _greet_late(self, session: Session) -> None:
        del self._calls[session]
        self.greet(session)

    def end(self, session: Session) -> None:
        """Know nothing of a session any more: it ended."""
        self._began.pop(session, None)
        call = self._calls.pop(session, None)
        if call is not None:
            call.cancel()

    def stop(self) -> None:
        """Greet nobody any more."""
        for session in list(self._calls):
            self.end(session)

    async def _send_all(self, session: Session) -> None:
        """Send what the account itself and those whose presence it sees have published."""
        roster = self._host.find_feature(IRoster)
        services: dict[Host, list[str]] = {self._host: [session.account.bare]}
        for contact in roster.subscriptions(session.account):
            jid = parse(contact)
            host = self._host.router.hosts.get(jid.domain)
            if host is not None and jid.local:
                services.setdefault(host, []).append(jid.bare)
        for host, bares in services.items():
            await self._send_of(host, bares, session)

    async def _send_of(self, host: Host, bares: list[str], session: Session) -> None:
        """Send what accounts of one host have published."""
        nodes: Any = host.find_feature(INodes)
        pep: Any = host.find_feature(IPep)
        if nodes is None or pep is None:
            return
        found: dict[str, list[str]] = {}
        for bare, name in await nodes.waiting(bares, self._interests.of(session)):
            found.setdefault(bare, []).append(name)
        for bare, names in found.items():
            account = await host.account(parse(bare).local)
            if session.presence is None:
                return
            if account is None or self._interests.parted(account, session):
                continue
            await nodes.send_last(pep.site(account), session.jid, names)

    def introduce(self, account: Account, sessions: Iterable[Session]) -> None:
        """Send what an account has published to clients that may have it from now on."""
        for session in list(sessions):
            if self._interests.of(session) and not self._interests.parted(account, session):
                self._host.spawn(self._send_of(account.host, [account.bare], session))
