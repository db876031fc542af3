"""XEP-0352: Client State Indication."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
from zope.interface import implementer

from imsuite.core.feature import StreamFeature, negotiates, on
from imsuite.core.hooks import RESUMED
from imsuite.core.interfaces import ICsi
from imsuite.core.options import ge, le, option
from imsuite.core.outbox import HELD, HELD_BYTES, Outbox
from imsuite.core.session import Session
from imsuite.rules.stream import Phase
from imsuite.rules.traffic import Wait, classify
from imsuite.streams.c2s import ClientStream
from imsuite.xmpp.stanza import Stanza

NS_CSI = "urn:xmpp:csi:0"
OFFER = f"<csi xmlns='{NS_CSI}'/>".encode()


@attrs.frozen
class Options:
    """[features.csi]"""

    stanzas: int = option(
        500,
        "Most stanzas that wait for an inactive client; when there are more, all are sent. "
        "With 0 nothing waits.",
        ge(0),
        le(HELD),
    )
    bytes: int = option(
        131_072, "Most bytes that wait for an inactive client.", ge(0), le(HELD_BYTES)
    )


class Judge:
    """Says how long a stanza may wait for one inactive client."""

    __slots__ = ("_bytes", "_options", "_outbox")

    def __init__(self, outbox: Outbox, options: Options) -> None:
        self._outbox = outbox
        self._options = options
        self._bytes = 0  # that wait, or more: stanzas that were replaced are still counted

    def __call__(self, stanza: Stanza) -> Wait:
        """Return how long it may wait; what would be too much to keep sends all that waits."""
        wait = classify(stanza).wait
        if wait is Wait.NOW or wait is Wait.NEVER:
            return wait
        waiting, size = len(self._outbox), len(stanza.raw)
        self._bytes = self._bytes + size if waiting else size
        if self._bytes > self._options.bytes:
            self._bytes = size + sum(len(older.raw) for older in self._waiting())
        if self._bytes > self._options.bytes:
            return Wait.NOW
        if waiting >= self._options.stanzas and not (
            wait is Wait.LATEST and self._replaces(stanza)
        ):
            return Wait.NOW
        return wait

    def _replaces(self, stanza: Stanza) -> bool:
        """Tell whether an older one of its sender waits, whose place it takes."""
        return any(
            older.kind == stanza.kind and older.sender == stanza.sender for older in self._waiting()
        )

    def _waiting(self) -> Iterator[Stanza]:
        return (place.stanza for place in self._outbox if place.stanza is not None)


@implementer(ICsi)
class Csi(StreamFeature):
    """Let what is not urgent wait while nobody looks at a client.

    Presence waits, the newest of each sender; chat states are left out; whatever carries a
    conversation goes at once and takes along what waits, so that the order stays (§5).
    """

    spec = "XEP-0352 1.0.0"
    options: Options
    needs = Phase.AUTHENTICATED
    rank = 60

    def offer(self, stream: ClientStream) -> bytes:
        """§4.1"""
        return OFFER

    def inactive(self, session: Session) -> bool:
        """Tell whether the client said that nobody looks at it (§4.2)."""
        return session.outbox is not None and session.outbox.judge is not None

    @negotiates(NS_CSI, "inactive")
    def deactivate(self, stream: ClientStream, nonza: Stanza) -> None:
        """§4.2; without a resource there is nothing that could wait."""
        session = stream.session
        if session is not None:
            outbox = session.make_outbox()
            if outbox.judge is None:
                outbox.judge = Judge(outbox, self.options)

    @negotiates(NS_CSI, "active")
    def activate(self, stream: ClientStream, nonza: Stanza) -> None:
        """§4.2, §5.1: what waits goes out before anything that the client says next is handled."""
        if stream.session is not None:
            self.wake(stream.session)

    @on(RESUMED)
    def wake(self, session: Session) -> None:
        """§5.2: a resumed stream is active, too."""
        outbox = session.outbox
        if outbox is not None and outbox.judge is not None:
            outbox.judge = None
            outbox.flush()
