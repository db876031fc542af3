"""The stream of a client (RFC 6120), from its first byte to its last."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, ClassVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from imsuite.core.account import Account
from imsuite.core.host import Host
from imsuite.core.session import Session
from imsuite.rules.stream import Phase, check_header, may_offer, misplaced
from imsuite.rules.throttle import Bucket
from imsuite.streams.ilink import ILink, IReceiver
from imsuite.streams.parser import Header, Reader, StreamEnd
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import JID, InvalidAddress, domainpart
from imsuite.xmpp.errors import StreamError
from imsuite.xmpp.stanza import Stanza, escaped, quoted

if TYPE_CHECKING:
    from imsuite.streams.clients import Clients

_LANG = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8}){0,4}")
_END = b"</stream:stream>"
_RESUMABLE = frozenset(("connection-timeout", "system-shutdown"))  # errors that are no farewell
Item = Header | Stanza | StreamEnd | StreamError


@implementer(IReceiver)
class ClientStream:
    """One client's XML stream over one link.

    phase: how far it has come; host: chosen by the header's "to"; account: once it is
    authenticated; session: once it is bound; seen: when bytes last came, seconds of the clock;
    tries: failed authentications; registered: it made an account (XEP-0077); lang: xml:lang of the
    header; mechanism: what the SASL feature keeps between two steps; sasl: name of the mechanism
    by which it is authenticated; write: sends bytes.
    """

    __slots__ = (
        "_bucket",
        "_busy",
        "_clients",
        "_ended",
        "_header_sent",
        "_held",
        "_logout",
        "_unbound_bytes",
        "account",
        "host",
        "lang",
        "link",
        "mechanism",
        "phase",
        "reader",
        "registered",
        "sasl",
        "seen",
        "session",
        "tries",
        "write",
    )
    log: ClassVar[Logger] = Logger()

    def __init__(self, clients: Clients, link: ILink) -> None:
        self._clients = clients
        self.link = link
        self.write = link.write
        self.reader = Reader(clients.limits_before)
        self.host: Host | None = None
        self.account: Account | None = None
        self.session: Session | None = None
        self.phase = Phase.SECURE if link.secure else Phase.NONE
        self.lang: str | None = None
        self.mechanism: object = None
        self.sasl = ""
        self.tries = 0
        self.registered = False
        self.seen = clients.clock.seconds()
        self._bucket: Bucket | None = None
        self._busy = False
        self._ended = False
        self._header_sent = False
        self._held: list[Item] = []
        self._logout: Callable[[], object] | None = None
        self._unbound_bytes = 0

    def __repr__(self) -> str:
        return f"<ClientStream {self.peer} {self.phase}>"

    @property
    def peer(self) -> str:
        """Address of the client, for the log."""
        return str(self.link.peer)

    @property
    def largest(self) -> int:
        """Largest stanza of the client once the features now offered are negotiated, bytes."""
        clients = self._clients
        later = Phase.AUTHENTICATED in self.phase
        return (clients.limits if later else clients.limits_before).stanza_bytes

    @property
    def secure(self) -> bool:
        """TLS is on."""
        return Phase.SECURE in self.phase

    # the link

    def data_received(self, data: bytes) -> None:
        """Take bytes of the client."""
        if self._ended:
            return
        now = self.seen = self._clients.clock.seconds()
        session = self.session
        if session is None:
            self._unbound_bytes += len(data)
            if self._unbound_bytes > self._clients.options.unbound_bytes:
                self.fail(StreamError("policy-violation", "too much before a resource is bound"))
                return
        elif self._bucket is not None:
            wait = self._bucket.take(now, len(data))
            if wait > 0:
                self.link.pause()
                self._clients.clock.callLater(wait, self._go_on)
        items = self.reader.feed(data)
        if self._busy:
            self._held += items
            return
        if session is not None:
            put = session.put
            for place, item in enumerate(items):
                if item.__class__ is not Stanza or item.ns != NS.CLIENT:
                    self._take(items[place:])
                    break
                put(item)
                if self._ended:
                    break
        elif items:
            self._take(items)

    def secured(self) -> None:
        """TLS is on: what was learned before it is forgotten (RFC 6120 §5.4.3.3)."""
        self.phase |= Phase.SECURE

    def writable(self) -> None:
        """The link takes bytes again."""

    def link_lost(self, reason: str) -> None:
        """The link is gone, and with it the session, unless it can be resumed."""
        self._finish(resumable=True)
        self._clients.gone()

    def pause(self) -> None:
        """Stop reading."""
        self.link.pause()

    def resume(self) -> None:
        """Go on reading."""
        if not self._ended:
            self.link.resume()

    def _go_on(self) -> None:
        session = self.session
        if not self._ended and not self._busy and not (session is not None and session.held):
            self.link.resume()

    # what the reader found

    def _take(self, items: list[Item]) -> None:
        """Handle what came, one after the other, until something must wait or the stream ends."""
        held = self._held = items
        while held and not self._busy and not self._ended:
            item = held.pop(0)
            if isinstance(item, Stanza):
                self._element(item)
            elif isinstance(item, Header):
                self._header(item)
            elif isinstance(item, StreamError):
                self.fail(item)
            else:
                self.close()

    def _header(self, header: Header) -> None:
        hosts = self._clients.router.hosts
        domain = header.attrs.get("to")
        if domain is not None and domain not in hosts:
            try:
                domain = domainpart(domain)
            except InvalidAddress:
                domain = None
        lang = header.attrs.get("xml:lang", "")
        self.lang = lang if _LANG.fullmatch(lang) else None
        try:
            check_header(header.ns, header.attrs, NS.CLIENT, domain, hosts)
            host = hosts[domain] if domain is not None else next(iter(hosts.values()))
            if self.account is not None and host is not self.host:
                raise StreamError("host-unknown", "authenticated at another host")
        except StreamError as why:
            self.fail(why)
            return
        self.host = host
        self._send_header(header.attrs.get("from"))
        self.send_features()

    def _send_header(self, client: str | None = None) -> None:
        """Send our header (RFC 6120 §4.7), with a new id that nobody can guess."""
        host = self.host or self._clients.default_host
        to = b"" if client is None or len(client) > 3071 else b" to=" + quoted(client)
        self.write(
            b"<?xml version='1.0'?><stream:stream xmlns='jabber:client'"
            b" xmlns:stream='http://etherx.jabber.org/streams' id='%s' from=%s%s"
            b" version='1.0' xml:lang='en'>"
            % (secrets.token_hex(12).encode(), quoted(host.domain), to)
        )
        self._header_sent = True

    def send_features(self) -> None:
        """Send the features that may be negotiated now (RFC 6120 §4.3.2)."""
        assert self.host is not None
        offers = (
            feature.offer(self)
            for feature in self.host.stream_features
            if may_offer(feature.needs, feature.forbids, self.phase)
        )
        parts = b"".join(offer for offer in offers if offer is not None)
        self.write(b"<stream:features>%s</stream:features>" % parts)

    def _element(self, element: Stanza) -> None:
        """Give an element to the session or to the feature that negotiates it."""
        if self.session is not None and element.ns == NS.CLIENT:
            self.session.put(element)
            return
        assert self.host is not None
        method = self.host.negotiator(f"{element.ns}}}{element.kind}", self.phase)
        if method is None:
            self.fail(misplaced(element.ns, self.phase))
            return
        try:
            later = method(self, element)
        except StreamError as why:
            self.fail(why)
            return
        except Exception:
            self.log.failure("{host}: a negotiation failed", host=self.host.domain)
            self.fail(StreamError("internal-server-error"))
            return
        if later is not None:
            self._busy = True
            self.link.pause()
            Deferred.fromCoroutine(self._negotiate(later))

    async def _negotiate(self, later: Awaitable[None]) -> None:
        """Wait for a step of the negotiation, then go on with what came meanwhile."""
        try:
            await later
        except StreamError as why:
            self.fail(why)
        except Exception:
            self.log.failure("{peer}: a negotiation failed", peer=self.peer)
            self.fail(StreamError("internal-server-error"))
        self._busy = False
        if self._ended:
            return
        self._take(self._held)
        if not self._busy and not self._ended:
            self.link.resume()

    # for the features that negotiate

    def only_then(self) -> bool:
        """Tell whether nothing came after the element now being negotiated (RFC 6120 §5.3.1)."""
        return not self.reader.pending and not self._held

    @property
    def congested(self) -> bool:
        """The client reads slowly: what is written now has to wait."""
        return bool(self.link.congested)

    def start_tls(self) -> None:
        """Begin TLS; the client opens a new stream inside."""
        assert self.host is not None
        self.reader.restart()
        self._header_sent = False
        self.link.start_tls(self._clients.contexts, (), self.host.domain)

    @property
    def ended(self) -> bool:
        """Nothing more is read or written."""
        return self._ended

    def authenticated(self, account: Account, logout: Callable[[], object], sasl: str = "") -> None:
        """Note who the client is; it opens a new stream (RFC 6120 §6.4.6).

        logout: called once, when the stream ends; sasl: name of the mechanism.
        """
        self.account = account
        self.sasl = sasl
        self._logout = logout
        self.phase |= Phase.AUTHENTICATED
        self.mechanism = None
        self.reader.restart()
        self._header_sent = False

    def bound(self, session: Session) -> None:
        """Give the stream its session: stanzas go there from now on."""
        self.session = session
        self.phase |= Phase.BOUND
        self.reader.limits = self._clients.limits
        self._bucket = self._clients.bucket()
        self._clients.settled(self)

    def enter(self, session: Session) -> None:
        """Let the session begin; what comes in waits until the features know of it (BOUND)."""
        session.begin(self._entered(session))

    async def _entered(self, session: Session) -> None:
        try:
            await session.account.host.bind(session)
        except Exception:
            self.log.failure("{session}: binding failed", session=session.full)
            self.fail(StreamError("internal-server-error"))

    async def vacate(self, account: Account, jid: JID) -> bool:
        """Wait until no session has that full JID, as `Departures.vacate` does."""
        return await account.host.departures.vacate(account, jid)

    def conflict(self, session: Session) -> None:
        """End the stream, because another one binds the address of its session."""
        if self.session is session:
            self.session = None
        session.stream = None
        if session.tracker is None:
            session.make_outbox().stall()
        self.fail(StreamError("conflict"))

    # the end

    def fail(self, why: StreamError) -> None:
        """End the stream with an error; our header goes first (RFC 6120 §4.9.1)."""
        if self._ended:
            return
        if not self._header_sent:
            self._send_header()
        text = b""
        if why.text:
            text = b"<text xmlns='%s' xml:lang='en'>%s</text>" % (
                NS.STREAMS.encode(),
                escaped(why.text),
            )
        self.write(
            b"<stream:error><%s xmlns='%s'/>%s%s</stream:error>"
            % (why.condition.encode(), NS.STREAMS.encode(), text, why.app)
        )
        self.close(resumable=why.condition in _RESUMABLE)

    def close(self, resumable: bool = False) -> None:
        """End the stream (RFC 6120 §4.4). resumable: its session may wait for another link."""
        if self._ended:
            return
        if not self._header_sent:
            self._send_header()
        self.write(_END)
        self._finish(resumable)
        self.link.close()

    def _finish(self, resumable: bool) -> None:
        """Let go of everything; the session ends once what came before is handled.

        If it can be resumed (XEP-0198) it goes on without a link.
        """
        if self._ended:
            return
        self._ended = True
        self.reader.close()
        self._held = []
        self._clients.ended(self)
        session, self.session = self.session, None
        if session is not None and resumable and session.tracker is not None:
            session.stream = None
            if session.tracker.detach():
                session = None
        if session is not None:
            session.make_outbox().stall()  # what comes for it now finds another way
            session.finish(lambda: self._unbind(session))
        elif self._logout is not None:
            self._logout()

    def _unbind(self, session: Session) -> None:
        session.stream = None
        session.account.host.departures.unbind(session)
        if self._logout is not None:
            self._logout()
