"""XEP-0317: hats as values."""

import pytest

from imsuite.rules.hats import HUE, NS_HATS, TITLE, URI, Hat, Hats, read
from imsuite.xmpp import forms
from imsuite.xmpp.build import build
from imsuite.xmpp.errors import StanzaError

HOST, SCRIBE = Hat("urn:x:host", "Host", "10"), Hat("urn:x:scribe", "The 'scribe'")
JULIET, NURSE = "juliet@example.org", "nurse@example.org"


@pytest.fixture
def hats():
    """Two hats; the nurse wears both."""
    made = Hats()
    for hat in (HOST, SCRIBE):
        made.put(hat)
        made.give(NURSE, hat.uri)
    return made


def submitted(title, uri, hue=None):
    """Return a form that was filled in."""
    values = {TITLE: title, URI: uri} | ({} if hue is None else {HUE: hue})
    return forms.make("submit", None, [forms.field(None, var, v) for var, v in values.items()])


def test_hats_are_shown_as_they_were_given(hats):
    """§3.1: nothing for who wears none"""
    shown = build(hats.shown(NURSE), NS_HATS)
    assert shown.name == "hats"
    assert [dict(hat.attributes) for hat in shown.elements()] == [
        {"title": "Host", "uri": "urn:x:host", "hue": "10"},
        {"title": "The 'scribe'", "uri": "urn:x:scribe"},
    ]
    assert hats.shown(JULIET) == b""


def test_hat_that_is_destroyed_is_worn_by_nobody(hats):
    """§3.3"""
    hats.give(JULIET, HOST.uri)
    assert sorted(hats.destroy(HOST.uri)) == [JULIET, NURSE]
    assert hats.worn == {NURSE: (SCRIBE.uri,)}
    assert hats.of(JULIET) == ()
    assert hats.destroy("urn:x:unknown") == []


def test_hat_is_given_once(hats):
    """§3.5, §3.6"""
    hats.give(NURSE, HOST.uri)
    assert hats.of(NURSE) == (HOST, SCRIBE)
    hats.take(NURSE, HOST.uri)
    hats.take(NURSE, SCRIBE.uri)
    hats.take(JULIET, SCRIBE.uri)
    assert hats.worn == {}


def test_hash_is_of_the_list(hats):
    """§2: in whatever order, and whoever wears them"""
    other = Hats()
    other.put(SCRIBE)
    assert other.hash() != hats.hash()
    other.put(HOST)
    assert other.hash() == hats.hash()
    other.put(Hat(HOST.uri, "Hostess", "10"))
    assert other.hash() != hats.hash()


@pytest.mark.parametrize("hue", ["0", "360", "327.255249", " 10 ", "", None])
def test_hats_are_read(hue):
    """§3.2"""
    expected = Hat("https://example.org/h#1", "Host", (hue or "").strip())
    assert read(submitted(" Host ", " https://example.org/h#1 ", hue)) == expected


@pytest.mark.parametrize("hue", ["-1", "360.1", "1e2", "١", "10deg", "nan"])
def test_other_angles_are_none(hue):
    """XEP-0392: degrees"""
    with pytest.raises(StanzaError):
        read(submitted("Host", "urn:x:host", hue))


@pytest.mark.parametrize("uri", ["x", ":x", "1a:x", "a:", "a:<b>", "a:b c", "a:\u0085b"])
def test_what_is_no_uri(uri):
    """RFC 3986 §3"""
    with pytest.raises(StanzaError):
        read(submitted("Host", uri))
