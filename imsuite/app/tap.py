"""`twistd imsuite`: the server under twistd."""

from __future__ import annotations

import signal
import sys
from typing import Any, ClassVar

from twisted.application.service import IService, Service
from twisted.logger import Logger
from twisted.python import usage

from imsuite.app.configuration import load
from imsuite.app.first import first_administrator
from imsuite.app.server import Server, make_server, option_classes
from imsuite.core.config import Config, ConfigError
from imsuite.xmpp.errors import ImsuiteError


class Options(usage.Options):
    """Command line of `twistd imsuite`."""

    synopsis = "[--config FILE]"
    longdesc = "An instant messaging server (XMPP). Without a file it serves localhost."
    optParameters: ClassVar[list[list[Any]]] = [
        ["config", "c", None, "Configuration in TOML; see etc/imsuite.toml."]
    ]


def read_config(file: str | None) -> Config:
    """Return the configuration of a file, or the one without a file. Raises ConfigError."""
    features, tables = option_classes()
    return Config.default(features, tables) if file is None else load(file, features, tables)


def makeService(options: Options) -> IService:  # noqa: N802
    """Return the server (twisted.application.service.ServiceMaker asks for this name)."""
    try:
        config = read_config(options["config"])
    except ConfigError as why:
        raise usage.UsageError(str(why)) from None
    return Program(config, options["config"])


class Program(Service):
    """The server as a program of its own: clear last words, signals, the first account."""

    log: ClassVar[Logger] = Logger()

    def __init__(self, config: Config, file: str | None) -> None:
        self.setName("imsuite")  # type: ignore[no-untyped-call]
        self._file = file
        self.server: Server = make_server(config)

    def startService(self) -> None:  # noqa: N802
        """Start the server, or say in one line why not and exit with 1."""
        super().startService()  # type: ignore[no-untyped-call]
        try:
            self.server.startService()
        except ImsuiteError as why:
            for line in str(why).splitlines():
                print(f"imsuite: {line}", file=sys.stderr)
            sys.stderr.flush()
            raise SystemExit(1) from None
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, self._hang_up)
        host = next(iter(self.server.hosts.values()))
        host.spawn(first_administrator(self.server))

    def stopService(self) -> Any:  # noqa: N802
        """Stop the server; fires when it has."""
        super().stopService()  # type: ignore[no-untyped-call]
        return self.server.stopService()

    def _hang_up(self, number: int, frame: object) -> None:
        self.server.reactor.callFromThread(self.reload)

    def reload(self) -> None:
        """Read the configuration and the certificates again; what is wrong changes nothing."""
        try:
            self.server.reload(read_config(self._file))
        except ImsuiteError as why:
            for line in str(why).splitlines():
                self.log.error("not reloaded: {line}", line=line)
