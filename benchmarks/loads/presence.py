"""Presence: one session with many contacts online goes away and comes back."""

import itertools
import re
import secrets
import time
from typing import ClassVar

import attrs

from benchmarks.checking import Faults, check
from benchmarks.dialogue import STANZA, Session
from benchmarks.loads.load import DRAIN, Load, Measurement, Stage
from benchmarks.loop import Loop, Stalled, ignore
from benchmarks.messages import Numbered, flip
from benchmarks.processes import Moment, Span

END = b"</presence>"
FROM = re.compile(rb"\bfrom=['\"]([^'\"/]*)")
MUTUAL = re.compile(rb"\bsubscription=['\"]both['\"]")
ROSTER = b"<iq type='get' id='mutual'><query xmlns='jabber:iq:roster'/></iq>"


@attrs.define(eq=False)
class Contact:
    """A session that sees the owner's presence."""

    audience: "Audience"
    session: Session
    arrivals: list[tuple[float, int]] = attrs.field(factory=list)
    chunks: list[bytes] = attrs.field(factory=list)
    carry: bytes = b""

    def receive(self, chunk: bytes) -> None:
        """Keep what came; the owner goes on when everybody has seen the last change."""
        self.chunks.append(chunk)
        seen = self.carry + chunk
        self.carry = seen[1 - len(END) :]
        count = seen.count(END)
        if count:
            self.arrivals.append((self.audience.loop.now, count))
            self.audience.arrived(count)


@attrs.define(eq=False)
class Audience:
    """The owner and the contacts."""

    loop: Loop
    owner: Session
    presence: Numbered
    in_flight: int  # changes of presence
    contacts: list[Contact] = attrs.field(factory=list)
    delivered: int = 0  # copies
    sent: int = 0  # changes
    flipping: bool = True
    departures: list[float] = attrs.field(factory=list)

    def arrived(self, count: int) -> None:
        """Count copies and send as many changes as have gone round."""
        self.delivered += count
        room = self.in_flight - (self.sent - self.delivered // len(self.contacts))
        if room > 0 and self.flipping:
            self.say(room)

    def say(self, count: int) -> None:
        """Send the next changes in one piece."""
        self.departures.extend([time.perf_counter()] * count)
        self.owner.link.send(self.presence.write(self.sent, count))
        self.sent += count

    def finish(self) -> Faults:
        """Wait for what is under way and return the faults."""
        self.flipping = False
        try:
            self.loop.run(
                lambda: self.delivered >= self.sent * len(self.contacts), DRAIN, "presence"
            )
        except Stalled:
            pass  # counted as lost below
        self.loop.pause(0.05)
        return sum(
            (
                check(b"".join(contact.chunks), self.presence, self.owner.jid, self.sent)
                for contact in self.contacts
            ),
            Faults(),
        )

    def latencies(self, span: Span) -> list[float]:
        """Return the seconds each copy took whose change was sent in a window."""
        return [
            max(0.0, arrived - sent)
            for contact in self.contacts
            for sent, arrived in zip(
                self.departures,
                itertools.chain.from_iterable(
                    itertools.repeat(when, count) for when, count in contact.arrivals
                ),
                strict=False,
            )
            if span.start.wall <= sent < span.end.wall
        ]


@attrs.frozen
class PresenceLoad(Load):
    """Changes of presence, so many in flight, to contacts who subscribe to each other."""

    unit: ClassVar[str] = "copy"
    contacts: int
    in_flight: int

    def measure(self, stage: Stage) -> Measurement:
        """Make the contacts friends if they are not yet, and change the presence for a while."""
        if not stage.befriended:
            befriend(stage, stage.crowd("p", self.contacts + 1, self.tls))
            stage.clear()  # so that every load meets sessions that logged in as friends
            stage.befriended = True
        owner, *friends = stage.crowd("p", self.contacts + 1, self.tls)
        audience = Audience(stage.loop, owner, flip(secrets.token_hex(4)), self.in_flight)
        audience.contacts = [Contact(audience, friend) for friend in friends]
        owner.link.receive = ignore  # its own copies
        for contact in audience.contacts:
            contact.session.link.receive = contact.receive
        audience.say(self.in_flight)
        stage.loop.pause(stage.lengths.warm)
        start, before = Moment.now(stage.server.pids), audience.delivered
        stage.loop.pause(stage.lengths.window)
        end, after = Moment.now(stage.server.pids), audience.delivered
        faults = audience.finish()
        span = Span(start, end)
        for friend in friends:
            friend.link.receive = ignore
        return self.figures(stage, span, after - before, audience.latencies(span), faults)


@attrs.define(eq=False)
class Friend:
    """A session that approves every request, and asks back when it did not ask first."""

    session: Session
    asks_back: bool
    buffer: bytes = b""
    mutual: int = 0  # contacts in the roster with a subscription both ways, when last asked

    def receive(self, chunk: bytes) -> None:
        """Answer requests (RFC 6121 §3.1); read the roster."""
        self.buffer += chunk
        while (stanza := STANZA.search(self.buffer)) is not None:
            self.buffer = self.buffer[stanza.end() :]
            attributes = stanza["attributes"]
            if stanza["name"] == b"iq":
                self.mutual = max(self.mutual, len(MUTUAL.findall(stanza[0])))
            elif re.search(rb"\btype=['\"]subscribe['\"]", attributes):
                asker = FROM.search(attributes)
                assert asker is not None
                self.session.link.send(b"<presence to='%b' type='subscribed'/>" % asker[1])
                if self.asks_back:
                    self.session.link.send(b"<presence to='%b' type='subscribe'/>" % asker[1])


def befriend(stage: Stage, sessions: list[Session]) -> None:
    """Subscribe the first session and each other one to each other, by the protocol."""
    owner, *others = [Friend(session, asks_back=True) for session in sessions]
    owner.asks_back = False
    for friend in (owner, *others):
        friend.session.link.receive = friend.receive
    for friend in others:
        to = friend.session.jid.partition("/")[0]
        owner.session.link.send(f"<presence to='{to}' type='subscribe'/>".encode())
    enough = 30 + len(others) / 20  # seconds
    end = time.perf_counter() + enough
    while owner.mutual < len(others):
        if time.perf_counter() > end:
            raise Stalled(f"{owner.mutual} of {len(others)} subscriptions in {enough:g} s")
        stage.loop.pause(0.2)
        owner.session.link.send(ROSTER)
        stage.loop.pause(0.1)
    stage.calm()
