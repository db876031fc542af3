"""A client of blocking sockets, for tests that look at bytes."""

import re
import socket
from typing import ClassVar

from benchmarks.scram import ScramClient

HEADER = (
    "<?xml version='1.0'?><stream:stream to='{domain}' version='1.0' xmlns='jabber:client'"
    " xmlns:stream='http://etherx.jabber.org/streams'>"
)
PATIENCE = 10  # seconds


class Closed(Exception):
    """The server closed the connection; what came before is its argument."""


class Client:
    """One connection. jid: full, once bound; sock: its socket, or TLS around it.

    made: those that nobody closed yet, newest last.
    """

    made: ClassVar[list["Client"]] = []

    def __init__(self, server, tls=True):
        self.server = server
        self.jid = ""
        self.sock = socket.create_connection((server.host, server.port), PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._held = b""
        self.made.append(self)
        self.open()
        if tls:
            self.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            self.until(b"<proceed[^>]*>")
            context = server.ssl_context()
            self.sock = context.wrap_socket(self.sock, server_hostname=server.domain)
            self.open()

    def send(self, text):
        """Send a text or bytes."""
        self.sock.sendall(text.encode() if isinstance(text, str) else text)

    def until(self, pattern):
        """Read until a pattern is found; return the match, and keep what follows it."""
        while True:
            found = re.search(pattern, self._held, re.DOTALL)
            if found:
                self._held = self._held[found.end() :]
                return found
            try:
                data = self.sock.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                raise Closed(self._held)
            self._held += data

    def open(self):
        """Open a stream and wait for the features."""
        self.send(HEADER.format(domain=self.server.domain))
        self.until(b"</stream:features>|<stream:features/>")

    def log_in(self, account, resource):
        """Authenticate and bind; over TLS or not."""
        scram = ScramClient("sha1", account.jid.partition("@")[0], account.password)
        self._sasl("auth", scram.first(), " mechanism='SCRAM-SHA-1'")
        challenge = self.until(b"<challenge[^>]*>([^<]*)</challenge>")[1]
        self._sasl("response", scram.final(challenge))
        self.until(b"<success")
        self._held = b""
        self.open()
        self.send(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
            f"<resource>{resource}</resource></bind></iq>"
        )
        self.jid = self.until(b"<jid>([^<]*)</jid>.*?</iq>")[1].decode()
        return self

    def _sasl(self, name, data, attributes=""):
        namespace = "urn:ietf:params:xml:ns:xmpp-sasl"
        self.send(f"<{name} xmlns='{namespace}'{attributes}>{data.decode()}</{name}>")

    def rest(self):
        """Return what comes until the server closes the connection."""
        try:
            self.until(b"(?!)")
        except Closed as closed:
            return closed.args[0]

    def close(self):
        """Vanish."""
        self.sock.close()
        if self in self.made:
            self.made.remove(self)

    @classmethod
    def close_since(cls, count):
        """Close those made after there were that many."""
        for client in cls.made[count:]:
            client.close()
