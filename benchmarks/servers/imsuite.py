"""imsuite: the one place that knows how it is configured and launched."""

import json
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import attrs

from benchmarks.servers.server import NotStarted, Server

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

# features alike on all servers; SCRAM without TLS is for the plain loads
CONFIGURATION = """
[server]
listen = ["c2s:{address}:{port}", "c2s-tls:{address}:{tls_port}"]
data = "{data}"
log = "{folder}/imsuite.log"

[hosts."{domain}"]
certificate = "{certificate}"

[hosts."{domain}".features.sasl]
plaintext = true
"""


@attrs.define(eq=False)
class Imsuite(Server):
    """imsuite of this checkout, on the reactor its documentation recommends."""

    @classmethod
    def missing(cls) -> str | None:
        """Return why it cannot run here."""
        if not (ROOT / "twisted" / "plugins" / "imsuite_plugin.py").exists():
            return "this checkout has no twisted/plugins/imsuite_plugin.py yet"
        if not (BIN / "imsuitectl").exists():
            return f"{BIN / 'imsuitectl'} is not installed (pip install -e .)"
        return None

    @property
    def configuration(self) -> Path:
        """The configuration file."""
        return self.folder / "imsuite.toml"

    def version(self) -> str:
        """Return version and commit."""
        try:
            number = metadata.version("imsuite")
        except metadata.PackageNotFoundError:
            number = "unreleased"
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()
        return f"imsuite {number} {commit}".strip()

    def make_accounts(self, names: list[str], password: str) -> None:
        """Add the accounts with imsuitectl, once; later servers get a copy of the data.

        That is one hash of a password for each account, which takes a while.
        """
        data = self.folder / "data"
        kept = self.folder.parent / "imsuite-accounts"
        made = kept / "made.json"
        wanted = json.dumps([names, password])
        if not made.exists() or made.read_text() != wanted:
            shutil.rmtree(kept, ignore_errors=True)
            kept.mkdir(parents=True)
            self.folder.mkdir(parents=True, exist_ok=True)
            self.configure(data=kept / "data")
            listed = kept / "accounts"
            listed.write_text("".join(f"{name}@{self.domain} {password}\n" for name in names))
            self.ctl("adduser", "--from", str(listed))
            made.write_text(wanted)
        shutil.copytree(kept / "data", data)

    def ctl(self, *words: str) -> None:
        """Run imsuitectl; raises NotStarted with what it said."""
        done = subprocess.run(
            [str(BIN / "imsuitectl"), "--config", str(self.configuration), *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise NotStarted(f"imsuitectl {' '.join(words)}: {done.stdout}{done.stderr}")

    def configure(self, data: Path | None = None) -> None:
        """Write imsuite.toml; data: other than the folder's own."""
        data = data or self.folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        self.configuration.write_text(
            CONFIGURATION.format(
                address=self.address,
                port=self.port,
                tls_port=self.tls_port,
                data=data,
                folder=self.folder,
                domain=self.domain,
                certificate=self.certificate,
            )
        )

    def command(self) -> list[str]:
        """Return the command: twistd in the foreground."""
        return [
            str(BIN / "twistd"),
            "-n",
            "--pidfile=",
            "imsuite",
            "--config",
            str(self.configuration),
        ]
