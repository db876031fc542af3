"""Logging in as a client (RFC 6120), as a generator that yields the pattern it waits for."""

import re
from base64 import b64encode
from collections.abc import Callable, Generator
from xml.sax.saxutils import quoteattr

import attrs

from benchmarks.loop import Link, Loop
from benchmarks.scram import HASHES, ScramClient
from benchmarks.servers.server import Server

FEATURES = re.compile(
    rb"<(?:\w+:)?features\b[^>]*(?:/>|(?<!/)>.*?</(?:\w+:)?features\s*>)", re.DOTALL
)
PROCEED = re.compile(rb"<(proceed|failure)\b[^>]*(?:/>|(?<!/)>.*?</\1\s*>)", re.DOTALL)
SASL = re.compile(
    rb"<(challenge|success|failure)\b[^>]*(?:/>|(?<!/)>(?P<text>.*?)</\1\s*>)", re.DOTALL
)
STANZA = re.compile(
    rb"<(?P<name>iq|presence|message)\b(?P<attributes>[^>]*?)(?:/>|(?<!/)>.*?</\1\s*>)", re.DOTALL
)
MECHANISM = re.compile(rb"<mechanism\b[^>]*>\s*([^<\s]+)\s*</mechanism\s*>")
JID = re.compile(rb"<jid\b[^>]*>([^<]+)</jid\s*>")
ENABLED = re.compile(rb"<(enabled|failed)\b[^>]*(?:/>|(?<!/)>.*?</\1\s*>)", re.DOTALL)
RESUMABLE = re.compile(rb"\bresume=['\"](?:true|1)['\"]")
BROKEN = re.compile(rb"<stream:error\b|</stream:stream\s*>")

Steps = Generator[re.Pattern[bytes], re.Match[bytes], "Session"]
RESOURCE = "bench"


class Refused(Exception):
    """The server did not let us in, or answered with an error."""


@attrs.frozen
class Account:
    """A name on the server's domain, and its password."""

    name: str
    password: str


@attrs.define(eq=False)
class Session:
    """A bound resource."""

    link: Link
    account: Account
    jid: str  # full
    mechanism: str
    cipher: str = "none"
    counted: "Counted | None" = None  # XEP-0198, when it was enabled


@attrs.define(eq=False)
class Counted:
    """The counters of XEP-0198 §4 for one session; they go on from load to load."""

    sent: int = 0  # stanzas
    received: int = 0  # stanzas, which is h in what we answer
    acked: int = 0  # the server's last h


@attrs.define(eq=False)
class Dialogue:
    """Feeds a generator of steps with what its link receives."""

    link: Link
    steps: Steps
    finished: Callable[["Dialogue"], None]
    wanted: re.Pattern[bytes] = attrs.field(init=False)
    buffer: bytes = b""  # received and not yet matched
    session: Session | None = None  # when finished

    def start(self) -> None:
        """Take the first step."""
        self.link.receive = self.receive
        self.wanted = next(self.steps)

    def receive(self, chunk: bytes) -> None:
        """Take the steps that the bytes allow; raises Refused."""
        self.buffer += chunk
        while self.session is None:
            match = self.wanted.search(self.buffer)
            if match is None:
                if BROKEN.search(self.buffer):
                    raise Refused(f"stream error: {self.buffer[-500:]!r}")
                return
            self.buffer = self.buffer[match.end() :]
            try:
                self.wanted = self.steps.send(match)
            except StopIteration as stop:
                self.session = stop.value
                self.finished(self)


def header(domain: str) -> bytes:
    """Return the head of a client's stream."""
    return (
        f"<?xml version='1.0'?><stream:stream to={quoteattr(domain)} version='1.0' xml:lang='en' "
        "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
    ).encode()


def log_in(
    link: Link,
    server: Server,
    account: Account,
    tls: bool,
    *,
    manage: bool = False,
    show: bool = True,
) -> Steps:
    """Log in as clients do: SASL, bind, roster, initial presence and its echo.

    manage: enable stream management at the end; show: without it, no roster and no presence.
    """
    if tls and server.tls_port is not None:
        link.secure()
    link.send(header(server.domain))
    features = yield FEATURES
    if tls and server.tls_port is None:
        link.send(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        answer = yield PROCEED
        if answer[1] != b"proceed":
            raise Refused(f"STARTTLS: {answer[0]!r}")
        link.secure()
        link.send(header(server.domain))
        features = yield FEATURES
    offered = [name.decode() for name in MECHANISM.findall(features[0])]
    mechanism = next((name for name in (*HASHES, "PLAIN") if name in offered), None)
    if mechanism is None:
        raise Refused(f"no usable mechanism among {offered}")
    yield from authenticate(link, account, mechanism)
    link.send(header(server.domain))
    yield FEATURES
    jid = yield from bind(link)
    if show:
        yield from appear(link, jid)
    counted = None
    if manage:
        yield from enable(link)
        counted = Counted()
    cipher = "none"
    if link.tls is not None:
        name, version, _bits = link.tls.cipher() or ("?", "?", 0)
        cipher = f"{version} {name}"
    return Session(
        link=link,
        account=account,
        jid=jid,
        mechanism=mechanism,
        cipher=cipher,
        counted=counted,
    )


def authenticate(
    link: Link, account: Account, mechanism: str
) -> Generator[re.Pattern[bytes], re.Match[bytes], None]:
    """Prove the password; raises Refused."""
    auth = f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>".encode()
    if mechanism == "PLAIN":
        plain = b64encode(f"\0{account.name}\0{account.password}".encode())
        link.send(auth + plain + b"</auth>")
        answer = yield SASL
    else:
        scram = ScramClient(HASHES[mechanism], account.name, account.password)
        link.send(auth + scram.first() + b"</auth>")
        answer = yield SASL
        if answer[1] == b"challenge":
            final = scram.final(answer["text"])
            link.send(
                b"<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" + final + b"</response>"
            )
            answer = yield SASL
        if answer[1] == b"success":
            scram.verify(answer["text"] or b"")
    if answer[1] != b"success":
        raise Refused(f"{account.name}: {answer[0]!r}")


def bind(link: Link) -> Generator[re.Pattern[bytes], re.Match[bytes], str]:
    """Bind the resource; returns the full JID."""
    link.send(
        b"<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
        b"<resource>" + RESOURCE.encode() + b"</resource></bind></iq>"
    )
    answer = yield STANZA
    bound = JID.search(answer[0])
    if bound is None:
        raise Refused(f"bind: {answer[0]!r}")
    return bound[1].decode()


def appear(link: Link, jid: str) -> Generator[re.Pattern[bytes], re.Match[bytes], None]:
    """Ask for the roster and send initial presence; done when it came back to us."""
    link.send(b"<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq><presence/>")
    echoed = rostered = False
    while not (echoed and rostered):
        stanza = yield STANZA
        if stanza["name"] == b"iq" and b"roster" in stanza["attributes"]:
            rostered = True
        # RFC 6121 §4.2.2: also to the resource that generated the presence
        elif stanza["name"] == b"presence" and jid.encode() in stanza["attributes"]:
            echoed = True


def enable(link: Link) -> Generator[re.Pattern[bytes], re.Match[bytes], None]:
    """Enable stream management with resumption (XEP-0198 §3, §5); raises Refused."""
    link.send(b"<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
    answer = yield ENABLED
    if answer[1] != b"enabled" or RESUMABLE.search(answer[0]) is None:
        raise Refused(f"stream management: {answer[0]!r}")


def register(link: Link, server: Server, account: Account, tls: bool) -> Steps:
    """Make an account in-band (XEP-0077 §3.1); one that exists is left as it is.

    tls: direct TLS.
    """
    if tls:
        link.secure()
    link.send(header(server.domain))
    yield FEATURES
    link.send(
        b"<iq type='set' id='register'><query xmlns='jabber:iq:register'>"
        + f"<username>{account.name}</username>".encode()
        + f"<password>{account.password}</password></query></iq>".encode()
    )
    answer = yield STANZA
    if b"error" in answer["attributes"] and b"conflict" not in answer[0]:
        raise Refused(f"register {account.name}: {answer[0]!r}")
    return Session(link=link, account=account, jid=f"{account.name}@{server.domain}", mechanism="")


@attrs.define(eq=False)
class Arrivals:
    """Logs accounts in, a few at a time."""

    loop: Loop
    server: Server
    tls: bool
    steps: Callable[[Link, Account], Steps] | None = None  # None: log_in
    manage: bool = False  # with stream management
    show: bool = True  # with roster and presence
    parallel: int = 16
    sessions: list[Session] = attrs.field(factory=list)
    queue: list[Account] = attrs.field(factory=list)

    def bring(self, accounts: list[Account], timeout: float = 120.0) -> list[Session]:
        """Return a session for each account, in their order."""
        self.queue = accounts[::-1]
        for _ in range(min(self.parallel, len(accounts))):
            self.next()
        self.loop.run(
            lambda: len(self.sessions) == len(accounts), timeout, f"{len(accounts)} logins"
        )
        order = {account.name: index for index, account in enumerate(accounts)}
        return sorted(self.sessions, key=lambda session: order[session.account.name])

    def next(self) -> None:
        """Begin one login."""
        account = self.queue.pop()
        port = self.server.tls_port if self.tls else None
        link = self.loop.connect(self.server.address, port or self.server.port)
        if self.steps is None:
            steps = log_in(link, self.server, account, self.tls, manage=self.manage, show=self.show)
        else:
            steps = self.steps(link, account)
        Dialogue(link=link, steps=steps, finished=self.finished).start()

    def finished(self, dialogue: Dialogue) -> None:
        """Keep the session and begin the next login."""
        assert dialogue.session is not None
        self.sessions.append(dialogue.session)
        if self.queue:
            self.next()


def bring(
    loop: Loop,
    server: Server,
    names: list[str],
    password: str,
    tls: bool,
    *,
    manage: bool = False,
    show: bool = True,
) -> list[Session]:
    """Return one session for each name, logged in; manage and show as in log_in."""
    accounts = [Account(name, password) for name in names]
    return Arrivals(loop=loop, server=server, tls=tls, manage=manage, show=show).bring(accounts)
