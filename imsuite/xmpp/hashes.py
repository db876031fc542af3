"""XEP-0300: hash functions by their names in XMPP, and the elements that carry digests."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

from twisted.words.xish.domish import Element

from imsuite.xmpp.errors import StanzaError

NS_HASHES = "urn:xmpp:hashes:2"
NS_FUNCTION = "urn:xmpp:hash-function-text-names:"  # before the name of a function


class Hash(Protocol):
    """What is used of hashlib's objects."""

    @property
    def digest_size(self) -> int:
        """Octets in a digest."""

    def update(self, data: bytes, /) -> None:
        """Take more data in."""

    def digest(self) -> bytes:
        """Return the digest of the data so far."""

    def hexdigest(self) -> str:
        """Return the digest in hexadecimal."""


# §3 and the IANA registry of hash function textual names
_FUNCTIONS: dict[str, Callable[..., Hash]] = {
    "md5": partial(hashlib.md5, usedforsecurity=False),
    "sha-1": partial(hashlib.sha1, usedforsecurity=False),
    "sha-224": hashlib.sha224,
    "sha-256": hashlib.sha256,
    "sha-384": hashlib.sha384,
    "sha-512": hashlib.sha512,
    "sha3-256": hashlib.sha3_256,
    "sha3-512": hashlib.sha3_512,
    "blake2b-256": partial(hashlib.blake2b, digest_size=32),
    "blake2b-512": partial(hashlib.blake2b, digest_size=64),
}
NAMES = frozenset(_FUNCTIONS)

# XEP-0414 §3: those with no known weakness; the others are for protocols that prescribe them
SAFE = ("sha-256", "sha-512", "sha3-256", "sha3-512", "blake2b-256", "blake2b-512")


class UnknownHash(StanzaError):
    """The hash function is not known here. Answered with feature-not-implemented."""

    def __init__(self) -> None:
        super().__init__("feature-not-implemented", text="unknown hash function")


def new(name: str) -> Hash:
    """Return a hash object of hashlib. Raises UnknownHash."""
    function = _FUNCTIONS.get(name)
    if function is None:
        raise UnknownHash
    return function()


def digest(name: str, data: bytes) -> bytes:
    """Return the digest of data. Raises UnknownHash."""
    hashing = new(name)
    hashing.update(data)
    return hashing.digest()


def digest_text(name: str, data: bytes) -> str:
    """Return the digest of data in Base64, as XEP-0115, 0300 and 0390 write it."""
    return base64.b64encode(digest(name, data)).decode("ascii")


def same(one: bytes, other: bytes) -> bool:
    """Tell whether two digests are equal, in a time that does not depend on where they differ."""
    return hmac.compare_digest(one, other)


def features(names: Iterable[str] = SAFE) -> tuple[str, ...]:
    """Return the disco features that say which functions are supported (§5)."""
    return (NS_HASHES, *(NS_FUNCTION + name for name in names))


def to_element(name: str, value: bytes) -> Element:
    """Return a <hash/> that carries a digest (§3)."""
    element = Element((NS_HASHES, "hash"), attribs={"algo": name})
    element.addContent(base64.b64encode(value).decode("ascii"))
    return element


def from_element(element: Element) -> tuple[str, bytes]:
    """Return name and digest of a <hash/> (§3).

    Raises UnknownHash; StanzaError bad-request if the digest is no Base64 or of another length.
    """
    name = element.getAttribute("algo", "")
    length = new(name).digest_size
    try:
        value = base64.b64decode(str(element).encode(), validate=True)
    except (binascii.Error, UnicodeError):
        raise StanzaError("bad-request", text="the hash is not Base64") from None
    if len(value) != length:
        raise StanzaError("bad-request", text="the hash has a wrong length")
    return name, value
