"""The stream parser: RFC 6120 §4, §11 and the pitfalls of expat."""

import gc
import random
import sys
import weakref
from pyexpat import XMLParserType

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from twisted.words.xish.domish import Element

from imsuite.streams import expatpool
from imsuite.streams.expatpool import root_of
from imsuite.streams.parser import END, Header, Limits, Reader
from imsuite.xmpp import ns as NS
from imsuite.xmpp.build import MOST_USES
from imsuite.xmpp.errors import StreamError
from imsuite.xmpp.stanza import Stanza

HEAD = (
    b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' to='example.org'"
    b" xmlns:stream='http://etherx.jabber.org/streams' version='1.0' xml:lang='en'>"
)
MESSAGE = b"<message to='romeo@example.net' type='chat'><body>Art thou?</body></message>"
END_TAG = b"</stream:stream>"


def opened(limits=None, head=HEAD):
    reader = Reader()
    (header,) = reader.feed(head)
    assert isinstance(header, Header)
    reader.limits = limits or reader.limits
    return reader


def read(data, limits=None, head=HEAD):
    """What comes after the header when data come whole; checked to be the same byte by byte."""
    whole = opened(limits, head).feed(data)
    reader = opened(limits, head)
    singly = [event for i in range(len(data)) for event in reader.feed(data[i : i + 1])]
    assert plain(singly) == plain(whole)
    return whole


def plain(events):
    found = []
    for event in events:
        if isinstance(event, Stanza):
            found.append((event.kind, event.ns, event.attrs, event.children, event.raw))
        elif isinstance(event, StreamError):
            found.append(event.condition)
        else:
            found.append(event)
    return found


def raws(events):
    assert all(isinstance(event, Stanza) for event in events), events
    return [event.raw for event in events]


def condition(data, limits=None, head=HEAD):
    *_, last = read(data, limits, head)
    assert isinstance(last, StreamError), last
    return last.condition


def header_condition(data):
    (event,) = Reader().feed(data)
    assert isinstance(event, StreamError)
    reader = Reader()
    singly = [event for i in range(len(data)) for event in reader.feed(data[i : i + 1])]
    assert plain(singly) == [event.condition]
    return event.condition


# The header


def test_header_tells_namespace_and_attributes():
    """§4.7."""
    reader = Reader()
    (header,) = reader.feed(HEAD)
    assert header.ns == "jabber:client"
    assert header.attrs == {"to": "example.org", "version": "1.0", "xml:lang": "en"}
    assert reader.pending == 0


def test_header_comes_with_its_last_byte():
    reader = Reader()
    assert [reader.feed(HEAD[i : i + 1]) for i in range(len(HEAD) - 1)] == [[]] * (len(HEAD) - 1)
    assert reader.pending == len(HEAD) - 1
    assert len(reader.feed(HEAD[-1:])) == 1


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"<stream:stream xmlns='jabber:client' xmlns:stream='urn:x'>", "invalid-namespace"),
        (b"<stream xmlns='jabber:client'>", "invalid-namespace"),
        (b"<message xmlns='jabber:client'/>", "invalid-namespace"),
        (b"<s:open xmlns:s='http://etherx.jabber.org/streams'>", "bad-format"),
        (b"<stream:stream xmlns='jabber:client'>", "bad-namespace-prefix"),
        (b"<?xml version='1.0' encoding='ISO-8859-1'?>" + HEAD[21:], "unsupported-encoding"),
        ("<stream:stream>".encode("utf-16"), "unsupported-encoding"),
        ("<stream:stream>".encode("utf-16-le"), "unsupported-encoding"),
        (HEAD.replace(b"example.org", b"example\xff.org"), "unsupported-encoding"),
        (HEAD.replace(b"example.org", b"example\x01.org"), "not-well-formed"),
        (HEAD.replace(b"version=", b"to="), "not-well-formed"),
        (HEAD.replace(b" xml:lang", b" to='a' xml:lang"), "not-well-formed"),
        (HEAD.replace(b"example.org", b"&e;"), "restricted-xml"),
        (b"GET / HTTP/1.1\r\n\r\n", "not-well-formed"),
        (b"\x16\x03\x01\x02\x00", "not-well-formed"),
        (b"<!DOCTYPE stream [<!ENTITY a 'A'>]>" + HEAD[21:], "restricted-xml"),
        (b"<?xml version='1.0'?><!DOCTYPE a>" + HEAD[21:], "restricted-xml"),
        (b"<!-- hello -->" + HEAD[21:], "restricted-xml"),
        (b"<?php ?>" + HEAD[21:], "restricted-xml"),
        (b"<?xml version='1.0'?><?xml-stylesheet href='a'?>" + HEAD[21:], "restricted-xml"),
        (HEAD.replace(b"example.org", b"x" * 16384), "policy-violation"),
        (HEAD[:-1] + b"".join(b" a%d=''" % i for i in range(65)) + b">", "policy-violation"),
        (HEAD[:-1] + b"".join(b" xmlns:a%d='u'" % i for i in range(65)) + b">", "policy-violation"),
        (b"<" + b"x" * 20000, "policy-violation"),
    ],
)
def test_wrong_header_is_refused(head, expected):
    """§4.8.1, §4.9.3, §11.1, §11.6."""
    assert header_condition(head) == expected


def test_utf8_may_be_declared():
    """§11.6."""
    assert isinstance(
        Reader().feed(b"<?xml version='1.0' encoding='utf-8'?>" + HEAD[21:])[0], Header
    )


def test_white_space_before_the_header_is_ignored():
    """What a peer sent after the stanza that led to a restart."""
    assert len(Reader().feed(b"\r\n " + HEAD)) == 1


def test_prefix_of_the_stream_namespace_may_be_another():
    """§4.8.5: and the stanzas do not need it elsewhere."""
    head = b"<s:stream xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams'>"
    (features, message, end) = read(
        b"<s:features><a xmlns='b'/></s:features>" + MESSAGE + b"</s:stream>", head=head
    )
    assert features.raw == (
        b"<features xmlns='http://etherx.jabber.org/streams'><a xmlns='b'/></features>"
    )
    assert message.raw == MESSAGE
    assert end is END


def test_stream_namespace_may_be_the_default():
    """§4.8.2: stanzas then declare their content namespace, and lose it in canonical form."""
    head = b"<stream xmlns='http://etherx.jabber.org/streams'>"
    assert Reader().feed(head)[0].ns == ""
    message, features = read(
        b"<message xmlns='jabber:client'><body>a</body></message><features/>", head=head
    )
    assert message.raw == b"<message><body>a</body></message>"
    assert message.ns == "jabber:client"
    assert features.raw == b"<features xmlns='http://etherx.jabber.org/streams'/>"


# Stanzas


def test_stanza_keeps_its_bytes():
    (stanza,) = read(MESSAGE)
    assert (stanza.kind, stanza.ns, stanza.raw) == ("message", "jabber:client", MESSAGE)
    assert stanza.attrs == {"to": "romeo@example.net", "type": "chat"}
    assert stanza.children == ("jabber:client}body",)
    assert isinstance(stanza.element, Element)
    assert str(stanza.element.body) == "Art thou?"


def test_children_are_those_of_the_top_level():
    (stanza,) = read(b"<iq id='1'><a xmlns='x'><b/></a><c xmlns=''/><d/><d/></iq>")
    assert stanza.children == ("x}a", "c", "jabber:client}d", "jabber:client}d")


def test_language_has_its_plain_name():
    (stanza,) = read(b"<message xml:lang='de' id='&quot;&#xe4;'/>")
    assert stanza.attrs == {"xml:lang": "de", "id": '"ä'}
    assert stanza.raw == b"<message xml:lang='de' id='&quot;&#xe4;'/>"


@pytest.mark.parametrize(
    "raw",
    [
        b"<r xmlns='urn:xmpp:sm:3'/>",
        b"<presence/>",
        b"<presence></presence>",
        b"<presence>/></presence>",
        b"<presence >\n</presence \t>",
        b"<presence a='/>'></presence>",
        b"<presence a='/>'/>",
        b'<presence a="\'" b=">" c=\'"\'/>',
        b"<message><presence/></message>",
        b"<message><body>xmlns='a' ></body></message>",
        b'<message><body><![CDATA[</message><message> it\'s > "so" ]]></body></message>',
        b"<message><![CDATA[it's]]><x/><![CDATA[]]]]><![CDATA[>]]></message>",
        b"<message><body>a ]] > b &gt; \xf0\x9f\x98\x80\r\n</body>\r<x a='1'/>]<x/></message>",
        b"<message id=' xmlns=\"jabber:client\" '><body/></message>",
        "<message><ä ö='ü'/></message>".encode(),
    ],
)
def test_bounds_of_stanzas_are_exact(raw):
    """expat calls the start of `</x>` the end of an element, but the end of `<x/>`."""
    space = b" \r\n"
    assert raws(read(raw + space + raw + raw + MESSAGE)) == [raw, raw, raw, MESSAGE]
    *stanzas, end = read(raw + raw + END_TAG)
    assert raws(stanzas) == [raw, raw]
    assert end is END


@pytest.mark.parametrize("cut", range(1, len(MESSAGE)))
def test_stanza_comes_with_its_last_byte(cut):
    """Pitfall S-1: however a tag is split."""
    reader = opened()
    assert reader.feed(MESSAGE[:cut]) == []
    assert reader.pending == cut
    assert raws(reader.feed(MESSAGE[cut:])) == [MESSAGE]
    assert reader.pending == 0


@pytest.mark.parametrize("length", [3, 200, 3000, 15000])
def test_long_split_tag_comes_with_its_last_byte(length):
    """Pitfall S-1: also with ">" in an attribute value."""
    for filling in (b"a", b">", b"a='", b">>'b"):
        value = (filling * length)[:length]
        raw = b'<iq><a b="' + value + b'"/></iq>'
        for cut in (9, 12, len(raw) // 2, len(raw) - 9, len(raw) - 7, len(raw) - 1):
            reader = opened()
            assert reader.feed(raw[:cut]) == []
            assert raws(reader.feed(raw[cut:])) == [raw]


def test_expat_holds_no_part_of_a_tag():
    """Then it has nothing to put off."""
    reader = opened()
    for byte in b"<iq><a b='>>>' c=\"'>\"><![CDATA[ <a '> ]]></a><d>text > text</d ></iq":
        reader.feed(bytes([byte]))
        parser = reader._parser
        if parser is not None:
            assert parser.expat.CurrentByteIndex == parser.total


def test_white_space_between_stanzas_costs_nothing():
    """§4.6.1: keepalives."""
    reader = opened()
    assert reader.feed(b" ") == reader.feed(b"\r\n\t ") == []
    assert reader.pending == 0
    assert reader._parser is None
    assert raws(reader.feed(b"\n" + MESSAGE + b"\n")) == [MESSAGE]
    assert reader.pending == 0


def test_end_of_stream_is_reported_once():
    """§4.4: what comes after it is ignored."""
    assert plain(read(MESSAGE + b" " + END_TAG + MESSAGE + b"<<<"))[1:] == [END]
    reader = opened()
    assert reader.feed(END_TAG) == [END]
    assert reader.feed(MESSAGE) == []
    assert repr(END) == "END"


def test_restart_begins_a_new_stream():
    """§4.3.3."""
    reader = opened()
    reader.feed(b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>")
    reader.restart()
    assert reader.pending == 0
    server = HEAD.replace(b"jabber:client", b"jabber:server")
    header, stanza = reader.feed(server + MESSAGE)
    assert header.ns == stanza.ns == "jabber:server"


def test_restart_serves_after_an_end():
    reader = opened()
    assert reader.feed(END_TAG) == [END]
    reader.restart()
    assert len(reader.feed(HEAD)) == 1


def test_pending_counts_what_is_not_whole():
    """§5.3.1: bytes injected after starttls."""
    reader = opened()
    assert len(reader.feed(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><auth")) == 1
    assert reader.pending == 5


def test_limits_may_be_replaced():
    reader = opened(Limits(stanza_bytes=100))
    reader.limits = Limits()
    raw = b"<message>" + b"x" * 1000 + b"</message>"
    assert raws(reader.feed(raw)) == [raw]
    reader.limits = Limits(stanza_bytes=100)
    assert plain(reader.feed(raw)) == ["policy-violation"]


# Canonical form


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


# What is refused


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"<message><!-- a --></message>", "restricted-xml"),
        (b"<!-- a -->", "restricted-xml"),
        (b"<!-- it's > a -->", "restricted-xml"),
        (b"<message><?php echo ?></message>", "restricted-xml"),
        (b"<message><?a b='>", "restricted-xml"),
        (b"<?xml version='1.0'?>", "restricted-xml"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]>", "restricted-xml"),
        (b"<message><!DOCTYPE a></message>", "restricted-xml"),
        (b"<message>&nbsp;</message>", "restricted-xml"),
        (b"<message to='&a;'/>", "restricted-xml"),
        (b"<message></iq>", "not-well-formed"),
        (b"<message to=a/>", "not-well-formed"),
        (b"<message to='a' to='b'/>", "not-well-formed"),
        (b"<message to='<'/>", "not-well-formed"),
        (b"<message>]]></message>", "not-well-formed"),
        (b"<message>\x00</message>", "not-well-formed"),
        (b"<message>&#0;</message>", "not-well-formed"),
        (b"<message>\xef\xbf\xbf</message>", "not-well-formed"),
        (b"<f:message/>", "not-well-formed"),
        (b"<message f:a='b'/>", "not-well-formed"),
        (b"<message xmlns:a='u' xmlns:b='u' a:c='' b:c=''/>", "not-well-formed"),
        (b"<message xmlns:xml='urn:x'/>", "not-well-formed"),
        (b"<message>\xff</message>", "unsupported-encoding"),
        (b"<message>\xc0\x80</message>", "unsupported-encoding"),
        (b"<message>\xed\xa0\x80</message>", "unsupported-encoding"),
        (b"hello", "bad-format"),
        (b" \n hello<message/>", "bad-format"),
        (b"<![CDATA[ ]]><message/>", "bad-format"),
        (b"&#32;<message/>", "bad-format"),
        (b"\xff<message/>", "bad-format"),
        (b"</iq>", "not-well-formed"),
        (b"hello" + END_TAG, "bad-format"),
    ],
)
def test_forbidden_input_ends_the_stream(data, expected):
    """§4.9.3, §11.1, §11.3, §11.6, however it is cut and after what was good."""
    assert condition(data) == expected
    good, last = read(MESSAGE + data)
    assert good.raw == MESSAGE
    assert last.condition == expected
    reader = opened()
    reader.feed(data)
    assert reader.feed(MESSAGE) == []
    assert reader._parser is None
    assert reader.pending == 0


@pytest.mark.parametrize(
    ("limits", "least", "most"),
    [
        (Limits(depth=3), b"<a><b><c/></b></a>", b"<a><b><c><d/></c></b></a>"),
        (Limits(attributes=2), b"<a b='' c=''/>", b"<a b='' c='' d=''/>"),
        (Limits(attributes=2), b"<a><x b='' c=''/></a>", b"<a><x b='' c='' d=''/></a>"),
        (
            Limits(namespaces=2),
            b"<a xmlns='a' xmlns:b='b'><b:a xmlns='c' xmlns:d='xmlns xmlns xmlns'/></a>",
            b"<a><b xmlns='b' xmlns:c='c' xmlns:d='d'/></a>",
        ),
        (Limits(elements=3), b"<a><b/><b></b></a>", b"<a><b/><b/><b></b></a>"),
        (Limits(stanza_bytes=20), b"<a>" + b"x" * 13 + b"</a>", b"<a>" + b"x" * 14 + b"</a>"),
        (
            Limits(tag_bytes=200),
            b"<a><b c='" + b"x" * 191 + b"'/>" + b"x" * 500 + b"</a>",
            b"<a><b c='" + b"x" * 192 + b"'/>" + b"x" * 500 + b"</a>",
        ),
    ],
)
def test_limits_are_exact(limits, least, most):
    """§4.9.3.14, §13.12."""
    given = [stanza.kind for stanza in read(least * 3, limits)]
    assert given == ["a", "a", "a"]
    assert condition(most, limits) == "policy-violation"


@pytest.mark.parametrize("piece", [b"x", b">", b"<b/>", b"<b>", b"&gt;", b"'", b"<![CDATA[ < ]]>"])
def test_unfinished_stanza_is_limited(piece):
    """Before it is buffered, whatever it is made of."""
    limits = Limits(stanza_bytes=5000, depth=5000, tag_bytes=1000)
    reader = opened(limits)
    events = reader.feed(b"<message>")
    fed = 9
    while not events:
        events = reader.feed(piece)
        fed += len(piece)
        assert reader.pending <= 5000
        assert fed <= 5000 + len(piece)
    assert plain(events) == ["policy-violation"]
    assert fed > 5000


@pytest.mark.parametrize("piece", [b"x", b">", b"'", b" a='b'"])
def test_unfinished_tag_is_limited(piece):
    reader = opened(Limits(tag_bytes=1000))
    events = reader.feed(MESSAGE + b'<message id="')[1:]
    fed = 13
    while not events:
        events = reader.feed(piece)
        fed += len(piece)
    assert plain(events) == ["policy-violation"]
    assert 1000 < fed <= 1000 + len(piece)


def test_long_text_is_no_long_tag():
    limits = Limits(tag_bytes=1000)
    for raw in (
        b"<message>" + b"x" * 5000 + b"</message>",
        b"<message><![CDATA[" + b" < it's " * 1000 + b"]]></message>",
        b"<message><![CDATA[it's" + b"x" * 5000 + b"]]></message>",
        b"<message><![CDATA[< '" + b"x>" * 5000 + b"]]></message>",
    ):
        assert raws(read(raw, limits)) == [raw]


def test_unfinished_stanza_is_read_once():
    """A quadratic reader would take minutes for this."""
    reader = opened()
    reader.feed(b"<message><body>")
    for piece in (b">", b"'", b"]"):
        for _ in range(20000):
            reader.feed(piece)
    given = [b"<b c='>", b"'/>"] * 2000
    assert not any(reader.feed(piece) for piece in given)
    assert len(reader.feed(b"</body></message>")) == 1


# The pool


def test_idle_reader_holds_nothing():
    reader = opened()
    reader.feed(MESSAGE)
    assert reader._parser is None
    assert sys.getsizeof(reader) < 120
    assert not hasattr(reader, "__dict__")
    assert reader._held == b""


def test_readers_of_one_kind_share_parsers():
    readers = [opened() for _ in range(50)]
    for _ in range(20):
        for reader in readers:
            assert raws(reader.feed(MESSAGE)) == [MESSAGE]
    assert readers[0]._root is readers[1]._root
    assert readers[0]._root.idle <= expatpool.MOST_IDLE


def test_many_open_stanzas_leave_a_small_pool():
    readers = [opened() for _ in range(3 * expatpool.MOST_IDLE)]
    for reader in readers:
        reader.feed(MESSAGE[:-1] + b" ")
        assert reader._parser is None or reader._parser.depth
    for reader in readers:
        assert len(reader.feed(b">")) == 1
    assert readers[0]._root.idle <= expatpool.MOST_IDLE


def test_parser_is_not_shared_after_an_error():
    broken, fine = opened(), opened()
    broken.feed(b"<message><a>")
    assert plain(broken.feed(b"</b>")) == ["not-well-formed"]
    assert raws(fine.feed(MESSAGE)) == [MESSAGE]


def test_parser_is_thrown_away_in_time():
    """expat forgets no name: without this, fresh names grow it for ever."""
    reader = opened(head=HEAD[:-1] + b" xmlns:recycled='urn:x'>")
    root = reader._root
    seen = set()
    for i in range(2 * MOST_USES + 10):
        parser = root.lease()
        seen.add(id(parser.expat))
        assert parser.uses < MOST_USES
        root.give_back(parser)
        assert len(reader.feed(b"<message><name%d/></message>" % i)) == 1
    used = root._idle[0].uses
    assert used < 2 * MOST_USES
    big = b"<message>" + b"x" * 200000 + b"</message>"
    for _ in range(6):
        reader.feed(big)
    assert root.idle == 0 or root._idle[0].total < expatpool.MOST_BYTES


def test_strange_roots_are_not_collected():
    """A peer chooses what its root declares."""
    before = len(expatpool._roots)
    try:
        for i in range(200):
            reader = opened(head=HEAD[:-1] + b" xmlns:p%d='urn:x'>" % i)
            assert raws(reader.feed(MESSAGE)) == [MESSAGE]
            reader.close()
        assert len(expatpool._roots) <= expatpool.MOST_ROOTS
    finally:
        for head in list(expatpool._roots)[before:]:
            del expatpool._roots[head]
    usual = root_of("stream:stream", {"": NS.CLIENT, "stream": NS.STREAM})
    assert usual.kept


@pytest.mark.parametrize("last", ["close", "restart", "error", "end"])
def test_nothing_waits_for_the_collector(last):
    """A parser and its handlers are a cycle until it is broken."""
    parsers = lambda: sum(isinstance(o, XMLParserType) for o in gc.get_objects())  # noqa: E731
    reader = opened()
    reader.feed(MESSAGE)
    gc.collect()
    gc.disable()
    try:
        before = parsers()
        for _ in range(50):
            reader.restart()
            reader.feed(HEAD + MESSAGE + b"<message>")
            if last == "error":
                reader.feed(b"</a>")
            elif last == "end":
                reader.feed(b"</message>" + END_TAG)
            elif last == "close":
                reader.close()
        reader.restart()
        assert parsers() <= before + 1
    finally:
        gc.enable()


def test_reader_goes_when_let_go():
    class Watched(Reader):
        __slots__ = ("__weakref__",)

    reader = Watched()
    reader.feed(HEAD + MESSAGE)
    gone = weakref.ref(reader)
    gc.disable()
    try:
        del reader
        assert gone() is None
    finally:
        gc.enable()


def test_closed_reader_ignores_input():
    reader = opened()
    reader.feed(b"<message>")
    reader.close()
    assert reader.feed(b"</message>") == []
    reader.close()


# However it is cut

TEXT = st.text(st.sampled_from("ab <>&'\"]\n\r\tä€😀:="), max_size=12)
QUOTES = st.sampled_from("'\"")
NAME = st.sampled_from(["a", "b", "body", "x-1", "ä", "f:a", "stream:a"])


def _quoted(value, quote):
    value = value.replace("&", "&amp;").replace("<", "&lt;")
    return quote + value.replace(quote, "&#39;" if quote == "'" else "&quot;") + quote


@st.composite
def elements(draw, depth=2, names=NAME):
    name = draw(names)
    attributes = draw(
        st.dictionaries(st.sampled_from(["to", "id", "xml:lang", "c"]), TEXT, max_size=3)
    )
    words = [f"{k}={_quoted(v, draw(QUOTES))}" for k, v in attributes.items()]
    if name.startswith("f:") or draw(st.booleans()):
        words.append(f"xmlns:f={_quoted('urn:f' + draw(st.sampled_from(['', '2'])), chr(39))}")
    if draw(st.integers(0, 3)) == 0:
        words.insert(
            draw(st.integers(0, len(words))),
            f"xmlns='{draw(st.sampled_from(['jabber:client', 'urn:x']))}'",
        )
    tag = " ".join([name, *words])
    inside = []
    for _ in range(draw(st.integers(0, 3)) if depth else 0):
        which = draw(st.integers(0, 3))
        if which == 0:
            inside.append(
                draw(TEXT).replace("&", "&amp;").replace("<", "&lt;").replace("]]>", "]]&gt;")
            )
        elif which == 1:
            inside.append("<![CDATA[" + draw(TEXT).replace("]]>", "") + "]]>")
        else:
            inside.append(draw(elements(depth - 1)))
    if not inside and draw(st.booleans()):
        return f"<{tag}/>"
    return f"<{tag}>{''.join(inside)}</{name}>"


STANZAS = st.lists(
    st.tuples(
        elements(names=st.sampled_from(["message", "iq", "a", "f:message", "stream:error"])),
        st.sampled_from(["", " ", "\n", "\r\n", "\r"]),
    ),
    max_size=6,
)


def meaning(element):
    """A tree without the ways to write it."""
    nodes = []
    for node in element.children:
        if isinstance(node, str) and nodes and isinstance(nodes[-1], str):
            nodes[-1] += node
        else:
            nodes.append(node if isinstance(node, str) else meaning(node))
    return element.uri, element.name, element.attributes, nodes


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stanzas=STANZAS, seed=st.integers(0, 2**32))
@example(stanzas=[("<message><body>a ]]&gt;</body></message>", "\r")], seed=1)
def test_stanzas_are_the_same_however_they_are_cut(stanzas, seed):
    """Whole, byte by byte and at random cuts; and they mean what domish reads."""
    data = "".join(stanza + space for stanza, space in stanzas).encode()
    events = read(data)
    assert len(raws(events)) == len(stanzas)
    rest, reader, singly = data, opened(), []
    dice = random.Random(seed)
    while rest:
        size = dice.choice((1, 2, 3, 7, 20, 100))
        singly += reader.feed(rest[:size])
        rest = rest[size:]
    assert plain(singly) == plain(events)
    for event, (written, _) in zip(events, stanzas, strict=True):
        assert meaning(event.element) == meaning(_by_domish(written))
        assert event.element.uri == event.ns


def _by_domish(written):
    from twisted.words.xish.domish import ExpatElementStream

    found = []
    stream = ExpatElementStream()
    stream.DocumentStartEvent = lambda element: None
    stream.DocumentEndEvent = lambda: None
    stream.ElementEvent = found.append
    stream.parse(HEAD + written.encode() + END_TAG)
    return found[0]


@settings(max_examples=100, deadline=None)
@given(
    data=st.lists(
        st.sampled_from(
            [
                *(
                    b"<",
                    b">",
                    b"/",
                    b"'",
                    b'"',
                    b"=",
                    b" ",
                    b"a",
                    b":",
                    b"&",
                    b";",
                    b"]",
                    b"!",
                    b"?",
                ),
                *(b"<a>", b"</a>", b"<a/>", b"<![CDATA[", b"]]>", b"<!--", b"-->", b"<?", b"?>"),
                *(b"&amp;", b"\xff", b"\xc3\xa4", b"\x00", b"\r", b"xmlns='b'", END_TAG),
            ]
        ),
        max_size=25,
    ).map(b"".join)
)
def test_any_input_ends_alike_however_it_is_cut(data):
    """What was good before an error is the same; and so is whether there is an end.

    A fault inside what is not finished shows only when more comes: hence the end tags.
    """
    data += b"</a></a></a>"
    whole = opened().feed(data)
    reader = opened()
    singly = [event for i in range(len(data)) for event in reader.feed(data[i : i + 1])]
    good = [event for event in plain(whole) if not isinstance(event, str)]
    assert [event for event in plain(singly) if not isinstance(event, str)] == good
    assert len(singly) == len(whole)
