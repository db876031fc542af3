"""What becomes of people when the database is full, slow or gone: who does not need it talks on.

A message that an archive keeps needs it: it reaches nobody before it is durable, and its sender
hears if it cannot be (architecture §6). Chat states, presence and requests do not.
"""

import re
import ssl
import threading
from contextlib import contextmanager

import pytest

from imsuite.testing.server import serve
from tests.clients import PATIENCE, Client

ROSTER_SET = (
    "<iq type='set' id='{id}'><query xmlns='jabber:iq:roster'>"
    "<item jid='{jid}' name='{name}'/></query></iq>"
)
ROSTER_GET = "<iq type='get' id='{id}'><query xmlns='jabber:iq:roster'/></iq>"
SAY = "<message to='{to}' type='chat'><body>{words}</body></message>"
TYPE = (
    "<message to='{to}' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/>"
    "</message>"
)
PING = "<iq type='get' id='{id}' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>"
REFUSAL = re.compile(rb"<message[^>]*type='error'.*?</message>", re.DOTALL)
WITHOUT_ARCHIVE = pytest.mark.parametrize("server", [("default", "-archive")], indirect=True)


@pytest.fixture
def server(request, tmp_path):
    """A server on an SQLite file, with the default features or those a test asks for."""
    use = getattr(request, "param", ("default",))
    with serve("example.org", use=use, store=f"sqlite://{tmp_path}/imsuite.db") as made:
        yield made
    assert made.failures.take() == []


@pytest.fixture
def people(server):
    """Two clients, logged in."""
    count = len(Client.made)
    yield [Client(server).log_in(server.account(name), "here") for name in ("romeo", "juliet")]
    Client.close_since(count)


def writer(server, function):
    """Run function(connection) in the thread that writes; return its result."""

    async def run():
        return await server.service.store._writer.run(function)

    return server.run(run)


def fill_the_disk(server):
    """Let the database have no page more than it has."""
    pages = writer(server, lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    writer(server, lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchall())


def make_room(server):
    """Let it grow again."""
    writer(server, lambda db: db.execute("PRAGMA max_page_count = 1073741823").fetchall())


@contextmanager
def busy_writer(server):
    """Let nothing be written meanwhile."""
    begun, may_end = threading.Event(), threading.Event()

    def dawdle(connection):
        begun.set()
        assert may_end.wait(30)

    async def block():
        server.service.store._writer.run(dawdle)

    server.run(block)
    assert begun.wait(30)
    try:
        yield
    finally:
        may_end.set()


def answer(client, id):
    """Return the IQ that answers a request."""
    return client.until(rb"<iq[^>]*id='%s'[^>]*(/>|>.*?</iq>)" % id.encode())[0]


def until_pong(client, id):
    """Ping the server; return all that the client received before the answer."""
    client.send(PING.format(id=id))
    return client.until(rb"(.*?)<iq[^>]*id='%s'[^>]*/>" % id.encode())[1]


def unread(client):
    """Return what has come to a client that nobody looked at."""
    client.sock.setblocking(False)
    try:
        while data := client.sock.recv(65536):
            client._held += data
    except (BlockingIOError, ssl.SSLWantReadError):
        pass
    client.sock.settimeout(PATIENCE)
    return client._held


def test_a_full_disk_is_an_error_to_who_writes_and_to_nobody_else(server, people):
    """RFC 6120 §8.3.3.18: resource-constraint; once there is room, all is well again."""
    romeo, juliet = people
    fill_the_disk(server)
    refused = None
    for number in range(400):
        romeo.send(ROSTER_SET.format(id=f"s{number}", jid=f"c{number}@example.org", name="x" * 900))
        got = answer(romeo, f"s{number}")
        if b"type='error'" in got:
            refused = number, got
            break
    assert refused is not None, "the disk never became full"
    assert b"<resource-constraint" in refused[1]
    assert b"type='wait'" in refused[1]
    juliet.send(TYPE.format(to=romeo.jid))
    romeo.until(b"<composing[^>]*>")
    romeo.send(ROSTER_GET.format(id="all"))
    assert answer(romeo, "all").count(b"<item ") == refused[0]  # what was answered is there
    make_room(server)
    romeo.send(ROSTER_SET.format(id="again", jid="last@example.org", name="y"))
    assert b"type='result'" in answer(romeo, "again")


def test_a_message_that_finds_no_room_comes_back_and_reaches_nobody(server, people):
    """RFC 6120 §8.3.3.18, architecture §6: it is archived and goes out, or neither."""
    romeo, juliet = people
    fill_the_disk(server)
    kept = []
    for number in range(100):
        words = f"{number} {'x' * 3000}"
        juliet.send(SAY.format(to=romeo.jid, words=words))
        refused = REFUSAL.search(until_pong(juliet, f"p{number}"))
        if refused:
            break
        kept.append(words)
    assert refused, "the disk never became full"
    assert b"<resource-constraint" in refused[0]
    assert b"type='wait'" in refused[0]
    juliet.send(TYPE.format(to=romeo.jid))
    heard = romeo.until(b".*<composing[^>]*>")[0]
    assert re.findall("<body>(.*?)</body>", heard.decode()) == kept
    make_room(server)
    juliet.send(SAY.format(to=romeo.jid, words="here again"))
    romeo.until(b"<body>here again</body>")
    (count,) = writer(server, lambda db: db.execute("SELECT count(*) FROM message").fetchone())
    assert count == len(kept) + 1


@WITHOUT_ARCHIVE
def test_a_late_store_holds_back_only_the_stream_that_asked(server, people):
    """RFC 6120 §10.1: romeo's stanzas wait in their order, juliet's do not wait at all."""
    romeo, juliet = people
    with busy_writer(server):
        romeo.send(ROSTER_SET.format(id="late", jid="tybalt@example.org", name="T"))
        romeo.send(SAY.format(to=juliet.jid, words="after the roster"))
        juliet.send(SAY.format(to=romeo.jid, words="no need to wait"))
        romeo.until(b"<body>no need to wait</body>")
        until_pong(juliet, "p")
        assert b"after the roster" not in unread(juliet)
    assert b"type='result'" in answer(romeo, "late")
    juliet.until(b"<body>after the roster</body>")


def test_a_late_store_holds_back_what_it_has_to_keep(server, people):
    """Architecture §6: a message waits to be durable; what nobody keeps goes on meanwhile."""
    romeo, juliet = people
    mercutio = Client(server).log_in(server.account("mercutio"), "here")
    with busy_writer(server):
        for each in people:
            juliet.send(TYPE.format(to=each.jid))
            each.until(b"<composing[^>]*>")
        for words in ("first", "second"):
            juliet.send(SAY.format(to=romeo.jid, words=words))
            juliet.send(TYPE.format(to=mercutio.jid))
            mercutio.until(b"<composing[^>]*>")
        until_pong(mercutio, "p")
        assert b"<body>" not in unread(romeo)
    assert b"error" not in until_pong(juliet, "p")
    romeo.until(b"<body>first</body>.*<body>second</body>")


@pytest.fixture
def gone(server, people):
    """The same people after the store was closed."""

    async def close():
        await server.service.store.close()

    server.run(close)
    return people


def test_a_store_that_is_gone_is_an_error_and_not_the_end(server, gone):
    """RFC 6120 §8.3.3.6: internal-server-error; nothing of the inside is told."""
    romeo, juliet = gone
    romeo.send(ROSTER_SET.format(id="s", jid="tybalt@example.org", name="T"))
    got = answer(romeo, "s")
    assert b"<internal-server-error" in got
    assert b"<text" not in got
    juliet.send(TYPE.format(to=romeo.jid))
    romeo.until(b"<composing[^>]*>")


@WITHOUT_ARCHIVE
def test_who_needs_no_store_talks_on_when_it_is_gone(server, gone):
    """Architecture §6: a message that nobody keeps goes out at once."""
    romeo, juliet = gone
    juliet.send(SAY.format(to=romeo.jid, words="we can talk"))
    romeo.until(b"<body>we can talk</body>")


def test_a_message_for_a_store_that_is_gone_comes_back(server, gone):
    """Architecture §6, RFC 6120 §8.3.3.6: nobody sees half a message."""
    romeo, juliet = gone
    juliet.send(SAY.format(to=romeo.jid, words="lost"))
    refused = juliet.until(REFUSAL.pattern)[0]
    assert b"<internal-server-error" in refused
    assert b"<text" not in refused
    juliet.send(TYPE.format(to=romeo.jid))
    assert b"<body>" not in romeo.until(b".*<composing[^>]*>")[0]
