"""Runs rounds of loads on servers in turn."""

import gc
import itertools
import shutil
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from benchmarks.dialogue import Refused
from benchmarks.loads.catalogue import ACCOUNTS, CONTACTS
from benchmarks.loads.load import (
    PASSWORD,
    Lengths,
    Load,
    Measurement,
    NotMeasured,
    Stage,
    account_names,
)
from benchmarks.loop import Closed, Loop, Stalled
from benchmarks.processes import wait_for_quiet
from benchmarks.scram import ScramError
from benchmarks.servers.certificate import write_certificate
from benchmarks.servers.ejabberd import Ejabberd
from benchmarks.servers.external import External
from benchmarks.servers.imsuite import Imsuite
from benchmarks.servers.profile import Profile
from benchmarks.servers.prosody import GenerationalProsody, Prosody
from benchmarks.servers.server import NotFilled, NotStarted, Server

SERVERS: dict[str, type[Server]] = {
    "imsuite": Imsuite,
    "prosody": Prosody,
    "prosody-gen": GenerationalProsody,
    "ejabberd": Ejabberd,
    "external": External,
}
BROKEN = (
    Closed,
    NotFilled,
    NotMeasured,
    NotStarted,
    OSError,
    Refused,
    ScramError,
    Stalled,
    ssl.SSLError,
)


@attrs.define(eq=False)
class Run:
    """Everything of one call of the benchmark."""

    folder: Path  # for the servers
    servers: Sequence[str]
    loads: Sequence[Load]
    rounds: int
    lengths: Lengths
    tell: Callable[[str], None]  # progress
    patience: float = 0.0  # seconds to wait, before each measurement, for others to be quiet
    versions: dict[str, str] = attrs.field(factory=dict)
    measurements: list[Measurement] = attrs.field(factory=list)
    started: list[Server] = attrs.field(factory=list)  # some of them stopped again

    def play(self) -> None:
        """Do all rounds."""
        write_certificate(self.folder / "certificate.pem", "localhost")
        gc.disable()  # collected between measurements
        for number in range(self.rounds):
            # another server begins in each round
            order = [*self.servers[number % len(self.servers) :]]
            order += self.servers[: number % len(self.servers)]
            self.play_round(number, order)

    def play_round(self, number: int, order: Sequence[str]) -> None:
        """Do all loads, each on all servers; servers run as long as their profile is asked for."""
        loads = [load for load in self.loads if number == 0 or not load.once]
        for _, alike in itertools.groupby(loads, lambda load: load.profile):
            stages: dict[str, Stage] = {}
            try:
                for load in alike:
                    for name in order:
                        if load.suits(name):
                            self.play_load(load, name, number, stages)
            finally:
                for stage in stages.values():
                    self.strike(stage)

    def play_load(self, load: Load, name: str, number: int, stages: dict[str, Stage]) -> None:
        """Do one load on one server, which is started if it is not among the stages."""
        self.tell(f"round {number + 1}/{self.rounds}: {load.title}: {name}")
        if load.fresh:
            self.play_fresh(load, name, number)
            return
        if name not in stages:
            stages[name] = self.stage(name, number, load.profile)
        self.measurements.append(self.measured(load, stages[name]))

    def play_fresh(self, load: Load, name: str, number: int) -> None:
        """Do one load on a server of its own."""
        stage = self.stage(name, number, load.profile)
        try:
            self.measurements.append(self.measured(load, stage))
        finally:
            self.strike(stage)

    def strike(self, stage: Stage) -> None:
        """End a stage: its connections and its server."""
        stage.loop.close()
        stage.server.stop()

    def clear(self, keep: bool) -> None:
        """Stop what an interruption left running; remove the folders or tell where they are."""
        for server in self.started:
            server.stop()
        if keep:
            self.tell(f"configurations and logs are kept in {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def stage(self, name: str, number: int, profile: Profile) -> Stage:
        """Start a server with all accounts; when that fails every measurement on it will."""
        server = SERVERS[name](
            folder=self.folder / f"{name}-{len(self.started)}",
            certificate=self.folder / "certificate.pem",
            profile=profile,
        )
        self.started.append(server)
        stage = Stage(Loop(), server, name, number, self.lengths)
        try:
            names = account_names("u", ACCOUNTS) + account_names("p", CONTACTS + 1)
            server.make_accounts(names, PASSWORD)
            server.start()
            self.versions.setdefault(name, server.version())
        except BROKEN as error:
            self.tell(f"{name} did not start: {error}")
        return stage

    def measured(self, load: Load, stage: Stage) -> Measurement:
        """Do one load on one server; a failure becomes a measurement that tells it."""
        gc.collect()
        try:
            wait_for_quiet(self.patience, stage.server.pids)
            return load.measure(stage)
        except BROKEN as error:
            self.tell(f"{stage.name}, {load.title}: {type(error).__name__}: {error}")
            for link in [*stage.loop.links.values()]:
                link.close()
            stage.sessions, stage.crowd_key = [], None
            return Measurement(
                load=load.name,
                server=stage.name,
                round=stage.round,
                delivered=0,
                failure=f"{type(error).__name__}: {error}"[:500],
            )


def runnable(names: Sequence[str], tell: Callable[[str], None]) -> list[str]:
    """Return the servers that can be run here; says why others cannot."""
    found = []
    for name in names:
        reason = SERVERS[name].missing()
        if reason is None:
            found.append(name)
        else:
            tell(f"{name} is left out: {reason}")
    return found
