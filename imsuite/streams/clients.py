"""All client streams of a server: their limits, their timeouts, and how they end together."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from imsuite.core.account import Account
from imsuite.core.host import Host
from imsuite.core.options import ge, option
from imsuite.core.router import Router
from imsuite.core.session import Session
from imsuite.rules.throttle import Bucket
from imsuite.streams.c2s import ClientStream
from imsuite.streams.ilink import ILink, ITlsContexts
from imsuite.streams.parser import Limits
from imsuite.xmpp.address import JID
from imsuite.xmpp.errors import StreamError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SWEEP = 5.0  # seconds between two looks for streams that take too long
_PATIENCE = 10.0  # seconds that who replaces a session waits for what came from that one


@attrs.frozen
class StreamOptions:
    """[streams]"""

    stanza_bytes: int = option(
        262_144, "Largest stanza a client may send, bytes.", ge(10_000), live=True
    )
    unbound_bytes: int = option(
        32_768, "Most bytes a client may send before it is logged in.", ge(4096), live=True
    )
    login_seconds: int = option(60, "Time a client has to log in, seconds.", ge(1), live=True)
    rate: int = option(
        131_072,
        "Bytes a second that a client may send in the long run; 0: no limit.",
        ge(0),
        live=True,
    )
    burst: int = option(1_048_576, "Bytes that a client may send at once.", ge(10_000), live=True)
    keepalive: int = option(
        0,
        "Send a space to clients that were silent this long, seconds; 0: never.",
        ge(0),
        live=True,
    )


class Clients:
    """The client streams. contexts: certificates; router: where stanzas go."""

    def __init__(
        self,
        router: Router,
        contexts: ITlsContexts,
        clock: IReactorTime,
        options: StreamOptions,
    ) -> None:
        self.router = router
        self.contexts = contexts
        self.clock = clock
        self.configure(options)
        self._open: set[ClientStream] = set()
        self._links = 0
        self._waiting: dict[ClientStream, float] = {}  # not bound: since when
        self._leaving: dict[str, Deferred[None]] = {}  # by full JID: unbinding goes on
        self._swept = clock.seconds()  # the time of the last look
        self._sweeping: IDelayedCall | None = None
        self._emptied: Deferred[None] | None = None
        self.stopping = False

    def configure(self, options: StreamOptions) -> None:
        """Take options, for streams that begin or log in from now on."""
        self.options = options
        self.limits = Limits(stanza_bytes=options.stanza_bytes)
        self.limits_before = Limits(stanza_bytes=min(options.unbound_bytes, options.stanza_bytes))

    @property
    def default_host(self) -> Host:
        """The host that speaks for the server where the client named none."""
        return next(iter(self.router.hosts.values()))

    def __iter__(self) -> Iterator[ClientStream]:
        return iter(list(self._open))

    def __len__(self) -> int:
        return len(self._open)

    def accept(self, link: ILink) -> ClientStream:
        """Begin a stream on a new link."""
        stream = ClientStream(self, link)
        self._links += 1
        self._open.add(stream)
        self._waiting[stream] = self.clock.seconds()
        if self._sweeping is None:
            self._sweeping = self.clock.callLater(_SWEEP, self._sweep)
        if self.stopping:
            stream.fail(StreamError("system-shutdown"))
        return stream

    def bucket(self) -> Bucket | None:
        """Return what limits the rate of one client."""
        if not self.options.rate:
            return None
        return Bucket(self.options.rate, self.options.burst, self.clock.seconds())

    def settled(self, stream: ClientStream) -> None:
        """Know that a stream has a session: it may stay."""
        self._waiting.pop(stream, None)

    def ended(self, stream: ClientStream) -> None:
        """Know that a stream ended; its link may still say goodbye."""
        self._open.discard(stream)
        self._waiting.pop(stream, None)

    def unbind(self, session: Session) -> Deferred[None]:
        """Take a session out; fires when the features know of it. It has no stream by now."""
        done: Deferred[None] = Deferred()
        self._leaving[session.full] = done
        session.account.host.spawn(self._unbind(session, done))
        return done

    async def _unbind(self, session: Session, done: Deferred[None]) -> None:
        try:
            await session.account.host.unbind(session)
        finally:
            if self._leaving.get(session.full) is done:
                del self._leaving[session.full]
            done.callback(None)

    async def vacate(self, account: Account, jid: JID) -> bool:
        """Wait until no session has that full JID, and everybody knows that it is gone.

        A session that has it is ended (RFC 6120 §7.7.2.2), once what came from it is handled.
        Return whether there was anything to wait for.
        """
        waited = False
        while True:
            leaving = self._leaving.get(jid.full)
            session = account.sessions.get(jid.resource)
            if leaving is None and session is None:
                return waited
            waited = True
            if leaving is not None:
                await leaving
                continue
            assert session is not None
            if session.stream is not None:
                session.stream.conflict(session)
            handled: Deferred[None] = Deferred()
            late = self.clock.callLater(_PATIENCE, _fire, handled)
            session.finish(partial(_fire, handled))
            await handled
            if late.active():
                late.cancel()
            if account.sessions.get(jid.resource) is session:
                await self.unbind(session)

    def gone(self) -> None:
        """Know that a link is gone."""
        self._links -= 1
        if not self._links and self._emptied is not None and not self._emptied.called:
            self._emptied.callback(None)

    def _sweep(self) -> None:
        """End the streams that never logged in; the dict is in order of their beginning."""
        self._sweeping = None
        now = self.clock.seconds()
        oldest = now - self.options.login_seconds
        for stream, since in list(self._waiting.items()):
            if since > oldest:
                break
            stream.fail(StreamError("connection-timeout"))
        keepalive, before, self._swept = self.options.keepalive, self._swept, now
        if keepalive:
            for stream in self._open:
                # once in each such time of silence
                due = (now - stream.seen) // keepalive > max(before - stream.seen, 0) // keepalive
                if due and stream.session is not None:
                    stream.write(b" ")
        if self._open:
            self._sweeping = self.clock.callLater(_SWEEP, self._sweep)

    async def shutdown(self, patience: float) -> None:
        """Tell every client that the server goes down; wait until the links are closed.

        patience: seconds after which who does not close is left.
        """
        self.stopping = True
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        for stream in list(self._open):
            stream.fail(StreamError("system-shutdown"))
        if self._links:
            self._emptied = Deferred()
            late = self.clock.callLater(patience, self._emptied.callback, None)
            await self._emptied
            if late.active():
                late.cancel()


def _fire(waiting: Deferred[None]) -> None:
    if not waiting.called:
        waiting.callback(None)
