"""SCRAM as a client does it (RFC 5802, RFC 7677), and the keys a server stores."""

import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode
from functools import lru_cache

import attrs

HASHES = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-1": "sha1"}  # mechanism: hashlib's name


class ScramError(Exception):
    """The server's part of the exchange is wrong."""


@lru_cache(maxsize=4096)
def salted_password(algorithm: str, password: str, salt: bytes, iterations: int) -> bytes:
    """Return SaltedPassword (RFC 5802 §3), remembered, so that it is not a cost of every login."""
    return hashlib.pbkdf2_hmac(algorithm, password.encode(), salt, iterations)


def keyed(algorithm: str, key: bytes, text: bytes) -> bytes:
    """Return the HMAC of text."""
    return hmac.digest(key, text, algorithm)


@attrs.frozen
class StoredKeys:
    """What a server keeps instead of a password (RFC 5802 §3)."""

    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes


def stored_keys(algorithm: str, password: str, salt: bytes, iterations: int) -> StoredKeys:
    """Return the keys to store for a password."""
    salted = salted_password(algorithm, password, salt, iterations)
    client_key = keyed(algorithm, salted, b"Client Key")
    return StoredKeys(
        salt=salt,
        iterations=iterations,
        stored_key=hashlib.new(algorithm, client_key).digest(),
        server_key=keyed(algorithm, salted, b"Server Key"),
    )


@attrs.define
class ScramClient:
    """One exchange of the client, without channel binding."""

    algorithm: str
    name: str
    password: str
    bare: str = ""
    signature: bytes = b""

    def first(self) -> bytes:
        """Return the client-first-message, in base64."""
        self.bare = f"n={self.name},r={secrets.token_hex(12)}"
        return b64encode(f"n,,{self.bare}".encode())

    def final(self, challenge: bytes) -> bytes:
        """Return the client-final-message for the server's challenge, both in base64."""
        server_first = b64decode(challenge).decode()
        fields = dict(field.split("=", 1) for field in server_first.split(","))
        if not fields["r"].startswith(self.bare.split("r=", 1)[1]):
            raise ScramError("the server changed the nonce")
        salted = salted_password(
            self.algorithm, self.password, b64decode(fields["s"]), int(fields["i"])
        )
        unproven = f"c=biws,r={fields['r']}"
        agreed = f"{self.bare},{server_first},{unproven}".encode()
        client_key = keyed(self.algorithm, salted, b"Client Key")
        proof = keyed(self.algorithm, hashlib.new(self.algorithm, client_key).digest(), agreed)
        shown = bytes(a ^ b for a, b in zip(client_key, proof, strict=True))
        self.signature = keyed(self.algorithm, keyed(self.algorithm, salted, b"Server Key"), agreed)
        return b64encode(f"{unproven},p={b64encode(shown).decode()}".encode())

    def verify(self, success: bytes) -> None:
        """Check the server's signature, in base64; raises ScramError."""
        if b64decode(success) != b"v=" + b64encode(self.signature):
            raise ScramError("the server's signature is wrong")
