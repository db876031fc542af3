"""XEP-0160 §2.3: what is put between the bytes of a message, and what is read of them."""

from xml.sax.saxutils import escape

import pytest

from imsuite.core.record import public_id
from imsuite.features.xep0160_offline.stamps import Stamps, sender_of, sent_by
from imsuite.features.xep0160_offline.storage import Row
from imsuite.xmpp import ns as NS
from imsuite.xmpp.stanza import Stanza, make
from tests.features.test_xep0160_offline import JULIET, bodies, says

ID = 1_767_225_600_250_000  # 2026-01-01T00:00:00.25Z
DELAY = "<delay xmlns='urn:xmpp:delay' from='example.org' stamp='{}'>Offline Storage</delay>"


@pytest.fixture
def stamps():
    return Stamps("example.org", JULIET)


def stamped(stamps, raw, id=ID, own=1):
    return stamps.put(Row(id, own, 7, raw)).decode()


@pytest.mark.parametrize(
    ("id", "stamp"),
    [
        (ID, "2026-01-01T00:00:00.250000Z"),
        (ID + 1, "2026-01-01T00:00:00.250001Z"),
        (ID + 750_000, "2026-01-01T00:00:01Z"),
    ],
)
def test_it_says_when_a_message_came(stamps, id, stamp):
    """XEP-0203 §4: to the microsecond."""
    raw = b"<message from='a@b/c'><body>x</body></message>"
    for _ in range(2):
        text = stamped(stamps, raw, id)
        assert text == f"<message from='a@b/c'><body>x</body>{DELAY.format(stamp)}</message>"


def test_an_archived_message_says_its_id(stamps):
    """XEP-0313 §3.5"""
    text = stamped(stamps, b"<message><body>x</body></message>", own=0)
    id = f"<stanza-id xmlns='urn:xmpp:sid:0' by='{JULIET}' id='{public_id(ID, 7)}'/>"
    assert text.endswith(f"</delay>{id}</message>")


@pytest.mark.parametrize(
    "raw",
    [
        b"<message/>",
        b"<message  to='x' />",
        b"<message></message >",
        b"<message>\xc3\xa9</message\n>",
    ],
)
def test_it_finds_the_end_however_that_is_spelt(stamps, raw):
    """XML 1.0 §3.1"""
    stanza = Stanza.parse(stamped(stamps, raw, own=0).encode())
    assert stanza.kind == "message"
    assert stanza.children == ("urn:xmpp:delay}delay", "urn:xmpp:sid:0}stanza-id")


@pytest.mark.parametrize(
    ("inner", "count"),
    [
        ("<body>urn:xmpp:delay</body>", 1),
        ("<delay xmlns='urn:xmpp:delay' from='montague.net' stamp='x'/>", 2),
        ("<delay xmlns='urn:xmpp:delay' from='Example.ORG' stamp='x'/>", 1),
        ("<x xmlns='y'><delay xmlns='urn:xmpp:delay' from='example.org'/></x>", 2),
    ],
)
def test_a_delay_of_ours_is_not_said_twice(stamps, inner, count):
    """XEP-0203 §4: by each that held it, once."""
    text = stamped(stamps, f"<message>{inner}</message>".encode())
    assert text.count("<delay") == count


@pytest.mark.parametrize(
    ("raw", "sender"),
    [
        (b"<message from='a@b/c' to='d'/>", "a@b/c"),
        (b"<message from='a@b/c&amp;d'/>", "a@b/c&d"),
        (b"<message from='a@b/\xc3\xa9'/>", "a@b/é"),
        (b"<message to='d' from='a@b'/>", "a@b"),
        (b'<message from="a@b"/>', "a@b"),
        (b"<message  from = 'a@b'/>", "a@b"),
        (b"<message xml:lang='from'/>", None),
    ],
)
def test_it_knows_the_sender_however_that_is_spelt(raw, sender):
    """XML 1.0 §3.1"""
    assert sender_of(raw) == sender
    assert sent_by(raw) in (b"", raw[15:].partition(b"'")[0])


def test_each_sender_is_looked_up_among_the_blocked(server, host, romeo):
    """XEP-0191 §3.3: also those whose address is spelt in another way, or stands elsewhere."""
    server.account(JULIET)
    resources = ("a&b", "a&c", "é")
    for resource in resources:
        text = escape(resource)
        says(server.login(f"paris@example.org/{text}"), text)
    for sender in ("tybalt@example.org/x", "nurse@example.org/x"):
        says_of = {"to": JULIET, "from": sender, "type": "chat"}
        body = f"<body>{sender}</body>".encode()
        host.send(make("message", says_of, body, f"{NS.CLIENT}}}body"))
    says(romeo, "hello")
    juliet = server.login(f"{JULIET}/balcony", available=False)
    items = "".join(
        f"<item jid='{jid}'/>" for jid in ("paris@example.org/a&amp;b", "tybalt@example.org")
    )
    juliet.says(f"<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'>{items}</block></iq>")
    juliet.forget()
    juliet.says("<presence/>")
    assert bodies(juliet) == ["a&amp;c", "é", "nurse@example.org/x", "hello"]
