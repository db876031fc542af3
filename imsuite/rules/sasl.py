"""SASL as XMPP uses it: messages, conditions, which mechanisms to offer (RFC 6120 §6, RFC 4422).

Pure: what arrives is a value or a `Failure`; nothing here raises for bad input from the
network, apart from `InvalidPassword` and `InvalidAddress` where a docstring says so.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import stringprep
import unicodedata
from collections.abc import Sequence
from typing import Literal, TypeVar

import attrs

from imsuite.xmpp import address
from imsuite.xmpp.errors import ImsuiteError

T = TypeVar("T")

# RFC 6120 §6.5
Condition = Literal[
    "aborted",
    "account-disabled",
    "credentials-expired",
    "encryption-required",
    "incorrect-encoding",
    "invalid-authzid",
    "invalid-mechanism",
    "malformed-request",
    "mechanism-too-weak",
    "not-authorized",
    "temporary-auth-failure",
]

# Channel-binding types, the stronger first: RFC 9266, RFC 5929 §4. Not tls-unique: it is
# undefined for TLS 1.3 and unsafe before it without extended master secrets.
BINDINGS = ("tls-exporter", "tls-server-end-point")

# hashes of SCRAM, the stronger first: draft-melnikov-scram-sha-512, RFC 7677, RFC 5802
HASHES = ("SHA-512", "SHA-256", "SHA-1")

# Every mechanism we have, in order of strength (RFC 6120 §6.3.3), and what it needs:
# (name, hash of SCRAM or None, TLS with a channel binding, TLS)
MECHANISMS: tuple[tuple[str, str | None, bool, bool], ...] = (
    *((f"SCRAM-{name}-PLUS", name, True, True) for name in HASHES),
    *((f"SCRAM-{name}", name, False, False) for name in HASHES),
    ("PLAIN", None, False, True),
    ("ANONYMOUS", None, False, False),
)

LONGEST_MESSAGE = 8192  # octets of one message from a client, decoded
LONGEST_PASSWORD = 1024  # octets of UTF-8, once prepared
LONGEST_TRACE = 255  # characters (RFC 4505 §2)


class InvalidPassword(ImsuiteError):
    """No password can look like this; the text says why and never shows it."""


@attrs.frozen
class Challenge:
    """The client has to answer this; data: octets, not yet in base 64."""

    data: bytes


@attrs.frozen
class Failure:
    """The attempt is over (RFC 6120 §6.5).

    condition: what the client is told; reason: for our log only, in the words of RFC 5802 §7
    where it has some: it tells more than a stranger may know.
    """

    condition: Condition
    reason: str


@attrs.frozen
class Plain:
    """What a client says with PLAIN (RFC 4616 §2); authzid "" when it said none."""

    authzid: str
    username: str
    password: str = attrs.field(repr=False)


def _said(default: T, doc: str) -> T:
    """Return a field with its meaning; `core.options` is above this floor."""
    return attrs.field(default=default, metadata={"doc": doc})


@attrs.frozen
class SaslOptions:
    """What a host lets its clients do."""

    hashes: tuple[str, ...] = _said(HASHES, "Hashes of SCRAM; an empty list turns it off.")
    plain: bool = _said(True, "Offer PLAIN, inside TLS only.")
    anonymous: bool = _said(False, "Offer ANONYMOUS: log in without an account.")  # XEP-0175 §3
    tls_required: bool = _said(True, "Offer nothing before TLS.")
    bindings: tuple[str, ...] = _said(
        BINDINGS, "Channel-binding types; an empty list if a proxy ends TLS, and so no -PLUS."
    )
    downgrade_protection: bool = _said(True, "Sign what was offered (XEP-0474).")


@attrs.frozen
class Offer:
    """What one stream is offered: mechanisms in order of strength, channel-binding types.

    The types are those of the XEP-0440 feature; empty means that it must not be sent.
    """

    mechanisms: tuple[str, ...]
    bindings: tuple[str, ...]

    def digest(self, algorithm: str) -> bytes:
        """Return the hash over this offer that protects it (XEP-0474 §5.1).

        algorithm: as hashlib calls it.
        """
        text = "\x1e".join(sorted(self.mechanisms))
        if self.bindings:
            text += "\x1f" + "\x1e".join(sorted(self.bindings))
        return hashlib.new(algorithm, text.encode()).digest()


def offered(secure: bool, bindings: Sequence[str], options: SaslOptions) -> tuple[str, ...]:
    """Return the mechanisms to offer, the strongest first.

    secure: the stream is inside TLS; bindings: channel-binding types this connection can
    really give data for.
    """
    if options.tls_required and not secure:
        return ()  # RFC 6120 §5.3.1, §6.3.4
    bound = secure and bool(usable_bindings(bindings, options))
    return tuple(
        name
        for name, algorithm, needs_binding, needs_tls in MECHANISMS
        if (secure or not needs_tls)
        and (bound or not needs_binding)
        and _allowed(name, algorithm, options)
    )


def usable_bindings(bindings: Sequence[str], options: SaslOptions) -> tuple[str, ...]:
    """Return the channel-binding types to list (XEP-0440 §2): ours, allowed, and available."""
    return tuple(kind for kind in BINDINGS if kind in bindings and kind in options.bindings)


def refusal(name: str, secure: bool, options: SaslOptions) -> Failure:
    """Return why a mechanism that is not on offer was refused (RFC 6120 §6.5)."""
    for known, algorithm, _, needs_tls in MECHANISMS:
        if known != name:
            continue
        if not secure and (needs_tls or options.tls_required):
            return Failure("encryption-required", "asked for before TLS")
        if name != "ANONYMOUS" and not _allowed(name, algorithm, options):
            return Failure("mechanism-too-weak", "turned off")
    return Failure("invalid-mechanism", "not offered")


def _allowed(name: str, algorithm: str | None, options: SaslOptions) -> bool:
    if algorithm is not None:
        return algorithm in options.hashes
    return options.plain if name == "PLAIN" else options.anonymous


def decode(text: str) -> bytes | Failure | None:
    """Return the octets of an <auth/>, <response/> or <initial-response/> (RFC 6120 §6.4.2).

    None means that there was no text: no initial response, or an empty response. "=" is a
    response that is there and empty.
    """
    if not text:
        return None
    if text == "=":
        return b""
    if len(text) > LONGEST_MESSAGE * 4 // 3 + 4:
        return Failure("malformed-request", "too long")
    data = unbase64(text)
    # RFC 6120 §13.9.1: reject, do not ignore
    return Failure("incorrect-encoding", "bad base 64") if data is None else data


def encode(data: bytes | None) -> str:
    """Return the text of a <challenge/> or <success/>: "" for no data and for no octets.

    We never send additional data of zero length, the one case that would need "=".
    """
    return base64.b64encode(data).decode("ascii") if data else ""


def unbase64(text: str | bytes) -> bytes | None:
    """Return the octets, or None if that is not base 64 and nothing else (RFC 4648 §3.3)."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def parse_plain(data: bytes) -> Plain | Failure:
    """Return what a PLAIN message says: [authzid] NUL authcid NUL passwd (RFC 4616 §2)."""
    if len(data) > LONGEST_MESSAGE:
        return Failure("malformed-request", "too long")
    try:
        parts = data.decode("utf-8").split("\0")
    except UnicodeDecodeError:
        return Failure("malformed-request", "not UTF-8")
    if len(parts) != 3 or not parts[1] or not parts[2]:
        return Failure("malformed-request", "not a PLAIN message")
    return Plain(*parts)


def parse_trace(data: bytes | None) -> str | Failure:
    """Return the trace of an ANONYMOUS message (RFC 4505 §2); nobody may act on it."""
    if data is None:
        return ""  # XEP-0175 §4: an empty <auth/>
    try:
        trace = data.decode("utf-8")
    except UnicodeDecodeError:
        return Failure("malformed-request", "not UTF-8")
    if len(trace) > LONGEST_TRACE:
        return Failure("malformed-request", "too long")
    return trace


def identity(username: str, domain: str) -> str:
    """Return the localpart that a username means on a host.

    RFC 6120 §6.3.7: the simple username is the localpart. People also type, and some clients
    send, the whole bare JID: "@" cannot be in a localpart, so one that ends in our own domain
    can mean only one account, and is taken for it. domain: of the host, normalised.

    Raises InvalidAddress for anything else.
    """
    local, at, host = username.rpartition("@")
    if at and address.domainpart(host) != domain:
        raise address.InvalidAddress("another domain")
    name = local if at else username
    if "/" in name or not name:
        raise address.InvalidAddress("no localpart looks like this")
    return address.parse(f"{name}@{domain}").local  # which remembers, as people come back


def authorized(authzid: str, localpart: str, domain: str) -> bool:
    """Tell whether an account may act as authzid: as itself only (RFC 6120 §6.3.8).

    authzid: as it came, "" when there was none.
    """
    if not authzid:
        return True
    local, at, host = authzid.partition("@")
    try:
        return (
            bool(at)
            and address.domainpart(host) == domain
            and address.localpart(local) == localpart
        )
    except address.InvalidAddress:
        return False


# RFC 4013 §2.3, with the tables of RFC 3454
_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def prepare_password(password: str, *, stored: bool) -> bytes:
    """Return a password as it enters the hash: SASLprep, UTF-8 (RFC 5802 §2.2, RFC 4013).

    SASLprep and not its successor OpaqueString (RFC 8265), because the client computes the
    same hash, and clients follow RFC 5802: the two differ in what NFKC changes and NFC keeps
    ("ﬁ", "²", full-width letters) and in invisible characters that SASLprep drops. No
    maintained package offers SASLprep; its tables are Python's own `stringprep`, the rest is
    these lines.

    stored: a password that is being set. Characters that Unicode 3.2 did not know (emoji, for
    one) are refused then (RFC 3454 §7), for some clients could not log in with them; whoever
    already has such a password, from an import, may use it. They go through Python's NFKC,
    as they do in clients.

    Raises InvalidPassword if it is empty, too long or has characters that SASLprep forbids.
    """
    if password.isascii() and password.isprintable():
        prepared = password
    else:
        prepared = _saslprep(password, stored)
    data = prepared.encode("utf-8")
    if not data:
        raise InvalidPassword("it is empty")
    if len(data) > LONGEST_PASSWORD:
        raise InvalidPassword(f"it is longer than {LONGEST_PASSWORD} octets")
    return data


def _saslprep(text: str, stored: bool) -> str:
    if len(text) > LONGEST_PASSWORD:
        raise InvalidPassword(f"it is longer than {LONGEST_PASSWORD} octets")
    if stored and any(map(stringprep.in_table_a1, text)):
        raise InvalidPassword("it has characters that some clients cannot send")
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char
        for char in text
        if stringprep.in_table_c12(char) or not stringprep.in_table_b1(char)
    )
    text = unicodedata.normalize("NFKC", mapped)
    if any(prohibited(char) for char in text for prohibited in _PROHIBITED):
        raise InvalidPassword("it has control characters or others that are not allowed")
    # RFC 3454 §6
    if any(map(stringprep.in_table_d1, text)) and (
        any(map(stringprep.in_table_d2, text))
        or not stringprep.in_table_d1(text[0])
        or not stringprep.in_table_d1(text[-1])
    ):
        raise InvalidPassword("it mixes directions of writing")
    return text
