"""XEP-0357 for rooms: members hear of a members-only room while no client of theirs is in."""

import pytest

from imsuite.core.interfaces import IPush
from imsuite.rules.affiliations import Affiliation
from imsuite.streams.mount import mount
from tests.covens import COVEN, affiliates, enters, meets, tells
from tests.features.test_xep0357_push import APP, NS, AppServer

NURSE = "nurse@example.org"
MEMBER = Affiliation.MEMBER


@pytest.fixture
def app(server):
    """The service of an app, mounted on a domain of the server."""
    handler = AppServer()
    service = mount(server.router, server.host, APP, [handler])
    service.startService()
    yield handler
    service.stopService()


@pytest.fixture
def room(server, romeo, juliet):
    room = meets(server, romeo, juliet, members_only=True)
    affiliates(room, "juliet@example.org", MEMBER)
    affiliates(room, NURSE, MEMBER)
    return room


def enables(server, jid, node="n"):
    """Let a client enable push and go."""
    client = server.login(jid)
    client.says(f"<iq type='set' id='p'><enable xmlns='{NS}' jid='{APP}' node='{node}'/></iq>")
    client.closes()
    return client


def test_members_who_are_away_are_told(server, app, room, romeo):
    """Once for each message and device; nothing is said about what it was."""
    enables(server, f"{NURSE}/phone")
    enables(server, f"{NURSE}/tablet", "t")
    tells(romeo, "come")
    first, second = app.published
    assert "node='n'" in first
    assert "node='t'" in second
    assert "come" not in first
    assert "coven" not in first
    tells(romeo, "now")
    assert app.told() == 4


def test_who_is_in_the_room_is_not(server, app, room, romeo):
    """With another client, even: that one has it."""
    enables(server, f"{NURSE}/phone")
    house = server.login(f"{NURSE}/house")
    enters(house)
    tells(romeo, "come")
    assert app.told() == 0
    house.says(f"<presence type='unavailable' to='{COVEN}/house'/>")
    tells(romeo, "come")
    assert app.told() == 1


def test_who_is_there_and_looks_is_not(server, app, room, romeo):
    """§7: a client with a link and a person needs no push."""
    enables(server, f"{NURSE}/phone")
    phone = server.login(f"{NURSE}/phone")
    tells(romeo, "come")
    assert app.told() == 0
    phone.says("<inactive xmlns='urn:xmpp:csi:0'/>")
    tells(romeo, "come")
    assert app.told() == 1


def test_only_members_of_members_only_rooms(server, app, romeo, juliet):
    """An open room is not something that one waits for."""
    room = meets(server, romeo, juliet)
    affiliates(room, NURSE, MEMBER)
    enables(server, f"{NURSE}/phone")
    tells(romeo, "come")
    assert app.told() == 0


@pytest.mark.parametrize("affiliation", [Affiliation.NONE, Affiliation.OUTCAST])
def test_others_are_not(server, app, room, romeo, affiliation):
    """A reserved nickname makes nobody a member."""
    affiliates(room, NURSE, affiliation, "Angelica")
    enables(server, f"{NURSE}/phone")
    tells(romeo, "come")
    assert app.told() == 0


@pytest.mark.parametrize(
    "inner",
    ["<composing xmlns='http://jabber.org/protocol/chatstates'/>", "<subject>new</subject>"],
)
def test_what_nobody_waits_for(server, app, room, romeo, inner):
    """§7: as with other messages."""
    enables(server, f"{NURSE}/phone")
    tells(romeo, "", id="x", inner=inner)
    assert app.told() == 0


def test_who_blocks_is_left_alone(server, app, room, romeo):
    """XEP-0191: the room, or somebody in it."""
    client = server.login(f"{NURSE}/phone")
    client.says(f"<iq type='set' id='p'><enable xmlns='{NS}' jid='{APP}' node='n'/></iq>")
    item = f"<item jid='{COVEN}/orchard'/>"
    client.says(f"<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'>{item}</block></iq>")
    client.closes()
    tells(romeo, "come")
    assert app.told() == 0


def test_after_a_restart_too(server, app, room, romeo):
    """Which accounts have devices is read at the start."""
    enables(server, f"{NURSE}/phone")
    second = server.restart()
    handler = AppServer()
    mount(second.router, second.host, APP, [handler]).startService()
    client = second.login("romeo@example.org/orchard")
    enters(client)
    again = meets(second, client, members_only=True)
    affiliates(again, NURSE, MEMBER)
    tells(client, "come")
    assert handler.told() == 1
    second.failures.stop()


def test_who_wants_no_more_is_left_alone(server, app, room, romeo):
    """§6, and accounts that go."""
    client = enables(server, f"{NURSE}/phone")
    client = server.login(f"{NURSE}/phone")
    client.says(f"<iq type='set' id='d'><disable xmlns='{NS}' jid='{APP}'/></iq>")
    client.closes()
    tells(romeo, "come")
    assert app.told() == 0
    assert not server.host.features["push"]._enabled


def test_a_message_is_told_once(server, app, room):
    """Whoever asks."""
    enables(server, f"{NURSE}/phone")
    push = server.host.find_feature(IPush)
    stanza = room.occupants["orchard"].main.presence
    for _ in range(2):
        push.tell([NURSE, "nobody@example.org", "else@example.com"], stanza, 7)
    assert app.told() == 1
