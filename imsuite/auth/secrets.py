"""Verifiers: what is kept instead of a password, and the threads that compute them.

Text for the store: one RFC 5803 value for each hash, a space between them.

    SCRAM-SHA-256$10000:salt$StoredKey:ServerKey SCRAM-SHA-1$…

The three hashes are made at once when a password is set, each with its own salt (XEP-0438
§4), so that any mechanism works later and no password is kept.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar, cast

import attrs
from twisted.internet.defer import Deferred, DeferredSemaphore

from imsuite.core.options import ge, le, option
from imsuite.rules.sasl import HASHES, InvalidPassword, prepare_password, unbase64
from imsuite.rules.scram import ALGORITHMS, SIZES, Verifier, derive
from imsuite.xmpp.errors import ImsuiteError

ITERATIONS = 10_000  # of PBKDF2, for each hash (XEP-0438 §4.5)
FEWEST = 4096  # iterations (RFC 7677 §4)
SALT = 16  # octets (XEP-0438 §4.4)

# A password that comes in clear is checked against one hash; SHA-256 is there unless the
# account was imported.
CHECKED = ("SHA-256", "SHA-512", "SHA-1")

_VALUE = re.compile(r"SCRAM-([A-Z0-9-]+)\$([0-9]{1,9}):([^$:]+)\$([^$:]+):([^$:]+)")

P = ParamSpec("P")
T = TypeVar("T")


@attrs.frozen
class PasswordOptions:
    """[passwords]"""

    iterations: int = option(
        ITERATIONS,
        "Iterations of PBKDF2 for each hash of a new password: what a guess costs whoever stole "
        "the database, and a login a small device.",
        ge(FEWEST),
        le(10_000_000),
    )


class InvalidVerifiers(ImsuiteError):
    """The text from the store, or from an import, is not what `Verifiers.text` writes."""


class TooBusy(ImsuiteError):
    """More passwords wait for a thread than we let wait."""


@attrs.frozen
class Verifiers:
    """All verifiers of one account, by name of the hash; an imported one may lack some."""

    by_hash: dict[str, Verifier] = attrs.field(repr=False)

    def text(self) -> str:
        """Return the compact form for the store."""
        return " ".join(
            f"SCRAM-{name}${kept.iterations}:{_base64(kept.salt)}"
            f"${_base64(kept.stored_key)}:{_base64(kept.server_key)}"
            for name, kept in self.by_hash.items()
        )

    @classmethod
    def parse(cls, text: str) -> Verifiers:
        """Return the verifiers of that text. Hashes we do not have are left out.

        Raises InvalidVerifiers; its message holds no key.
        """
        by_hash = {}
        for value in text.split(" "):
            match = _VALUE.fullmatch(value)
            if match is None:
                raise InvalidVerifiers("not in the form of RFC 5803")
            name, salt, stored, server = match[1], *map(unbase64, match.group(3, 4, 5))
            if name not in ALGORITHMS:
                continue
            if not salt or not stored or not server or not int(match[2]):
                raise InvalidVerifiers(f"{name}: a part is missing")
            if len(stored) != SIZES[name] or len(server) != SIZES[name]:
                raise InvalidVerifiers(f"{name}: a key of the wrong size")
            by_hash[name] = Verifier(salt, int(match[2]), stored, server)
        if not by_hash:
            raise InvalidVerifiers("no hash that we know")
        return cls(by_hash)


def make_verifiers(password: str, iterations: int, salt: bytes) -> Verifiers:
    """Return the verifiers of a new password. Takes long: call it through a `Hasher`.

    iterations: of PBKDF2, for each hash; salt: at least 16 random octets, new for each
    password; the salts of the hashes are derived from it.
    Raises InvalidPassword.
    """
    if len(salt) < SALT:
        raise ValueError(f"a salt needs {SALT} octets")
    prepared = prepare_password(password, stored=True)
    return Verifiers(
        {name: derive(name, prepared, _salt(salt, name), iterations) for name in HASHES}
    )


def invent_verifiers(secret: bytes, username: str, iterations: int) -> Verifiers:
    """Return verifiers of an account that does not exist (RFC 5802 §9, pitfall 8).

    They look like real ones, are the same each time, and no password fits them. secret: of
    the server, at least 16 octets, the same after a restart. Quick.
    """
    return Verifiers({name: invent_verifier(secret, username, iterations, name) for name in HASHES})


def invent_verifier(secret: bytes, username: str, iterations: int, name: str) -> Verifier:
    """Return one of them. name: of the hash, "SHA-256"."""
    if len(secret) < SALT:
        raise ValueError(f"the secret needs {SALT} octets")
    seed = hmac.digest(secret, b"imsuite unknown account\0" + username.encode("utf-8"), "sha512")
    return Verifier(
        _salt(seed[:SALT], name),
        iterations,
        hmac.digest(seed, b"stored", ALGORITHMS[name]),
        hmac.digest(seed, b"server", ALGORITHMS[name]),
    )


def check_password(verifiers: Verifiers, password: str) -> bool:
    """Tell whether that is the password. Takes long: call it through a `Hasher`."""
    name = next(name for name in CHECKED if name in verifiers.by_hash)
    kept = verifiers.by_hash[name]
    try:
        prepared, possible = prepare_password(password, stored=False), True
    except InvalidPassword:
        # hash all the same: how long it takes must not tell whether the account exists
        prepared, possible = b"-", False
    derived = derive(name, prepared, kept.salt, kept.iterations)
    return hmac.compare_digest(derived.stored_key, kept.stored_key) & possible


@attrs.define
class Hasher:
    """Computes verifiers outside the reactor thread, a few at a time.

    defer: runs a function with arguments elsewhere, such as
    `partial(deferToThreadPool, reactor, pool)`; PBKDF2 lets other threads run meanwhile.
    """

    defer: Callable[..., Deferred[object]]
    at_once: int = 2  # computations
    waiting: int = 200  # computations that may wait for their turn
    _turns: DeferredSemaphore = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._turns = DeferredSemaphore(self.at_once)

    def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Return the result of function(*args), once there was a thread for it.

        Raises TooBusy, at once, when too many wait already.
        """
        if len(self._turns.waiting) >= self.waiting:
            raise TooBusy(f"{self.waiting} passwords wait to be hashed")
        result = self._turns.run(self.defer, function, *args, **kwargs)
        return cast("Awaitable[T]", result)


def _salt(seed: bytes, name: str) -> bytes:
    return hmac.digest(seed, name.encode("ascii"), "sha256")[:SALT]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
