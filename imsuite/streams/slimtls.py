"""TLS records between bytes and bytes, over an OpenSSL.SSL.Connection on memory.

`Slim` calls OpenSSL through the C library object that pyOpenSSL itself uses: return codes instead
of exceptions, and one scratch buffer for all connections.
It is the only code of imsuite below pyOpenSSL's public interface; `channel` tries it once before
its first use and, where anything differs from what it expects, takes `Public` instead, which does
the same with public methods only and costs a few microseconds more for each message.

Handshakes always go through the public `do_handshake`: they are rare, and only it collects what
pyOpenSSL's callbacks left behind (an ALPN refusal would otherwise pile up in the context).

Used from the reactor's thread only: the scratch buffer is shared.
"""

from __future__ import annotations

import datetime
from functools import cache

# Any: pyOpenSSL's handles are cffi objects and a cffi library, which have no types
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from twisted.logger import Logger

SCRATCH = 65536  # bytes; more than any TLS record
RECORD = 16384  # bytes of plaintext in a full record (RFC 8446 §5.1)
CLOSED = "closed by the peer"


class Public:
    """One side of a TLS connection through pyOpenSSL's public methods.

    reply: bytes for the peer that came up by themselves (handshake, alerts, key updates); to be
        taken with `take`. ended: why nothing more will come from the peer, or None.
    """

    __slots__ = ("connection", "ended", "reply")

    def __init__(self, connection: SSL.Connection) -> None:
        self.connection = connection
        self.reply = b""
        self.ended: str | None = None

    def take(self) -> bytes:
        """Return what must go to the peer now, and forget it."""
        reply, self.reply = self.reply, b""
        return reply

    def handshake(self, data: bytes) -> bool:
        """Take bytes of the peer, answer with `reply`, return whether the handshake is done."""
        if data:
            self.connection.bio_write(data)
        try:
            self.connection.do_handshake()
        except SSL.WantReadError:
            return False
        except SSL.Error as error:
            self.ended = f"TLS handshake failed: {reason(error)}"
            return False
        finally:
            self.reply += self._drain()
        return True

    def decrypt(self, data: bytes) -> bytes:
        """Return the plaintext that these bytes of the peer complete; may be empty."""
        connection = self.connection
        if data:
            connection.bio_write(data)
        plain = []
        try:
            while True:
                plain.append(connection.recv(SCRATCH))
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.ended = CLOSED
        except SSL.Error as error:
            self.ended = f"TLS failed: {reason(error)}"
        self.reply += self._drain()
        return b"".join(plain)

    def encrypt(self, data: bytes) -> bytes:
        """Return the records that carry this plaintext; sets `ended` when that cannot be."""
        out = []
        view = memoryview(data)
        try:
            while view:
                view = view[self.connection.send(view[:RECORD]) :]
                out.append(self._drain())
        except SSL.Error as error:
            self.ended = f"TLS failed: {reason(error)}"
            out.append(self._drain())
        return b"".join(out)

    def farewell(self) -> bytes:
        """Return the close_notify alert (RFC 8446 §6.1)."""
        try:
            self.connection.shutdown()
        except SSL.Error as error:
            self.ended = f"TLS failed: {reason(error)}"
        return self._drain()

    def extended_master_secret(self) -> bool:
        """Return whether RFC 7627 is in use; pyOpenSSL's public methods cannot tell."""
        return False

    def _drain(self) -> bytes:
        out = []
        try:
            while True:
                out.append(self.connection.bio_read(SCRATCH))
        except SSL.WantReadError:
            return b"".join(out)


class Slim(Public):
    """The same, with the calls of the data path made directly."""

    __slots__ = ("_into", "_out", "_ssl")

    def __init__(self, connection: SSL.Connection) -> None:
        super().__init__(connection)
        inner: Any = connection  # Any: private attributes, see above
        self._ssl = inner._ssl
        self._into = inner._into_ssl
        self._out = inner._from_ssl

    def decrypt(self, data: bytes) -> bytes:
        """As in Public."""
        ssl = self._ssl
        # SSL_get_error is only right if no other use of OpenSSL left an error in the queue
        _ERR_clear_error()
        if data:
            _BIO_write(self._into, data, len(data))
        plain = b""
        while True:
            size = _SSL_read(ssl, _scratch, SCRATCH)
            if size <= 0:
                error = _SSL_get_error(ssl, size)
                if error != _WANT_READ:
                    self._failed(error)
                self.reply += self._drain_now()
                break
            if plain:
                plain += _bytes[:size]
            else:
                plain = _bytes[:size]
            # a record never exceeds the scratch buffer, so an empty BIO means all was read
            if not _BIO_get_mem_data(self._into, _pointer):
                break
        # an answer to a key update, which comes with data, goes out before ours (RFC 8446 §4.6.3)
        return plain

    def _drain_now(self) -> bytes:
        size = _BIO_read(self._out, _scratch, SCRATCH)
        return _bytes[:size] + self._drain() if size > 0 else b""

    def encrypt(self, data: bytes) -> bytes:
        """As in Public."""
        if len(data) > RECORD:
            return b"".join(
                [self.encrypt(data[at : at + RECORD]) for at in range(0, len(data), RECORD)]
            )
        _ERR_clear_error()
        wrote = _SSL_write(self._ssl, data, len(data))
        if wrote <= 0:
            self._failed(_SSL_get_error(self._ssl, wrote))
        size = _BIO_read(self._out, _scratch, SCRATCH)
        sealed: bytes = _bytes[:size] if size > 0 else b""
        if 0 < wrote < len(data):  # the client asked for smaller records (RFC 6066 §4)
            return sealed + self.encrypt(data[wrote:])
        return sealed

    def extended_master_secret(self) -> bool:
        """Return whether RFC 7627 is in use."""
        return bool(_lib.SSL_get_extms_support(self._ssl) == 1)

    def _failed(self, error: int) -> None:
        if error == _lib.SSL_ERROR_ZERO_RETURN:
            self.ended = CLOSED
            return
        texts = []
        while code := _lib.ERR_get_error():
            text = _lib.ERR_reason_error_string(code)
            texts.append(_ffi.string(text).decode("utf-8", "replace") if text else str(code))
        self.ended = f"TLS failed: {', '.join(texts) or f'error {error}'}"

    def _drain(self) -> bytes:
        out = b""
        while (size := _BIO_read(self._out, _scratch, SCRATCH)) > 0:
            out += _bytes[:size]
        return out


def channel(connection: SSL.Connection) -> Public:
    """Return the best channel that works here for this connection."""
    return best()(connection)


@cache
def best() -> type[Public]:
    """Return Slim if it passes its self-test in this process, Public if not."""
    problem = "pyOpenSSL has other insides" if _lib is None else self_test(Slim)
    if problem is None:
        return Slim
    Logger().warn(
        "TLS takes the slower way, through pyOpenSSL's public methods: {problem}", problem=problem
    )
    return Public


def reason(error: SSL.Error) -> str:
    """Return what OpenSSL says about an error, in a few words."""
    if isinstance(error, SSL.SysCallError):
        return str(error.args[-1])
    if error.args and isinstance(error.args[0], list):
        return ", ".join(str(entry[-1]) for entry in error.args[0]) or "unknown reason"
    return str(error) or type(error).__name__


def self_test(kind: type[Public]) -> str | None:
    """Return what does not work when two channels of this kind talk, None if all does."""
    try:
        for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            _converse(kind, version)
    except Exception as error:  # whatever it is, the public methods are there
        return f"{type(error).__name__}: {error}"
    return None


def _converse(kind: type[Public], version: int) -> None:
    server, client = (kind(connection) for connection in _pair(version))
    done = [False, False]
    for _ in range(10):
        done[0] = done[0] or client.handshake(server.take())
        done[1] = done[1] or server.handshake(client.take())
        if all(done):
            break
    _expect(all(done), "handshake")
    _expect(client.decrypt(server.take()) == b"", "nothing to read")
    for size in (1, RECORD, RECORD + 1, 3 * SCRATCH):
        data = bytes(range(256)) * (size // 256) + b"!" * (size % 256)
        sealed = client.encrypt(data)
        _expect(data[:32] not in sealed or size == 1, "encryption")
        got = server.decrypt(sealed[:7]) + server.decrypt(sealed[7:])
        _expect(got == data and not server.ended, f"{size} bytes")
        _expect(client.decrypt(server.take() + server.encrypt(data)) == data, f"{size} bytes back")
    if version == SSL.TLS1_2_VERSION:
        _expect(server.decrypt(client.farewell()) == b"", "close_notify")
        _expect(server.ended == CLOSED, "end after close_notify")
    else:
        server.decrypt(b"\x17\x03\x03\x00\x20" + bytes(32))
        _expect(server.ended not in (None, CLOSED), "end after a bad record")
        _expect(bool(server.take()), "alert for a bad record")


def _pair(version: int) -> tuple[SSL.Connection, SSL.Connection]:
    """Return a server's and a client's connection with a certificate made for the occasion."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "self-test")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(datetime.datetime(2020, 1, 1))
        .not_valid_after(datetime.datetime(2049, 1, 1))
        .sign(key, hashes.SHA256())
    )
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(version)
    context.set_max_proto_version(version)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.use_certificate(certificate)
    context.use_privatekey(key)
    server, client = SSL.Connection(context), SSL.Connection(context)
    server.set_accept_state()
    client.set_connect_state()
    return server, client


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"{what} failed")


try:
    _inside: Any = SSL  # Any: private names of the module
    _lib: Any = _inside._lib
    _ffi: Any = _inside._ffi
    _scratch = _ffi.new("char[]", SCRATCH)
    _bytes = _ffi.buffer(_scratch)  # slices of it are new bytes
    _pointer = _ffi.new("char **")
    # found once, because each look-up on the library object costs as much as a call
    _BIO_read, _BIO_write = _lib.BIO_read, _lib.BIO_write
    _BIO_get_mem_data = _lib.BIO_get_mem_data
    _SSL_read, _SSL_write = _lib.SSL_read, _lib.SSL_write
    _SSL_get_error, _ERR_clear_error = _lib.SSL_get_error, _lib.ERR_clear_error
    _WANT_READ = _lib.SSL_ERROR_WANT_READ
except (AttributeError, TypeError):
    _lib = None
