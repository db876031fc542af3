"""Listeners: sockets that take connections and make links of them.

Used for every kind of stream: a listener knows addresses, limits and whether TLS comes first
(direct TLS, XEP-0368), and leaves the rest to the receiver that `make_receiver` returns.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import attrs
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from imsuite.streams.hub import IN, Hub
from imsuite.streams.ilink import IReceiver, ITlsContexts
from imsuite.streams.link import Address, Link
from imsuite.streams.tls import ALPN_CLIENT
from imsuite.xmpp.errors import ImsuiteError

BACKLOG = 1024  # connections that the kernel keeps for us
AT_A_TIME = 64  # connections taken in one turn of the hub
REST = 1.0  # seconds without accepting when the process has no descriptor left
REPEAT = 60.0  # seconds between two warnings of one kind
PREFIX = 64  # bits of an IPv6 address that one subscriber usually has to himself

EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

ADVICE = {
    errno.EADDRINUSE: "another program listens there; stop it or choose another port",
    errno.EACCES: "not permitted; ports below 1024 need CAP_NET_BIND_SERVICE or root",
    errno.EPERM: "not permitted; ports below 1024 need CAP_NET_BIND_SERVICE or root",
    errno.EADDRNOTAVAIL: "this machine has no such address; correct it or listen on all",
    errno.EAFNOSUPPORT: "this machine has no support for this kind of address",
}


class ListenError(ImsuiteError):
    """An address cannot be listened on; the text names it and says what to do."""


@attrs.define(eq=False)
class Admission:
    """How many connections there may be, counted over all listeners that share it.

    An IPv6 address is counted as its /64, which is what a subscriber has; connections through a
    Unix socket count in the whole only.
    """

    max_connections: int = 0  # at once; 0 for no limit
    max_per_address: int = 0  # at once; 0 for no limit
    connections: int = 0  # there now
    refused: int = 0  # since the start
    by_address: dict[str, int] = attrs.field(factory=dict)

    def admit(self, address: str) -> str | None:
        """Count a connection from an IP address; return why not if it is one too many."""
        if self.max_connections and self.connections >= self.max_connections:
            self.refused += 1
            return "as many connections as allowed"
        if address and self.max_per_address:
            key = counted_as(address)
            count = self.by_address.get(key, 0)
            if count >= self.max_per_address:
                self.refused += 1
                return "as many connections from one address as allowed"
            self.by_address[key] = count + 1
        self.connections += 1
        return None

    def release(self, address: str) -> None:
        """Count a connection less."""
        self.connections -= 1
        if not self.by_address:
            return
        key = counted_as(address)
        left = self.by_address.get(key, 0) - 1
        if left > 0:
            self.by_address[key] = left
        else:
            self.by_address.pop(key, None)


class Listener:
    """One address that is listened on."""

    log = Logger()

    def __init__(
        self,
        hub: Hub,
        interface: str,
        port: int,
        make_receiver: Callable[[Link], IReceiver],
        tls: ITlsContexts | None = None,
        *,
        alpn: tuple[bytes, ...] = (ALPN_CLIENT,),
        admission: Admission | None = None,
    ) -> None:
        """Prepare to listen.

        interface: an IPv4 or IPv6 address, a host name, "" for all addresses of both kinds, or
            "unix:/path", with a port of 0.
        port: 0 for any free one.
        tls: for direct TLS, which then begins at once; None for none, or STARTTLS.
        alpn: what direct TLS agrees to with a client that offers protocols.
        """
        self.hub = hub
        self.interface = interface
        self.port = port
        self.admission = Admission() if admission is None else admission
        self._make_receiver = make_receiver
        self._tls = tls
        self._alpn = alpn
        self._sock: socket.socket | None = None
        self._fd = -1
        self._spare = -1
        self._resting: IDelayedCall | None = None
        self._warned = -REPEAT

    def __str__(self) -> str:
        if self.interface.startswith("unix:"):
            return self.interface
        host = f"[{self.interface}]" if ":" in self.interface else self.interface or "*"
        return f"{host}:{self.port}"

    def start(self, accept: bool = True) -> int:
        """Listen, and return the port; without accept, connections wait for `accept`.

        Raises ListenError.
        """
        try:
            sock = self._open()
        except OSError as error:
            advice = ADVICE.get(error.errno or 0, (error.strerror or str(error)).lower())
            raise ListenError(f"cannot listen on {self}: {advice}") from error
        self._sock, self._fd = sock, sock.fileno()
        if sock.family != socket.AF_UNIX:
            self.port = sock.getsockname()[1]
        self._spare = _open_spare()
        self.hub.add(self)
        if not accept:
            self.hub.change(self._fd, 0)
        return self.port

    def accept(self) -> None:
        """Take the connections that wait, and those that come."""
        if self._sock is not None and self._resting is None:
            self.hub.change(self._fd, IN)

    def stop(self) -> None:
        """Listen no more; links that are there stay."""
        sock, self._sock = self._sock, None
        if sock is None:
            return
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None
        if sock.family == socket.AF_UNIX:
            Path(sock.getsockname()).unlink(missing_ok=True)
        self.hub.remove(self._fd, sock)
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1

    # what the hub and its links call

    def fileno(self) -> int:
        """Return the descriptor, -1 when not listening."""
        return -1 if self._sock is None else self._fd

    def abort(self, reason: str = "") -> None:
        """Stop, because the hub does."""
        self.stop()

    def ready(self, event: int) -> None:
        """Take the connections that wait, but not so many that links have to wait for it."""
        for _ in range(AT_A_TIME):
            if self._sock is None:
                return
            try:
                sock, address = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in EXHAUSTED:
                    self._exhausted(self._sock, error)
                    return
                continue  # accept(2): errors of the new connection, which is gone already
            self._take(sock, address)

    def link_gone(self, link: Link) -> None:
        """Count a link less."""
        self.admission.release(link.address)

    # inside

    def _take(self, sock: socket.socket, address: Address) -> None:
        host = address[0].removeprefix("::ffff:") if isinstance(address, tuple) else ""
        refusal = self.admission.admit(host)
        if refusal is not None:
            sock.close()
            self._warn("refused a connection from {peer} on {listener}: {why}", host, refusal)
            return
        try:
            if isinstance(address, tuple):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            link = Link(self.hub, sock, address, self)
        except OSError:  # reset meanwhile, or no room left in the epoll set
            sock.close()
            self.admission.release(host)
            return
        try:
            link.receiver = self._make_receiver(link)
            if self._tls is not None and not link.closed:
                link.start_tls(self._tls, self._alpn)
        except Exception:
            self.log.failure("a connection on {listener} failed at once", listener=self)
            link.abort("internal error")

    def _exhausted(self, listening: socket.socket, error: OSError) -> None:
        """Refuse one connection with the spare descriptor, then rest.

        Otherwise the waiting connection would make the socket ready for ever.
        """
        self._warn("no connections are taken on {listener}: {why}", "", error.strerror or "")
        if self._spare >= 0:
            os.close(self._spare)
            try:
                listening.accept()[0].close()
            except OSError as again:
                self.log.debug("refusing failed too: {error}", error=again)
            self._spare = _open_spare()
        self.hub.change(self._fd, 0)
        self._resting = self.hub.reactor.callLater(REST, self._rested)

    def _rested(self) -> None:
        self._resting = None
        if self._spare < 0:
            self._spare = _open_spare()
        if self._sock is not None:
            self.hub.change(self._fd, IN)

    def _warn(self, text: str, peer: str, why: str) -> None:
        """Log a warning, not more often than every REPEAT seconds."""
        now = self.hub.reactor.seconds()
        if now - self._warned >= REPEAT:
            self._warned = now
            refused = self.admission.refused
            self.log.warn(text, listener=self, peer=peer, why=why, refused=refused)

    def _open(self) -> socket.socket:
        if self.interface.startswith("unix:"):
            return _listen_unix(self.interface.removeprefix("unix:"))
        if not self.interface and socket.has_dualstack_ipv6():
            try:
                return _listen(socket.AF_INET6, ("::", self.port), v6_only=False)
            except OSError as error:
                if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                    raise
        host = self.interface or "0.0.0.0"  # noqa: S104 # "" asks for all
        found = socket.getaddrinfo(host, self.port, type=socket.SOCK_STREAM)
        family, _, _, _, address = found[0]
        return _listen(family, address, v6_only=True)


def counted_as(address: str) -> str:
    """Return under which name an IP address is counted: itself, or its /64 for IPv6."""
    if ":" not in address:
        return address
    bare = address.partition("%")[0]
    return str(ipaddress.ip_network((bare, PREFIX), strict=False).network_address)


def _listen(family: int, address: tuple[object, ...], *, v6_only: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6_only)
        sock.setblocking(False)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _listen_unix(path: str) -> socket.socket:
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.bind(path)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _remove_stale(path: str) -> None:
    """Remove a socket file behind which nobody listens."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.connect(path)
    except FileNotFoundError:
        pass
    except ConnectionRefusedError:
        os.unlink(path)


def _open_spare() -> int:
    """Return a descriptor that can be given up when there is no other, -1 if none is left."""
    try:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1
