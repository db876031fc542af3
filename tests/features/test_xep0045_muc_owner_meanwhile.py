"""XEP-0045 §10: what owners ask for while the store is busy."""

import pytest

from imsuite.rules.affiliations import Affiliation
from imsuite.store.dialect import StoreFull
from tests.covens import COVEN, meets, the_room
from tests.paced import Pace
from tests.room_owners import (
    JULIET,
    NURSE,
    ROMEO,
    codes,
    configures,
    filled,
    send,
)


@pytest.fixture
def nurse(server):
    """A third client."""
    return server.login(f"{NURSE}/kitchen")


@pytest.fixture
def room(server, romeo, juliet, nurse):
    """Romeo's room; he is "orchard", Juliet "balcony" and her nurse "kitchen"."""
    return meets(server, romeo, juliet, nurse)


@pytest.fixture
def pace(server):
    """The calls to the store."""
    return Pace(server.store)


def test_nothing_changes_before_it_is_durable(server, room, romeo, juliet, pace):
    """§10.2: who enters meanwhile enters the room as it was."""
    pace.held = True
    send(romeo, filled(membersonly="1", roomname="Hall"))
    assert not room.config.members_only
    assert codes(juliet) == []
    pace.go_on()
    assert room.config.members_only
    assert room.find("balcony") is None


def test_what_cannot_be_written_did_not_happen(room, romeo, juliet, pace):
    """§10.2: the owner hears that the store is full, the others nothing."""
    pace.held = True
    send(romeo, filled(membersonly="1", roomadmins=JULIET))
    assert pace.step(why=StoreFull("disk"))
    assert "resource-constraint" in romeo.received[-1]
    assert not room.config.members_only
    assert room.affiliation(JULIET) is Affiliation.NONE
    assert juliet.received == []
    pace.go_on()
    assert configures(romeo, membersonly="1") is None


def test_changes_are_made_one_after_the_other(server, room, romeo, pace):
    """Two forms at once: the second is read against what the first made."""
    second = server.login(f"{ROMEO}/study")
    pace.held = True
    send(romeo, filled(roomname="Hall"))
    send(second, filled(roomdesc="dark"))
    pace.go_on()
    assert (room.config.name, room.config.description) == ("Hall", "dark")


def test_a_room_that_ends_meanwhile_does_not_come_back(server, room, romeo, juliet, nurse, pace):
    """§10.9: not by a configuration that comes late."""
    second = server.login(f"{ROMEO}/study")
    pace.held = True
    send(romeo, "<destroy/>")
    send(second, filled(persistentroom="1", roomname="late"))
    pace.go_on()
    assert "item-not-found" in second.received[-1]
    assert the_room(server) is None


def test_a_room_that_empties_meanwhile_does_not_come_back(server, room, romeo, juliet, nurse, pace):
    """§4.2: a temporary room ended with its last occupant, before the form was written."""
    second = server.login(f"{ROMEO}/study")
    for client in (juliet, nurse):
        client.says(f"<presence to='{COVEN}/{client.jid.resource}' type='unavailable'/>")
    pace.held = True
    romeo.says(f"<presence to='{COVEN}/orchard' type='unavailable'/>")
    send(second, filled(persistentroom="1", roomname="late"))
    pace.go_on()
    assert "item-not-found" in second.received[-1]
    assert the_room(server) is None
