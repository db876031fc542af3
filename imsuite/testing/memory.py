"""A server in memory for tests: real hosts, features and streams; no socket, thread or real time.

    server = MemoryServer()
    romeo = server.login("romeo@example.org/orchard")
    juliet = server.login("juliet@example.org/balcony")
    romeo.says("<message to='juliet@example.org'><body>hi</body></message>")
    assert "hi" in juliet.received[0]

The store answers at once, so whatever a stanza causes has happened when `says` returns. Only
the clock has to be moved by hand: `server.advance(60)`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from imsuite.app.command_desk import CommandDesk
from imsuite.app.config import Config, HostOptions
from imsuite.app.registry import all_features, chosen
from imsuite.app.server import Server, give_login
from imsuite.app.trail import Trail
from imsuite.auth.secrets import SALT, Hasher, make_verifiers
from imsuite.core import hooks, services
from imsuite.core.feature import Feature
from imsuite.core.host import Host
from imsuite.core.router import Router
from imsuite.core.session import Session
from imsuite.store.pool import Store
from imsuite.store.users import TABLES, Users
from imsuite.streams.c2s import ClientStream
from imsuite.streams.clients import Clients, StreamOptions
from imsuite.streams.parser import Header, Limits, Reader
from imsuite.testing.failures import Failures
from imsuite.testing.memory_link import MemoryLink, MemoryTls, NoContexts
from imsuite.xmpp.address import JID, parse
from imsuite.xmpp.errors import StreamError
from imsuite.xmpp.stanza import Stanza, quoted

BEGINNING = 1_767_225_600.0  # seconds since 1970 UTC at which the clock starts: 2026-01-01
SECRET = b"known to everyone"
REMEMBERED = 100  # messages of which `trail` knows what became
ITERATIONS = 1  # of PBKDF2: passwords in memory are in no danger
LIMITS = Limits(stanza_bytes=64 * 1024 * 1024)  # of what a client reads

T = TypeVar("T")


def now(work: Awaitable[T]) -> T:
    """Return the result of something that has it already, or raise its exception.

    Raises AssertionError if it would have to wait.
    """

    async def wait() -> T:
        return await work

    results: list[Any] = []
    Deferred.fromCoroutine(wait()).addBoth(results.append)
    if not results:
        raise AssertionError(f"{work!r} waits, but in memory nothing should")
    if isinstance(results[0], Failure):
        results[0].raiseException()
    result: T = results[0]
    return result


class MemoryServer:
    """Hosts with features, and the client streams to them.

    domains: the first is `host`; features: config words ("default", "-word") or classes of
    features, None for those that are on by default; options: config word → name → value;
    streams: how streams are limited, by default without a limit of rate.
    failures: what was logged meanwhile; a test should leave none behind; tables: of the store;
    trail: of the last messages, as `imsuitectl explain` has it; before: the server that
    was there before a restart, whose store and time go on.
    """

    def __init__(
        self,
        domains: Iterable[str] = ("example.org",),
        features: Iterable[str | type[Feature]] | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        streams: StreamOptions | None = None,
        before: MemoryServer | None = None,
    ) -> None:
        self._made = domains, features, options, streams
        if before is None:
            self.clock = Clock()
            self.clock.rightNow = BEGINNING
            self.store = Store("sqlite:///:memory:", self.clock)
        else:
            self.clock, self.store = before.clock, before.store
        self.failures = Failures()
        self.trail = Trail(self.clock.seconds, REMEMBERED)
        self.router = Router()
        desk = CommandDesk(lambda: self.service)
        self.clients = Clients(
            self.router, NoContexts(), self.clock, streams or StreamOptions(rate=0)
        )
        self._links: list[MemoryLink] = []
        classes = _classes(features)
        for domain in domains:
            users = Users(self.store, domain)
            host = Host(domain, self.store, users, self.clock, self.router)
            self.router.hosts[domain] = host
            host.trail = self.trail
            host.commands = desk
            host.load_features(classes, _options(classes, options or {}))
            services.enter(host)
        tables = dict.fromkeys((*TABLES, *(table for cls in classes for table in cls.tables)))
        self.tables = tuple(tables)
        self.store.open(self.tables)
        self.failures.watch()
        hasher = Hasher(maybeDeferred)
        for host in self.hosts:
            give_login(host, HostOptions(), hasher, SECRET, self.clock, tuple(tables))
            host.registrar.iterations = ITERATIONS
            host.registrar.streams = lambda: self.clients
            now(host.users.load())
            now(host.switch(hooks.STARTED).tell(host))

    @cached_property
    def service(self) -> Server:
        """The server as administration commands see it; it was never started."""
        made = Server(
            Config.make(hosts=dict.fromkeys(self.router.hosts, HostOptions())), self.clock
        )
        made.router, made.store, made.clients = self.router, self.store, self.clients
        made.hosts, made.tables, made.trail = self.router.hosts, self.tables, self.trail
        made.ports = [(each.kind, each.port) for each in made.config.server.addresses]
        made.running = 1
        return made

    @property
    def hosts(self) -> list[Host]:
        """The hosts, in the order of their domains."""
        return list(self.router.hosts.values())

    @property
    def host(self) -> Host:
        """The first host."""
        return self.hosts[0]

    def account(self, jid: str, password: str | None = None, admin: bool = False) -> JID:
        """Make an account, unless there is one; return its bare JID.

        password: None for one that nobody knows; admin: it administers its domain.
        """
        address = parse(jid)
        users = self.router.hosts[address.domain].users
        if not now(users.exists(address.local)):
            verifiers = "-"
            if password is not None:
                verifiers = make_verifiers(password, ITERATIONS, bytes(SALT)).text()
            made = int(self.clock.seconds() * 1_000_000)
            now(users.create(address.local, verifiers, made, admin))
        return address.to_bare()

    def connect(self, tls: MemoryTls | None = None) -> MemoryLink:
        """Return a new link to a client stream that has not heard anything yet.

        tls: given for direct TLS.
        """
        link = MemoryLink(tls)
        link.receiver = self.clients.accept(link)
        self._links.append(link)
        return link

    def login(
        self, jid: str, *, available: bool = True, roster: bool = True, lang: str | None = None
    ) -> MemoryClient:
        """Return a client whose resource is bound; its account is made if it is missing.

        available: it has sent initial presence; roster: it has asked for its roster, and so
        receives pushes. What it received for that is forgotten.
        """
        address = parse(jid)
        self.account(jid)
        host = self.router.hosts[address.domain]
        account = now(host.account(address.local))
        assert account is not None
        link = self.connect(MemoryTls())
        stream = link.receiver
        assert isinstance(stream, ClientStream)
        stream.host = host
        stream.authenticated(account, _nothing)
        client = MemoryClient(self, address, link, stream)
        client.opens(lang)
        if "bind" in host.features:
            client.says(
                "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                f"<resource>{address.resource}</resource></bind></iq>"
            )
        else:
            session = Session(account, address, stream, stream.lang)
            stream.bound(session)
            now(host.bind(session))
        assert stream.session is not None, client.received
        client.jid = stream.session.jid
        if roster:
            client.says("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>")
        if available:
            client.says("<presence/>")
        client.forget()
        return client

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)
        self.settle()

    def settle(self) -> None:
        """Let everything happen that is due now."""
        due = True
        while due:
            self.clock.advance(0)
            for link in list(self._links):
                link.turn()
                if link.reason is not None:
                    self._links.remove(link)
            time = self.clock.seconds()
            due = any(call.getTime() <= time for call in self.clock.getDelayedCalls())

    def stop(self) -> None:
        """End the streams and close the store."""
        self._end()
        now(self.store.close())

    def restart(self) -> MemoryServer:
        """Stop in order; return the server that is started then, on the same store."""
        self._end()
        return MemoryServer(*self._made, before=self)

    def crash(self) -> MemoryServer:
        """Be gone at once, as by kill -9; return the server that is started then."""
        for call in list(self.clock.getDelayedCalls()):
            call.cancel()
        for link in self._links:
            link.reason = "the server is gone"
        self.failures.stop()
        return MemoryServer(*self._made, before=self)

    def _end(self) -> None:
        for host in self.hosts:
            now(host.switch(hooks.CLOSING).tell(host))
        ending = Deferred.fromCoroutine(self.clients.shutdown(0))
        self.settle()
        now(ending)
        for host in self.hosts:
            now(host.switch(hooks.STOPPING).tell(host))
            host.requests.stop()
        self.failures.stop()


class MemoryClient:
    """A client that is logged in.

    jid: its full JID; header: of the server's stream; link, stream: what it talks through.
    """

    def __init__(
        self, server: MemoryServer, jid: JID, link: MemoryLink, stream: ClientStream
    ) -> None:
        self.server = server
        self.jid = jid
        self.link = link
        self.stream = stream
        self.header: Header | None = None
        self._stanzas: list[Stanza] = []
        self._received: list[str] = []
        self._reader = Reader(LIMITS)

    def __repr__(self) -> str:
        return f"<MemoryClient {self.jid}>"

    @property
    def received(self) -> list[str]:
        """What it received, each stanza as the server wrote it; may be cleared."""
        self._read()
        return self._received

    @property
    def stanzas(self) -> list[Stanza]:
        """What it received, as stanzas; cleared by `forget`."""
        self._read()
        return self._stanzas

    @property
    def session(self) -> Session:
        """Its session on the server."""
        session = self.stream.session
        assert session is not None, f"{self.jid} has no session any more"
        return session

    @property
    def gone(self) -> bool:
        """Whether its link is closed."""
        self._read()
        return self.link.closed

    def opens(self, lang: str | None = None) -> None:
        """Begin a new stream on its link."""
        self._reader.restart()
        attribute = b"" if lang is None else b" xml:lang=" + quoted(lang)
        self.says(
            b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' version='1.0'"
            b" xmlns:stream='http://etherx.jabber.org/streams' to=%s%s>"
            % (quoted(self.jid.domain), attribute)
        )

    def says(self, xml: str | bytes) -> list[str]:
        """Send a stanza, or anything; return what it received as a consequence."""
        before = len(self.received)
        self.link.put(xml.encode() if isinstance(xml, str) else xml)
        return self.received[before:]

    def forget(self) -> None:
        """Clear what it received."""
        self._read()
        self._received.clear()
        self._stanzas.clear()

    def closes(self) -> None:
        """Say good-bye (RFC 6120 §4.4)."""
        self.says("</stream:stream>")

    def vanishes(self) -> None:
        """Lose the connection without a word."""
        self.link.lose()
        self.server.settle()

    def _read(self) -> None:
        self.server.settle()
        for item in self._reader.feed(self.link.take()):
            if isinstance(item, Stanza):
                self._stanzas.append(item)
                self._received.append(item.raw.decode())
            elif isinstance(item, Header):
                self.header = item
            elif isinstance(item, StreamError):
                raise AssertionError(f"{self.jid} cannot read what the server sent: {item}")


def befriend(one: MemoryClient, other: MemoryClient) -> None:
    """Let both subscribe to each other's presence; what they receive for it is forgotten."""
    make_friends(one.says, str(one.jid.bare), other.says, str(other.jid.bare))
    one.forget()
    other.forget()


def make_friends(
    one: Callable[[str], object], one_jid: str, other: Callable[[str], object], other_jid: str
) -> None:
    """Go through the handshake of RFC 6121 §3.1 in both directions.

    one, other: send a stanza; one_jid, other_jid: bare.
    """
    one(f"<presence type='subscribe' to='{other_jid}'/>")
    other(f"<presence type='subscribed' to='{one_jid}'/>")
    other(f"<presence type='subscribe' to='{one_jid}'/>")
    one(f"<presence type='subscribed' to='{other_jid}'/>")


def _nothing() -> None:
    """A stream that never authenticated has nothing to take back."""


def _classes(features: Iterable[str | type[Feature]] | None) -> list[type[Feature]]:
    if features is None:
        return chosen(["default"])
    wanted = list(features)
    words = [each for each in wanted if isinstance(each, str)]
    given = [each for each in wanted if not isinstance(each, str)]
    return [*(chosen(words) if words else ()), *given]


def _options(
    classes: Iterable[type[Feature]], given: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the options of features, each an instance of its attrs class."""
    known = {cls.word(): cls for cls in classes}
    unknown = sorted(set(given) - set(known))
    assert not unknown, f"options of features that are off: {unknown}; there are {all_features()}"
    return {word: known[word].options_class()(**values) for word, values in given.items()}
