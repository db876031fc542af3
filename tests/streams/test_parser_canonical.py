"""Stanzas that mean the same in another stream (RFC 6120 §4.8)."""

import pytest

from imsuite.xmpp import ns as NS
from tests.streams.reading import (
    HEAD,
    MESSAGE,
    condition,
    opened,
    read,
)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (b"<message xmlns='jabber:client'/>", b"<message/>"),
        (b'<message xmlns="jabber:client" to="a"/>', b'<message to="a"/>'),
        (b"<message to='a'  xmlns = 'jabber:client' id='b'/>", b"<message to='a' id='b'/>"),
        (
            b"<iq id=\" xmlns='jabber:client'\" xmlns='jabber:client'><a xmlns='b'/></iq>",
            b"<iq id=' xmlns=&apos;jabber:client&apos;'><a xmlns='b'/></iq>",
        ),
        (
            b"<iq a=' xmlns ' >t='c' xmlns='jabber:client'</iq>",
            b"<iq a=' xmlns '>t='c' xmlns='jabber:client'</iq>",
        ),
        (b"<x xmlns='urn:x' to='a'><y/></x>", None),
        (b"<message xmlns='jabber:server'/>", None),
        (b"<x xmlns=''/>", None),
        (
            b"<m:message xmlns:m='jabber:client'><m:body/></m:message>",
            b"<message><body xmlns:m='jabber:client'/></message>",
        ),
        (
            b"<message:message xmlns:message='jabber:client'/>",
            b"<message/>",
        ),
        (b"<aa:a xmlns:aa='urn:a'/>", b"<a xmlns='urn:a'/>"),
        (b"<stream:features/>", b"<features xmlns='http://etherx.jabber.org/streams'/>"),
        (
            b"<message><stream:x stream:y='z'/></message>",
            b"<message><x xmlns='http://etherx.jabber.org/streams'"
            b" xmlns:ns0='http://etherx.jabber.org/streams' ns0:y='z'/></message>",
        ),
        (
            b"<message xmlns:f='urn:f'><f:x><f:y/></f:x><body>f:a</body></message>",
            b"<message><f:x xmlns:f='urn:f'><f:y/></f:x><body xmlns:f='urn:f'>f:a</body></message>",
        ),
        (
            b"<message xmlns:f='urn:f' f:a='1'/>",
            b"<message xmlns:ns0='urn:f' ns0:a='1'/>",
        ),
        (
            b"<message xmlns:f=\"a' b='&lt;\"><f:x/></message>",
            b"<message><f:x xmlns:f='a&apos; b=&apos;&lt;'/></message>",
        ),
        (b"<message><f:x xmlns:f='urn:f'/></message>", None),
    ],
)
def test_stanza_means_the_same_in_another_stream(given, expected):
    (stanza,) = read(given)
    assert stanza.raw == (given if expected is None else expected)
    other = opened(head=b"<a:stream xmlns='jabber:client' xmlns:a='%s'>" % NS.STREAM.encode())
    (again,) = other.feed(stanza.raw)
    assert (again.kind, again.ns, again.attrs, again.children) == (
        stanza.kind,
        stanza.ns,
        stanza.attrs,
        stanza.children,
    )


def test_prefix_on_the_root_is_declared_where_it_is_used():
    head = HEAD[:-1] + b" xmlns:db='jabber:server:dialback'>"
    result, message = read(b"<db:result to='a'>key</db:result>" + MESSAGE, head=head)
    assert result.raw == b"<result xmlns='jabber:server:dialback' to='a'>key</result>"
    assert (result.kind, result.ns) == ("result", "jabber:server:dialback")
    assert message.raw == MESSAGE


def test_text_that_looks_like_a_prefix_is_kept():
    (stanza,) = read(b"<message><body>a stream: flows</body></message>")
    assert str(stanza.element.body) == "a stream: flows"


def test_prefixes_do_not_multiply_a_long_namespace():
    """A few bytes may not become many on their way."""
    raw = b"<message xmlns:f='%s'>%s</message>" % (b"u" * 10000, b"<f:x/>" * 1000)
    assert condition(raw) == "policy-violation"
    head = HEAD[:-1] + b" xmlns:f='%s'>" % (b"u" * 10000)
    assert condition(b"<message>%s</message>" % (b"<f:x/>" * 1000), head=head) == "policy-violation"
