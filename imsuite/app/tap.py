"""`twistd imsuite`: the server under twistd."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any, ClassVar

from twisted.application.service import IService, IServiceCollection, Service
from twisted.logger import ILogObserver, Logger, LogLevelFilterPredicate
from twisted.python import usage

from imsuite.app import logs
from imsuite.app.config import Config
from imsuite.app.configuration import load
from imsuite.app.first import first_administrator, is_seen
from imsuite.app.leaving import AGAIN
from imsuite.app.reloading import set_level
from imsuite.app.server import Server, make_server, option_classes
from imsuite.xmpp.errors import ImsuiteError

THRESHOLDS = (10_000, 20, 100)  # of the garbage collector, new objects and collections


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
    if file is None:
        return Config.default(features, tables)
    # twistd may change the directory before the file is read again
    return load(os.path.abspath(file), features, tables)


def makeService(options: Options) -> IService:
    """Return the server (twisted.application.service.ServiceMaker asks for this name).

    What is wrong with its configuration goes to standard error, one line for each mistake, and
    the process exits with 1.
    """
    _choose_reactor()
    try:
        return Program(read_config(options["config"]), options.parent)
    except ImsuiteError as why:
        _tell(why)
        raise SystemExit(1) from None


def _choose_reactor() -> None:
    """Install the reactor that suits links best, where there is none yet (twistd --reactor)."""
    if "twisted.internet.reactor" not in sys.modules:
        try:
            from imsuite.streams import reactor
        except ImportError:
            return  # this system has no epoll: Twisted knows what to take
        reactor.install()


def _settle_memory() -> None:
    """Let the garbage collector leave alone what has been loaded, and look less often.

    What ends with a connection is freed without it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


def _tell(why: ImsuiteError) -> None:
    """Say what is wrong, not through sys.stderr, which twistd makes a part of the log."""
    for line in str(why).splitlines():
        print(f"imsuite: {line}", file=sys.__stderr__, flush=True)


def _exit_again() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(AGAIN)


class Program(Service):
    """The server as a program of its own: clear last words, signals, the first account.

    twistd: its command line, which says where the log goes.
    """

    log: ClassVar[Logger] = Logger()

    def __init__(self, config: Config, twistd: Mapping[str, Any] | None = None) -> None:
        self.setName("imsuite")
        self._twistd = twistd
        self.server: Server = make_server(config)
        self.server.leaving.end = self._end
        self._levels = self.server.levels = LogLevelFilterPredicate()
        set_level(self._levels, config)

    def setServiceParent(self, parent: IServiceCollection) -> None:
        """Become part of the application, and see to its log."""
        super().setServiceParent(parent)
        if self._twistd is not None and hasattr(parent, "setComponent"):
            observer = logs.observer(self._twistd, self._levels)
            parent.setComponent(ILogObserver, observer)

    def startService(self) -> None:
        """Start the server, or say in one line why not and exit with 1."""
        super().startService()
        try:
            self.server.startService()
        except ImsuiteError as why:
            self._give_up(why)
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, self._hang_up)
        host = next(iter(self.server.hosts.values()))
        host.spawn(first_administrator(self.server))
        _settle_memory()

    def _give_up(self, why: ImsuiteError) -> None:
        seen = is_seen(sys.__stderr__)
        if not seen or not logs.to_stdout(self._twistd or {}):
            for line in str(why).splitlines():
                self.log.critical("not started: {line}", line=line)
        if not seen:
            # a daemon: twistd's first process waits to be told, and shows 100 bytes of this
            raise RuntimeError(str(why)) from None
        _tell(why)
        raise SystemExit(1) from None

    def stopService(self) -> Any:
        """Stop the server; fires when it has."""
        super().stopService()
        return self.server.stopService()

    def _end(self, again: bool) -> None:
        """End the process in order; its exit status asks its supervisor to start it again."""
        if again:
            # twistd has no exit status of its own for this; last begun, so first of what runs then
            atexit.register(_exit_again)
        self.server.reactor.stop()

    def _hang_up(self, number: int, frame: object) -> None:
        self.server.reactor.callFromThread(self.reload)

    def reload(self) -> None:
        """Read the configuration and the certificates again; what is wrong changes nothing."""
        try:
            self.server.reload()
        except ImsuiteError as why:
            for line in str(why).splitlines():
                self.log.error("not reloaded: {line}", line=line)
