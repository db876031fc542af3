"""IQ requests that a host itself sends, and who waits for their answers (RFC 6120 §8.2.3)."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import JID
from imsuite.xmpp.errors import CONDITIONS, ImsuiteError, StanzaError
from imsuite.xmpp.stanza import Stanza

if TYPE_CHECKING:
    from imsuite.core.host import Host

_MOST = 10_000  # requests that may be open at once


class NoAnswer(ImsuiteError):
    """Nobody answered in time."""

    condition = "remote-server-timeout"


class Requests:
    """The open requests of a host."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._open: dict[tuple[str, str], tuple[Deferred[Stanza], IDelayedCall]] = {}

    async def ask(self, request: Stanza, timeout: float = 30.0) -> Stanza:
        """Send an IQ get or set and return the result.

        timeout: seconds. Raises StanzaError with the condition of an error that came back, and
        NoAnswer when nothing came.
        """
        if len(self._open) >= _MOST:
            raise StanzaError("resource-constraint")
        id = secrets.token_hex(8)
        request = request.amended({"id": id})
        to = request.attrs["to"]
        waiting: Deferred[Stanza] = Deferred()
        call = self._host.clock.callLater(timeout, self._expire, to, id)
        self._open[to, id] = waiting, call
        self._host.send(request)
        return await waiting

    def settle(self, answer: Stanza, sender: JID) -> None:
        """Take an IQ result or error; one that nobody asked that address for is ignored."""
        found = self._open.pop((str(sender), answer.attrs.get("id", "")), None)
        if found is None:
            return
        waiting, call = found
        call.cancel()
        if answer.attrs.get("type") == "error":
            waiting.errback(_raised(answer))
        else:
            waiting.callback(answer)

    def refused(self, request: Stanza, why: StanzaError) -> None:
        """Know that a stanza could not be delivered; if it is an open request, it ends so."""
        found = self._open.pop((request.to or "", request.id or ""), None)
        if found is not None:
            found[1].cancel()
            found[0].errback(why)

    def _expire(self, to: str, id: str) -> None:
        waiting, _ = self._open.pop((to, id))
        waiting.errback(NoAnswer(to))

    def stop(self) -> None:
        """Give up all open requests."""
        given_up, self._open = self._open, {}
        for waiting, call in given_up.values():
            call.cancel()
            waiting.errback(NoAnswer("the server stops"))


def _raised(answer: Stanza) -> StanzaError:
    """Return the StanzaError that an error stanza carries."""
    found = answer.child(NS.CLIENT, "error")
    if found is not None:
        for node in found.elements():
            if node.uri == NS.STANZAS and node.name in CONDITIONS:
                return StanzaError(node.name)
    return StanzaError("undefined-condition")
