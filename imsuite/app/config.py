"""The configuration as values (architecture §9); `imsuite.app.configuration` reads the file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import quote

import attrs

from imsuite.core.options import (
    Check,
    WrongValue,
    each,
    ge,
    le,
    nonempty,
    one_of,
    option,
    path,
    unique,
)
from imsuite.xmpp.address import InvalidAddress, parse
from imsuite.xmpp.errors import ImsuiteError

LISTEN_KINDS = ("c2s", "c2s-tls")
LOG_LEVELS = ("debug", "info", "warn", "error", "critical")
NOTHING: Mapping[str, Any] = MappingProxyType({})


class ConfigError(ImsuiteError):
    """The configuration is wrong. problems: one line each; str() is all of them."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@attrs.frozen
class ListenAddress:
    """Where to listen, and for what."""

    kind: str  # one of LISTEN_KINDS
    interface: str  # an IP address without brackets; "" for all
    port: int  # 0: any that is free

    @classmethod
    def parse(cls, text: str) -> ListenAddress:
        """Return what "kind:port" or "kind:address:port" says. Raises WrongValue."""
        kind, _, rest = text.partition(":")
        interface, _, digits = rest.rpartition(":")
        if kind not in LISTEN_KINDS:
            raise WrongValue(f"must begin with {' or '.join(LISTEN_KINDS)}")
        if not (digits.isascii() and digits.isdecimal() and int(digits) <= 65535):
            raise WrongValue("must end with a port, from 0 to 65535")
        try:
            if interface.startswith("[") and interface.endswith("]"):
                interface = str(IPv6Address(interface[1:-1]))
            elif interface:
                interface = str(IPv4Address(interface))
        except AddressValueError:
            raise WrongValue("must have an IPv4 address or [an IPv6 one] before the port") from None
        return cls(kind, interface, int(digits))

    def __str__(self) -> str:
        host = f"[{self.interface}]" if ":" in self.interface else self.interface
        return ":".join(part for part in (self.kind, host, str(self.port)) if part)


listening = Check(lambda text: str(ListenAddress.parse(text)))


def _bare_address(value: str) -> str:
    try:
        jid = parse(value)
    except InvalidAddress as why:
        raise WrongValue(f"must be an address ({why})") from None
    if not jid.local or jid.resource:
        raise WrongValue("must be the address of an account, name@domain")
    return jid.bare


bare_address = Check(_bare_address)


@attrs.frozen
class ServerOptions:
    """[server]"""

    listen: tuple[str, ...] = option(
        ("c2s:5222", "c2s-tls:5223"),
        "Where clients connect: kind:port, or kind:address:port with IPv6 addresses in brackets. "
        "c2s begins in clear and changes to TLS, c2s-tls is TLS from the first byte.",
        each(listening),
        unique,
        nonempty,
    )
    data: str | None = option(
        None,
        "Directory for the database and for certificates that the server makes. By default "
        "$IMSUITE_DATA, else $STATE_DIRECTORY, else imsuite-data where the server was started, "
        "or imsuite in the user's data directory if nothing can be written there.",
        path,
        example="/var/lib/imsuite",
    )
    store: str | None = option(
        None,
        "The database, as sqlite:///path or postgresql://user:password@host/database; see "
        "docs/postgresql.md. By default imsuite.db in the data directory.",
        nonempty,
        secret=True,
        example="sqlite:///var/lib/imsuite/imsuite.db",
    )
    log_level: str = option(
        "info", "The least level that goes to the log.", one_of(*LOG_LEVELS), live=True
    )
    max_connections: int = option(
        20_000, "Most connections from clients at once.", ge(1), live=True
    )
    max_connections_per_address: int = option(
        500,
        "Most connections at once from one IP address; many people may share one.",
        ge(1),
        live=True,
    )
    drain_seconds: int = option(
        10, "Time that streams have to end when the server stops, seconds.", ge(0), live=True
    )
    explained: int = option(
        1000,
        "How many of the last messages `imsuitectl explain` knows all about. Nothing of what they "
        "say is kept.",
        ge(0),
        le(100_000),
    )

    @property
    def addresses(self) -> tuple[ListenAddress, ...]:
        """Where to listen."""
        return tuple(map(ListenAddress.parse, self.listen))


@attrs.frozen
class PythonName:
    """An object named in the configuration: "package.module.Name", or a table with these words."""

    shorthand: ClassVar[str] = "name"  # the option that a text instead of a table sets

    name: str = option(attrs.NOTHING, "Dotted name of a class, function or object.", nonempty)  # type: ignore[assignment]
    arguments: tuple[Any, ...] = option((), "What it is called with, in order.", secret=True)
    options: Mapping[str, Any] = option(NOTHING, "What it is called with, by name.", secret=True)


@attrs.frozen
class HostOptions:
    """[hosts."DOMAIN"]"""

    certificate: str | None = option(
        None,
        "PEM file with the certificate and its chain. By default one that the server makes and "
        "signs itself.",
        path,
        live=True,
        example="/etc/imsuite/example.org.pem",
    )
    key: str | None = option(
        None,
        "PEM file with the private key. By default it is in the file of the certificate.",
        path,
        live=True,
        example="/etc/imsuite/example.org.key",
    )
    use: tuple[str, ...] = option(
        ("default",),
        'Names of features to switch on. "default" stands for all that are on by default, and '
        "a - in front switches one off again.",
        unique,
        example=("default", "-version"),
    )
    admins: tuple[str, ...] = option(
        (),
        "Addresses that may administer the domain, also of other domains, besides the accounts "
        "that `imsuitectl admin` made administrators.",
        each(bare_address),
        unique,
        live=True,
        example=("romeo@example.net",),
    )
    checkers: tuple[PythonName, ...] = option(
        (PythonName("imsuite"),),
        'Who knows accounts and passwords, asked in this order. "imsuite" is the database; others '
        "are names of objects with twisted.cred's ICredentialsChecker, or of what makes one: "
        '{ name = "package.Checker", arguments = ["/etc/passwords"] }.',
        nonempty,
    )


@attrs.frozen
class ServiceOptions:
    """[services."DOMAIN"]"""

    handlers: tuple[PythonName, ...] = option(
        attrs.NOTHING,  # type: ignore[arg-type]
        "Names of wokkel handlers (XMPPHandler) that answer for the domain.",
        nonempty,
        example=("wokkel.ping.PingHandler",),
    )


def data_directory(environ: Mapping[str, str], here: str) -> tuple[str, str]:
    """Return where to keep data that nobody chose a place for, and why there, in a few words.

    here: the directory the server is started in.
    """
    for variable in ("IMSUITE_DATA", "STATE_DIRECTORY"):
        if environ.get(variable):
            # systemd separates several with colons
            first = environ[variable].split(":")[0] if variable == "STATE_DIRECTORY" else None
            return os.path.join(here, first or environ[variable]), f"${variable} says so"
    beside = os.path.join(here, "imsuite-data")
    if os.access(beside if os.path.isdir(beside) else here, os.W_OK | os.X_OK):
        return beside, "it is where the server was started"
    home = environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return os.path.join(home, "imsuite"), f"{here} cannot be written"


@attrs.frozen
class Config:
    """All that the operator decided.

    hosts, services: by domain, in the order of the file; feature_options: by host, then by
    feature, an instance of the feature's options class; tables: other tables of the file, by
    name; directory: absolute path of the data directory, directory_why: why it is that one.
    """

    server: ServerOptions
    hosts: Mapping[str, HostOptions]
    services: Mapping[str, ServiceOptions]
    feature_options: Mapping[str, Mapping[str, Any]]
    tables: Mapping[str, Any]
    directory: str
    directory_why: str
    file: str | None = None

    @classmethod
    def make(
        cls,
        server: ServerOptions | None = None,
        hosts: Mapping[str, HostOptions] = NOTHING,
        services: Mapping[str, ServiceOptions] = NOTHING,
        feature_options: Mapping[str, Mapping[str, Any]] = NOTHING,
        tables: Mapping[str, Any] = NOTHING,
        file: str | None = None,
    ) -> Config:
        """Return a configuration in which what is not given has its default.

        Without hosts there is one, localhost.
        """
        server = server or ServerOptions()
        directory, why = data_directory(os.environ, os.getcwd())
        if server.data is not None:
            directory, why = server.data, "the configuration says so"
        hosts = hosts or {"localhost": HostOptions()}
        of_features = {host: feature_options.get(host, NOTHING) for host in hosts}
        return cls(server, hosts, services, of_features, tables, directory, why, file)

    @classmethod
    def default(
        cls, features: Mapping[str, type[Any]] = NOTHING, tables: Mapping[str, type[Any]] = NOTHING
    ) -> Config:
        """Return the configuration without a file; arguments as those of `load`."""
        of_features = {"localhost": {word: options() for word, options in features.items()}}
        return cls.make(
            feature_options=of_features,
            tables={name: options() for name, options in tables.items()},
        )

    @property
    def store(self) -> str:
        """URL of the database."""
        return self.server.store or f"sqlite://{quote(self.directory)}/imsuite.db"
