"""How a server ends by a command: at a time that was announced, and perhaps to begin again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

if TYPE_CHECKING:
    from imsuite.app.server import Server

SOON = 0.2  # seconds in which the answer to the command goes out
AGAIN = 75  # exit status of a program that wants to be started again: EX_TEMPFAIL of sysexits.h


class Leaving(Service):
    """Ends a server once.

    end: of the program that the server is, called with whether it is to begin again; None where
    the server is a part of another program.
    """

    log: ClassVar[Logger] = Logger()

    def __init__(self, server: Server) -> None:
        self.setName("leaving")
        self._server = server
        self._call: IDelayedCall | None = None
        self.end: Callable[[bool], object] | None = None

    @property
    def due(self) -> bool:
        """The server is about to end."""
        return self._call is not None

    def begin(self, seconds: float, again: bool) -> None:
        """End the server after a time; what was said before about its end does not count."""
        self.cancel()
        wait = max(SOON, seconds)
        self._call = self._server.reactor.callLater(wait, self._leave, again)
        self.log.warn(
            "the server will {what} in {seconds} seconds",
            what="restart" if again else "stop",
            seconds=round(wait),
        )

    def cancel(self) -> None:
        """Go on."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _leave(self, again: bool) -> None:
        self._call = None
        if self.end is not None:
            self.end(again)
        else:
            self._server.stopService()

    def stopService(self) -> None:
        """The server stops already."""
        super().stopService()
        self.cancel()
