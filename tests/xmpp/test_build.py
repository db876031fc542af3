"""Elements from bytes and back (RFC 6120 §11)."""

import gc
import re
from pyexpat import XMLParserType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.words.xish.domish import Element, ExpatElementStream

from imsuite.xmpp import build as module
from imsuite.xmpp import ns as NS
from imsuite.xmpp.build import build, serialise

CLIENT = "jabber:client"


def by_domish(raw, ns=CLIENT):
    found = []
    stream = ExpatElementStream()
    stream.DocumentStartEvent = lambda element: None
    stream.DocumentEndEvent = lambda: None
    stream.ElementEvent = found.append
    stream.parse(f"<s xmlns='{ns}'>".encode() + raw + b"</s>")
    (element,) = found
    return element


def parts(element):
    return (
        element.uri,
        element.name,
        element.defaultUri or "",
        element.attributes,
        element.localPrefixes,
        [node if isinstance(node, str) else parts(node) for node in element.children],
    )


def meaning(element):
    return (
        element.uri,
        element.name,
        element.attributes,
        [node if isinstance(node, str) else meaning(node) for node in element.children],
    )


RAWS = [
    b"<message to='a' xml:lang='en'><body>a &amp; b\n<![CDATA[<c>]]></body>tail</message>",
    b"<iq><query xmlns='jabber:iq:roster'><item jid='a'><group>b</group></item></query></iq>",
    b"<iq xmlns:f='urn:f' f:a='1'><f:b f:c='2'/><d xmlns='urn:d' xmlns:f='urn:g'><f:e/></d></iq>",
    b"<x xmlns=''><y/></x>",
    b"<m:x xmlns:m='urn:m' xmlns='urn:d'><y/><m:z/></m:x>",
    b"<x>" + b"text &lt; " * 3000 + b"</x>",
    "<x ä='ö'>€😀</x>".encode(),
]


@pytest.mark.parametrize("raw", RAWS)
def test_element_is_what_domish_makes(raw):
    element = build(raw, CLIENT)
    assert type(element) is Element
    assert parts(element) == parts(by_domish(raw))


@pytest.mark.parametrize("raw", RAWS)
def test_element_survives_a_round_trip(raw):
    element = build(raw, CLIENT)
    assert meaning(build(serialise(element, CLIENT).encode(), CLIENT)) == meaning(element)
    for ns in (CLIENT, "urn:other"):
        assert meaning(build(serialise(element, ns).encode(), ns)) == meaning(element)
    assert meaning(by_domish(element.toXml().encode(), "")) == meaning(element)


def test_parents_are_set():
    element = build(b"<a><b><c/></b></a>", CLIENT)
    assert element.parent is None
    assert element.b.parent is element
    assert element.b.c.parent is element.b


def test_namespace_is_the_one_given():
    assert build(b"<a><b/></a>", "urn:it's <&>").b.uri == "urn:it's <&>"
    assert build(b"<a/>", "").uri == ""


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"a",
        b"<a>",
        b"<a/><b/>",
        b"<a/>b",
        b"b<a/>",
        b"<a/><b",
        b"<a/></s>",
        b"</s>",
        b"<a></b>",
        b"<f:a/>",
        b"<stream:a/>",
        b"<a><!-- --></a>",
        b"<a><?b?></a>",
        b"<!DOCTYPE a><a/>",
        b"<a>&b;</a>",
        b"<a>\xff</a>",
        b"<a/><![CDATA[b]]>",
    ],
)
def test_what_is_not_one_element_is_refused(raw):
    """§11.1, §11.3; and the next is read as if nothing had been."""
    with pytest.raises(ValueError, match="element"):
        build(raw, CLIENT)
    assert build(b" <a/>\n", CLIENT).uri == CLIENT


def test_parser_is_thrown_away_in_time():
    builder = module.Builder(b"<s>", "")
    seen = []
    for i in range(2 * module.MOST_USES + 1):
        builder.build(b"<n%d/>" % i)
        if builder._expat is not None and (not seen or seen[-1] is not builder._expat):
            seen.append(builder._expat)
    assert len(seen) == 3
    builder.build(b"<a>" + b"x" * module.MOST_BYTES + b"</a>")
    assert builder._expat is None


def test_namespaces_are_not_collected():
    for i in range(200):
        build(b"<a/>", f"urn:{i}")
    assert len(module._mine.builders) <= module._MOST_BUILDERS
    for i in range(2 * module._MOST_NAMES):
        element = build(b"<n%d/>" % i, CLIENT)
        serialise(element, CLIENT)
    assert len(module._names) <= module._MOST_NAMES
    assert len(module._good) <= module._MOST_NAMES


def test_thrown_away_parser_goes_at_once():
    def parsers():
        return sum(isinstance(o, XMLParserType) for o in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = parsers()
        for _ in range(20):
            with pytest.raises(ValueError, match="element"):
                build(b"<a>", CLIENT)
        assert parsers() <= before
    finally:
        gc.enable()


# Text


def test_common_stanza_is_written_plainly():
    raw = (
        b"<message to='a' xml:lang='en'><body>It's &lt;\"&amp;</body>"
        b"<active xmlns='http://jabber.org/protocol/chatstates'/></message>"
    )
    assert serialise(build(raw, CLIENT), CLIENT).encode() == raw


def test_xmlns_is_written_where_it_changes():
    element = Element((CLIENT, "iq"))
    query = element.addElement(("urn:q", "query"))
    query.addElement("item")
    query.addElement((CLIENT, "iq"))
    inside = "<query xmlns='urn:q'><item/><iq xmlns='jabber:client'/></query>"
    assert serialise(element, CLIENT) == f"<iq>{inside}</iq>"
    assert serialise(element, "jabber:server") == (
        "<iq xmlns='jabber:client'><query xmlns='urn:q'><item/>"
        "<iq xmlns='jabber:client'/></query></iq>"
    )


def test_element_without_namespace_inherits():
    element = Element((None, "iq"))
    element.addElement("query", "urn:q").addElement("x")
    element.addElement("y")
    assert serialise(element, CLIENT) == "<iq><query xmlns='urn:q'><x/></query><y/></iq>"
    element = Element((CLIENT, "iq"))
    element.addElement("query")["xmlns"] = "jabber:iq:roster"
    assert serialise(element, CLIENT) == "<iq><query xmlns='jabber:iq:roster'/></iq>"


def test_attribute_keeps_its_namespace():
    element = Element((CLIENT, "a"))
    element[(NS.XML, "lang")] = "en"
    element[("urn:b", "c")] = "1"
    element[("urn:b", "d")] = "2"
    element["xml:id"] = "3"
    child = element.addElement("e")
    child[("urn:b", "c")] = "4"
    text = serialise(element, CLIENT)
    assert text == (
        "<a xml:lang='en' xmlns:ns0='urn:b' ns0:c='1' ns0:d='2' xml:id='3'><e ns0:c='4'/></a>"
    )
    assert build(text.encode(), CLIENT).e[("urn:b", "c")] == "4"


def test_prefix_bound_anew_is_not_confused():
    """domish writes `c` with the prefix that its grandparent had for that namespace."""
    raw = b"<a><p:x xmlns:p='u1'><p:b xmlns:p='u2'><p:y/><c xmlns='u1'/></p:b><p:z/></p:x></a>"
    element = build(raw, CLIENT)
    assert meaning(build(serialise(element, CLIENT).encode(), CLIENT)) == meaning(element)


def test_nothing_breaks_out_of_its_quotes():
    """Pitfall S-10; domish does not escape namespaces."""
    evil = "'\"><iq xmlns='&amp;"
    element = Element((CLIENT, "a"))
    element["b"] = evil
    element.addContent(evil)
    element.addElement((evil, "c"))
    element[(evil, "d")] = evil
    again = build(serialise(element, CLIENT).encode(), CLIENT)
    assert meaning(again) == meaning(element)


@pytest.mark.parametrize("name", ["", "a b", "a>", "a:b", "1a", "a=''", "a\n"])
def test_name_that_is_none_is_refused(name):
    element = Element((CLIENT, "a"))
    element.addElement((CLIENT, name))
    with pytest.raises(ValueError, match="not a name"):
        serialise(element, CLIENT)
    element = Element((CLIENT, "a"))
    element[name] = "b"
    with pytest.raises(ValueError, match="not"):
        serialise(element, CLIENT)


def test_characters_that_xml_does_not_have_are_left_out():
    """Pitfall S-10."""
    element = Element((CLIENT, "a"))
    element["b"] = "x\x00y\x0b\ud800z\uffff"
    element.addContent("x\x00y\x0b\ud800z\uffff\x7f\x85€")
    assert serialise(element, CLIENT) == "<a b='xyz'>xyz\x7f\x85€</a>"


def test_white_space_survives():
    element = Element((CLIENT, "a"))
    element["b"] = " \t\r\n "
    element.addContent(" \t\r\n ")
    assert meaning(build(serialise(element, CLIENT).encode(), CLIENT)) == meaning(element)


def test_serialised_child_is_kept():
    element = Element((CLIENT, "a"))
    element.addRawXml("<b>&lt;</b>")
    assert serialise(element, CLIENT) == "<a><b>&lt;</b></a>"


def test_declarations_may_be_limited():
    raw = b"<a xmlns:f='%s'>%s</a>" % (b"u" * 100, b"<f:b/>" * 10)
    element = build(raw, CLIENT)
    serialise(element, CLIENT, 1110)
    with pytest.raises(ValueError, match="declarations"):
        serialise(element, CLIENT, 1109)


TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff")
    | st.sampled_from("<>&'\"\t\n\r"),
    max_size=10,
)
URI = st.sampled_from(["", CLIENT, "urn:a", "urn:b", "it's"])
NAME = st.sampled_from(["a", "b", "ä-1", "_"])
KEY = NAME | st.tuples(st.sampled_from(["urn:a", "urn:c", NS.XML]), NAME)


@st.composite
def trees(draw, depth=2):
    element = Element((draw(URI), draw(NAME)))
    element.localPrefixes = draw(
        st.dictionaries(st.sampled_from(["p", "q", "ns0"]), URI.filter(bool), max_size=2)
    )
    element.attributes = draw(st.dictionaries(KEY, TEXT, max_size=3))
    for _ in range(draw(st.integers(0, 3)) if depth else 0):
        if draw(st.booleans()):
            text = draw(TEXT)
            if text:
                element.addContent(text)
        else:
            element.addChild(draw(trees(depth - 1)))
    return element


@settings(max_examples=100, deadline=None)
@given(element=trees(), ns=URI)
def test_any_element_survives_a_round_trip(element, ns):
    text = serialise(element, ns)
    assert meaning(build(text.encode(), ns)) == meaning(element)
    again = build(serialise(build(text.encode(), ns), ns).encode(), ns)
    assert meaning(again) == meaning(element)
    start = re.sub("'[^']*'", "", text[: text.index(">")])
    if element.uri == ns and not any(isinstance(key, tuple) for key in element.attributes):
        assert "xmlns" not in start
    assert ":" not in start.split()[0]


def test_element_in_the_namespace_of_xml_keeps_its_prefix():
    """XML names §3: no other prefix, nor the default, may stand for that namespace."""
    element = build(b"<m><xml:x a='1'><xml:y/><z/></xml:x></m>", "jabber:client")
    (inner,) = element.elements()
    for each in (element, inner):
        again = build(serialise(each, "jabber:client").encode(), "jabber:client")
        assert serialise(again, "jabber:client") == serialise(each, "jabber:client")
        assert (again.uri, again.name) == (each.uri, each.name)


def test_nobody_is_sent_what_is_no_xml(romeo, juliet):
    """Not even where a stanza is written anew on its way, or stored and read by another."""
    romeo.says(
        "<message to='juliet@example.org'><xml:x/>"
        "<stanza-id xmlns='urn:xmpp:sid:0' id='1' by='juliet@example.org'/></message>"
    )
    romeo.says("<iq type='set' id='v'><vCard xmlns='vcard-temp'><xml:x/></vCard></iq>")
    got = juliet.says(
        "<iq type='get' id='v' to='romeo@example.org'><vCard xmlns='vcard-temp'/></iq>"
    )
    assert "<xml:x/>" in juliet.received[0]
    assert "<xml:x/>" in got[-1]
