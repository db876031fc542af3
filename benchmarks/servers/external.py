"""A server somebody else started on this machine: ports and a process number are given."""

import os
from typing import ClassVar

import attrs

from benchmarks.dialogue import Account, Arrivals, register
from benchmarks.loop import Loop
from benchmarks.processes import family
from benchmarks.servers.server import NotStarted, Server


@attrs.frozen
class Place:
    """Where the server is; words of the command line."""

    address: str
    port: int
    tls_port: int | None  # None: STARTTLS on port
    pid: int  # its first process
    domain: str

    @classmethod
    def parse(cls, text: str) -> "Place":
        """Return the place of a text domain,address,port,tls port or -,pid; raises ValueError."""
        domain, address, port, tls_port, pid = text.split(",")
        return cls(
            address=address,
            port=int(port),
            tls_port=None if tls_port == "-" else int(tls_port),
            pid=int(pid),
            domain=domain,
        )


@attrs.define(eq=False)
class External(Server):
    """A running server; accounts are registered in-band (XEP-0077) unless they exist."""

    place: ClassVar[Place | None] = None  # set from the command line

    def __attrs_post_init__(self) -> None:
        if self.place is None:
            raise NotStarted("say where the external server is: --external")
        self.domain, self.address = self.place.domain, self.place.address
        self.port, self.tls_port = self.place.port, self.place.tls_port

    @classmethod
    def missing(cls) -> str | None:
        """Return why it cannot be used."""
        return None if cls.place else "say where it is: --external"

    def version(self) -> str:
        """Return the name of its program."""
        try:
            return os.readlink(f"/proc/{self.pids[0]}/exe")
        except OSError:
            return "external"

    def make_accounts(self, names: list[str], password: str) -> None:
        """Register those accounts that do not exist."""
        loop = Loop()
        tls = self.tls_port is not None
        arrivals = Arrivals(loop=loop, server=self, tls=tls)
        arrivals.steps = lambda link, account: register(link, self, account, tls)
        for session in arrivals.bring([Account(name, password) for name in names]):
            session.link.close()

    def configure(self) -> None:
        """It is configured already."""

    def command(self) -> list[str]:
        """There is none."""
        return []

    @property
    def pids(self) -> list[int]:
        """All its processes."""
        assert self.place is not None
        return family(self.place.pid)

    def start(self) -> None:
        """It runs already; raises NotStarted when it does not listen."""
        if not self.listens(self.port):
            raise NotStarted(f"nobody listens on {self.address}:{self.port}")

    def stop(self) -> None:
        """Not ours to stop."""
