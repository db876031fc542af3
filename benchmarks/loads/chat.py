"""Chat between pairs: so many messages in flight per session, or so many a second in all."""

import itertools
import secrets
import time
from typing import ClassVar

import attrs

from benchmarks import managed
from benchmarks.checking import Faults, check, without_ids
from benchmarks.dialogue import Counted, Session
from benchmarks.figures import percentile
from benchmarks.loads.ledger import Ledger, Said
from benchmarks.loads.load import DRAIN, Load, Measurement, Stage
from benchmarks.loop import Link, Loop, Stalled
from benchmarks.messages import Numbered, chat_message
from benchmarks.processes import Moment, Span

END = b"</message>"


@attrs.define(eq=False)
class Talker:
    """A session that speaks to its partner and keeps what the partner says.

    Nothing is checked while the load runs: only ends of messages are counted.
    """

    conversation: "Conversation"
    session: Session
    message: Numbered
    link: Link
    partner: "Talker" = attrs.field(init=False)
    sent: int = 0
    departures: list[float] = attrs.field(factory=list)  # time of each message sent
    arrivals: list[tuple[float, int]] = attrs.field(factory=list)  # time and how many came
    chunks: list[bytes] = attrs.field(factory=list)  # all that came
    carry: bytes = b""  # the last bytes, too few to hold an END

    def say(self, count: int) -> None:
        """Send the next messages in one piece."""
        first = self.sent
        self.sent = first + count
        text = self.text(first, count)
        now = time.perf_counter()
        if count == 1:
            self.departures.append(now)
        else:
            self.departures.extend([now] * count)
        self.link.send(text)

    def text(self, first: int, count: int) -> bytes:
        """Return the next messages as they are sent."""
        return self.message.write(first, count)

    def receive(self, chunk: bytes) -> None:
        """Keep what came; for each message that is complete the partner says another."""
        conversation = self.conversation
        self.chunks.append(chunk)
        seen = self.carry + chunk
        self.carry = seen[1 - len(END) :]
        count = seen.count(END)
        if count:
            self.arrivals.append((conversation.loop.now, count))
            conversation.delivered += count
            if conversation.answering:
                self.partner.say(count)

    def latencies(self, start: float, end: float) -> list[float]:
        """Return the seconds each message took that the partner sent between two times.

        Messages arrive in order (which is checked), so the times need no numbers.
        """
        came = itertools.chain.from_iterable(
            itertools.repeat(when, count) for when, count in self.arrivals
        )
        return [
            max(0.0, arrived - sent)
            for sent, arrived in zip(self.partner.departures, came, strict=False)
            if start <= sent < end
        ]

    def faults(self) -> Faults:
        """Return what went wrong on the way from the partner."""
        received = self.received
        faults = Faults()
        if self.conversation.archived:
            owner = self.session.jid.partition("/")[0]
            received, count = without_ids(received, owner)
            if count != self.partner.sent:  # XEP-0313 §3.5
                faults = Faults(altered=1, example=f"{count} stanza-ids of {owner}")
        return faults + check(
            received, self.partner.message, self.partner.session.jid, self.partner.sent
        )

    @property
    def received(self) -> bytes:
        """All stanzas that came."""
        return b"".join(self.chunks)


@attrs.define(eq=False)
class ManagedTalker(Talker):
    """A talker with stream management: it asks every few messages and answers at once."""

    carry_nonza: bytes = b""  # the last bytes, which may be the start of a nonza
    wrong: Faults = attrs.field(factory=Faults)  # in what the server acknowledged

    @property
    def counted(self) -> Counted:
        """The counters of the session."""
        counted = self.session.counted
        assert counted is not None
        return counted

    def text(self, first: int, count: int) -> bytes:
        """Return the next messages, and a request when there were enough of them."""
        self.counted.sent += count
        text = self.message.write(first, count)
        if first // managed.EVERY != (first + count) // managed.EVERY:
            text += managed.ASK
        return text

    def receive(self, chunk: bytes) -> None:
        """Count the stanzas, then answer for them."""
        before = self.conversation.delivered
        Talker.receive(self, chunk)
        self.counted.received += self.conversation.delivered - before
        seen = self.carry_nonza + chunk
        self.carry_nonza = seen[-managed.LONGEST :]
        end = 0
        if managed.NAMESPACE in seen:
            for nonza in managed.NONZA.finditer(seen):
                self.wrong += managed.answer(self.counted, self.link, nonza)
                end = nonza.end()
            self.carry_nonza = seen[max(end, len(seen) - managed.LONGEST) :]

    @property
    def received(self) -> bytes:
        """All stanzas that came, the elements of stream management left out."""
        return managed.without_nonzas(b"".join(self.chunks))

    def faults(self) -> Faults:
        """Return what went wrong, acknowledgements included."""
        return Talker.faults(self) + self.wrong


@attrs.define(eq=False)
class Conversation:
    """Sessions that talk in pairs."""

    loop: Loop
    talkers: list[Talker] = attrs.field(factory=list)
    delivered: int = 0
    answering: bool = False  # a delivered message is followed by another
    archived: bool = False  # by the recipient's server, which says so in each message

    @classmethod
    def between(cls, loop: Loop, sessions: list[Session], archived: bool = False) -> "Conversation":
        """Return the conversation of each session with its neighbour."""
        managing = sessions[0].counted is not None
        kind = ManagedTalker if managing else Talker
        conversation = cls(loop, archived=archived)
        tag = secrets.token_hex(4)
        for first, second in zip(sessions[::2], sessions[1::2], strict=True):
            pair = [
                kind(conversation, me, chat_message(to.jid, tag), me.link)
                for me, to in ((first, second), (second, first))
            ]
            pair[0].partner, pair[1].partner = pair[1], pair[0]
            conversation.talkers += pair
        for talker in conversation.talkers:
            talker.link.receive = talker.receive
        return conversation

    def said(self) -> list[Said]:
        """Return what each sent to whom."""
        return [
            Said(one.session, one.partner.session, one.message, one.sent) for one in self.talkers
        ]

    @property
    def sent(self) -> int:
        """Messages sent by everybody."""
        return sum(talker.sent for talker in self.talkers)

    def wait_for(self, count: int, timeout: float) -> None:
        """Wait until so many messages were delivered; raises Stalled after timeout seconds."""
        self.loop.run(lambda: self.delivered >= count, timeout, f"{count} messages")

    def drain(self) -> None:
        """Say no more and wait for what is under way, as long as any of it comes."""
        self.answering = False
        delivered = -1
        while delivered < self.delivered < self.sent:
            delivered = self.delivered
            try:
                self.loop.run(lambda: self.delivered >= self.sent, DRAIN, "messages under way")
            except Stalled:
                pass  # counted as lost by finish

    def finish(self) -> Faults:
        """Wait for what is under way and a little for what should not come; return the faults."""
        self.drain()
        acknowledged = Faults()
        if isinstance(self.talkers[0], ManagedTalker):
            acknowledged = managed.settle(self.loop, [talker.session for talker in self.talkers])
        self.loop.pause(0.05)
        return sum((talker.faults() for talker in self.talkers), acknowledged)

    def latencies(self, span: Span) -> list[float]:
        """Return the seconds each message took that was sent in a window."""
        return [
            seconds
            for talker in self.talkers
            for seconds in talker.latencies(span.start.wall, span.end.wall)
        ]


@attrs.frozen
class ClosedChat(Load):
    """Every session has so many messages in flight: one that arrives is followed by another.

    whole: the window has no warm-up and ends when the last message has arrived. A server that
    commits each message delivers what it read at once, after seconds: no shorter window is fair.
    """

    unit: ClassVar[str] = "message"
    sessions: int
    in_flight: int
    whole: bool = False

    def measure(self, stage: Stage) -> Measurement:
        """Keep the messages in flight for a while."""
        crowd = stage.crowd("u", self.sessions, self.tls)
        ledger = Ledger.opened(stage, crowd)
        conversation = Conversation.between(stage.loop, crowd, self.profile.archive)
        conversation.answering = True
        start, before = Moment.now(stage.server.pids), 0
        for talker in conversation.talkers:
            talker.say(self.in_flight)
        if not self.whole:
            stage.loop.pause(stage.lengths.warm)
            start, before = Moment.now(stage.server.pids), conversation.delivered
        stage.loop.pause(stage.lengths.window)
        if self.whole:
            conversation.drain()
        end, after = Moment.now(stage.server.pids), conversation.delivered
        faults = conversation.finish() + ledger.faults(conversation.said())
        span = Span(start, end)
        return self.figures(stage, span, after - before, conversation.latencies(span), faults)


@attrs.frozen
class SteadyChat(Load):
    """So many messages a second in all, evenly spaced, each from the next session in turn."""

    unit: ClassVar[str] = "message"
    sessions: int
    each_second: float

    def measure(self, stage: Stage) -> Measurement:
        """Send at the rate for a while, whatever the server does."""
        crowd = stage.crowd("u", self.sessions, self.tls)
        ledger = Ledger.opened(stage, crowd)
        conversation = Conversation.between(stage.loop, crowd, self.profile.archive)
        talkers = conversation.talkers[::2] + conversation.talkers[1::2]
        turns = itertools.cycle(talkers)
        due = self.send_until(stage, turns, time.perf_counter(), stage.lengths.warm)
        start, before = Moment.now(stage.server.pids), conversation.delivered
        late = self.send_until(stage, turns, due[1], stage.lengths.window)[0]
        end, after = Moment.now(stage.server.pids), conversation.delivered
        faults = conversation.finish() + ledger.faults(conversation.said())
        span = Span(start, end)
        measured = self.figures(stage, span, after - before, conversation.latencies(span), faults)
        return attrs.evolve(measured, late=percentile(late, 99) * 1000)

    def send_until(
        self, stage: Stage, turns: "itertools.cycle[Talker]", due: float, seconds: float
    ) -> tuple[list[float], float]:
        """Send for some time from the moment due; returns how late each was, and the next due."""
        interval = 1 / self.each_second
        late = []
        for _ in range(round(seconds * self.each_second)):
            while (now := time.perf_counter()) < due:
                stage.loop.turn_until(due)
            late.append(now - due)
            next(turns).say(1)
            due += interval
        return late, due
