"""Silence, by the clock of a server in memory: who says nothing more is let go in bounded time."""

import pytest

from imsuite.testing.memory import befriend

HEADER = (
    b"<stream:stream to='example.org' version='1.0' xmlns='jabber:client'"
    b" xmlns:stream='http://etherx.jabber.org/streams'>"
)
UNFINISHED = {
    "nothing": b"",
    "half a header": HEADER[:40],
    "a header": HEADER,
    "half an element": HEADER + b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mech",
}


@pytest.mark.parametrize("said", UNFINISHED)
def test_a_stranger_who_falls_silent_is_let_go(server, said):
    """RFC 6120 §4.9.3.4: connection-timeout, header first if it was not sent."""
    link = server.connect()
    link.put(UNFINISHED[said])
    server.advance(server.clients.options.login_seconds - 1)
    assert not link.closed
    server.advance(10)
    sent = link.take()
    assert link.closed
    assert sent.count(b"<stream:stream ") == 1
    assert sent.endswith(
        b"<stream:error><connection-timeout xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
        b"</stream:error></stream:stream>"
    )


@pytest.mark.parametrize("said", [b"", b"<message to='juliet@example.org'><bo", b"<presence"])
def test_a_client_that_dies_in_mid_stanza_is_gone_for_its_contacts(server, romeo, juliet, said):
    """XEP-0199 §4.4, RFC 6121 §4.5.2: asked, not answering, unavailable."""
    befriend(romeo, juliet)
    juliet.forget()
    romeo.link.put(said)
    for _ in range(60):
        server.advance(10)
        juliet.says(" ")  # she is alive
    assert romeo.gone
    (presence,) = juliet.received
    assert "type='unavailable'" in presence
    assert str(romeo.jid) in presence
    assert not juliet.gone


def test_a_client_that_only_sends_spaces_is_alive(server, romeo):
    """RFC 6120 §4.6.1: whitespace keepalive."""
    for _ in range(60):
        server.advance(60)
        romeo.says(" ")
    assert not romeo.gone
    assert romeo.received == []


def test_waiting_strangers_cost_nothing_once_they_are_gone(server):
    """No table remembers them."""
    links = [server.connect() for _ in range(100)]
    for link in links:
        link.lose()
    assert len(server.clients) == 0
    server.advance(1000)
