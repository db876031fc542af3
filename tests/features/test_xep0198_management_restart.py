"""XEP-0198 §5: sessions, and what was sent to them, outlive the server."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from twisted.internet.defer import fail

from imsuite.features.xep0198_management import restoring
from imsuite.store.dialect import StoreFull
from imsuite.testing.memory import MemoryServer, befriend
from tests.helpers import fitting
from tests.managed import Managed
from tests.paced import Pace


@pytest.fixture(params=["restart", "crash"])
def again(request):
    """Return a function that ends a server, in order or by kill -9, and starts the next."""
    servers = []

    def again(server):
        servers.append(getattr(server, request.param)())
        return servers[-1]

    yield again
    if servers:
        servers[-1].stop()
        assert servers[-1].failures.take() == []


def chat(text, to):
    return f"<message to='{to}' type='chat'><body>{text}</body></message>"


@pytest.fixture
def first():
    return MemoryServer()


@pytest.fixture
def both(first):
    """Romeo and Juliet, who are friends, with sessions that can be resumed."""
    romeo = Managed(first, "romeo@example.org/orchard")
    juliet = Managed(first, "juliet@example.org/balcony")
    befriend(romeo.client, juliet.client)
    for each in (romeo, juliet):
        each.counted = each.client.session.tracker.sent
        each.acknowledges()
        each.asks()
    return romeo, juliet


def test_a_session_goes_on_after_a_restart(first, both, again):
    romeo, juliet = both
    romeo.says(chat("before", juliet.jid))
    second = again(first)
    assert romeo.resumes(second).kind == "resumed"
    assert juliet.resumes(second).kind == "resumed"
    romeo.says(chat("after", juliet.jid))
    juliet.says(chat("yes", "romeo@example.org"))
    juliet.reads()
    romeo.reads()
    assert [juliet.bodies, romeo.bodies] == [["before", "after"], ["yes"]]


def test_nobody_sees_a_flap(first, both, again):
    """Contacts get no unavailable presence of a session that is resumed."""
    romeo, juliet = both
    second = again(first)
    romeo.resumes(second)
    juliet.resumes(second)
    romeo.says("<presence><show>away</show></presence>")
    juliet.reads()
    assert fitting(juliet.got, "<presence><show>away</show></presence>")
    assert not [text for text in juliet.got if "unavailable" in text]


def test_what_was_handled_is_not_asked_for_again(first, both, again):
    """§5: the count of a restart is that of before."""
    romeo, juliet = both
    romeo.says(chat("one", juliet.jid))
    handled = romeo.asks()
    answer = romeo.resumes(again(first))
    assert int(answer.attrs["h"]) == handled
    assert romeo.sent == []


def test_what_the_client_had_not_got_is_sent_again(first, both, again):
    romeo, juliet = both
    juliet.answers = False
    for text in "abc":
        romeo.says(chat(text, juliet.jid))
    juliet.reads()
    juliet.counted -= 2  # only the first arrived
    juliet.resumes(again(first))
    assert juliet.bodies == ["a", "b", "c", "b", "c"]


def test_what_waited_for_a_detached_session_is_sent(first, both, again):
    romeo, juliet = both
    juliet.vanishes()
    romeo.says(chat("one", juliet.jid))
    romeo.says(chat("two", "juliet@example.org"))
    second = again(first)
    romeo.resumes(second)
    romeo.says(chat("three", juliet.jid))
    juliet.resumes(second)
    assert juliet.bodies == ["one", "two", "three"]


def test_two_restarts_lose_no_more_than_one(first, both, again):
    romeo, juliet = both
    juliet.vanishes()
    romeo.says(chat("one", juliet.jid))
    second = again(first)
    romeo.resumes(second)
    romeo.says(chat("two", juliet.jid))
    third = again(second)
    romeo.resumes(third)
    romeo.says(chat("three", juliet.jid))
    juliet.resumes(third)
    assert juliet.bodies == ["one", "two", "three"]


def test_presence_and_priority_are_as_before(first, both, again):
    romeo, _ = both
    romeo.says("<presence><priority>7</priority><show>dnd</show></presence>")
    second = again(first)
    session = second.host.accounts["romeo"].sessions["orchard"]
    assert session.priority == 7
    assert "dnd" in session.presence.raw.decode()
    assert session.interested


def test_pushes_go_on(first, both, again):
    """RFC 6121 §2.1.6, XEP-0191 §3.3"""
    romeo, _ = both
    romeo.says("<iq type='get' id='b'><blocklist xmlns='urn:xmpp:blocking'/></iq>")
    second = again(first)
    romeo.resumes(second)
    other = second.login("romeo@example.org/other")
    other.says(
        "<iq type='set' id='s'><query xmlns='jabber:iq:roster'>"
        "<item jid='nurse@example.org'/></query></iq>"
    )
    other.says(
        "<iq type='set' id='t'><block xmlns='urn:xmpp:blocking'>"
        "<item jid='paris@example.org'/></block></iq>"
    )
    romeo.reads()
    assert [text for text in romeo.got if "nurse@example.org" in text]
    assert [text for text in romeo.got if "paris@example.org" in text]


def test_who_does_not_come_back_is_gone(first, both, again):
    romeo, juliet = both
    second = again(first)
    romeo.resumes(second)
    second.advance(1000)
    romeo.reads()
    assert [text for text in romeo.got if "unavailable" in text and "juliet" in text]
    assert juliet.resumes(second).kind == "failed"


def test_the_count_of_a_session_that_ended_is_known_after_a_restart(first, both, again):
    """§5"""
    romeo, _ = both
    handled = romeo.asks()
    romeo.vanishes()
    first.advance(1000)
    answer = romeo.resumes(again(first))
    assert [answer.kind, answer.attrs["h"]] == ["failed", str(handled)]


def test_a_removed_account_has_no_sessions_after_a_restart(first, both, again):
    romeo, _ = both
    romeo.says("<iq type='set' id='r'><query xmlns='jabber:iq:register'><remove/></query></iq>")
    assert "romeo" not in again(first).host.accounts


def test_after_a_crash_the_presence_of_contacts_is_as_it_is_now(first, both):
    """What was sent meanwhile nobody knows: it is told again, also who is not there."""
    _, juliet = both
    nurse = first.login("nurse@example.org/house")
    befriend(nurse, juliet.client)
    juliet.counted = juliet.client.session.tracker.sent
    second = first.crash()
    juliet.resumes(second)
    assert fitting(juliet.got, "<presence type='unavailable' from='nurse@example.org'/>")
    assert fitting(juliet.got, "<presence from='romeo@example.org/orchard'/>")
    second.stop()


class Conversation(RuleBasedStateMachine):
    """Whatever links and servers do, each message arrives once and in order."""

    @initialize()
    def begin(self):
        self.server = MemoryServer()
        self.people = [
            Managed(self.server, "romeo@example.org/orchard"),
            Managed(self.server, "juliet@example.org/balcony"),
        ]
        self.said = [0, 0]

    @rule(who=st.integers(0, 1), bare=st.booleans())
    def says(self, who, bare):
        to = self.people[1 - who].jid
        self.people[who].says(chat(self.said[who], to.bare if bare else to))
        self.said[who] += 1

    @rule(who=st.integers(0, 1))
    def says_presence(self, who):
        self.people[who].says("<presence/>")

    @rule(who=st.integers(0, 1), answers=st.booleans())
    def answers(self, who, answers):
        self.people[who].answers = answers

    @rule(who=st.integers(0, 1))
    def asks(self, who):
        if not self.people[who].client.link.closed:
            self.people[who].asks()

    @rule(who=st.integers(0, 1))
    def vanishes(self, who):
        if not self.people[who].client.link.closed:
            self.people[who].vanishes()

    @rule(who=st.integers(0, 1))
    def resumes(self, who):
        person = self.people[who]
        if not person.client.link.closed:
            person.reads()
        assert person.resumes(self.server).kind == "resumed"

    @rule(seconds=st.sampled_from([0, 3, 10]))
    def time_passes(self, seconds):
        self.server.advance(seconds)

    @rule(crash=st.booleans())
    def restarts(self, crash):
        for person in self.people:
            if not person.client.link.closed:
                person.reads()
        self.server = self.server.crash() if crash else self.server.restart()
        for person in self.people:
            if not person.client.link.closed:
                person.client.link.lose()

    def teardown(self):
        for person in self.people:
            person.answers = True
            if not person.client.link.closed:
                person.reads()
            person.resumes(self.server)
        for person in self.people:
            person.reads()
        for who, person in enumerate(self.people):
            assert person.bodies == [str(number) for number in range(self.said[1 - who])]
        self.server.stop()
        assert self.server.failures.take() == []


TestConversation = Conversation.TestCase
TestConversation.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_sessions_are_restored_though_the_disk_is_full(first, both):
    """What has to be written at the start can be written later."""
    romeo, juliet = both
    juliet.vanishes()
    romeo.says(chat("one", juliet.jid))
    execute = first.store.execute

    def full(sql, *values):
        ours = "session" in sql or "pending" in sql
        return fail(StoreFull("no room")) if ours else execute(sql, *values)

    first.store.execute = full
    second = first.restart()
    assert romeo.resumes(second).kind == "resumed"
    second.store.execute = execute
    assert juliet.resumes(second).kind == "resumed"
    assert juliet.bodies == ["one"]
    second.advance(5)
    marks = second.store.query("SELECT sent FROM session").result
    assert marks == [(-1,), (-1,)]
    third = second.crash()
    assert juliet.resumes(third).kind == "resumed"
    assert juliet.bodies == ["one"]
    third.stop()


@pytest.mark.parametrize("late", [False, True])
def test_a_message_that_comes_while_the_server_stops_has_a_number_of_its_own(late):
    """§5: it may become durable before what sessions lack is written down, or after it."""
    server = MemoryServer()
    juliet = Managed(server, "juliet@example.org/balcony")
    romeo = server.login("romeo@example.org/orchard")
    juliet.vanishes()
    romeo.says("<message to='juliet@example.org' type='chat'><body>one</body></message>")
    feature = server.host.features["management"]
    (tracker,) = feature._trackers.values()
    pace = Pace(server.store)
    pace.held = True
    romeo.says("<message to='juliet@example.org' type='chat'><body>two</body></message>")
    written = [restoring.stopped(server.host, tracker)]
    stop = server.store.transaction(restoring.write_stopped, written)
    message = pace.take()
    if not late:
        message()
    pace.step()
    if late:
        message()
    pace.held = False
    server = server.crash()
    assert stop.called
    juliet.resumes(server)
    romeo = server.login("romeo@example.org/orchard")
    romeo.says("<message to='juliet@example.org' type='chat'><body>three</body></message>")
    juliet.reads()
    assert juliet.bodies == ["one", "two", "three"]
    assert server.failures.take() == []
