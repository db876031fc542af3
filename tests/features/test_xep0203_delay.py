"""XEP-0203: Delayed Delivery."""

import pytest

from imsuite.core.hooks import INCOMING, OUTGOING
from imsuite.xmpp.stanza import Stanza

MESSAGE = "<message to='{}' type='chat'><body>hi</body>{}</message>"
DELAY = "<delay xmlns='urn:xmpp:delay' from='{}' stamp='2020-01-01T00:00:00Z'>late</delay>"


@pytest.mark.parametrize("sender", ["example.org", "EXAMPLE.org", "example.org."])
@pytest.mark.parametrize("to", ["juliet@example.org", "juliet@example.org/balcony"])
def test_forged_delay_of_a_message_is_taken_away(romeo, juliet, sender, to):
    """§7, pitfall 33: nobody else says in the name of the server that it was delayed."""
    romeo.says(MESSAGE.format(to, DELAY.format(sender)))
    (message,) = juliet.received
    assert "<delay" not in message
    assert "<body>hi</body>" in message


def test_forged_delay_of_a_presence_is_taken_away(server, friends):
    """§7: contacts do not see it, and a newcomer gets the stamp of the server."""
    romeo, juliet = friends
    romeo.says(f"<presence>{DELAY.format('example.org')}</presence>")
    assert "<delay" not in juliet.received[-1]
    late = server.login("juliet@example.org/late", available=False)
    (presence,) = [got for got in late.says("<presence/>") if "romeo@" in got]
    assert presence.count("<delay") == 1
    assert "2020-01-01" not in presence


@pytest.mark.parametrize(
    "sender",
    ["room@muc.example.com", "far.example", "romeo@example.org/orchard", "romeo@example.org", "@"],
)
def test_delays_of_others_pass(romeo, juliet, sender):
    """§7: a server can judge its own only."""
    romeo.says(MESSAGE.format("juliet@example.org", DELAY.format(sender)))
    (message,) = juliet.received
    assert f"from='{sender}' stamp=" in message.replace('"', "'")


def test_delay_of_a_forwarded_stanza_is_content(romeo, juliet):
    """XEP-0297: it belongs to what is forwarded."""
    inner = DELAY.format("example.org")
    wrapped = f"<forwarded xmlns='urn:xmpp:forward:0'>{inner}</forwarded>"
    romeo.says(MESSAGE.format("juliet@example.org", wrapped))
    assert "<delay" in juliet.received[0]


def test_plain_messages_pay_nothing(host):
    """The feature is not even asked about a stanza without a delay."""
    plain = Stanza.parse(b"<message><body>hi</body></message>")
    delay = host.features["delay"]
    for hook in (INCOMING, OUTGOING):
        handlers = host.switch(hook).handlers(plain)
        assert not [each for each in handlers if each.__self__ is delay]


def test_a_resource_of_the_server_is_the_server(romeo, juliet):
    """§7: who reads "example.org/x" believes that the server said it."""
    romeo.says(MESSAGE.format("juliet@example.org", DELAY.format("Example.org/x")))
    assert "<delay" not in juliet.received[0]
