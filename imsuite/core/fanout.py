"""One stanza for many: what its copies have in common is made once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from imsuite.core.hooks import Passing
from imsuite.core.host import Host
from imsuite.core.record import Record
from imsuite.core.session import Session
from imsuite.rules.traffic import classify
from imsuite.xmpp.address import JID, parse
from imsuite.xmpp.errors import Dropped, StanzaError
from imsuite.xmpp.stanza import Stanza, quoted

Failed = Callable[[str, StanzaError], object]


class Fan:
    """A stanza of this server that goes to many addresses.

    host: that sends it; stanza: with `from` and without `to`; record: what must be durable before
    a copy is sent, None for nothing; failed: called with the address and the error where a copy
    can not be delivered, which may be later. Nobody answers it with an error stanza then.
    """

    __slots__ = (
        "_behind",
        "_failed",
        "_head",
        "_host",
        "_record",
        "_sender",
        "_stanza",
        "_tail",
        "_waits",
    )

    def __init__(
        self,
        host: Host,
        stanza: Stanza,
        record: Record | None = None,
        failed: Failed | None = None,
    ) -> None:
        place = len(stanza.kind) + 1
        self._host = host
        self._stanza = stanza
        self._record = record
        self._failed = failed
        self._sender: JID = parse(stanza.attrs["from"])
        self._head = stanza.raw[:place] + b" to="
        self._tail = stanza.raw[place:]
        self._waits: list[Awaitable[None]] | None = None
        self._behind: Record | None = None  # what is sent after all that is not durable yet
        classify(stanza)  # what it is worth is found out once for all copies

    def send(self, to: str, written: bytes | None = None) -> None:
        """Send a copy.

        to: normalised; written: that as an attribute's value, for who sends there often.
        """
        stanza = self._stanza
        copy = Stanza(
            stanza.kind,
            stanza.ns,
            {**stanza.attrs, "to": to},
            stanza.children,
            self._head + (quoted(to) if written is None else written) + self._tail,
        )
        copy.worth = stanza.worth
        session = self._host.router.sessions.get(to)
        if session is None:
            self._send_away(to, copy)
        else:
            self._deliver(session, copy)

    def _send_away(self, to: str, copy: Stanza) -> None:
        """Send a copy to who has no session here."""
        host = self._host
        jid = parse(to)
        if jid.resource and jid.domain in host.router.hosts:
            if self._failed is not None:
                self._failed(to, StanzaError("recipient-unavailable"))
            return
        failed = None if self._failed is None else partial(self._failed, to)
        record = self._record or self._behind
        if record is None:
            if host.store.settled().called:
                host.send(copy, failed)
                return
            # what was sent there before waits for its commit, and this must not overtake it
            record = self._behind = Record(host, None, host.store.ids)
            record.refused = partial(_send_anyway, record)
        record.after(partial(host.send, copy, failed))

    def _deliver(self, session: Session, copy: Stanza) -> None:
        passing = Passing(copy, session.account, self._sender, None, session)
        passing.record = self._record
        passing.vouched = True
        try:
            later = session.account.host.arrive(passing)
        except Exception as why:
            self._lost(copy.attrs["to"], why)
            return
        if later is not None:
            if self._waits is None:
                self._waits = []
            self._waits.append(self._wait(passing, later))
        elif passing.afterwards or passing.record is not self._record:
            self._complete(passing)

    async def _wait(self, passing: Passing, later: Awaitable[None]) -> None:
        try:
            await later
        except Exception as why:
            self._lost(passing.stanza.attrs["to"], why)
            return
        self._complete(passing)

    def _lost(self, to: str, why: Exception) -> None:
        """Know that a copy did not arrive; the others do all the same."""
        if isinstance(why, Dropped):
            return
        if not isinstance(why, StanzaError):
            self._host.condition(why)  # logs what is nobody's fault there
        elif self._failed is not None:
            self._failed(to, why)

    def _complete(self, passing: Passing) -> None:
        """Let what follows the copy follow the record of all, or have its own."""
        if self._record is None or passing.record is not self._record:
            passing.complete()
        elif passing.afterwards:
            self._record.afterwards += passing.afterwards

    def finished(self) -> Awaitable[None] | None:
        """Return what waits for handlers that wait, None if none does; before the record goes."""
        behind, self._behind = self._behind, None
        if behind is not None:
            self._host.store.append(behind)
        waits, self._waits = self._waits, None
        return None if waits is None else _all(waits)


def _send_anyway(record: Record, why: Exception) -> None:
    """Send what had to wait for others only, though those could not be kept."""
    for function in record.afterwards:
        function()


async def _all(waits: list[Awaitable[None]]) -> None:
    for each in waits:
        await each
