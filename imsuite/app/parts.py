"""The parts of a server as services, in the order in which `app/server.py` lines them up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from imsuite.core import hooks
from imsuite.core.host import Host
from imsuite.store.pool import Store
from imsuite.streams.listeners import Listener
from imsuite.xmpp.errors import ImsuiteError

if TYPE_CHECKING:
    from imsuite.app.server import Server

DAY = 86400  # seconds


class StoreService(Service):
    """Closes the store, last of all."""

    name = "store"

    def __init__(self, store: Store) -> None:
        self._store = store

    def stopService(self) -> Any:
        """Finish what was begun."""
        super().stopService()
        return self._store.close()


class ThreadService(Service):
    """The threads that hash passwords."""

    name = "hashing"

    def __init__(self, threads: ThreadPool) -> None:
        self._threads = threads

    def startService(self) -> None:
        """Start the pool; its threads come when they are needed."""
        super().startService()
        self._threads.start()

    def stopService(self) -> None:
        """Wait for the threads."""
        super().stopService()
        self._threads.stop()


class HostService(Service):
    """Tells the features of a host that it ends; `Server` tells them that it has begun."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.setName(f"host {host.domain}")

    def stopService(self) -> Deferred[None]:
        """Stop the features."""
        super().stopService()
        self._host.requests.stop()
        return Deferred.fromCoroutine(self._host.switch(hooks.STOPPING).tell(self._host))


class ListenerService(Service):
    """Listens, and ends the streams when the server stops."""

    name = "listeners"

    def __init__(self, server: Server) -> None:
        self._server = server

    def startService(self) -> None:
        """Listen. Raises ListenError."""
        super().startService()
        server = self._server
        for address, listener in zip(server.config.server.addresses, server.listeners, strict=True):
            # nobody gets in before the features have begun
            server.ports.append((address.kind, listener.start(accept=False)))

    def stopService(self) -> Deferred[None]:
        """Listen no more, say system-shutdown, and let the streams drain."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop(self._server.listeners))

    async def _stop(self, listeners: Iterable[Listener]) -> None:
        for listener in listeners:
            listener.stop()
        for host in self._server.hosts.values():
            await host.switch(hooks.CLOSING).tell(host)
        clients, hub = self._server.clients, self._server.hub
        if clients is None or hub is None:
            return
        await clients.shutdown(self._server.config.server.drain_seconds)
        hub.stop()
        for host in self._server.hosts.values():
            await host.departures.finished()  # features have things to store about who goes


class RenewalService(Service):
    """Once a day reads the certificates again, renews our own, and changes the ticket keys."""

    name = "renewal"
    log: ClassVar[Logger] = Logger()

    def __init__(self, server: Server) -> None:
        self._server = server
        self._next: IDelayedCall | None = None

    def startService(self) -> None:
        """Begin to count the days."""
        super().startService()
        self._next = self._server.reactor.callLater(DAY, self._renew)

    def stopService(self) -> None:
        """Stop counting."""
        super().stopService()
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _renew(self) -> None:
        self._next = self._server.reactor.callLater(DAY, self._renew)
        server = self._server
        try:
            for domain in server.use_certificates(server.read_certificates(server.config)):
                self.log.info("the certificate of {host} is another one now", host=domain)
        except ImsuiteError as why:
            self.log.error("the certificates stay as they were: {why}", why=str(why))
