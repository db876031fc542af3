"""Where a stanza goes, by the domain and the kind of its address (RFC 6120 §10, RFC 6121 §8)."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Protocol

from imsuite.core.feature import At
from imsuite.core.hooks import Passing
from imsuite.xmpp.address import JID, InvalidAddress, parse
from imsuite.xmpp.errors import StanzaError

if TYPE_CHECKING:
    from imsuite.core.host import Host
    from imsuite.core.session import Session

# presence that asks or answers about a subscription belongs to the account (RFC 6121 §8.5.2)
_TO_ACCOUNT = frozenset(("subscribe", "subscribed", "unsubscribe", "unsubscribed", "probe"))


class Route(Protocol):
    """Takes the stanzas of a domain that is no host: a component, other servers."""

    def receive(self, passing: Passing) -> Awaitable[None] | None:
        """Take one stanza. Raises StanzaError to refuse it."""

    def loading(self, jid: JID) -> Awaitable[object] | None:
        """Return what must be loaded before a message to that address can be handled at once."""


class Router:
    """The hosts, the services and the sessions of this server.

    sessions: by full JID; hosts, services: by domain; remote: takes what is for other
    servers, or None while there is no way to them.
    """

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self.hosts: dict[str, Host] = {}
        self.services: dict[str, Route] = {}
        self.remote: Route | None = None

    def route(self, passing: Passing) -> Awaitable[None] | None:
        """Take a stanza to its address; the result is awaitable if it must wait.

        Raises StanzaError where it can not be delivered.
        """
        stanza = passing.stanza
        to = stanza.attrs.get("to")
        target = self.sessions.get(to)  # type: ignore[arg-type]  # no session is named None
        if target is not None and not (
            stanza.kind == "presence" and stanza.attrs.get("type") in _TO_ACCOUNT
        ):
            passing.target = target
            passing.account = target.account
            return target.account.host.arrive(passing)
        if to is None:
            return passing.account.host.receive(passing, At.SELF)
        return self.route_to(passing, parse(to))

    def loading(self, to: str) -> Awaitable[object] | None:
        """Return what loads the account of an address, None if it is loaded or not one of ours."""
        try:
            jid = parse(to)
        except InvalidAddress:
            return None  # which whoever routes it will say
        host = self.hosts.get(jid.domain)
        if host is None:
            service = self.services.get(jid.domain)
            return None if service is None else service.loading(jid)
        if not jid.local or jid.local in host.accounts:
            return None
        return host.account(jid.local)

    def route_to(self, passing: Passing, jid: JID) -> Awaitable[None] | None:
        """Take a stanza to an address that no literal look-up found."""
        host = self.hosts.get(jid.domain)
        if host is not None:
            return host.find(passing, jid)
        route = self.services.get(jid.domain, self.remote)
        if route is None:
            raise StanzaError("remote-server-not-found")
        return route.receive(passing)
