"""XEP-0359: Unique and Stable Stanza IDs."""

import pytest

from imsuite.core.feature import At
from imsuite.core.hooks import INCOMING, OUTGOING
from imsuite.xmpp.stanza import Stanza

MESSAGE = "<message to='{}' type='chat'><body>hi</body>{}</message>"
SID = "<stanza-id xmlns='urn:xmpp:sid:0' id='x1' by='{}'/>"


@pytest.mark.parametrize(
    "by",
    [
        "juliet@example.org",
        "Juliet@EXAMPLE.org",
        "juliet@example.org.",
        "romeo@example.org",
        "example.org",
    ],
)
@pytest.mark.parametrize("to", ["juliet@example.org", "juliet@example.org/balcony"])
def test_forged_ids_are_taken_away(romeo, juliet, by, to):
    """§3.2, §3.7: in the name of either account, however it is spelled."""
    romeo.says(MESSAGE.format(to, SID.format(by)))
    (message,) = juliet.received
    assert "x1" not in message
    assert "<body>hi</body>" in message


@pytest.mark.parametrize(
    "by", ["room@muc.example.com", "benvolio@example.org", "juliet@example.org/balcony", "@", ""]
)
def test_ids_of_others_pass(romeo, juliet, by):
    """§3.3: a server must not strip what it would not set itself."""
    romeo.says(MESSAGE.format("juliet@example.org", SID.format(by)))
    (message,) = juliet.received
    assert f"by='{by}'" in message


def test_only_the_forged_one_of_several_goes(romeo, juliet):
    """§3.2, §3.3"""
    both = SID.format("juliet@example.org") + SID.format("room@muc.example.com")
    romeo.says(MESSAGE.format("juliet@example.org", both))
    (message,) = juliet.received
    assert message.count("x1") == 1
    assert "muc.example.com" in message


def test_origin_id_passes(romeo, juliet):
    """§2.2: it is preserved, also beside a forged stanza-id."""
    origin = "<origin-id xmlns='urn:xmpp:sid:0' id='o1'/>"
    romeo.says(MESSAGE.format("juliet@example.org", origin + SID.format("juliet@example.org")))
    (message,) = juliet.received
    assert origin in message.replace('"', "'")
    assert "x1" not in message


def test_an_id_deeper_inside_is_content(romeo, juliet):
    """§3.4: only direct children count."""
    inner = f"<forwarded xmlns='urn:xmpp:forward:0'>{SID.format('juliet@example.org')}</forwarded>"
    romeo.says(MESSAGE.format("juliet@example.org", inner))
    assert "stanza-id" in juliet.received[0]


def test_plain_messages_pay_nothing(host):
    """The feature is not even asked about a message without a stanza-id."""
    plain = Stanza.parse(b"<message><body>hi</body></message>")
    for hook in (INCOMING, OUTGOING):
        handlers = host.switch(hook).handlers(plain)
        assert not [each for each in handlers if each.__name__ == "take_away"]


def test_accounts_advertise_it(host):
    """§5: the account is the entity in "by"."""
    assert "urn:xmpp:sid:0" in host.advertised(At.SELF)
    assert "urn:xmpp:sid:0" in host.advertised(At.ACCOUNT)
