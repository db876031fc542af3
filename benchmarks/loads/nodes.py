"""Notifications: one publishes, many are told."""

import abc
import itertools
import secrets
import time
from typing import ClassVar

import attrs

from benchmarks import pubsub
from benchmarks.checking import Faults
from benchmarks.dialogue import Session
from benchmarks.loads.load import DRAIN, Load, Measurement, NotMeasured, Stage
from benchmarks.loads.presence import befriend
from benchmarks.loop import Loop, Stalled, ignore
from benchmarks.processes import Moment, Span

END = b"</message>"
RESULT = b"</iq>"
SUBSCRIBED = b"subscription='subscribed'"
OTHERS = 2  # sessions that are not told: a publisher, and one without contacts
FIRST = 20.0  # seconds until everybody is told of the first item


@attrs.define(eq=False)
class Subscriber:
    """A session that is told; only ends of messages are counted while the load runs."""

    readers: "Readers"
    session: Session
    arrivals: list[tuple[float, int]] = attrs.field(factory=list)
    chunks: list[bytes] = attrs.field(factory=list)
    carry: bytes = b""

    def receive(self, chunk: bytes) -> None:
        """Keep what came; the publisher goes on when everybody was told of an item."""
        self.chunks.append(chunk)
        seen = self.carry + chunk
        self.carry = seen[1 - len(END) :]
        count = seen.count(END)
        if count:
            self.arrivals.append((self.readers.loop.now, count))
            self.readers.arrived(count)


@attrs.define(eq=False)
class Readers:
    """A publisher and everybody who is told."""

    loop: Loop
    publisher: Session
    place: pubsub.Place
    in_flight: int  # items
    subscribers: list[Subscriber] = attrs.field(factory=list)
    delivered: int = 0  # notifications of all items but the first
    sent: int = 0  # items
    publishing: bool = False
    departures: list[float] = attrs.field(factory=list)
    answers: list[bytes] = attrs.field(factory=list)

    def arrived(self, count: int) -> None:
        """Count notifications and publish as many items as have gone round."""
        self.delivered += count
        gone_round = 1 + self.delivered // len(self.subscribers)
        room = self.in_flight - (self.sent - gone_round)
        if room > 0 and self.publishing:
            self.publish(room)

    def publish(self, count: int) -> None:
        """Publish the next items in one piece."""
        self.departures.extend([time.perf_counter()] * count)
        self.publisher.link.send(self.place.publish(self.sent, count))
        self.sent += count

    def begin(self, stage: Stage) -> None:
        """Publish one item and wait until it has gone round; raises NotMeasured.

        Who just said what it wants may be told of it once more (XEP-0163 §4.3.4).
        """
        self.publisher.link.receive = self.answers.append
        for subscriber in self.subscribers:
            subscriber.session.link.receive = subscriber.receive
        self.publish(1)
        try:
            self.loop.run(lambda: self.delivered >= len(self.subscribers), FIRST, "the first item")
        except Stalled as error:
            said = b"".join(self.answers)[:300]
            raise NotMeasured(
                f"{self.delivered} of {len(self.subscribers)} were told of the first item; {said!r}"
            ) from error
        stage.calm()
        self.delivered = 0
        for subscriber in self.subscribers:
            subscriber.chunks, subscriber.arrivals = [], []

    def drain(self) -> None:
        """Publish no more and wait for what is under way."""
        self.publishing = False
        wanted = (self.sent - 1) * len(self.subscribers)
        try:
            self.loop.run(lambda: self.delivered >= wanted, DRAIN, "notifications")
        except Stalled:
            pass  # counted as lost by faults

    def faults(self) -> Faults:
        """Wait a little for what should not come; return what went wrong."""
        self.loop.pause(0.05)
        answers = b"".join(self.answers)
        results = answers.count(b"type='result'") + answers.count(b'type="result"')
        faults = Faults()
        if results != self.sent:
            faults = Faults(unexpected=1, example=f"{results} of {self.sent} items were accepted")
        return sum(
            (
                pubsub.notified_faults(b"".join(one.chunks), self.place, 1, self.sent - 1)
                for one in self.subscribers
            ),
            faults,
        )

    def latencies(self) -> list[float]:
        """Return the seconds each notification took."""
        return [
            max(0.0, arrived - sent)
            for one in self.subscribers
            for sent, arrived in zip(
                self.departures[1:],
                itertools.chain.from_iterable(
                    itertools.repeat(when, count) for when, count in one.arrivals
                ),
                strict=False,
            )
        ]


@attrs.frozen
class NodeLoad(Load):
    """Items of a node, so many in flight, to its subscribers; until the last one has arrived."""

    unit: ClassVar[str] = "notification"
    subscribers: int
    in_flight: int

    @abc.abstractmethod
    def prepare(self, stage: Stage) -> tuple[pubsub.Place, list[Session]]:
        """Return the node, and the sessions: the publisher's and then those that are told."""

    def measure(self, stage: Stage) -> Measurement:
        """Publish for a while."""
        place, (publisher, *others) = self.prepare(stage)
        stage.calm()
        readers = Readers(stage.loop, publisher, place, self.in_flight)
        readers.subscribers = [Subscriber(readers, session) for session in others]
        readers.begin(stage)
        readers.publishing = True
        start = Moment.now(stage.server.pids)
        readers.publish(self.in_flight)
        stage.loop.pause(stage.lengths.window)
        readers.drain()
        span = Span(start, Moment.now(stage.server.pids))
        faults = readers.faults()
        for session in (publisher, *others):
            session.link.receive = ignore
        return self.figures(stage, span, readers.delivered, readers.latencies(), faults)


@attrs.frozen
class PubsubLoad(NodeLoad):
    """A node of the service, with subscriptions of bare JIDs."""

    def prepare(self, stage: Stage) -> tuple[pubsub.Place, list[Session]]:
        """Make a node; everybody subscribes to it."""
        sessions = stage.crowd("u", self.subscribers + OTHERS, self.tls)[:-1]
        service = f"{pubsub.SERVICE}.{stage.server.domain}"
        place = pubsub.Place(service, f"{self.name}-{secrets.token_hex(4)}")
        place.create(stage.loop, sessions[0])
        waiting: list[tuple[Session, list[bytes]]] = []
        for session in sessions[1:]:
            chunks: list[bytes] = []
            session.link.receive = chunks.append
            session.link.send(place.subscribe(session.jid))
            waiting.append((session, chunks))

        def done() -> bool:
            while waiting and RESULT in b"".join(waiting[-1][1]):
                _session, chunks = waiting.pop()
                said = b"".join(chunks).replace(b'"', b"'")
                if SUBSCRIBED not in said:
                    raise NotMeasured(f"a subscription was refused: {said[:300]!r}")
            return not waiting

        stage.loop.run(done, 2 * DRAIN, f"{self.subscribers} subscriptions")
        return place, sessions


@attrs.frozen
class PepLoad(NodeLoad):
    """A node of an account, whose contacts say that they want to be told."""

    def prepare(self, stage: Stage) -> tuple[pubsub.Place, list[Session]]:
        """Make everybody a contact of the first, if they are not; say what they want.

        Before them somebody who has no contacts says the same, so that the server has learnt
        what it means: Prosody tells those twice whom it had to ask.
        """
        size = self.subscribers + OTHERS
        if not stage.befriended:
            befriend(stage, stage.crowd("u", size, self.tls)[:-1])
            stage.clear()
            stage.befriended = True
        *sessions, alone = stage.crowd("u", size, self.tls)
        node = f"urn:xmpp:bench:{self.name}"  # nothing was published there on this server
        for some in ([alone], sessions[1:]):
            for session in some:
                pubsub.Interested(session, [node]).appear()
            stage.loop.pause(0.5)
            stage.calm()
        return pubsub.Place(sessions[0].jid.partition("/")[0], node), sessions
