"""Links: TCP connections, with or without TLS, served in batches by a hub.

The interfaces, with what may be called when, are in `streams/ilink.py`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from typing import Protocol

from zope.interface import implementer

from imsuite.streams.hub import ERR, HUP, IN, OUT, Hub, LinkLimits
from imsuite.streams.ilink import ILink, IReceiver, ITlsContexts
from imsuite.streams.slimtls import CLOSED, Public, channel
from imsuite.streams.tls import TlsInfo

__all__ = ["Hub", "Link", "LinkLimits", "Owner", "links"]

RECV = 16384  # bytes; larger ones cost more than they bring (fastpath.md §4)
AT_ONCE = b"\1\0\0\0\0\0\0\0"  # struct linger: on, 0 seconds

Address = tuple[str, int] | tuple[str, int, int, int] | str | bytes  # as socket.accept returns it


class Owner(Protocol):
    """Who wants to know, after the receiver, that a link is gone."""

    def link_gone(self, link: Link) -> None:
        """Forget this link."""


@implementer(ILink)
class Link:
    """A TCP connection or the like; see ILink."""

    __slots__ = (
        "receiver",
        "secure",
        "congested",
        "_hub",
        "_owner",
        "_sock",  # None when the link is gone
        "_fd",
        "_address",
        "_out",  # written in this turn; None after close and abort
        "_held",  # bytes for the wire that the kernel did not take; None when it took all
        "_size",  # bytes in both
        "_tls",  # None without TLS
        "_paused",
    )

    def __init__(
        self, hub: Hub, sock: socket.socket, address: Address, owner: Owner | None = None
    ) -> None:
        """sock: connected; the receiver is to be set before the turn ends."""
        sock.setblocking(False)
        self.receiver: IReceiver | None = None
        self.secure = False
        self.congested = False
        self._hub = hub
        self._owner = owner
        self._sock: socket.socket | None = sock
        self._fd = sock.fileno()
        self._address = address
        self._out: list[bytes] | None = []
        self._held: bytearray | None = None
        self._size = 0
        self._tls: Public | None = None
        self._paused = False
        hub.add(self)

    # ILink

    @property
    def peer(self) -> str:
        """The peer's address for the log."""
        if not self.address:
            return "unix"
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self._address[1]}"

    @property
    def address(self) -> str:
        """The peer's IP address, '' if it has none."""
        if not isinstance(self._address, tuple):
            return ""
        return self._address[0].removeprefix("::ffff:")

    @property
    def tls(self) -> TlsInfo | None:
        """What TLS agreed upon."""
        return TlsInfo(self._tls) if self.secure and self._tls is not None else None

    @property
    def buffered(self) -> int:
        """Bytes written and not yet taken by the kernel."""
        return self._size

    @property
    def closed(self) -> bool:
        """Whether writes are ignored."""
        return self._out is None

    def write(self, data: bytes) -> None:
        """Send bytes at the end of this turn."""
        out = self._out
        if out is None:
            return
        out.append(data)
        self._size += len(data)
        if len(out) == 1:
            self._hub.flush_soon(self)
        if self._size > self._hub.soft:
            self._overflow()

    def close(self) -> None:
        """Send what was written, take leave, and wait a while for the peer to do the same."""
        self.flush()
        if self._out is None:
            return
        if self.secure and self._tls is not None:
            self._put(self._tls.farewell())
        if self._sock is None:
            return
        self._out = None
        self._size = 0 if self._held is None else len(self._held)
        self._paused = False
        self._watch()
        self._hub.leaving(self)
        if self._held is None:
            self._shut()

    def abort(self, reason: str = "aborted") -> None:
        """End at once."""
        if self._sock is not None:
            # the kernel forgets what it has not sent, and tells the peer
            with contextlib.suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            self._lose(reason)

    def pause(self) -> None:
        """Stop reading."""
        if not self._paused and self._out is not None:
            self._paused = True
            self._watch()

    def resume(self) -> None:
        """Go on reading."""
        if self._paused:
            self._paused = False
            self._watch()

    def start_tls(
        self, contexts: ITlsContexts, alpn: tuple[bytes, ...] = (), domain: str | None = None
    ) -> None:
        """Begin TLS after everything written so far."""
        if self._tls is not None:
            raise RuntimeError("TLS is already in use on this link")
        self.flush()
        if self._out is not None:
            self._tls = channel(contexts.connection(alpn, domain))
            self._shake(self._tls, b"")

    # what the hub calls

    def fileno(self) -> int:
        """Return the descriptor, -1 when the link is gone."""
        return -1 if self._sock is None else self._fd

    def ready(self, event: int) -> None:
        """Read once if there is something to read, send what was held."""
        sock = self._sock
        if sock is None:
            return
        if event & OUT and self._held is not None:
            self._send_held(sock, self._held)
        if not event & IN or self._paused:
            # these two come even when nothing is watched for, again and again
            if event & (ERR | HUP):
                self._lose(_strerror(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)))
            return
        try:
            data = sock.recv(RECV)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(_strerror(error.errno))
            return
        if not data:
            self._end()
        elif self._out is None:
            pass  # after close() nothing is read but the end
        elif self._tls is None:
            if self.receiver is not None:
                self.receiver.data_received(data)
        else:
            self._read_tls(self._tls, data)

    def flush(self) -> None:
        """Send what was written in this turn."""
        out = self._out
        if not out:
            return
        tls = self._tls
        if tls is None:
            data = out[0] if len(out) == 1 else b"".join(out)
            out.clear()
        elif self.secure:
            data = tls.encrypt(out[0] if len(out) == 1 else b"".join(out))
            out.clear()
            if tls.ended is not None:
                self._lose(tls.ended)
                return
        else:
            return  # waits for the handshake
        self._put(data)

    def tell(self, reason: str) -> None:
        """Tell receiver and owner that the link is gone, and forget them."""
        receiver, self.receiver = self.receiver, None
        owner, self._owner = self._owner, None
        try:
            if receiver is not None:
                receiver.link_lost(reason)
        finally:
            if owner is not None:
                owner.link_gone(self)

    # inside

    def _put(self, data: bytes) -> None:
        """Give bytes to the kernel, and hold what it does not take; nothing else is in _out."""
        if self._sock is None or not data:
            self._size = 0
            return
        if self._held is None:
            try:
                sent = self._sock.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError as error:
                self._lose(_strerror(error.errno))
                return
            if sent == len(data):
                self._size = 0
                return
            self._held = bytearray(memoryview(data)[sent:])
            self._watch()
        else:
            self._held += data
        self._size = len(self._held)
        if self._size > self._hub.hard:
            self.abort("send buffer full")

    def _send_held(self, sock: socket.socket, held: bytearray) -> None:
        try:
            sent = sock.send(held)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(_strerror(error.errno))
            return
        del held[:sent]
        self._size -= sent
        if not held:
            self._held = None
            self._watch()
            if self._out is None:
                self._shut()
                return
        # half, lest it be told at every step of a peer that reads slowly
        if self.congested and self._size <= self._hub.soft >> 1 and self._out is not None:
            self.congested = False
            if self.receiver is not None:
                self.receiver.writable()

    def _overflow(self) -> None:
        """Find out, before the turn's end, whether the peer is slow or only much was written."""
        if self._held is None:
            self.flush()
        if self._size > self._hub.hard:
            self.abort("send buffer full")
        elif self._size > self._hub.soft:
            self.congested = True

    def _read_tls(self, tls: Public, data: bytes) -> None:
        if not self.secure:
            if not self._shake(tls, data):
                return
            data = b""  # what came behind the handshake is in there already
        plain = tls.decrypt(data)
        if tls.reply:
            self._reply(tls)
        if plain and self.receiver is not None and self._out is not None:
            self.receiver.data_received(plain)
        if tls.ended is CLOSED:
            self._end()
        elif tls.ended is not None:
            self._lose(tls.ended)

    def _shake(self, tls: Public, data: bytes) -> bool:
        """Go on with the handshake; return whether it is done and the link still open."""
        done = tls.handshake(data)
        if tls.reply:
            self._reply(tls)
        if tls.ended is not None:
            self._lose(tls.ended)
        if not done or self._out is None:
            return False
        self.secure = True
        if self._out:
            self._hub.flush_soon(self)
        if self.receiver is not None:
            self.receiver.secured()
        return self._out is not None

    def _reply(self, tls: Public) -> None:
        """Send what TLS has to say by itself; what the receiver wrote keeps its place."""
        waiting = self._size - (0 if self._held is None else len(self._held))
        self._put(tls.take())
        self._size += waiting if self._sock is not None else 0

    def _end(self) -> None:
        """Answer to the end of what the peer sends."""
        if self._out is not None:
            self.flush()
            if self.secure and self._tls is not None and self._held is None:
                self._put(self._tls.farewell())
        self._lose(CLOSED)

    def _shut(self) -> None:
        """Send FIN."""
        if self._sock is not None:
            try:
                self._sock.shutdown(socket.SHUT_WR)
            except OSError as error:
                self._lose(_strerror(error.errno))

    def _watch(self) -> None:
        if self._sock is not None:
            held = 0 if self._held is None else OUT
            self._hub.change(self._fd, held if self._paused else held | IN)

    def _lose(self, reason: str) -> None:
        """Let go of everything; the receiver is told at the end of the turn."""
        sock = self._sock
        if sock is None:
            return
        self._sock = self._out = self._held = self._tls = None
        self._size = 0
        self.secure = self.congested = False
        self._hub.remove(self._fd, sock)
        self._hub.lost(self, reason)


def _strerror(number: int | None) -> str:
    """Return the system's words for an error number, in lower case."""
    if not number:
        return "connection lost"
    if number == errno.ECONNRESET:
        return "reset by the peer"
    return os.strerror(number).lower()


def links(hub: Hub) -> list[Link]:
    """Return all links of a hub that are there now."""
    return [entry for entry in hub.entries() if isinstance(entry, Link)]
