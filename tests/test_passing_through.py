"""What clients say to each other reaches the other side as it was written.

These specifications ask nothing of a server but that; so there is no feature for them. What the
server adds is the id by which its archive calls a message (XEP-0313 §3.5), behind all the rest.
"""

import re

import pytest

from imsuite.core.feature import At

PAYLOADS = {
    "XEP-0066": "<x xmlns='jabber:x:oob'><url>https://example.org/a?b&amp;c</url></x>",
    "XEP-0071": (
        "<html xmlns='http://jabber.org/protocol/xhtml-im'>"
        "<body xmlns='http://www.w3.org/1999/xhtml'><p>a <em>b</em>\n c</p></body></html>"
    ),
    "XEP-0085": "<composing xmlns='http://jabber.org/protocol/chatstates'/>",
    "XEP-0131": (
        "<headers xmlns='http://jabber.org/protocol/shim'>"
        "<header name='Urgency'>high</header><header name='Created'>2026-01-01</header></headers>"
    ),
    "XEP-0184": "<request xmlns='urn:xmpp:receipts'/>",
    "XEP-0184 receipt": "<received xmlns='urn:xmpp:receipts' id='richard2-4.1.247'/>",
    "XEP-0249": (
        "<x xmlns='jabber:x:conference' jid='darkcave@macbeth.shakespeare.lit'"
        " password='cauldronburn' reason='Hey Hecate!'/>"
    ),
    "XEP-0308": "<replace id='bad1' xmlns='urn:xmpp:message-correct:0'/>",
    "XEP-0333": "<markable xmlns='urn:xmpp:chat-markers:0'/>",
    "XEP-0333 marker": "<displayed xmlns='urn:xmpp:chat-markers:0' id='message-1'/>",
    "XEP-0334": "<store xmlns='urn:xmpp:hints'/><no-copy xmlns='urn:xmpp:hints'/>",
    "XEP-0353": (
        "<propose xmlns='urn:xmpp:jingle-message:0' id='ca3cf894'>"
        "<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/></propose>"
    ),
    "XEP-0359": "<origin-id xmlns='urn:xmpp:sid:0' id='de305d54'/>",
    "XEP-0373": "<openpgp xmlns='urn:xmpp:openpgp:0'>QkFTRTY0X09QRU5QR1BfTUVTU0FHRQ==</openpgp>",
    "XEP-0380": "<encryption xmlns='urn:xmpp:eme:0' namespace='urn:xmpp:omemo:2' name='OMEMO'/>",
    "XEP-0384": (
        "<encrypted xmlns='urn:xmpp:omemo:2'><header sid='27183'><keys jid='juliet@example.org'>"
        "<key rid='31415'>Mw==</key></keys></header><payload>aGVsbG8=</payload></encrypted>"
    ),
    "XEP-0382": "<spoiler xmlns='urn:xmpp:spoiler:0' xml:lang='fr'>Fin d'amour</spoiler>",
    "XEP-0428": (
        "<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'>"
        "<body start='0' end='33'/></fallback>"
    ),
    "XEP-0444": (
        "<reactions id='744f6e18' xmlns='urn:xmpp:reactions:0'><reaction>👋</reaction></reactions>"
    ),
    "XEP-0461": "<reply to='anna@example.com' id='message-id1' xmlns='urn:xmpp:reply:0'/>",
    "what nobody knows": "<a xmlns='urn:a' b:c='d' xmlns:b='urn:b'> <b:e/>\t&#13;&lt;</a>",
}
MESSAGE = "<message type='chat' to='{}' id='m1'><body> hello,  world\n</body>{}</message>"


# which of them, without a body, are nothing that anybody will look for in an archive
NOT_ARCHIVED = {
    *("XEP-0085", "XEP-0131", "XEP-0184", "XEP-0333", "XEP-0359", "XEP-0382", "XEP-0428"),
    *("XEP-0461", "what nobody knows"),
}
ARCHIVE_ID = re.compile(
    r"<stanza-id xmlns='urn:xmpp:sid:0' id='[0-9a-f]{32}' by='juliet@example\.org'/></message>$"
)


def content(stanza):
    """Return everything behind the start tag."""
    return stanza.partition(">")[2]


def content_without_id(stanza):
    """Return the same without the id in juliet's archive, which has to be there."""
    found, count = ARCHIVE_ID.subn("</message>", content(stanza))
    assert count == 1
    return found


@pytest.mark.parametrize("to", ["juliet@example.org", "juliet@example.org/balcony"])
@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_messages_are_not_altered(romeo, juliet, payload, to):
    """RFC 6121 §8.1: octet for octet, but for the start tag that the server stamps."""
    said = MESSAGE.format(to, payload)
    romeo.says(said)
    (heard,) = juliet.received
    assert content_without_id(heard) == content(said)
    assert juliet.stanzas[0].attrs == {
        "type": "chat",
        "to": to,
        "id": "m1",
        "from": "romeo@example.org/orchard",
    }


def test_all_payloads_at_once(romeo, juliet):
    """They do not disturb each other, nor does their order change."""
    said = MESSAGE.format("juliet@example.org", "".join(PAYLOADS.values()))
    romeo.says(said)
    (heard,) = juliet.received
    assert content_without_id(heard) == content(said)


@pytest.mark.server(features=["default", "-archive"])
def test_without_an_archive_nothing_is_added(romeo, juliet):
    """RFC 6121 §8.1"""
    said = MESSAGE.format("juliet@example.org", "".join(PAYLOADS.values()))
    romeo.says(said)
    (heard,) = juliet.received
    assert content(heard) == content(said)


@pytest.mark.parametrize("name", PAYLOADS)
def test_messages_without_a_body_pass_too(romeo, juliet, name):
    """Chat states, markers and receipts come alone; those that are archived with their id."""
    said = f"<message type='chat' to='juliet@example.org/balcony'>{PAYLOADS[name]}</message>"
    romeo.says(said)
    (heard,) = juliet.received
    found = content(heard) if name in NOT_ARCHIVED else content_without_id(heard)
    assert found == content(said)


def test_requests_between_clients_are_not_altered(friends):
    """RFC 6121 §8.5.3.1: with all that is in them."""
    romeo, juliet = friends
    inner = (
        "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='a7'> &amp;<x/></jingle>"
    )
    romeo.says(f"<iq type='set' id='j' to='juliet@example.org/balcony'>{inner}</iq>")
    (heard,) = juliet.received
    assert content(heard) == f"{inner}</iq>"


def test_presence_is_not_altered(friends):
    """RFC 6121 §4.2.2: caps and hashes of avatars among it."""
    romeo, juliet = friends
    inner = (
        "<status>a  b</status><x xmlns='vcard-temp:x:update'><photo/></x>"
        "<thing xmlns='urn:else' a='&quot;'/>"
    )
    romeo.says(f"<presence>{inner}</presence>")
    (heard,) = juliet.received
    assert content(heard) == f"{inner}</presence>"


@pytest.mark.parametrize(
    "feature", ["jabber:x:conference", "http://jabber.org/protocol/shim", "urn:xmpp:hints"]
)
def test_the_server_does_not_claim_what_clients_do(host, feature):
    """XEP-0249 §3, XEP-0131 §3: support is announced by who understands it."""
    for at in (At.HOST, At.ACCOUNT, At.SELF):
        assert feature not in host.advertised(at)
