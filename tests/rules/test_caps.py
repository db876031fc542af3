"""imsuite.rules.caps: verification strings, with the examples of XEP-0115 and XEP-0390."""

import base64

import pytest

from imsuite.rules.caps import (
    Claim,
    NotProven,
    check,
    one_reading,
    read,
    read_claim,
    text1,
    text2,
    ver1,
    vers2,
)
from imsuite.xmpp.build import build

EXODUS = """
<identity category='client' name='Exodus 0.9.1' type='pc'/>
<feature var='http://jabber.org/protocol/caps'/>
<feature var='http://jabber.org/protocol/disco#info'/>
<feature var='http://jabber.org/protocol/disco#items'/>
<feature var='http://jabber.org/protocol/muc'/>"""
PSI = """
<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>
<identity xml:lang='el' category='client' name='Ψ 0.11' type='pc'/>
<feature var='http://jabber.org/protocol/muc'/>
<feature var='http://jabber.org/protocol/caps'/>
<feature var='http://jabber.org/protocol/disco#info'/>
<feature var='http://jabber.org/protocol/disco#items'/>
<x xmlns='jabber:x:data' type='result'>
<field var='FORM_TYPE' type='hidden'><value>urn:xmpp:dataforms:softwareinfo</value></field>
<field var='ip_version' type='text-multi'><value>ipv6</value><value>ipv4</value></field>
<field var='software_version'><value>0.11</value></field>
<field var='os'><value>Mac</value></field>
<field var='os_version'><value>10.5.1</value></field>
<field var='software'><value>Psi</value></field>
</x>"""
BOMBUS = "<identity category='client' name='BombusMod' type='mobile'/>" + "".join(
    f"<feature var='{var}'/>"
    for var in (
        "http://jabber.org/protocol/si",
        "http://jabber.org/protocol/bytestreams",
        "http://jabber.org/protocol/chatstates",
        "http://jabber.org/protocol/disco#info",
        "http://jabber.org/protocol/disco#items",
        "urn:xmpp:ping",
        "jabber:iq:time",
        "jabber:iq:privacy",
        "jabber:iq:version",
        "http://jabber.org/protocol/rosterx",
        "urn:xmpp:time",
        "jabber:x:oob",
        "http://jabber.org/protocol/ibb",
        "http://jabber.org/protocol/si/profile/file-transfer",
        "urn:xmpp:receipts",
        "jabber:iq:roster",
        "jabber:iq:last",
    )
)
FORM = """<x xmlns='jabber:x:data' type='result'>
<field type='hidden' var='FORM_TYPE'><value>{}</value></field>{}</x>"""


def query(inner):
    return build(
        f"<query xmlns='http://jabber.org/protocol/disco#info'>{inner}</query>".encode(),
        "jabber:client",
    )


def claim(ver, hash="sha-1", spec="115"):
    return Claim(spec, hash, ver, "node")


def field(var, *values):
    inner = "".join(f"<value>{value}</value>" for value in values)
    return f"<field var='{var}'>{inner}</field>"


@pytest.mark.parametrize(
    ("inner", "ver"),
    [(EXODUS, "QgayPKawpkPSDYmwT/WM94uAlu0="), (PSI, "q07IKJEyjvHSyhy//CH0CxmKi8w=")],
)
def test_verification_strings_are_those_of_the_examples(inner, ver):
    """XEP-0115 §5.2, §5.3"""
    assert ver1(query(inner)) == ver
    assert check(claim(ver), query(inner)).shared


def test_hash_set_of_the_simple_example():
    """XEP-0390 §4.5"""
    found = vers2(query(BOMBUS), ("sha-256", "sha3-256"))
    assert base64.b64encode(found["sha-256"]) == b"kzBZbkqJ3ADrj7v08reD1qcWUwNGHaidNUgD7nHpiw8="
    assert base64.b64encode(found["sha3-256"]) == b"79mdYAfU9rEdTOcWDO7UEAt6E56SUzk/g6TnqUeuD9Q="


def test_identities_and_forms_of_the_complex_example():
    """XEP-0390 §4.5: the second half of the input, byte by byte."""
    inner = (
        "<identity category='client' name='Ткаббер' type='pc' xml:lang='ru'/>"
        "<identity category='client' name='Tkabber' type='pc' xml:lang='en'/>"
        + FORM.format(
            "urn:xmpp:dataforms:softwareinfo",
            field("software", "Tkabber")
            + field("software_version", "0.11.1-svn-20111216-mod (Tcl/Tk 8.6b2)")
            + field("os", "Windows")
            + field("os_version", "XP"),
        )
    )
    assert text2(read(query(inner))) == (
        b"\x1cclient\x1fpc\x1fen\x1fTkabber\x1f\x1e"
        + "client\x1fpc\x1fru\x1fТкаббер\x1f\x1e\x1c".encode()
        + b"FORM_TYPE\x1furn:xmpp:dataforms:softwareinfo\x1f\x1eos\x1fWindows\x1f\x1e"
        b"os_version\x1fXP\x1f\x1esoftware\x1fTkabber\x1f\x1e"
        b"software_version\x1f0.11.1-svn-20111216-mod (Tcl/Tk 8.6b2)\x1f\x1e\x1d\x1c"
    )


def test_inherited_language_counts_or_not():
    """XEP-0390 §4.1"""
    inner = BOMBUS
    for lang in ("", "en"):
        digest = vers2(query(inner), ["sha-256"], lang)["sha-256"]
        ver = base64.b64encode(digest).decode()
        assert check(claim(ver, "sha-256", "390"), query(inner), "en").shared


@pytest.mark.parametrize(
    "inner",
    [
        EXODUS + "<identity category='client' name='Exodus 0.9.1' type='pc'/>",
        EXODUS + "<feature var='http://jabber.org/protocol/muc'/>",
        EXODUS + 2 * FORM.format("urn:a", ""),
        EXODUS + FORM.format("urn:a</value><value>urn:b", ""),
    ],
)
def test_ill_formed_results_prove_nothing(inner):
    """XEP-0115 §5.4, points 3.3 to 3.5"""
    with pytest.raises(NotProven):
        text1(read(query(inner)))


@pytest.mark.parametrize(
    "form",
    [
        "<x xmlns='jabber:x:data' type='result'><field var='a'><value>b</value></field></x>",
        FORM.format("urn:a", "").replace("hidden", "text-single"),
    ],
)
def test_forms_without_form_type_are_ignored(form):
    """XEP-0115 §5.4, point 3.6; XEP-0390 §4.1 refuses them."""
    assert ver1(query(EXODUS + form)) == "QgayPKawpkPSDYmwT/WM94uAlu0="
    with pytest.raises(NotProven):
        text2(read(query(EXODUS + form)))


@pytest.mark.parametrize(
    "inner",
    [
        EXODUS + "<more xmlns='urn:example'/>",
        EXODUS + FORM.format("urn:a", "<item/>"),
        EXODUS + FORM.format("urn:a", "<reported/>"),
    ],
)
def test_strange_results_have_no_hash_set(inner):
    """XEP-0390 §4.1"""
    with pytest.raises(NotProven):
        text2(read(query(inner)))


def test_another_hash_proves_nothing():
    """XEP-0115 §5.4, point 3.9"""
    with pytest.raises(NotProven):
        check(claim("AAAAAAAAAAAAAAAAAAAAAAAAAAA="), query(EXODUS))
    with pytest.raises(NotProven):
        check(claim("AAAA", "sha-256", "390"), query(EXODUS))


def test_unknown_hash_is_believed_of_its_sender_only():
    """XEP-0115 §5.4, point 2"""
    proof = check(claim("?", "md5"), query(EXODUS))
    assert "http://jabber.org/protocol/muc" in proof.features
    assert not proof.shared


@pytest.mark.parametrize(
    "inner",
    [
        # "<" inside a name: the last two features hide in the identity or in one feature
        "<identity category='client' type='pc' name='E&lt;http://jabber.org/protocol/caps'/>",
        "<identity category='client' type='pc' name='E'/><feature var='urn:a&lt;urn:b'/>",
        # an identity that is features, and the other way round
        "<identity category='client' type='pc' name='E'/><feature var='client/web//F'/>",
        "<identity category='http:' type='' xml:lang='jabber.org' name='protocol/caps'/>",
        "<feature var='urn:a'/>",
        # a form that is features
        "<identity category='client' type='pc' name='E'/><feature var='urn:a'/>"
        + FORM.format("urn:b", field("urn:c", "urn:d")),
        "<identity category='client' type='pc' name='E'/><feature var='urn:a'/>"
        + FORM.format("urn:b", ""),
        # the FORM_TYPE of a form among the features
        "<identity category='client' type='pc' name='E'/><feature var='urn:a'/>"
        + FORM.format("ip_version", field("ipv4") + field("ipv6")),
    ],
)
def test_results_that_can_be_forged_have_more_than_one_reading(inner):
    """XEP-0115 §9.3: what is hashed leaves room for another meaning."""
    assert not one_reading(read(query(inner)))


@pytest.mark.parametrize("inner", [EXODUS, PSI, BOMBUS])
def test_usual_results_have_one_reading(inner):
    """XEP-0115 §9.3"""
    assert one_reading(read(query(inner)))


@pytest.mark.parametrize(
    ("c", "expected"),
    [
        (
            "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='http://a' ver='x='/>",
            ("115", "sha-1", "x=", "http://a#x="),
        ),
        ("<c xmlns='http://jabber.org/protocol/caps' node='http://a' ver='1.0' ext='b'/>", None),
        ("<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='' ver='x='/>", None),
        (
            "<c xmlns='urn:xmpp:caps'><hash xmlns='urn:xmpp:hashes:2' algo='sha-1'>"
            "2jmj7l5rSw0yVb/vlWAYkK/YBwk=</hash><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>"
            "kzBZbkqJ3ADrj7v08reD1qcWUwNGHaidNUgD7nHpiw8=</hash></c>",
            (
                "390",
                "sha-256",
                "kzBZbkqJ3ADrj7v08reD1qcWUwNGHaidNUgD7nHpiw8=",
                "urn:xmpp:caps#sha-256.kzBZbkqJ3ADrj7v08reD1qcWUwNGHaidNUgD7nHpiw8=",
            ),
        ),
        (
            "<c xmlns='urn:xmpp:caps'><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>*</hash></c>",
            None,
        ),
        ("<c xmlns='urn:xmpp:caps'/>", None),
    ],
)
def test_claims_are_read(c, expected):
    """XEP-0115 §4, §13; XEP-0390 §4.3: legacy, broken and unsafe ones are not."""
    found = read_claim(build(c.encode(), "jabber:client"))
    assert (found and (found.spec, found.hash, found.ver, found.node)) == expected


def test_endless_claims_are_not_read():
    c = f"<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='a' ver='{'x' * 2000}'/>"
    assert read_claim(build(c.encode(), "jabber:client")) is None


def test_claims_differ_by_hash_and_not_by_node():
    one, other = Claim("115", "sha-1", "x", "a#x"), Claim("115", "sha-1", "x", "b#x")
    assert one == other
    assert len({one, other, Claim("390", "sha-1", "x", "a#x")}) == 2
