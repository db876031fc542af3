"""Sessions that end, and who waits for it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from imsuite.xmpp.address import JID
from imsuite.xmpp.errors import StreamError

if TYPE_CHECKING:
    from imsuite.core.account import Account
    from imsuite.core.session import Session

_PATIENCE = 10.0  # seconds that who replaces a session waits for what came from that one


class Departures:
    """The sessions of a host that are about to be gone."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._leaving: dict[str, Deferred[None]] = {}  # by full JID: unbinding goes on

    def unbind(self, session: Session) -> Deferred[None]:
        """Take a session out; fires when the features know of it. It has no stream by now."""
        done: Deferred[None] = Deferred()
        self._leaving[session.full] = done
        session.account.host.spawn(self._unbind(session, done))
        return done

    async def _unbind(self, session: Session, done: Deferred[None]) -> None:
        try:
            await session.account.host.unbind(session)
            if session.outbox is not None and len(session.outbox):
                # what is being committed finds another way before somebody takes its place
                await session.account.host.store.settled()
        finally:
            if self._leaving.get(session.full) is done:
                del self._leaving[session.full]
            done.callback(None)

    async def finished(self) -> None:
        """Wait until everybody knows of all sessions that were taken out."""
        while self._leaving:
            await next(iter(self._leaving.values()))

    async def vacate(self, account: Account, jid: JID) -> bool:
        """Wait until no session has that full JID, and everybody knows that it is gone.

        A session that has it is ended (RFC 6120 §7.7.2.2), once what came from it is handled.
        Return whether there was anything to wait for.
        """
        waited = False
        while True:
            leaving = self._leaving.get(jid.full)
            session = account.sessions.get(jid.resource)
            if leaving is None and session is None:
                return waited
            waited = True
            if leaving is not None:
                await leaving
                continue
            assert session is not None
            if session.stream is not None:
                session.stream.conflict(session)
            session.end(StreamError("conflict"))
            handled: Deferred[None] = Deferred()
            late = self._clock.callLater(_PATIENCE, _fire, handled)
            session.finish(partial(_fire, handled))
            await handled
            if late.active():
                late.cancel()
            if account.sessions.get(jid.resource) is session:
                await self.unbind(session)


def _fire(waiting: Deferred[None]) -> None:
    if not waiting.called:
        waiting.callback(None)
