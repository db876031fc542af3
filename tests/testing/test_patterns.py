"""Patterns of XML."""

import pytest

from imsuite.testing.patterns import BadXML, Wire, fill, match, read, shown

X = "<x xmlns='u' a='1' b='2'>text<y c='3'/><y c='4'>deep<z xmlns='v'/></y></x>"


def first(pattern, found=X, values=()):
    return next(match(read(pattern), read(found), dict(values)), None)


@pytest.mark.parametrize(
    "pattern",
    [
        X,
        "<x xmlns='u'/>",
        "<x xmlns='u' b='2'/>",
        "<x xmlns='u'>text</x>",
        "<x xmlns='u'>\n  text\n</x>",
        "<x xmlns='u'><y c='4'/></x>",
        "<x xmlns='u'><y c='4'/><y c='3'/></x>",
        "<x xmlns='u'><y/><y c='3'/></x>",
        "<x xmlns='u'><y><z xmlns='v'/></y></x>",
        "<q:x xmlns:q='u'/>",
    ],
)
def test_what_is_written_must_be_there_and_more_may_be(pattern):
    """Architecture §12"""
    assert first(pattern) == {}


@pytest.mark.parametrize(
    "pattern",
    [
        "<x/>",
        "<y xmlns='u'/>",
        "<x xmlns='u' a='2'/>",
        "<x xmlns='u' c='3'/>",
        "<x xmlns='u'>tex</x>",
        "<x xmlns='u'><y/><y/><y/></x>",
        "<x xmlns='u'><y c='5'/></x>",
        "<x xmlns='u'><z xmlns='v'/></x>",
        "<x xmlns='u'><y><z/></y></x>",
    ],
)
def test_what_is_not_there_does_not_fit(pattern):
    assert first(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "values", "wanted"),
    [
        ("<x xmlns='u' a='{n}'/>", {}, {"n": "1"}),
        ("<x xmlns='u' a='{n}'/>", {"n": "1"}, {"n": "1"}),
        ("<x xmlns='u' a='{n}'/>", {"n": "2"}, None),
        ("<x xmlns='u' a='{n}' b='{n}'/>", {}, None),
        ("<x xmlns='u' a='{n}' b='{m}'/>", {}, {"n": "1", "m": "2"}),
        ("<x xmlns='u' a='{}' b='{}'/>", {}, {}),
        ("<x xmlns='u'>t{rest}</x>", {}, {"rest": "ext"}),
        ("<x xmlns='u'>{a}x{a}</x>", {}, None),
        ("<x xmlns='u'><y c='{n}'>deep</y></x>", {}, {"n": "4"}),
        ("<x xmlns='u'><y c='{n}'/><y c='3'/></x>", {}, {"n": "4"}),
    ],
)
def test_variables_stand_for_one_value(pattern, values, wanted):
    assert first(pattern, values=values) == wanted


def test_values_are_put_into_what_is_sent():
    assert fill("<a id='{x}' b='{y}' c='{}'/>", {"x": "<'&\">"}) == (
        "<a id='&lt;&apos;&amp;&quot;&gt;' b='{y}' c='{}'/>"
    )


def test_a_stream_header_needs_no_end():
    header = read("<?xml version='1.0'?><stream:stream to='example.org'>")
    assert header.tag == "{http://etherx.jabber.org/streams}stream"
    assert header.get("to") == "example.org"


@pytest.mark.parametrize("text", ["", "text", "<a", "<a/><b/>", "<a></b>"])
def test_what_is_no_element_is_said(text):
    with pytest.raises(BadXML):
        read(text)


def test_elements_are_shown_as_people_write_them():
    text = "<a xml:lang='en' b='&lt;'>x<c xmlns='u'><d/></c>y<e/></a>"
    assert shown(read(text)) == text


def test_a_wire_gives_what_is_complete():
    wire = Wire()
    stream = (
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client'"
        " xmlns:stream='http://etherx.jabber.org/streams' id='1'>"
        "<stream:features><a xmlns='u'/></stream:features> <iq id='é'/></stream:stream>"
    ).encode()
    found = [each for byte in stream for each in wire.feed(bytes([byte]))]
    assert [each.tag.rpartition("}")[2] for each in found] == ["stream", "features", "iq"]
    assert found[2].get("id") == "é"
    assert wire.ended
    with pytest.raises(BadXML):
        wire.feed(b"<iq/>")
