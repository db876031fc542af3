"""A link that ends in memory: bytes go in and out of a stream without a socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from OpenSSL.SSL import Connection
from zope.interface import implementer

from imsuite.streams.ilink import ILink, IReceiver, ITlsContexts, ITlsInfo


@implementer(ITlsInfo)
class MemoryTls:
    """What a pretended TLS handshake agreed upon. bindings: channel binding data by kind."""

    def __init__(
        self,
        bindings: Mapping[str, bytes] | None = None,
        version: str = "TLSv1.3",
        alpn: str = "",
        server_name: str | None = None,
    ) -> None:
        self.version = version
        self.cipher = "TLS_AES_256_GCM_SHA384"
        self.alpn = alpn
        self.server_name = server_name
        self._bindings = dict(bindings or {})

    def channel_binding(self, kind: str) -> bytes | None:
        """Return the data that was given for a kind, or None."""
        return self._bindings.get(kind)


@implementer(ITlsContexts)
class NoContexts:
    """Stands where certificates are, for links that only pretend TLS."""

    def connection(self, alpn: tuple[bytes, ...] = (), domain: str | None = None) -> Connection:
        """Never called by a MemoryLink."""
        raise RuntimeError("TLS is only pretended here")


@implementer(ILink)
class MemoryLink:
    """One connection of which the test is the peer.

    tls: given to begin with TLS on; later_tls: what `start_tls` will pretend to have agreed
    upon. paused: the receiver asked for no more bytes; what is fed meanwhile waits.
    started_tls: the (alpn, domain) that start_tls was called with, None before.
    The receiver is told about closing and TLS at the end of a turn, as on a real link; `put`
    ends with a turn, everything else that a test does to a receiver is followed by `turn()`.
    """

    def __init__(
        self,
        tls: MemoryTls | None = None,
        later_tls: MemoryTls | None = None,
        address: str = "192.0.2.1",
    ) -> None:
        self.receiver: IReceiver | None = None
        self.address = address
        self.peer = f"{address}:40000"
        self.tls: MemoryTls | None = tls
        self.buffered = 0
        self.congested = False
        self.closed = False
        self.paused = False
        self.reason: str | None = None  # of link_lost, None before
        self.started_tls: tuple[tuple[bytes, ...], str | None] | None = None
        self._later_tls = later_tls or MemoryTls()
        self._sent: list[bytes] = []
        self._waiting: list[bytes] = []
        self._at_end: list[Callable[[], None]] = []
        self._turning = False

    def __repr__(self) -> str:
        return f"<MemoryLink {self.peer}>"

    @property
    def secure(self) -> bool:
        """Whether TLS is pretended to be on."""
        return self.tls is not None

    # the stream's side: ILink

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if not self.closed:
            self._sent.append(bytes(data))

    def close(self) -> None:
        """Take leave; the peer agrees at once."""
        self._end("closed")

    def abort(self, reason: str = "aborted") -> None:
        """End at once."""
        self._end(reason)

    def pause(self) -> None:
        """Stop reading."""
        self.paused = True

    def resume(self) -> None:
        """Go on reading, from the next turn on."""
        self.paused = False

    def start_tls(
        self, contexts: ITlsContexts, alpn: tuple[bytes, ...] = (), domain: str | None = None
    ) -> None:
        """Begin to pretend TLS."""
        self.started_tls = (alpn, domain)
        self._at_end.append(self._handshaken)

    # the test's side

    def put(self, data: bytes, size: int | None = None) -> None:
        """Be the peer that sends bytes, in pieces of that size."""
        step = size or max(len(data), 1)
        for start in range(0, len(data), step):
            self._waiting.append(data[start : start + step])
            self.turn()

    def feed(self, data: bytes, size: int | None = None) -> bytes:
        """Be the peer that sends bytes, in pieces of that size; return what came back."""
        self.put(data, size)
        return self.take()

    def take(self) -> bytes:
        """Return what was sent since the last call."""
        self.turn()
        sent, self._sent = b"".join(self._sent), []
        return sent

    def lose(self, reason: str = "connection lost") -> None:
        """Be the peer that vanishes without a word."""
        self._end(reason)
        self.turn()

    def drain(self) -> None:
        """Be the peer that reads again after it was congested."""
        self.congested = False
        if self.receiver is not None:
            self.receiver.writable()
        self.turn()

    def turn(self) -> None:
        """Let happen what is due, until nothing is; does nothing when called from within."""
        if self._turning:
            return
        self._turning = True
        try:
            while self.receiver is not None:
                if self._at_end:
                    self._at_end.pop(0)()
                elif self._waiting and not self.paused and not self.closed:
                    self.receiver.data_received(self._waiting.pop(0))
                else:
                    break
        finally:
            self._turning = False

    def _handshaken(self) -> None:
        if self.receiver is not None and not self.closed:
            self.tls = self._later_tls
            self.receiver.secured()

    def _end(self, reason: str) -> None:
        if not self.closed:
            self.closed = True
            self._at_end.append(lambda: self._lost(reason))

    def _lost(self, reason: str) -> None:
        receiver, self.receiver = self.receiver, None
        self.reason = reason
        self._waiting.clear()
        if receiver is not None:
            receiver.link_lost(reason)
