"""XEP-0045 §4.2, §16: rooms are rows; they, and who is in, outlive the server."""

import pytest

from imsuite.features.xep0045_muc import rooms as module
from imsuite.testing.memory import MemoryServer, now
from tests.covens import COVEN, enters, tells
from tests.managed import Managed

CONFIGURE = (
    f"<iq type='set' id='c' to='{COVEN}'><query xmlns='http://jabber.org/protocol/muc#owner'>"
    "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
    "<value>http://jabber.org/protocol/muc#roomconfig</value></field>"
    "<field var='muc#roomconfig_persistentroom'><value>{}</value></field>"
    "<field var='muc#roomconfig_changesubject'><value>1</value></field></x></query></iq>"
)
ENTER = f"<presence to='{COVEN}/{{}}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
SAY = f"<message type='groupchat' to='{COVEN}' id='{{0}}'><body>{{0}}</body></message>"


def found(server, bare=COVEN):
    """Return a room if it is in memory."""
    return server.host.features["muc"].find(bare)


def make(client, lasting="1"):
    """Let a client make a room that lasts."""
    enters(client)
    client.says(CONFIGURE.format(lasting))
    client.forget()


def stop(server):
    """End a test."""
    server.stop()
    assert server.failures.take() == []


@pytest.mark.parametrize("way", ["crash", "restart"])
def test_a_room_is_as_it_was(way):
    """After kill -9, too: its owner, configuration, subject, members and what was said."""
    server = MemoryServer()
    romeo = server.login("romeo@example.org/orchard")
    make(romeo)
    tells(romeo, "one")
    romeo.says(f"<message type='groupchat' to='{COVEN}'><subject>Roses</subject></message>")
    admin = "<query xmlns='http://jabber.org/protocol/muc#admin'>{}</query>"
    item = "<item jid='juliet@example.org' affiliation='member' nick='Rose'/>"
    romeo.says(f"<iq type='set' id='a' to='{COVEN}'>{admin.format(item)}</iq>")
    ids = {occupant.bare: occupant.id for occupant in found(server).occupants.values()}
    server = getattr(server, way)()
    juliet = server.login("juliet@example.org/balcony")
    got = enters(juliet, nick="Rose")
    room = found(server)
    assert "affiliation='member'" in got[0]
    assert "<body>one</body>" in got[1]
    assert "<subject>Roses</subject>" in got[-1]
    assert room.affiliation("romeo@example.org").value == "owner"
    assert room.config.change_subject
    romeo = server.login("romeo@example.org/orchard")
    enters(romeo)
    assert room.find("orchard").id == ids["romeo@example.org"]
    stop(server)


@pytest.mark.parametrize("way", ["crash", "restart"])
def test_who_comes_back_is_still_inside(way):
    """Sessions that resume find themselves in the room, and nobody sees a flap."""
    server = MemoryServer()
    romeo = Managed(server, "romeo@example.org/orchard")
    juliet = Managed(server, "juliet@example.org/balcony")
    romeo.says(ENTER.format("Romeo"))
    romeo.says(CONFIGURE.format("0"))
    juliet.says(ENTER.format("Juliet"))
    romeo.says(SAY.format("one"))
    romeo.reads(), juliet.reads()
    romeo.got.clear(), juliet.got.clear()
    server = getattr(server, way)()
    assert romeo.resumes(server).kind == "resumed"
    romeo.says(SAY.format("two"))
    assert juliet.resumes(server).kind == "resumed"
    juliet.says(SAY.format("three"))
    romeo.reads(), juliet.reads()
    assert romeo.bodies == ["two", "three"]
    assert juliet.bodies == ["two", "three"]
    of_room = [text for text in (*romeo.got, *juliet.got) if text.startswith("<presence")]
    of_room = [text for text in of_room if COVEN in text]
    assert [text for text in of_room if "unavailable" in text] == []
    assert bool(of_room) == (way == "crash")  # then they are told again who is there
    assert sorted(found(server).occupants) == ["juliet", "romeo"]
    stop(server)


def test_who_does_not_come_back_is_gone():
    """Without a session that can be resumed nobody is in after a restart."""
    server = MemoryServer()
    romeo = server.login("romeo@example.org/orchard")
    make(romeo)
    juliet = Managed(server, "juliet@example.org/balcony", resume=False)
    juliet.says(ENTER.format("Juliet"))
    server = server.crash()
    nurse = server.login("nurse@example.org/kitchen")
    got = enters(nurse)
    assert "/kitchen'" in got[0]
    assert list(found(server).occupants) == ["kitchen"]
    rows = now(server.store.query("SELECT nick FROM room_occupant WHERE role <> 'none'"))
    assert rows == [("kitchen",)]
    stop(server)


def test_who_comes_back_learns_who_has_not():
    """After kill -9: a client that is in sees those go who could not resume."""
    server = MemoryServer()
    romeo = Managed(server, "romeo@example.org/orchard")
    romeo.says(ENTER.format("Romeo"))
    romeo.says(CONFIGURE.format("1"))
    juliet = server.login("juliet@example.org/balcony")
    juliet.says(ENTER.format("Juliet"))
    server.settle()
    romeo.reads()
    server = server.crash()
    romeo.got.clear()
    romeo.resumes(server)
    romeo.reads()
    gone = [text for text in romeo.got if "/Juliet' type='unavailable'" in text]
    assert len(gone) == 1
    assert "role='none'" in gone[0]
    assert list(found(server).occupants) == ["romeo"]
    stop(server)


def test_who_can_not_come_back_hears_that_the_service_ends():
    """§15.6.2: 332, before the stream ends"""
    server = MemoryServer()
    romeo = server.login("romeo@example.org/orchard")
    make(romeo)
    server.restart().stop()
    (told,) = [text for text in romeo.received if COVEN in text]
    assert "<status code='332'/>" in told
    assert "type='unavailable'" in told


def test_when_the_service_ends_only_who_comes_back_hears_of_the_others():
    """§15.6.2: a thousand who leave do not tell each other"""
    server = MemoryServer()
    romeo = Managed(server, "romeo@example.org/orchard")
    romeo.says(ENTER.format("Romeo"))
    romeo.says(CONFIGURE.format("1"))
    crowd = [server.login(f"guest{number}@example.org/hall") for number in range(3)]
    for number, guest in enumerate(crowd):
        enters(guest, nick=f"Guest{number}")
    for guest in crowd:
        guest.forget()
    romeo.reads()
    romeo.got.clear()
    server = server.restart()
    for guest in crowd:
        assert [text for text in guest.received if COVEN in text and "'110'" not in text] == []
        assert len([text for text in guest.received if "'332'" in text]) == 1
    assert romeo.resumes(server).kind == "resumed"
    romeo.reads()
    assert len([text for text in romeo.got if "'332'" in text]) == 3
    assert sorted(found(server).occupants) == ["romeo"]
    stop(server)


def test_who_never_resumes_is_seen_to_leave():
    """XEP-0198 §5: the session ends some time after the crash, and so does the visit."""
    server = MemoryServer(options={"management": {"seconds": 60}})
    romeo = Managed(server, "romeo@example.org/orchard")
    juliet = Managed(server, "juliet@example.org/balcony")
    romeo.says(ENTER.format("Romeo"))
    romeo.says(CONFIGURE.format("1"))
    juliet.says(ENTER.format("Juliet"))
    server = server.crash()
    romeo.resumes(server)
    romeo.got.clear()
    server.advance(100)
    romeo.reads()
    assert any("/Juliet' type='unavailable'" in text for text in romeo.got)
    assert list(found(server).occupants) == ["romeo"]
    stop(server)


def test_a_room_without_lasting_ends_with_a_crash():
    """§4.2: nobody came back, and it does not last"""
    server = MemoryServer()
    romeo = server.login("romeo@example.org/orchard")
    make(romeo, lasting="0")
    server = server.crash()
    assert now(server.store.query("SELECT * FROM room")) == []
    stop(server)


def test_a_room_that_nobody_uses_is_forgotten_for_a_while(server, romeo):
    """Rooms are rows: loaded when used, dropped when idle."""
    make(romeo)
    assert found(server) is not None
    romeo.says(f"<presence to='{COVEN}/orchard' type='unavailable'/>")
    assert found(server) is not None
    server.advance(2 * module._IDLE + 1)
    assert found(server) is None
    *_, subject = enters(romeo)
    assert "<subject/>" in subject
    assert found(server).affiliation("romeo@example.org").value == "owner"


def test_only_so_many_rooms_stay_loaded(server, romeo, monkeypatch):
    """Ten thousand rooms that were used once do not fill the memory."""
    monkeypatch.setattr(module, "_RESTING", 3)
    for number in range(10):
        room = f"room{number}@conference.example.org"
        enters(romeo, room)
        romeo.says(CONFIGURE.format("1").replace(COVEN, room))
        romeo.says(f"<presence to='{room}/orchard' type='unavailable'/>")
    loaded = [n for n in range(10) if found(server, f"room{n}@conference.example.org")]
    assert loaded == [7, 8, 9]


def test_rooms_are_not_read_at_the_start():
    """Ten thousand rooms cost a start no time."""
    server = MemoryServer()
    columns = (
        "jid, domain, made, name, listed, lasting, locked, secret, config, subject, subject_id"
    )
    now(
        server.store.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)"
            f" INSERT INTO room ({columns}) SELECT 'r' || i || '@conference.example.org',"
            " 'conference.example.org', i, '', 1, 1, 0, 's', '{}', NULL, 0 FROM n"
        )
    )
    server = server.restart()
    assert server.host.features["muc"].rooms._rooms == {}
    plan = now(
        server.store.query(
            "EXPLAIN QUERY PLAN SELECT jid FROM room WHERE domain = ? AND lasting = 0", "c"
        )
    )
    assert "room_fleeting" in str(plan)
    stop(server)


def test_what_contacts_see_is_not_for_the_room():
    """RFC 6121 §4.6: a status that was not sent to the room is not shown there after a restart"""
    server = MemoryServer()
    romeo = Managed(server, "romeo@example.org/orchard")
    romeo.says("<presence><status>below the balcony</status></presence>")
    romeo.says(ENTER.format("Romeo"))
    romeo.says(CONFIGURE.format("1"))
    server = server.crash()
    assert romeo.resumes(server).kind == "resumed"
    got = enters(server.login("juliet@example.org/balcony"))
    assert "/Romeo'" in got[0]
    assert not any("below the balcony" in text for text in got)
    stop(server)
