"""imsuite: the one place that knows how it is configured and launched."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from base64 import b64encode
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import ClassVar

import attrs

from benchmarks.ports import free_port
from benchmarks.scram import stored_keys
from benchmarks.servers.server import Archived, NotFilled, Server

INSIDE = Path(__file__).with_name("inside.py")
ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
ITERATIONS = 10000  # its default
SALT = b"2a6f1c3e-benchmark-salt"

# features of the profile; no limit on rates, SCRAM without TLS for the plain loads
CONFIGURATION = """
[server]
listen = ["c2s:{address}:{port}", "c2s-tls:{address}:{tls_port}"]
data = "{data}"
max_connections_per_address = 20000
{explained}

[streams]
rate = 0

[hosts."{domain}"]
certificate = "{certificate}"
use = [{use}]

[hosts."{domain}".features.starttls]
required = false

[hosts."{domain}".features.sasl]
plaintext = true
"""

# what waits for a client is in memory only, as the peers have it, unless an archive keeps it; the
# clients rest while other servers are measured
MANAGED = """
[hosts."{domain}".features.management]
durable = false
timeout = 3600
"""

# so many contacts ask the publisher before it has answered the first
NODES = """
[hosts."{domain}".features.roster]
requests = 10000
"""

WITHOUT_SEARCH = """
[hosts."{domain}".features.archive]
search = false
"""


@attrs.define(eq=False)
class Imsuite(Server):
    """imsuite of a checkout, copied at the first start: others may be working on it."""

    source: ClassVar[Path] = ROOT  # the checkout; set from the command line

    @classmethod
    def missing(cls) -> str | None:
        """Return why it cannot run here."""
        if not (cls.source / "twisted" / "plugins" / "imsuite_plugin.py").exists():
            return f"{cls.source} has no twisted/plugins/imsuite_plugin.py"
        if not (BIN / "twistd").exists():
            return f"{BIN / 'twistd'} is not there"
        return None

    def version(self) -> str:
        """Return version and commit."""
        try:
            number = metadata.version("imsuite")
        except metadata.PackageNotFoundError:
            number = "unreleased"
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=self.source,
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()
        return f"imsuite {number} {commit}"

    @property
    def copy(self) -> Path:
        """The folder with the code that runs."""
        return self.folder.parent / "imsuite-code"

    @property
    def left_out(self) -> list[str]:
        """The features that must not run, as the configuration calls them."""
        return self.inside("off", (), ",".join(self.profile.left_out)).split()

    @property
    def database(self) -> Path:
        """The file that holds the accounts."""
        return self.folder / "data" / "imsuite.db"

    def fill_archive(self, rows: Iterable[Archived]) -> str:
        """Write what the archive writes, and index it; its own code does both."""
        return self.inside(
            "fill",
            (
                json.dumps(
                    (
                        f"{row.owner}@{self.domain}",
                        *row.peer.split("/", 1),
                        row.sent,
                        row.when,
                        row.stanza.decode(),
                    )
                )
                for row in rows
            ),
        )

    def page_plan(self) -> str:
        """Return the statement that reads a page, and SQLite's plan for it."""
        return self.inside("plan", ())

    def inside(self, word: str, lines: Iterable[str], argument: str = "") -> str:
        """Return what inside.py prints, run with the copy of the code; raises NotFilled.

        argument: the database, if it is not said.
        """
        with tempfile.TemporaryFile("w+") as given:
            given.writelines(f"{line}\n" for line in lines)
            given.seek(0)
            done = subprocess.run(
                [sys.executable, "-P", INSIDE, word, argument or self.database],
                env=self.environment(),
                stdin=given,
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode:
            raise NotFilled(f"inside.py {word}: {done.stderr[-1000:]}")
        return done.stdout

    def make_accounts(self, names: list[str], password: str) -> None:
        """Write the accounts into the database, as the other servers' are written to theirs.

        imsuite has made the tables before: it was started once in another folder.
        """
        if not self.copy.exists():
            leave = shutil.ignore_patterns("__pycache__", "dropin.cache")
            for package in ("imsuite", "twisted"):
                shutil.copytree(self.source / package, self.copy / package, ignore=leave)
        empty = self.folder.parent / "imsuite-empty"
        if not empty.exists():
            first = attrs.evolve(self, folder=empty, port=free_port(), tls_port=free_port())
            try:
                first.start()
            finally:
                first.stop()
        sockets = shutil.ignore_patterns("control")  # of a server that may be ending still
        shutil.copytree(empty / "data", self.folder / "data", ignore=sockets)
        keys = stored_keys("sha256", password, SALT, ITERATIONS)
        salt, stored, server = (
            b64encode(part).decode() for part in (keys.salt, keys.stored_key, keys.server_key)
        )
        verifiers = f"SCRAM-SHA-256${keys.iterations}:{salt}${stored}:{server}"  # RFC 5803
        database = sqlite3.connect(self.database)
        with database:
            database.executemany(
                "INSERT INTO accounts (host, localpart, verifiers, created) VALUES (?, ?, ?, 0)",
                [(self.domain, name, verifiers) for name in names],
            )
        database.close()

    def configure(self) -> None:
        """Write imsuite.toml."""
        text = CONFIGURATION
        if self.profile.archive and not self.profile.search:
            text += WITHOUT_SEARCH
        if self.profile.management:
            text += MANAGED
        if self.profile.nodes:
            text += NODES
        use = ["default", *(f"-{word}" for word in self.left_out)]
        (self.folder / "imsuite.toml").write_text(
            text.format(
                address=self.address,
                port=self.port,
                tls_port=self.tls_port,
                data=self.folder / "data",
                domain=self.domain,
                certificate=self.certificate,
                explained="" if self.profile.kept else "explained = 0  # no peer has the like",
                use=", ".join(f'"{word}"' for word in use),
            )
        )

    def command(self) -> list[str]:
        """Return the command: twistd in the foreground, its log on standard output."""
        return [
            str(BIN / "twistd"),
            "-n",
            "--pidfile=",
            "imsuite",
            "--config",
            str(self.folder / "imsuite.toml"),
        ]

    def environment(self) -> dict[str, str]:
        """Return an environment in which the copy is found before the checkout."""
        return {**os.environ, "PYTHONPATH": str(self.copy)}
