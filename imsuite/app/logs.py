"""What goes to the log of twistd, and where: its own choices, and the level of `log_level`.

twistd makes its observer only when the application names none, and does not let it be filtered;
so the one here does what twistd's does (`--logfile`, `--syslog`, rotation at SIGUSR1), filtered.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from typing import Any

from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LegacyLogObserverWrapper,
    LogLevelFilterPredicate,
    textFileLogObserver,
)
from twisted.python.logfile import LogFile


def observer(options: Mapping[str, Any], levels: LogLevelFilterPredicate) -> ILogObserver:
    """Return the observer for the options of twistd, which passes on what the levels allow."""
    return FilteringLogObserver(_unfiltered(options), [levels])


def to_stdout(options: Mapping[str, Any]) -> bool:
    """Tell whether the log goes to standard output."""
    if options.get("syslog") or not options.get("nodaemon"):
        return False
    return options.get("logfile") in (None, "", "-")


def _unfiltered(options: Mapping[str, Any]) -> ILogObserver:
    if options.get("syslog"):
        # not at the top: there is none on Windows
        from twisted.python.syslog import SyslogObserver

        emit: Any = SyslogObserver(options.get("prefix", "")).emit  # not marked as an observer
        return LegacyLogObserverWrapper(emit)
    if to_stdout(options):
        return textFileLogObserver(sys.stdout)
    name = options.get("logfile")
    if name == "-":
        raise SystemExit("imsuite: a daemon has no standard output to log to")
    file = LogFile.fromFullPath(name or "twistd.log")
    if not signal.getsignal(signal.SIGUSR1):  # None, or SIG_DFL, which is 0
        signal.signal(signal.SIGUSR1, lambda number, frame: _rotate(file))
    return textFileLogObserver(file)


def _rotate(file: LogFile) -> None:
    from twisted.internet import reactor

    reactor.callFromThread(file.rotate)  # type: ignore[attr-defined] # it is a module to mypy
