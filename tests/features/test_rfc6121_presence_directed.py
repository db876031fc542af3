"""RFC 6121 §4.3, §4.6: probes, directed presence, and how those learn who were directed at."""

import pytest

from imsuite.core.hooks import Passing
from imsuite.testing.memory import now
from imsuite.testing.patterns import read
from imsuite.xmpp.address import parse
from imsuite.xmpp.stanza import make
from tests.helpers import fitting, holds

CORE = ["bind", "roster", "presence", "messages"]
pytestmark = pytest.mark.server(features=CORE)
ROOM = "hall@rooms.example/Romeo"
FAR = "juliet@far.example"


class Remote:
    """Other servers: notes what goes there."""

    def __init__(self):
        self.sent = []

    def receive(self, passing):
        self.sent.append(passing.stanza.raw.decode())


@pytest.fixture
def far(server):
    server.router.remote = Remote()
    return server.router.remote


def seen(stanzas):
    """Return type, sender and address of presences."""
    return [
        (each.get("type"), each.get("from"), each.get("to"))
        for each in map(read, stanzas)
        if each.tag.endswith("presence")
    ]


def arrive(server, kind, to, sender):
    """Let a presence of another server come in."""
    stanza = make("presence", {"type": kind, "from": sender, "to": to})
    later = server.router.route(Passing(stanza, None, parse(sender)))
    if later is not None:
        now(later)
    server.settle()


ORCHARD = "romeo@example.org/orchard"


def leave(server, client, way):
    if way == "says":
        client.says("<presence type='unavailable'/>")
    elif way == "closes":
        client.closes()
    elif way == "vanishes":
        client.vanishes()
    elif way == "conflict":
        server.login(str(client.jid), available=False)
    else:
        client.says("<letter/>")


WAYS = ["says", "closes", "vanishes", "conflict", "error"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("available", [True, False])
def test_whoever_presence_was_directed_at_learns_of_the_leaving(server, far, way, available):
    """§4.6.3, pitfall 27: rooms and strangers, once each; also of a session never available."""
    romeo = server.login(ORCHARD, available=available)
    for to in (ROOM, "stranger@far.example"):
        romeo.says(f"<presence to='{to}'/>")
        romeo.says(f"<presence to='{to}'><show>away</show></presence>")
    far.sent.clear()
    leave(server, romeo, way)
    if way == "says":
        romeo.closes()
    assert sorted(seen(far.sent)) == [
        ("unavailable", ORCHARD, ROOM),
        ("unavailable", ORCHARD, "stranger@far.example"),
    ]


@pytest.mark.parametrize("way", WAYS)
def test_who_was_told_already_is_not_told_again(server, far, way):
    """§4.6.3"""
    romeo = server.login(ORCHARD)
    romeo.says(f"<presence to='{ROOM}'/>")
    romeo.says(f"<presence to='{ROOM}' type='unavailable'/>")
    far.sent.clear()
    leave(server, romeo, way)
    assert seen(far.sent) == []


def test_directed_presence_is_for_its_address_only(server, friends):
    """§4.6.2: neither kept nor broadcast, nor does it make one available."""
    _, juliet = friends
    tybalt = server.login("tybalt@example.org/x")
    phone = server.login("romeo@example.org/phone", available=False)
    juliet.forget()
    phone.says("<presence to='tybalt@example.org'><show>dnd</show></presence>")
    assert len(fitting(tybalt.received, "<presence><show>dnd</show></presence>")) == 1
    assert juliet.received == []
    assert phone.session.presence is None
    late = server.login("juliet@example.org/late", available=False)
    got = fitting(late.says("<presence/>"), "<presence from='romeo@example.org/phone'/>")
    assert got == []


def test_contact_that_the_broadcast_reaches_is_told_once(server, friends):
    """§4.6.3: by its bare JID."""
    romeo, juliet = friends
    romeo.says("<presence to='juliet@example.org'><show>chat</show></presence>")
    juliet.forget()
    romeo.closes()
    assert seen(juliet.received) == [("unavailable", ORCHARD, "juliet@example.org")]


@pytest.mark.server(features=CORE, options={"presence": {"directed": 10}})
def test_directed_presence_has_a_limit(server, far, romeo):
    for number in range(10):
        assert romeo.says(f"<presence to='room{number}@rooms.example/n'/>") == []
    (got,) = romeo.says("<presence to='one@more.example'/>")
    assert "resource-constraint" in got
    assert len(far.sent) == 10
    romeo.says("<presence to='room0@rooms.example/n' type='unavailable'/>")
    assert romeo.says("<presence to='one@more.example'/>") == []


def test_conflict_tells_rooms_before_the_new_session_may_join(server, far):
    """Pitfall 10: never two sessions on one full JID, also in the eyes of others."""
    romeo = server.login(ORCHARD)
    romeo.says(f"<presence to='{ROOM}'/>")
    again = server.login(ORCHARD)
    again.says(f"<presence to='{ROOM}'/>")
    assert seen(far.sent) == [
        (None, ORCHARD, ROOM),
        ("unavailable", ORCHARD, ROOM),
        (None, ORCHARD, ROOM),
    ]


# probes


def test_subscriber_is_answered_from_what_is_known(server, far, romeo):
    """§4.3.2, pitfall 26: every available resource, as it was, with the time."""
    arrive(server, "subscribe", "romeo@example.org", FAR)
    romeo.says(f"<presence type='subscribed' to='{FAR}'/>")
    romeo.says("<presence><show>away</show></presence>")
    server.login("romeo@example.org/phone")
    server.login("romeo@example.org/silent", available=False)
    server.advance(60)
    far.sent.clear()
    arrive(server, "probe", "romeo@example.org", f"{FAR}/balcony")
    assert sorted(seen(far.sent), key=str) == [
        (None, ORCHARD, f"{FAR}/balcony"),
        (None, "romeo@example.org/phone", f"{FAR}/balcony"),
    ]
    for each in far.sent:
        assert holds(
            each,
            "<presence><delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/></presence>",
        )
    assert fitting(far.sent, f"<presence from='{ORCHARD}'><show>away</show></presence>")


def test_subscriber_of_one_who_is_away_is_told_so(server, far, romeo):
    """§4.3.2"""
    arrive(server, "subscribe", "romeo@example.org", FAR)
    romeo.says(f"<presence type='subscribed' to='{FAR}'/>")
    romeo.closes()
    far.sent.clear()
    arrive(server, "probe", "romeo@example.org", FAR)
    assert seen(far.sent) == [("unavailable", "romeo@example.org", FAR)]


@pytest.mark.parametrize("to", ["romeo@example.org", "nobody@example.org"])
def test_stranger_learns_nothing_from_a_probe(server, far, romeo, to):
    """§4.3.2, §8.5.1, pitfall 20: the same for an account and for none."""
    arrive(server, "probe", to, FAR)
    assert seen(far.sent) == [("unsubscribed", to, FAR)]
    assert romeo.received == []


def test_probe_does_not_refuse_a_request_that_waits(server, far, romeo):
    arrive(server, "subscribe", "romeo@example.org", FAR)
    far.sent.clear()
    arrive(server, "probe", "romeo@example.org", FAR)
    assert far.sent == []


def test_room_that_presence_was_directed_at_is_not_refused(server, far, romeo):
    """§4.6: "unsubscribed" would say that there had been a subscription."""
    romeo.says(f"<presence to='{ROOM}'/>")
    far.sent.clear()
    arrive(server, "probe", "romeo@example.org", ROOM)
    assert far.sent == []


@pytest.mark.parametrize("to", ["juliet@example.org", "juliet@example.org/balcony"])
def test_probe_never_reaches_a_client(friends, to):
    """§4.3.2: and a client's own probe is answered by the server."""
    romeo, juliet = friends
    got = romeo.says(f"<presence type='probe' to='{to}'/>")
    assert juliet.received == []
    assert seen(got) == [(None, "juliet@example.org/balcony", ORCHARD)]


def test_probe_of_one_resource(server, friends):
    """§4.3.2: for a full JID its presence only."""
    romeo, _ = friends
    server.login("juliet@example.org/phone")
    romeo.forget()
    got = romeo.says("<presence type='probe' to='juliet@example.org/phone'/>")
    assert seen(got) == [(None, "juliet@example.org/phone", ORCHARD)]
    got = romeo.says("<presence type='probe' to='juliet@example.org/gone'/>")
    assert seen(got) == [("unavailable", "juliet@example.org/gone", ORCHARD)]


def test_probe_without_address_asks_for_oneself(server, romeo):
    got = romeo.says("<presence type='probe'/>")
    assert seen(got) == [(None, ORCHARD, ORCHARD)]


def test_probe_does_not_change_a_roster(romeo, juliet):
    """The answer "unsubscribed" arrives at somebody who was not subscribed."""
    assert romeo.says("<presence type='probe' to='juliet@example.org'/>") == []
    (got,) = romeo.says("<iq type='get' id='f'><query xmlns='jabber:iq:roster'/></iq>")
    assert "<item" not in got


def test_subscription_error_does_not_reach_clients_as_presence(server, far, romeo):
    """§8.5.2.1.2: presence errors are delivered, and not answered."""
    arrive(server, "error", "romeo@example.org", FAR)
    assert seen(romeo.received) == [("error", FAR, "romeo@example.org")]
    assert far.sent == []


@pytest.mark.parametrize("way", ["closes", "vanishes"])
def test_own_resource_that_was_told_directly_learns_of_the_end(server, romeo, way):
    """§4.6.3: of a resource that never was available to the others."""
    garden = server.login("romeo@example.org/garden", available=False)
    garden.says("<presence to='romeo@example.org/orchard'/>")
    romeo.forget()
    leave(server, garden, way)
    told = [("unavailable", "romeo@example.org/garden", "romeo@example.org/orchard")]
    assert seen(romeo.received) == told
