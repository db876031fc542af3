"""Prosody as installed, and with its generational garbage collector."""

import shutil
import sqlite3
import uuid
from collections.abc import Iterable
from pathlib import Path

import attrs

from benchmarks.scram import stored_keys
from benchmarks.servers.server import OWNER, Archived, Server, package_version

# of what is installed and enabled: what a chat server needs, and what every server here has
MODULES = (
    "roster saslauth tls disco private vcard blocklist ping time version lastactivity uptime "
    "user_account_management posix"
).split()
MOST_IN_A_PAGE = 100  # 50 unless it is said
ITERATIONS = 10000  # Prosody's default
SALT = b"2a6f1c3e-benchmark-salt"

CONFIGURATION = """
run_as_root = true
daemonize = false
pidfile = "{folder}/prosody.pid"
data_path = "{folder}"
log = {{ info = "{folder}/prosody.log" }}
{tuning}
modules_enabled = {{ {modules} }}
modules_disabled = {{ "s2s", "s2s_auth_certs" }}
interfaces = {{ "{address}" }}
c2s_ports = {{ {port} }}
c2s_direct_tls_ports = {{ {tls_port} }}
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_hashed"
password_hash = "SHA-256"
default_iteration_count = {iterations}
storage = {{ {stores} }}
sql = {{ driver = "SQLite3"; database = "prosody.sqlite"; }}
default_archive_policy = true
archive_expires_after = "never"
max_archive_query_results = {page}
ssl = {{ key = "{certificate}"; certificate = "{certificate}"; }}
c2s_direct_tls_ssl = {{ key = "{certificate}"; certificate = "{certificate}"; }}

VirtualHost "{domain}"
"""

# what a service of its own adds; no module limits rates or sizes
ROOMS = """
Component "conference.{domain}" "muc"
modules_enabled = {{ {modules} }}
muc_log_by_default = true
muc_log_expires_after = "never"
"""
NODES = """
Component "pubsub.{domain}" "pubsub"
admins = {{ "{owner}@{domain}" }}
"""


@attrs.define(eq=False)
class Prosody(Server):
    """Prosody with the collector's default settings."""

    tuning: str = ""

    @classmethod
    def missing(cls) -> str | None:
        """Return why it cannot run here."""
        if not shutil.which("prosody"):
            return "prosody is not installed"
        if not next(Path("/usr/lib").glob("*/lua/*/dbd/sqlite3.so"), None):
            return "lua-dbi-sqlite3, which its archive needs, is not installed"
        return None

    def version(self) -> str:
        """Return the version of the package, with the setting that was changed."""
        return f"Prosody {package_version('prosody')} {self.tuning}".strip()

    @property
    def modules(self) -> list[str]:
        """The modules that run."""
        profile = self.profile
        return [
            *MODULES,
            *(["mam"] if profile.archive else []),
            *(["smacks"] if profile.management else []),
            *(["offline"] if profile.offline else []),
            *(["pep"] if profile.nodes else []),
        ]

    @property
    def stores(self) -> dict[str, str]:
        """What is kept elsewhere than in files."""
        stores = {"archive": "sql"} if self.profile.archive else {}
        if self.profile.room_archive:
            stores["muc_log"] = "sql"
        return stores | ({"offline": "sql"} if self.profile.sql else {})

    @property
    def database(self) -> Path:
        """The file with the archive."""
        return self.folder / "prosody.sqlite"

    def fill_archive(self, rows: Iterable[Archived]) -> str:
        """Write what mod_storage_sql writes; the file and its indexes are of its making."""
        database = sqlite3.connect(self.database)
        with database:
            database.executemany(
                "INSERT INTO prosodyarchive"
                ' (host, user, store, key, "when", "with", type, value)'
                " VALUES (?, ?, 'archive', ?, ?, ?, 'xml', ?)",
                (
                    (
                        self.domain,
                        row.owner,
                        str(uuid.uuid4()),
                        row.when // 1_000_000,
                        row.peer.partition("/")[0],
                        row.stanza.decode(),
                    )
                    for row in rows
                ),
            )
        database.close()
        return ""

    def make_accounts(self, names: list[str], password: str) -> None:
        """Write the files of mod_auth_internal_hashed: one for each account, keys in hex."""
        keys = stored_keys("sha256", password, SALT, ITERATIONS)
        text = (
            "return {\n"
            f'\t["iteration_count"] = {keys.iterations};\n'
            f'\t["salt"] = "{keys.salt.decode()}";\n'
            f'\t["stored_key"] = "{keys.stored_key.hex()}";\n'
            f'\t["server_key"] = "{keys.server_key.hex()}";\n'
            "};\n"
        )
        accounts = self.folder / self.domain / "accounts"
        accounts.mkdir(parents=True)
        for name in names:
            (accounts / f"{name}.dat").write_text(text)

    def configure(self) -> None:
        """Write prosody.cfg.lua."""
        text = CONFIGURATION.format(
            folder=self.folder,
            tuning=self.tuning,
            modules=", ".join(f'"{name}"' for name in self.modules),
            stores=", ".join(f'{name} = "{kind}"' for name, kind in self.stores.items()),
            page=MOST_IN_A_PAGE,
            address=self.address,
            port=self.port,
            tls_port=self.tls_port,
            iterations=ITERATIONS,
            certificate=self.certificate,
            domain=self.domain,
        )
        if self.profile.rooms:
            modules = '"muc_mam"' if self.profile.room_archive else ""
            text += ROOMS.format(domain=self.domain, modules=modules)
        if self.profile.nodes:
            text += NODES.format(domain=self.domain, owner=OWNER)
        (self.folder / "prosody.cfg.lua").write_text(text)

    def command(self) -> list[str]:
        """Return the command: in the foreground."""
        return ["prosody", "--config", str(self.folder / "prosody.cfg.lua"), "-F"]


@attrs.define(eq=False)
class GenerationalProsody(Prosody):
    """Prosody with Lua's generational collector: what an operator who cares would set."""

    tuning: str = 'gc = { mode = "generational" }'
