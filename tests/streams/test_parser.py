"""Reading a stream, its header and its stanzas (RFC 6120 §4)."""

import pytest
from twisted.words.xish.domish import Element

from imsuite.streams.parser import END, Header, Limits, Reader
from tests.streams.reading import (
    END_TAG,
    HEAD,
    MESSAGE,
    header_condition,
    opened,
    plain,
    raws,
    read,
)


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


def test_closed_reader_ignores_input():
    reader = opened()
    reader.feed(b"<message>")
    reader.close()
    assert reader.feed(b"</message>") == []
    reader.close()
