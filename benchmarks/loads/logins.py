"""Logins: sessions that come, show themselves and go."""

import time
from typing import ClassVar

import attrs

from benchmarks.checking import Faults
from benchmarks.dialogue import Account, Dialogue, Session, log_in
from benchmarks.loads.load import PASSWORD, Load, Measurement, Stage, account_names
from benchmarks.loop import Stalled
from benchmarks.processes import Moment, Span

ENOUGH = 30.0  # seconds for the first logins, and for the last logouts


@attrs.define(eq=False)
class Visitor:
    """Logs in with one account after another, always one at a time."""

    stage: Stage
    tls: bool
    visits: "Visits"
    accounts: list[Account]
    turn: int = 0
    began: float = 0.0

    def come(self) -> None:
        """Connect and begin to log in."""
        account = self.accounts[self.turn % len(self.accounts)]
        self.turn += 1
        server = self.stage.server
        self.began = time.perf_counter()
        port = server.tls_port if self.tls else None
        link = self.stage.loop.connect(server.address, port or server.port)
        self.visits.present += 1
        Dialogue(
            link=link,
            steps=log_in(link, server, account, self.tls),
            finished=self.arrived,
        ).start()

    def arrived(self, dialogue: Dialogue) -> None:
        """Count the login, take leave, and come again at once.

        Some servers take 0.1 s to say goodbye; nobody waits for that.
        """
        assert dialogue.session is not None
        self.visits.count(dialogue.session, self.began)
        link = dialogue.link

        def gone() -> None:
            self.visits.present -= 1

        def farewell(chunk: bytes) -> None:
            if b"</stream:stream>" in chunk and link.open:
                link.close()
                gone()

        link.receive = farewell
        link.closed = gone
        link.send(b"</stream:stream>")
        if self.visits.open:
            self.come()


@attrs.define(eq=False)
class Visits:
    """What the visitors count together."""

    open: bool = True  # who left comes again
    present: int = 0  # connections
    finished: list[tuple[float, float]] = attrs.field(factory=list)  # began, was logged in
    last: Session | None = None

    def count(self, session: Session, began: float) -> None:
        """Count a login."""
        self.finished.append((began, time.perf_counter()))
        self.last = session


@attrs.frozen
class LoginLoad(Load):
    """Logins in parallel, each followed by a logout: connection to echo of the presence."""

    unit: ClassVar[str] = "login"
    parallel: int
    accounts: int

    def measure(self, stage: Stage) -> Measurement:
        """Let everybody log in twice as a warm-up, then count."""
        stage.clear()
        stage.calm()
        visits = Visits()
        accounts = [Account(name, PASSWORD) for name in account_names("u", self.accounts)]
        for number in range(self.parallel):
            Visitor(stage, self.tls, visits, accounts[number :: self.parallel]).come()
        stage.loop.run(
            lambda: len(visits.finished) >= 2 * self.parallel, ENOUGH, "the first logins"
        )
        stage.loop.pause(stage.lengths.warm)
        start, before = Moment.now(stage.server.pids), len(visits.finished)
        stage.loop.pause(stage.lengths.window)
        end, after = Moment.now(stage.server.pids), len(visits.finished)
        visits.open = False
        stage.loop.run(lambda: visits.present == 0, ENOUGH, "the last logouts")
        span = Span(start, end)
        seconds = [done - began for began, done in visits.finished[before:after]]
        if visits.last is None:
            raise Stalled("nobody logged in")
        measured = self.figures(stage, span, after - before, seconds, Faults())
        return attrs.evolve(measured, mechanism=visits.last.mechanism, cipher=visits.last.cipher)
