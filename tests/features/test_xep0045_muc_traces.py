"""XEP-0045 §7.2.2, XEP-0198 §5: who comes back after kill -9 is shown the room as it is."""

from imsuite.features.xep0045_muc import traces
from imsuite.testing.memory import MemoryServer, now
from tests.covens import COVEN
from tests.features.test_xep0045_muc_rooms import CONFIGURE, ENTER, stop
from tests.managed import Managed
from tests.paced import Pace

LEAVE = f"<presence to='{COVEN}/{{}}' type='unavailable'/>"
KICK = (
    f"<iq type='set' id='k' to='{COVEN}'><query xmlns='http://jabber.org/protocol/muc#admin'>"
    "<item nick='{}' role='none'/></query></iq>"
)


def meeting():
    """Return a server and two clients in a room."""
    server = MemoryServer()
    romeo = Managed(server, "romeo@example.org/orchard")
    juliet = Managed(server, "juliet@example.org/balcony")
    romeo.says(ENTER.format("Romeo"))
    romeo.says(CONFIGURE.format("1"))
    juliet.says(ENTER.format("Juliet"))
    romeo.reads(), juliet.reads()
    romeo.got.clear(), juliet.got.clear()
    return server, romeo, juliet


def told(client, nick):
    """Return what a client was told of a nickname: what kinds of presence."""
    client.reads()
    start = "<presence"
    return [
        "type='unavailable'" in text
        for text in client.got
        if text.startswith(start) and f"from='{COVEN}/{nick}'" in text
    ]


def test_a_leave_that_a_client_missed_is_told_after_a_crash():
    """It had no link when somebody left; what was kept for it was lost with the server."""
    server, romeo, juliet = meeting()
    romeo.vanishes()
    juliet.says(LEAVE.format("Juliet"))
    server = server.crash()
    romeo.resumes(server)
    assert told(romeo, "Juliet") == [True]
    assert told(romeo, "Romeo") == [False]
    stop(server)


def test_another_nickname_is_told_after_a_crash():
    """§7.6: the old one is gone, the new one is there."""
    server, romeo, juliet = meeting()
    romeo.vanishes()
    juliet.says(f"<presence to='{COVEN}/Rose'/>")
    server = server.crash()
    romeo.resumes(server)
    assert told(romeo, "Juliet") == [True]
    assert set(told(romeo, "Rose")) == {False}
    stop(server)


def test_who_was_thrown_out_hears_of_it_after_a_crash():
    """§8.2: it may not have heard before that it is not in any more."""
    server, romeo, juliet = meeting()
    juliet.vanishes()
    romeo.says(KICK.format("Juliet"))
    server = server.crash()
    juliet.resumes(server)
    assert told(juliet, "Juliet") == [True]
    assert any("code='110'" in text for text in juliet.got)
    assert told(juliet, "Romeo") == []
    stop(server)


def test_two_crashes_are_no_worse_than_one():
    """Who comes back after the second one hears all the same."""
    server, romeo, juliet = meeting()
    romeo.vanishes()
    juliet.says(LEAVE.format("Juliet"))
    server = server.crash()
    juliet.resumes(server)
    server = server.crash()
    romeo.resumes(server)
    assert told(romeo, "Juliet") == [True]
    stop(server)


def test_others_see_somebody_enter_when_it_is_durable():
    """Else a crash could leave them with a ghost."""
    server, romeo, juliet = meeting()
    juliet.says(LEAVE.format("Juliet"))
    assert told(romeo, "Juliet") == [True]
    romeo.got.clear()
    pace = Pace(server.store)
    pace.held = True
    juliet.says(ENTER.format("Rose"))
    assert told(romeo, "Rose") == []
    pace.go_on()
    server.settle()
    assert told(romeo, "Rose") == [False]
    stop(server)


def rows(server):
    return now(server.store.query("SELECT nick FROM room_occupant WHERE role = 'none'"))


def test_traces_are_not_kept_for_long():
    """The next one removes those that are old."""
    server, romeo, juliet = meeting()
    juliet.says(LEAVE.format("Juliet"))
    server.settle()
    assert rows(server) == [("Juliet",)]
    server.advance(traces.KEPT + 1)
    juliet = Managed(server, "juliet@example.org/tomb")
    romeo = server.login("romeo@example.org/tomb")
    for nick in ("Rose", "Moon"):
        romeo.says(ENTER.format(nick))
        romeo.says(LEAVE.format(nick))
    server.settle()
    assert ("Juliet",) not in rows(server)
    stop(server)


def test_there_are_not_many_traces(monkeypatch):
    """The oldest make room for new ones."""
    monkeypatch.setattr(traces, "MOST", 3)
    server, _, juliet = meeting()
    for number in range(10):
        juliet.says(LEAVE.format("Juliet"))
        juliet.says(ENTER.format(f"n{number}"))
        juliet.says(LEAVE.format(f"n{number}"))
    server.settle()
    assert len(rows(server)) <= 3
    stop(server)


def test_who_was_thrown_out_is_forgotten_with_its_session():
    """Nothing is left of the address when nobody can be told any more."""
    server, romeo, juliet = meeting()
    romeo.says(KICK.format("Juliet"))
    server.settle()
    query = "SELECT room FROM room_occupant WHERE jid = 'juliet@example.org/balcony'"
    assert len(now(server.store.query(query))) == 1
    juliet.says("</stream:stream>")
    server.settle()
    assert now(server.store.query(query)) == []
    stop(server)


def test_presence_in_rooms_is_not_written_for_each_session():
    """Else somebody who enters a large room would cost as many rows as there are people."""
    server, romeo, juliet = meeting()
    juliet.says(LEAVE.format("Juliet"))
    romeo.answers = False
    romeo.vanishes()
    juliet.says(ENTER.format("Juliet"))
    server.settle()
    assert now(server.store.query("SELECT raw FROM pending")) == []
    stop(server)


def test_the_subject_is_told_after_a_crash():
    """§7.2.15: who had just entered may not have heard it."""
    server, romeo, juliet = meeting()
    romeo.says(f"<message type='groupchat' to='{COVEN}'><subject>Roses</subject></message>")
    juliet.reads()
    juliet.got.clear()
    server = server.crash()
    juliet.resumes(server)
    assert any("<subject>Roses</subject>" in text for text in juliet.got)
    stop(server)
