"""Prosody as installed, and with its generational garbage collector."""

import shutil

import attrs

from benchmarks.scram import stored_keys
from benchmarks.servers.server import Server, package_version

# of what is installed and enabled: what a chat server needs, and what every server here has
MODULES = (
    "roster saslauth tls disco private vcard blocklist ping time version lastactivity uptime "
    "user_account_management posix"
).split()
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
storage = "internal"
ssl = {{ key = "{certificate}"; certificate = "{certificate}"; }}
c2s_direct_tls_ssl = {{ key = "{certificate}"; certificate = "{certificate}"; }}

VirtualHost "{domain}"
"""


@attrs.define(eq=False)
class Prosody(Server):
    """Prosody with the collector's default settings."""

    tuning: str = ""

    @classmethod
    def missing(cls) -> str | None:
        """Return why it cannot run here."""
        return None if shutil.which("prosody") else "prosody is not installed"

    def version(self) -> str:
        """Return the version of the package, with the setting that was changed."""
        return f"Prosody {package_version('prosody')} {self.tuning}".strip()

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
            modules=", ".join(f'"{name}"' for name in MODULES),
            address=self.address,
            port=self.port,
            tls_port=self.tls_port,
            iterations=ITERATIONS,
            certificate=self.certificate,
            domain=self.domain,
        )
        (self.folder / "prosody.cfg.lua").write_text(text)

    def command(self) -> list[str]:
        """Return the command: in the foreground."""
        return ["prosody", "--config", str(self.folder / "prosody.cfg.lua"), "-F"]


@attrs.define(eq=False)
class GenerationalProsody(Prosody):
    """Prosody with Lua's generational collector: what an operator who cares would set."""

    tuning: str = 'gc = { mode = "generational" }'
