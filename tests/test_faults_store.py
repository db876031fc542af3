"""What becomes of people when the database is full, slow or gone: who does not need it talks on."""

import threading

import pytest

from imsuite.testing.server import serve
from tests.clients import Client

ROSTER_SET = (
    "<iq type='set' id='{id}'><query xmlns='jabber:iq:roster'>"
    "<item jid='{jid}' name='{name}'/></query></iq>"
)
ROSTER_GET = "<iq type='get' id='{id}'><query xmlns='jabber:iq:roster'/></iq>"
SAY = "<message to='{to}' type='chat'><body>{words}</body></message>"


@pytest.fixture
def server(tmp_path):
    """A server on an SQLite file."""
    with serve("example.org", store=f"sqlite://{tmp_path}/imsuite.db") as made:
        yield made


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


def answer(client, id):
    """Return the IQ that answers a request."""
    return client.until(rb"<iq[^>]*id='%s'[^>]*(/>|>.*?</iq>)" % id.encode())[0]


def test_a_full_disk_is_an_error_to_who_writes_and_to_nobody_else(server, people):
    """RFC 6120 §8.3.3.18: resource-constraint; once there is room, all is well again."""
    romeo, juliet = people
    pages = writer(server, lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    writer(server, lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchall())
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
    juliet.send(SAY.format(to=romeo.jid, words="still here"))
    romeo.until(b"<body>still here</body>")
    romeo.send(ROSTER_GET.format(id="all"))
    assert answer(romeo, "all").count(b"<item ") == refused[0]  # what was answered is there
    writer(server, lambda db: db.execute("PRAGMA max_page_count = 1073741823").fetchall())
    romeo.send(ROSTER_SET.format(id="again", jid="last@example.org", name="y"))
    assert b"type='result'" in answer(romeo, "again")


def test_a_late_store_holds_back_only_the_stream_that_asked(server, people):
    """RFC 6120 §10.1: romeo's stanzas wait in their order, juliet's do not wait at all."""
    romeo, juliet = people
    begun, may_end = threading.Event(), threading.Event()

    def dawdle(connection):
        begun.set()
        assert may_end.wait(30)

    async def block():
        server.service.store._writer.run(dawdle)

    server.run(block)
    assert begun.wait(30)
    romeo.send(ROSTER_SET.format(id="late", jid="tybalt@example.org", name="T"))
    romeo.send(SAY.format(to=juliet.jid, words="after the roster"))
    juliet.send(SAY.format(to=romeo.jid, words="no need to wait"))
    romeo.until(b"<body>no need to wait</body>")
    juliet.send("<iq type='get' id='p' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>")
    assert b"result" in answer(juliet, "p")
    assert b"after the roster" not in juliet._held
    may_end.set()
    assert b"type='result'" in answer(romeo, "late")
    juliet.until(b"<body>after the roster</body>")


def test_a_store_that_is_gone_is_an_error_and_not_the_end(server, people):
    """RFC 6120 §8.3.3.6: internal-server-error; nothing of the inside is told."""
    romeo, juliet = people

    async def close():
        await server.service.store.close()

    server.run(close)
    romeo.send(ROSTER_SET.format(id="s", jid="tybalt@example.org", name="T"))
    got = answer(romeo, "s")
    assert b"<internal-server-error" in got
    assert b"<text" not in got
    juliet.send(SAY.format(to=romeo.jid, words="we can talk"))
    romeo.until(b"<body>we can talk</body>")
