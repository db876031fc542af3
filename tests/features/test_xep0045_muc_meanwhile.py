"""XEP-0045 §7.2, §10.1, §10.9: rooms that are made, entered and destroyed while something waits."""

import pytest
from twisted.internet.defer import Deferred

from imsuite.core.feature import Feature, on
from imsuite.core.hooks import ROOM_JOINING, ROOM_MESSAGE, Stage
from imsuite.features.xep0045_muc import rooms as module
from imsuite.store.dialect import StoreFull, StoreUnavailable
from imsuite.testing.memory import now
from tests.covens import COVEN, enters, meets, tells, the_room
from tests.paced import Pace
from tests.room_owners import configures

MUC = "http://jabber.org/protocol/muc"
ENTER = f"<presence to='{COVEN}/{{}}'><x xmlns='{MUC}'/></presence>"
DESTROY = f"<iq type='set' id='d' to='{COVEN}'><query xmlns='{MUC}#owner'><destroy/></query></iq>"


class Doorkeeper(Feature):
    """Lets those who enter wait, and those who speak slowly."""

    spec = "XEP-0045 1"

    def __init__(self, host, options):
        super().__init__(host, options)
        self.waiting = []

    @on(ROOM_MESSAGE, Stage.GUARD, child=("urn:example", "slowly"))
    @on(ROOM_JOINING, Stage.GUARD)
    async def wait(self, passing):
        """Wait until `open`."""
        self.waiting.append(Deferred())
        await self.waiting[-1]

    def open(self):
        """Let them in."""
        waiting, self.waiting = self.waiting, []
        for later in waiting:
            later.callback(None)


slow = pytest.mark.server(features=["default", Doorkeeper])


@pytest.fixture
def door(server):
    """What lets people wait."""
    return next(each for each in server.host.features.values() if isinstance(each, Doorkeeper))


@pytest.fixture
def pace(server):
    """The calls to the store."""
    return Pace(server.store)


def loaded(server):
    """Return the room if it is in memory."""
    return server.host.features["muc"].find(COVEN)


def made(client):
    """Tell whether a client was told that it made the room."""
    return any("'201'" in text for text in client.received)


def inside(client):
    """Tell whether a client was told that it is in."""
    own = [text for text in client.received if "'110'" in text]
    return bool(own) and "unavailable" not in own[-1]


@slow
def test_a_new_room_waits_for_who_makes_it(server, romeo, juliet, door):
    """§10.1: also where somebody else asks meanwhile"""
    romeo.says(ENTER.format("Romeo"))
    room = loaded(server)
    assert "item-not-found" in tells(juliet, "hello?")[0]
    door.open()
    server.settle()
    assert made(romeo)
    assert loaded(server) is room
    assert list(room.occupants) == ["romeo"]


@slow
def test_who_went_before_the_door_opened_is_not_in(server, romeo, juliet, door):
    """§7.14: there is no ghost of it"""
    romeo.says(ENTER.format("Romeo"))
    door.open()
    room = the_room(server)
    room.locked = False
    juliet.says(ENTER.format("Juliet"))
    juliet.vanishes()
    door.open()
    server.settle()
    assert list(room.occupants) == ["romeo"]


@slow
def test_a_room_does_not_end_while_somebody_enters(server, romeo, juliet, door):
    """§4.2: a temporary one"""
    romeo.says(ENTER.format("Romeo"))
    door.open()
    room = the_room(server)
    room.locked = False
    juliet.says(ENTER.format("Juliet"))
    romeo.says(f"<presence to='{COVEN}/Romeo' type='unavailable'/>")
    door.open()
    server.settle()
    assert inside(juliet)
    assert loaded(server) is room
    assert not room.gone


@slow
@pytest.mark.parametrize(
    ("item", "condition"), [("role='visitor'", "forbidden"), ("role='none'", "not-acceptable")]
)
def test_who_may_not_speak_any_more_is_not_heard(server, romeo, juliet, door, item, condition):
    """§8.2, §8.4: what was on its way when voice was taken"""
    romeo.says(ENTER.format("Romeo"))
    door.open()
    the_room(server).locked = False
    juliet.says(ENTER.format("Juliet"))
    door.open()
    tells(juliet, "wherefore", inner="<slowly xmlns='urn:example'/>")
    query = f"<query xmlns='{MUC}#admin'><item nick='Juliet' {item}/></query>"
    romeo.says(f"<iq type='set' id='v' to='{COVEN}'>{query}</iq>")
    door.open()
    server.settle()
    assert condition in juliet.received[-1]
    assert not any("wherefore" in text for text in romeo.received)


def test_one_of_two_makes_the_room(server, romeo, juliet, pace):
    """§10.1.1: the other is told that it is locked"""
    pace.held = True
    romeo.says(ENTER.format("Romeo"))
    juliet.says(ENTER.format("Juliet"))
    pace.go_on()
    server.settle()
    assert made(romeo) + made(juliet) == 1
    assert sum("item-not-found" in text for text in (*romeo.received, *juliet.received)) == 1
    assert len(the_room(server).occupants) == 1


def test_who_is_alone_enters_under_another_name(server, romeo):
    """§7.2.1: a temporary room does not end by that"""
    room = meets(server, romeo)
    enters(romeo, nick="Romeo")
    assert loaded(server) is room
    assert list(room.occupants) == ["romeo"]


def test_a_room_that_can_not_be_read_is_not_made_anew(server, romeo, juliet, pace):
    """§10.1: two look for it at once, and the store fails"""
    nurse = server.login("nurse@example.org/kitchen")
    meets(server, romeo)
    configures(romeo, persistentroom="1")
    romeo.says(f"<presence to='{COVEN}/orchard' type='unavailable'/>")
    server.host.features["muc"].rooms.unload(COVEN)
    pace.held = True
    juliet.says(ENTER.format("Juliet"))
    nurse.says(ENTER.format("Nurse"))
    pace.step(why=StoreUnavailable("gone"), reading=True)
    pace.go_on()
    server.settle()
    assert "type='error'" in juliet.received[-1]
    assert inside(nurse)
    assert not made(nurse)
    assert list(the_room(server).entries) == ["romeo@example.org"]


def test_who_comes_while_a_room_is_destroyed_makes_another(server, romeo, juliet, pace):
    """§10.9: nobody is left in a room that is no more"""
    room = meets(server, romeo)
    pace.held = True
    romeo.says(DESTROY)
    juliet.says(ENTER.format("Juliet"))
    assert juliet.received == []
    pace.go_on()
    server.settle()
    assert "<destroy/>" in romeo.received[0]
    assert made(juliet)
    assert loaded(server) is not room
    rows = now(server.store.query("SELECT jid FROM room_occupant"))
    assert rows == [("juliet@example.org/balcony",)]


def test_a_room_that_can_not_be_destroyed_is_as_it_was(server, romeo, juliet, pace):
    """§10.9: the owner hears of it, and nobody is sent out"""
    room = meets(server, romeo, juliet)
    pace.held = True
    romeo.says(DESTROY)
    pace.step(why=StoreFull("disk"))
    pace.go_on()
    server.settle()
    assert "resource-constraint" in romeo.received[-1]
    assert juliet.received == []
    assert sorted(room.occupants) == ["balcony", "orchard"]
    tells(romeo, "still here")
    assert any("still here" in text for text in juliet.received)
    romeo.says(DESTROY)
    assert loaded(server) is None


def test_a_room_that_can_not_be_written_is_not_made(server, romeo, juliet, pace):
    """§10.1: whoever comes next makes it"""
    pace.held = True
    romeo.says(ENTER.format("Romeo"))
    while pace.step(reading=True):
        pass
    pace.step(why=StoreFull("disk"))
    assert any("resource-constraint" in text for text in romeo.received)
    assert not inside(romeo)
    assert loaded(server) is None
    pace.go_on()
    enters(juliet)
    assert made(juliet)


def test_a_name_that_can_not_be_written_is_not_had(server, romeo, juliet, pace):
    """§7.6: everybody knows that the occupant is gone"""
    room = meets(server, romeo, juliet)
    pace.held = True
    juliet.says(f"<presence to='{COVEN}/Capulet'/>")
    assert pace.step(why=StoreFull("disk"))
    pace.go_on()
    assert list(room.occupants) == ["orchard"]
    assert "/Capulet' type='unavailable'" in romeo.received[-1]
    assert any("'333'" in text for text in juliet.received)


def test_rooms_that_are_busy_do_not_hold_up_others(server, romeo, monkeypatch):
    """More of them than may stay loaded: they are unloaded later."""
    monkeypatch.setattr(module, "_RESTING", 2)
    rooms = []
    for number in range(5):
        rooms.append(meets(server, romeo, room=f"r{number}@conference.example.org"))
        rooms[-1].config = rooms[-1].config.changed({"persistent": True})
        now(rooms[-1].turn.acquire())
    for room in rooms:
        romeo.says(f"<presence to='{room.bare}/orchard' type='unavailable'/>")
    assert all(server.host.features["muc"].find(room.bare) is room for room in rooms)
    for room in rooms:
        room.turn.release()
    server.advance(1000)
    assert not any(server.host.features["muc"].find(room.bare) for room in rooms)


@pytest.mark.server(options={"muc": {"most_owned": 2, "most_joined": 3}})
def test_there_is_an_end_to_rooms(server, romeo, juliet):
    """§18: rooms that somebody makes, and those that a client is in"""
    for number in range(3):
        got = enters(romeo, f"r{number}@conference.example.org")
        assert made(romeo) is (number < 2)
        romeo.forget()
    assert "resource-constraint" in got[-1]
    assert server.host.features["muc"].find("r2@conference.example.org") is None
    for number in range(2):
        the_room(server, f"r{number}@conference.example.org").locked = False
        enters(juliet, f"j{number}@conference.example.org")
    assert inside(juliet)
    juliet.forget()
    enters(juliet, "r0@conference.example.org")
    assert inside(juliet)
    assert "resource-constraint" in enters(juliet, "r1@conference.example.org")[-1]
    enters(juliet, "r0@conference.example.org", nick="Juliet")
    assert inside(juliet)
