"""From a name that was proved to an account: the realm and the portal of a host (twisted.cred)."""

from __future__ import annotations

import os
import uuid
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

import attrs
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred
from zope.interface import Interface, implementer

from imsuite.rules.sasl import Condition, authorized, identity
from imsuite.xmpp.address import InvalidAddress
from imsuite.xmpp.errors import ImsuiteError

Logout = Callable[[], None]
# an avatar can be of whatever class its interface allows
Login = tuple[Any, Logout]


class LoginRefused(ImsuiteError):
    """The credentials are right and the account must not be used all the same.

    condition: what the client is told: "account-disabled", "credentials-expired",
    "invalid-authzid" or "temporary-auth-failure" (RFC 6120 §6.5).
    """

    def __init__(self, condition: Condition) -> None:
        super().__init__(condition)
        self.condition = condition


class TwoCheckers(ImsuiteError):
    """Two checkers of a host want to check the same kind of credentials."""


class MakeAccount(Protocol):
    """Gives the avatar of a localpart and the function that ends its session.

    temporary: an anonymous account, to be forgotten when its session ends (XEP-0175 §3).
    May raise LoginRefused.
    """

    def __call__(self, localpart: str, *, temporary: bool) -> Awaitable[Login]:
        """Return (avatar, logout)."""


@attrs.define
class Claim:
    """The `mind` of a login: what the client claims to be beyond its name.

    authzid: as it came, "" if none; localpart: of the account, once the realm has found it.
    """

    authzid: str = ""
    localpart: str = ""


@implementer(IRealm)
@attrs.define
class HostRealm:
    """The accounts of one host.

    interface: what the avatars provide; random: gives that many random octets.
    """

    domain: str  # normalised
    interface: type[Interface]
    make_account: MakeAccount
    random: Callable[[int], bytes] = os.urandom

    def requestAvatar(
        self, avatarId: bytes | str | tuple[()], mind: object, *interfaces: type[Interface]
    ) -> Deferred[tuple[type[Interface], object, Logout]]:
        """Return (interface, account, logout); logout ends the session.

        avatarId: a localpart, or () for somebody anonymous; mind: a `Claim` or None.
        Fails with LoginRefused, InvalidAddress if a checker returned something else, or
        NotImplementedError, as cred demands, for other interfaces.
        """
        return Deferred.fromCoroutine(self._avatar(avatarId, mind, interfaces))

    async def _avatar(
        self, name: bytes | str | tuple[()], mind: object, interfaces: tuple[type[Interface], ...]
    ) -> tuple[type[Interface], Any, Logout]:
        if self.interface not in interfaces:
            raise NotImplementedError(f"no avatars but {self.interface.__name__}")
        local = self._localpart(name)
        if isinstance(mind, Claim):
            # RFC 6120 §6.3.8: one acts as oneself only
            if not authorized(mind.authzid, local, self.domain):
                raise LoginRefused("invalid-authzid")
            mind.localpart = local
        avatar, logout = await self.make_account(local, temporary=name == ())
        return self.interface, avatar, logout

    def _localpart(self, name: bytes | str | tuple[()]) -> str:
        if isinstance(name, tuple):
            # XEP-0175 §3: a UUID
            return str(uuid.UUID(bytes=self.random(16), version=4))
        text = name.decode("utf-8") if isinstance(name, bytes) else name
        if "@" in text:
            raise InvalidAddress("a checker has to answer with a localpart")
        return identity(text, self.domain)


def make_portal(realm: IRealm, checkers: Iterable[ICredentialsChecker]) -> Portal:
    """Return the portal of a host.

    Raises TwoCheckers where twisted.cred would silently take the last one.
    """
    portal = Portal(realm)
    for checker in checkers:
        for interface in checker.credentialInterfaces:
            if interface in portal.checkers:
                raise TwoCheckers(
                    f"{type(checker).__name__} and {type(portal.checkers[interface]).__name__}"
                    f" both check {interface.__name__}: configure one of them"
                )
        portal.registerChecker(checker)
    return portal
