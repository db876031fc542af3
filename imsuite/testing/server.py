"""A whole server on free ports of this machine, for tests of whatever talks to one.

    with serve() as server:
        romeo = server.account("romeo")
        client = slixmpp.ClientXMPP(romeo.jid, romeo.password)
        client.connect(server.host, server.port)

It runs on a reactor of its own in a thread, so that tests may use asyncio, blocking sockets, or
Twisted's own reactor. The thread starts with the first server and ends with the process, or with
`stop_thread`. Nothing is left on the disk.
"""

from __future__ import annotations

import atexit
import re
import secrets
import ssl
import tempfile
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.threads import blockingCallFromThread

from imsuite.app.config import Config, HostOptions, ServerOptions
from imsuite.app.registry import all_features
from imsuite.app.server import Server, make_server
from imsuite.streams.clients import StreamOptions
from imsuite.testing.failures import Failures
from imsuite.testing.pipes import TCPPipe, start_tls
from imsuite.xmpp.address import parse

INTERFACE = "127.0.0.1"
ITERATIONS = 4096  # of PBKDF2: the least that RFC 7677 §4 allows, because clients look
SETTLING = 3  # turns of the reactor after which what was sent before has been handled
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", re.DOTALL)

T = TypeVar("T")


@attrs.frozen
class TestAccount:
    """An account on a server for tests. jid: bare."""

    __test__ = False  # what begins with Test looks like tests to pytest

    jid: str
    password: str


class TestServer:
    """A running server.

    host, port: where clients connect (STARTTLS); tls_port: with TLS from the first byte; domain:
    the first of `domains`; ca_file: path of a PEM file with the certificates to trust; service:
    the server itself, which belongs to its thread; failures: what was logged meanwhile.
    """

    __test__ = False
    patient = True

    def __init__(self, service: Server, domains: list[str], directory: Path) -> None:
        self.service = service
        self.domains = domains
        self.domain = domains[0]
        self.host = INTERFACE
        ports = dict(service.ports)
        self.port: int = ports["c2s"]
        self.tls_port: int = ports["c2s-tls"]
        self.ca_file = str(directory / "trusted.pem")
        self.failures = Failures()

    def __repr__(self) -> str:
        return f"<TestServer {self.domain} on {self.host}:{self.port}>"

    def account(self, name: str, password: str | None = None, admin: bool = False) -> TestAccount:
        """Make an account. name: its localpart on the first domain, or its bare JID.

        admin: it administers its domain. Raises AccountExists.
        """
        jid = parse(name if "@" in name else f"{name}@{self.domain}")
        password = secrets.token_urlsafe(12) if password is None else password
        registrar = self.service.hosts[jid.domain].registrar
        self.run(registrar.create, jid.local, password, admin)
        return TestAccount(jid.bare, password)

    def ssl_context(self) -> ssl.SSLContext:
        """Return a context for clients that trusts this server and checks its name."""
        return ssl.create_default_context(cafile=self.ca_file)

    def run(self, function: Callable[..., Coroutine[Any, Any, T]], *args: object) -> T:
        """Return the result of a coroutine function, run in the server's thread."""
        result: T = _call(lambda: Deferred.fromCoroutine(function(*args)))
        return result

    # a Stage, for dialogues

    def add_account(self, bare: str, password: str, admin: bool = False) -> None:
        """Make an account."""
        self.account(bare, password, admin)

    def connect(self, domain: str, secure: bool) -> TCPPipe:
        """Return a new connection, secured by STARTTLS if wanted."""
        pipe = TCPPipe(self.host, self.port, domain, self.ssl_context())
        if secure:
            start_tls(pipe, domain)
        return pipe

    def settle(self) -> None:
        """Let the server handle what it has received."""
        for _ in range(SETTLING):
            _call(lambda: None)


@contextmanager
def serve(
    domain: str | Iterable[str] = "example.org",
    features: Mapping[str, Mapping[str, Any]] | Iterable[str] = (),
    use: Iterable[str] = ("default",),
    streams: StreamOptions | None = None,
    store: str = "sqlite:///:memory:",
) -> Iterator[TestServer]:
    """Start a server, and stop it at the end of the `with`.

    domain: one or several; features: words of features to switch on beside those of `use`, or
    word → option → value; use: as in the configuration; streams: [streams] of it; store: URL of
    another database than one in memory.
    """
    domains = [domain] if isinstance(domain, str) else list(domain)
    given = features if isinstance(features, Mapping) else {word: {} for word in features}
    known = all_features()
    options = {
        word: known[word].options_class()(**values)
        for word, values in given.items()
        if word in known
    }
    words = tuple(dict.fromkeys((*use, *given)))
    with tempfile.TemporaryDirectory(prefix="imsuite-") as directory:
        config = Config.make(
            ServerOptions(
                listen=(f"c2s:{INTERFACE}:0", f"c2s-tls:{INTERFACE}:0"),
                data=directory,
                store=store,
                drain_seconds=0,
            ),
            hosts={name: HostOptions(use=words) for name in domains},
            feature_options=dict.fromkeys(domains, options),
            tables={"streams": streams or StreamOptions()},
        )
        service: Server = _call(lambda: _start(config))
        try:
            _write_trusted(Path(directory))
            server = TestServer(service, domains, Path(directory))
            server.failures.watch()
            try:
                yield server
            finally:
                _call(service.stopService)
                server.failures.stop()
        finally:
            if service.running:
                _call(service.stopService)


def _start(config: Config) -> Server:
    service = make_server(config, reactor=_thread.reactor)
    service.startService()
    for host in service.hosts.values():
        host.registrar.iterations = ITERATIONS
    return service


def _write_trusted(directory: Path) -> None:
    """Put the certificates, without their keys, where clients find them."""
    found = [
        certificate
        for file in sorted((directory / "certificates").glob("*.pem"))
        for certificate in _CERTIFICATE.findall(file.read_text())
    ]
    (directory / "trusted.pem").write_text("".join(found))


def _call(function: Callable[[], Any]) -> Any:  # what it returns, waited for if it is a Deferred
    return blockingCallFromThread(_thread.start(), function)


class _ReactorThread:
    """The thread of all servers, and its reactor, which is not the one that Twisted installs."""

    def __init__(self) -> None:
        self.reactor: Any = None  # of whichever class this system has
        self._thread: Thread | None = None
        self._lock = Lock()

    def start(self) -> Any:
        """Return the running reactor."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self.reactor = _new_reactor()
                started = Event()
                self.reactor.callWhenRunning(started.set)
                self._thread = Thread(
                    target=self.reactor.run, args=(False,), name="imsuite-testing", daemon=True
                )
                self._thread.start()
                started.wait()
            return self.reactor

    def stop(self) -> None:
        """End the thread, if there is one."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is not None and thread.is_alive():
                self.reactor.callFromThread(self.reactor.stop)
                thread.join()


def _new_reactor() -> Any:
    try:
        from imsuite.streams.reactor import LinkReactor
    except ImportError:
        from twisted.internet.selectreactor import SelectReactor

        return SelectReactor()
    return LinkReactor()


_thread = _ReactorThread()


def stop_thread() -> None:
    """End the thread of the servers; the next server starts another one."""
    _thread.stop()


atexit.register(stop_thread)
