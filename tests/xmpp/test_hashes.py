"""XEP-0300: hash functions."""

import hashlib

import pytest
from twisted.words.xish.domish import Element

from imsuite.xmpp import hashes
from imsuite.xmpp.errors import StanzaError


@pytest.mark.parametrize(
    ("name", "start"),
    [
        # digests of "abc", from the standards of the functions
        ("md5", "900150983cd24fb0"),
        ("sha-1", "a9993e364706816a"),
        ("sha-224", "23097d223405d822"),
        ("sha-256", "ba7816bf8f01cfea"),
        ("sha-384", "cb00753f45a35e8b"),
        ("sha-512", "ddaf35a193617aba"),
        ("sha3-256", "3a985da74fe225b2"),
        ("sha3-512", "b751850b1a57168a"),
        ("blake2b-512", "ba80a53f981c4d0d"),
    ],
)
def test_names_mean_the_functions_of_the_registry(name, start):
    """§3"""
    assert hashes.digest(name, b"abc").hex().startswith(start)


def test_every_name_works():
    for name in hashes.NAMES:
        assert hashes.digest(name, b"") == hashes.new(name).digest()
    assert len(hashes.digest("blake2b-256", b"abc")) == 32


def test_base64_of_a_digest():
    """XEP-0115 §5.2, the example."""
    text = b"client/pc//Exodus 0.9.1<http://jabber.org/protocol/caps<"
    text += b"http://jabber.org/protocol/disco#info<http://jabber.org/protocol/disco#items<"
    text += b"http://jabber.org/protocol/muc<"
    assert hashes.digest_text("sha-1", text) == "QgayPKawpkPSDYmwT/WM94uAlu0="


def test_unknown_function_is_refused():
    for name in ("", "SHA-1", "sha1", "md2", "__init__"):
        with pytest.raises(hashes.UnknownHash):
            hashes.digest(name, b"")


def test_features_name_what_is_supported():
    """§5"""
    assert hashes.features(("sha-256",)) == (
        "urn:xmpp:hashes:2",
        "urn:xmpp:hash-function-text-names:sha-256",
    )
    assert not {"md5", "sha-1"} & set(hashes.SAFE)
    assert set(hashes.SAFE) < hashes.NAMES


def test_element_carries_a_digest():
    """§3"""
    value = hashlib.sha256(b"abc").digest()
    element = hashes.to_element("sha-256", value)
    assert (element.uri, element.name, element["algo"]) == (hashes.NS_HASHES, "hash", "sha-256")
    assert hashes.from_element(element) == ("sha-256", value)


@pytest.mark.parametrize("text", ["", "abc", "QgayPKawpkPSDYmwT/WM94uAlu0=", "\u00e9", " " * 44])
def test_element_with_another_content_is_refused(text):
    """§3: Base64 without white space, of the length that the function makes."""
    element = Element((hashes.NS_HASHES, "hash"), attribs={"algo": "sha-256"})
    element.addContent(text)
    with pytest.raises(StanzaError):
        hashes.from_element(element)


def test_digests_are_compared():
    assert hashes.same(b"a", b"a")
    assert not hashes.same(b"a", b"b")
