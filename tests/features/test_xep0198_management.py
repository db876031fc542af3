"""XEP-0198: stanzas are acknowledged, and a session waits for its client."""

import pytest

from imsuite.testing.memory import MemoryServer, befriend
from imsuite.xmpp import ns as NS
from tests.helpers import fitting, holds
from tests.managed import NS_SM, Managed


def chat(text, to="romeo@example.org/orchard"):
    return f"<message to='{to}' type='chat'><body>{text}</body></message>"


def heard(client):
    """Return what came to a client, without the pings of an idle server."""
    return [stanza for stanza in client.stanzas if stanza.kind != "iq"]


def failed(condition):
    return f"<failed xmlns='{NS_SM}'><{condition} xmlns='{NS.STANZAS}'/></failed>"


@pytest.fixture
def managed(server):
    """Romeo, whose session can be resumed."""
    return Managed(server, "romeo@example.org/orchard")


def test_it_is_offered_before_binding(server):
    """§3"""
    client = server.login("romeo@example.org/orchard")
    link = server.connect()
    link.put(
        f"<stream:stream xmlns='{NS.CLIENT}' xmlns:stream='http://etherx.jabber.org/streams'"
        " version='1.0' to='example.org'>".encode()
    )
    assert b"urn:xmpp:sm:3" not in link.take()
    assert client.session.tracker is None


def test_a_session_may_be_enabled_once(managed):
    """§3"""
    managed.client.says(f"<enable xmlns='{NS_SM}'/>")
    assert "policy-violation" in managed.client.received[-1]
    assert managed.client.gone


def test_enabling_needs_a_resource(server, managed):
    """§3"""
    managed.connects()
    assert holds(managed.client.says(f"<enable xmlns='{NS_SM}'/>")[0], failed("unexpected-request"))


@pytest.mark.parametrize(
    "element", ["<r xmlns='urn:xmpp:sm:3'/>", "<a xmlns='urn:xmpp:sm:3' h='0'/>"]
)
def test_who_did_not_enable_it_may_not_use_it(romeo, element):
    romeo.says(element)
    assert "policy-violation" in romeo.received[0]


@pytest.mark.parametrize("h", ["", "x", "-1", "4294967296", "99999999999999999999"])
def test_a_count_that_is_none_ends_the_stream(managed, h):
    """§4: h is an unsigned int."""
    managed.client.says(f"<a xmlns='{NS_SM}' h='{h}'/>")
    assert "policy-violation" in managed.client.received[0]


def test_only_stanzas_count(managed):
    """§4, pitfall 28"""
    managed.says("<presence/>")
    managed.client.says(" \n ")
    managed.says("<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>")
    managed.says("<message to='nobody@example.org'/>")
    assert managed.asks() == 3
    assert managed.sent == []


def test_a_count_that_is_too_high_ends_the_stream_for_good(managed):
    """§6"""
    managed.client.says(f"<a xmlns='{NS_SM}' h='1'/>")
    assert holds(
        managed.client.received[0],
        "<error xmlns='http://etherx.jabber.org/streams'>"
        "<undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
        f"<handled-count-too-high xmlns='{NS_SM}' h='1' send-count='0'/></error>",
    )
    assert managed.resumes().kind == "failed"


def test_clients_are_asked_for_their_count(managed, juliet):
    """§4: soon after much, or after a while."""
    managed.answers = False
    for number in range(30):
        juliet.says(chat(number))
    managed.reads()
    tracker = managed.client.session.tracker
    assert tracker.overdue
    assert len(tracker.unacked) == 30
    managed.acknowledges()
    assert not tracker.overdue
    assert not tracker.unacked
    juliet.says(chat("one more"))
    managed.reads()
    assert not tracker.overdue
    for _ in range(4):
        managed.server.advance(5)
    assert tracker.overdue


def test_a_client_that_owes_its_count_loses_its_link(managed, juliet):
    """§7; its session stays."""
    managed.answers = False
    juliet.says(chat("hello?"))
    for _ in range(20):
        managed.server.advance(5)
    assert any("connection-timeout" in text for text in managed.client.received)
    managed.answers = True
    assert managed.resumes().kind == "resumed"
    assert managed.bodies == ["hello?"]


def test_a_lost_link_is_no_leave(managed, juliet):
    """§5: contacts see nothing, and nothing is lost."""
    befriend(managed.client, juliet)
    managed.counted += len(managed.client.stanzas)
    managed.vanishes()
    juliet.says(chat("one"))
    juliet.says(chat("two", "romeo@example.org"))
    assert juliet.received == []
    managed.counted = managed.server.host.accounts["romeo"].sessions["orchard"].tracker.sent - 2
    assert (
        holds(
            managed.resumes().raw.decode(),
            f"<resumed xmlns='{NS_SM}' previd='{managed.id}' h='0'/>",
        )
        or managed.acked
    )
    assert managed.bodies == ["one", "two"]
    assert juliet.received == []


def test_what_was_acknowledged_is_not_sent_again(managed, juliet):
    """§5, pitfall 29"""
    managed.answers = False
    for text in "abc":
        juliet.says(chat(text))
    managed.reads()
    managed.client.vanishes()
    managed.counted = 2  # the third one did not arrive
    managed.resumes()
    assert managed.bodies == ["a", "b", "c", "c"]


def test_the_client_sends_again_what_was_not_handled(managed, juliet):
    """§5: nothing twice."""
    managed.says(chat("one", "juliet@example.org/balcony"))
    managed.vanishes()
    managed.says(chat("two", "juliet@example.org/balcony"))
    assert managed.resumes().attrs["h"] == "1"
    assert [
        text
        for text in ("one", "two")
        if fitting(juliet.received, f"<message><body>{text}</body></message>")
    ] == ["one", "two"]
    assert len(juliet.stanzas) == 2


def test_counts_go_on_over_links(managed, juliet):
    for number in range(3):
        managed.says(chat(number, "juliet@example.org"))
        juliet.says(chat(number))
        managed.reads()
        managed.vanishes()
        assert managed.resumes().attrs["h"] == str(number + 1)
    assert managed.bodies == ["0", "1", "2"]


def test_a_link_that_is_still_there_gives_way(managed):
    """§5: with a conflict."""
    old = managed.client
    assert managed.resumes().kind == "resumed"
    assert "conflict" in old.received[0]
    assert old.gone
    managed.says("<message to='romeo@example.org/orchard'><body>still me</body></message>")
    assert managed.bodies == ["still me"]


@pytest.mark.parametrize("id", ["0", "x" * 48, "0" * 48, "ü" * 48, "y" * 4001])
def test_an_unknown_id_is_not_found(managed, id):
    """§5: and binding is possible after that."""
    managed.vanishes()
    assert holds(managed.resumes(id=id).raw.decode(), failed("item-not-found"))
    managed.client.says(
        "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
    )
    assert managed.client.stanzas[-1].type == "result"


def test_a_guessed_secret_is_not_enough(managed):
    managed.vanishes()
    guess = managed.id[:-1] + ("0" if managed.id[-1] != "0" else "1")
    assert managed.resumes(id=guess).kind == "failed"


def test_another_account_can_not_resume_a_session(server, managed):
    """§9"""
    thief = Managed(server, "tybalt@example.org/square")
    managed.vanishes()
    thief.vanishes()
    assert holds(thief.resumes(id=managed.id, h=0).raw.decode(), failed("item-not-found"))
    assert managed.resumes().kind == "resumed"


@pytest.mark.parametrize("attributes", ["", "h='0'", "previd='x'", "previd='x' h='y'"])
def test_a_bad_request_to_resume_fails(managed, attributes):
    managed.vanishes()
    managed.connects()
    (got,) = managed.client.says(f"<resume xmlns='{NS_SM}' {attributes}/>")
    assert holds(got, failed("bad-request"))


def test_a_bound_stream_can_not_resume(managed):
    (got,) = managed.client.says(f"<resume xmlns='{NS_SM}' previd='{managed.id}' h='0'/>")
    assert holds(got, failed("unexpected-request"))


def test_who_says_goodbye_is_gone(managed, juliet):
    """§7: a closed stream ends the session."""
    befriend(managed.client, juliet)
    managed.client.closes()
    assert fitting(juliet.received, "<presence type='unavailable'/>")
    assert managed.resumes().kind == "failed"


def test_a_session_that_nobody_resumes_ends(managed, juliet):
    """§5: with an unavailable presence, and a count that can still be asked for."""
    befriend(managed.client, juliet)
    managed.vanishes()
    managed.server.advance(890)
    assert not heard(juliet)
    managed.server.advance(20)
    assert fitting(juliet.received, "<presence type='unavailable'/>")
    answer = managed.resumes()
    assert answer.attrs["h"] == "2"  # the presences of making friends
    assert holds(answer.raw.decode(), failed("item-not-found"))


def test_a_client_may_want_less_time(server, juliet):
    """§5: max"""
    client = server.login("romeo@example.org/orchard")
    (got,) = client.says(f"<enable xmlns='{NS_SM}' resume='1' max='60'/>")
    assert "max='60'" in got
    befriend(client, juliet)
    client.vanishes()
    server.advance(70)
    assert fitting(juliet.received, "<presence type='unavailable'/>")


def test_without_resumption_a_lost_link_is_a_leave(server, juliet):
    romeo = Managed(server, "romeo@example.org/orchard", resume=False)
    assert romeo.id is None
    befriend(romeo.client, juliet)
    romeo.client.vanishes()
    assert fitting(juliet.received, "<presence type='unavailable'/>")


def test_what_was_never_acknowledged_waits_for_the_next_session(managed, juliet):
    """§4, pitfall 30: also what was sent before the link was lost."""
    managed.answers = False
    juliet.says(chat("one"))
    managed.vanishes()
    juliet.says(chat("two"))
    managed.server.advance(1000)
    assert not heard(juliet)
    later = managed.server.login("romeo@example.org/other", available=False)
    later.says("<presence/>")
    got = fitting(
        later.received, f"<message><delay xmlns='{NS.DELAY}' from='example.org'/></message>"
    )
    assert ["one" in got[0], "two" in got[1], len(got)] == [True, True, 2]


def test_a_room_learns_that_its_occupant_is_a_ghost(managed, juliet):
    """Pitfall 30"""
    managed.vanishes()
    juliet.says(
        "<message to='romeo@example.org/orchard' type='groupchat' id='g'><body>hi</body></message>"
    )
    managed.server.advance(1000)
    assert fitting(
        juliet.received,
        "<message type='error' id='g'><error>"
        f"<recipient-unavailable xmlns='{NS.STANZAS}'/></error></message>",
    )


def test_a_request_that_nobody_got_is_answered(managed, juliet):
    """§4, RFC 6120 §8.2.3"""
    befriend(managed.client, juliet)
    managed.vanishes()
    query = "<query xmlns='jabber:iq:version'/>"
    juliet.says(f"<iq to='{managed.jid}' type='get' id='q'>{query}</iq>")
    managed.server.advance(1000)
    assert fitting(juliet.received, "<iq type='error' id='q'/>")


def test_binding_the_resource_anew_ends_the_old_session(managed, juliet):
    """Pitfall 10"""
    managed.vanishes()
    juliet.says(chat("for whoever comes"))
    again = managed.server.login("romeo@example.org/orchard", available=False)
    again.says("<presence/>")
    assert fitting(again.received, "<message><body>for whoever comes</body></message>")
    assert managed.resumes().kind == "failed"


def test_too_much_that_nobody_acknowledges_ends_a_session():
    """Memory is bounded; what it did not get is not lost."""
    server = MemoryServer(options={"management": {"most": 50}})
    romeo = Managed(server, "romeo@example.org/orchard")
    juliet = server.login("juliet@example.org/balcony")
    romeo.vanishes()
    for number in range(60):
        juliet.says(chat(number))
    assert "orchard" not in server.host.accounts["romeo"].sessions
    later = server.login("romeo@example.org/other", available=False)
    later.says("<presence/>")
    got = [stanza for stanza in later.stanzas if stanza.kind == "message"]
    assert len(got) == 60
    server.stop()
    assert server.failures.take() == []


def test_a_flood_of_requests_costs_an_answer_each(managed):
    """Bad input: nothing grows."""
    managed.client.says(f"<r xmlns='{NS_SM}'/>" * 1000)
    assert len(managed.client.received) == 1000
    assert managed.client.session.settled


def test_accounts_without_a_store_are_not_resumed(server):
    """XEP-0175: nothing is kept of them."""
    account = server.host.temporary_account("ghost")
    assert account.temporary
    from imsuite.core.session import Session

    assert Session(account, account.jid.with_resource("x"), None, None).tracker is None
