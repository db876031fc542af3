"""Rooms: few speak, many hear it."""

import itertools
import secrets
import time
from typing import ClassVar

import attrs

from benchmarks import mam, muc
from benchmarks.checking import Faults
from benchmarks.loads.load import DRAIN, Load, Measurement, Stage
from benchmarks.loop import Loop, Stalled, ignore
from benchmarks.messages import Numbered, room_message
from benchmarks.processes import Moment, Span
from benchmarks.room_checking import Spoken, room_faults

END = b"</message>"


@attrs.define(eq=False)
class Listener:
    """An occupant; nothing is checked while the load runs, only ends of messages are counted."""

    assembly: "Assembly"
    occupant: muc.Occupant
    chunks: list[bytes] = attrs.field(factory=list)
    carry: bytes = b""

    def receive(self, chunk: bytes) -> None:
        """Keep what came."""
        self.chunks.append(chunk)
        seen = self.carry + chunk
        self.carry = seen[1 - len(END) :]
        self.assembly.delivered += seen.count(END)


@attrs.define(eq=False)
class Speaker(Listener):
    """An occupant who speaks: its own message that comes back is the acknowledgement."""

    message: Numbered = attrs.field(kw_only=True)
    sent: int = 0
    departures: list[float] = attrs.field(factory=list)  # time of each message sent
    returns: list[tuple[float, int]] = attrs.field(factory=list)  # time and how many came back
    carry_own: bytes = b""

    def receive(self, chunk: bytes) -> None:
        """Keep what came; for each message of its own it says another."""
        Listener.receive(self, chunk)
        own = self.message.id_start  # once in a message: nobody else's begin with it
        seen = self.carry_own + chunk
        self.carry_own = seen[1 - len(own) :]
        count = seen.count(own)
        if count:
            self.returns.append((self.assembly.loop.now, count))
            if self.assembly.speaking:
                self.say(count)

    def say(self, count: int) -> None:
        """Send the next messages in one piece."""
        self.departures.extend([time.perf_counter()] * count)
        self.occupant.session.link.send(self.message.write(self.sent, count))
        self.sent += count

    def latencies(self) -> list[float]:
        """Return the seconds each message took to come back."""
        came = itertools.chain.from_iterable(
            itertools.repeat(when, count) for when, count in self.returns
        )
        return [max(0.0, back - sent) for sent, back in zip(self.departures, came, strict=False)]


@attrs.define(eq=False)
class Assembly:
    """The occupants of a room, some of whom speak."""

    loop: Loop
    room: str  # bare JID
    listeners: list[Listener] = attrs.field(factory=list)
    speakers: list[Speaker] = attrs.field(factory=list)
    delivered: int = 0  # copies
    speaking: bool = True

    @classmethod
    def of(cls, loop: Loop, room: str, occupants: list[muc.Occupant], speakers: int) -> "Assembly":
        """Return the assembly of the occupants; speakers are chosen from all over the room."""
        assembly = cls(loop, room)
        every = max(1, len(occupants) // speakers)
        tag = secrets.token_hex(3)
        for number, occupant in enumerate(occupants):
            if number % every == 0 and len(assembly.speakers) < speakers:
                message = room_message(room, f"{tag}{len(assembly.speakers):02d}")
                speaker = Speaker(assembly, occupant, message=message)
                assembly.speakers.append(speaker)
                assembly.listeners.append(speaker)
            else:
                assembly.listeners.append(Listener(assembly, occupant))
        for listener in assembly.listeners:
            listener.occupant.session.link.receive = listener.receive
        return assembly

    @property
    def sent(self) -> int:
        """Messages said by everybody."""
        return sum(speaker.sent for speaker in self.speakers)

    def drain(self) -> None:
        """Say no more and wait for what is under way, as long as any of it comes."""
        self.speaking = False
        wanted = self.sent * len(self.listeners)
        delivered = -1
        while delivered < self.delivered < wanted:
            delivered = self.delivered
            try:
                self.loop.run(lambda: self.delivered >= wanted, DRAIN / 2, "copies under way")
            except Stalled:
                pass  # counted as lost by faults

    def faults(self, archived: bool) -> Faults:
        """Wait a little for what should not come; return what went wrong."""
        self.loop.pause(0.05)
        spoken = [
            Spoken(speaker.occupant.jid, speaker.message, speaker.sent) for speaker in self.speakers
        ]
        received = (
            (listener.occupant.session.jid, b"".join(listener.chunks))
            for listener in self.listeners
        )
        return room_faults(received, self.room, spoken, archived)


@attrs.frozen
class RoomLoad(Load):
    """A room with so many occupants, some of whom have so many messages under way each.

    The window ends when the last copy has arrived: what is under way is a good part of it.
    """

    unit: ClassVar[str] = "delivered copy"
    occupants: int
    speakers: int
    in_flight: int  # messages of each speaker

    def measure(self, stage: Stage) -> Measurement:
        """Fill a new room, let them speak for a while, and empty it."""
        archived = self.profile.room_archive
        crowd = stage.crowd("u", max(stage.lengths.crowd, self.occupants), self.tls)
        room = f"{self.name}-{secrets.token_hex(4)}@{muc.SERVICE}.{stage.server.domain}"
        occupants = muc.opened(stage.loop, room, crowd[: self.occupants], archived, broadcast=False)
        stage.calm()
        assembly = Assembly.of(stage.loop, room, occupants, self.speakers)
        start = Moment.now(stage.server.pids)
        for speaker in assembly.speakers:
            speaker.say(self.in_flight)
        stage.loop.pause(stage.lengths.window)
        assembly.drain()
        span = Span(start, Moment.now(stage.server.pids))
        faults = assembly.faults(archived)
        if archived:
            faults += archive_faults(stage, occupants[0], assembly.sent)
        muc.go(stage.loop, occupants)
        for occupant in occupants:
            occupant.session.link.receive = ignore
        seconds = [each for speaker in assembly.speakers for each in speaker.latencies()]
        return self.figures(stage, span, assembly.delivered, seconds, faults)


def archive_faults(stage: Stage, occupant: muc.Occupant, said: int) -> Faults:
    """Return what the archive of a new room lacks of what was said, or has too many.

    A server may keep more than messages with a body: the subject, for one.
    """
    stage.calm()
    rows = [
        row
        for page in mam.pages(stage.loop, occupant.session, 100, of=occupant.room)
        for row in page.rows()
        if row.body
    ]
    wrong = len({row.id for row in rows}) - said
    return Faults(unkept=abs(wrong), example=f"{wrong} rows too many" if wrong else "")
