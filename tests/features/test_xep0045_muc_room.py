"""XEP-0045: what a room knows of those who are affiliated with it."""

import pytest

from imsuite.features.xep0045_muc.room import Entry
from imsuite.rules.affiliations import Affiliation
from tests.covens import meets

MEMBER = Affiliation.MEMBER
JULIET, NURSE = "juliet@example.org", "nurse@example.org"


@pytest.fixture
def room(server, romeo):
    """Romeo's room."""
    return meets(server, romeo)


def test_nicknames_are_reserved_as_entries_say(room):
    """§7.10: in whatever case, until the entry goes or has another"""
    room.put(JULIET, Entry(MEMBER, "Capulet"))
    assert room.reserved_for("capuleT") == JULIET
    room.put(JULIET, Entry(MEMBER, "Juliet"))
    assert room.reserved_for("Capulet") is None
    assert room.reserved_for("Juliet") == JULIET
    room.put(NURSE, Entry(MEMBER, "Capulet"))
    room.put(JULIET, Entry(MEMBER))
    assert room.reserved_for("Juliet") is None
    room.drop(NURSE)
    assert room.reserved_for("Capulet") is None
    assert NURSE not in room.entries


def test_nickname_goes_from_one_to_another(room):
    """§7.10: whoever has it last"""
    room.put(JULIET, Entry(MEMBER, "Capulet"))
    room.put(NURSE, Entry(MEMBER, "capulet"))
    assert room.reserved_for("Capulet") == NURSE
    room.drop(JULIET)
    assert room.reserved_for("Capulet") == NURSE


def test_version_is_the_newest_there_is(room):
    """XEP-0463 §4: also of those who ceased to be anything"""
    first = room.version
    room.put(JULIET, Entry(MEMBER, version=first + 10))
    room.put(NURSE, Entry(MEMBER, version=first + 5))
    assert room.version == first + 10
    room.drop(NURSE, first + 20)
    assert room.version == first + 20
    assert room.former == {NURSE: first + 20}
    room.drop(NURSE)
    assert room.version == first + 10
    room.drop(JULIET)
    assert room.version == first
    room.put(NURSE, Entry(MEMBER, version=first + 1))
    assert room.version == first + 1


def test_entries_change_by_the_room_alone(room):
    """Else what it derives from them would not agree."""
    with pytest.raises(TypeError):
        room.entries[JULIET] = Entry(MEMBER)
    with pytest.raises(TypeError):
        room.former[JULIET] = 1
