"""A whole server on PostgreSQL, and what becomes of people when that stops and starts again."""

import pytest

from imsuite.testing.server import serve
from tests.clients import Client
from tests.postgres import CREATE, EMPTY, Cluster, run_sql
from tests.postgres_proxy import Proxy

pytestmark = pytest.mark.needs_initdb

REGISTER = (
    "<iq type='set' id='reg'><query xmlns='jabber:iq:register'>"
    "<username>{name}</username><password>{password}</password></query></iq>"
)
ROSTER_SET = (
    "<iq type='set' id='{id}'><query xmlns='jabber:iq:roster'>"
    "<item jid='{jid}' name='{name}'/></query></iq>"
)
ROSTER_GET = "<iq type='get' id='{id}'><query xmlns='jabber:iq:roster'/></iq>"
SAY = "<message to='{to}' type='chat'><body>{words}</body></message>"


@pytest.fixture(scope="module")
def cluster():
    made = Cluster()
    made.start()
    run_sql(made.url(), CREATE.format("chat", "C"))
    yield made
    made.remove()


@pytest.fixture
def store(cluster):
    """URL of an empty database; its server runs again when the test ends."""
    run_sql(cluster.url("chat"), *EMPTY)
    yield cluster.url("chat", "127.0.0.1")
    if not cluster.running:
        cluster.start()


@pytest.fixture
def server(store):
    with serve("example.org", store=store) as made:
        yield made


@pytest.fixture
def people(server):
    """Two clients, logged in and available."""
    count = len(Client.made)
    accounts = [server.account(name) for name in ("romeo", "juliet")]
    yield [Client(server).log_in(account, "here") for account in accounts]
    Client.close_since(count)


def answer(client, id):
    """Return the IQ that answers a request."""
    return client.until(rb"<iq[^>]*id='%s'[^>]*(/>|>.*?</iq>)" % id.encode())[0]


def test_people_register_talk_and_are_known_again(store):
    """RFC 6120, RFC 6121, XEP-0077: as on any other database."""
    count = len(Client.made)
    features = {"register": {"open": True}}
    with serve("example.org", features=features, store=store) as server:
        accounts = []
        for name in ("romeo", "juliet"):
            client = Client(server)
            client.send(REGISTER.format(name=name, password=f"{name}'s secret"))
            assert b"type='result'" in answer(client, "reg")
            accounts.append(type("Account", (), {"jid": f"{name}@{server.domain}"}))
            accounts[-1].password = f"{name}'s secret"
            client.close()
        romeo, juliet = (Client(server).log_in(account, "here") for account in accounts)
        romeo.send(ROSTER_SET.format(id="r", jid="juliet@example.org", name="Juliet 😀"))
        assert b"type='result'" in answer(romeo, "r")
        for number in range(100):
            romeo.send(SAY.format(to=juliet.jid, words=f"line {number}."))
        for number in range(100):
            juliet.until(b"<body>line %d.</body>" % number)
    Client.close_since(count)
    with serve("example.org", features=features, store=store) as server:
        romeo = Client(server).log_in(accounts[0], "there")
        romeo.send(ROSTER_GET.format(id="all"))
        assert "name='Juliet 😀'".encode() in answer(romeo, "all")
        assert server.failures.take() == []
    Client.close_since(count)


def test_while_it_is_down_who_writes_gets_an_error_and_afterwards_none(server, people, cluster):
    """RFC 6120 §8.3.3.6: nothing of the inside is told; streams stay open."""
    romeo, juliet = people
    cluster.stop()
    romeo.send(ROSTER_SET.format(id="down", jid="tybalt@example.org", name="T"))
    got = answer(romeo, "down")
    assert b"<internal-server-error" in got
    assert b"<text" not in got
    juliet.send("<iq type='get' id='p' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>")
    assert b"type='result'" in answer(juliet, "p")
    cluster.start()
    romeo.send(ROSTER_SET.format(id="up", jid="tybalt@example.org", name="T"))
    assert b"type='result'" in answer(romeo, "up")


def test_nobody_logs_in_while_it_is_down(server, cluster):
    """RFC 6120 §6.5.10: temporary-auth-failure, or whatever is not a wrong password."""
    account = server.account("mercutio")
    count = len(Client.made)
    cluster.stop()
    client = Client(server)
    try:
        client._sasl("auth", b"AG1lcmN1dGlvAHg=", " mechanism='PLAIN'")
        failure = client.until(b"<failure.*?</failure>")[0]
        assert b"temporary-auth-failure" in failure
    finally:
        cluster.start()
    Client(server).log_in(account, "here")
    Client.close_since(count)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_messages_wait_for_it_and_keep_their_order(server, people, cluster, how):
    """Architecture §6: a message that has to be kept goes out when it is."""
    romeo, juliet = people
    juliet.send(SAY.format(to=romeo.jid, words="before."))
    romeo.until(b"<body>before.</body>")
    getattr(cluster, how)()
    for number in range(20):
        juliet.send(SAY.format(to=romeo.jid, words=f"line {number}."))
    cluster.start()
    for number in range(20):
        romeo.until(b"<body>line %d.</body>" % number)
    assert b"line" not in romeo._held


@pytest.mark.parametrize("heard", [False, True])
def test_a_commit_without_an_answer_is_neither_lost_nor_done_twice(store, cluster, heard):
    """Architecture §6: whether the database had heard of it or not."""
    count = len(Client.made)
    proxy = Proxy(cluster.port)
    with serve("example.org", store=proxy.url(store)) as server:
        accounts = [server.account(name) for name in ("romeo", "juliet")]
        romeo, juliet = (Client(server).log_in(account, "here") for account in accounts)
        for number in range(3):
            proxy.cut(b"COMMIT", heard)
            juliet.send(SAY.format(to=romeo.jid, words=f"line {number}."))
            romeo.until(b"<body>line %d.</body>" % number)
        juliet.send(SAY.format(to=romeo.jid, words="the end."))
        romeo.until(b"<body>the end.</body>")
        assert b"line" not in romeo._held
    proxy.close()
    Client.close_since(count)
    assert run_sql(cluster.url("chat"), "SELECT count(*) FROM message") == [(4,)]
