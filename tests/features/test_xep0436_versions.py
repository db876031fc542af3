"""XEP-0436: who comes back hears of those who changed."""

import re

import pytest

from imsuite.rules.affiliations import Affiliation
from tests.covens import COVEN, affiliates, enters, meets

NS = "urn:xmpp:muc-presence-versioning:0"


@pytest.fixture
def nurse(server):
    """A third client."""
    return server.login("nurse@example.org/kitchen")


def comes_back(client, word):
    """Enter with a version; return nickname and type of what comes, but for the subject."""
    x = (
        "<x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x>"
        f"<x xmlns='http://jabber.org/protocol/muc#user'><version xmlns='{NS}' ver='{word}'/></x>"
    )
    got = client.says(f"<presence to='{COVEN}/{client.jid.resource}'>{x}</presence>")
    found = []
    for text in got[:-1]:
        nick = re.search(r"from='[^/']*/?([^']*)'", text)[1]
        found.append((nick, "unavailable" if "type='unavailable'" in text else None))
    return found, got


def version(text):
    """Return the version in a presence."""
    return re.search(rf"<version xmlns='{NS}' ver='([^']*)'/>", text)[1]


def goes(client):
    """Leave the room."""
    client.says(f"<presence to='{COVEN}/{client.jid.resource}' type='unavailable'/>")


def test_every_presence_has_a_version(server, romeo, juliet):
    """§2, §5: also for those who did not ask; the one in the presence of oneself is the last"""
    meets(server, romeo, juliet)
    juliet.says(f"<presence to='{COVEN}/balcony'><show>away</show></presence>")
    first = version(romeo.received[-1])
    goes(juliet)
    assert version(romeo.received[-1]) != first


def test_who_comes_back_hears_of_changes_only(server, romeo, juliet, nurse):
    """§2"""
    meets(server, romeo, juliet, nurse)
    got = enters(nurse)
    word = version(got[2])
    goes(nurse)
    romeo.says(f"<presence to='{COVEN}/orchard'><show>dnd</show></presence>")
    found, got = comes_back(nurse, word)
    assert found == [("orchard", None), ("kitchen", None)]
    word = version(got[1])
    goes(nurse)
    goes(juliet)
    found, _ = comes_back(nurse, word)
    assert found == [("kitchen", None), ("balcony", "unavailable")] or found == [
        ("balcony", "unavailable"),
        ("kitchen", None),
    ]


def test_who_knows_nothing_yet_hears_of_all(server, romeo, juliet):
    """§5: an empty version; with it the members who are not there (§4.1)"""
    room = meets(server, romeo)
    affiliates(room, "nurse@example.org", Affiliation.MEMBER, "Angelica")
    found, got = comes_back(juliet, "")
    assert found == [("orchard", None), ("Angelica", "unavailable"), ("balcony", None)]
    assert "affiliation='member' role='none'" in got[1]
    assert "<reset" not in "".join(got)


def test_what_is_too_old_is_begun_anew(server, romeo, juliet):
    """§4.2: a reset, and everything"""
    meets(server, romeo)
    found, got = comes_back(juliet, "0123-7")
    assert f"<reset xmlns='{NS}'" in got[0]
    assert found == [("", None), ("orchard", None), ("balcony", None)]


def test_who_does_not_speak_of_versions_hears_of_all(server, romeo, juliet):
    """§5"""
    meets(server, romeo)
    assert len(enters(juliet)) == 3


@pytest.mark.server(features=["default", "-versions"])
def test_it_can_be_switched_off(server, romeo, juliet):
    """use = ["default", "-versions"]"""
    meets(server, romeo, juliet)
    juliet.says(f"<presence to='{COVEN}/balcony'><show>away</show></presence>")
    assert NS not in romeo.received[-1]
