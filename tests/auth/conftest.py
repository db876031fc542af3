"""A host that people can log in to, in memory, with inline hashing."""

import base64
import hashlib
import hmac
from functools import lru_cache

import attrs
import pytest
from twisted.cred.checkers import AllowAnonymousAccess
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from zope.interface import Attribute, Interface, implementer

from imsuite.auth.checkers import StoreChecker
from imsuite.auth.iauth import IAccounts
from imsuite.auth.limits import FailureLimits
from imsuite.auth.mechanisms import Authenticator, Channel
from imsuite.auth.realm import HostRealm, LoginRefused, make_portal
from imsuite.auth.secrets import Hasher, make_verifiers
from imsuite.rules.sasl import Failure, SaslOptions

ITERATIONS = 10  # the tests are not about strength
BINDINGS = {"tls-exporter": b"e" * 32, "tls-server-end-point": b"p" * 32}


class IAvatar(Interface):
    """What the realm of the tests gives."""

    localpart = Attribute("localpart")


@implementer(IAvatar)
@attrs.define
class Avatar:
    localpart: str
    temporary: bool


@lru_cache
def verifiers_text(password):
    return make_verifiers(password, ITERATIONS, b"0123456789abcdef").text()


@implementer(IAccounts)
@attrs.define
class Accounts:
    """The accounts of the host; every name that was looked up."""

    passwords: dict
    asked: list = attrs.field(factory=list)
    texts: dict = attrs.field(factory=dict)

    async def verifiers(self, localpart):
        self.asked.append(localpart)
        if localpart in self.texts:
            return self.texts[localpart]
        password = self.passwords.get(localpart)
        return None if password is None else verifiers_text(password)


@attrs.define
class Host:
    """example.org with romeo (pencil) and juliet (balcony)."""

    checkers: tuple | None = None
    options: SaslOptions = attrs.field(factory=SaslOptions)
    accounts: Accounts = attrs.field(
        factory=lambda: Accounts({"romeo": "pencil", "juliet": "balcony"})
    )
    clock: Clock = attrs.field(factory=Clock)
    hashed: list = attrs.field(factory=list)  # functions given to the threads
    gone: list = attrs.field(factory=list)  # localparts that were logged out
    refused: dict = attrs.field(factory=dict)  # localpart → condition
    auth: Authenticator = attrs.field(init=False)
    limits: FailureLimits = attrs.field(init=False)

    def __attrs_post_init__(self):
        checkers = self.checkers
        if checkers is None:
            store = StoreChecker(self.accounts, Hasher(self.defer), b"s" * 32, ITERATIONS)
            checkers = (store, AllowAnonymousAccess())
        realm = HostRealm("example.org", IAvatar, self.make_account)
        self.limits = FailureLimits(self.clock.seconds)
        self.auth = Authenticator(
            "example.org",
            make_portal(realm, checkers),
            IAvatar,
            self.limits,
            self.clock,
            self.options,
        )

    def defer(self, function, *args):
        self.hashed.append(function)
        return maybeDeferred(function, *args)

    async def make_account(self, localpart, *, temporary):
        if localpart in self.refused:
            raise LoginRefused(self.refused[localpart])
        return Avatar(localpart, temporary), lambda: self.gone.append(localpart)

    def channel(self, address="192.0.2.1", secure=True, bindings=None):
        return Channel(address, secure, BINDINGS if bindings is None else bindings)

    def begin(self, name, channel=None):
        channel = channel or self.channel()
        return self.auth.begin(name, channel, self.auth.offer(channel))

    def plain(self, username="romeo", password="pencil", authzid="", channel=None):
        """Log in with PLAIN; return the outcome."""
        mechanism = self.begin("PLAIN", channel)
        return self.now(mechanism.start(f"{authzid}\0{username}\0{password}".encode()))

    def scram(self, name="SCRAM-SHA-256", channel=None, **client):
        """Log in with SCRAM; return the outcome and the client."""
        mechanism = self.begin(name, channel)
        client = Client(name, **client)
        outcome = self.now(mechanism.start(client.first))
        if isinstance(outcome, Failure):
            return outcome, client
        return self.now(mechanism.respond(client.final(outcome.data))), client

    def now(self, coroutine):
        """Return what a coroutine answers, letting it wait as long as it likes."""
        results = []
        deferred = Deferred.fromCoroutine(coroutine)
        deferred.addBoth(results.append)
        for _ in range(10):
            if not results:
                self.clock.advance(10)
        (result,) = results
        return result


class Client:
    """The client's side of SCRAM, written for the tests: it can also misbehave."""

    def __init__(
        self,
        name,
        username="romeo",
        password="pencil",
        flag=None,
        authzid="",
        binding=BINDINGS["tls-exporter"],
    ):
        self.algorithm = name.removesuffix("-PLUS").removeprefix("SCRAM-").replace("-", "").lower()
        self.password, self.binding = password.encode(), binding
        plus = name.endswith("-PLUS")
        flag = flag or ("p=tls-exporter" if plus else "n")
        self.gs2 = f"{flag},{'a=' + authzid if authzid else ''},".encode()
        self.bare = f"n={username},r=clientnonce".encode()
        self.plus = plus

    @property
    def first(self):
        return self.gs2 + self.bare

    def final(self, challenge):
        self.challenge = challenge
        said = dict(part.split(b"=", 1) for part in challenge.split(b","))
        self.salt, self.iterations = base64.b64decode(said[b"s"]), int(said[b"i"])
        salted = hashlib.pbkdf2_hmac(self.algorithm, self.password, self.salt, self.iterations)
        client_key = self.hmac(salted, b"Client Key")
        stored = hashlib.new(self.algorithm, client_key).digest()
        bound = base64.b64encode(self.gs2 + (self.binding if self.plus else b""))
        without_proof = b"c=" + bound + b",r=" + said[b"r"]
        message = b",".join((self.bare, challenge, without_proof))
        proof = bytes(a ^ b for a, b in zip(client_key, self.hmac(stored, message), strict=True))
        self.signature = b"v=" + base64.b64encode(
            self.hmac(self.hmac(salted, b"Server Key"), message)
        )
        return without_proof + b",p=" + base64.b64encode(proof)

    def hmac(self, key, message):
        return hmac.digest(key, message, self.algorithm)


@pytest.fixture
def host():
    return Host()


@pytest.fixture(scope="session")
def make_host():
    return Host


@pytest.fixture(scope="session")
def make_client():
    return Client
