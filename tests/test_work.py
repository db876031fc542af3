"""How much work a routed message is, counted: no clock, so no noise (fastpath.md §11).

A slip on the hot path — one more call for each message, a Deferred, a second send — breaks the
bound; a change of the bound says what it buys.
"""

import socket
import sys
from collections import Counter

import pytest

from imsuite.testing.server import serve
from tests.clients import Client

MESSAGES = 1000
CALLS = 50  # Python functions called for each message that has a turn of its own
CALLS_TOGETHER = 31  # and for each of many that came together
SYSTEM = ("recv", "send", "poll")
MESSAGE = (
    "<message to='{to}' type='chat' id='{number}'><body>" + 120 * "x" + "</body>"
    "<active xmlns='http://jabber.org/protocol/chatstates'/>"
    "<request xmlns='urn:xmpp:receipts'/></message>"
)


@pytest.fixture(scope="module")
def pair():
    """Two clients on TCP, without TLS, of a server that has every default feature."""
    with serve("example.org", features={"sasl": {"plaintext": True}}) as server:
        romeo = Client(server, tls=False).log_in(server.account("romeo"), "orchard")
        juliet = Client(server, tls=False).log_in(server.account("juliet"), "balcony")
        yield server, romeo, juliet
        romeo.close()
        juliet.close()


class Counting:
    """Counts what the thread of a server calls, while it is entered."""

    def __init__(self, server):
        self._server = server
        self.calls = 0
        self.system = Counter()

    def __enter__(self):
        self._server.run(self._set, self._note)
        return self

    def __exit__(self, *error):
        self._server.run(self._set, None)

    async def _set(self, function):
        sys.setprofile(function)

    def _note(self, frame, event, argument):
        if event == "call":
            self.calls += 1
        elif event == "c_call" and argument.__name__ in SYSTEM:
            self.system[argument.__name__] += 1


def read_messages(sock, count):
    """Read until that many messages have come."""
    seen = tail = b""
    found = 0
    while found < count:
        data = sock.recv(65536)
        assert data, "the server closed the stream"
        seen = tail + data
        found += seen.count(b"</message>")
        tail = seen[-9:]
    return found


def test_a_message_alone_costs_few_calls_and_three_system_calls(pair):
    """One in flight: poll, recv, send."""
    server, romeo, juliet = pair
    with Counting(server) as counting:
        for number in range(MESSAGES):
            romeo.sock.sendall(MESSAGE.format(to=juliet.jid, number=number).encode())
            assert read_messages(juliet.sock, 1) == 1
    assert counting.calls / MESSAGES < CALLS
    assert counting.system["recv"] / MESSAGES < 1.1
    assert counting.system["send"] / MESSAGES < 1.1
    assert counting.system["poll"] / MESSAGES < 1.3


def test_messages_together_share_their_system_calls(pair):
    """Fifty in one packet: read at once, sent at once."""
    server, romeo, juliet = pair
    together = 50
    with Counting(server) as counting:
        for _ in range(MESSAGES // together):
            burst = "".join(MESSAGE.format(to=juliet.jid, number=n) for n in range(together))
            romeo.sock.sendall(burst.encode())
            assert read_messages(juliet.sock, together) == together
    assert counting.calls / MESSAGES < CALLS_TOGETHER
    assert counting.system["recv"] / MESSAGES < 0.2
    assert counting.system["send"] / MESSAGES < 0.2


def test_nothing_is_sent_that_nobody_waits_for(pair):
    """A connection that is silent costs nothing."""
    server, romeo, _ = pair
    romeo.sock.settimeout(0.2)
    with Counting(server) as counting, pytest.raises(socket.timeout):
        romeo.sock.recv(1)
    romeo.sock.settimeout(10)
    assert counting.system["recv"] == counting.system["send"] == 0
