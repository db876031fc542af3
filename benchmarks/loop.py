"""The load generator's sockets: epoll, and TLS by memory BIO, with as little Python as goes."""

import errno
import select
import socket
import ssl
import time
from collections.abc import Callable

import attrs

CHUNK = 65536  # bytes asked for at once


class Stalled(Exception):
    """What we waited for did not come in time."""


class Closed(Exception):
    """A connection was closed that should be open."""


def tls_context() -> ssl.SSLContext:
    """Return a client context: TLS 1.3, certificates not verified, no resumption."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def ignore(chunk: bytes) -> None:
    """Receive bytes that do not matter."""


@attrs.define(eq=False)
class Loop:
    """One epoll and the links that are registered with it."""

    poll: select.epoll = attrs.field(factory=select.epoll)
    links: dict[int, "Link"] = attrs.field(factory=dict)
    context: ssl.SSLContext = attrs.field(factory=tls_context)
    now: float = attrs.field(factory=time.perf_counter)  # when the last poll returned

    def turn(self, timeout: float) -> None:
        """Wait for events, at most timeout seconds, and let the links read and write."""
        events = self.poll.poll(timeout)
        self.now = time.perf_counter()
        links = self.links
        for descriptor, event in events:
            link = links.get(descriptor)
            if link is None:  # closed by an event before it in this batch
                continue
            if event & select.EPOLLOUT:
                link.flush()
            if event & ~select.EPOLLOUT:
                link.readable()

    def turn_until(self, due: float) -> None:
        """Wait for events until a time, to the microsecond: epoll itself counts milliseconds."""
        wait = due - time.perf_counter()
        if wait > 0:
            select.select((self.poll,), (), (), wait)
        self.turn(0)

    def run(self, done: Callable[[], bool], timeout: float, awaited: str) -> None:
        """Turn until done() is true; raises Stalled after timeout seconds."""
        end = time.perf_counter() + timeout
        while not done():
            if time.perf_counter() > end:
                raise Stalled(f"waited {timeout:g} s for {awaited}")
            self.turn(0.05)

    def pause(self, seconds: float) -> None:
        """Turn for some time."""
        end = time.perf_counter() + seconds
        while (now := time.perf_counter()) < end:
            self.turn(min(0.05, end - now))

    def close(self) -> None:
        """Close all links and the epoll."""
        for link in [*self.links.values()]:
            link.close()
        self.poll.close()

    def connect(self, host: str, port: int) -> "Link":
        """Return a link to a server on this machine."""
        connection = socket.socket()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.connect_ex((host, port))  # what we send before it is done waits in unsent
        link = Link(loop=self, connection=connection, descriptor=connection.fileno())
        self.links[link.descriptor] = link
        self.poll.register(link.descriptor, select.EPOLLIN)
        return link


@attrs.define(eq=False)
class Link:
    """One client connection, plain until secure() was called."""

    loop: Loop
    connection: socket.socket
    descriptor: int
    receive: Callable[[bytes], None] = ignore
    closed: Callable[[], None] | None = None  # None: being closed is an error
    unsent: bytearray = attrs.field(factory=bytearray)  # what the kernel refused, encrypted
    tls: ssl.SSLObject | None = None
    incoming: ssl.MemoryBIO = attrs.field(factory=ssl.MemoryBIO)
    outgoing: ssl.MemoryBIO = attrs.field(factory=ssl.MemoryBIO)
    shaking: bool = False  # the handshake is not complete
    waiting: list[bytes] = attrs.field(factory=list)  # plaintext to send after it

    def secure(self) -> None:
        """Begin TLS; what is sent from now on waits for the end of the handshake."""
        self.tls = self.loop.context.wrap_bio(
            self.incoming, self.outgoing, server_hostname="localhost"
        )
        self.shaking = True
        self.shake()

    def shake(self) -> None:
        """Carry the handshake on as far as the received bytes allow."""
        assert self.tls is not None
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        else:
            self.shaking = False
            for text in self.waiting:
                self.tls.write(text)
            self.waiting.clear()
        self.put(self.outgoing.read())

    def send(self, text: bytes) -> None:
        """Send bytes now; what the kernel refuses is sent when it can be."""
        if self.tls is None:
            self.put(text)
        elif self.shaking:
            self.waiting.append(text)
        else:
            self.tls.write(text)
            self.put(self.outgoing.read())

    def put(self, raw: bytes) -> None:
        """Give bytes to the kernel."""
        if self.unsent:
            self.unsent += raw
            return
        if not raw:
            return
        try:
            sent = self.connection.send(raw)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.fail(errno.errorcode.get(error.errno or 0, str(error)))
            return
        if sent < len(raw):
            self.unsent += raw[sent:]
            self.loop.poll.modify(self.descriptor, select.EPOLLIN | select.EPOLLOUT)

    def flush(self) -> None:
        """Send what had to wait."""
        try:
            sent = self.connection.send(self.unsent)
        except BlockingIOError:
            return
        except OSError as error:
            self.fail(errno.errorcode.get(error.errno or 0, str(error)))
            return
        del self.unsent[:sent]
        if not self.unsent:
            self.loop.poll.modify(self.descriptor, select.EPOLLIN)

    def readable(self) -> None:
        """Read what has come and hand it to receive."""
        try:
            raw = self.connection.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            self.fail(errno.errorcode.get(error.errno or 0, str(error)))
            return
        if not raw:
            self.fail("end of file")
        elif self.tls is None:
            self.receive(raw)
        else:
            self.incoming.write(raw)
            if self.shaking:
                self.shake()
            self.decrypt()

    def decrypt(self) -> None:
        """Hand on the plaintext of the records that are complete."""
        tls = self.tls
        assert tls is not None
        chunks = []
        ended = False
        while not self.shaking and not ended and (self.incoming.pending or tls.pending()):
            try:
                chunk = tls.read(CHUNK)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                chunk = b""
            if chunk:
                chunks.append(chunk)
            else:
                ended = True
        if chunks:
            self.receive(chunks[0] if len(chunks) == 1 else b"".join(chunks))
        if ended and self.open:
            self.fail("TLS closed")

    def fail(self, reason: str) -> None:
        """The connection has ended: tell who waits for it; raises Closed when nobody does."""
        self.close()
        if self.closed is None:
            raise Closed(f"the server closed a connection ({reason})")
        self.closed()

    @property
    def open(self) -> bool:
        """Whether the connection was not closed."""
        return self.loop.links.get(self.descriptor) is self  # numbers are used again

    def close(self) -> None:
        """Close the connection; may be called again."""
        if self.open:
            del self.loop.links[self.descriptor]
            self.loop.poll.unregister(self.descriptor)
            self.connection.close()
