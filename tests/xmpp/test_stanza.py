"""Stanzas: what their bytes say stays what their fields say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.words.xish.domish import Element

from imsuite.xmpp import ns as NS
from imsuite.xmpp.build import build
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import (
    Stanza,
    child,
    children,
    delayed,
    error,
    iq_set,
    make,
    presence,
    result,
    text_of,
    with_attributes,
)

# what XML 1.0 can hold
TEXT = st.text(
    st.characters(blacklist_categories=("Cs",), blacklist_characters="\ufffe\uffff").filter(
        lambda c: c >= " " or c in "\t\n\r"
    )
)
MESSAGE = b"<message to='a@b' id='1'><body>hi</body></message>"


def test_children_are_known_without_opening():
    stanza = Stanza.parse(MESSAGE)
    stanza._element = None
    assert stanza.has(NS.CLIENT, "body")
    assert not stanza.has(NS.CLIENT, "subject")
    assert stanza.child(NS.CLIENT, "subject") is None
    assert stanza._element is None
    assert text_of(stanza.child(NS.CLIENT, "body")) == "hi"


@given(TEXT, TEXT)
def test_attributes_that_are_set_are_read_back(value, other):
    """RFC 6120 §8.1: whatever a resource or an id holds."""
    stanza = Stanza.parse(MESSAGE).amended({"from": value, "id": other})
    again = build(stanza.raw, NS.CLIENT)
    assert (again["from"], again["id"], again["to"]) == (value, other, "a@b")
    assert stanza.attrs == {"to": "a@b", "id": other, "from": value}


def test_attributes_are_removed():
    stanza = Stanza.parse(MESSAGE).amended({"to": None, "missing": None})
    assert stanza.raw == b"<message id='1'><body>hi</body></message>"
    assert stanza.attrs == {"id": "1"}


@pytest.mark.parametrize(
    "raw",
    [
        b"<iq id=\" from='x'\" to='y'/>",
        b"<iq\n\tid = 'a>b' to='y' />",
        b"<iq to='y'>text <a from='z'/></iq>",
    ],
)
def test_only_the_start_tag_is_rewritten(raw):
    """Quotes of both kinds, spaces and ">" in values do not mislead it."""
    before = build(raw, NS.CLIENT)
    after = build(with_attributes(raw, {"from": "me"}), NS.CLIENT)
    assert after.attributes == {**before.attributes, "from": "me"}
    assert [str(node) for node in after.children] == [str(node) for node in before.children]


def test_what_is_no_element_has_no_attributes():
    with pytest.raises(ValueError, match="not an element"):
        with_attributes(b"words", {"from": "me"})


@pytest.mark.parametrize("raw", [b"<presence to='a'/>", b"<presence to='a'></presence>"])
def test_children_are_added_before_the_end_tag(raw):
    stanza = Stanza.parse(raw).plus(b"<x xmlns='urn:x'/>", "urn:x}x")
    assert stanza.has("urn:x", "x")
    assert build(stanza.raw, NS.CLIENT).firstChildElement().uri == "urn:x"


def test_children_are_left_out():
    stanza = Stanza.parse(b"<message><a xmlns='u'/><body>hi</body><a xmlns='u'/></message>")
    left = stanza.without(children(stanza.element, "u", "a"))
    assert left.raw == b"<message><body>hi</body></message>"
    assert left.children == (f"{NS.CLIENT}}}body",)


@pytest.mark.parametrize("ns", [None, NS.CLIENT, NS.SERVER])
def test_an_element_of_whatever_content_namespace_becomes_ours(ns):
    """Libraries build stanzas without a namespace, or in the one of their own stream."""
    element = Element((ns, "message"))
    element["to"] = "a@b"
    element.addElement((ns, "body"), content="hi")
    element.addElement(("urn:x", "x"))
    stanza = Stanza.of(element)
    assert (stanza.ns, stanza.kind) == (NS.CLIENT, "message")
    assert stanza.children == (f"{NS.CLIENT}}}body", "urn:x}x")
    assert text_of(child(build(stanza.raw, NS.CLIENT), NS.CLIENT, "body")) == "hi"


def test_a_result_swaps_addresses_and_keeps_the_id():
    """RFC 6120 §8.2.3"""
    request = make("iq", {"type": "get", "id": "1", "from": "a@b/c", "to": "d@e"})
    payload = Element(("urn:x", "x"))
    assert result(request, payload).raw == (
        b"<iq type='result' id='1' from='d@e' to='a@b/c'><x xmlns='urn:x'/></iq>"
    )


def test_an_error_says_condition_text_and_application():
    """RFC 6120 §8.3"""
    request = make("message", {"id": "1", "from": "a@b/c", "to": "d@e"})
    why = StanzaError("not-acceptable", type="cancel", text="a < b", app=("urn:x", "why"))
    answer = build(error(request, why, by="e").raw, NS.CLIENT)
    found = child(answer, NS.CLIENT, "error")
    assert (answer["type"], answer["id"], answer["from"]) == ("error", "1", "d@e")
    assert (found["type"], found["by"]) == ("cancel", "e")
    assert [(node.uri, node.name) for node in found.elements()] == [
        (NS.STANZAS, "not-acceptable"),
        (NS.STANZAS, "text"),
        ("urn:x", "why"),
    ]
    assert text_of(child(found, NS.STANZAS, "text")) == "a < b"


@pytest.mark.parametrize("to", ["", "@", "a@b@c", "x/ "])
def test_what_is_no_address_is_no_sender(to):
    """RFC 6120 §8.3.3.8: a strict client could not read the error otherwise."""
    request = make("message", {"from": "a@b/c", "to": to})
    assert error(request, StanzaError("jid-malformed")).sender is None
    assert error(request, StanzaError("bad-request")).sender is None
    fine = make("iq", {"from": "a@b/c", "to": "d@e"})
    assert error(fine, StanzaError("jid-malformed")).sender == "d@e"


def test_made_stanzas_escape_what_they_are_given():
    assert presence("a'b", "c&d", "unavailable").raw == (
        b"<presence from='a&apos;b' to='c&amp;d' type='unavailable'/>"
    )
    assert iq_set(None, "a@b/c", "1", Element(("urn:x", "x"))).raw == (
        b"<iq type='set' to='a@b/c' id='1'><x xmlns='urn:x'/></iq>"
    )


def test_a_delay_is_given_once():
    """XEP-0203 §3: the first who delayed it knows best."""
    once = delayed(make("message", {"id": "1"}), "example.org", 1_767_225_600_000_000)
    assert b"from='example.org' stamp='2026-01-01T00:00:00" in once.raw
    assert delayed(once, "other.example", 0) is once
