"""What messages have (rules/payloads.py); tests/rules/test_traffic.py has what that is worth."""

import pytest

from imsuite.rules.payloads import ALL, BODY, LOOKS, PAYLOADS, payloads, telling
from imsuite.rules.traffic import classify
from imsuite.xmpp import ns as NS
from imsuite.xmpp.stanza import Stanza


@pytest.mark.parametrize(
    ("raw", "empty"),
    [
        ("<body/>", True),
        ("<body />", True),
        ("<body></body>", True),
        ("<body xml:lang='a/b'></body >", True),
        ("<body xmlns:a='urn:a'/>", True),
        ("<body/><body xml:lang='de'/>", True),
        ("<body/><body xml:lang='de'>a</body>", False),
        ("<body> </body>", False),
        ("<body>&lt;body/&gt;</body>", False),
        ("<body><![CDATA[<body/>]]></body>", False),
        ("<body>a</body><html xmlns='urn:a'><body/></html>", False),
    ],
)
def test_an_empty_body_is_no_body(raw, empty):
    """A body without a text is nothing to read."""
    raw = f"<message type='chat'>{raw}</message>".encode()
    assert classify(Stanza.parse(raw)).notify is not empty


def test_looking_for_a_body_takes_no_longer_than_reading_it():
    """No text makes the search go back over itself: this would take minutes."""
    text = "<body " * 100_000
    raw = f"<message type='chat'><body><![CDATA[{text}]]></body></message>".encode()
    stanza = Stanza("message", NS.CLIENT, {"type": "chat"}, (f"{NS.CLIENT}}}body",), raw)
    assert classify(stanza).notify


def test_every_payload_has_its_place():
    """The tables are whole: each payload is known once, and those of which content decides."""
    assert set(PAYLOADS.values()) < set(ALL)
    assert len({payload.what for payload in ALL}) == len(ALL)
    assert len(LOOKS) == 4


def test_what_stands_in_for_others_does_not_tell():
    """XEP-0428 §2: a body is, where nothing else is there."""
    reactions, body = "urn:xmpp:reactions:0}reactions", f"{NS.CLIENT}}}body"
    found = payloads("chat", (body, reactions), 0)
    assert found == (PAYLOADS[reactions], BODY)
    assert telling(found) == (PAYLOADS[reactions],)
    assert telling((BODY,)) == (BODY,)
