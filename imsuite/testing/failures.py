"""Exceptions that a server logs while a test runs."""

from __future__ import annotations

from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer


@implementer(ILogObserver)
class Failures:
    """The logged exceptions of this process, from `watch` on until `stop`."""

    def __init__(self) -> None:
        self.events: list[LogEvent] = []

    def __call__(self, event: LogEvent) -> None:
        """Take an event of the log."""
        if "log_failure" in event:
            self.events.append(event)

    def watch(self) -> None:
        """Begin."""
        globalLogPublisher.addObserver(self)

    def stop(self) -> None:
        """Take no more."""
        globalLogPublisher.removeObserver(self)

    def take(self, *expected: type[Exception]) -> list[str]:
        """Return tracebacks of what was logged, except of expected exceptions; then forget it."""
        events, self.events = self.events, []
        return [
            event["log_failure"].getTraceback()
            for event in events
            if event["log_failure"].check(*expected) is None
        ]
