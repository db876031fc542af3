"""A client of a server in memory that says and reads whatever it likes."""

from base64 import b64encode

from imsuite.testing.memory_link import MemoryTls
from imsuite.testing.patterns import HEADER, Wire

OPEN = (
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client'"
    " xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='{}'{}>"
)
STARTTLS = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
BIND = (
    "<iq type='set' id='{id}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>{resource}</bind></iq>"
)
ERRORS = "{urn:ietf:params:xml:ns:xmpp-streams}"
PASSWORD = "pencil"


class Raw:
    """One connection. text: all that came; ended: the server's stream is at its end."""

    def __init__(self, server, secure=False, tls=None):
        self.server = server
        self.link = server.connect(tls or (MemoryTls() if secure else None))
        self.text = ""
        self._wire = Wire()

    @property
    def stream(self):
        return self.link.receiver

    @property
    def ended(self):
        return self._wire.ended and self.link.closed

    def says(self, text, size=None):
        """Send a text; return the elements that came back, the header among them."""
        data = text.encode() if isinstance(text, str) else text
        self.link.put(data, size)
        return self.reads()

    def reads(self):
        """Return the elements that came by themselves."""
        self.server.settle()
        data = self.link.take()
        self.text += data.decode()
        if data.startswith(b"<?xml"):
            self._wire.restart()
        return self._wire.feed(data)

    def opens(self, to="example.org", more=""):
        """Begin a stream."""
        return self.says(OPEN.format(to, more))

    def logs_in(self, jid, to="example.org"):
        """Authenticate with PLAIN and begin the stream that follows; return its features."""
        self.opens(to)
        (got,) = self.says(plain(jid.partition("@")[0]))
        assert got.tag == f"{{{SASL}}}success", self.text
        return self.opens(to)[1]

    def binds(self, resource="", id="b"):
        """Bind a resource; return what came."""
        inner = f"<resource>{resource}</resource>" if resource else ""
        return self.says(BIND.format(id=id, resource=inner))


def plain(name, password=PASSWORD, authzid=""):
    """Return an <auth/> with PLAIN."""
    data = b64encode(f"{authzid}\0{name}\0{password}".encode()).decode()
    return auth("PLAIN", data)


def auth(mechanism, data=""):
    """Return an <auth/>."""
    return f"<auth xmlns='{SASL}' mechanism='{mechanism}'>{data}</auth>"


def condition(got):
    """Return the condition of the stream error at the end of what came, which ends there."""
    assert got, "nothing came"
    error = got[-1]
    assert error.tag == "{http://etherx.jabber.org/streams}error", error.tag
    return error[0].tag.removeprefix(ERRORS)


def failure(got):
    """Return the condition of the SASL failure that is all that came."""
    (found,) = got
    assert found.tag == f"{{{SASL}}}failure", found.tag
    return found[0].tag.removeprefix(f"{{{SASL}}}")


def is_header(element):
    return element.tag == HEADER


def names(features):
    """Return the local names of the features."""
    return [each.tag.partition("}")[2] for each in features]
