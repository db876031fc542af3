"""A service whose children start in order and stop in reverse, one at a time."""

from __future__ import annotations

from collections.abc import Awaitable

from twisted.application.service import IService, MultiService, Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from imsuite.xmpp.errors import ImsuiteError


class OrderedService(MultiService):
    """MultiService stops all its children at once; here each waits for the one after it."""

    log = Logger()

    def startService(self) -> None:
        """Start the children, first to last."""
        Service.startService(self)
        for service in self:
            service.startService()

    def stopService(self) -> Deferred[None]:
        """Stop the children, last to first; fires when the first has stopped."""
        Service.stopService(self)
        return Deferred.fromCoroutine(self._stop(list(self)[::-1]))

    async def _stop(self, services: list[IService]) -> None:
        for service in services:
            try:
                done = service.stopService()
                if isinstance(done, Awaitable):
                    await done
            except ImsuiteError as why:  # foreseen: such as a store that is gone
                self.log.error(
                    "{service} did not stop well: {why}", service=service.name, why=str(why)
                )
            except Exception:
                self.log.failure("{service} did not stop well", service=service.name)
