"""A stream of a client over TCP, with as little as that takes (RFC 6120); not imsuite's code."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from xml.etree.ElementTree import Element, ParseError, XMLPullParser
from xml.sax.saxutils import quoteattr

import attrs

from benchmarks.scram import ScramClient, ScramError

NS_CLIENT = "jabber:client"
NS_STREAM = "http://etherx.jabber.org/streams"
NS_SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
NS_BIND = "urn:ietf:params:xml:ns:xmpp-bind"
NS_SM = "urn:xmpp:sm:3"
NS_PING = "urn:xmpp:ping"

HEADER = (
    "<stream:stream xmlns='jabber:client' version='1.0' to='{}'"
    " xmlns:stream='http://etherx.jabber.org/streams'>"
)
PATIENCE = 10.0  # seconds for anything the server has to answer while it runs
BUFFER = 2**18  # bytes that may wait to be sent before a writer waits


class Gone(Exception):
    """The link is broken, or the server refused it for now."""


class Wrong(Exception):
    """The server broke a rule; the text says which."""


@attrs.frozen
class Place:
    """Where the server is."""

    domain: str
    address: str
    port: int  # plain
    tls_port: int | None  # TLS from the first byte


def tag(ns: str, name: str) -> str:
    """Return a name as ElementTree writes it."""
    return f"{{{ns}}}{name}"


def anybody() -> ssl.SSLContext:
    """Return a context that trusts every certificate: who the server is does not matter here."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


TLS = anybody()
ENDED = (OSError, EOFError, asyncio.TimeoutError, ssl.SSLError)


class Stream:
    """One TCP connection, authenticated; elements come out of read() one by one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._ready: deque[Element] = deque()
        self._said = ""  # what was sent last
        self._restart()

    def _restart(self) -> None:
        self._parser: XMLPullParser[Element] = XMLPullParser(["start", "end"])
        self._depth = 0
        self._root: Element | None = None

    @classmethod
    async def connect(cls, place: Place, tls: bool, name: str, password: str) -> Stream:
        """Return a stream after its authentication, features read. Raises Gone."""
        port = place.tls_port if tls else place.port
        try:
            reader, writer = await asyncio.wait_for(
                asyncio.open_connection(place.address, port, ssl=TLS if tls else None), PATIENCE
            )
        except ENDED as why:
            raise Gone(str(why)) from None
        stream = cls(reader, writer)
        try:
            await stream._open(place.domain)
            await stream._authenticate(name, password)
            stream._restart()
            await stream._open(place.domain)
        except BaseException:
            stream.abort()
            raise
        return stream

    async def _open(self, domain: str) -> None:
        self.write(HEADER.format(domain))
        await self.expect(tag(NS_STREAM, "features"))

    async def _authenticate(self, name: str, password: str) -> None:
        """SCRAM-SHA-256, which every server here offers."""
        scram = ScramClient("sha256", name, password)
        first = scram.first().decode()
        self.write(f"<auth xmlns='{NS_SASL}' mechanism='SCRAM-SHA-256'>{first}</auth>")
        challenge = await self.expect(tag(NS_SASL, "challenge"))
        final = scram.final((challenge.text or "").encode()).decode()
        self.write(f"<response xmlns='{NS_SASL}'>{final}</response>")
        success = await self.expect(tag(NS_SASL, "success"))
        try:
            scram.verify((success.text or "").encode())
        except ScramError as why:
            raise Wrong(str(why)) from None

    async def bind(self, resource: str) -> str:
        """Bind a resource; return the full JID. Raises Gone."""
        self.write(
            f"<iq type='set' id='bind'><bind xmlns='{NS_BIND}'>"
            f"<resource>{resource}</resource></bind></iq>"
        )
        answer = await self.expect(tag(NS_CLIENT, "iq"))
        jid = answer.findtext(f".//{tag(NS_BIND, 'jid')}")
        if jid is None:
            raise Wrong(f"no resource was bound: {shown(answer)}")
        return jid

    async def expect(self, name: str) -> Element:
        """Return the next element, which must be of that name. Raises Gone or Wrong."""
        element = await self.read()
        if (
            element.tag == tag(NS_SASL, "failure")
            and element.find(tag(NS_SASL, "temporary-auth-failure")) is not None
        ):
            raise Gone("temporary-auth-failure")
        if element.tag != name:
            raise Wrong(f"{name} was expected, not {shown(element)}")
        return element

    async def read(self, patience: float | None = PATIENCE) -> Element:
        """Return the next element.

        Raises Gone at the end of the stream, however it ends, and Wrong where nothing comes.
        """
        while not self._ready:
            reading = self._reader.read(2**16)
            try:
                data = await (asyncio.wait_for(reading, patience) if patience else reading)
            except TimeoutError:
                raise Wrong(f"no answer in {patience} s to {self._said}") from None
            except ENDED as why:
                raise Gone(f"{type(why).__name__} {why}") from None
            if not data:
                raise Gone("the connection ended")
            self._feed(data)
        element = self._ready.popleft()
        if element.tag == tag(NS_STREAM, "error"):
            raise Gone(f"stream error: {shown(element)}")
        return element

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed(data)
            for event, element in self._parser.read_events():
                assert isinstance(element, Element)
                if event == "start":
                    self._depth += 1
                    if self._depth == 1:
                        self._root = element
                    continue
                self._depth -= 1
                if self._depth == 1:
                    assert self._root is not None
                    self._root.remove(element)
                    self._ready.append(element)
        except ParseError as why:
            raise Wrong(f"{why}: {data[:2000]!r}") from None

    @property
    def ready(self) -> bool:
        """Whether read() would return at once."""
        return bool(self._ready)

    def write(self, text: str) -> None:
        """Send; what happens to it nobody knows."""
        self._said = text[:200]
        if not self._writer.is_closing():
            self._writer.write(text.encode())

    async def drain(self) -> None:
        """Wait until most of it has left. Raises Gone."""
        try:
            await self._writer.drain()
        except ENDED as why:
            raise Gone(str(why)) from None

    def abort(self) -> None:
        """Break the link; nothing more is sent."""
        self._writer.transport.abort()

    async def end(self) -> None:
        """End the stream in order (RFC 6120 §4.4); read() raises Gone when the server has, too."""
        self.write("</stream:stream>")
        await self.drain()


def shown(element: Element) -> str:
    """Return an element as a short text for messages of this harness."""
    inner = "".join(shown(child) for child in element)
    words = "".join(f" {name}={quoteattr(value)}" for name, value in element.attrib.items())
    return f"<{element.tag.rpartition('}')[2]}{words}>{element.text or ''}{inner}"[:400]
