"""XEP-0198 where the store is late or fails, rows make no sense, and clients owe answers."""

import re

import pytest

from imsuite.store.dialect import StoreFull
from imsuite.testing.memory import MemoryServer, now
from tests.managed import NS_SM, Managed
from tests.paced import Pace

JULIET = "juliet@example.org/balcony"
ENABLE = f"<enable xmlns='{NS_SM}' resume='true'/>"
NOTHING_KEPT = "<iq type='set' id='1'><prefs xmlns='urn:xmpp:mam:2' default='never'/></iq>"


def chat(text, to=JULIET):
    return f"<message to='{to}' type='chat'><body>{text}</body></message>"


@pytest.fixture
def server():
    server = MemoryServer()
    yield server
    server.failures.stop()


@pytest.fixture
def management(server):
    return server.host.features["management"]


@pytest.fixture
def romeo(server):
    return Managed(server, "romeo@example.org/orchard")


@pytest.fixture
def juliet(server):
    return Managed(server, JULIET)


def rows(server, sql):
    return now(server.store.query(sql))


def asks_to_resume(managed, server=None):
    """Come on a new link and ask to resume; the answer may have to wait."""
    managed.connects(server)
    managed.client.says(f"<resume xmlns='{NS_SM}' previd='{managed.id}' h='{managed.counted}'/>")


# counts


def test_what_came_before_enabling_never_makes_a_count_negative(server):
    """§4: a message that is on its way to the store when counting begins is not counted."""
    romeo, juliet = server.login("romeo@example.org/orchard"), server.login(JULIET)
    pace = Pace(server.store)
    pace.held = True
    romeo.says(chat("before") + f"<enable xmlns='{NS_SM}'/><r xmlns='{NS_SM}'/>")
    juliet.says("<presence to='romeo@example.org/orchard'/>")
    server.advance(5)
    assert f"<a xmlns='{NS_SM}' h='0'/>" in romeo.received
    pace.go_on()


def test_the_count_that_is_stored_is_never_negative(server):
    """§5: nor is the one that a client hears after a crash."""
    romeo = server.login("romeo@example.org/orchard")
    server.account("juliet@example.org")
    pace = Pace(server.store)
    pace.held = True
    romeo.says(chat("on its way"))
    romeo.says(chat("in one group with what follows") + "<presence/>" + ENABLE)
    pace.go_on()
    assert rows(server, "SELECT taken FROM session") == [(0,)]


def test_who_can_not_resume_hears_the_last_count(server, romeo, juliet):
    """§5: the count of <failed/> is not from a time when messages were still on their way."""
    pace = Pace(server.store)
    pace.held = True
    romeo.says(chat("1"))
    romeo.says(chat("2"))
    romeo.client.closes()
    pace.go_on()
    asks_to_resume(romeo)
    assert "h='2'" in romeo.client.received[0]
    assert juliet.reads()


def test_the_counts_of_ended_sessions_are_forgotten_after_a_day(server, management):
    """§5: neither memory nor the store keeps them for ever."""
    for _ in range(3):
        Managed(server, "romeo@example.org/orchard").client.closes()
    server.advance(90_000)
    Managed(server, "romeo@example.org/orchard").client.closes()
    assert len(management._ended) == 1
    assert rows(server, "SELECT count(*) FROM session") == [(1,)]


# clients that owe


def test_a_client_that_can_not_resume_and_owes_its_count_is_gone(server, romeo):
    """§4: and it does not stop the looking after the others."""
    juliet = Managed(server, JULIET, resume=False)
    juliet.answers = False
    romeo.says(chat("hello?"))
    romeo.vanishes()
    for _ in range(200):
        server.advance(5)
    assert juliet.client.gone
    assert not server.router.sessions


# the store fails


def test_who_resumes_while_the_store_is_full_hears_the_count_that_is_stored(server, romeo):
    """§5: and sends the rest again, which is counted once."""
    romeo.says("<presence/>")
    romeo.vanishes()
    pace = Pace(server.store)
    pace.held = True
    asks_to_resume(romeo)
    while pace.step(StoreFull("no room")):
        pass
    assert "<resumed" in romeo.client.received[0]
    assert "h='0'" in romeo.client.received[0]
    pace.go_on()
    romeo.client.says("<presence/>")
    assert romeo.asks() == 1


def test_a_session_that_can_not_be_kept_ends_with_its_link(server, management):
    """§3: nobody has an id to come back with."""
    romeo = server.login("romeo@example.org/orchard")
    pace = Pace(server.store)
    pace.held = True
    romeo.says(ENABLE)
    romeo.vanishes()
    while pace.step(StoreFull("no room")):
        pass
    pace.go_on()
    assert not server.router.sessions
    assert not management._detached


def test_that_a_session_ended_is_written_at_another_time(server, romeo):
    """Otherwise it would be there again after the next start."""
    pace = Pace(server.store)
    pace.held = True
    romeo.client.closes()
    while pace.step(StoreFull("no room")):
        pass
    pace.go_on()
    server.advance(5)
    assert rows(server, "SELECT count(*) FROM session WHERE ended = 0") == [(0,)]


# order of what is written


def test_a_session_that_ends_at_once_is_not_there_after_a_start(server, juliet):
    """It begins and ends in one group, in which another one ends before it."""
    romeo = server.login("romeo@example.org/orchard")
    pace = Pace(server.store)
    pace.held = True
    romeo.says(chat("keeps the writer busy"))
    juliet.client.closes()
    romeo.says(ENABLE)
    romeo.closes()
    pace.go_on()
    assert rows(server, "SELECT count(*) FROM session WHERE ended = 0") == [(0,)]


def test_messages_to_a_session_that_ends_meanwhile_are_not_refused(server, romeo, juliet):
    """Each has a number of its own, although none of them goes out."""
    juliet.vanishes()
    juliet.connects()
    pace = Pace(server.store)
    pace.held = True
    romeo.says(chat("1"))
    romeo.says(chat("2"))
    server.host.spawn(server.host.departures.vacate(juliet.client.stream.account, juliet.jid))
    pace.go_on()
    romeo.reads()
    assert not [text for text in romeo.got if "type='error'" in text]
    assert rows(server, "SELECT count(*) FROM pending") == [(0,)]
    last = server.login(JULIET, available=False)
    last.says("<presence/>")
    assert [found[1] for text in last.received if (found := re.search("<body>(.)<", text))] == [
        "1",
        "2",
    ]


def test_what_comes_during_the_resumption_comes_after_what_was_there(server, romeo, juliet):
    """§5, after a crash, when all of it gets new numbers, on disk as well."""
    juliet.answers = False
    juliet.vanishes()
    romeo.says(chat("old"))
    second = server.crash()
    romeo.resumes(second)
    pace = Pace(second.store)
    pace.held = True
    romeo.says(chat("new"))
    asks_to_resume(juliet, second)
    pace.go_on()
    juliet.reads()
    assert juliet.bodies == ["old", "new"]
    assert rows(second, "SELECT number FROM pending ORDER BY number") == [(1,), (2,)]
    second.failures.stop()


# what nobody else keeps


def test_a_message_in_no_archive_outlives_a_crash(server, romeo, juliet):
    """§4: it was acknowledged to its sender."""
    for each in (romeo, juliet):
        each.says(NOTHING_KEPT)
    juliet.vanishes()
    romeo.says(chat("only once"))
    assert romeo.asks() == 2
    second = server.crash()
    assert juliet.resumes(second).kind == "resumed"
    assert juliet.bodies == ["only once"]
    second.failures.stop()


def test_a_message_in_no_archive_keeps_its_time(server, romeo, juliet):
    """XEP-0203: also where it went to a session that ended before it waits for the next."""
    for each in (romeo, juliet):
        each.says(NOTHING_KEPT)
    juliet.vanishes()
    romeo.says(chat("when?"))
    server.advance(1000)
    server.advance(5)
    last = server.login("juliet@example.org/chamber", available=False)
    last.says("<presence/>")
    assert "stamp='2026-01-01T00:00:00" in last.received[-1]


# rows that make no sense


def test_a_session_whose_row_makes_no_sense_is_dropped(server, romeo, juliet):
    """The server starts, and what waited for it goes elsewhere."""
    juliet.vanishes()
    romeo.says(chat("still here"))
    server.store.execute("UPDATE session SET state = '{' WHERE account = 'juliet@example.org'")
    second = server.crash()
    assert list(second.router.sessions) == ["romeo@example.org/orchard"]
    assert rows(second, "SELECT count(*) FROM session") == [(1,)]
    last = second.login(JULIET, available=False)
    last.says("<presence/>")
    assert "still here" in last.received[-1]
    second.failures.stop()


@pytest.mark.parametrize(
    "what", ["UPDATE message SET raw = x'3c' WHERE", "DELETE FROM message WHERE"]
)
@pytest.mark.parametrize("how", ["crash", "restart"])
def test_a_message_that_is_gone_does_not_confuse_the_counts(server, romeo, juliet, what, how):
    """§4: the others come, and the client counts as the server does."""
    juliet.vanishes()
    for text in ("lost", "kept"):
        romeo.says(chat(text))
    server.store.execute(f"{what} id = (SELECT min(id) FROM message)")
    second = getattr(server, how)()
    assert juliet.resumes(second).kind == "resumed"
    assert juliet.bodies == ["kept"]
    juliet.acknowledges()
    juliet.reads()
    assert not juliet.client.session.tracker.unacked
    second.failures.stop()


def test_rows_for_sessions_that_are_gone_are_removed_at_the_start(server, romeo):
    server.store.execute("INSERT INTO pending VALUES (1, 1, 1, NULL)")
    second = server.crash()
    assert rows(second, "SELECT count(*) FROM pending") == [(0,)]
    second.failures.stop()


# much that is kept


def test_a_large_state_is_not_written_for_each_presence(server, romeo):
    """1000 long addresses that were sent presence are 2 MB; a presence is a few bytes."""
    for number in range(50):
        romeo.client.says(f"<presence to='{'x' * 500}{number}@elsewhere.example/{'y' * 500}'/>")
    server.advance(5)
    calls = Pace(server.store).calls
    for _ in range(20):
        romeo.client.says("<presence/>")
    assert calls["run"] == 0
    server.advance(5)
    assert calls["run"] == 1


# what goes elsewhere


CARBONS = "<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>"


@pytest.mark.parametrize("to", [JULIET, "juliet@example.org", "juliet@example.org/nowhere"])
def test_nobody_gets_a_second_time_what_another_session_never_got(server, romeo, juliet, to):
    """XEP-0280 §7, RFC 6121 §8.5.3.2.1: by a copy, or because it went to all of them."""
    other = server.login("juliet@example.org/chamber")
    other.says(CARBONS)
    other.forget()
    juliet.vanishes()
    romeo.says(chat("once", to))
    server.advance(1000)
    server.advance(5)
    assert len([text for text in other.received if "once" in text]) == 1


def test_to_a_resource_that_is_not_there_it_went_to_all(server, romeo, juliet):
    """RFC 6121 §8.5.3.2.1: also without copies."""
    other = server.login("juliet@example.org/chamber")
    juliet.vanishes()
    romeo.says(chat("once", "juliet@example.org/nowhere"))
    server.advance(1000)
    server.advance(5)
    assert len([text for text in other.received if "once" in text]) == 1


def test_what_an_archive_has_is_never_refused_later(romeo):
    """Pitfall 30: though too much waits already, it was accepted, and the client finds it."""
    server = MemoryServer(options={"offline": {"most": 1}})
    romeo, juliet = Managed(server, "romeo@example.org/orchard"), Managed(server, JULIET)
    juliet.vanishes()
    for number in range(3):
        romeo.says(chat(number))
    server.advance(1000)
    server.advance(5)
    romeo.reads()
    assert not [text for text in romeo.got if "type='error'" in text]
    assert rows(server, "SELECT count(*) FROM offline") == [(1,)]
    server.stop()


def test_a_message_goes_elsewhere_once_though_the_server_dies_meanwhile(server, romeo, juliet):
    """§5: it is taken from the session that ended in the transaction that gives it to another."""
    juliet.vanishes()
    romeo.says(chat("once"))
    other = Managed(server, "juliet@example.org/chamber")
    other.answers = False
    pace = Pace(server.store)
    pace.held = True
    server.advance(1000)
    server.advance(5)
    while not other.reads() and pace.step():
        pass
    assert other.bodies == ["once"]
    assert rows(
        server,
        "SELECT count(*) FROM pending p JOIN session s ON s.number = p.session"
        " WHERE s.resource = 'balcony'",
    ) == [(0,)]
    pace.go_on()


def test_who_came_later_is_known_after_a_crash(server, romeo, juliet):
    """§5: by the ids of messages, which may run ahead of the clock."""
    juliet.vanishes()
    romeo.says(chat("1"))
    romeo.says(chat("for whoever comes", "juliet@example.org"))
    other = Managed(server, "juliet@example.org/chamber")
    second = server.crash()
    assert other.resumes(second).kind == "resumed"
    second.advance(500)
    other.resumes()
    second.advance(500)
    second.advance(5)
    other.reads()
    assert "for whoever comes" in other.bodies
    second.failures.stop()


def test_what_the_archive_gave_to_who_has_gone_is_forgotten(server, romeo):
    """XEP-0313 §7: the page comes from the store after the session has ended."""
    archive = server.host.features["archive"]
    romeo.says(chat("to be found", "romeo@example.org"))
    pace = Pace(server.store)
    pace.held = True
    romeo.client.says("<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>")
    session = romeo.client.session
    session.finish(lambda: None)
    server.host.spawn(server.host.unbind(session))
    pace.go_on()
    assert not archive._given
