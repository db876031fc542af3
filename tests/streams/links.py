"""What the tests of links, TLS and listeners share: a reactor, peers, a receiver."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from twisted.internet.epollreactor import EPollReactor

from imsuite.streams.hub import Hub, LinkLimits
from imsuite.streams.link import Link

PATIENCE = 5  # seconds
REACTOR = EPollReactor()  # not Twisted's global one; turned by hand


class Receiver:
    """Keeps what it is told, and answers as the test says."""

    def __init__(self, link: Link | None = None) -> None:
        self.link = link
        self.received = b""
        self.calls: list[str] = []
        self.lost: list[str] = []
        self.on_data: Callable[[bytes], object] = lambda data: None
        self.on_secured: Callable[[], object] = lambda: None

    def data_received(self, data: bytes) -> None:
        self.calls.append("data")
        self.received += data
        self.on_data(data)

    def secured(self) -> None:
        self.calls.append("secured")
        self.on_secured()

    def writable(self) -> None:
        self.calls.append("writable")

    def link_lost(self, reason: str) -> None:
        self.calls.append("lost")
        self.lost.append(reason)


class World:
    """A hub on a reactor that is turned until something holds."""

    def __init__(self, *, use_epoll: bool = True, limits: LinkLimits | None = None) -> None:
        self.reactor = REACTOR
        self.hub = Hub(self.reactor, limits, use_epoll=use_epoll)
        self.peers: list[socket.socket] = []

    def turn(self) -> None:
        self.reactor.runUntilCurrent()
        self.reactor.doIteration(0.001)

    def until(self, holds: Callable[[], object]) -> None:
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, "it never came"
            self.turn()

    def turns(self, count: int = 5) -> None:
        for _ in range(count):
            self.turn()

    def link(self) -> tuple[Receiver, socket.socket]:
        """Return a receiver on a new link, and the peer's socket."""
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self.peers.append(theirs)
        receiver = Receiver()
        receiver.link = Link(self.hub, ours, "")
        receiver.link.receiver = receiver
        return receiver, theirs

    def read(self, peer: socket.socket, size: int) -> bytes:
        """Return that many bytes that came to the peer, fewer if the stream ended."""
        got = b""
        end = time.monotonic() + PATIENCE
        while len(got) < size:
            assert time.monotonic() < end, f"only {len(got)} of {size} bytes came"
            self.turn()
            try:
                data = peer.recv(min(65536, size - len(got)))
            except BlockingIOError:
                continue
            if not data:
                break
            got += data
        return got

    def send(self, peer: socket.socket, data: bytes) -> None:
        """Send from the peer, turning while the buffers are full."""
        view = memoryview(data)
        while view:
            try:
                view = view[peer.send(view) :]
            except BlockingIOError:
                self.turn()

    def close(self) -> None:
        self.hub.stop()
        for peer in self.peers:
            peer.close()
        assert self.reactor.getDelayedCalls() == []
        assert self.hub not in self.reactor.getReaders()


class TlsClient:
    """A TLS client on a socket, by Python's own ssl module, turned by hand."""

    def __init__(self, world: World, peer: socket.socket, name: str | None, **options) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if "alpn" in options:
            context.set_alpn_protocols(options["alpn"])
        if "version" in options:
            context.maximum_version = options["version"]
        if "ciphers" in options:
            context.set_ciphers(options["ciphers"])
        self.world, self.peer = world, peer
        self._into, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._into, self._out, server_hostname=name)

    def _run(self, act: Callable[[], object]) -> object:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return act()
            except ssl.SSLWantReadError:
                assert time.monotonic() < end, "it never came"
            finally:
                if self._out.pending:
                    self.world.send(self.peer, self._out.read())
            self.world.turn()
            try:
                data = self.peer.recv(65536)
            except BlockingIOError:
                continue
            if data:
                self._into.write(data)
            else:
                self._into.write_eof()

    def handshake(self) -> None:
        self._run(self.tls.do_handshake)

    def send(self, data: bytes) -> None:
        self._run(lambda: self.tls.write(data))

    def read(self, size: int) -> bytes:
        """Return that many bytes, fewer if the server said that it closes."""
        got = b""
        while len(got) < size:
            data = self._run(partial(self.tls.read, size - len(got)))
            if not data:  # close_notify; a bare end of the connection raises
                break
            got += data
        return got

    def certificate(self) -> bytes:
        return self.tls.getpeercert(binary_form=True)


@contextmanager
def opened(**options) -> Iterator[World]:
    each = World(**options)
    try:
        yield each
    finally:
        each.close()
