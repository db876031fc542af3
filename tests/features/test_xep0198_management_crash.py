"""XEP-0198 §5: what a client knows to be handled is as it was after kill -9, at any moment."""

import pytest

from imsuite.store.dialect import StoreFull
from imsuite.testing.memory import MemoryServer
from tests.managed import NS_SM, Managed
from tests.paced import Pace

JULIET = "juliet@example.org/balcony"
ENABLE = f"<enable xmlns='{NS_SM}' resume='true'/>"


def chat(text, to="juliet@example.org"):
    return f"<message to='{to}' type='chat'><body>{text}</body></message>"


@pytest.fixture
def server():
    server = MemoryServer()
    yield server
    server.failures.stop()


@pytest.fixture
def romeo(server):
    return Managed(server, "romeo@example.org/orchard")


@pytest.fixture
def pace(server, romeo):
    return Pace(server.store)


def is_full(pace):
    """Let everything fail that is to be written now."""
    while pace.step(StoreFull("no room")):
        pass


def there(server):
    """The resources of juliet that take messages."""
    return [session.resource for session in server.host.accounts["juliet"].available]


def test_presence_is_as_durable_as_its_count(server, romeo):
    """Else it is counted, so nobody sends it again, and the client hears nothing any more."""
    juliet = Managed(server, JULIET, available=False)
    later = []
    soon, server.store.soon = server.store.soon, later.append
    romeo.says(chat("the group begins", "romeo@example.org"))
    juliet.client.says("<presence/>" + chat("of the same group", "romeo@example.org"))
    later.pop(0)()
    server.store.soon = soon
    second = server.crash()
    assert juliet.resumes(second).attrs["h"] == "2"
    assert there(second) == ["balcony"]
    second.failures.stop()


def test_who_does_not_wait_for_the_answer_is_there_all_the_same(server, romeo, pace):
    """§3: the row of a session stands before what is written about it."""
    juliet = server.login(JULIET, available=False)
    pace.held = True
    romeo.client.says("<presence/>")
    romeo.client.says("<presence><priority>1</priority></presence>")
    juliet.says(ENABLE + "<presence/>")
    pace.go_on()
    second = server.crash()
    assert there(second) == ["balcony"]
    second.failures.stop()


def test_what_could_not_be_written_of_a_session_is_written_later(server, romeo, pace):
    """With room again on the disk its presence gets there."""
    juliet = Managed(server, JULIET, available=False)
    pace.held = True
    juliet.client.says("<presence/>")
    is_full(pace)
    pace.go_on()
    server.advance(5)
    second = server.crash()
    assert there(second) == ["balcony"]
    second.failures.stop()


def test_the_newest_of_two_sessions_with_one_address_goes_on(server, romeo, pace):
    """The end of the older one could not be written; what it had not got comes to the other."""
    old = Managed(server, JULIET)
    old.vanishes()
    romeo.says(chat("old"))
    pace.held = True
    server.advance(1000)
    is_full(pace)
    pace.go_on()
    new = Managed(server, JULIET)
    new.vanishes()
    romeo.says(chat("new"))
    second = server.crash()
    assert new.resumes(second).kind == "resumed"
    assert sorted(new.bodies) == ["new", "old"]
    second.advance(5)
    assert new.reads() == []
    second.failures.stop()


def test_who_can_not_be_given_new_numbers_comes_again(server, romeo, pace):
    """After a crash a full disk is no reason to lose anything, nor to let the client wait."""
    juliet = Managed(server, JULIET)
    juliet.vanishes()
    romeo.says(chat("one"))
    romeo.says(chat("two"))
    second = server.crash()
    pace.held = True
    juliet.connects(second)
    juliet.client.says(f"<resume xmlns='{NS_SM}' previd='{juliet.id}' h='{juliet.counted}'/>")
    is_full(pace)
    second.settle()
    assert juliet.client.link.closed
    assert "resource-constraint" in "".join(juliet.client.received)
    pace.held = False
    assert juliet.resumes(second).kind == "resumed"
    assert juliet.bodies == ["one", "two"]
    second.failures.stop()


@pytest.mark.parametrize("crashes", [False, True])
def test_what_can_not_go_elsewhere_goes_when_there_is_room(server, romeo, pace, crashes):
    """The session ends while the disk is full, and what it had not got comes to the next one."""
    juliet = Managed(server, JULIET)
    juliet.vanishes()
    romeo.says(chat("old"))
    pace.held = True
    server.advance(1000)
    is_full(pace)
    pace.go_on()
    if crashes:
        server = server.crash()
        server.advance(1000)
    server.advance(5)
    assert juliet.resumes(server).kind == "failed"
    later = Managed(server, JULIET, available=False)
    later.says("<presence/>")
    server.advance(5)
    later.reads()
    assert later.bodies == ["old"]
    romeo.reads()
    assert not [text for text in romeo.got if "type='error'" in text]
    if crashes:
        server.failures.stop()


def test_what_the_client_had_when_it_resumed_does_not_come_again(server, romeo):
    """Though the server dies a moment later, and the session then waits in vain."""
    juliet = Managed(server, JULIET)
    juliet.answers = False
    romeo.says(chat("heard"))
    juliet.vanishes()
    assert juliet.bodies == ["heard"]
    assert juliet.resumes(server).kind == "resumed"
    second = server.crash()
    second.advance(1000)
    second.advance(5)
    later = Managed(second, JULIET, available=False)
    later.says("<presence/>")
    assert later.bodies == []
    second.failures.stop()


@pytest.mark.parametrize(("seconds", "directed"), [(0, 0), (5, 50)])
def test_of_much_that_is_known_the_presence_is_written_at_once(server, romeo, seconds, directed):
    """The rest of it a few seconds later."""
    for number in range(50):
        romeo.client.says(f"<presence to='{'x' * 500}{number}@elsewhere.example/{'y' * 500}'/>")
    server.advance(5)
    romeo.client.says("<presence><priority>7</priority></presence>")
    server.advance(seconds)
    second = server.crash()
    (session,) = second.host.accounts["romeo"].available
    assert session.priority == 7
    assert len(session.directed or ()) == directed
    second.failures.stop()


def test_what_was_acknowledged_just_before_a_crash_is_given_to_nobody_else():
    """XEP-0198 §5: the count of the client is as durable as what it counts."""
    first = MemoryServer()
    romeo = first.login("romeo@example.org/orchard")
    juliet = Managed(first, "juliet@example.org/balcony")
    romeo.says("<message to='juliet@example.org' type='chat'><body>one</body></message>")
    juliet.reads()
    juliet.acknowledges()
    second = first.crash()
    second.advance(1000)  # she does not come back to that session
    later = second.login("juliet@example.org/other", available=False)
    later.says("<presence/>")
    assert not [stanza for stanza in later.stanzas if stanza.kind == "message"]
    second.stop()
