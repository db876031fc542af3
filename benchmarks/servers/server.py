"""What the benchmark needs of a server: start, stop, accounts, ports, processes."""

import abc
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import attrs

from benchmarks.ports import free_port
from benchmarks.processes import family
from benchmarks.servers.profile import BARE, Profile

OWNER = "u0000"  # the account that makes nodes of the pubsub service
START = 60.0  # seconds a server may take to listen
STOP = 3.0  # seconds it may take to end; then it is killed, nobody needs its files


class NotStarted(Exception):
    """The server did not come up; the text has the end of what it said."""


class NotFilled(Exception):
    """An archive cannot be written from outside."""


@attrs.frozen
class Archived:
    """A message in the archive of one account, as the account's server would have written it."""

    owner: str  # name of the account
    peer: str  # full JID of the other side
    sent: bool  # by the owner
    when: int  # microseconds since 1970 UTC, ascending
    stanza: bytes  # with from and to, namespace jabber:client not said
    body: str


@attrs.define(eq=False)
class Server(abc.ABC):
    """One server under test, with its own folder and ports; a subclass knows its words."""

    folder: Path  # ours alone, made by start or make_accounts
    certificate: Path  # PEM: key and certificate of the domain
    profile: Profile = BARE
    domain: str = "localhost"
    address: str = "127.0.0.1"
    port: int = attrs.field(factory=free_port)
    tls_port: int | None = attrs.field(factory=free_port)  # direct TLS; None: STARTTLS on port
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    @abc.abstractmethod
    def missing(cls) -> str | None:
        """Return why this server cannot be run here, None when it can."""

    @abc.abstractmethod
    def version(self) -> str:
        """Return its name and version."""

    @abc.abstractmethod
    def make_accounts(self, names: list[str], password: str) -> None:
        """Make accounts; called once, before start."""

    @abc.abstractmethod
    def configure(self) -> None:
        """Write the configuration into the folder."""

    @abc.abstractmethod
    def command(self) -> list[str]:
        """Return the command that runs the server in the foreground."""

    def fill_archive(self, rows: Iterable[Archived]) -> str:
        """Put rows into the archives, in the order they came; it was started before, and stopped.

        Returns what there is to say about it. Raises NotFilled where that cannot be done.
        """
        raise NotFilled(f"nobody knows how {type(self).__name__} stores an archive")

    def page_plan(self) -> str:
        """Return how the database finds a page of an archive, "" where that is not known."""
        return ""

    def environment(self) -> dict[str, str]:
        """Return the environment of that command."""
        return dict(os.environ)

    def ready(self) -> bool:
        """Say whether everything but the ports is ready."""
        return True

    @property
    def pids(self) -> list[int]:
        """All processes of the server."""
        return family(self.process.pid) if self.process is not None else []

    def start(self) -> None:
        """Start the server and wait until it listens; raises NotStarted."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.configure()
        with (self.folder / "output").open("wb") as output:
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        end = time.monotonic() + START
        ports = [self.port] if self.tls_port is None else [self.port, self.tls_port]
        while not (all(self.listens(port) for port in ports) and self.ready()):
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise NotStarted(f"{' '.join(self.command())}\n{self.said()}")
            time.sleep(0.05)

    def listens(self, port: int) -> bool:
        """Say whether the server accepts connections on a port."""
        try:
            socket.create_connection((self.address, port), timeout=1).close()
        except OSError:
            return False
        return True

    def said(self) -> str:
        """Return the end of what the server wrote to its output."""
        try:
            return (self.folder / "output").read_text(errors="replace")[-2000:]
        except OSError:
            return ""

    def stop(self) -> None:
        """End the server's processes, and only those; may be called again."""
        if self.process is None:
            return
        everybody = self.pids
        self.process.terminate()
        try:
            self.process.wait(STOP)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        session = self.process.pid  # start_new_session: its number is the leader's
        for pid in everybody[1:]:
            try:
                if os.getsid(pid) == session:
                    os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        self.process = None


def package_version(name: str) -> str:
    """Return the version of a Debian package, "?" where there is none."""
    try:
        shown = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version}", name],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
    except OSError:
        return "?"
    return shown or "?"
