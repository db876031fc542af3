"""The hub: serves all links of a reactor in batches.

The sockets of the links are in an epoll set of the hub's own, and that set's descriptor is what
the reactor watches, through the public IReactorFDSet: when anything is ready, the reactor calls
the hub once, and the hub serves all that is ready in one tight loop. What receivers write
meanwhile is sent at the end of the batch, joined, with one `send` for each link (fastpath.md §4).
Where there is no epoll, or the reactor cannot watch it, the reactor watches each link.
"""

from __future__ import annotations

import select
import socket
from collections import deque
from time import monotonic
from typing import Protocol

import attrs
from twisted.internet.interfaces import (
    IDelayedCall,
    IReactorFDSet,
    IReactorTime,
    IReadDescriptor,
    IReadWriteDescriptor,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

EVENTS = 512  # most ready descriptors in one turn; further rounds within it were measured: no gain
# Links with something to send, and seconds: when there are so many and the first has waited for so
# long, the end of the batch is not waited for. What is said meanwhile goes out in one write.
EARLY = 256
LATEST = 0.06

# what epoll calls them; defined here because select has them on Linux only
IN, OUT, ERR, HUP = 0x001, 0x004, 0x008, 0x010


@attrs.frozen
class LinkLimits:
    """How much may wait to be sent on one link, and for how long it may take leave."""

    soft: int = 262144  # bytes, from which on a link is congested
    hard: int = 4194304  # bytes, beyond which it is aborted
    farewell: int = 15  # seconds from close() until the peer must have closed too


class Entry(Protocol):
    """What a hub watches: a link or a listener."""

    def fileno(self) -> int:
        """Return the descriptor, -1 when it is gone."""

    def ready(self, event: int) -> None:
        """Act on a sum of IN, OUT, ERR and HUP."""

    def abort(self, reason: str = ...) -> None:
        """End at once."""


class Sender(Entry, Protocol):
    """A link, as far as the hub knows it."""

    def flush(self) -> None:
        """Send what was written in this turn."""

    def tell(self, reason: str) -> None:
        """Tell the receiver that the link is gone."""


class IReactor(IReactorFDSet, IReactorTime):
    """What a hub needs of a reactor."""


@implementer(IReadDescriptor)
class Hub:
    """All links of one reactor."""

    log = Logger()

    def __init__(
        self, reactor: IReactor, limits: LinkLimits | None = None, *, use_epoll: bool = True
    ) -> None:
        """use_epoll: False to have the reactor watch each link."""
        self.limits = LinkLimits() if limits is None else limits
        self.soft, self.hard = self.limits.soft, self.limits.hard
        self.reactor = reactor
        self._entries: dict[int, Entry] = {}
        self._watches: dict[int, _Watch] = {}
        self._dirty: list[Sender] = []
        self._lost: list[tuple[Sender, str]] = []
        self._sockets: list[socket.socket] = []
        self._leaving: deque[tuple[float, Sender]] = deque()
        self._turning = False
        self._late: IDelayedCall | None = None
        self._sweeping: IDelayedCall | None = None
        self._use_epoll = use_epoll and hasattr(select, "epoll")
        self._epoll: select.epoll | None = None
        self._reactor_fd: int | None = None  # of a LinkReactor that waits here

    # what the reactor calls

    def fileno(self) -> int:
        """Return the descriptor of the epoll set."""
        return -1 if self._epoll is None else self._epoll.fileno()

    def logPrefix(self) -> str:
        """Return what Twisted puts before log lines."""
        return "links"

    def doRead(self) -> None:
        """Serve whatever is ready; never raises, since the reactor would then drop all links."""
        self.wait(0)

    def wait(self, timeout: float) -> bool:
        """Wait for events and serve them; tell whether the reactor itself has some.

        timeout: seconds, -1 for ever. Never raises.
        """
        if self._epoll is None:
            return True
        entries = self._entries
        others = False
        try:
            events = self._epoll.poll(timeout, EVENTS)
            self._turning = True
            began = monotonic()
            for fd, event in events:
                entry = entries.get(fd)
                if entry is not None:
                    try:
                        entry.ready(event)
                    except Exception:
                        self._failed(entry)
                    if len(self._dirty) >= EARLY and (now := monotonic()) - began > LATEST:
                        self._flush()
                        began = now
                elif fd == self._reactor_fd:
                    others = True
            if self._dirty or self._lost or self._sockets:
                self._settle()
        except Exception:
            self.log.failure("links: a batch failed")
        finally:
            self._turning = False
        return others

    def watch_reactor(self, fd: int) -> None:
        """Let `wait` also tell of events in the reactor's own epoll set."""
        assert self._epoll is not None
        self._epoll.register(fd, IN)
        self._reactor_fd = fd

    def connectionLost(self, reason: Failure) -> None:
        """End everything, because the reactor stops."""
        self.stop()

    # what links and listeners call

    def add(self, entry: Entry, event: int = IN) -> None:
        """Watch an entry for these events."""
        fd = entry.fileno()
        if self._use_epoll and self._epoll is None:
            self._start_epoll()
        self._entries[fd] = entry
        if self._epoll is not None:
            self._epoll.register(fd, event)
        else:
            self._watches[fd] = _Watch(self, fd, entry)
            self._watches[fd].change(event)

    def change(self, fd: int, event: int) -> None:
        """Watch for other events than before; errors are always reported."""
        if self._epoll is not None:
            self._epoll.modify(fd, event)
        else:
            self._watches[fd].change(event)

    def remove(self, fd: int, sock: socket.socket) -> None:
        """Watch no more, and close the socket when the batch is over.

        Not before, lest a new connection get the number of one that has events waiting.
        """
        del self._entries[fd]
        if self._epoll is not None:
            self._epoll.unregister(fd)
        else:
            self._watches.pop(fd).change(0)
        if self._turning:
            self._sockets.append(sock)
        else:
            sock.close()

    def flush_soon(self, link: Sender) -> None:
        """Send what a link has to send at the end of the turn."""
        self._dirty.append(link)
        if not self._turning:
            self._later()

    def lost(self, link: Sender, reason: str) -> None:
        """Tell the receiver at the end of the turn that its link is gone."""
        self._lost.append((link, reason))
        if not self._turning:
            self._later()

    def leaving(self, link: Sender) -> None:
        """Abort this link if it is still there when its farewell has lasted too long."""
        wait = self.limits.farewell
        self._leaving.append((self.reactor.seconds() + wait, link))
        if self._sweeping is None:
            self._sweeping = self.reactor.callLater(wait, self._sweep)

    def serve(self, entry: Entry, event: int) -> None:
        """Serve one entry, for a reactor that watches each."""
        turning, self._turning = self._turning, True
        try:
            entry.ready(event)
        except Exception:
            self._failed(entry)
        finally:
            self._turning = turning
        if self._dirty or self._lost or self._sockets:
            self._later()

    # what the application calls

    def entries(self) -> list[Entry]:
        """Return all links and listeners that are there now."""
        return list(self._entries.values())

    def stop(self) -> None:
        """Abort all links, stop all listeners, and leave the reactor as it was."""
        for entry in self.entries():
            entry.abort("server stopped")
        self._turn()
        for call in (self._late, self._sweeping):
            if call is not None and call.active():
                call.cancel()
        self._late = self._sweeping = None
        self._leaving.clear()
        if self._epoll is not None:
            if self._reactor_fd is not None:
                self.reactor.release(self)  # type: ignore[attr-defined]  # it is a LinkReactor
                self._reactor_fd = None
            else:
                self.reactor.removeReader(self)
            self._epoll.close()
            self._epoll = None

    # inside

    def _start_epoll(self) -> None:
        self._epoll = select.epoll()
        adopt = getattr(self.reactor, "adopt", None)  # a LinkReactor
        if adopt is not None and adopt(self):
            return
        try:
            self.reactor.addReader(self)
        except Exception as error:  # whatever this reactor finds wrong with the descriptor
            self._epoll.close()
            self._epoll = None
            self._use_epoll = False
            self.log.debug("the reactor cannot watch epoll: {error}", error=error)

    def _later(self) -> None:
        if self._late is None:
            self._late = self.reactor.callLater(0, self._turn)

    def _turn(self) -> None:
        if self._late is not None and not self._late.active():
            self._late = None
        turning, self._turning = self._turning, True
        try:
            self._settle()
        finally:
            self._turning = turning

    def _settle(self) -> None:
        """End a turn: send, tell of losses, send what was written upon that, close sockets."""
        while True:
            if self._dirty:
                self._flush()
            elif self._lost:
                lost, self._lost = self._lost, []
                for link, reason in lost:
                    try:
                        link.tell(reason)
                    except Exception:
                        self.log.failure("a receiver failed when its link was lost")
            else:
                break
        if self._sockets:
            for sock in self._sockets:
                sock.close()
            self._sockets.clear()

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for link in dirty:
            try:
                link.flush()
            except Exception:
                self._failed(link)

    def _failed(self, entry: Entry) -> None:
        self.log.failure("a link failed")
        entry.abort("internal error")

    def _sweep(self) -> None:
        self._sweeping = None
        now, leaving = self.reactor.seconds(), self._leaving
        while leaving and leaving[0][0] <= now:
            leaving.popleft()[1].abort("the peer did not close in time")
        if leaving:
            self._sweeping = self.reactor.callLater(leaving[0][0] - now, self._sweep)


@implementer(IReadWriteDescriptor)
class _Watch:
    """Stands between one entry and a reactor that watches each."""

    __slots__ = ("_entry", "_event", "_fd", "_hub")

    def __init__(self, hub: Hub, fd: int, entry: Entry) -> None:
        self._hub = hub
        self._fd = fd
        self._entry = entry
        self._event = 0

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._fd

    def logPrefix(self) -> str:
        """Return what Twisted puts before log lines."""
        return "link"

    def doRead(self) -> None:
        """Serve the entry."""
        self._hub.serve(self._entry, IN)

    def doWrite(self) -> None:
        """Serve the entry."""
        self._hub.serve(self._entry, OUT)

    def connectionLost(self, reason: Failure) -> None:
        """End the entry, because the reactor stops or saw an error."""
        self._entry.abort("connection lost")

    def change(self, event: int) -> None:
        """Watch for other events."""
        reactor, before, self._event = self._hub.reactor, self._event, event
        if (event ^ before) & IN:
            (reactor.addReader if event & IN else reactor.removeReader)(self)
        if (event ^ before) & OUT:
            (reactor.addWriter if event & OUT else reactor.removeWriter)(self)
