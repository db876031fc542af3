"""What `imsuitectl check` looks at. It changes nothing, whether or not the server runs."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import attrs

from imsuite.app.config import Config, ListenAddress
from imsuite.app.offline import Turns
from imsuite.app.server import Server
from imsuite.store import schema
from imsuite.store.dialect import Dialect, StoreError
from imsuite.store.pool import dialect
from imsuite.store.sqlite import Sqlite
from imsuite.streams.certificates import CertificateError, load, own_path
from imsuite.streams.listeners import ADVICE
from imsuite.xmpp.errors import ImsuiteError

OK, WARNING, PROBLEM = "ok", "warning", "problem"
COLUMNS = ("what", "status", "detail")
SOON = 21  # days before its end that a certificate is worth a warning
DAY = 86400  # seconds


@attrs.frozen
class Finding:
    """What was found of one thing. status: OK, WARNING or PROBLEM."""

    what: str
    status: str
    detail: str

    @property
    def row(self) -> tuple[str, str, str]:
        """The values for COLUMNS."""
        return self.what, self.status, self.detail


def configuration(config: Config) -> Iterator[Finding]:
    """Look at the configuration: that it was read, and that its features go together."""
    name = config.file or "no file, so the defaults"
    try:
        # only makes what listens and stores, and starts none of it
        Server(config, Turns()).make_hosts()
    except ImsuiteError as why:
        yield Finding("configuration", PROBLEM, str(why))
    else:
        yield Finding("configuration", OK, f"{name}; hosts {', '.join(config.hosts)}")


def directory(config: Config) -> Iterator[Finding]:
    """Look at the data directory."""
    what, path = "data directory", config.directory
    try:
        found = os.stat(path)
    except FileNotFoundError:
        yield Finding(what, OK, f"{path} is made at the first start ({config.directory_why})")
        return
    except OSError as why:
        yield Finding(what, PROBLEM, f"{path}: {why.strerror}")
        return
    if not os.path.isdir(path):
        yield Finding(what, PROBLEM, f"{path} is not a directory")
    elif not os.access(path, os.W_OK | os.X_OK):
        yield Finding(what, PROBLEM, f"{path} cannot be written by user {os.geteuid()}")
    elif found.st_mode & 0o077:
        mode = f"{found.st_mode & 0o777:04o}"
        yield Finding(what, WARNING, f"{path} is open to others (mode {mode}); chmod 700 it")
    else:
        yield Finding(what, OK, path)


def certificates(config: Config) -> Iterator[Finding]:
    """Look at the certificate of each host."""
    now = time.time()
    folder = os.path.join(config.directory, "certificates")
    for domain, options in config.hosts.items():
        what = f"certificate {domain}"
        try:
            if options.certificate is not None:
                found = load(domain, options.certificate, options.key, now=now)
            elif own_path(domain, folder).exists():
                found = load(domain, own_path(domain, folder), now=now)
            else:
                yield Finding(what, OK, "is made at the start, and signed by itself")
                continue
        except CertificateError as why:
            yield Finding(what, PROBLEM, str(why))
            continue
        days = int((found.expires - now) // DAY)
        names = ", ".join(sorted(found.names))
        detail = f"{found.file} is for {names}; it expires in {days} days"
        ends = options.certificate is not None and days < SOON  # our own are made anew in time
        yield Finding(what, WARNING if ends else OK, detail)


def ports(config: Config, held: Collection[str]) -> Iterator[Finding]:
    """Look at the addresses to listen on. held: those of the server that runs, as it has them."""
    for address in config.server.addresses:
        if str(address) in held:
            yield Finding(f"port {address}", OK, "held by the running server")
            continue
        try:
            _bind(address)
        except OSError as why:
            advice = ADVICE.get(why.errno or 0, str(why.strerror))
            yield Finding(f"port {address}", PROBLEM, advice)
        else:
            yield Finding(f"port {address}", OK, "free")


def _bind(address: ListenAddress) -> None:
    """Take an address for a moment, without listening. Raises OSError."""
    if address.interface:
        families = [
            (socket.AF_INET6 if ":" in address.interface else socket.AF_INET, address.interface)
        ]
    else:
        families = [(socket.AF_INET6, "::"), (socket.AF_INET, "0.0.0.0")]  # noqa: S104 # all
    for family, interface in families:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                probe.bind((interface, address.port))
            except OSError as why:
                absent = why.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
                if not (absent and family == socket.AF_INET6 and not address.interface):
                    raise


def database(config: Config, process: int | None) -> Iterator[Finding]:
    """Look at the database: who has it, its version, whether it is whole.

    process: the number of the server that runs, or None.
    """
    what = "database"
    try:
        found = dialect(config.store, 0)
        if isinstance(found, Sqlite) and (found.path is None or not Path(found.path).exists()):
            where = (
                "in memory" if found.path is None else f"{found.path} is made at the first start"
            )
            yield Finding(what, OK, where)
            return
        if _tells_password(config):
            advice = "holds the password of the database and can be read by everybody; chmod 640 it"
            yield Finding(what, WARNING, f"{config.file} {advice}")
        yield from (Finding(what, *about) for about in _examined(config, found, process))
    except (StoreError, OSError) as why:
        yield Finding(what, PROBLEM, str(why))


def _tells_password(config: Config) -> bool:
    parts = urlsplit(config.server.store or "")
    if config.file is None or not (parts.password or "password=" in parts.query):
        return False
    return bool(os.stat(config.file).st_mode & 0o004)


def _examined(config: Config, dialect: Dialect, process: int | None) -> Iterator[tuple[str, str]]:
    """Return statuses and details. Raises StoreError."""
    server = Server(config, Turns())
    server.make_hosts()
    connection = dialect.connect(writing=False)
    try:
        holder = dialect.holder(connection)
        if holder is not None and holder not in _ours(process):
            yield PROBLEM, f"{dialect.name} is in use by {holder}"
        cursor = connection.cursor()
        done = schema.applied(cursor, dialect)
        steps = schema.missing(schema.gather(server.tables), done or {}, dialect)
        damage = dialect.damage(connection)
    except Exception as why:
        known = dialect.error(why, writing=False)
        raise known if isinstance(known, StoreError) else StoreError(str(why)) from why
    finally:
        connection.close()
    if damage is not None:
        yield PROBLEM, f"{dialect.name} is damaged: {damage}"
    elif steps:
        yield OK, f"{dialect.name} can be used; {len(steps)} table steps are run at the next start"
    else:
        yield OK, f"{dialect.name} can be used and is up to date"


def _ours(process: int | None) -> tuple[str, str]:
    """Return what the server that runs may call itself."""
    return f"process {process}", f"process {process} on {socket.gethostname()}"
