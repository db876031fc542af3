"""XEP-0478: Stream Limits Advertisement."""

import re

import pytest

from imsuite.streams.clients import StreamOptions
from imsuite.testing.memory import MemoryTls, now

LIMITS = re.compile("<limits xmlns='urn:xmpp:stream-limits:0'>(.*?)</limits>")


def limits(server, tls=None, authenticated=False):
    """Return what a stream is told, in the state it is in."""
    link = server.connect(tls)
    if authenticated:
        server.account("romeo@example.org")
        link.receiver.host = server.host
        link.receiver.authenticated(now(server.host.account("romeo")), lambda: None)
    sent = link.feed(
        b"<stream:stream xmlns='jabber:client' version='1.0' to='example.org'"
        b" xmlns:stream='http://etherx.jabber.org/streams'>"
    ).decode()
    return LIMITS.search(sent)[1]


@pytest.mark.parametrize("tls", [None, MemoryTls()])
def test_little_may_be_sent_before_authentication(server, tls):
    """§3.1"""
    assert limits(server, tls) == "<max-bytes>32768</max-bytes>"


def test_more_may_be_sent_afterwards(server):
    """§3.1, §4: and how long a client may be silent."""
    expected = "<max-bytes>262144</max-bytes><idle-seconds>300</idle-seconds>"
    assert limits(server, MemoryTls(), True) == expected


@pytest.mark.server(
    options={"ping": {"idle": 77}},
    streams=StreamOptions(rate=0, stanza_bytes=20_000, unbound_bytes=10_000),
)
def test_limits_are_those_of_the_options(server):
    """§3.1"""
    assert limits(server) == "<max-bytes>10000</max-bytes>"
    expected = "<max-bytes>20000</max-bytes><idle-seconds>77</idle-seconds>"
    assert limits(server, MemoryTls(), True) == expected


@pytest.mark.server(options={"ping": {"idle": 0}})
def test_clients_that_are_never_checked_are_told_no_time(server):
    """§3.1: the child is absent."""
    assert "idle" not in limits(server, MemoryTls(), True)


@pytest.mark.server(features=["default", "-ping"])
def test_ping_need_not_be_there(server):
    assert "idle" not in limits(server, MemoryTls(), True)


@pytest.mark.server(streams=StreamOptions(rate=0, stanza_bytes=10_000))
def test_what_is_announced_is_what_is_refused(server):
    """§3.1: one byte more ends the stream."""
    for size, ends in ((10_000, False), (10_001, True)):
        romeo = server.login(f"romeo@example.org/{size}")
        frame = "<message to='romeo@example.org'><body>{}</body></message>"
        romeo.says(frame.format("x" * (size - len(frame.format("")))))
        assert romeo.gone is ends
