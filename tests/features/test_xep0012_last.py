"""XEP-0012: Last Activity."""

import pytest

from imsuite.core.hooks import STOPPING
from imsuite.testing.memory import now
from tests.helpers import fitting, holds, iq_error

NS = "jabber:iq:last"
AWAY = "<presence type='unavailable'><status>{}</status></presence>"


def ask(client, to=None):
    address = "" if to is None else f" to='{to}'"
    (answer,) = client.says(f"<iq type='get' id='l'{address}><query xmlns='{NS}'/></iq>")
    return answer


def seconds(number, status=""):
    return f"<iq type='result' id='l'><query xmlns='{NS}' seconds='{number}'>{status}</query></iq>"


def test_server_tells_how_long_it_runs(server, romeo):
    """§5"""
    server.advance(123.9)
    assert holds(ask(romeo, "example.org"), seconds(123))


@pytest.mark.parametrize("to", [None, "romeo@example.org"])
def test_own_account_is_active(romeo, to):
    """§3: who asks is connected."""
    assert holds(ask(romeo, to), seconds(0))


def test_friend_online_is_active(server, friends):
    """§3: 0, and no status."""
    romeo, juliet = friends
    juliet.says(AWAY.format("Back soon"))
    romeo.forget()
    server.advance(100)
    answer = ask(romeo, "juliet@example.org")
    assert holds(answer, seconds(0))
    assert "Back soon" not in answer


def test_friend_offline_was_here_some_time_ago(server, friends):
    """§3: since the logout, with what was said then."""
    romeo, juliet = friends
    juliet.says(AWAY.format("Heading &lt;Home"))
    server.advance(60)
    juliet.closes()
    romeo.forget()
    server.advance(903)
    assert holds(ask(romeo, "juliet@example.org"), seconds(903, "Heading &lt;Home"))


def test_logout_is_known_before_it_is_stored(server, host, friends):
    """§3: who sees a friend go and asks at once gets the right answer, not an older one."""
    romeo, juliet = friends
    juliet.says(AWAY.format("Gone"))
    juliet.closes()
    romeo.forget()
    stored = "SELECT account FROM last_activity"
    server.advance(3)
    assert now(host.store.query(stored)) == []
    assert holds(ask(romeo, "juliet@example.org"), seconds(3, "Gone"))
    server.advance(3)
    assert now(host.store.query(stored)) == [("juliet@example.org",)]
    assert holds(ask(romeo, "juliet@example.org"), seconds(6, "Gone"))


def test_friend_who_vanished_said_nothing(server, friends):
    """§3: what was said before the last presence is over."""
    romeo, juliet = friends
    juliet.says(AWAY.format("Bye"))
    juliet.says("<presence/>")
    juliet.vanishes()
    romeo.forget()
    server.advance(5)
    answer = ask(romeo, "juliet@example.org")
    assert holds(answer, seconds(5))
    assert "Bye" not in answer


def test_what_could_not_be_stored_is_stored_when_the_host_stops(server, host):
    """§3: a store that failed for a while loses no logout."""
    romeo = server.login("romeo@example.org/orchard")
    now(host.store.execute("ALTER TABLE last_activity RENAME TO away"))
    romeo.closes()
    server.advance(10)
    assert len(server.failures.take()) == 1
    now(host.store.execute("ALTER TABLE away RENAME TO last_activity"))
    now(host.switch(STOPPING).tell(host))
    assert len(now(host.store.query("SELECT account FROM last_activity"))) == 1


def test_last_of_several_sessions_counts(server, friends):
    """§3"""
    romeo, juliet = friends
    other = server.login("juliet@example.org/chamber")
    other.says(AWAY.format("from the chamber"))
    other.closes()
    server.advance(50)
    assert holds(ask_later(romeo), seconds(0))
    juliet.says(AWAY.format("from the balcony"))
    juliet.closes()
    server.advance(7)
    assert holds(ask_later(romeo), seconds(7, "from the balcony"))


def ask_later(client):
    client.forget()
    return ask(client, "juliet@example.org")


def test_later_logout_replaces_an_earlier_one(server, friends):
    """§3"""
    romeo, juliet = friends
    juliet.closes()
    server.advance(100)
    server.login("juliet@example.org/balcony").closes()
    server.advance(3)
    assert holds(ask_later(romeo), seconds(3))


def test_farewell_in_directed_presence_is_not_kept(server, friends):
    """§3: it was for somebody else."""
    romeo, juliet = friends
    juliet.says(AWAY.replace("<presence", "<presence to='nurse@example.org'").format("secret"))
    juliet.closes()
    assert "secret" not in ask_later(romeo)


def test_status_is_kept_to_a_length(server, friends):
    romeo, juliet = friends
    juliet.says(AWAY.format("x" * 5000))
    juliet.closes()
    answer = ask_later(romeo)
    assert "x" * 1024 in answer
    assert "x" * 1025 not in answer


def test_friend_who_never_came_has_no_last_activity(server, romeo):
    """§3"""
    server.account("nurse@example.org")
    romeo.says("<presence to='nurse@example.org' type='subscribe'/>")
    nurse = server.login("nurse@example.org/house")
    nurse.says("<presence to='romeo@example.org' type='subscribed'/>")
    nurse.closes()
    server.advance(6)  # then it is stored
    now(server.store.execute("DELETE FROM last_activity"))
    romeo.forget()
    assert holds(ask(romeo, "nurse@example.org"), iq_error("l", "item-not-found"))


@pytest.mark.parametrize("resource", ["", "/nowhere"])
def test_stranger_cannot_tell_whether_an_account_exists(romeo, juliet, resource):
    """§3, §8: forbidden, whether it is online, offline or not there."""
    answers = [
        ask(romeo, f"{name}@example.org{resource}").replace(name, "x")
        for name in ("juliet", "nobody")
    ]
    juliet.closes()
    answers.append(ask(romeo, f"juliet@example.org{resource}").replace("juliet", "x"))
    assert len(set(answers)) == 1
    condition = "service-unavailable" if resource else "forbidden"
    assert holds(answers[0], iq_error("l", condition))


def test_stranger_does_not_reach_a_resource(romeo, juliet):
    """§4"""
    answers = [ask(romeo, f"juliet@example.org/{name}") for name in ("balcony", "nowhere")]
    assert answers[0] == answers[1].replace("nowhere", "balcony")
    assert juliet.received == []


def test_friend_reaches_a_resource(friends):
    """§4: its client tells since when its user is idle."""
    romeo, juliet = friends
    romeo.says(f"<iq type='get' id='l' to='{juliet.jid}'><query xmlns='{NS}'/></iq>")
    assert fitting(juliet.received, f"<iq type='get' id='l'><query xmlns='{NS}'/></iq>")


def test_anonymous_accounts_leave_nothing_behind(server, romeo):
    """XEP-0175: nothing of them is stored."""
    romeo.session.account.temporary = True
    romeo.closes()
    server.settle()
    assert now(server.store.query("SELECT account FROM last_activity")) == []


def test_last_activity_is_advertised(romeo):
    """§6"""
    (info,) = romeo.says(
        "<iq type='get' id='i' to='example.org'>"
        "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
    )
    assert f"<feature var='{NS}'/>" in info
