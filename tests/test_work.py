"""How much work a routed message is, counted: no clock, so no noise (fastpath.md §11).

A slip on the hot path — one more call for each message, a Deferred, a second send, a commit of its
own for each message of a flood — breaks the bound; a change of the bound says what it buys.
"""

import socket
import sys
from collections import Counter
from contextlib import contextmanager

import pytest

from imsuite.testing.server import serve
from tests.clients import Client

MESSAGES = 1000
CALLS = 50  # Python functions called for each message that has a turn of its own
CALLS_TOGETHER = 31  # and for each of many that came together
# The same where two archives keep each message: a record, a body, two rows, a place in an outbox,
# and a group that is planned, written by a thread, and let go. It buys that nothing is lost.
KEPT_CALLS = 200
KEPT_CALLS_TOGETHER = 100
WRITING_CALLS = 30  # in the thread that writes, for a group of one message
WRITING_CALLS_TOGETHER = 1  # for each message of a group of fifty
SYSTEM = ("recv", "send", "poll", "read")  # the last: what wakes the reactor when a thread is done
# what delivers messages and keeps none of them
FLEETING = tuple(
    f"-{word}" for word in ("archive", "offline", "carbons", "management", "csi", "push")
)
MESSAGE = (
    "<message to='{to}' type='chat' id='{number}'><body>" + 120 * "x" + "</body>"
    "<active xmlns='http://jabber.org/protocol/chatstates'/>"
    "<request xmlns='urn:xmpp:receipts'/></message>"
)


@contextmanager
def two_clients(use, store, **options):
    """Two clients on TCP, without TLS, and their server. options: of its features."""
    options["sasl"] = {"plaintext": True}
    with serve("example.org", features=options, use=use, store=store) as server:
        romeo = Client(server, tls=False).log_in(server.account("romeo"), "orchard")
        juliet = Client(server, tls=False).log_in(server.account("juliet"), "balcony")
        yield server, romeo, juliet
        romeo.close()
        juliet.close()


@pytest.fixture
def pair():
    """Where messages are delivered, and neither kept nor remembered."""
    with two_clients(("default", *FLEETING), "sqlite:///:memory:") as made:

        async def explain_nothing():
            for host in made[0].service.hosts.values():
                host.trail = None  # as with `explained = 0`

        made[0].run(explain_nothing)
        yield made


@pytest.fixture
def keeping_pair(tmp_path):
    """Where they are archived, in an SQLite file, with every default feature.

    Their words are not indexed: that is done by a timer, so it would be noise here.
    """
    store = f"sqlite://{tmp_path}/imsuite.db"
    with two_clients(("default",), store, archive={"search": False}) as made:
        yield made


class Counting:
    """Counts what the thread of a server calls, while it is entered, and the thread that writes.

    calls, writing_calls: of Python functions; system: calls of the system by the first thread;
    statements: of the second, by their first word.
    """

    def __init__(self, server):
        self._server = server
        self.calls = 0
        self.writing_calls = 0
        self.system = Counter()
        self.statements = Counter()

    def __enter__(self):
        self._server.run(self._set, self._note, self._note_writing, self._note_statement)
        return self

    def __exit__(self, *error):
        self._server.run(self._set, None, None, None)

    async def _set(self, function, writing, statement):
        writer = self._server.service.store._writer
        if writer is not None:
            await writer.run(lambda connection: connection.set_trace_callback(statement))
            await writer.run(lambda connection: sys.setprofile(writing))
        sys.setprofile(function)

    def _note(self, frame, event, argument):
        if event == "call":
            self.calls += 1
        elif event == "c_call" and argument.__name__ in SYSTEM:
            self.system[argument.__name__] += 1

    def _note_writing(self, frame, event, argument):
        if event == "call":
            self.writing_calls += 1

    def _note_statement(self, sql):
        self.statements[sql.split()[0]] += 1


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


def talk(romeo, juliet, together):
    """Let so many messages follow each other at once, then the next when those have come."""
    for _ in range(MESSAGES // together):
        burst = "".join(MESSAGE.format(to=juliet.jid, number=n) for n in range(together))
        romeo.sock.sendall(burst.encode())
        assert read_messages(juliet.sock, together) == together


def test_a_message_alone_costs_few_calls_and_three_system_calls(pair):
    """One in flight: poll, recv, send."""
    server, romeo, juliet = pair
    with Counting(server) as counting:
        talk(romeo, juliet, 1)
    assert counting.calls / MESSAGES < CALLS
    assert counting.system["recv"] / MESSAGES < 1.1
    assert counting.system["send"] / MESSAGES < 1.1
    assert counting.system["poll"] / MESSAGES < 1.3


def test_messages_together_share_their_system_calls(pair):
    """Fifty in one packet: read at once, sent at once."""
    server, romeo, juliet = pair
    with Counting(server) as counting:
        talk(romeo, juliet, 50)
    assert counting.calls / MESSAGES < CALLS_TOGETHER
    assert counting.system["recv"] / MESSAGES < 0.2
    assert counting.system["send"] / MESSAGES < 0.2


def test_a_message_alone_that_is_kept_costs_one_commit(keeping_pair):
    """Architecture §6: one turn to decide, one to hand it to the writer, one when it is durable."""
    server, romeo, juliet = keeping_pair
    with Counting(server) as counting:
        talk(romeo, juliet, 1)
    assert counting.calls / MESSAGES < KEPT_CALLS
    assert counting.writing_calls / MESSAGES < WRITING_CALLS
    assert counting.system["recv"] / MESSAGES < 1.1
    assert counting.system["send"] / MESSAGES < 1.1
    assert counting.system["poll"] / MESSAGES < 3.3
    assert counting.system["read"] / MESSAGES < 1.1
    assert counting.statements["COMMIT"] == counting.statements["BEGIN"] == MESSAGES
    assert counting.statements["INSERT"] == 3 * MESSAGES  # a body, and a row in each archive


def test_messages_together_that_are_kept_share_their_commits(keeping_pair):
    """Architecture §6: those that come while one group is written are the next."""
    server, romeo, juliet = keeping_pair
    with Counting(server) as counting:
        talk(romeo, juliet, 50)
    assert counting.calls / MESSAGES < KEPT_CALLS_TOGETHER
    assert counting.writing_calls / MESSAGES < WRITING_CALLS_TOGETHER
    assert sum(counting.system.values()) / MESSAGES < 0.2
    assert 0.02 <= counting.statements["COMMIT"] / MESSAGES < 0.05
    assert counting.statements["INSERT"] / MESSAGES < 0.5  # rows share statements


def test_nothing_is_sent_that_nobody_waits_for(pair):
    """A connection that is silent costs nothing."""
    server, romeo, _ = pair
    romeo.sock.settimeout(0.2)
    with Counting(server) as counting, pytest.raises(socket.timeout):
        romeo.sock.recv(1)
    romeo.sock.settimeout(10)
    assert counting.system["recv"] == counting.system["send"] == 0
