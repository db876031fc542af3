"""What a stream may not hold, or not so much of (RFC 6120 §4.9.3, §11, §13.12)."""

import pytest

from imsuite.streams.parser import Limits
from tests.streams.reading import (
    END_TAG,
    MESSAGE,
    condition,
    opened,
    plain,
    raws,
    read,
)


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
        (b"<xml:message xmlns='urn:x'/>", "bad-namespace-prefix"),
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
