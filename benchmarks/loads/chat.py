"""Chat between pairs: so many messages in flight per session, or so many a second in all."""

import itertools
import secrets
import time
from typing import ClassVar

import attrs

from benchmarks.checking import Faults, check
from benchmarks.dialogue import Session
from benchmarks.figures import percentile
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
        text = self.message.write(first, count)
        now = time.perf_counter()
        if count == 1:
            self.departures.append(now)
        else:
            self.departures.extend([now] * count)
        self.link.send(text)

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
        return check(
            b"".join(self.chunks),
            self.partner.message,
            self.partner.session.jid,
            self.partner.sent,
        )


@attrs.define(eq=False)
class Conversation:
    """Sessions that talk in pairs."""

    loop: Loop
    talkers: list[Talker] = attrs.field(factory=list)
    delivered: int = 0
    answering: bool = False  # a delivered message is followed by another

    @classmethod
    def between(cls, loop: Loop, sessions: list[Session]) -> "Conversation":
        """Return the conversation of each session with its neighbour."""
        conversation = cls(loop)
        tag = secrets.token_hex(4)
        for first, second in zip(sessions[::2], sessions[1::2], strict=True):
            pair = [
                Talker(conversation, me, chat_message(to.jid, tag), me.link)
                for me, to in ((first, second), (second, first))
            ]
            pair[0].partner, pair[1].partner = pair[1], pair[0]
            conversation.talkers += pair
        for talker in conversation.talkers:
            talker.link.receive = talker.receive
        return conversation

    @property
    def sent(self) -> int:
        """Messages sent by everybody."""
        return sum(talker.sent for talker in self.talkers)

    def finish(self) -> Faults:
        """Wait for what is under way and a little for what should not come; return the faults."""
        self.answering = False
        try:
            self.loop.run(lambda: self.delivered >= self.sent, DRAIN, "messages under way")
        except Stalled:
            pass  # counted as lost below
        self.loop.pause(0.05)
        return sum((talker.faults() for talker in self.talkers), Faults())

    def latencies(self, span: Span) -> list[float]:
        """Return the seconds each message took that was sent in a window."""
        return [
            seconds
            for talker in self.talkers
            for seconds in talker.latencies(span.start.wall, span.end.wall)
        ]


@attrs.frozen
class ClosedChat(Load):
    """Every session has so many messages in flight: one that arrives is followed by another."""

    unit: ClassVar[str] = "message"
    sessions: int
    in_flight: int

    def measure(self, stage: Stage) -> Measurement:
        """Keep the messages in flight for a while."""
        crowd = stage.crowd("u", self.sessions, self.tls)
        conversation = Conversation.between(stage.loop, crowd)
        conversation.answering = True
        for talker in conversation.talkers:
            talker.say(self.in_flight)
        stage.loop.pause(stage.lengths.warm)
        start, before = Moment.now(stage.server.pids), conversation.delivered
        stage.loop.pause(stage.lengths.window)
        end, after = Moment.now(stage.server.pids), conversation.delivered
        faults = conversation.finish()
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
        conversation = Conversation.between(stage.loop, crowd)
        talkers = conversation.talkers[::2] + conversation.talkers[1::2]
        turns = itertools.cycle(talkers)
        due = self.send_until(stage, turns, time.perf_counter(), stage.lengths.warm)
        start, before = Moment.now(stage.server.pids), conversation.delivered
        late = self.send_until(stage, turns, due[1], stage.lengths.window)[0]
        end, after = Moment.now(stage.server.pids), conversation.delivered
        faults = conversation.finish()
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
