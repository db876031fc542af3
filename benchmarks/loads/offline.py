"""Messages for people who are not there: stored, and delivered when they come."""

import re
import secrets
import time
from typing import ClassVar

import attrs

from benchmarks.checking import Faults, check, without_delays
from benchmarks.dialogue import Session, bring
from benchmarks.loads.load import DRAIN, PASSWORD, Load, Measurement, Stage, account_names
from benchmarks.loop import Loop, Stalled
from benchmarks.messages import Numbered, chat_message
from benchmarks.processes import Moment, Span

END = b"</message>"
PING = b"<iq type='get' id='stored'><ping xmlns='urn:xmpp:ping'/></iq>"
PONG = re.compile(rb"\bid=['\"]stored['\"]")
PRESENCE = re.compile(rb"<presence\b[^>]*?(?:/>|(?<!/)>.*?</presence\s*>)", re.DOTALL)
AGAIN = 0.3  # seconds in which nothing may come when they come back once more


@attrs.define(eq=False)
class Sender:
    """A session that writes to somebody who is not there."""

    session: Session
    message: Numbered
    received: bytes = b""  # the answer to its ping, and errors if there are any

    def receive(self, chunk: bytes) -> None:
        """Keep what came."""
        self.received += chunk

    @property
    def heard(self) -> bool:
        """Whether the server answered what was asked behind the messages."""
        return PONG.search(self.received) is not None


@attrs.define(eq=False)
class Comer:
    """A session of whom the messages are for."""

    loop: Loop
    session: Session
    count: int  # messages it waits for
    chunks: list[bytes] = attrs.field(factory=list)
    arrived: int = 0
    began: float = 0.0
    done: float = 0.0  # when the last one came
    carry: bytes = b""

    def come(self) -> None:
        """Send initial presence: what was kept is delivered now (XEP-0160 §2)."""
        self.session.link.receive = self.receive
        self.began = time.perf_counter()
        self.session.link.send(b"<presence/>")

    def receive(self, chunk: bytes) -> None:
        """Keep and count what came."""
        self.chunks.append(chunk)
        seen = self.carry + chunk
        self.carry = seen[1 - len(END) :]
        self.arrived += seen.count(END)
        self.done = self.loop.now

    @property
    def received(self) -> bytes:
        """All that came, presence left out: its own came back to it."""
        return PRESENCE.sub(b"", b"".join(self.chunks))


@attrs.frozen
class OfflineLoad(Load):
    """So many messages for each of some accounts that are absent, and then they come.

    Both phases are played together and checked as one; the figures of the other one wait on the
    stage for its own turn.
    """

    unit: ClassVar[str] = "message"
    pairs: int
    drained: bool  # the figures are those of the delivery

    def measure(self, stage: Stage) -> Measurement:
        """Play both phases, unless the other load did."""
        if self.name not in stage.measured:
            store, drain = self.play(stage)
            base = self.name.removesuffix("-store").removesuffix("-drain")
            for name, one in ((f"{base}-store", store), (f"{base}-drain", drain)):
                stage.measured[name] = attrs.evolve(one, load=name)
        return stage.measured.pop(self.name)

    def play(self, stage: Stage) -> tuple[Measurement, Measurement]:
        """Store and deliver; returns the figures of each."""
        each = stage.lengths.offline
        names = account_names("p", self.pairs)
        tag = secrets.token_hex(4)
        crowd = stage.crowd("u", self.pairs, self.tls)
        senders = [
            Sender(session, chat_message(f"{name}@{stage.server.domain}", tag))
            for session, name in zip(crowd, names, strict=True)
        ]
        stored = self.store(stage, senders, each)
        faults = sum((sender_faults(sender) for sender in senders), Faults())
        comers = [
            Comer(stage.loop, session, each)
            for session in bring(stage.loop, stage.server, names, PASSWORD, self.tls, show=False)
        ]
        delivered = self.deliver(stage, comers)
        for comer, sender in zip(comers, senders, strict=True):
            faults += comer_faults(comer, sender, stage.server.domain)
            comer.session.link.closed = comer.session.link.close
            comer.session.link.send(b"</stream:stream>")
        stage.loop.pause(0.2)
        faults += self.come_again(stage, names)
        total = each * self.pairs
        seconds = [comer.done - comer.began for comer in comers]
        return (
            self.figures(stage, stored, total, [], faults),
            self.figures(stage, delivered, total, seconds, faults),
        )

    def store(self, stage: Stage, senders: list[Sender], each: int) -> Span:
        """Send everything at once; returns the time until the server is at rest."""
        for sender in senders:
            sender.session.link.receive = sender.receive
        start = Moment.now(stage.server.pids)
        for sender in senders:
            sender.session.link.send(sender.message.write(0, each) + PING)
        stage.loop.run(
            lambda: all(sender.heard for sender in senders), 4 * DRAIN, "messages to be stored"
        )
        end = Moment.now(stage.server.pids)
        stage.calm()
        after = Moment.now(stage.server.pids)  # what a server does later counts too, waiting not
        return Span(start, attrs.evolve(end, server=after.server))

    def deliver(self, stage: Stage, comers: list[Comer]) -> Span:
        """Let everybody come; returns the time until they have everything."""
        stage.calm()
        start = Moment.now(stage.server.pids)
        for comer in comers:
            comer.come()
        try:
            stage.loop.run(
                lambda: all(comer.arrived >= comer.count for comer in comers),
                4 * DRAIN,
                "stored messages",
            )
        except Stalled:
            pass  # counted as lost
        end = Moment.now(stage.server.pids)
        stage.calm()
        after = Moment.now(stage.server.pids)
        return Span(start, attrs.evolve(end, server=after.server))

    def come_again(self, stage: Stage, names: list[str]) -> Faults:
        """Log in once more; returns what was delivered a second time."""
        sessions = bring(stage.loop, stage.server, names, PASSWORD, self.tls, show=False)
        comers = [Comer(stage.loop, session, 0) for session in sessions]
        for comer in comers:
            comer.come()
        stage.loop.pause(AGAIN)
        for comer in comers:
            comer.session.link.close()
        return Faults(duplicated=sum(comer.arrived for comer in comers))


def sender_faults(sender: Sender) -> Faults:
    """Return a fault if the server told the sender anything about its messages."""
    if b"<message" not in sender.received:
        return Faults()
    return Faults(unexpected=1, example=f"unexpected {sender.received[:600]!r}")


def comer_faults(comer: Comer, sender: Sender, domain: str) -> Faults:
    """Return what went wrong on the way to somebody who came later."""
    received, delays = without_delays(comer.received, domain)
    faults = Faults()
    if delays != comer.arrived:
        faults = Faults(altered=1, example=f"{delays} delays in {comer.arrived} messages")
    return faults + check(received, sender.message, sender.session.jid, comer.count)
