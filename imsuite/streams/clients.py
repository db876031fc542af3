"""All client streams of a server: their limits, their timeouts, and how they end together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from imsuite.core.host import Host
from imsuite.core.options import ge, option
from imsuite.core.router import Router
from imsuite.rules.throttle import Bucket
from imsuite.streams.c2s import ClientStream
from imsuite.streams.ilink import ILink, ITlsContexts
from imsuite.streams.parser import Limits
from imsuite.xmpp.errors import StreamError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SWEEP = 5.0  # seconds between two looks for streams that take too long


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
