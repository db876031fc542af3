"""Joins: so many come at once into a room that has many occupants already."""

import re
import secrets
import time
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

import attrs

from benchmarks import muc
from benchmarks.checking import Faults
from benchmarks.loads.load import DRAIN, Load, Measurement, Stage
from benchmarks.loop import Loop, Stalled, ignore
from benchmarks.processes import Moment, Span

END = b"</presence>"
PRESENCE = re.compile(rb"<presence\b([^>]*)(?<!/)>(.*?)</presence\s*>", re.DOTALL)
FROM = re.compile(rb"\bfrom\s*=\s*['\"]([^'\"]*)")
TYPE = re.compile(rb"\btype\s*=")
ITEM = re.compile(rb"<item\b[^>]*\brole=")


@attrs.define(eq=False)
class Resident:
    """An occupant who was there before, and sees others come."""

    loop: Loop
    occupant: muc.Occupant
    chunks: list[bytes] = attrs.field(factory=list)
    carry: bytes = b""
    seen: int = 0  # presences

    def receive(self, chunk: bytes) -> None:
        """Keep what came, and count it."""
        self.chunks.append(chunk)
        text = self.carry + chunk
        self.carry = text[1 - len(END) :]
        self.seen += text.count(END)

    def watch(self) -> None:
        """Forget what came before."""
        self.chunks, self.carry, self.seen = [], b"", 0
        self.occupant.session.link.receive = self.receive


@attrs.define(eq=False)
class Storm:
    """Everything that was measured of the storms of one load."""

    start: Moment | None = None
    end: Moment | None = None
    joins: int = 0
    seconds: list[float] = attrs.field(factory=list)
    faults: Faults = attrs.field(factory=Faults)

    def add(self, start: Moment, end: Moment) -> None:
        """Append a span: the time between two storms is not counted."""
        if self.start is None or self.end is None:
            self.start, self.end = start, end
            return
        self.end = Moment(
            wall=self.end.wall + end.wall - start.wall,
            server=self.end.server + end.server - start.server,
            generator=self.end.generator + end.generator - start.generator,
            machine=self.end.machine + end.machine - start.machine,
        )

    def play(self, stage: Stage, residents: list[Resident], comers: list[muc.Occupant]) -> None:
        """Let all of them come, and go again when everybody has seen it."""
        stage.calm()
        for resident in residents:
            resident.watch()
        start = Moment.now(stage.server.pids)
        muc.come(stage.loop, comers)
        waiting, coming = residents[::-1], comers[::-1]

        def seen() -> bool:
            while waiting and waiting[-1].seen >= len(comers):
                waiting.pop()
            while coming and coming[-1].received.count(END) >= len(residents) + len(comers):
                coming.pop()
            return not (waiting or coming)

        try:
            stage.loop.run(seen, DRAIN, "presence of who came")
        except Stalled:
            pass  # counted as lost below
        stage.loop.pause(0.02)  # what nobody waits for
        self.add(start, Moment.now(stage.server.pids))
        self.joins += len(comers)
        self.seconds += [comer.joined - comer.began for comer in comers]
        came = [comer.jid.encode() for comer in comers]
        there = [resident.occupant.jid.encode() for resident in residents] + came
        for resident in residents:
            self.faults += presence_faults(b"".join(resident.chunks), came)
        for comer in comers:
            self.faults += presence_faults(comer.received, there, comer.jid.encode())
        muc.go(stage.loop, comers)

    @property
    def span(self) -> Span:
        """All the time there were storms, in one."""
        assert self.start is not None
        assert self.end is not None
        return Span(self.start, self.end)


@attrs.frozen
class JoinLoad(Load):
    """So many join at once a room that has occupants; they leave, and come again."""

    unit: ClassVar[str] = "join"
    occupants: int  # who are there before
    at_once: int

    def measure(self, stage: Stage) -> Measurement:
        """Fill a new room and let others come and go for a while."""
        size = self.occupants + self.at_once
        crowd = stage.crowd("u", max(stage.lengths.crowd, size), self.tls)
        room = f"{self.name}-{secrets.token_hex(4)}@{muc.SERVICE}.{stage.server.domain}"
        everybody = muc.opened(
            stage.loop, room, crowd[: self.occupants], self.profile.room_archive, broadcast=True
        )
        residents = [Resident(stage.loop, occupant) for occupant in everybody]
        comers = [
            muc.Occupant(stage.loop, session, room, f"nick-{session.account.name}")
            for session in crowd[self.occupants : size]
        ]
        Storm().play(stage, residents, comers)  # to be warm
        storm = Storm()
        end = time.perf_counter() + stage.lengths.window
        while time.perf_counter() < end:
            storm.play(stage, residents, comers)
        muc.go(stage.loop, everybody)
        for occupant in (*everybody, *comers):
            occupant.session.link.receive = ignore
        return self.figures(stage, storm.span, storm.joins, storm.seconds, storm.faults)


def presence_faults(received: bytes, of: Sequence[bytes], own: bytes = b"") -> Faults:
    """Return what is wrong with the presences that came: one was due of each address.

    own: the address of the recipient, if it came itself: the last of them, and marked (§7.2.2).
    """
    found = [
        (address, head, inside)
        for head, inside in PRESENCE.findall(received)
        if b"/" in (address := sender(head))  # else of the room itself, about its avatar
    ]
    seen = Counter(address for address, _head, _inside in found)
    due = set(of)
    wrong = [
        address
        for address, head, inside in found
        if TYPE.search(head)
        or not ITEM.search(inside)
        or (muc.SELF.search(inside) is not None) != (address == own)
    ]
    example = f"presence of {wrong[0]!r}" if wrong else ""
    return Faults(
        lost=len(due - seen.keys()),
        duplicated=sum(count - 1 for count in seen.values()),
        unexpected=len(seen.keys() - due),
        altered=len(wrong),
        example=example,
    )


def sender(head: bytes) -> bytes:
    """Return the address in the attributes of a presence."""
    match = FROM.search(head)
    return match[1] if match else b""
