"""ejabberd, run without its control script: one Erlang node that is not distributed."""

import os
import shutil
import sqlite3
from base64 import b64encode
from collections.abc import Iterable
from pathlib import Path

import attrs

from benchmarks.scram import stored_keys
from benchmarks.servers.server import Archived, Server, package_version

ITERATIONS = 10000  # as the other servers
SALT = b"2a6f1c3e-benchmark-salt"

# ejabberdctl's defaults; schedulers that wait sleep at once instead of spinning first
FLAGS = "+K true +P 250000 +sbwt none +sbwtdcpu none +sbwtdio none".split()

CONFIGURATION = """
loglevel: info
log_rotate_count: 0
hosts:
  - {domain}
certfiles:
  - {certificate}
auth_method: internal
auth_password_format: scram
auth_scram_hash: sha256
disable_sasl_mechanisms:
  - digest-md5
  - X-OAUTH2
listen:
  -
    port: {port}
    ip: "{address}"
    module: ejabberd_c2s
    backlog: 128
    max_stanza_size: 262144
    shaper: none
    access: all
    starttls: true
    starttls_required: false
  -
    port: {tls_port}
    ip: "{address}"
    module: ejabberd_c2s
    backlog: 128
    max_stanza_size: 262144
    shaper: none
    access: all
    tls: true
access_rules:
  local:
    allow: all
shaper_rules:
  max_user_sessions: 10
  c2s_shaper: none
  max_user_offline_messages: 1000000
modules:
  mod_blocking: {{}}
  mod_caps: {{}}
  mod_disco: {{}}
  mod_last: {{}}
  mod_ping: {{}}
  mod_privacy: {{}}
  mod_private: {{}}
  mod_roster: {{}}
  mod_time: {{}}
  mod_vcard:
    search: false
  mod_version: {{}}
"""

# SQLite for what asks for it; everything else stays in Mnesia, as installed
SQL = """
sql_type: sqlite
sql_database: "{database}"
"""

ARCHIVE = """
  mod_mam:
    default: always
    db_type: sql
"""
MANAGEMENT = """
  mod_stream_mgmt: {}
"""
OFFLINE = """
  mod_offline:
    db_type: {kind}
"""

ROOMS = """
  mod_muc:
    access: all
    access_create: all
    max_users: 5000
    max_users_presence: 5000
    max_user_conferences: 1000
    default_room_options:
      max_users: 5000
      mam: {archived}
"""
NODES = """
  mod_pubsub:
    access_createnode: all
    plugins:
      - flat
      - pep
"""

# run when ejabberd has started: its table of passwords is filled as if accounts were registered
LOAD = """
ok = mnesia:wait_for_tables([passwd], 60000),
{{ok, Rows}} = file:consult("{folder}/accounts"),
lists:foreach(fun(Row) -> ok = mnesia:dirty_write(Row) end, Rows),
ok = file:write_file("{folder}/ready", "").
"""


@attrs.define(eq=False)
class Ejabberd(Server):
    """ejabberd with its tables in Mnesia, as installed."""

    @classmethod
    def missing(cls) -> str | None:
        """Return why it cannot run here."""
        if not (shutil.which("ejabberdctl") and libraries()):
            return "ejabberd is not installed"
        if not any(Path("/usr/lib/erlang/lib").glob("p1_sqlite3-*")):
            return "erlang-p1-sqlite3, which its archive needs, is not installed"
        return None

    def version(self) -> str:
        """Return the version of the package."""
        return f"ejabberd {package_version('ejabberd')} +sbwt none"

    def make_accounts(self, names: list[str], password: str) -> None:
        """Write the rows of the table of passwords as Erlang terms."""
        keys = stored_keys("sha256", password, SALT, ITERATIONS)
        stored, server, salt = (
            b64encode(part).decode() for part in (keys.stored_key, keys.server_key, keys.salt)
        )
        scram = f'{{scram,<<"{stored}">>,<<"{server}">>,<<"{salt}">>,sha256,{keys.iterations}}}'
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "accounts").write_text(
            "".join(f'{{passwd,{{<<"{name}">>,<<"{self.domain}">>}},{scram}}}.\n' for name in names)
        )

    @property
    def database(self) -> Path:
        """The file with the archive."""
        return self.folder / "ejabberd.sqlite"

    def fill_archive(self, rows: Iterable[Archived]) -> str:
        """Write what mod_mam_sql writes; the file and its indexes are of ejabberd's making."""
        database = sqlite3.connect(self.database)
        with database:
            database.executemany(
                "INSERT INTO archive (username, timestamp, peer, bare_peer, xml, txt, kind, nick)"
                " VALUES (?, ?, ?, ?, ?, ?, 'chat', '')",
                (
                    (
                        row.owner,
                        row.when,
                        row.peer,
                        row.peer.partition("/")[0],
                        row.stanza.decode().replace(
                            "<message", "<message xmlns='jabber:client'", 1
                        ),
                        row.body,
                    )
                    for row in rows
                ),
            )
        database.close()
        return ""

    def configure(self) -> None:
        """Write ejabberd.yml."""
        (self.folder / "ready").unlink(missing_ok=True)
        text = CONFIGURATION.format(
            domain=self.domain,
            certificate=self.certificate,
            address=self.address,
            port=self.port,
            tls_port=self.tls_port,
        )
        profile = self.profile
        if profile.archive:
            text += ARCHIVE
        if profile.management:
            text += MANAGEMENT
        if profile.offline:
            kind = "sql" if profile.sql else "mnesia"
            text += OFFLINE.format(kind=kind)
        if profile.room_archive:
            text += ARCHIVE
        if profile.rooms:
            text += ROOMS.format(archived=str(profile.room_archive).lower())
        if profile.nodes:
            text += NODES
        if profile.archive or profile.room_archive or profile.sql:
            text = SQL.format(database=self.database) + text
        (self.folder / "ejabberd.yml").write_text(text)

    def command(self) -> list[str]:
        """Return the command: what ejabberdctl foreground runs, without a node name."""
        return [
            "erl",
            *FLAGS,
            "-noinput",
            "-mnesia",
            "dir",
            f'"{self.folder}/mnesia"',
            "-s",
            "ejabberd",
            "-eval",
            LOAD.format(folder=self.folder),
        ]

    def environment(self) -> dict[str, str]:
        """Return what ejabberdctl exports."""
        return {
            **os.environ,
            "HOME": str(self.folder),
            "EJABBERD_CONFIG_PATH": str(self.folder / "ejabberd.yml"),
            "EJABBERD_LOG_PATH": str(self.folder / "ejabberd.log"),
            "ERL_CRASH_DUMP_BYTES": "0",
            "ERL_LIBS": str(libraries()),
            "ERL_MAX_PORTS": "32000",
            "ERL_MAX_ETS_TABLES": "1400",
        }

    def ready(self) -> bool:
        """Say whether the accounts are there."""
        return (self.folder / "ready").exists()


def libraries() -> Path | None:
    """Return the folder of ejabberd's Erlang libraries."""
    found = next(Path("/usr/lib").glob("*/ejabberd-*/ebin/ejabberd.beam"), None)
    return None if found is None else found.parents[2]
