"""XEP-0199: XMPP Ping."""

import pytest

from imsuite.streams.clients import StreamOptions
from tests.helpers import fitting, holds, iq_error

PING = "<ping xmlns='urn:xmpp:ping'/>"
FROM_SERVER = (
    f"<iq type='get' from='example.org' to='romeo@example.org/orchard' id='{{}}'>{PING}</iq>"
)


def ping(client, to=None):
    address = "" if to is None else f" to='{to}'"
    (answer,) = client.says(f"<iq type='get' id='p'{address}>{PING}</iq>")
    return answer


def pings(client):
    return fitting(client.received, FROM_SERVER)


@pytest.mark.parametrize("to", ["example.org", None, "romeo@example.org"])
def test_server_answers(romeo, to):
    """§4.2"""
    assert holds(ping(romeo, to), "<iq type='result' id='p'/>")


def test_account_of_a_friend_answers(friends):
    """§4.4: the server answers for a bare JID."""
    romeo, _ = friends
    assert holds(ping(romeo, "juliet@example.org"), "<iq type='result' id='p'/>")


def test_stranger_cannot_ping_for_accounts(romeo, juliet):
    """§7; RFC 6121 §8.5.1: an account that hides and none are the same."""
    answers = {
        ping(romeo, f"{name}@example.org").replace(name, "x") for name in ("juliet", "nobody")
    }
    assert len(answers) == 1
    assert holds(answers.pop(), iq_error("p", "service-unavailable"))


def test_resource_that_is_away_does_not_answer(friends):
    """§7"""
    romeo, _ = friends
    answer = ping(romeo, "juliet@example.org/nowhere")
    assert holds(answer, iq_error("p", "service-unavailable"))
    assert "from='juliet@example.org/nowhere'" in answer


def test_pings_are_advertised(romeo):
    """§5"""
    (info,) = romeo.says(
        "<iq type='get' id='i' to='example.org'>"
        "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
    )
    assert "<feature var='urn:xmpp:ping'/>" in info


# dead links


def pass_time(server, seconds):
    """Let time pass in steps, as it does."""
    for _ in range(seconds // 10):
        server.advance(10)


def test_silent_client_is_asked(server, romeo):
    """§4.1"""
    pass_time(server, 280)
    assert pings(romeo) == []
    pass_time(server, 60)
    assert len(pings(romeo)) == 1


def test_client_that_stays_silent_is_gone(server, friends):
    """RFC 6120 §4.6.1: the stream ends, and contacts see it."""
    romeo, juliet = friends
    for _ in range(45):
        server.advance(10)
        juliet.says(" ")
    assert romeo.gone
    assert fitting(
        romeo.received,
        "<stream:error>"
        "<connection-timeout xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
    )
    assert fitting(
        juliet.received, "<presence type='unavailable' from='romeo@example.org/orchard'/>"
    )
    assert not juliet.gone
    assert "romeo@example.org/orchard" not in server.router.sessions


@pytest.mark.parametrize(
    "says",
    [
        "<iq type='result' to='example.org' id='{}'/>",
        "<iq type='error' to='example.org' id='{}'><error type='cancel'><service-unavailable "
        "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
        " ",
        "<message to='example.org'><body>half of a stanza",
    ],
)
def test_whatever_comes_is_a_sign_of_life(server, romeo, says):
    """§4.1; RFC 6120 §4.6.1: errors and white space too."""
    pass_time(server, 340)
    assert len(pings(romeo)) == 1
    romeo.says(says.format("any"))
    pass_time(server, 280)
    assert not romeo.gone
    assert len(pings(romeo)) == 1
    pass_time(server, 60)
    assert len(pings(romeo)) == 2


def test_client_that_talks_is_not_asked(server, romeo):
    """§4.1"""
    for _ in range(20):
        server.advance(60)
        romeo.says(" ")
    assert pings(romeo) == []


def test_of_clients_that_talk_nothing_is_kept(server, romeo):
    """One timer, and memory only for silent sessions."""
    feature = server.host.features["ping"]
    pass_time(server, 340)
    assert len(feature._asked) == 1
    romeo.says(" ")
    pass_time(server, 40)
    assert feature._asked == {}


@pytest.mark.server(options={"ping": {"idle": 0}})
def test_server_need_not_ask(server, romeo):
    """The option switches it off."""
    pass_time(server, 3600)
    assert pings(romeo) == []
    assert not romeo.gone


@pytest.mark.server(options={"ping": {"idle": 10, "patience": 5}})
def test_how_long_clients_may_be_silent_is_an_option(server, romeo):
    for _ in range(13):
        server.advance(1)
    assert len(pings(romeo)) == 1
    for _ in range(8):
        server.advance(1)
    assert romeo.gone


@pytest.mark.server(streams=StreamOptions(rate=0, login_seconds=600))
def test_timer_stops_with_the_host(server, romeo):
    feature = server.host.features["ping"]
    feature.stop(server.host)
    pass_time(server, 3600)
    assert pings(romeo) == []
    feature.stop(server.host)
