"""What strangers and broken clients do to a running server, and what others notice of it: nothing.

Real sockets; two bystanders talk before and after each fault, over the same streams.
"""

import contextlib
import re
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from imsuite.streams.clients import StreamOptions
from imsuite.testing.server import serve
from tests.clients import Client

ROOT = Path(__file__).parents[1]
CONDITION = re.compile(rb"<stream:error><([a-z-]+) ")


class Bystanders:
    """Two people who talk, and mind nobody else."""

    def __init__(self, server):
        self.romeo = Client(server).log_in(server.account("romeo"), "orchard")
        self.juliet = Client(server).log_in(server.account("juliet"), "balcony")
        self._said = 0

    def talk(self):
        """Say something and be heard, in both directions."""
        for one, other in ((self.romeo, self.juliet), (self.juliet, self.romeo)):
            self._said += 1
            words = f"word {self._said}"
            one.send(f"<message to='{other.jid}' type='chat'><body>{words}</body></message>")
            other.until(f"<body>{words}</body>.*?</message>".encode())


@pytest.fixture(scope="module")
def server():
    """A server with its default features and limits; STARTTLS is not required, to see bytes."""
    with serve("example.org", features={"sasl": {"plaintext": True}}) as made:
        yield made


@pytest.fixture(scope="module")
def bystanders(server):
    """The two, logged in."""
    made = Bystanders(server)
    yield made
    made.romeo.close()
    made.juliet.close()


@pytest.fixture(autouse=True)
def others_notice_nothing(bystanders):
    """Before and after, messages go through, on the same streams."""
    count = len(Client.made)
    bystanders.talk()
    yield
    bystanders.talk()
    Client.close_since(count)


@pytest.fixture(scope="module")
def mercutio(server):
    """The account that misbehaves."""
    return server.account("mercutio")


def condition(data):
    """Return the condition of the stream error in what was received."""
    found = CONDITION.search(data)
    assert found, data[-300:]
    assert data.endswith(b"</stream:stream>")
    return found[1].decode()


MALFORMED = {
    "not-well-formed": "<message to='romeo@example.org'><body></message>",
    "restricted-xml": "<message><!-- hidden --></message>",
    "bad-format": "words without an element<message/>",
    "unsupported-stanza-type": "<letter/>",
    "invalid-from": "<message from='juliet@example.org' to='romeo@example.org'/>",
}


@pytest.mark.parametrize("expected", MALFORMED)
def test_malformed_input_ends_the_stream_with_its_condition(server, mercutio, expected):
    """RFC 6120 §4.9.3, §11"""
    client = Client(server, tls=False).log_in(mercutio, "here")
    client.send(MALFORMED[expected])
    assert condition(client.rest()) == expected


def test_an_entity_bomb_is_refused_at_its_first_word(server):
    """RFC 6120 §11.1: no DTD, so nothing to expand."""
    client = Client(server, tls=False)
    client.send("<!DOCTYPE lolz [<!ENTITY lol 'lol'><!ENTITY l2 '&lol;&lol;'>]>")
    assert condition(client.rest()) in ("restricted-xml", "not-well-formed")


def test_a_million_byte_attribute_is_cut_off_before_it_is_kept(server, mercutio):
    """RFC 6120 §13.12: policy-violation, long before all of it has come."""
    client = Client(server, tls=False).log_in(mercutio, "here")
    client.send("<message id='" + "x" * 1_000_000 + "'/>")
    assert condition(client.rest()) == "policy-violation"


def test_a_stanza_over_the_limit_is_refused(server, mercutio):
    """RFC 6120 §13.12"""
    client = Client(server, tls=False).log_in(mercutio, "here")
    body = "x" * 1000
    client.send("<message to='romeo@example.org/orchard'>" + f"<body>{body}</body>" * 240)
    with contextlib.suppress(ConnectionError):
        client.send(f"<body>{body}</body>" * 60)
    assert condition(client.rest()) == "policy-violation"


def test_deep_nesting_is_refused(server, mercutio):
    """RFC 6120 §13.12"""
    client = Client(server, tls=False).log_in(mercutio, "here")
    client.send("<message>" + "<a>" * 100)
    assert condition(client.rest()) == "policy-violation"


def test_a_thousand_attributes_are_refused(server, mercutio):
    """RFC 6120 §13.12"""
    client = Client(server, tls=False).log_in(mercutio, "here")
    client.send("<message " + " ".join(f"a{n}='1'" for n in range(1000)) + "/>")
    assert condition(client.rest()) == "policy-violation"


def test_much_before_logging_in_is_refused(server):
    """XEP-0205: bytes before authentication are counted."""
    client = Client(server, tls=False)
    auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
    with contextlib.suppress(ConnectionError):
        client.send(auth + "A" * 40_000)
    assert condition(client.rest()) == "policy-violation"


def test_a_client_that_vanishes_is_gone_for_its_contacts(server, bystanders):
    """RFC 6120 §4.4, RFC 6121 §4.5.2: the server says that it is unavailable."""
    tybalt = Client(server).log_in(server.account("tybalt"), "street")
    to = bystanders.romeo.jid
    tybalt.send(f"<presence to='{to}'/>")
    bystanders.romeo.until(b"<presence[^>]*tybalt@example.org/street[^>]*>")
    linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
    tybalt.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)  # a reset, no goodbye
    tybalt.close()
    gone = bystanders.romeo.until(b"<presence([^>]*tybalt@example.org/street[^>]*)>")[1]
    assert b"unavailable" in gone


@pytest.fixture
def hasty():
    """A server that lets clients send as fast as they can."""
    options = {"sasl": {"plaintext": True}}
    with serve("example.org", features=options, streams=StreamOptions(rate=0)) as made:
        yield made


def test_a_slow_reader_is_dropped_and_its_sender_is_not(hasty):
    """What waits for one client is bounded; then the client goes, and nobody else."""
    server, bystanders = hasty, Bystanders(hasty)
    slow = Client(server, tls=False)
    slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.log_in(server.account("mercutio"), "slow")
    slow.send("<presence/>")
    slow.until(b"<presence")
    benvolio = Client(server, tls=False).log_in(server.account("benvolio"), "fast")
    message = f"<message to='{slow.jid}' type='chat'><body>{'x' * 60_000}</body></message>"
    for number in range(400):  # 24 MB: more than the server and the kernel will hold
        benvolio.send(message)
        if number % 40 == 0:
            bystanders.talk()
    benvolio.send("<iq type='get' id='still' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>")
    benvolio.until(b"<iq[^>]*id='still'[^>]*>")
    with contextlib.suppress(ConnectionError):
        while slow.sock.recv(1_000_000):
            pass  # what the kernel still has; then the end
    _no_large_buffer(server)


def test_a_flood_of_stanzas_is_slowed_and_not_lost():
    """XEP-0205: over its rate a client waits; what it sent arrives in order; others do not wait."""
    streams = StreamOptions(rate=200_000, burst=50_000)
    with serve("example.org", streams=streams) as server:
        bystanders = Bystanders(server)
        flood = Client(server).log_in(server.account("mercutio"), "flood")
        flood.sock.settimeout(30)
        to = flood.jid
        body = "x" * 400
        count = 1000
        stanzas = "".join(
            f"<message to='{to}' id='{number}'><body>{body}</body></message>"
            for number in range(count)
        )
        sent = 0
        data = stanzas.encode()
        while sent < len(data):
            sent += flood.sock.send(data[sent : sent + 16_384])
            bystanders.talk()
        for number in range(count):
            flood.until(f"id='{number}'".encode())


def test_ten_thousand_connections_that_never_log_in_cost_little(tmp_path):
    """Section 7 of the plan: each costs a few KiB, is ended in time, and others can log in."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 11_000:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))
    script = ROOT / "tests" / "crowd.py"
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = dict(line.split(": ") for line in done.stdout.splitlines())
    assert int(figures["connections"]) == 10_000
    assert float(figures["KiB for each"]) < 8
    assert figures["a stranger's stream ended with"] == "connection-timeout"


def _no_large_buffer(server):
    """The links of the server hold next to nothing."""

    async def buffered():
        return sum(stream.link.buffered for stream in server.service.clients)

    assert server.run(buffered) < 1_000_000
