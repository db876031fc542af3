"""IQ requests that a host itself sends, and who waits for their answers (RFC 6120 §8.2.3)."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from imsuite.core.hooks import Passing
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import JID, parse
from imsuite.xmpp.errors import CONDITIONS, Dropped, ImsuiteError, StanzaError
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


def send(
    host: Host, stanza: Stanza, failed: Callable[[StanzaError], object] | None = None
) -> Coroutine[Any, Any, None] | None:
    """Send a stanza that a host made (see `Host.send`); return what is left if it must wait."""
    session = host.router.sessions.get(stanza.attrs.get("to", ""))
    if session is not None and stanza.kind == "iq":
        session.send(stanza)
        return None
    sender = stanza.attrs.get("from", host.domain)
    passing = Passing(stanza, None, parse(sender))  # type: ignore[arg-type] # nobody's account
    try:
        later = host.router.route(passing)
        if later is not None:
            return _send_later(host, passing, later, failed)
        passing.complete()
    except Dropped:
        pass
    except StanzaError as why:
        _refused(host, stanza, why, failed)
    return None


async def _send_later(
    host: Host,
    passing: Passing,
    later: Awaitable[None],
    failed: Callable[[StanzaError], object] | None,
) -> None:
    try:
        await passing.wait(later)
        passing.complete()
    except Dropped:
        pass
    except StanzaError as why:
        _refused(host, passing.stanza, why, failed)


def _refused(
    host: Host,
    stanza: Stanza,
    why: StanzaError,
    failed: Callable[[StanzaError], object] | None,
) -> None:
    host.requests.refused(stanza, why)
    if failed is not None:
        failed(why)


def _raised(answer: Stanza) -> StanzaError:
    """Return the StanzaError that an error stanza carries."""
    found = answer.child(NS.CLIENT, "error")
    if found is not None:
        for node in found.elements():
            if node.uri == NS.STANZAS and node.name in CONDITIONS:
                return StanzaError(node.name)
    return StanzaError("undefined-condition")
