"""What all loads share: the stage they play on, and what they bring back."""

import abc
import time
from typing import ClassVar

import attrs

from benchmarks.checking import Faults
from benchmarks.dialogue import Session, bring
from benchmarks.figures import percentile
from benchmarks.loop import Loop
from benchmarks.processes import Span, cpu_seconds
from benchmarks.servers.profile import BARE, Profile
from benchmarks.servers.server import Server

PASSWORD = "correct-horse-42"
DRAIN = 30.0  # seconds in which everything that was sent must have arrived


class NotMeasured(Exception):
    """What was read cannot be the cost of the load."""


@attrs.frozen
class Lengths:
    """How long and how big the measurements are."""

    warm: float = 0.6  # seconds before a measured window
    window: float = 2.4  # seconds
    idle_sessions: int = 500
    settle: float = 1.5  # seconds before memory is read
    offline: int = 50  # messages for each account that is absent
    most_rows: int = 1_000_000  # in an archive
    crowd: int = 1000  # sessions, of whom those in a room are some
    passing: int = 1_000_000  # messages while memory is watched


@attrs.frozen
class Measurement:
    """The figures of one load on one server in one round; None: does not apply."""

    load: str
    server: str
    round: int
    delivered: int  # in the window
    cpu: float | None = None  # CPU µs of the server for each message, copy or login
    rate: float | None = None  # of these a second
    p50: float | None = None  # ms
    p99: float | None = None  # ms
    kib: float | None = None  # for each idle session; of the load memory, growth in all
    late: float | None = None  # ms by which the generator's own sends were late, p99
    server_busy: float | None = None  # cores
    generator_busy: float | None = None  # cores
    others_busy: float | None = None  # cores
    mechanism: str = ""
    cipher: str = ""
    faults: Faults = attrs.field(factory=Faults)
    note: str = ""  # to be printed below the line
    failure: str = ""  # why there are no figures


@attrs.frozen
class Filled:
    """An archive that was written from outside."""

    start: int  # time of its first row, microseconds since 1970 UTC
    said: str  # by what wrote it


@attrs.define(eq=False)
class Stage:
    """A running server and who is logged in to it."""

    loop: Loop
    server: Server
    name: str  # of the server, in the report
    round: int
    lengths: Lengths
    sessions: list[Session] = attrs.field(factory=list)
    crowd_key: tuple[str, int, bool] | None = None
    befriended: bool = False  # the subscriptions of the presence load are made
    filled: dict[str, "Filled"] = attrs.field(factory=dict)  # archives, by account
    measured: dict[str, "Measurement"] = attrs.field(factory=dict)  # of loads yet to come, by name

    def crowd(self, prefix: str, size: int, tls: bool) -> list[Session]:
        """Return so many sessions of accounts with a prefix, the same as before if they fit."""
        if self.crowd_key != (prefix, size, tls):
            self.clear()
            names = account_names(prefix, size)
            manage = self.server.profile.management
            self.sessions = bring(self.loop, self.server, names, PASSWORD, tls, manage=manage)
            self.crowd_key = (prefix, size, tls)
        self.calm()
        return self.sessions

    def clear(self) -> None:
        """Log everybody out."""
        for session in self.sessions:
            session.link.closed = session.link.close
            session.link.send(b"</stream:stream>")
        self.loop.pause(0.2 if self.sessions else 0)
        for session in self.sessions:
            session.link.close()
        if self.sessions:
            self.calm()
        self.sessions = []
        self.crowd_key = None

    def calm(self) -> None:
        """Wait until the server has nothing more to do, a few seconds at most."""
        end = time.perf_counter() + 5
        while time.perf_counter() < end:
            before = cpu_seconds(self.server.pids)
            self.loop.pause(0.1)
            if cpu_seconds(self.server.pids) - before < 0.01:
                return


@attrs.frozen
class Load(abc.ABC):
    """One way to keep a server busy."""

    name: str
    title: str
    tls: bool
    profile: Profile = attrs.field(default=BARE, kw_only=True)  # what the servers are to do
    only: str = attrs.field(default="", kw_only=True)  # the one server that can bear it; "": all
    without: str = attrs.field(default="", kw_only=True)  # a server that is too slow to prepare
    named: bool = attrs.field(default=False, kw_only=True)  # runs only when it is asked for
    once: bool = attrs.field(default=False, kw_only=True)  # in the first round only
    unit: ClassVar[str]  # what the CPU time is divided by
    fresh: ClassVar[bool] = False  # needs a server that has done nothing before

    def suits(self, server: str) -> bool:
        """Say whether it is put on a server, by its name."""
        return self.only in ("", server) and server != self.without

    @abc.abstractmethod
    def measure(self, stage: Stage) -> Measurement:
        """Put the load on the server and return the figures."""

    def figures(
        self, stage: Stage, span: Span, delivered: int, latencies: list[float], faults: Faults
    ) -> Measurement:
        """Return the figures of a window.

        latencies: seconds.
        """
        first = stage.sessions[0] if stage.sessions else None
        return Measurement(
            load=self.name,
            server=stage.name,
            round=stage.round,
            delivered=delivered,
            cpu=span.server / delivered * 1e6 if delivered else None,
            rate=delivered / span.wall,
            p50=percentile(latencies, 50) * 1000 if latencies else None,
            p99=percentile(latencies, 99) * 1000 if latencies else None,
            server_busy=span.server_busy,
            generator_busy=span.generator_busy,
            others_busy=span.others_busy,
            mechanism=first.mechanism if first else "",
            cipher=first.cipher if first else "",
            faults=faults,
        )


def account_names(prefix: str, size: int) -> list[str]:
    """Return the names of the first accounts with a prefix."""
    return [f"{prefix}{number:04d}" for number in range(size)]
