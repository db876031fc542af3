"""XEP-0502: how much is said in a public room."""

import re

import pytest

from imsuite.testing.memory import MemoryServer
from tests.covens import COVEN, meets, tells

INFO = f"<iq to='{COVEN}' type='get' id='d'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
HOUR = 3600
LASTING = (
    f"<iq type='set' id='c' to='{COVEN}'><query xmlns='http://jabber.org/protocol/muc#owner'>"
    "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
    "<value>http://jabber.org/protocol/muc#roomconfig</value></field>"
    "<field var='muc#roomconfig_persistentroom'><value>1</value></field></x></query></iq>"
)


def activity(server):
    """Return the messages an hour that disco tells of, None if it does not."""
    client = server.login("nurse@example.org/kitchen")
    found = re.search(r"message-activity'[^>]*><value>([^<]*)</value>", client.says(INFO)[-1])
    return found and float(found[1])


def test_it_is_what_was_said_in_an_hour(server, romeo, juliet):
    """§3.1, §5"""
    meets(server, romeo, juliet)
    romeo.says(LASTING)
    for number in range(6):
        tells(juliet, str(number))
    assert activity(server) is None  # nothing is known of a whole hour yet
    server.advance(HOUR)
    assert activity(server) == 6.0
    server.advance(2 * HOUR)
    assert activity(server) == 2.0
    server.advance(25 * HOUR)
    assert activity(server) == 0.0


def test_not_everything_counts(server, romeo, juliet):
    """§4: corrections, chat states and whispers do not"""
    meets(server, romeo, juliet, persistent=True)
    tells(juliet, "one")
    tells(juliet, "two", inner="<replace xmlns='urn:xmpp:message-correct:0' id='one'/>")
    tells(juliet, "", inner="<active xmlns='http://jabber.org/protocol/chatstates'/>")
    juliet.says(f"<message to='{COVEN}/orchard' type='chat'><body>psst</body></message>")
    server.advance(HOUR)
    assert activity(server) == 1.0


@pytest.mark.parametrize(
    "config",
    [
        {"persistent": False},
        {"public": False},
        {"members_only": True},
        {"password_protected": True, "secret": "x"},
    ],
)
def test_of_a_room_that_is_not_for_all_nothing_is_told(server, romeo, config):
    """§3.1, §9"""
    meets(server, romeo, **{"persistent": True, **config})
    server.advance(HOUR)
    assert activity(server) is None


def test_it_is_known_after_a_restart():
    """What was counted is written down."""
    server = MemoryServer()
    romeo = server.login("romeo@example.org/orchard")
    meets(server, romeo, persistent=True)
    tells(romeo, "one")
    server.advance(HOUR)
    tells(romeo, "two")
    server = server.restart()
    server.advance(HOUR)
    feature = server.host.features["activity"]
    assert sum(counts[COVEN] for counts in feature._past.values()) == 2
    server.stop()
    assert server.failures.take() == []
