"""imsuite: the one place that knows how it is configured and launched."""

import os
import shutil
import sqlite3
import subprocess
import sys
from base64 import b64encode
from importlib import metadata
from pathlib import Path
from typing import ClassVar

import attrs

from benchmarks.scram import stored_keys
from benchmarks.servers.server import Server, free_port

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
ITERATIONS = 10000  # its default
SALT = b"2a6f1c3e-benchmark-salt"

# every feature that is on by default; no limit on rates, SCRAM without TLS for the plain loads
CONFIGURATION = """
[server]
listen = ["c2s:{address}:{port}", "c2s-tls:{address}:{tls_port}"]
data = "{data}"
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
        """Return version and commit, and the features it ran with."""
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
        return f"imsuite {number} {commit}, its default features"

    @property
    def copy(self) -> Path:
        """The folder with the code that runs."""
        return self.folder.parent / "imsuite-code"

    @property
    def database(self) -> Path:
        """The file that holds the accounts."""
        return self.folder / "data" / "imsuite.db"

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
        (self.folder / "imsuite.toml").write_text(
            CONFIGURATION.format(
                address=self.address,
                port=self.port,
                tls_port=self.tls_port,
                data=self.folder / "data",
                domain=self.domain,
                certificate=self.certificate,
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
