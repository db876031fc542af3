"""XEP-0084, XEP-0153, XEP-0398: avatars."""

import base64
import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsuite.rules import avatars
from imsuite.rules.avatars import NS_DATA, NS_METADATA, NS_UPDATE, NS_VCARD, Image
from imsuite.xmpp.build import build
from imsuite.xmpp.stanza import Stanza, to_bytes
from tests.helpers import holds

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 64, 48) + b"\x08\x06\0\0\0"
GIF = b"GIF89a" + struct.pack("<HH", 32, 16) + b"\0\0\0"
JPEG = (
    b"\xff\xd8\xff\xe0\0\x04\0\0"  # APP0
    + b"\xff\xff\xc2\0\x0b\x08"
    + struct.pack(">HH", 96, 80)
    + b"\x01\x01\x11\0"
)
WEBP = b"RIFF\x10\0\0\0WEBPVP8 "
SHA = hashlib.sha1(PNG).hexdigest()


def b64(data):
    """Return Base64 as text."""
    return base64.b64encode(data).decode()


def card(inner):
    """Return a card."""
    return build(f"<vCard xmlns='{NS_VCARD}'>{inner}</vCard>".encode(), NS_VCARD)


def metadata(inner):
    """Return the payload of the metadata node."""
    return build(f"<metadata xmlns='{NS_METADATA}'>{inner}</metadata>".encode(), NS_METADATA)


def presence(inner=""):
    """Return a presence with something in it."""
    return Stanza.parse(f"<presence from='a@b/c'>{inner}<status>x</status></presence>".encode())


def x(inner=""):
    """Return an update child."""
    return f"<x xmlns='{NS_UPDATE}'>{inner}</x>"


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("AAEC", b"\0\x01\x02"),
        (" AA\r\n\tEC ", b"\0\x01\x02"),  # XEP-0153 §4.5: white space is ignored
        ("AAE=", b"\0\x01"),
        ("", None),
        (" \n", None),
        ("AAE", None),
        ("AA*C", None),
        ("AA\u00a0EC", None),
        ("äöü=", None),
    ],
)
def test_base64_with_white_space_and_nothing_else_is_decoded(text, data):
    """XEP-0084 §4.1, XEP-0153 §4.5"""
    assert avatars.decode(text) == data


@given(st.text(alphabet=st.characters(codec="utf-8")) | st.binary().map(b64))
def test_no_text_breaks_decoding(text):
    """What comes in is bytes or nothing."""
    found = avatars.decode(text)
    assert found is None or found


@pytest.mark.parametrize(
    ("data", "type", "size"),
    [
        (PNG, "image/png", (64, 48)),
        (GIF, "image/gif", (32, 16)),
        (JPEG, "image/jpeg", (80, 96)),
        (WEBP, "image/webp", None),
        (PNG[:20], "image/png", None),
        (PNG[:16] + bytes(8), "image/png", None),
        (PNG[:16] + b"\xff" * 8, "image/png", None),
        (GIF[:8], "image/gif", None),
        (JPEG[:10], "image/jpeg", None),
        (b"\xff\xd8\xff" + b"\xff" * 50, "image/jpeg", None),
        (b"\xff\xd8\xff\xe0\0\0" * 9, "image/jpeg", None),
        (b"<svg/>", None, None),
    ],
)
def test_data_say_what_they_are(data, type, size):
    """XEP-0153 §5; XEP-0084 §4.2.1: width and height if they are available."""
    assert (avatars.real_type(data), avatars.size(data)) == (type, size)


@given(st.sampled_from([PNG[:8], GIF[:6], JPEG[:3], JPEG[:8], b""]), st.binary(max_size=300))
def test_no_data_break_the_size(start, data):
    """The size of a picture is read from data that anybody made."""
    found = avatars.size(start + data)
    assert found is None or all(0 < each < 65536 for each in found)


@pytest.mark.parametrize(
    ("inner", "image"),
    [
        (f"<PHOTO><TYPE>image/png</TYPE><BINVAL>{b64(PNG)}</BINVAL></PHOTO>", (PNG, "image/png")),
        (f"<PHOTO><TYPE>image/jpeg</TYPE><BINVAL>{b64(PNG)}</BINVAL></PHOTO>", (PNG, "image/png")),
        ("<PHOTO><TYPE> Image/X-Icon </TYPE><BINVAL>AAEC</BINVAL></PHOTO>",
         (b"\0\x01\x02", "image/x-icon")),
        ("<PHOTO><TYPE>text/html</TYPE><BINVAL>AAEC</BINVAL></PHOTO>", (b"\0\x01\x02", None)),
        ("<PHOTO><BINVAL>AAEC</BINVAL></PHOTO>", (b"\0\x01\x02", None)),
        ("<PHOTO><BINVAL>no!</BINVAL></PHOTO><PHOTO><BINVAL>AAEC</BINVAL></PHOTO>",
         (b"\0\x01\x02", None)),
        ("<PHOTO><EXTVAL>http://example.org/a.png</EXTVAL></PHOTO>", None),
        ("<PHOTO><BINVAL/></PHOTO>", None),
        ("<PHOTO/>", None),
        ("<FN>Romeo</FN>", None),
        ("<PHOTO xmlns='urn:x'><BINVAL>AAEC</BINVAL></PHOTO>", None),
    ],
)  # fmt: skip
def test_photo_of_a_card(inner, image):
    """XEP-0153 §4.4, §5: its data, and the type that they have."""
    assert avatars.photo_of(card(inner)) == (image and Image(*image))


def test_photo_is_put_into_a_card_and_the_rest_stays():
    """XEP-0398 §3.1"""
    before = card("<FN>R</FN><PHOTO><BINVAL>AAEC</BINVAL></PHOTO><PHOTO/><X a='1'/>")
    after = avatars.with_photo(before, Image(PNG, "image/png"))
    assert holds(
        to_bytes(after).decode(),
        f"<vCard xmlns='vcard-temp'><FN>R</FN><X a='1'/>"
        f"<PHOTO><TYPE>image/png</TYPE><BINVAL>{b64(PNG)}</BINVAL></PHOTO></vCard>",
    )
    assert to_bytes(after).count(b"<PHOTO>") == 1
    assert to_bytes(before).count(b"<PHOTO") == 2


def test_card_without_photo():
    """XEP-0398 §3.1: nothing is left of one that had nothing else."""
    assert avatars.with_photo(card("<PHOTO><BINVAL>AAEC</BINVAL></PHOTO>"), None) is None
    assert avatars.with_photo(None, None) is None
    assert b"PHOTO" not in to_bytes(avatars.with_photo(card("<FN>R</FN><PHOTO/>"), None))


@given(st.sampled_from([PNG, GIF, JPEG, WEBP, b""]), st.binary(min_size=1, max_size=200))
def test_picture_survives_the_way_there_and_back(start, data):
    """XEP-0398 §3: card to nodes to card."""
    image = avatars.photo_of(avatars.with_photo(None, Image(start + data, "image/x-test")))
    payload, about = avatars.data_of(image), avatars.metadata_of(image)
    info = avatars.chosen(image.id, about)
    assert avatars.image_of(info, payload) == image
    assert len(about.elements().__next__()["bytes"]) > 0


def test_metadata_say_what_is_known():
    """XEP-0084 §4.2.1"""
    assert holds(
        to_bytes(avatars.metadata_of(Image(PNG, "image/png"))).decode(),
        f"<metadata xmlns='{NS_METADATA}'><info id='{SHA}' bytes='{len(PNG)}' type='image/png'"
        " width='64' height='48'/></metadata>",
    )
    assert not list(avatars.metadata_of(None).elements())


ONE, TWO = "a" * 40, "b" * 40


@pytest.mark.parametrize(
    ("item", "inner", "id"),
    [
        (ONE, f"<info id='{ONE}' bytes='1' type='image/png'/>", ONE),
        (ONE.upper(), f"<info id='{ONE.upper()}' bytes='1' type='image/png'/>", ONE),
        (ONE, f"<info id='{TWO}' type='image/gif' url='http://x.example'/><info id='{ONE}'/>", ONE),
        (TWO, f"<info id='{ONE}'/><info id='{TWO}'/>", TWO),
        ("current", f"<info id='{ONE}'/><info id='{TWO}'/>", ONE),
        (ONE, f"<info id='{ONE}' url='https://x.example'/>", None),
        (ONE, "<info id='short'/><info/>", None),
        (ONE, "<pointer/>", None),
        (ONE, f"<info xmlns='urn:x' id='{ONE}'/>", None),
        (ONE, "", None),
    ],
)
def test_form_without_url_is_chosen(item, inner, id):
    """XEP-0398 §3.1: not the one that points elsewhere."""
    found = avatars.chosen(item, metadata(inner))
    assert (found and found.id) == id


@pytest.mark.parametrize(
    ("inner", "disabled"),
    [("", True), (" ", True), ("<stop/>", True), (f"<info id='{ONE}'/>", False),
     ("<pointer/>", False)],
)  # fmt: skip
def test_empty_metadata_disable(inner, disabled):
    """XEP-0084 §3.5"""
    assert avatars.is_disabled(metadata(inner)) is disabled


@pytest.mark.parametrize(
    "payload",
    [
        f"<data xmlns='{NS_DATA}'>{b64(PNG + b'!')}</data>",
        f"<data xmlns='{NS_DATA}'>no picture</data>",
        f"<data xmlns='{NS_DATA}'/>",
        f"<data xmlns='urn:x'>{b64(PNG)}</data>",
        f"<picture xmlns='{NS_DATA}'>{b64(PNG)}</picture>",
    ],
)
def test_data_that_are_not_what_the_metadata_say_are_no_picture(payload):
    """XEP-0398 §3.1: the SHA-1 is verified."""
    info = avatars.Info(SHA, "image/png", None, SHA)
    assert avatars.image_of(info, build(payload.encode(), NS_DATA)) is None


EMPTY = x("<photo/>")
KNOWN, OTHER = "1" * 40, "2" * 40


@pytest.mark.parametrize(
    ("said", "hash", "goes"),
    [
        # what was said, what is known, what goes out: None for the same
        ("", KNOWN, x(f"<photo>{KNOWN}</photo>")),
        ("", "", EMPTY),
        ("", None, None),
        (x(), KNOWN, x(f"<photo>{KNOWN}</photo>")),
        (x(), "", EMPTY),
        (x(), None, EMPTY),
        (x("<other/>"), KNOWN, x(f"<photo>{KNOWN}</photo>")),
        (EMPTY, KNOWN, None),
        (EMPTY, "", None),
        (EMPTY, None, None),
        (x("<photo> </photo>"), KNOWN, None),
        (x(f"<photo>{KNOWN}</photo>"), KNOWN, None),
        (x("<photo>ABCD</photo>"), "abcd", None),
        (x(f"<photo>{OTHER}</photo>"), KNOWN, x(f"<photo>{KNOWN}</photo>")),
        (x(f"<photo>{OTHER}</photo>"), "", None),
        (x(f"<photo>{OTHER}</photo>"), None, None),
        (x() + x(f"<photo>{OTHER}</photo>"), KNOWN, x(f"<photo>{KNOWN}</photo>")),
        (x() + EMPTY, KNOWN, None),
    ],
)
def test_presence_says_the_hash(said, hash, goes):
    """XEP-0398 §4"""
    before = presence(said)
    after = avatars.announcing(before, hash)
    if goes is None:
        assert after is None
        return
    assert after.attrs == before.attrs
    assert holds(after.raw.decode(), f"<presence from='a@b/c'><status>x</status>{goes}</presence>")
    assert after.raw.count(b"<x ") == 1
    assert after.children.count(f"{NS_UPDATE}}}x") == 1


@pytest.mark.parametrize(
    ("said", "silent"),
    [("", False), (x(), False), (EMPTY, True), (x(f"<photo>{OTHER}</photo>"), False)],
)
def test_who_shows_no_avatar_is_known(said, silent):
    """XEP-0153 §4.1"""
    assert avatars.keeps_silent(presence(said)) is silent
    assert not avatars.silenced(presence(said)).has(NS_UPDATE, "x")
