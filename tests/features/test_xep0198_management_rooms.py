"""XEP-0198 §4, §5: messages of rooms to clients that come back, or never do."""

import re

import pytest

from tests.archives import ask, rows
from tests.halls import ROOM, enter, make, said, saying
from tests.managed import Managed
from tests.paced import Pace

JULIET = "juliet@example.org/balcony"
NURSE = "nurse@example.org/house"


@pytest.fixture
def server():
    server, _ = make()
    yield server
    server.failures.stop()


@pytest.fixture
def hall(server):
    return server.host.features["halls"]


@pytest.fixture
def romeo(server, hall):
    client = server.login("romeo@example.org/orchard")
    enter(hall, client)
    return client


def comes(server, hall, jid):
    client = Managed(server, jid)
    hall.inside[str(client.jid)] = client.jid.resource
    return client


def pending(server):
    return rows(server.host, "pending", "number, id, raw")


def test_a_body_is_stored_once(server, hall, romeo):
    """However many sessions may be resumed."""
    clients = [comes(server, hall, f"user{i}@example.org/phone") for i in range(20)]
    for client in clients:
        client.answers = False
        client.vanishes()
    saying(romeo, "hello", "there")
    found = pending(server)
    assert len(found) == 40
    assert {raw for _, _, raw in found} == {None}
    assert {id for _, id, _ in found} == {id for (id,) in rows(server.host, "message", "id")}


def test_who_comes_back_gets_what_was_missed(server, hall, romeo):
    """§5: each once, in order."""
    juliet = comes(server, hall, JULIET)
    saying(romeo, "a")
    juliet.reads()
    juliet.vanishes()
    saying(romeo, "b", "c")
    juliet.resumes()
    saying(romeo, "d")
    juliet.reads()
    assert juliet.bodies == ["a", "b", "c", "d"]


@pytest.mark.parametrize("how", ["crash", "restart"])
def test_after_a_restart_too(server, hall, romeo, how):
    """§5: to itself, from who spoke, with the id that the room gave and the time it was."""
    juliet = comes(server, hall, JULIET)
    nurse = comes(server, hall, NURSE)
    saying(romeo, "a")
    juliet.reads()
    juliet.acknowledges()
    juliet.vanishes()
    nurse.vanishes()
    saying(romeo, "b", "c")
    ids = ask(romeo, to=f" to='{ROOM}'").ids
    server.advance(30)
    second = getattr(server, how)()
    juliet.resumes(second)
    assert juliet.bodies == ["a", "b", "c"]
    third = second.restart()  # those of nurse are written anew
    assert {raw for _, _, raw in pending(third)} == {None}
    nurse.resumes(third)
    assert nurse.bodies[-2:] == ["b", "c"]
    for client in (juliet, nurse):
        message = client.got[-1]
        assert f" to='{client.jid}'" in message
        assert f" from='{ROOM}/orchard'" in message
        assert "type='groupchat'" in message
        assert (ids[-1], ROOM) == stanza_id(message)
        assert (
            "<delay xmlns='urn:xmpp:delay' from='example.org' stamp='2026-01-01T00:00:0" in message
        )
    second.failures.stop()
    third.failures.stop()


def stanza_id(message):
    (found,) = re.findall("<stanza-id [^>]*>", message)
    return re.search(" id='([^']*)'", found)[1], re.search("by='([^']*)'", found)[1]


def test_what_differs_is_stored_whole(server, hall, romeo):
    """The stanza that a session got counts, whatever the archive has."""
    juliet = comes(server, hall, JULIET)
    juliet.vanishes()
    saying(romeo, "a")
    (session,) = (s for s in server.router.sessions.values() if s.full == JULIET)
    place = session.tracker.unacked[-1]
    assert place.source is not None
    place._source = None
    place.stanza = place.stanza.plus(b"<more xmlns='urn:example'/>", "urn:example}more")
    second = server.restart()
    assert b"<more" in pending(second)[-1][2]
    juliet.resumes(second)
    assert "<more" in juliet.got[-1]
    second.failures.stop()


def test_a_room_that_keeps_no_archive(server, hall, romeo):
    """Its messages are there once, while clients may come for them, and no query finds them."""
    hall.lasting = False
    juliet, nurse = comes(server, hall, JULIET), comes(server, hall, NURSE)
    for client in (juliet, nurse):
        client.vanishes()
    saying(romeo, "a")
    assert {raw for _, _, raw in pending(server)} == {None}
    assert len(rows(server.host, "message")) == 1
    assert ask(romeo, to=f" to='{ROOM}'").ids == []
    second = server.crash()
    juliet.resumes(second)
    assert juliet.bodies == ["a"]
    assert stanza_id(juliet.got[-1])[1] == ROOM
    second.advance(2 * 86_400)
    assert rows(second.host, "message") == rows(second.host, "archive") == []
    second.failures.stop()


def test_a_ghost_is_told_of(server, hall, romeo):
    """§4, XEP-0045 §18.1.2: the room hears of each message that nobody got, and of nothing else."""
    juliet = comes(server, hall, JULIET)
    juliet.vanishes()
    saying(romeo, "a", "b")
    assert hall.errors == []
    server.advance(1000)
    assert [(who, error.id) for who, error in hall.errors] == [(JULIET, "a"), (JULIET, "b")]
    assert all(b"<recipient-unavailable" in error.raw for _, error in hall.errors)
    assert all(error.to == f"{ROOM}/orchard" for _, error in hall.errors)
    assert JULIET not in hall.inside
    assert rows(server.host, "pending") == rows(server.host, "offline") == []


def test_a_ghost_is_told_of_after_a_restart(server, hall, romeo):
    """What was stored for it is answered as well; nothing is kept for later."""
    juliet = comes(server, hall, JULIET)
    juliet.vanishes()
    saying(romeo, "a")
    second = server.crash()
    second.advance(1000)
    errors = second.host.features["halls"].errors
    assert [(who, error.id) for who, error in errors] == [(JULIET, "a")]
    assert rows(second.host, "pending") == rows(second.host, "offline") == []
    second.failures.stop()


def test_errors_do_not_go_round(server, hall, romeo):
    """RFC 6120 §8.3.1: an error that nobody gets is answered by nobody."""
    juliet = comes(server, hall, JULIET)
    juliet.vanishes()
    error = "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
    romeo.says(f"<message to='{JULIET}' type='error' id='e'>{error}</message>")
    saying(romeo, "a")
    server.advance(1000)
    assert len(hall.errors) == 1
    assert [m for m in romeo.received if "type='error'" in m] == []


def test_results_of_an_archive_are_not_kept(server, hall, romeo):
    """XEP-0313 §4.2: who wants them asks again."""
    saying(romeo, "a")
    juliet = comes(server, hall, JULIET)
    juliet.answers = False
    query = "<query xmlns='urn:xmpp:mam:2'/>"
    juliet.client.says(f"<iq type='set' id='q' to='{ROOM}'>{query}</iq>")
    juliet.client.vanishes()
    server.advance(1000)
    assert rows(server.host, "offline") == []
    assert hall.errors == []


def test_what_was_retracted_meanwhile_is_not_told(server, hall, romeo):
    """XEP-0424 §5: a room prevents that it goes further."""
    juliet = comes(server, hall, JULIET)
    juliet.vanishes()
    romeo.says(said("a secret", "m1"))
    message = "<message type='groupchat' from='coven@hall.example.org/orchard' id='m1'>"
    raw = f"{message}<retracted xmlns='urn:xmpp:message-retract:1' id='r1'/></message>"
    server.host.store.execute("UPDATE message SET raw = ?", raw.encode())
    second = server.crash()
    juliet.resumes(second)
    assert "secret" not in juliet.got[-1]
    assert "<retracted" in juliet.got[-1]
    second.failures.stop()


def dies(store, pace):
    """Let what is not written by now be written never, as if the process were gone."""
    pace._writes.clear()
    pace.held = False
    groups = store._groups
    groups._gathered.clear()
    groups._writing, groups._soon, groups._done = None, False, groups._appended


@pytest.mark.parametrize("steps", range(4))
@pytest.mark.parametrize("meanwhile", [True, False])
def test_killed_at_any_moment(server, hall, steps, meanwhile):
    """What came back to who spoke is in the archive; who resumes gets what is there, once."""
    romeo, juliet = comes(server, hall, "romeo@example.org/orchard"), comes(server, hall, JULIET)
    if not meanwhile:
        juliet.vanishes()
    pace = Pace(server.store)
    pace.held = True
    for text in "abc":
        romeo.sent.append(said(text, text))
        romeo.client.says(romeo.sent[-1])
        if steps > 1:
            pace.step()
    for _ in range(steps % 3):
        pace.step()
    romeo.reads()
    known = list(romeo.bodies)
    dies(server.store, pace)
    second = server.crash()
    second.host.features["halls"].inside = hall.inside
    for client in (romeo, juliet):
        client.resumes(second)
    kept = ask(second.login("nurse@example.org/house"), to=f" to='{ROOM}'").bodies
    assert romeo.bodies == juliet.bodies == kept == ["a", "b", "c"]
    assert kept[: len(known)] == known
    second.failures.stop()
