"""The servers that are tortured: what benchmarks/servers starts, and how it is killed."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
from pathlib import Path

import attrs
import psycopg

from benchmarks.servers.imsuite import Imsuite
from benchmarks.servers.profile import Profile
from benchmarks.servers.prosody import Prosody
from benchmarks.servers.server import Server
from benchmarks.torture.disk import Disk
from benchmarks.torture.stream import Place
from tests.postgres import Cluster

PROFILE = Profile("torture", archive=True, management=True, offline=True, sql=True)
PATIENCE = 60.0  # seconds for a server to end in order

CONFIGURATION = """
[server]
listen = ["c2s:{address}:{port}", "c2s-tls:{address}:{tls_port}"]
data = "{data}"
{store}
max_connections_per_address = 20000

[streams]
rate = 0

[hosts."{domain}"]
certificate = "{certificate}"

[hosts."{domain}".features.starttls]
required = false

[hosts."{domain}".features.sasl]
plaintext = true
"""


class TorturedImsuite(Imsuite):
    """imsuite with all its default features; disk: under its database; store: another one."""

    disk: Disk | None = None
    store: str = ""  # URL of a PostgreSQL database, which is empty at first

    def make_accounts(self, names: list[str], password: str) -> None:
        """Write the accounts into its database, in which it has made its tables."""
        super().make_accounts(names, password)
        if not self.store:
            return
        self.start()
        self.stop()
        with sqlite3.connect(self.database) as file:
            rows = file.execute("SELECT host, localpart, verifiers, created FROM accounts")
            with psycopg.connect(self.store) as database, database.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO accounts (host, localpart, verifiers, created)"
                    " VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",  # it has made an admin
                    rows.fetchall(),
                )

    def configure(self) -> None:
        """Write imsuite.toml."""
        (self.folder / "imsuite.toml").write_text(
            CONFIGURATION.format(
                address=self.address,
                port=self.port,
                tls_port=self.tls_port,
                data=self.folder / "data",
                domain=self.domain,
                certificate=self.certificate,
                store=f'store = "{self.store}"' if self.store else "",
            )
        )

    def environment(self) -> dict[str, str]:
        """Return the environment, with the disk if there is one."""
        return super().environment() | (self.disk.environment if self.disk else {})


class TorturedProsody(Prosody):
    """Prosody, with what it offers to keep messages."""


SUBJECTS: dict[str, type[Server]] = {"imsuite": TorturedImsuite, "prosody": TorturedProsody}


@attrs.define
class Subject:
    """A server that is started again and again, on the same ports and files."""

    server: Server
    postgres: Cluster | None = None  # that it keeps everything in
    starts: int = 0

    @property
    def disk(self) -> Disk | None:
        """The disk under it, if it can be tortured too."""
        return self.server.disk if isinstance(self.server, TorturedImsuite) else None

    @property
    def place(self) -> Place:
        """Where clients find it."""
        server = self.server
        return Place(server.domain, server.address, server.port, server.tls_port)

    def start(self) -> None:
        """Start it, and return when it listens. Raises NotStarted."""
        if self.disk is not None:
            self.disk.mount()
        self.server.start()
        self.starts += 1

    def kill(self) -> None:
        """kill -9, at once: the whole session of processes."""
        if self.server.process is not None:
            os.killpg(self.server.process.pid, signal.SIGKILL)

    def bury(self) -> None:
        """Wait until a killed server is gone, and keep what it said."""
        if self.server.process is not None:
            self.server.process.wait()
            self.server.process = None
            self._keep_output()

    def end(self) -> None:
        """SIGTERM, and wait; raises TimeoutExpired where it does not end."""
        if self.server.process is not None:
            self.server.process.terminate()
            try:
                self.server.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            finally:
                self.bury()

    def _keep_output(self) -> None:
        output = self.server.folder / "output"
        if output.exists():
            shutil.copyfile(output, self.output(self.starts))

    def output(self, number: int) -> Path:
        """Return the file with what the start of that number said."""
        return self.server.folder / f"output-{number}"

    def outputs(self) -> list[str]:
        """Return what it said in all its lives."""
        paths = [self.output(number) for number in range(1, self.starts + 1)]
        return [path.read_text(errors="replace") for path in paths if path.exists()]
