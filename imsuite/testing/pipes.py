"""What players talk through: bytes to a server in memory, or to any server over TCP and TLS."""

from __future__ import annotations

import socket
import ssl
from typing import Protocol

from imsuite.testing.memory import MemoryServer
from imsuite.testing.memory_link import MemoryLink, MemoryTls
from imsuite.testing.patterns import Wire

PATIENCE = 3.0  # seconds to wait for what is expected
_READ = 65536  # bytes at a time
_NOT_YET = (BlockingIOError, TimeoutError, ssl.SSLWantReadError)


class Pipe(Protocol):
    """One connection of a client. closed: the server ended it."""

    closed: bool

    def send(self, data: bytes) -> None:
        """Send bytes."""

    def receive(self, wait: float) -> bytes:
        """Return what came; b"" if nothing comes within that many seconds, or it is closed."""

    def secure(self) -> None:
        """Do the TLS handshake, now that the server has agreed to it."""

    def cut(self) -> None:
        """Close the connection without a word."""


class MemoryPipe:
    """A connection to a server in memory."""

    def __init__(self, server: MemoryServer, link: MemoryLink) -> None:
        self._server = server
        self._link = link

    @property
    def closed(self) -> bool:
        """Whether the server closed the link."""
        return self._link.closed

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self._link.put(data)

    def receive(self, wait: float) -> bytes:
        """Return what came; there is nothing to wait for."""
        self._server.settle()
        return self._link.take()

    def secure(self) -> None:
        """See that the server expects a handshake."""
        self._server.settle()
        if not self._link.secure:
            raise AssertionError("the server does not expect a TLS handshake")

    def cut(self) -> None:
        """Vanish."""
        self._link.lose()
        self._server.settle()


class TCPPipe:
    """A connection over TCP. context: which certificates to trust."""

    def __init__(self, host: str, port: int, domain: str, context: ssl.SSLContext) -> None:
        self.closed = False
        self._domain = domain
        self._context = context
        self._socket: socket.socket = socket.create_connection((host, port), PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self._socket.settimeout(PATIENCE)
        try:
            self._socket.sendall(data)
        except ConnectionError:
            self.closed = True

    def receive(self, wait: float) -> bytes:
        """Return what came; b"" if nothing comes within that many seconds, or it is closed."""
        if self.closed:
            return b""
        self._socket.settimeout(wait)
        try:
            data = self._socket.recv(_READ)
        except _NOT_YET:
            return b""
        except (ConnectionError, ssl.SSLError):
            data = b""
        if not data:
            self.cut()
        return data

    def secure(self) -> None:
        """Do the TLS handshake."""
        self._socket.settimeout(PATIENCE)
        self._socket = self._context.wrap_socket(self._socket, server_hostname=self._domain)

    def cut(self) -> None:
        """Close the connection."""
        self.closed = True
        self._socket.close()


class Stage(Protocol):
    """Where a dialogue is played. patient: what is expected may take a moment."""

    patient: bool

    def add_account(self, bare: str, password: str, admin: bool = False) -> None:
        """Make an account. admin: it administers its domain."""

    def connect(self, domain: str, secure: bool) -> Pipe:
        """Return a new connection on which nothing was said, or only what STARTTLS needs."""

    def settle(self) -> None:
        """Let the server handle what it has received, if that can be known."""


class MemoryStage:
    """A server in memory."""

    patient = False

    def __init__(self, server: MemoryServer) -> None:
        self._server = server

    def add_account(self, bare: str, password: str, admin: bool = False) -> None:
        """Make an account."""
        self._server.account(bare, password, admin)

    def connect(self, domain: str, secure: bool) -> MemoryPipe:
        """Return a new connection."""
        return MemoryPipe(self._server, self._server.connect(MemoryTls() if secure else None))

    def settle(self) -> None:
        """Let the server handle what it has received."""
        self._server.settle()


def start_tls(pipe: Pipe, domain: str) -> None:
    """Secure a connection by STARTTLS (RFC 6120 §5)."""
    wire = Wire()
    pipe.send(header(domain))
    await_element(pipe, wire, "features")
    pipe.send(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    await_element(pipe, wire, "proceed")
    pipe.secure()


def header(domain: str) -> bytes:
    """Return the header of a client's stream."""
    return (
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' version='1.0'"
        f" xmlns:stream='http://etherx.jabber.org/streams' to='{domain}'>"
    ).encode()


def await_element(pipe: Pipe, wire: Wire, name: str) -> None:
    """Read until an element of that local name came. Raises AssertionError if another way."""
    while not pipe.closed:
        data = pipe.receive(PATIENCE)
        if not data:
            break
        for element in wire.feed(data):
            if element.tag.endswith(f"}}{name}"):
                return
            if element.tag.endswith(("}error", "}failure")):
                break
    raise AssertionError(f"no <{name}/> came")
