"""Who checks credentials: our own accounts, or any ICredentialsChecker of twisted.cred.

What a checker lists in `credentialInterfaces` decides what is offered:

    IScramCredentials   SCRAM, and -PLUS
    IUsernamePassword   PLAIN
    IAnonymous          ANONYMOUS, if the host's option allows it as well

so a host with twisted's FilePasswordDB offers PLAIN alone. Such a checker receives the
username as the localpart in UTF-8 (`b"romeo"`), the password as the client sent it, and its
answer is taken for a localpart.
"""

from __future__ import annotations

import hmac
from functools import cached_property
from typing import Any

import attrs
from twisted.cred.credentials import IAnonymous, IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from zope.interface import implementer

from imsuite.auth.iauth import IAccounts, IScramChecker, IScramCredentials
from imsuite.auth.secrets import (
    ITERATIONS,
    Hasher,
    InvalidVerifiers,
    Verifiers,
    check_password,
    invent_verifier,
    invent_verifiers,
)
from imsuite.rules import scram
from imsuite.rules.sasl import Failure
from imsuite.rules.scram import Verifier
from imsuite.xmpp.address import InvalidAddress, localpart


@implementer(IUsernamePassword)
@attrs.frozen
class PlainCredentials:
    """What came with PLAIN. username: the localpart, password: as it came; both UTF-8."""

    username: bytes
    password: bytes = attrs.field(repr=False)

    def checkPassword(self, password: bytes) -> bool:
        """Compare with a password in clear, for checkers that keep such."""
        return hmac.compare_digest(self.password, password)


@implementer(IScramCredentials)
@attrs.define
class ScramCredentials:
    """The last message of a SCRAM client, and the challenge it answers."""

    username: str
    challenged: scram.State = attrs.field(repr=False)
    message: bytes = attrs.field(repr=False)
    effect: scram.Effect = attrs.field(
        default=Failure("not-authorized", "nobody checked the proof"), init=False, repr=False
    )

    def proved(self) -> bool:
        """Check the proof; `effect` then holds the answer to the client."""
        _, self.effect = scram.step(self.challenged, self.message)
        return isinstance(self.effect, scram.Proved)


@implementer(IAnonymous)
class AnonymousCredentials:
    """Somebody who does not say who they are (RFC 4505)."""


@implementer(IScramChecker)
@attrs.define
class StoreChecker:
    """Checks against the verifiers of our own accounts.

    secret: 16 octets or more, for names without account, the same after a restart;
    iterations: what new passwords get, and therefore what such names seem to have; domain: of
    the host: where hosts share a secret, one name must not have the same salt on both.

    An account that lacks the hash of a mechanism, having been imported, looks like an unknown
    one to that mechanism: only so does the answer tell nobody which accounts there are.
    """

    accounts: IAccounts
    hasher: Hasher
    secret: bytes = attrs.field(repr=False)
    iterations: int = ITERATIONS
    domain: str = ""

    credentialInterfaces = (IScramCredentials, IUsernamePassword)
    _log = Logger()

    async def verifier(self, username: str, name: str) -> tuple[Verifier, bool]:
        """Return the verifier for a challenge and whether it is real (`IScramChecker`)."""
        invented = invent_verifier(self.secret, self._named(username), self.iterations, name)
        text = await self.accounts.verifiers(username)
        # an unknown name costs what a known one does: something is parsed either way
        kept = self._parsed(self._stand_in if text is None else text, username)
        if text is not None and kept is not None and name in kept.by_hash:
            return kept.by_hash[name], True
        return invented, False

    def requestAvatarId(self, credentials: Any) -> Deferred[bytes | tuple[()]]:
        """Return the localpart, in UTF-8. Fails with UnauthorizedLogin, or TooBusy.

        credentials: as cred has it, something that provides one of `credentialInterfaces`.
        """
        if not IScramCredentials.providedBy(credentials):
            return Deferred.fromCoroutine(self._check(credentials.username, credentials.password))
        if credentials.proved():
            return succeed(credentials.username.encode("utf-8"))
        return fail(UnauthorizedLogin())

    async def _check(self, username: bytes, password: bytes) -> bytes | tuple[()]:
        try:
            name, text = localpart(username.decode("utf-8")), password.decode("utf-8")
        except (UnicodeDecodeError, InvalidAddress):
            raise UnauthorizedLogin from None
        kept, known = await self._verifiers(name)
        if await self.hasher(check_password, kept, text) and known:
            return name.encode("utf-8")
        raise UnauthorizedLogin

    async def _verifiers(self, username: str) -> tuple[Verifiers, bool]:
        """Return verifiers, real or invented, and whether they are real, in the same time."""
        invented = invent_verifiers(self.secret, self._named(username), self.iterations)
        text = await self.accounts.verifiers(username)
        kept = self._parsed(self._stand_in if text is None else text, username)
        return (invented, False) if text is None or kept is None else (kept, True)

    def _parsed(self, text: str, username: str) -> Verifiers | None:
        try:
            return Verifiers.parse(text)
        except InvalidVerifiers as why:
            self._log.error("verifiers of {account}: {why}", account=username, why=str(why))
            return None

    def _named(self, username: str) -> str:
        return f"{username}@{self.domain}"

    @cached_property
    def _stand_in(self) -> str:
        return invent_verifiers(self.secret, "", self.iterations).text()
