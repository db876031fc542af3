"""XEP-0421: what identifies occupants without naming them."""

import re

from tests.covens import COVEN, enters, meets, tells


def ids(texts):
    """Return the occupant-ids in stanzas."""
    return re.findall(r"<occupant-id [^>]*id='([^']*)'", "".join(texts))


def test_an_occupant_is_known_in_every_guise(server, romeo, juliet):
    """§3: after another nickname, on another client, when it comes again"""
    meets(server, romeo, juliet)
    juliet.says(f"<presence to='{COVEN}/Rose'/>")
    tells(juliet, "hello")
    juliet.says(f"<presence to='{COVEN}/Rose' type='unavailable'/>")
    second = server.login("juliet@example.org/tomb")
    enters(second, nick="Thorn")
    found = ids(romeo.received)
    assert len(found) >= 3
    assert len(set(found)) == 1


def test_another_room_does_not_know_it(server, romeo):
    """§4: rooms can not be compared"""
    here = ids(enters(romeo))
    there = ids(enters(romeo, "tomb@conference.example.org"))
    assert here
    assert there
    assert here != there


def test_others_are_others(server, romeo, juliet):
    """§3"""
    meets(server, romeo)
    assert len(set(ids(enters(juliet)))) == 2


def test_it_does_not_tell_who_it_is(server, romeo):
    """§4: not to be computed from the address alone"""
    (id,) = set(ids(enters(romeo)))
    room = server.host.features["muc"].find(COVEN)
    assert "romeo" not in id
    room.secret = "another"
    assert room.occupant_id("romeo@example.org") != id
