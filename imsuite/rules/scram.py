"""SCRAM, the server's side, as a machine (RFC 5802, RFC 7677).

`step(state, event)` returns the next state and one effect:

    Start       bytes (client-first)   → Named       Lookup
    Named       Secrets                → Challenged  Send(server-first)
    Challenged  bytes (client-final)   → Finished    Proved(server-final)

or, from any of them, → Finished with a `Failure`. Any other pair of state and event is a
failure too; no input makes it raise.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

import attrs

from imsuite.rules.sasl import BINDINGS, LONGEST_MESSAGE, Failure, unbase64

# name in the mechanism → name in hashlib
ALGORITHMS = {"SHA-1": "sha1", "SHA-256": "sha256", "SHA-512": "sha512"}
# size of a hash, octets
SIZES = {name: hashlib.new(algorithm).digest_size for name, algorithm in ALGORITHMS.items()}

# RFC 5802 §7: gs2-header, then [reserved-mext ","] username "," nonce ["," extensions]
_GS2 = re.compile(rb"(?:(n|y)|p=([A-Za-z0-9.-]{1,64})),(?:a=([^\0,]+))?,")
_ATTRIBUTES = rb"((?:,[A-Za-z]=[^\0,]+)*)"
_FIRST = re.compile(rb"n=([^\0,]+),r=([\x21-\x2b\x2d-\x7e]+)" + _ATTRIBUTES)
_FINAL = re.compile(
    rb"(c=([A-Za-z0-9+/=]+),r=([\x21-\x2b\x2d-\x7e]+)" + _ATTRIBUTES + rb"),p=([A-Za-z0-9+/=]+)"
)
_ESCAPED = re.compile(r"=(2C|3D)?")  # RFC 5802 §5.1: "=" only in these two


@attrs.frozen
class Verifier:
    """What the server keeps of a password for one hash (RFC 5802 §3, RFC 5803)."""

    salt: bytes = attrs.field(repr=False)
    iterations: int
    stored_key: bytes = attrs.field(repr=False)
    server_key: bytes = attrs.field(repr=False)


def derive(name: str, password: bytes, salt: bytes, iterations: int) -> Verifier:
    """Return the verifier of a password (RFC 5802 §3). Takes long: milliseconds and more.

    name: of the hash, as in `ALGORITHMS`; password: prepared, octets.
    """
    algorithm = ALGORITHMS[name]
    salted = hashlib.pbkdf2_hmac(algorithm, password, salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", algorithm)
    return Verifier(
        salt,
        iterations,
        hashlib.new(algorithm, client_key).digest(),
        hmac.digest(salted, b"Server Key", algorithm),
    )


@attrs.frozen
class Start:
    """Nothing has come yet."""

    name: str  # of the hash, as in ALGORITHMS
    plus: bool  # the -PLUS form of the mechanism was chosen
    plus_offered: bool  # a -PLUS form was on offer
    bindings: tuple[str, ...] = BINDINGS  # channel-binding types on offer
    protection: bytes | None = None  # hash of the offer, for XEP-0474; None says nothing


@attrs.frozen
class Named:
    """The client has said who it is; the machine waits for `Secrets`."""

    start: Start
    gs2: bytes  # its gs2-header
    bare: bytes  # its client-first-message-bare
    client_nonce: bytes


@attrs.frozen
class Challenged:
    """The server-first message is out."""

    name: str  # of the hash
    verifier: Verifier
    known: bool
    bound: bytes  # what c= must be: gs2-header and channel-binding data
    nonce: bytes  # both parts
    so_far: bytes  # client-first-bare "," server-first ","


@attrs.frozen
class Finished:
    """Nothing may follow."""


@attrs.frozen
class Secrets:
    """The answer to `Lookup`.

    verifier: of the account, or an invented one if known is False; nonce: the server's part,
    printable ASCII without comma; binding: data of the channel-binding type asked for, None
    if there is none.
    """

    verifier: Verifier
    known: bool
    nonce: bytes
    binding: bytes | None = attrs.field(default=None, repr=False)


@attrs.frozen
class Lookup:
    """The machine wants `Secrets` for this name, which is not normalised yet.

    authzid: "" if there is none; binding: channel-binding type, None without -PLUS.
    """

    username: str
    authzid: str
    binding: str | None


@attrs.frozen
class Send:
    """To the client."""

    data: bytes


@attrs.frozen
class Proved:
    """The client knows the password; data is the server-final message."""

    data: bytes


State = Start | Named | Challenged | Finished
Event = bytes | Secrets
Effect = Lookup | Send | Proved | Failure


def step(state: State, event: Event) -> tuple[State, Effect]:
    """Return what follows when an event meets a state."""
    match state, event:
        case Start(), bytes():
            return _client_first(state, event)
        case Named(), Secrets():
            return _server_first(state, event)
        case Challenged(), bytes():
            return Finished(), _client_final(state, event)
        case _:
            return _failed("other-error", malformed=True)


def _failed(reason: str, *, malformed: bool = False) -> tuple[State, Failure]:
    return Finished(), Failure("malformed-request" if malformed else "not-authorized", reason)


def _client_first(state: Start, data: bytes) -> tuple[State, Effect]:
    """RFC 5802 §5.1, §6"""
    header = _GS2.match(data)
    if header is None or len(data) > LONGEST_MESSAGE:
        return _failed("invalid-encoding", malformed=True)
    bare = data[header.end() :]
    if bare.startswith(b"m="):  # mandatory extension: we know none
        return _failed("extensions-not-supported", malformed=True)
    first = _FIRST.fullmatch(bare)
    if first is None or b",m=" in first[3]:
        return _failed("invalid-encoding", malformed=True)
    username, authzid = _saslname(first[1]), _saslname(header[3] or b"")
    if not username or authzid is None:
        return _failed("invalid-username-encoding", malformed=True)
    binding = None if header[2] is None else header[2].decode("ascii")
    if reason := _wrong_binding(state, header[1], binding):
        # a client that was shown fewer mechanisms than we offered (RFC 5802 §6)
        return _failed(reason, malformed=reason != "server-does-support-channel-binding")
    return Named(state, header[0], bare, first[2]), Lookup(username, authzid, binding)


def _wrong_binding(state: Start, flag: bytes | None, binding: str | None) -> str | None:
    """Return what is wrong with the gs2-cbind-flag (RFC 5802 §6), or None."""
    if flag == b"y" and state.plus_offered:
        return "server-does-support-channel-binding"
    if (binding is not None) != state.plus:
        return "channel-binding-not-supported"
    if binding is not None and binding not in state.bindings:
        return "unsupported-channel-binding-type"
    return None


def _saslname(data: bytes) -> str | None:
    """Return a name without its escapes, or None if it is not a saslname (RFC 5802 §7)."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if any(match[1] is None for match in _ESCAPED.finditer(text)):
        return None
    return text.replace("=2C", ",").replace("=3D", "=")


def _server_first(state: Named, secrets: Secrets) -> tuple[State, Effect]:
    """RFC 5802 §5.1; XEP-0474 §5.1"""
    if state.start.plus and not secrets.binding:
        return _failed("channel-binding-not-supported", malformed=True)
    verifier = secrets.verifier
    nonce = state.client_nonce + secrets.nonce
    message = b"r=%b,s=%b,i=%d" % (nonce, _base64(verifier.salt), verifier.iterations)
    if state.start.protection is not None:
        message += b",h=" + _base64(state.start.protection)
    challenged = Challenged(
        state.start.name,
        verifier,
        secrets.known,
        state.gs2 + (secrets.binding or b"" if state.start.plus else b""),
        nonce,
        state.bare + b"," + message + b",",
    )
    return challenged, Send(message)


def _client_final(state: Challenged, data: bytes) -> Effect:
    """RFC 5802 §3, §5.1"""
    final = _FINAL.fullmatch(data) if len(data) <= LONGEST_MESSAGE else None
    if final is None or b",m=" in final[4]:
        return Failure("malformed-request", "invalid-encoding")
    bound, proof = unbase64(final[2]), unbase64(final[5])
    if bound is None or proof is None or len(proof) != SIZES[state.name]:
        return Failure("malformed-request", "invalid-encoding")
    if not hmac.compare_digest(final[3], state.nonce):
        return Failure("not-authorized", "other-error")
    if not hmac.compare_digest(bound, state.bound):
        return Failure("not-authorized", "channel-bindings-dont-match")
    algorithm, verifier = ALGORITHMS[state.name], state.verifier
    message = state.so_far + final[1]
    signature = hmac.digest(verifier.stored_key, message, algorithm)
    client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
    key = hashlib.new(algorithm, client_key).digest()
    answer = b"v=" + _base64(hmac.digest(verifier.server_key, message, algorithm))
    # both are always looked at: an unknown user takes as long as a wrong password
    if hmac.compare_digest(key, verifier.stored_key) & state.known:
        return Proved(answer)
    return Failure("not-authorized", "invalid-proof")


def _base64(data: bytes) -> bytes:
    return base64.b64encode(data)
