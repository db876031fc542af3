"""The SASL mechanisms, server side: SCRAM and -PLUS, PLAIN, ANONYMOUS (RFC 6120 §6).

A stream drives one like this, and handles nothing else of the client meanwhile:

    offer = authenticator.offer(channel)                 # when features are sent
    mechanism = authenticator.begin(name, channel, offer)       # <auth/>
    if isinstance(mechanism, Failure): …
    outcome = await mechanism.start(initial)             # initial: None, or octets
    while isinstance(outcome, Challenge):                # <challenge/> out, <response/> in
        outcome = await mechanism.respond(data)

and ends with a `Success` or a `Failure`. <abort/> is answered by the stream, which then
forgets the mechanism.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

import attrs
from twisted.cred.credentials import IAnonymous, ICredentials, IUsernamePassword
from twisted.cred.error import LoginFailed
from twisted.cred.portal import Portal
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from zope.interface import Interface

from imsuite.auth.checkers import AnonymousCredentials, PlainCredentials, ScramCredentials
from imsuite.auth.iauth import IScramCredentials
from imsuite.auth.limits import FailureLimits, TooManyFailures
from imsuite.auth.realm import Claim, LoginRefused
from imsuite.auth.secrets import TooBusy
from imsuite.rules import sasl, scram
from imsuite.rules.sasl import BINDINGS, Challenge, Failure, Offer, SaslOptions
from imsuite.xmpp.address import InvalidAddress
from imsuite.xmpp.errors import ImsuiteError

NONCE = 18  # random octets of our part of a SCRAM nonce


@attrs.frozen
class Success:
    """The client is who it says.

    localpart: of the account; avatar: what the realm made of it; logout: ends its session,
    to be called exactly once, also when the link is gone by now; data: for <success/>, or None.
    """

    localpart: str
    avatar: Any  # of the realm's interface
    logout: Callable[[], None]
    data: bytes | None = None


Outcome = Challenge | Success | Failure


class Bound(Protocol):
    """Something that gives channel-binding data: `TlsInfo` of a link."""

    def channel_binding(self, kind: str) -> bytes | None:
        """Return the data of that type, or None if the connection has none."""


@attrs.frozen
class Channel:
    """What SASL has to know about a connection.

    address: of the client, without port; bindings: channel-binding type → data.
    """

    address: str
    secure: bool
    bindings: Mapping[str, bytes] = attrs.field(factory=dict, repr=False)

    @classmethod
    def over(cls, address: str, tls: Bound | None) -> Channel:
        """Return the channel of a link; tls: None without TLS."""
        if tls is None:
            return cls(address, False)
        found = {kind: tls.channel_binding(kind) for kind in BINDINGS}
        return cls(address, True, {kind: data for kind, data in found.items() if data})


@attrs.define
class Authenticator:
    """Logs clients in to one host.

    domain: normalised; interface: what the realm's avatars provide; clock: the reactor;
    random: gives that many random octets.
    """

    domain: str
    portal: Portal
    interface: type[Interface]
    limits: FailureLimits
    clock: IReactorTime
    options: SaslOptions = attrs.field(factory=SaslOptions)
    random: Callable[[int], bytes] = os.urandom
    _known: SaslOptions | None = attrs.field(default=None, init=False)
    _checked: SaslOptions = attrs.field(factory=SaslOptions, init=False)

    _log = Logger()

    def offer(self, channel: Channel) -> Offer:
        """Return what to offer on a stream: what options, checkers and the channel allow."""
        options = self._possible()
        kinds = tuple(channel.bindings)
        names = sasl.offered(channel.secure, kinds, options)
        bound = any(name.endswith("-PLUS") for name in names)
        return Offer(names, sasl.usable_bindings(kinds, options) if bound else ())

    def begin(self, name: str, channel: Channel, offer: Offer) -> Mechanism | Failure:
        """Return a new mechanism, or why not. offer: what this stream was offered."""
        if name not in offer.mechanisms:
            return sasl.refusal(name, channel.secure, self._possible())
        if name == "PLAIN":
            return PlainMechanism(self, channel)
        if name == "ANONYMOUS":
            return AnonymousMechanism(self, channel)
        return ScramMechanism(self, channel, name, offer)

    def _possible(self) -> SaslOptions:
        """Return the options as far as there are checkers for them."""
        options, checkers = self.options, self.portal.checkers
        if self._known is not options:  # for every login; the checkers are there by then
            self._known = options
            self._checked = attrs.evolve(
                options,
                hashes=options.hashes if IScramCredentials in checkers else (),
                plain=options.plain and IUsernamePassword in checkers,
                anonymous=options.anonymous and IAnonymous in checkers,
            )
        return self._checked

    async def attempt(
        self, account: str, channel: Channel, credentials: ICredentials, authzid: str
    ) -> Success | Failure:
        """Log in with a password, within the limits. account: localpart."""
        try:
            attempt = self.limits.admit(channel.address, account)
        except TooManyFailures as limit:
            return self._refused(limit, account, channel)
        try:
            if attempt.delay:
                await deferLater(self.clock, attempt.delay)
        except CancelledError:
            attempt.dropped()
            raise
        try:
            outcome = await self.login(credentials, authzid)
        except BaseException:
            # went away while it was looked at: that counts, or hashing would cost nothing
            attempt.failed()
            raise
        if isinstance(outcome, Success):
            attempt.succeeded()
        elif outcome.condition in ("not-authorized", "malformed-request"):
            attempt.failed()
            self._log.info(
                "wrong credentials for {account} from {peer}",
                account=account,
                peer=channel.address,
            )
        else:
            attempt.dropped()
        return outcome

    async def anonymous(self, channel: Channel) -> Success | Failure:
        """Log somebody in to an account of the moment (XEP-0175), within the limits."""
        try:
            self.limits.admit_anonymous(channel.address)
        except TooManyFailures as limit:
            return self._refused(limit, "(anonymous)", channel)
        return await self.login(AnonymousCredentials(), "")

    async def login(self, credentials: ICredentials, authzid: str) -> Success | Failure:
        """Ask the portal, without any limit. Other faults than wrong credentials are logged."""
        claim = Claim(authzid)
        try:
            _, avatar, logout = await self.portal.login(credentials, claim, self.interface)
        except LoginFailed:
            return Failure("not-authorized", "wrong credentials")
        except LoginRefused as refused:
            return Failure(refused.condition, "right credentials")
        except TooBusy:
            return Failure("temporary-auth-failure", "too many passwords to hash")
        except CancelledError:
            raise
        except Exception:
            self._log.failure("a checker or the realm of {host} failed", host=self.domain)
            return Failure("temporary-auth-failure", "internal error")
        return Success(claim.localpart, avatar, logout)

    def _refused(self, limit: TooManyFailures, account: str, channel: Channel) -> Failure:
        self._log.info(
            "too many failures ({limit}) for {account} from {peer}",
            limit=limit.which,
            account=account,
            peer=channel.address,
        )
        return Failure("temporary-auth-failure", f"too many failures: {limit.which}")


class Mechanism(Protocol):
    """One exchange, from <auth/> to <success/> or <failure/>; used once."""

    @property
    def name(self) -> str:
        """Its name in <mechanism/>."""

    async def start(self, initial: bytes | None) -> Outcome:
        """Handle the initial response; None if there was none."""

    async def respond(self, data: bytes | None) -> Outcome:
        """Handle a response to the last challenge."""


@attrs.define
class PlainMechanism:
    """PLAIN (RFC 4616)."""

    name: ClassVar[str] = "PLAIN"
    _host: Authenticator
    _channel: Channel
    _done: bool = attrs.field(default=False, init=False)

    async def start(self, initial: bytes | None) -> Outcome:
        """RFC 4422 §3.2: without initial response the challenge is empty."""
        return Challenge(b"") if initial is None else await self.respond(initial)

    async def respond(self, data: bytes | None) -> Outcome:
        """RFC 4616 §2"""
        if self._done:
            return Failure("malformed-request", "a second message")
        self._done = True
        said = sasl.parse_plain(data or b"")
        if isinstance(said, Failure):
            return said
        try:
            name = sasl.identity(said.username, self._host.domain)
        except InvalidAddress:
            return Failure("not-authorized", "no such name is possible")
        credentials = PlainCredentials(name.encode("utf-8"), said.password.encode("utf-8"))
        return await self._host.attempt(name, self._channel, credentials, said.authzid)


@attrs.define
class AnonymousMechanism:
    """ANONYMOUS (RFC 4505, XEP-0175): the trace is measured and forgotten."""

    name: ClassVar[str] = "ANONYMOUS"
    _host: Authenticator
    _channel: Channel

    async def start(self, initial: bytes | None) -> Outcome:
        """RFC 4505 §2; XEP-0175 §4: an empty <auth/> is enough."""
        trace = sasl.parse_trace(initial)
        return trace if isinstance(trace, Failure) else await self._host.anonymous(self._channel)

    async def respond(self, data: bytes | None) -> Outcome:
        """There is no challenge to respond to."""
        return Failure("malformed-request", "a second message")


@attrs.define
class ScramMechanism:
    """SCRAM and its -PLUS form, with one of three hashes (RFC 5802, RFC 7677)."""

    _host: Authenticator
    _channel: Channel
    name: str
    _offer: Offer
    _hash: str = attrs.field(init=False)
    _state: scram.State = attrs.field(init=False, repr=False)
    _username: str = attrs.field(default="", init=False)
    _authzid: str = attrs.field(default="", init=False)

    def __attrs_post_init__(self) -> None:
        offer, plus = self._offer, self.name.endswith("-PLUS")
        self._hash = self.name.removeprefix("SCRAM-").removesuffix("-PLUS")
        self._state = scram.Start(
            name=self._hash,
            plus=plus,
            plus_offered=any(name.endswith("-PLUS") for name in offer.mechanisms),
            bindings=offer.bindings,
            protection=(
                offer.digest(scram.ALGORITHMS[self._hash])
                if self._host.options.downgrade_protection
                else None
            ),
        )

    async def start(self, initial: bytes | None) -> Outcome:
        """RFC 5802 §5: the client speaks first."""
        return Challenge(b"") if initial is None else await self.respond(initial)

    async def respond(self, data: bytes | None) -> Outcome:
        """RFC 5802 §5: client-first-message, then client-final-message."""
        state, self._state = self._state, scram.Finished()
        if isinstance(state, scram.Start):
            return await self._first(state, data or b"")
        if isinstance(state, scram.Challenged):
            return await self._final(state, data or b"")
        return Failure("malformed-request", "a third message")

    async def _first(self, state: scram.State, data: bytes) -> Outcome:
        state, lookup = scram.step(state, data)
        if isinstance(lookup, Failure):
            return lookup
        assert isinstance(lookup, scram.Lookup)
        try:
            self._username = sasl.identity(lookup.username, self._host.domain)
        except InvalidAddress:
            return Failure("not-authorized", "no such name is possible")
        self._authzid = lookup.authzid
        secrets = await self._secrets(lookup.binding)
        if isinstance(secrets, Failure):
            return secrets
        self._state, effect = scram.step(state, secrets)
        if isinstance(effect, scram.Send):
            return Challenge(effect.data)
        assert isinstance(effect, Failure)
        return effect

    async def _secrets(self, binding: str | None) -> scram.Secrets | Failure:
        checker: Any = self._host.portal.checkers[IScramCredentials]  # provides IScramChecker
        try:
            verifier, known = await checker.verifier(self._username, self._hash)
        except CancelledError:
            raise
        except ImsuiteError as why:
            self._host._log.warn("nobody can log in: {why}", why=str(why))
            return Failure("temporary-auth-failure", "try again later")
        except Exception:
            self._host._log.failure("no verifier for {account}", account=self._username)
            return Failure("temporary-auth-failure", "internal error")
        return scram.Secrets(
            verifier,
            known,
            base64.b64encode(self._host.random(NONCE)),
            None if binding is None else self._channel.bindings.get(binding),
        )

    async def _final(self, state: scram.State, data: bytes) -> Outcome:
        credentials = ScramCredentials(self._username, state, data)
        outcome = await self._host.attempt(
            self._username, self._channel, credentials, self._authzid
        )
        effect = credentials.effect
        if isinstance(outcome, Success) and isinstance(effect, scram.Proved):
            return attrs.evolve(outcome, data=effect.data)
        if isinstance(outcome, Failure) and outcome.condition == "not-authorized":
            return effect if isinstance(effect, Failure) else outcome
        return outcome
