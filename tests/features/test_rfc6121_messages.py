"""RFC 6121 §5: messages between two clients, as they are written."""

import pytest

from imsuite.testing.patterns import read
from tests.helpers import fitting, holds

STANZA_ID = "{urn:xmpp:sid:0}stanza-id"
TO = "to='juliet@example.org/balcony'"


@pytest.mark.parametrize(
    "inner",
    [
        "<body>Wherefore &amp; why? &lt;3 \U0001f339</body>",
        "<body xml:lang='cs'>PročeŽ</body><body xml:lang='en'>Why</body>",
        "<subject>s</subject><thread parent='p'>t</thread><body>  two  spaces\n</body>",
        "<x xmlns='urn:u'><y a='1' b:c='2' xmlns:b='urn:b'/></x>",
        "<body><![CDATA[<not a tag>]]></body>",
        "<html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns="
        "'http://www.w3.org/1999/xhtml'><p>hi</p></body></html>",
        "",
    ],
)
def test_content_arrives_unchanged(romeo, juliet, inner):
    """RFC 6120 §8.4, pitfall S-10"""
    assert romeo.says(f"<message {TO} type='chat' id='1'>{inner}</message>") == []
    (got,) = juliet.received
    sent, arrived = read(f"<message>{inner}</message>"), read(got)
    given = [child for child in arrived if child.tag != STANZA_ID]  # which the archive added
    assert [flat(child) for child in given] == [flat(child) for child in sent]


def flat(element):
    return [(each.tag, dict(each.attrib), each.text, each.tail) for each in element.iter()]


def test_order_is_kept(romeo, juliet):
    """RFC 6120 §10.1"""
    romeo.says("".join(f"<message {TO} id='{number}'/>" for number in range(50)))
    assert [int(stanza.id) for stanza in juliet.stanzas] == list(range(50))


def test_message_in_pieces_is_one_message(romeo, juliet):
    """A stream knows nothing of packets."""
    text = f"<message {TO}><body>\U0001f339 in pieces</body></message>".encode()
    romeo.link.put(text, 1)
    (got,) = juliet.received
    assert holds(got, "<message><body>\U0001f339 in pieces</body></message>")


@pytest.mark.parametrize("resource", ["\U0001f339", "Haus & Hof", "a/b@c", "ÄÖÜ", "x" * 1023])
def test_any_resource_can_be_written_to(server, romeo, resource):
    """Pitfall 13: FreeformClass, case-sensitive."""
    from xml.sax.saxutils import quoteattr

    to = f"juliet@example.org/{resource}"
    juliet = server.login("juliet@example.org/other")
    juliet.closes()
    link = bound(server, resource)
    romeo.says(f"<message to={quoteattr(to)}><body>hi</body></message>")
    assert fitting(link.received, "<message><body>hi</body></message>")


def bound(server, resource):
    from xml.sax.saxutils import escape

    client = server.login("juliet@example.org/tmp", available=False)
    client.closes()
    from imsuite.testing.memory import MemoryClient, MemoryTls, now
    from imsuite.xmpp.address import parse

    link = server.connect(MemoryTls())
    stream = link.receiver
    stream.host = server.host
    stream.authenticated(now(server.host.account("juliet")), lambda: None)
    client = MemoryClient(server, parse("juliet@example.org"), link, stream)
    client.opens()
    client.says(
        "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>"
        f"{escape(resource)}</resource></bind></iq>"
    )
    assert stream.session.resource == resource
    return client


def test_resources_differ_by_case(server, romeo):
    """RFC 7622 §3.4"""
    lower = server.login("juliet@example.org/phone")
    upper = server.login("juliet@example.org/Phone")
    romeo.says("<message to='juliet@example.org/Phone'><body>x</body></message>")
    assert [
        len(each.received) - len(fitting(each.received, "<presence/>")) for each in (lower, upper)
    ] == [0, 1]


@pytest.mark.server(domains=("example.org", "example.net"))
def test_domains_of_one_server_have_their_own_accounts(server, romeo):
    other = server.login("romeo@example.net/orchard")
    assert romeo.says("<message to='romeo@example.net'><body>self?</body></message>") == []
    assert len(fitting(other.received, "<message from='romeo@example.org/orchard'/>")) == 1
    assert romeo.received == []


def test_error_message_is_never_answered(romeo):
    """RFC 6120 §8.3.1, pitfall 19"""
    for to in ("nobody@example.org", "example.org", "juliet@far.example", "@"):
        assert romeo.says(f"<message type='error' to='{to}'/>") == []


def test_from_cannot_be_chosen(romeo, juliet):
    """Pitfall 5"""
    romeo.says(f"<message {TO} from='romeo@example.org'><body>x</body></message>")
    (got,) = juliet.received
    assert read(got).get("from") == "romeo@example.org/orchard"
