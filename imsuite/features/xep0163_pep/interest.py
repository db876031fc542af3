"""XEP-0060 §9.2, XEP-0163 §4.2: who wants to hear of which nodes, by the word of their clients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from imsuite.core.account import Account
from imsuite.core.host import Host
from imsuite.core.interfaces import IBlocking, ICaps, IRoster
from imsuite.core.session import Session
from imsuite.xmpp.address import JID, parse

NOTIFY = "+notify"
MOST_CLIENTS = 1000  # different sets of features of which the nodes are remembered
MOST_NODES = 256  # that one client wants to hear of; the store is asked for each
NOTHING: frozenset[str] = frozenset()


class Interests:
    """Which nodes clients named in their verified capabilities, and how far those may hear of them.

    Only clients of this server are known. What a client on another server supports will be known
    where its presence arrives; that place adds to `of_contacts`.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._nodes: dict[frozenset[str], frozenset[str]] = {}  # by features
        self._asked: dict[Host, tuple[Any, Any]] = {}  # what provides ICaps and IBlocking, or None

    def known(self, session: Session) -> bool:
        """Tell whether it is known what a client wants."""
        return self._features(session) is not None

    def of(self, session: Session) -> frozenset[str]:
        """Return the nodes that a client wants to hear of; none while that is not known."""
        features = self._features(session)
        if features is None:
            return NOTHING
        nodes = self._nodes.get(features)
        if nodes is None:
            if len(self._nodes) >= MOST_CLIENTS:
                self._nodes.clear()
            end = -len(NOTIFY)
            names = [name[:end] for name in features if name.endswith(NOTIFY)]
            nodes = frozenset(sorted(names)[:MOST_NODES])
            self._nodes[features] = nodes
        return nodes

    def _features(self, session: Session) -> frozenset[str] | None:
        caps = self._ask(session.account.host)[0]
        return None if caps is None else caps.features(session)

    def _ask(self, host: Host) -> tuple[Any, Any]:
        found = self._asked.get(host)
        if found is None:
            found = host.find_feature(ICaps), host.find_feature(IBlocking)
            self._asked[host] = found
        return found

    def of_own(self, account: Account, node: str) -> Iterator[Session]:
        """Yield the account's own available sessions that want to hear of a node."""
        for session in account.available:
            if node in self.of(session):
                yield session

    def of_contacts(self, account: Account, node: str) -> Iterator[Session]:
        """Yield the sessions of those who see the account's presence that want to hear of a node.

        Whom either side blocks is left out (XEP-0163 §4.3.3).
        """
        roster = self._host.find_feature(IRoster)
        for contact in roster.subscribers(account):
            other = self._host_account(parse(contact))
            if other is None or not other.sessions:
                continue
            wanting = [session for session in other.available if node in self.of(session)]
            for session in wanting:
                if not self.parted(account, session):
                    yield session

    def _host_account(self, jid: JID) -> Account | None:
        """Return the account of an address of this server, if it is loaded."""
        host = self._host.router.hosts.get(jid.domain)
        return None if host is None else host.accounts.get(jid.local)

    def parted(self, account: Account, session: Session) -> bool:
        """Tell whether the account blocks a client of another, or that other blocks it."""
        other = session.account
        return self.blocks(account, session.jid) or self.blocks(other, account.jid)

    def blocks(self, account: Account, jid: JID) -> bool:
        """Tell whether an account blocks a JID (XEP-0191)."""
        blocking = self._ask(account.host)[1]
        return blocking is not None and bool(blocking.blocks(account, jid))
