"""Wokkel's subprotocols on a domain of this server, run unchanged in process.

A handler (wokkel's IXMPPHandler, and IDisco if it has it) sees the stanzas of its domain on one
end of a pipe; the other end is the router.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any, ClassVar

import imsuite._compat  # isort: skip
import wokkel.generic
import wokkel.muc
import wokkel.pubsub
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.words.protocols.jabber import error as jabber_error
from twisted.words.protocols.jabber import jid as jabber_jid
from twisted.words.protocols.jabber.xmlstream import TimeoutError
from twisted.words.xish.domish import Element
from wokkel.disco import DiscoHandler
from wokkel.generic import FallbackHandler

from imsuite.core.hooks import Passing
from imsuite.core.host import Host
from imsuite.core.router import Router
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import JID, InvalidAddress, normalised, parse, wokkel_jid
from imsuite.xmpp.build import build
from imsuite.xmpp.errors import Dropped, StanzaError
from imsuite.xmpp.stanza import KINDS, Stanza, error

_component: Any = imsuite._compat.import_quietly("component")
_ANSWERS = frozenset(("result", "error"))
MOST_ASKED = 10_000  # requests of handlers that may be without an answer


class Mount(_component.InternalComponent):  # type: ignore[misc]  # wokkel has no types
    """A domain whose stanzas go to wokkel handlers. It is a Route and a Service.

    host: whose features, errors and clock it borrows; domain: what it serves.
    """

    log: ClassVar[Logger] = Logger()
    timeout = 60.0  # seconds that a handler's request waits for its answer

    def __init__(self, router: Router, host: Host, domain: str) -> None:
        super().__init__(self, domain)
        self.domain = domain
        self.setName(f"service {domain}")
        self._server = router
        self._host = host
        self._clock: IReactorTime = host.clock
        self._sink: Any = None
        self._requests: dict[str, tuple[Deferred[Element], IDelayedCall]] = {}
        self._asked: dict[tuple[str, str], None] = {}  # addresses and ids; the oldest go

    # towards wokkel

    def addRoute(self, domain: str, sink: Any) -> None:
        """Join the router; called by wokkel when the service starts."""
        self._sink = sink
        sink.addObserver("/*", self._from_handlers)
        self._server.services[domain] = self

    def removeRoute(self, domain: str, sink: Any) -> None:
        """Leave the router; called by wokkel when the service stops."""
        sink.removeObserver("/*", self._from_handlers)
        self._sink = None
        self._server.services.pop(domain, None)
        given_up, self._requests = self._requests, {}
        for waiting, call in given_up.values():
            call.cancel()
            waiting.errback(TimeoutError("the service stops"))

    def receive(self, passing: Passing) -> None:
        """Give one stanza to the handlers, as an element of their own."""
        stanza = passing.stanza
        if self._sink is None:
            raise StanzaError("service-unavailable")
        element = build(stanza.raw, stanza.ns)
        element["from"] = str(passing.sender)
        self._give(element)

    def loading(self, jid: JID) -> None:
        """Nothing has to be loaded."""

    def _give(self, element: Element) -> None:
        answer = element.name == "iq" and element.getAttribute("type") in _ANSWERS
        if answer:
            # who waits for answers knows them by their ids only, which can be guessed
            key = _request_of(element, "from")
            if key not in self._asked:
                return
            del self._asked[key]
        if not (answer and self._settle(element)) and self._sink is not None:
            self._sink.send(element)

    def _settle(self, answer: Element) -> bool:
        found = self._requests.pop(answer.getAttribute("id", ""), None)
        if found is None:
            return False
        waiting, call = found
        call.cancel()
        if answer["type"] == "error":
            waiting.errback(jabber_error.exceptionFromStanza(answer))
        else:
            waiting.callback(answer)
        return True

    def request(self, request: Any) -> Deferred[Element]:
        """Send an IQ request of a handler; fires with the answer (wokkel's StreamManager does)."""
        if request.stanzaKind != "iq" or request.stanzaType not in ("get", "set"):
            return fail(ValueError("not a request"))
        element = request.toElement()
        if not request.stanzaID:
            element.addUniqueId()
            request.stanzaID = element["id"]
        id = element["id"]
        waiting: Deferred[Element] = Deferred()
        timeout = getattr(request, "timeout", None) or self.timeout
        self._requests[id] = waiting, self._clock.callLater(timeout, self._expire, id)
        self.send(element)
        return waiting

    def _expire(self, id: str) -> None:
        waiting, _ = self._requests.pop(id)
        waiting.errback(TimeoutError("IQ timed out"))

    # towards the router

    def _from_handlers(self, element: Element) -> None:
        """Route what a handler sent; a refusal comes back to the handlers."""
        if element.name not in KINDS:
            return
        if not element.hasAttribute("from"):
            element["from"] = self.domain
        if element.name == "iq" and element.getAttribute("type") not in _ANSWERS:
            self._asked[_request_of(element, "to")] = None
            if len(self._asked) > MOST_ASKED:
                del self._asked[next(iter(self._asked))]
        stanza = Stanza.of(element)
        self._host.spawn(self._route(stanza))

    async def _route(self, stanza: Stanza) -> None:
        try:
            sender = parse(stanza.attrs["from"])
            if sender.domain != self.domain:
                raise StanzaError("not-allowed", text="from is not of this service")
            if "to" not in stanza.attrs:
                raise StanzaError("bad-request", text="there is no to")
            passing = Passing(stanza, None, sender)  # type: ignore[arg-type]  # no account
            later = self._server.route(passing)
            if later is not None:
                await passing.wait(later)
            passing.complete()
        except Dropped:
            pass
        except StanzaError as why:
            if stanza.type not in _ANSWERS:
                self._give(build(error(stanza, why).raw, NS.CLIENT))


def mount(router: Router, host: Host, domain: str, handlers: Iterable[Any]) -> Mount:
    """Return a service that runs these handlers on a domain.

    Disco and the answer to unknown requests are added where no handler brings them.
    """
    made = Mount(router, host, domain)
    chosen = list(handlers)
    if not any(isinstance(handler, DiscoHandler) for handler in chosen):
        chosen.append(DiscoHandler())
    chosen.append(FallbackHandler())
    for handler in chosen:
        handler.setHandlerParent(made)
    return made


def _request_of(element: Element, address: str) -> tuple[str, str]:
    """Return what a request and its answer have in common. address: "to" or "from"."""
    asked = normalised(element.getAttribute(address)) or ""
    return asked, element.getAttribute("id", "")


def _prepared(text: str) -> jabber_jid.JID:
    try:
        return wokkel_jid(parse(text))
    except InvalidAddress as why:
        raise jabber_jid.InvalidFormat(str(why)) from None


def _lend_addresses() -> None:
    """Let wokkel prepare addresses by PRECIS and forget them again.

    COMPAT(wokkel 18.0.0): it asks Twisted's internJID, which refuses emoji and keeps what any
    stranger sends for ever.
    """
    lent = ModuleType(jabber_jid.__name__, jabber_jid.__doc__)
    lent.__dict__.update(jabber_jid.__dict__)
    lent.__dict__["internJID"] = _prepared
    for module in (wokkel.generic, wokkel.muc, wokkel.pubsub):
        module.jid = lent


_lend_addresses()
