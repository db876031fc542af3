"""XEP-0045 §7.14, and those who do not say goodbye (pitfalls 30, 39; XEP-0410 §3.3)."""

import re

import pytest

from imsuite.core.feature import Feature, on
from imsuite.core.hooks import ROOM_DESTROYED, ROOM_LEFT
from tests.covens import COVEN, enters, meets, tells, the_room

ERROR = "<error type='cancel'><{} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"


def codes(text):
    """Return the status codes of a presence, sorted."""
    return sorted(int(code) for code in re.findall(r"<status code='(\d+)'/>", text))


def leaves(client, inner="", nick="balcony"):
    """Let a client leave the room."""
    return client.says(f"<presence to='{COVEN}/{nick}' type='unavailable'>{inner}</presence>")


def test_the_last_words_are_told(server, romeo, juliet):
    """§7.14: role none to all, 110 to who leaves"""
    room = meets(server, romeo, juliet)
    (own,) = leaves(juliet, "<status>adieu</status>")
    assert codes(own) == [110]
    (told,) = romeo.received
    for text in (own, told):
        assert "<status>adieu</status>" in text
        assert "role='none'" in text
        assert "affiliation='none'" in text
    assert list(room.occupants) == ["orchard"]


def test_who_is_not_in_cannot_leave(server, romeo, juliet):
    """§7.14: and hears nothing"""
    meets(server, romeo)
    assert leaves(juliet) == []
    assert romeo.received == []


def test_one_client_of_two_leaves_alone(server, romeo, juliet):
    """§7.2.8: the occupant stays"""
    room = meets(server, romeo, juliet)
    second = server.login("juliet@example.org/tomb")
    enters(second, nick="balcony")
    romeo.forget()
    (own,) = leaves(second)
    assert codes(own) == [110]
    assert list(room.find("balcony").clients) == [juliet.jid.full]
    assert [text for text in romeo.received if "type='unavailable'" in text] == []
    leaves(juliet)
    assert room.find("balcony") is None


@pytest.mark.parametrize("way", ["vanishes", "closes"])
def test_who_goes_offline_leaves(server, romeo, juliet, way):
    """§7.14, RFC 6121 §4.6.3"""
    room = meets(server, romeo, juliet)
    getattr(juliet, way)()
    server.settle()
    assert room.find("balcony") is None
    (told,) = romeo.received
    assert "type='unavailable'" in told
    assert "role='none'" in told


def test_who_is_unavailable_everywhere_leaves(server, romeo, juliet):
    """RFC 6121 §4.5.2: to all who were sent directed presence"""
    room = meets(server, romeo, juliet)
    juliet.says("<presence type='unavailable'/>")
    assert room.find("balcony") is None


@pytest.mark.parametrize(
    ("condition", "leaves"),
    [
        ("recipient-unavailable", True),
        ("service-unavailable", True),
        ("remote-server-timeout", True),
        ("gone", True),
        ("not-acceptable", False),
        ("feature-not-implemented", False),
    ],
)
@pytest.mark.parametrize("kind", ["message", "presence"])
def test_who_can_not_be_reached_is_gone(server, romeo, juliet, condition, leaves, kind):
    """Pitfall 39: 333 without 307; not every error means that somebody is gone"""
    room = meets(server, romeo, juliet)
    juliet.says(f"<{kind} type='error' to='{COVEN}/orchard'>{ERROR.format(condition)}</{kind}>")
    assert (room.find("balcony") is None) is leaves
    if leaves:
        (told,) = romeo.received
        assert codes(told) == [333]


def test_an_error_of_a_stranger_throws_nobody_out(server, romeo, juliet):
    """It is who sends it that is gone."""
    room = meets(server, romeo, juliet)
    nurse = server.login("nurse@example.org/kitchen")
    nurse.says(f"<message type='error' to='{COVEN}/orchard'>{ERROR.format('gone')}</message>")
    assert len(room.occupants) == 2


def test_a_room_that_does_not_last_ends_with_the_last(server, romeo, juliet):
    """§4.2: temporary; its archive with it"""
    room = meets(server, romeo, juliet)
    tells(romeo, "hello")
    leaves(romeo, nick="orchard")
    assert the_room(server) is room
    leaves(juliet)
    assert the_room(server) is None
    rows = []
    for table in ("room", "room_affiliation", "room_occupant", "archive", "message"):
        server.store.query(f"SELECT * FROM {table}").addCallback(rows.extend)
    server.advance(100)
    rows = []
    for table in ("room", "room_affiliation", "room_occupant", "archive"):
        server.store.query(f"SELECT * FROM {table}").addCallback(rows.extend)
    assert rows == []


def test_a_new_room_of_that_name_knows_nothing_of_the_old_one(server, romeo, juliet):
    """§10.9"""
    meets(server, romeo)
    tells(romeo, "hello")
    leaves(romeo, nick="orchard")
    presence, subject = enters(juliet)
    assert 201 in codes(presence)
    assert "<subject/>" in subject


def test_a_room_that_was_never_configured_ends(server, romeo):
    """§10.1.2: whoever made it went away"""
    enters(romeo)
    leaves(romeo, nick="orchard")
    assert the_room(server) is None


class Hearing(Feature):
    """Hears who leaves, and which rooms end."""

    __module__ = "tests.xep0001_hearing"
    spec = "XEP-0001"

    def __init__(self, host, options):
        super().__init__(host, options)
        self.heard = []

    @on(ROOM_LEFT)
    def left(self, change):
        self.heard.append(change.occupant.nick)

    @on(ROOM_DESTROYED)
    def destroyed(self, change):
        self.heard.append(change.room.bare)


@pytest.mark.server(features=["default", Hearing])
def test_features_hear_of_it(server, romeo, juliet):
    """hooks ROOM_LEFT, ROOM_DESTROYED"""
    meets(server, romeo, juliet)
    leaves(juliet)
    leaves(romeo, nick="orchard")
    assert server.host.features["hearing"].heard == ["balcony", "orchard", COVEN]
