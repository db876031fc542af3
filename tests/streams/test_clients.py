"""All client streams: time to log in, keepalive, limits, shutdown (RFC 6120 §4, §13.12)."""

import pytest
from twisted.internet.defer import Deferred

from imsuite.streams.clients import StreamOptions
from imsuite.testing.memory import MemoryServer, now
from tests.helpers import fitting
from tests.raw import PASSWORD, STARTTLS, Raw, condition, plain

CORE = ["starttls", "sasl", "bind", "roster", "presence", "messages"]


@pytest.fixture
def make():
    """Return a function that makes a server with these options of streams."""
    made = []

    def make(**options):
        server = MemoryServer(features=CORE, streams=StreamOptions(**{"rate": 0, **options}))
        server.account("romeo@example.org", PASSWORD)
        made.append(server)
        return server

    yield make
    for server in made:
        server.stop()
        assert server.failures.take() == []


@pytest.mark.parametrize("phase", ["nothing", "header", "tls", "secure", "authenticated"])
def test_who_does_not_log_in_has_to_go(make, phase):
    """§4.9.3.4: in whichever phase; our header comes first if it was not sent."""
    server = make(login_seconds=30)
    raw = Raw(server, secure=phase in ("secure", "authenticated"))
    if phase != "nothing":
        raw.opens()
    if phase == "tls":
        raw.says(STARTTLS)
    elif phase == "authenticated":
        raw.says(plain("romeo"))
    server.advance(29)
    assert not raw.link.closed
    server.advance(10)
    got = raw.reads()
    assert condition(got) == "connection-timeout"
    assert raw.ended
    assert len(server.clients) == 0


def test_bytes_now_and_then_do_not_buy_time(make):
    server = make(login_seconds=30)
    raw = Raw(server, secure=True)
    raw.opens()
    for _ in range(8):
        server.advance(5)
        raw.link.put(b" ")
    assert condition(raw.reads()) == "connection-timeout"


def test_who_has_a_session_may_stay_silent(make):
    """§4.6: silence is no end."""
    server = make(login_seconds=30)
    romeo = server.login("romeo@example.org/orchard")
    server.advance(86_400)
    assert not romeo.gone


def test_streams_time_out_one_by_one(make):
    server = make(login_seconds=30)
    first = Raw(server)
    server.advance(20)
    second = Raw(server)
    server.advance(15)
    assert first.link.closed
    assert not second.link.closed
    server.advance(20)
    assert second.link.closed


def test_nothing_is_timed_when_nobody_is_there(make):
    """A server that nobody uses does not wake up."""
    server = make()
    server.login("romeo@example.org/orchard").closes()
    server.advance(30)
    assert server.clock.getDelayedCalls() == []


def test_keepalive_is_a_space_in_each_time_of_silence(make):
    """§4.6.1"""
    server = make(keepalive=60)
    romeo = server.login("romeo@example.org/orchard")
    romeo.link.take()
    for _ in range(36):
        server.advance(5)
    assert romeo.link.take() == b"   "
    romeo.says("<presence/>")
    romeo.link.take()
    for _ in range(11):
        server.advance(5)
    assert romeo.link.take() == b""


def test_keepalive_is_not_for_those_who_log_in(make):
    """§5.3.5, §6.3.5, pitfall 11: no whitespace inside a negotiation."""
    server = make(keepalive=10, login_seconds=60)
    raw = Raw(server, secure=True)
    raw.opens()
    for _ in range(10):
        server.advance(5)
    assert raw.link.take() == b""


def test_rate_is_limited_by_reading_less(make):
    """§13.12: nothing is lost, and others are not held back."""
    server = make(rate=1000, burst=10_000)
    romeo = server.login("romeo@example.org/orchard")
    juliet = server.login("juliet@example.org/balcony")
    text = f"<message to='juliet@example.org'><body>{'x' * 900}</body></message>"
    for _ in range(12):
        romeo.link.put(text.encode())
    assert romeo.link.paused
    before = len(fitting(juliet.received, "<message/>"))
    assert before < 12
    romeo.forget()
    juliet.says("<message to='romeo@example.org'><body>quick</body></message>")
    assert len(romeo.received) == 1
    for _ in range(60):
        server.advance(1)
    assert len(fitting(juliet.received, "<message/>")) == 12
    assert not romeo.link.paused


def test_paused_link_of_a_client_that_left_is_not_resumed(make):
    server = make(rate=1000, burst=10_000)
    romeo = server.login("romeo@example.org/orchard")
    romeo.link.put(b" " * 20_000)
    assert romeo.link.paused
    romeo.vanishes()
    server.advance(60)
    assert romeo.link.paused


def test_limits_follow_the_options(make):
    """XEP-0478: what is said of limits is what holds."""
    server = make(stanza_bytes=10_000)
    romeo = server.login("romeo@example.org/orchard")
    romeo.says(f"<message to='romeo@example.org'><body>{'x' * 9_900}</body></message>")
    assert fitting(romeo.received, "<message/>")
    romeo.says(f"<message to='romeo@example.org'><body>{'x' * 10_100}</body></message>")
    assert romeo.gone
    assert "policy-violation" in romeo.received[-1]


def test_new_options_are_for_new_streams(make):
    server = make()
    old = server.login("romeo@example.org/old")
    server.clients.configure(StreamOptions(stanza_bytes=10_000, rate=0))
    new = server.login("romeo@example.org/new")
    big = f"<message to='romeo@example.org/old'><body>{'x' * 20_000}</body></message>"
    old.says(big)
    new.says(big)
    assert (old.gone, new.gone) == (False, True)


def test_shutdown_tells_everybody_and_waits_for_the_links(make):
    """§4.9.3.20: also who has not said anything yet; contacts hear that one goes."""
    server = make()
    romeo = server.login("romeo@example.org/orchard")
    other = server.login("romeo@example.org/phone")
    raw = Raw(server)
    done = Deferred.fromCoroutine(server.clients.shutdown(10))
    assert not done.called
    server.settle()
    assert done.called
    assert condition(raw.reads()) == "system-shutdown"
    for client in (romeo, other):
        assert client.gone
        assert "system-shutdown" in client.received[-1]
    assert not server.router.sessions
    assert server.clock.getDelayedCalls() == []


def test_shutdown_does_not_wait_for_ever(make):
    server = make()
    server.login("romeo@example.org/orchard")
    server.clients._links += 1  # a link that does not close
    done = Deferred.fromCoroutine(server.clients.shutdown(10))
    server.settle()
    assert not done.called
    server.advance(10)
    assert done.called
    server.clients._links -= 1


def test_who_comes_during_the_shutdown_is_told(make):
    server = make()
    now(server.clients.shutdown(0))
    raw = Raw(server)
    assert condition(raw.reads()) == "system-shutdown"
    assert raw.ended


def test_streams_are_counted(make):
    server = make()
    assert len(server.clients) == 0
    romeo = server.login("romeo@example.org/orchard")
    raw = Raw(server)
    assert len(server.clients) == 2
    assert {stream.session for stream in server.clients} == {romeo.session, None}
    raw.link.lose()
    romeo.closes()
    assert len(server.clients) == 0
